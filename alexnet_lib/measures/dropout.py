"""What the chapter "Dropout" asks of trained networks with dropout.

Section 4.2 (claims C16 to C18; questions Q34 to Q37). Networks are `with_dropout.DropoutNet` on the CPU, images (N, 3,
S, S) already on the pixel scale that they were trained with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import SettingError
from ..network.dropout import Dropout, seed_dropout
from ..network.small.with_dropout import DropoutNet
from ..training.fit import train_step
from ..training.optimizer import PaperSGD
from . import coadaptation as co
from .dropout_ensemble import Averages, DroppedStack, estimate, sampled_averages

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
) -> tuple[list[float], list[float]]:  # fmt: skip
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
    """`noise_to_signal` of the fully connected weights' gradients over the batches that images make.

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


def gradients(
    net: nn.Module, weights: Sequence[nn.Parameter], batches: Iterable[tuple[torch.Tensor, torch.Tensor]]
) -> torch.Tensor:
    """The gradient of each batch's mean loss by some weights of the network, as rows: (batches, numbers).

    batches: normalised images (B, 3, H, W) and labels (B,). The network stays in its mode, so that in training each
    batch has dropout masks of its own.
    """
    rows = []
    for images, labels in batches:
        found = torch.autograd.grad(F.cross_entropy(net(images), labels), weights)
        rows.append(torch.cat([gradient.flatten() for gradient in found]))
    return torch.stack(rows)


def noise_to_signal(rows: torch.Tensor) -> float:
    """The variance of a row, summed over its numbers, by the squared length of the mean that the rows scatter about.

    rows: (K, numbers), K >= 2, independent. 0: all alike; 1: a row is as far from the mean as the mean is long; so
    many rows must be averaged until noise and signal are equal. The squared length of the rows' own mean holds a K-th
    of the variance, which is taken away. inf where nothing is left of it: K is too small to see any signal.
    """
    if rows.ndim != 2 or len(rows) < 2:
        raise SettingError(f"rows {tuple(rows.shape)} must be two or more, each a gradient")
    rows = rows.double()
    variance = float(rows.var(0).sum())
    signal = float(rows.mean(0).square().sum()) - variance / len(rows)
    return variance / signal if signal > 0 else float("inf")
