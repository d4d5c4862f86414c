"""What the chapter "Dropout" asks of trained networks with dropout, and of the records of `dropout_cifar10`.

Section 4.2 (claims C16 to C18; questions Q34 to Q37). Networks are `dropout_nets.DropoutNet` on the CPU, images (N, 3,
S, S) already on the pixel scale that they were trained with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from .. import coadaptation as co
from ..dropout import Dropout, seed_dropout
from ..dropout_ensemble import Averages, DroppedStack, estimate, sampled_averages
from ..dropout_nets import DropoutNet
from ..effects import Sample
from ..gradient_noise import gradients, noise_to_signal
from ..optimiser import PaperSGD
from ..train import train_step
from .comparison_results import NOT_RUN, VariantResult
from .watching import Course, courses, passes_to_settle, passes_until, times_as_long

Sampled = tuple[Averages, list[Averages]]


def sampled_networks(
    net: DropoutNet, images: torch.Tensor, masks: int = 200, place: tuple[bool, bool, bool] | None = None
) -> Sampled:
    """`sampled_averages` of the network's fully connected layers, in float64.

    place: whether each of the three layers' inputs is dropped, if not where the network's own dropout stands; at a rate
    of 0.5 where it has none.
    """
    stack = DroppedStack.of(net.head)
    stack = stack if place is None else replace(stack, dropped=place)
    with torch.no_grad():
        return sampled_averages(stack, net.features(images).double(), masks)


def distance_row(name: str, sampled: Sampled) -> list[str]:
    """For a table: KL of the mean network to the geometric and the arithmetic mean, with errors, and agreement."""
    whole, left_out = sampled
    apart = [
        estimate(lambda a, mean=mean: a.distances[mean].kl, whole, left_out) for mean in ("geometric", "arithmetic")
    ]
    return [name, *map(str, apart), f"{whole.distances['geometric'].agreement:.0%}"]


def small_head(
    inputs: torch.Tensor, labels: torch.Tensor, hidden: tuple[int, int] = (7, 7), *, rate: float = 0.003,
    steps: int = 6000, seed: int = 0,
) -> nn.Sequential:  # fmt: skip
    """Two hidden layers with dropout and a last one, trained on what a network's last pooling layer gives, (N, F).

    So few units that all thinned networks can be run. He's starting weights, the paper's update rule, batches of 128.
    """
    generator = torch.Generator().manual_seed(seed)
    first, second = hidden
    full = [nn.Linear(inputs.shape[1], first), nn.Linear(first, second), nn.Linear(second, int(labels.max()) + 1)]
    for layer in full:
        draw = torch.randn(layer.weight.shape, generator=generator)
        layer.weight.data.copy_(draw * (2 / layer.in_features) ** 0.5)
        nn.init.zeros_(layer.bias)
    head = nn.Sequential(full[0], nn.ReLU(), Dropout(), full[1], nn.ReLU(), Dropout(), full[2])
    seed_dropout(head, seed)
    optimiser = PaperSGD(head.parameters(), rate, weight_decay=0.0005)
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (128,), generator=generator)
        train_step(head, optimiser, inputs[chosen], labels[chosen])
    seed_dropout(head, None)
    return head


@dataclass(frozen=True)
class Leaning:
    """How much the units of one hidden layer lean on each other, in three senses.

    correlations: of `coadaptation`; redundancy: the share of a unit's variance that the others predict. worst_unit: by
    how much the error, a share, is higher without the unit that is missed most than without the median one. half: by
    how much it rises when a random half is silenced and the rest doubled, mean over draws.
    """

    correlations: co.Correlations
    redundancy: float
    worst_unit: float
    half: float


def leaning(net: DropoutNet, images: torch.Tensor, labels: torch.Tensor, layer: int = 1, singly: int = 500) -> Leaning:
    """Measure hidden layer 0 or 1 on images and labels; units are silenced one by one on the first `singly` of them."""
    outputs = net.hidden(images)[layer]
    each = co.error_without_each(lambda h: net.logits_from(layer, h), outputs[:singly], labels[:singly])
    whole, half = (error for _, error in zip(*silenced(net, images, labels, (0.0, 0.5), layer), strict=True))
    return Leaning(
        co.correlations(outputs), co.redundancy(outputs), float(each.max() - each.median()), half - whole
    )  # fmt: skip


def silenced(
    net: DropoutNet, images: torch.Tensor, labels: torch.Tensor, shares: Sequence[float], layer: int = 1,
    draws: int = 10,
) -> Course:  # fmt: skip
    """The error with a share of a hidden layer's units silenced, mean over draws: (shares, errors)."""
    outputs = net.hidden(images)[layer]
    errors = [
        co.error_without_some(
            lambda h: net.logits_from(layer, h), outputs, labels, share=share, draws=draws if share else 1
        )
        for share in shares
    ]
    return list(shares), [float(each.mean()) for each in errors]


