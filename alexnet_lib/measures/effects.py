"""How large an effect is, how sure that is, and how small an effect the same test could have seen.

Two ways to train are compared by runs from several seeds, all counted on the same test images. Other seeds would move
the difference, and so would other images: one interval holds both. Effects are positive where the thing that is
tested does good ("points better than without"); shares are 0 to 1. Taught in "Results and ablations".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from ..errors import SettingError

LEVEL, POWER = 0.05, 0.8  # two-sided; and how often an effect that counts as detectable is seen


@dataclass(frozen=True, eq=False)
class Sample:
    """One number a seed. wrong: bool (seeds, images), which test images each run got wrong, where the numbers are
    errors on them, or errors on them less something else. images: of how many test images they are errors where it is
    not known which were wrong; mean_error: then the mean of the errors, where the numbers are not these themselves."""

    values: tuple[float, ...]
    wrong: np.ndarray | None = None
    images: int | None = None
    mean_error: float | None = None

    def __post_init__(self) -> None:
        if not self.values or not np.isfinite(self.values).all():
            raise SettingError(f"values {self.values}: give one finite number for each seed")
        if self.wrong is not None and self.wrong.shape[0] != len(self.values):
            raise SettingError(f"{len(self.values)} values, and answers of {self.wrong.shape[0]} runs")

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))


@dataclass(frozen=True)
class Spread:
    """The variance of a number over seeds, and how many degrees of freedom it was estimated with."""

    variance: float
    df: int


def spread_of(samples: Sequence[Sample]) -> Spread | None:
    """The spread over seeds within several variants, taken to be one: each has too few seeds for one of its own.

    None where no variant has two seeds.
    """
    df = sum(len(one.values) - 1 for one in samples)
    if not df:
        return None
    return Spread(sum(float(np.var(one.values)) * len(one.values) for one in samples) / df, df)


@dataclass(frozen=True)
class Effect:
    """An effect with what it could be by chance.

    size: positive where what is tested does good. seed_error, image_error: standard errors by other seeds, and by other
    test images (0 where none are counted on). error: by both. df: degrees of freedom of it. seeds: fewest of the two
    sides. bound: the image error is an upper limit, since it is not known which images were wrong.
    """

    size: float
    seed_error: float
    image_error: float
    error: float
    df: float
    seeds: int
    bound: bool = False

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval, by Student's t."""
        return self.interval_among(1)

    def interval_among(self, tests: int) -> tuple[float, float]:
        """The same for so many tests of one study: in 95 of 100 such studies, every one of its intervals holds."""
        reach = float(stats.t.ppf(1 - LEVEL / tests / 2, self.df)) * self.error
        return self.size - reach, self.size + reach

    @property
    def p(self) -> float:
        """How often chance alone gives as large an effect, in either direction."""
        return float(2 * stats.t.sf(abs(self.size) / self.error, self.df)) if self.error else float(self.size == 0)

    def detectable(self, tests: int = 1) -> float:
        """The smallest effect that a test like this sees in four of five tries; among so many tests, by Holm's first
        and strictest step."""
        return detectable(self.error, self.df, LEVEL / tests)


@dataclass(frozen=True)
class Unit:
    """How an effect is told: `value` makes words of one number of it, `none` is what no effect is. large: an effect as
    large as any that the paper reports of this kind, where it gives no figure for this one: a line of ours."""

    value: Callable[[float], str]
    none: str
    name: str
    large: float


POINTS = Unit(lambda share: f"{100 * share:+z.2f}", "0", "points", 0.02)
TIMES = Unit(lambda log: f"{math.exp(log):.2f}", "1", "times", math.log(2))


def told(effect: Effect | None, unit: Unit = POINTS) -> str:
    """The effect with its 95% interval, "+2.02 points (1.54 to 2.50)"; "" for none."""
    if effect is None:
        return ""
    low, high = (unit.value(end).lstrip("+") for end in effect.interval)
    return f"{unit.value(effect.size)} {unit.name} ({low} to {high})"


def error_sample(wrong: np.ndarray) -> Sample:
    """The errors of networks, by which images each got wrong, bool (seeds, images)."""
    return Sample(tuple(wrong.mean(axis=1).tolist()), wrong)


def told_error(wrong: np.ndarray) -> str:
    """Of bool (seeds, images): the error in per cent, with its 95% interval by both, "39.4 (34.8 to 44.1)"."""
    mean, effect = f"{100 * wrong.mean():.1f}", under(0.0, error_sample(wrong))
    if effect is None:
        return f"{mean} (1 seed)"
    high, low = (-100 * end for end in effect.interval)
    return f"{mean} ({max(low, 0):.1f} to {min(high, 100):.1f})"


def detectable(error: float, df: float, level: float = LEVEL, power: float = POWER) -> float:
    """The smallest effect that an estimate with that standard error sees with that power, by a test that is two-sided
    at that level: in so many of many tries it is beyond chance, and of the right sign."""
    limit = float(stats.t.ppf(1 - level / 2, df))
    high = limit + 1
    while stats.nct.sf(limit, df, high) < power:
        high += limit
    return float(optimize.brentq(lambda ncp: float(stats.nct.sf(limit, df, ncp)) - power, 0, high)) * error


