"""How far numbers of errors move by chance: by the images that were drawn, and by the seeds of training.

Shares are 0 to 1. Taught in the chapter "Results and ablations" (sections 3 and 6: what a difference of 0.4 points,
from one network each, can tell).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

import torch

from ..errors import SettingError

TWO_SIDED = 1.96  # deviations to either side, within which 95% of the normal distribution lie


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


def mean_and_spread(errors: Iterable[float]) -> str:
    """In per cent, with the sample deviation: "24.1 ± 0.3 (3 seeds)"."""
    errors = list(errors)
    if len(errors) == 1:
        return f"{100 * errors[0]:.1f} (1 seed)"
    return f"{100 * statistics.mean(errors):.1f} ± {100 * statistics.stdev(errors):.1f} ({len(errors)} seeds)"
