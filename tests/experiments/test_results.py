"""What the book says of recorded races: counts, medians, ratios, and "not yet run"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alexnet_lib import records
from alexnet_lib.experiments.results import RaceResult, keys_of, ratio, result_of


def record(
    reached: dict[int, float | None], *, run: str = "80sec_2012_0-255_relu", cap: float = 60, sweep_done: bool = True
) -> dict[str, Any]:
    """A record whose best rate is 0.01, and what each seed took there; one more run at another rate."""
    curves = [
        {"rate": 0.01, "seed": seed, "curve": {"passes": [1.0, p or cap], "pass_error": [0.45, 0.25 if p else 0.3]}}
        for seed, p in reached.items()
    ]
    other = {"rate": 0.1, "seed": 0, "curve": {"passes": [1.0], "pass_error": [0.1]}}
    return {
        "experiment": "relu-vs-tanh",
        "run": run,
        "claims": ["C01"],
        **records.circumstances("CPU", "command"),
        "configuration": {"settings": {"passes": cap}},
        "seeds": list(reached),
        "seconds": 1.0,
        "curves": [*curves, other],
        "result": {"best_rate": 0.01, "sweep": [], "sweep_done": sweep_done},
        "dataset": {"name": "CIFAR-10", "source": "x", "checksum": "y", "images": 1, "stand_in": False},
    }


def result(reached: dict[int, float | None], **options: Any) -> RaceResult:
    return RaceResult(record(reached, **options))


def test_only_runs_at_the_best_rate_count() -> None:
    found = result({0: 9.5, 1: 10.0})
    assert [run["seed"] for run in found.runs] == [0, 1]
    assert found.passes(0.25) == [9.5, 10.0] and found.typical(0.25) == 9.75
    assert found.passes(0.5) == [1.0, 1.0], "a threshold met at the first whole pass"
    assert found.curves == [([1.0, 9.5], [0.45, 0.25]), ([1.0, 10.0], [0.45, 0.25])]


@pytest.mark.parametrize(
    "reached, text",
    [
        ({0: 9.5}, "9.5 (1 seed)"),
        ({0: 9.5, 1: 10.0, 2: 9.75}, "9.8 (9.5 to 10.0; 3 seeds)"),
        ({0: 9.5, 1: None, 2: 9.75}, "not within 60 (2 of 3 seeds did)"),
        ({0: None}, "not within 60 (0 of 1 seed did)"),
    ],
)
def test_the_text_gives_median_range_and_seeds_or_says_who_failed(reached: dict, text: str) -> None:
    assert result(reached).text(0.25) == text


def test_a_median_is_not_given_where_a_seed_failed() -> None:
    assert result({0: 9.5, 1: None}).typical(0.25) is None


def test_what_is_not_recorded_has_no_key() -> None:
    assert keys_of([None, result({0: 1.5})]) == ["relu-vs-tanh/80sec_2012_0-255_relu"]


def test_a_ratio_is_of_medians_with_the_range_over_all_pairs() -> None:
    found = ratio(result({0: 30.0, 1: 36.0}), result({0: 10.0, 1: 9.0, 2: 12.0}), 0.25)
    assert (found.middle, found.lowest, found.highest, found.at_least) == (3.3, 2.5, 4.0, False)
    assert str(found) == "3.3 (2.5 to 4.0)"


def test_where_the_slow_one_failed_the_ratio_is_a_bound() -> None:
    found = ratio(result({0: None, 1: None}), result({0: 10.0}), 0.25)
    assert found.at_least and str(found) == "over 6.0"


def test_where_one_seed_of_the_slow_one_failed_its_own_cap_stands_for_it() -> None:
    found = ratio(result({0: 30.0, 1: None, 2: 32.0}, cap=80), result({0: 10.0}, cap=60), 0.25)
    assert (found.middle, found.lowest, found.highest, found.at_least) == (3.2, 3.0, 8.0, True)


def test_there_is_no_ratio_to_one_that_is_missing_or_failed() -> None:
    some = result({0: 10.0})
    assert ratio(None, some, 0.25) is None and ratio(some, None, 0.25) is None
    assert ratio(some, result({0: None}), 0.25) is None


def test_records_are_found_by_name_once_their_sweep_is_through(tmp_path: Path) -> None:
    records.write(record({0: 9.5}), tmp_path)
    records.write(record({0: 9.5}, run="80sec_2012_0-255_tanh", sweep_done=False), tmp_path)
    found = result_of("relu-vs-tanh", "relu", root=tmp_path)
    assert found is not None and found.best_rate == 0.01 and found.cap == 60
    assert result_of("relu-vs-tanh", "tanh", root=tmp_path) is None, "its sweep is not through"
    assert result_of("relu-vs-tanh", "relu", "today", "unit", root=tmp_path) is None
    assert result_of("relu-vs-tanh", "relu", architecture="deep", root=tmp_path) is None