def compared(
    tested: Sample, without: Sample, spread: Spread | None = None, *, less_is_better: bool = True
) -> Effect | None:
    """What the thing tested does: numbers without it less those with it (errors), or the other way round.

    spread: over seeds, of more variants than these two (None: these two's own). None where there is no spread at all.
    """
    spread = spread or spread_of((tested, without))
    if spread is None:
        return None
    size = (without.mean - tested.mean) * (1 if less_is_better else -1)
    counts = len(tested.values), len(without.values)
    by_seeds = spread.variance * sum(1 / count for count in counts)
    if tested.wrong is None or without.wrong is None:
        return _effect(size, by_seeds, spread.df, *_bound(tested, without), 0.0, min(counts))
    images = tested.wrong.shape[1]
    if without.wrong.shape[1] != images:
        raise SettingError(f"{images} and {without.wrong.shape[1]} test images: both must be of the same set")
    by_images = float(np.var(without.wrong.mean(0) - tested.wrong.mean(0), ddof=1)) / images
    twice = _peculiar(tested.wrong, without.wrong) / images * sum(1 / count for count in counts)
    return _effect(size, by_seeds, spread.df, by_images, images, False, twice, min(counts))


def paired(better: Sample, worse: Sample) -> Effect | None:
    """The same where both numbers of a seed are of one network, such as one view and ten: `worse` less `better`.

    None for one seed.
    """
    if len(better.values) != len(worse.values):
        raise SettingError(f"{len(better.values)} and {len(worse.values)} seeds: give the same networks twice")
    change = np.subtract(worse.values, better.values)
    if better.wrong is None or worse.wrong is None:
        return _alone(change, *_bound(better, worse))
    each = worse.wrong.astype(np.int8) - better.wrong.astype(np.int8)
    return _alone(change, *_over_images(each))


def under(level: float, sample: Sample) -> Effect | None:
    """How far errors lie under a level that is no measurement, such as that of guessing. None for one seed."""
    change = np.subtract(level, sample.values)
    if sample.wrong is not None:
        return _alone(change, *_over_images(sample.wrong))
    return _alone(change, *_bound(sample))


def _alone(change: np.ndarray, by_images: float, images: int, bound: bool, twice: float = 0.0) -> Effect | None:
    """The mean of one number a seed, against 0."""
    seeds = len(change)
    if seeds < 2:
        return None
    by_seeds = float(np.var(change, ddof=1)) / seeds
    return _effect(float(change.mean()), by_seeds, seeds - 1, by_images, images, bound, twice, seeds)


def _over_images(each: np.ndarray) -> tuple[float, int, bool, float]:
    """Of values (seeds, images): the variance of their mean by the images, how many these are, that it is no bound, and
    how much of it the spread over seeds holds too."""
    seeds, images = each.shape
    return float(np.var(each.mean(0), ddof=1)) / images, images, False, _peculiar(each) / images / seeds


def _bound(*sides: Sample) -> tuple[float, int, bool]:
    """Where it is not known which images were wrong: the variance as if each side had images of its own, how many they
    are, and that it is a bound; nothing where no errors are counted on images."""
    if not all(each.images for each in sides):
        return 0.0, 2, False
    means = [each.mean if each.mean_error is None else each.mean_error for each in sides]
    variances = [error * (1 - error) / each.images for error, each in zip(means, sides, strict=True)]
    return sum(variances), min(each.images for each in sides), True


def _peculiar(*sides: np.ndarray) -> float:
    """The variance of what is peculiar to one run on one image, from values (seeds, images) of each side.

    The spread over seeds holds it, and so does that over images: it must not be counted twice. 0 where no side has two
    seeds, when it cannot be told apart.
    """
    known = [
        (len(each) - 1, float(np.var(each.astype(np.float32), axis=0, ddof=1).mean()))
        for each in sides
        if len(each) > 1
    ]
    return sum(df * variance for df, variance in known) / sum(df for df, _ in known) if known else 0.0


def _effect(
    size: float, by_seeds: float, df: int, by_images: float, images: int, bound: bool, twice: float, seeds: int
) -> Effect:
    variance = max(by_seeds + by_images - twice, by_seeds, by_images)
    # Welch and Satterthwaite: degrees of freedom of a sum of two estimated variances.
    parts = by_seeds**2 / df + by_images**2 / (images - 1)
    freedom = variance**2 / parts if parts else math.inf
    errors = math.sqrt(by_seeds), math.sqrt(by_images), math.sqrt(variance)
    return Effect(size, *errors, max(freedom, 1.0), seeds, bound)


def by_images(tested: np.ndarray, without: np.ndarray) -> Effect:
    """Of two single networks on the same test images, bool (N,) where each is wrong: how much less `tested` errs, as
    far as the images tell; how other seeds would move it is not known."""
    each = without.astype(np.int8) - tested.astype(np.int8)
    error = math.sqrt(float(np.var(each, ddof=1)) / len(each))
    return Effect(float(each.mean()), 0.0, error, error, len(each) - 1, 1)


def holm(found: Mapping[str, float], tests: int | None = None) -> dict[str, float]:
    """P-values corrected for being several tests of one study (Holm 1979): each may then be held against 5%.

    tests: how many the study has, where some are still missing (None: as many as are found).
    """
    tests, corrected, least = tests or len(found), {}, 0.0
    for rank, (name, p) in enumerate(sorted(found.items(), key=lambda pair: pair[1])):
        least = max(least, min(1.0, (tests - rank) * p))
        corrected[name] = least
    return corrected


def resampled(tested: np.ndarray, without: np.ndarray, tries: int = 2000, seed: int = 0) -> np.ndarray:
    """Effects with seeds and images drawn anew, with replacement, from bool (seeds, images) each: (tries,).

    Their spread checks `compared` without any formula; it is a little too wide, since what is peculiar to one run on
    one image is drawn three times over.
    """
    random, images = np.random.default_rng(seed), tested.shape[1]
    sides = [one.astype(np.float32) for one in (without, tested)]
    found = np.empty(tries)
    for number in range(tries):
        weights = np.bincount(random.integers(images, size=images), minlength=images) / images
        means = [one[random.integers(len(one), size=len(one))].mean(0) @ weights for one in sides]
        found[number] = means[0] - means[1]
    return found