def full_weights(net: DropoutNet) -> list[nn.Parameter]:
    """The weights of the three fully connected layers."""
    return [layer.weight for layer in net.head if isinstance(layer, nn.Linear)]


def weights_reached(net: DropoutNet, images: torch.Tensor, labels: torch.Tensor, draws: int = 10) -> list[float]:
    """Of each fully connected layer: the share of weights that one image's gradient is not 0 at, mean over draws.

    As the network stands: in training with new masks for every draw, in evaluation the same each time.
    """
    seed_dropout(net, 0)
    shares = []
    for image, label in zip(images.split(1), labels.split(1), strict=True):
        for _ in range(draws if net.training else 1):
            found = torch.autograd.grad(F.cross_entropy(net(image), label), full_weights(net))
            shares.append([float((gradient != 0).double().mean()) for gradient in found])
    seed_dropout(net, None)
    return [sum(column) / len(shares) for column in zip(*shares, strict=True)]


def batch_noise(net: DropoutNet, images: torch.Tensor, labels: torch.Tensor, training: bool, size: int = 64) -> float:
    """`gradient_noise.noise_to_signal` of the fully connected weights' gradients over the batches that images make.

    training: with dropout's masks, new for every batch, or without. The network's mode is kept.
    """
    before = net.training
    net.train(training)
    seed_dropout(net, 0)
    batches = [pair for pair in zip(images.split(size), labels.split(size), strict=True) if len(pair[1]) == size]
    rows = gradients(net, full_weights(net), batches)
    seed_dropout(net, None)
    net.train(before)
    return noise_to_signal(rows)


Passes = dict[str, dict[int, float | None]]  # by variant, by seed


def recorded_passes(
    found: Mapping[str, VariantResult], level: float = 0.5, within: float = 0.01
) -> tuple[Passes, Passes]:
    """Passes to an evaluated training loss of `level`, and to `within` of each run's own lowest test error."""
    to_level: Passes = {}
    to_settle: Passes = {}
    for name, result in found.items():
        losses, errors = (courses(result.record, f"watched_{what}") for what in ("training_loss", "test_error"))
        to_level[name] = {seed: passes_until(course, level) for seed, course in losses.items()}
        to_settle[name] = {seed: passes_to_settle(course, within) for seed, course in errors.items()}
    return to_level, to_settle


def factors(passes: Passes, name: str, against: str = "none") -> str:
    """How many times as many passes as `against` a variant took, by seed: "1.8, 2.2"; or why there is none."""
    if name not in passes or against not in passes:
        return NOT_RUN
    found = times_as_long(passes[name], passes[against])
    return ", ".join(f"{factor:.1f}" for factor in found.values()) or "not reached"


def log_passes(passes: Mapping[int, float | None]) -> Sample | None:
    """By seed, the log of the passes; None where no seed came there."""
    reached = [math.log(taken) for taken in passes.values() if taken]
    return Sample(tuple(reached)) if reached else None
