"""Two weights in a quadratic valley, and the paper's update rule on them (section 5): momentum and decay made visible.

Along each of its two axes the valley is a parabola, so that every path can be worked out exactly. Taught in "Details of
learning".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ..errors import SettingError


@dataclass(frozen=True)
class Valley:
    """L(w) = 1/2 sum of curvature (w - bottom)^2 over two weights: steep along one, flat along the other."""

    curvatures: tuple[float, float] = (1.0, 25.0)
    bottom: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if len(self.curvatures) != 2 or len(self.bottom) != 2 or min(self.curvatures) <= 0:
            raise SettingError(f"curvatures {self.curvatures}, bottom {self.bottom}: two each, curvatures above 0")

    def loss(self, weights: torch.Tensor) -> torch.Tensor:
        """Of weights (…, 2): the loss (…), in the valley's own units, without the decay's share."""
        curvatures, bottom = self._tensors(weights)
        return 0.5 * (curvatures * (weights - bottom) ** 2).sum(-1)

    def gradient(self, weights: torch.Tensor) -> torch.Tensor:
        """Of weights (…, 2): the loss's gradient (…, 2)."""
        curvatures, bottom = self._tensors(weights)
        return curvatures * (weights - bottom)

    def rest(self, weight_decay: float) -> torch.Tensor:
        """Where the weights come to rest, (2,): each is pulled to 0, the flat one most: bottom c / (c + decay)."""
        curvatures, bottom = self._tensors(torch.zeros(2, dtype=torch.float64))
        return bottom * curvatures / (curvatures + weight_decay)

    def _tensors(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(
            torch.tensor(pair, dtype=like.dtype, device=like.device) for pair in (self.curvatures, self.bottom)
        )


def path(
    valley: Valley,
    start: tuple[float, float],
    rate: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    steps: int = 50,
) -> torch.Tensor:
    """The weights before every step and after the last, (steps + 1, 2), float64, from a velocity of 0.

    v <- momentum v - weight_decay rate w - rate gradient(w);  w <- w + v
    """
    w = torch.tensor(start, dtype=torch.float64)
    v, places = torch.zeros_like(w), [w]
    for _ in range(steps):
        v = momentum * v - weight_decay * rate * w - rate * valley.gradient(w)
        w = w + v
        places.append(w)
    return torch.stack(places)


def steps_of(
    kind: Callable[..., torch.optim.Optimizer],
    rates: Sequence[float],
    valley: Valley = Valley(),  # noqa: B008
    start: tuple[float, float] = (-3.0, 1.0),
    momentum: float = 0.9,
) -> torch.Tensor:
    """As `path`, taken by an optimiser, PaperSGD or torch.optim.SGD, one step a rate: (len(rates) + 1, 2), float64."""
    weights = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer, places = kind([weights], rates[0], momentum=momentum), [weights.detach().clone()]
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        weights.grad = valley.gradient(weights.detach())
        optimizer.step()
        places.append(weights.detach().clone())
    return torch.stack(places)
