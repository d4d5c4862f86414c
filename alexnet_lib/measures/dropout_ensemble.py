"""The networks that dropout trains at once, and how near the one network of test time comes to their average.

Section 4.2 (claim C18; question Q35). Dropout makes of a network with n dropped units 2^n thinned networks that share
their weights. Their average is taken here for real: over all masks of a small network, or over many drawn ones of a
larger network. Taught in "Dropout".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..errors import SettingError
from ..network.dropout import KINDS, Dropout, seed_dropout
from ..training.fit import train_step
from ..training.optimizer import PaperSGD

MOST_UNITS = 20  # 2^20 masks, a million networks
BLOCK = 1 << 22  # numbers in the largest tensor of one block of masks


@dataclass(frozen=True)
class DroppedStack:
    """Fully connected layers with ReLU between them and softmax at the end, some of whose inputs are dropped.

    weights, biases: of each layer, (out, in) and (out,). dropped: for each layer, whether dropout stands before it.
    The paper's fc6, fc7, fc8 is dropped=(False, True, True); torchvision's, with dropout before fc6 and fc7,
    (True, True, False). rate: of dropping a unit; kind: as in `dropout.Dropout`.

    **When the mean network is exact.** Let one layer be dropped, the last: logits are z(m) = W (m * h) + b for a mask m
    of zeros and ones, and h does not depend on m. With p_c(m) = exp z_c(m) / Z(m), the log of the geometric mean is

        sum_m P(m) log p_c(m) = sum_m P(m) z_c(m) - sum_m P(m) log Z(m) = [W (E[m] * h) + b]_c - constant,

    the constant being the same for all classes c. To make it a distribution again, the geometric mean is divided by its
    sum, which takes the constant away: what is left is softmax(W ((1 - rate) h) + b), the network with scaled outputs.
    So one hidden layer with dropout on it is averaged exactly, however many units and whatever lies beneath. With a
    second dropped layer h depends on masks through ReLU, E[relu(a)] is not relu(E[a]), and it is an approximation.
    Of the arithmetic mean it is an approximation always.
    """

    weights: tuple[torch.Tensor, ...]
    biases: tuple[torch.Tensor, ...]
    dropped: tuple[bool, ...]
    rate: float = 0.5
    kind: str = "2012"

    def __post_init__(self) -> None:
        Dropout(self.rate, self.kind)  # it refuses a rate and a kind that cannot be
        if self.kind == "halving":
            raise SettingError("dropout of the kind 'halving' drops nothing: there are no thinned networks to average")
        if not len(self.weights) == len(self.biases) == len(self.dropped) >= 1:
            raise SettingError("weights, biases and dropped must have one entry for each layer")

    @classmethod
    def of(cls, layers: Sequence[nn.Module], dtype: torch.dtype = torch.float64) -> DroppedStack:
        """Read a stack of nn.Linear, nn.ReLU and Dropout modules, such as the end of a network.

        A Dropout belongs to the next nn.Linear; ReLU must stand between two of those and nowhere else. Raises
        SettingError for anything else, for a Dropout at the end, and where rates or kinds differ.
        """
        linears, dropped, rules, waiting, bent = [], [], set(), False, True
        for layer in layers:
            if isinstance(layer, Dropout):
                rules.add((layer.rate, layer.kind))
                waiting = True
            elif isinstance(layer, nn.ReLU) and linears and not bent:
                bent = True
            elif isinstance(layer, nn.Linear) and bent:
                linears.append(layer)
                dropped.append(waiting)
                waiting = bent = False
            else:
                raise SettingError(
                    f"{layer} does not fit: Linear layers with ReLU between them, and Dropout, are wanted"
                )
        if waiting or bent or len(rules) > 1:
            raise SettingError(
                "the stack must end in a Linear layer, and all its Dropout layers be of one rate and kind"
            )
        weights = tuple(layer.weight.detach().to(dtype) for layer in linears)
        biases = tuple(layer.bias.detach().to(dtype) for layer in linears)
        return cls(weights, biases, tuple(dropped), *(rules.pop() if rules else (0.5, KINDS[0])))

    @property
    def widths(self) -> list[int]:
        """How many units are dropped before each layer: 0 where none."""
        return [weight.shape[1] * drops for weight, drops in zip(self.weights, self.dropped, strict=True)]

    @property
    def units(self) -> int:
        """The units that can be dropped, in all layers together."""
        return sum(self.widths)

    def log_probabilities(
        self, x: torch.Tensor, masks: torch.Tensor | None = None, *, factor: float | None = None
    ) -> torch.Tensor:
        """Log-probabilities of the thinned networks, (M, N, classes); without masks, of the mean network, (N, classes).

        x: (N, inputs) of the first layer. masks: (M, units), 1 where a unit is kept, dropped layers side by side in
        their order; every network sees all N inputs. factor: what the mean network multiplies dropped units by,
        instead of the share that is kept (times the factor of training, where the kind has one).
        """
        kept = 1.0 if self.kind == "2012" else 1 / (1 - self.rate)
        mean = kept * (1 - self.rate) if factor is None else factor
        parts = None if masks is None else iter(masks.to(x).split([width for width in self.widths if width], dim=1))
        h = x  # (N, width) until the first mask makes it (M, N, width)
        for place, (weight, bias, drops) in enumerate(zip(self.weights, self.biases, self.dropped, strict=True)):
            h = h.relu() if place else h
            if drops:
                h = h * (mean if parts is None else kept * next(parts)[:, None])
            h = h @ weight.T + bias
        if masks is not None and h.ndim == 2:  # nothing is dropped
            h = h.expand(len(masks), *h.shape)
        return h.log_softmax(-1)


def all_masks(units: int) -> torch.Tensor:
    """Every mask of so many units: (2^units, units) of bool, row i being i in binary. SettingError over 20 units."""
    if not 0 <= units <= MOST_UNITS:
        raise SettingError(f"{units} units have 2^{units} masks; up to {MOST_UNITS} are taken all, of more draw some")
    return (torch.arange(2**units)[:, None] >> torch.arange(units) & 1).bool()


@dataclass(frozen=True)
class Averages:
    """Log-probabilities (N, classes): the arithmetic mean of the thinned networks, the geometric, the mean network's.

    masks: how many networks were averaged. The geometric mean is renormalised: divided by its sum over classes.
    """

    arithmetic: torch.Tensor
    geometric: torch.Tensor
    scaled: torch.Tensor
    masks: int

    @property
    def distances(self) -> dict[str, Distances]:
        """Of the mean network to each of the two averages."""
        return {
            "arithmetic": distances(self.arithmetic, self.scaled),
            "geometric": distances(self.geometric, self.scaled),
        }


@dataclass(frozen=True)
class Distances:
    """How far one prediction is from another, means over the inputs.

    kl: Kullback-Leibler divergence in nats, from the first. total_variation: half the sum of the absolute differences,
    0 to 1: the most by which the two can differ about the probability of any set of classes. agreement: the share of
    inputs with the same top class.
    """

    kl: float
    total_variation: float
    agreement: float


def distances(wanted: torch.Tensor, got: torch.Tensor) -> Distances:
    """Of `got` from `wanted`, both log-probabilities (N, classes)."""
    p, q = wanted.exp(), got.exp()
    divergence = torch.where(p > 0, p * (wanted - got), 0.0).sum(-1)
    apart = (p - q).abs().sum(-1) / 2
    same = (wanted.argmax(-1) == got.argmax(-1)).double()
    return Distances(*(float(each.mean()) for each in (divergence, apart, same)))


def exact_averages(stack: DroppedStack, x: torch.Tensor) -> Averages:
    """The averages over all 2^units thinned networks, each weighted by its probability at the stack's rate.

    x: (N, inputs). Raises SettingError for a stack of over 20 units.
    """
    masks = all_masks(stack.units)
    kept = masks.sum(1).double()  # the weights' logs are wanted to the last digit
    if stack.rate == 0:
        masks = masks[kept == stack.units]
        log_weights = torch.zeros(1, dtype=x.dtype)
    else:
        log_weights = kept * math.log(1 - stack.rate) + (stack.units - kept) * math.log(stack.rate)
    return _averaged(stack, x, masks, log_weights.to(x))


def _averaged(stack: DroppedStack, x: torch.Tensor, masks: torch.Tensor, log_weights: torch.Tensor) -> Averages:
    """The weighted averages, block by block; log_weights (M,), whose exponentials add up to 1."""
    classes = len(stack.biases[-1])
    arithmetic = torch.full((len(x), classes), -math.inf, dtype=x.dtype, device=x.device)
    geometric = torch.zeros_like(arithmetic)
    for some, weights in _blocks(stack, x, masks, log_weights):
        log_p = stack.log_probabilities(x, some)
        weights = weights[:, None, None]
        arithmetic = torch.logaddexp(arithmetic, (log_p + weights).logsumexp(0))
        geometric += (log_p * weights.exp()).sum(0)
    return Averages(arithmetic, geometric.log_softmax(-1), stack.log_probabilities(x), len(masks))


def _blocks(stack: DroppedStack, x: torch.Tensor, *along: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    widest = max(max(weight.shape) for weight in stack.weights)
    size = max(1, BLOCK // (len(x) * widest))
    return zip(*(tensor.split(size) for tensor in along), strict=True)


def sampled_averages(
    stack: DroppedStack, x: torch.Tensor, masks: int = 1000, *, groups: int = 10, seed: int = 0
) -> tuple[Averages, list[Averages]]:
    """The averages over drawn masks, all together, and each time with one of the `groups` left out.

    x: (N, inputs); the same masks for all inputs. The second part is what `standard_errors` needs. SettingError unless
    there are at least two groups, of equal size.
    """
    if groups < 2 or masks < groups or masks % groups:
        raise SettingError(f"{masks} masks do not fall into {groups} equal groups, at least two of them")
    generator = torch.Generator().manual_seed(seed)
    drawn = (torch.rand(masks, stack.units, generator=generator) >= stack.rate).to(x.device)
    size = masks // groups
    even = torch.full((size,), -math.log(size), dtype=x.dtype, device=x.device)
    parts = [_averaged(stack, x, some, even) for some in drawn.split(size)]
    return _joined(parts), [_joined(parts[:left] + parts[left + 1 :]) for left in range(groups)]


def _joined(parts: Sequence[Averages]) -> Averages:
    """The averages over equal groups of masks as one. Taking the mean of renormalised logs and renormalising again is
    the same as renormalising once: what was taken away is the same for all classes."""
    arithmetic = torch.stack([part.arithmetic for part in parts]).logsumexp(0) - math.log(len(parts))
    geometric = torch.stack([part.geometric for part in parts]).mean(0).log_softmax(-1)
    return Averages(arithmetic, geometric, parts[0].scaled, sum(part.masks for part in parts))


@dataclass(frozen=True)
class Estimate:
    """A number measured with drawn masks, and the standard error that drawing others would give it."""

    value: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.standard_error:.4f}"


def estimate(measure: Callable[[Averages], float], whole: Averages, left_out: Sequence[Averages]) -> Estimate:
    """A measure of sampled averages, with its jackknife standard error, and its bias taken away to first order.

    With few masks the average is noisy, and a distance to something noisy comes out too large by about 1 / masks: the
    jackknife sees that in what leaving groups out does. The error is that of drawing masks, not of choosing inputs.
    """
    values = torch.tensor([measure(averages) for averages in left_out], dtype=torch.float64)
    count, all_of_them = len(values), measure(whole)
    error = math.sqrt((count - 1) * float(values.var(correction=0)))
    return Estimate(count * all_of_them - (count - 1) * float(values.mean()), error)


def small_head(
    inputs: torch.Tensor,
    labels: torch.Tensor,
    hidden: tuple[int, ...] = (7, 7),
    *,
    rate: float = 0.003,
    steps: int = 6000,
    seed: int = 0,
) -> nn.Sequential:
    """Two hidden layers with dropout and a last one, trained on what a network's last pooling layer gives, (N, F).

    So few units that all thinned networks can be run. He's starting weights, the paper's update rule, batches of 128.
    """
    generator, widths = torch.Generator().manual_seed(seed), (inputs.shape[1], *hidden, int(labels.max()) + 1)
    full = [nn.Linear(*pair) for pair in itertools.pairwise(widths)]
    for layer in full:
        draw = torch.randn(layer.weight.shape, generator=generator)
        layer.weight.data.copy_(draw * (2 / layer.in_features) ** 0.5)
        nn.init.zeros_(layer.bias)
    head = nn.Sequential(full[0], nn.ReLU(), Dropout(), full[1], nn.ReLU(), Dropout(), full[2])
    seed_dropout(head, seed)
    optimizer = PaperSGD(head.parameters(), rate, weight_decay=0.0005)
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (128,), generator=generator)
        train_step(head, optimizer, inputs[chosen], labels[chosen])
    seed_dropout(head, None)
    return head
