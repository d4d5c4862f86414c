"""How much the hidden units of a network lean on each other: correlations, redundancy, and what removing units costs.

Section 4.2 calls it co-adaptation and does not say how to see it; these are measures that can be defended, not the
paper's. Taught in "Dropout" (questions Q34, Q37). Activations are (N, units), a row an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..errors import SettingError

Classify = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Correlations:
    """Of the live units over images: those whose activation is not the same for every image.

    matrix: (live, live). live: their indices. units: of the layer. images: that it was measured on.
    """

    matrix: torch.Tensor
    live: torch.Tensor
    units: int
    images: int

    @property
    def pairs(self) -> torch.Tensor:
        """The absolute correlation of every pair of live units, each pair once."""
        above = torch.triu(torch.ones_like(self.matrix, dtype=torch.bool), diagonal=1)
        return self.matrix[above].abs()

    @property
    def mean(self) -> float:
        """Mean absolute correlation of two live units."""
        return float(self.pairs.mean()) if len(self.live) > 1 else math.nan

    @property
    def spread(self) -> float:
        """Sample deviation of the absolute correlations over pairs."""
        return float(self.pairs.std()) if len(self.live) > 2 else math.nan

    @property
    def floor(self) -> float:
        """What `mean` would be for independent units on so many images, from sampling alone: sqrt(2 / (pi N))."""
        return math.sqrt(2 / (math.pi * self.images))


def correlations(activations: torch.Tensor) -> Correlations:
    """Correlations of units over images (N, units). SettingError for fewer than three images."""
    if activations.ndim != 2 or len(activations) < 3:
        raise SettingError(f"activations {tuple(activations.shape)} must be (images, units), three images or more")
    centred = activations.double() - activations.double().mean(0)
    lengths = centred.norm(dim=0)
    largest = activations.double().abs().amax(0)
    live = (lengths > 1e-9 * largest * math.sqrt(len(activations))).nonzero().flatten()
    directions = centred[:, live] / lengths[live]
    return Correlations(directions.T @ directions, live, activations.shape[1], len(activations))


def redundancy(activations: torch.Tensor, ridge: float = 1e-6) -> float:
    """How much of a live unit's variance the other live units predict linearly: mean over units of R^2, 0 to 1.

    Adjusted for the number of units, so that independent ones come out near 0. `ridge` is added to the correlations'
    diagonal: an exact copy of another unit comes out a little under 1. SettingError for fewer images than units + 2.
    """
    found = correlations(activations)
    live, images = len(found.live), found.images
    if live < 2:
        return math.nan
    if images < live + 2:
        raise SettingError(f"{images} images are too few to predict {live} live units from each other")
    inverse = torch.linalg.inv(found.matrix + ridge * torch.eye(live, dtype=torch.float64))
    unexplained = 1 / inverse.diagonal()
    adjusted = 1 - unexplained * (images - 1) / (images - live)
    return float(adjusted.clamp(0, 1).mean())


@torch.no_grad()
def error_without_each(classify: Classify, activations: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The error, a share, with each unit silenced in turn: (units,).

    classify: from activations (N, units) of the hidden layer to logits (N, classes): the rest of the network.
    """
    errors = []
    for unit in range(activations.shape[1]):
        silenced = activations.clone()
        silenced[:, unit] = 0
        errors.append(_error(classify(silenced), labels))
    return torch.tensor(errors, dtype=torch.float64)


@torch.no_grad()
def error_without_some(
    classify: Classify,
    activations: torch.Tensor,
    labels: torch.Tensor,
    *,
    share: float = 0.5,
    draws: int = 20,
    rescale: bool = True,
    seed: int = 0,
) -> torch.Tensor:
    """The error, a share, with a random part of the units silenced for all images: (draws,), one a random choice.

    share: of the units, rounded to whole ones. rescale: what is left is divided by 1 - share, so that the next layer's
    sums keep their size. SettingError for a share outside 0 <= share < 1.
    """
    if not 0 <= share < 1:
        raise SettingError(f"share {share} of the units cannot be silenced; 0 <= share < 1 is needed")
    units, generator = activations.shape[1], torch.Generator().manual_seed(seed)
    gone, errors = round(share * units), []
    for _ in range(draws):
        kept = torch.ones(units, dtype=activations.dtype)
        kept[torch.randperm(units, generator=generator)[:gone]] = 0
        kept = kept * (units / (units - gone)) if rescale and gone < units else kept
        errors.append(_error(classify(activations * kept.to(activations.device)), labels))
    return torch.tensor(errors, dtype=torch.float64)


def _error(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return float((logits.argmax(1) != labels).double().mean())
