"""Races: which rate wins, which seeds are due, when a run is given up, and what is said of it all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from race_cases import contender, due, outcome, with_outcomes, write_leader

from alexnet_lib import records as recorded
from alexnet_lib.experiments.running import race
from alexnet_lib.experiments.running.race import lowest_error, passes_to, tidy_rate
from alexnet_lib.network.small.four_layers import SmallNetConfig
from alexnet_lib.training.fit import TrainSettings


def test_a_new_contender_sweeps_its_rates_in_the_order_given() -> None:
    assert due(contender()) == [(0.003, 0), (0.01, 0), (0.001, 0)]


def test_the_best_rate_took_the_fewest_passes_not_the_lowest_error() -> None:
    swept = with_outcomes(contender(), outcome(0.001, 12.0, 0.1), outcome(0.003, 8.0, 0.24), outcome(0.01, None, 0.05))
    assert swept.best_rate() == 0.003
    assert swept.leader()["target_passes"] == 8.0
    assert swept.due() == [] and swept.sweep_done()


def test_where_none_met_the_target_the_lowest_error_wins() -> None:
    swept = with_outcomes(
        contender(), outcome(0.001, None, 0.40), outcome(0.003, None, 0.30), outcome(0.01, None, 0.35)
    )
    assert (swept.best_rate(), swept.leader()) == (0.003, None)


def test_of_two_rates_with_equal_passes_the_one_with_the_lower_error_wins() -> None:
    swept = with_outcomes(contender(), outcome(0.001, 9.0, 0.24), outcome(0.003, 9.0, 0.23), outcome(0.01, 10.0))
    assert swept.best_rate() == 0.003


def test_an_abandoned_run_cannot_win() -> None:
    """It was given up as the slower one: the low error it had on the way does not count."""
    swept = with_outcomes(
        contender(), outcome(0.001, None, 0.01, ended="abandoned"), outcome(0.003, 9.0, 0.25), outcome(0.01, 10.0)
    )
    assert swept.best_rate() == 0.003


def test_a_diverged_run_loses_to_one_that_learned_nothing() -> None:
    swept = with_outcomes(
        contender((0.01, 0.003)), outcome(0.01, None, diverged=5), outcome(0.003, None, 0.9, ended="abandoned")
    )
    assert swept.best_rate() == 0.003
    assert lowest_error(swept.outcomes[0.01, 0]) == float("inf")


def test_a_winner_at_the_edge_extends_the_grid_until_it_has_neighbours() -> None:
    swept = with_outcomes(contender(), outcome(0.001, 12.0), outcome(0.003, 10.0), outcome(0.01, 8.0))
    assert not swept.sweep_done() and due(swept) == [(0.03, 0)]
    with_outcomes(swept, outcome(0.03, 7.0))
    assert due(swept) == [(0.1, 0)]
    with_outcomes(swept, outcome(0.1, 9.0))
    assert due(swept) == [] and swept.sweep_done() and swept.best_rate() == 0.03
    assert swept.swept() == [0.001, 0.003, 0.01, 0.03, 0.1]


def test_the_grid_extends_downwards_too() -> None:
    swept = with_outcomes(contender(), outcome(0.001, 5.0), outcome(0.003, 10.0), outcome(0.01, 12.0))
    assert due(swept) == [(0.0003, 0)]


def test_a_grid_is_extended_three_times_at_most() -> None:
    swept = with_outcomes(contender(), outcome(0.001, 20.0), outcome(0.003, 19.0), outcome(0.01, 18.0))
    for count, rate in enumerate((0.03, 0.1, 0.3)):
        assert due(swept) == [(rate, 0)]
        with_outcomes(swept, outcome(rate, 17.0 - count))
    assert due(swept) == [] and swept.sweep_done()


def test_a_single_rate_is_not_extended() -> None:
    assert due(with_outcomes(contender((0.01,)), outcome(0.01, 5.0))) == []


def test_other_seeds_wait_for_the_sweep_and_run_at_its_best_rate() -> None:
    swept = contender(seeds=3)
    with_outcomes(swept, outcome(0.001, 12.0), outcome(0.003, 8.0))
    assert due(swept) == [(0.01, 0)]
    last = swept.due()
    assert swept.due(busy=last) == [], "the sweep's last run is under way: nothing else can start"
    with_outcomes(swept, outcome(0.01, 10.0))
    assert due(swept) == [(0.003, 1), (0.003, 2)]
    assert len(swept.due(busy=swept.due()[:1])) == 1
    with_outcomes(swept, outcome(0.003, 9.0, seed=1), outcome(0.003, 8.5, seed=2))
    assert due(swept) == [] and [one["seed"] for one in swept.runs()] == [0, 1, 2]


def test_a_faster_other_seed_does_not_change_the_best_rate() -> None:
    swept = with_outcomes(contender(), outcome(0.001, 12.0), outcome(0.003, 8.0), outcome(0.01, 10.0))
    with_outcomes(swept, outcome(0.01, 2.0, seed=1))
    assert (swept.best_rate(), swept.leader()["target_passes"]) == (0.003, 8.0)


@pytest.mark.parametrize("rate, tidy", [(0.00949, 0.01), (0.0316, 0.03), (0.000316, 0.0003), (0.095, 0.1), (3.2, 3.0)])
def test_rates_stay_on_one_grid_of_half_decades(rate: float, tidy: float) -> None:
    assert tidy_rate(rate) == tidy


def test_steps_of_half_a_decade_come_back_to_where_they_began() -> None:
    up = [0.001]
    for _ in range(4):
        up.append(tidy_rate(up[-1] * 10**0.5))
    assert up == [0.001, 0.003, 0.01, 0.03, 0.1]
    down = [0.1]
    for _ in range(4):
        down.append(tidy_rate(down[-1] / 10**0.5))
    assert down == up[::-1]


def test_passes_to_a_threshold_count_whole_passes_only() -> None:
    one = outcome(0.01, 9.5, 0.24)
    assert passes_to(one, 0.25) == 9.5
    assert passes_to(one, 0.8) == 1.0, "0.8 was met half way through the first pass, which is no whole pass yet"
    assert passes_to(one, 0.1) is None


def test_a_summary_says_what_came_out() -> None:
    swept = with_outcomes(
        contender(seeds=2), outcome(0.001, None, 0.3), outcome(0.003, 8.0, 0.25), outcome(0.01, None, diverged=7)
    )
    half = swept.result()
    assert (half["best_rate"], half["seeds_run"], half["sweep_done"], half["complete"]) == (0.003, 1, True, False)
    with_outcomes(swept, outcome(0.003, 9.0, 0.25, seed=1))
    whole = swept.result()
    assert (whole["seeds_run"], whole["seeds_wanted"], whole["complete"]) == (2, 2, True)
    assert (whole["target_passes"], whole["median_passes"]) == ([8.0, 9.0], 8.5)
    assert list(whole["passes_to"]) == ["0.50", "0.45", "0.40", "0.35", "0.30", "0.25"]
    assert [row["lowest_error"] for row in whole["sweep"]] == [0.3, 0.25, None]
    assert [row["diverged_at"] for row in whole["sweep"]] == [None, None, 7]


def test_a_median_is_not_given_where_a_seed_failed() -> None:
    swept = with_outcomes(contender((0.003,), seeds=2), outcome(0.003, 8.0), outcome(0.003, None, diverged=3, seed=1))
    summary = swept.result()
    assert summary["median_passes"] is None and summary["lowest_error"] == [0.3, None]
    json.dumps(summary, allow_nan=False)


def test_a_sweep_in_which_all_rates_diverge_can_be_recorded_and_goes_lower() -> None:
    swept = with_outcomes(contender(), *(outcome(rate, None, diverged=2) for rate in (0.001, 0.003, 0.01)))
    json.dumps(swept.result(), allow_nan=False)
    assert due(swept) == [(0.0003, 0)]


def test_a_sweeps_run_is_given_up_when_beaten_or_stuck(tmp_path: Path) -> None:
    unit = contender().due()[0]
    judge = race._referee(unit, tmp_path / "leader")
    assert not judge({"passes": 5.75, "pass_error": 0.9}) and judge({"passes": 6.0, "pass_error": 0.9})
    assert not judge({"passes": 19.0, "pass_error": 0.5})
    write_leader(tmp_path / "leader", 9.5)
    assert judge({"passes": 9.75, "pass_error": 0.3}) and not judge({"passes": 9.5, "pass_error": 0.3})
    other_seed = race._referee(replace(unit, seed=1), tmp_path / "leader")
    assert not other_seed({"passes": 50.0, "pass_error": 0.9}), "only the sweep is cut short"


LEADER = {"target_passes": 12.0, "passes": [7.0, 8.0, 9.0], "pass_error": [0.32, 0.30, 0.28]}


@pytest.mark.parametrize(
    ("passes", "error", "given_up"),
    [
        (7.0, 0.60, False),
        (8.0, 0.349, False),
        (8.0, 0.351, True),
        (8.5, 0.60, False),
        (12.0, 0.26, False),
        (12.25, 0.26, True),
    ],
    ids=["too early", "near enough", "five points behind", "no such point", "level", "more passes than the leader"],
)
def test_a_run_that_cannot_win_is_given_up(passes: float, error: float, given_up: bool) -> None:
    assert race.cannot_win({"passes": passes, "pass_error": error}, LEADER) is given_up


@pytest.mark.parametrize("run", recorded.load("relu-vs-tanh"))
def test_what_a_recorded_race_says_is_what_its_curves_say(run: str) -> None:
    record = recorded.load("relu-vs-tanh", run)
    plan = record["configuration"]
    settings = TrainSettings(rate=plan["rates"][0], **plan["settings"])
    again = race.Contender(run, plan["seeds_wanted"], SmallNetConfig(**plan["net"]), settings, list(plan["rates"]))
    for one in record["curves"]:
        again.keep(one)
    assert recorded.rounded(again.result()) == record["result"]
