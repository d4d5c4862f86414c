"""The one interval from seeds and test images: it covers, its power is what it says, small cases come out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from alexnet_lib.errors import SettingError
from alexnet_lib.measures import effects
from alexnet_lib.measures.effects import (
    Effect,
    Sample,
    compared,
    detectable,
    holm,
    paired,
    resampled,
    spread_of,
    under,
)

IMAGES, STUDIES = 1000, 1000
# Standard deviations, on a scale where a network is wrong above 0: of a run by its seed, of an image, of an image for
# one variant alone, of one run on one image.
SEED, IMAGE, VARIANT, CHANCE = 0.03, 1.0, 0.35, 0.6
ALL = math.sqrt(SEED**2 + IMAGE**2 + VARIANT**2 + CHANCE**2)


def drawn(random: np.random.Generator, level: float, seeds: int, images: np.ndarray) -> np.ndarray:
    """Which images each run of a variant is wrong on, bool (seeds, images); the share to come is Phi(level / ALL)."""
    own = images + VARIANT * random.standard_normal(len(images))
    runs = SEED * random.standard_normal((seeds, 1)) + CHANCE * random.standard_normal((seeds, len(images)))
    return level + own + runs > 0


def share(level: float) -> float:
    return float(stats.norm.cdf(level / ALL))


def level_of(error: float) -> float:
    return float(stats.norm.ppf(error) * ALL)


def sample(wrong: np.ndarray) -> Sample:
    return Sample(tuple(wrong.mean(1).tolist()), wrong)


def studies(gain: float, seeds: tuple[int, int] = (6, 4)) -> list[Effect]:
    """Effects found by studies of two variants that truly are `gain` apart, and three more that lend their spread."""
    random, found = np.random.default_rng(0), []
    with_it, without = level_of(0.6), level_of(0.6 + gain)
    for _ in range(STUDIES):
        images = IMAGE * random.standard_normal(IMAGES)
        others = [sample(drawn(random, with_it, 3, images)) for _ in range(3)]
        one, other = (sample(drawn(random, *each, images)) for each in ((with_it, seeds[0]), (without, seeds[1])))
        found.append(compared(one, other, spread_of([one, other, *others])))
    return found


@pytest.fixture(scope="module")
def unmoved() -> list[Effect]:
    return studies(0.0)


def test_the_interval_covers_the_truth_in_95_of_100_studies(unmoved: list[Effect]) -> None:
    covered = np.mean([low <= 0 <= high for low, high in (one.interval for one in unmoved)])
    assert covered == pytest.approx(0.95, abs=0.02)


def test_p_and_interval_say_the_same(unmoved: list[Effect]) -> None:
    assert all((one.p < 0.05) == (not one.interval[0] <= 0 <= one.interval[1]) for one in unmoved)
    assert np.mean([one.p < 0.2 for one in unmoved]) == pytest.approx(0.2, abs=0.05)


def test_the_intervals_of_five_tests_of_one_study_hold_together(unmoved: list[Effect]) -> None:
    held = [low <= 0 <= high for low, high in (one.interval_among(5) for one in unmoved)]
    assert np.mean(held) == pytest.approx(0.99, abs=0.01)


@pytest.mark.parametrize("tests", [1, 12])
def test_the_detectable_effect_is_seen_in_80_of_100_studies(unmoved: list[Effect], tests: int) -> None:
    """An effect as large as the studies on average say that they could see is seen as often as they say."""
    gain = float(np.mean([one.detectable(tests) for one in unmoved]))
    seen = np.mean([one.size > 0 and one.p < effects.LEVEL / tests for one in studies(gain)])
    assert seen == pytest.approx(effects.POWER, abs=0.03)


def test_the_detectable_effect_of_many_degrees_of_freedom_is_the_textbooks() -> None:
    assert detectable(1.0, 1e6) == pytest.approx(1.96 + 0.84, abs=0.005)
    assert detectable(0.5, 1e6, level=0.05 / 20) == pytest.approx(0.5 * (3.023 + 0.842), abs=0.005)
    assert detectable(1.0, 2) > 1.9 * detectable(1.0, 20)  # few seeds see much less


def test_drawing_seeds_and_images_anew_gives_the_same_error() -> None:
    random = np.random.default_rng(1)
    images = IMAGE * random.standard_normal(IMAGES)
    one, other = (drawn(random, level_of(error), 10, images) for error in (0.55, 0.6))
    effect, again = compared(sample(one), sample(other)), resampled(one, other)
    assert again.mean() == pytest.approx(effect.size, abs=0.003)
    # What is peculiar to a run on an image counts three times there.
    peculiar = effects._peculiar(one, other) / IMAGES * 2 / 10
    assert again.std() == pytest.approx(math.sqrt(effect.error**2 + 2 * peculiar), rel=0.15)


def test_images_that_all_runs_agree_on_add_nothing_twice() -> None:
    """No chance of a run on an image: the variance is the sum of both; nothing but chance: they are the same thing."""
    random = np.random.default_rng(2)
    wrong = np.repeat(random.random((1, 400)) < 0.5, 3, axis=0)
    other = np.repeat(random.random((1, 400)) < 0.6, 3, axis=0)
    effect = compared(sample(wrong), sample(other))
    assert effect.seed_error == 0 and effect.error == effect.image_error > 0
    noise, more = (random.random((30, 400)) < share for share in (0.5, 0.6))
    effect = compared(sample(noise), sample(more))
    assert effect.error == pytest.approx(effect.image_error, rel=0.2) == pytest.approx(effect.seed_error, rel=0.3)


def test_without_answers_the_images_are_a_bound_by_hand() -> None:
    tested = Sample((0.20, 0.22), images=10_000, mean_error=0.21)
    without = Sample((0.24, 0.24), images=10_000, mean_error=0.24)
    effect = compared(tested, without)
    assert effect.size == pytest.approx(0.03) and effect.bound
    assert effect.image_error == pytest.approx(math.sqrt((0.21 * 0.79 + 0.24 * 0.76) / 10_000))
    assert effect.seed_error == pytest.approx(0.01)  # variance 2e-4 / 2 df = 1e-4, times (1/2 + 1/2)
    assert effect.error == pytest.approx(math.hypot(effect.image_error, effect.seed_error))


def test_numbers_that_are_no_errors_have_seeds_alone() -> None:
    effect = compared(Sample((1.0, 2.0, 3.0)), Sample((2.0, 3.0, 4.0)), less_is_better=False)
    assert effect.size == -1 and effect.image_error == 0 and not effect.bound and effect.df == 4
    assert effect.interval == pytest.approx((-1 - 2.776 * math.sqrt(2 / 3), -1 + 2.776 * math.sqrt(2 / 3)), abs=1e-3)
    assert effect.p == pytest.approx(stats.ttest_ind((1.0, 2.0, 3.0), (2.0, 3.0, 4.0)).pvalue)


def test_numbers_of_the_same_networks_are_compared_seed_by_seed() -> None:
    effect = paired(Sample((0.30, 0.40, 0.50)), Sample((0.32, 0.41, 0.53)))
    assert effect.size == pytest.approx(0.02)
    assert effect.p == pytest.approx(stats.ttest_rel((0.30, 0.40, 0.50), (0.32, 0.41, 0.53)).pvalue)
    assert paired(Sample((0.3,)), Sample((0.4,))) is None
    ten = np.array([[1, 0, 0, 1], [1, 0, 0, 0]], bool)
    one = np.array([[1, 1, 0, 1], [1, 1, 0, 1]], bool)
    both = paired(sample(ten), sample(one))
    assert both.size == pytest.approx(0.375)
    assert both.image_error == pytest.approx(math.sqrt(np.var([0, 1, 0, 0.5], ddof=1) / 4))


def test_errors_against_a_level() -> None:
    effect = under(0.9, Sample((0.5, 0.6, 0.7)))
    assert effect.size == pytest.approx(0.3)
    assert effect.p == pytest.approx(stats.ttest_1samp((0.5, 0.6, 0.7), 0.9).pvalue)
    wrong = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)
    assert under(0.9, sample(wrong)).image_error == pytest.approx(math.sqrt(np.var([1, 0.5, 0, 0], ddof=1) / 4))
    counted = under(0.9, Sample((0.5, 0.6), images=100, mean_error=0.55))
    assert counted.bound and counted.image_error == pytest.approx(math.sqrt(0.55 * 0.45 / 100))
    assert under(0.9, Sample((0.5,))) is None


def test_one_seed_can_lean_on_the_spread_of_others() -> None:
    one, other = Sample((0.5,)), Sample((0.6,))
    assert compared(one, other) is None and spread_of([one, other]) is None
    spread = spread_of([one, other, Sample((0.1, 0.3))])
    assert (spread.variance, spread.df) == (pytest.approx(0.02), 1)
    assert compared(one, other, spread).seed_error == pytest.approx(0.2)


def test_holm_by_hand() -> None:
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.01}, tests=4) == pytest.approx({"a": 0.04}) and holm({"a": 0.9}, tests=3) == {"a": 1.0}


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: Sample(()), "one finite number"),
        (lambda: Sample((0.1, math.nan)), "one finite number"),
        (lambda: Sample((0.1,), np.zeros((2, 5), bool)), "1 values, and answers of 2 runs"),
        (lambda: compared(sample(np.eye(3, 5, dtype=bool)), sample(np.eye(3, 6, dtype=bool))), "5 and 6 test images"),
        (lambda: paired(Sample((0.1, 0.2)), Sample((0.1,))), "2 and 1 seeds"),
    ],
)
def test_what_cannot_be_compared_is_refused(make, said) -> None:  # noqa: ANN001
    with pytest.raises(SettingError, match=said):
        make()
