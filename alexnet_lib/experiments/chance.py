"""How far numbers of errors move by chance: by the images that were drawn, and by the seeds of training.

Shares are 0 to 1. Taught in the chapter "Results and ablations" (sections 3 and 6: what a difference of 0.4 points,
from one network each, can tell).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

import torch
from scipy import stats

from ..errors import SettingError

# Of the normal distribution: 95% within this many deviations, and 80% below the second.
TWO_SIDED, EIGHTY = 1.96, 0.84


def sampling_error(error: float, images: int) -> float:
    """The standard error of a share of wrong answers, `error`, that was counted on so many images drawn at random.

    SettingError: a share that is none, or no image.
    """
    if not 0 <= error <= 1 or images < 1:
        raise SettingError(f"error {error}, images {images}: give a share of 0 to 1, counted on 1 image or more")
    return math.sqrt(error * (1 - error) / images)


def apart_error(one: float, other: float, images: int) -> float:
    """The standard error of the difference of two shares, each counted on `images` of its own.

    Of two networks on the same images, which are mostly wrong on the same ones, it is an upper limit, unless they err
    more seldom together than chance would have it; `paired_error` needs to know which images they were.
    """
    return math.hypot(sampling_error(one, images), sampling_error(other, images))


def paired_error(one: torch.Tensor, other: torch.Tensor) -> float:
    """The standard error of the difference of two networks' shares of wrong answers on the same images.

    one, other: bool (N,), True where that network is wrong. Only images count on which just one of them is (McNemar).
    SettingError: shapes that differ, or no image.
    """
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise SettingError(f"answers {tuple(one.shape)} and {tuple(other.shape)}: wanted two of the same (N,)")
    images = len(one)
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    return math.sqrt(first + second - (first - second) ** 2 / images) / images


def share_found(effect: float, spread: float, seeds: int, tries: int = 4000) -> float:
    """How often an effect is seen: in which share of drawn experiments 0 is below the 95% interval of the mean.

    effect, spread: mean and standard deviation of the differences of single seeds, in one unit. Drawn anew the same
    for every call. SettingError: fewer than two seeds, or a spread that is not above 0.
    """
    if seeds < 2 or spread <= 0:
        raise SettingError(f"{seeds} seeds, spread {spread}: an interval takes 2 seeds or more, and a spread above 0")
    generator = torch.Generator().manual_seed(0)
    drawn = effect + spread * torch.randn(tries, seeds, generator=generator, dtype=torch.float64)
    reach = float(stats.t.ppf(0.975, seeds - 1)) * drawn.std(1) / math.sqrt(seeds)
    return float((drawn.mean(1) > reach).double().mean())


def seeds_needed(effect: float, spread: float) -> int:
    """How many seeds see an effect in four experiments of five, by the normal distribution; at least 2.

    effect, spread: as of `share_found`. For few seeds it is a little too small, as Student's t is wider.
    """
    if effect <= 0 or spread < 0:
        raise SettingError(f"effect {effect}, spread {spread}: give an effect above 0 and a spread of 0 or more")
    return max(2, math.ceil(((TWO_SIDED + EIGHTY) * spread / effect) ** 2))


def mean_and_spread(errors: Iterable[float]) -> str:
    """In per cent, with the sample deviation: "24.1 ± 0.3 (3 seeds)"."""
    errors = list(errors)
    if len(errors) == 1:
        return f"{100 * errors[0]:.1f} (1 seed)"
    return f"{100 * statistics.mean(errors):.1f} ± {100 * statistics.stdev(errors):.1f} ({len(errors)} seeds)"
