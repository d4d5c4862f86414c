"""Races: which rate wins, what is taken up from a record, and a whole tiny race with real processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_sets import write_tree

from alexnet_lib import experiments, records
from alexnet_lib.errors import DataError, RecordError, SettingError, TrainingError
from alexnet_lib.experiments import one_run, relu_vs_tanh
from alexnet_lib.experiments.pool import default_jobs, run_race, settings_of
from alexnet_lib.experiments.race import Contender, lowest_error, passes_to, summarise, tidy_rate
from alexnet_lib.experiments.relu_vs_tanh import CONDITIONS, Plan, contenders_of, default_plan, narrowed, take_up
from alexnet_lib.small_nets import NONLINEARITIES, SmallNetConfig
from alexnet_lib.train import TrainSettings

TINY = Plan(("relu",), ("18pct",), CONDITIONS[:1], seeds=2, passes=2, images=None)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.delenv("ALEXNET_DATA", raising=False)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Part of CIFAR-10 by its shape: 260 training and 20 test images of its ten classes, as PNG files."""
    return write_tree(tmp_path_factory.mktemp("tree"), train=26, test=2)


@pytest.fixture(scope="module")
def small_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """140 training images: one step a pass, and 20 passes a run."""
    return write_tree(tmp_path_factory.mktemp("tree"), train=14, test=1)


def contender(rates: tuple[float, ...] = (0.003, 0.01, 0.001), seeds: int = 1) -> Contender:
    return Contender("a", SmallNetConfig(), TrainSettings(rate=1.0, passes=20, target_error=0.25), list(rates), seeds)


def outcome(
    rate: float, reached: float | None, lowest: float = 0.3, seed: int = 0, ended: str = "", diverged: int | None = None
) -> dict[str, Any]:
    ended = ended or ("cap" if reached is None else "target")
    curve = {"passes": [0.5, 1.0, reached or 20.0], "pass_error": [0.8, 0.6, lowest], "loss": [2.0, 1.5, 1.0]}
    if diverged is not None:
        ended, curve = "diverged", {"passes": [], "pass_error": [], "loss": []}
    return {
        "rate": rate, "seed": seed, "ended": ended, "target_passes": reached, "test_error": 0.3, "seconds": 1.0,
        "diverged_at": diverged, "threads": 1, "curve": curve,
    }  # fmt: skip


def with_outcomes(of: Contender, *outcomes: dict[str, Any]) -> Contender:
    for one in outcomes:
        of.outcomes[one["rate"], one["seed"]] = one
    return of


def due(of: Contender) -> list[tuple[float, int]]:
    return [(unit.settings.rate, unit.seed) for unit in of.due()]


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
    half = summarise(swept, 0.25)
    assert (half["best_rate"], half["seeds_run"], half["sweep_done"], half["complete"]) == (0.003, 1, True, False)
    with_outcomes(swept, outcome(0.003, 9.0, 0.25, seed=1))
    whole = summarise(swept, 0.25)
    assert (whole["seeds_run"], whole["seeds_wanted"], whole["complete"]) == (2, 2, True)
    assert (whole["target_passes"], whole["median_passes"]) == ([8.0, 9.0], 8.5)
    assert list(whole["passes_to"]) == ["0.50", "0.45", "0.40", "0.35", "0.30", "0.25"]
    assert [row["lowest_error"] for row in whole["sweep"]] == [0.3, 0.25, None]
    assert [row["diverged_at"] for row in whole["sweep"]] == [None, None, 7]


def test_a_median_is_not_given_where_a_seed_failed() -> None:
    swept = with_outcomes(contender((0.003,), seeds=2), outcome(0.003, 8.0), outcome(0.003, None, diverged=3, seed=1))
    summary = summarise(swept, 0.25)
    assert summary["median_passes"] is None and summary["lowest_error"] == [0.3, None]
    json.dumps(summary, allow_nan=False)


def test_a_sweep_in_which_all_rates_diverge_can_be_recorded_and_goes_lower() -> None:
    swept = with_outcomes(contender(), *(outcome(rate, None, diverged=2) for rate in (0.001, 0.003, 0.01)))
    json.dumps(summarise(swept, 0.25), allow_nan=False)
    assert due(swept) == [(0.0003, 0)]


def write_record(of: Contender, out: Path, checksum: str = "sha256:1", **changes: Any) -> Path:
    record = {
        "experiment": relu_vs_tanh.NAME, "run": of.run, "claims": ["C01"], **records.circumstances("CPU", "command"),
        "configuration": settings_of(of), "seeds": [0], "seconds": 1.0,
        "curves": list(of.outcomes.values()), "result": {},
        "dataset": {"name": "CIFAR-10", "source": "x", "checksum": checksum, "images": 1, "stand_in": False},
    }  # fmt: skip
    return records.write(record | changes, out)


def test_a_record_is_taken_up_with_its_extensions(tmp_path: Path) -> None:
    recorded = with_outcomes(contender(), *(outcome(rate, 9.0 - rate) for rate in (0.001, 0.003, 0.01, 0.03)))
    write_record(recorded, tmp_path)
    fresh = contender()
    take_up(fresh, tmp_path, "sha256:1")
    assert fresh.outcomes == recorded.outcomes
    assert (fresh.extensions, sorted(fresh.rates)) == (1, [0.001, 0.003, 0.01, 0.03])
    assert due(fresh) == [(0.1, 0)]


def test_a_record_keeps_fitting_although_it_keeps_six_digits_only(tmp_path: Path) -> None:
    long = replace(contender(), net=SmallNetConfig(deviation=123.45678))
    write_record(with_outcomes(long, outcome(0.003, 9.0)), tmp_path)
    take_up(long, tmp_path, "sha256:1")


@pytest.mark.parametrize(
    "changed, how",
    [
        ({"net": SmallNetConfig(nonlinearity="tanh")}, "with other settings"),
        ({"settings": TrainSettings(rate=1.0, passes=21, target_error=0.25)}, "with other settings"),
        ({}, "on other images"),
    ],
)
def test_a_record_of_another_race_is_refused_by_name(changed: dict, how: str, tmp_path: Path) -> None:
    write_record(with_outcomes(contender(), outcome(0.003, 9.0)), tmp_path)
    with pytest.raises(RecordError, match=rf"a\.json was recorded {how}; move it away or use another --out folder"):
        take_up(replace(contender(), **changed), tmp_path, "sha256:1" if changed else "sha256:2")


def test_the_plans_are_those_of_the_book() -> None:
    assert default_plan(False, False).images == 10_000
    assert default_plan(True, False) == Plan(("relu", "tanh"), ("80sec",), CONDITIONS, 3, 60, None)
    gpu = default_plan(True, True)
    assert (len(gpu.nonlinearities), len(gpu.architectures), gpu.seeds) == (8, 3, 10)


def test_starts_and_pixels_are_crossed_for_relu_and_tanh_only() -> None:
    runs = {one.run: one for one in contenders_of(default_plan(True, True), 63.0)}
    assert len(runs) == 2 * 3 * 8 + 2 * 2
    assert "80sec_2012_unit_tanh" in runs and "80sec_2012_unit_elu" not in runs
    assert "deep_today_unit_elu" in runs and "deep_today_0-255_relu" not in runs
    assert sorted(runs["80sec_today_unit_relu"].rates) == [0.01, 0.03, 0.1]


def test_only_narrows_by_name() -> None:
    plan = narrowed(default_plan(True, False), ["tanh", "today/unit", "deep"])
    assert (plan.nonlinearities, plan.conditions, plan.architectures) == (("tanh",), (("today", "unit"),), ("deep",))
    assert narrowed(plan, ["relu"]).conditions == plan.conditions, "a kind that is not named stays"
    assert narrowed(plan, list(NONLINEARITIES)).nonlinearities == tuple(NONLINEARITIES)


@pytest.mark.parametrize("name", ["nonsense", "", "2012"])
def test_only_names_what_it_does_not_know_and_what_it_does(name: str) -> None:
    with pytest.raises(SettingError, match=f"--only: '{name}' is not known; use relu, .*80sec, .*2012/0-255"):
        narrowed(TINY, ["relu", name])


def test_an_experiment_is_found_by_name_and_the_nearest_suggested() -> None:
    assert experiments.get("relu-vs-tanh") is relu_vs_tanh
    assert "relu-vs-tanh" in experiments.names()
    with pytest.raises(SettingError, match="no experiment called 'relu_vs_tan'; did you mean relu-vs-tanh"):
        experiments.get("relu_vs_tan")
    with pytest.raises(SettingError, match="no experiment called 'zzz'; `python -m alexnet_lib experiment list` names"):
        experiments.get("zzz")


def test_jobs_leave_room_on_a_machine_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert (default_jobs("cpu"), default_jobs("cuda")) == (16, 12)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert (default_jobs("cpu"), default_jobs("cuda")) == (2, 1)


def write_leader(path: Path, target_passes: float) -> None:
    path.write_text(json.dumps({"target_passes": target_passes, "passes": [], "pass_error": []}))


def test_a_sweeps_run_is_given_up_when_beaten_or_stuck(tmp_path: Path) -> None:
    unit = contender().due()[0]
    judge = one_run._referee(unit, tmp_path / "leader")
    assert not judge({"passes": 5.75, "pass_error": 0.9}) and judge({"passes": 6.0, "pass_error": 0.9})
    assert not judge({"passes": 19.0, "pass_error": 0.5})
    write_leader(tmp_path / "leader", 9.5)
    assert judge({"passes": 9.75, "pass_error": 0.3}) and not judge({"passes": 9.5, "pass_error": 0.3})
    other_seed = one_run._referee(replace(unit, seed=1), tmp_path / "leader")
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
    assert one_run.cannot_win({"passes": passes, "pass_error": error}, LEADER) is given_up


def test_the_stand_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="recorded on CIFAR-10 only, and none was found; get it with `python -m"):
        relu_vs_tanh.run(replace(TINY, images=200), out=tmp_path / "out", data=str(tmp_path), device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_data_root_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        relu_vs_tanh.run(TINY, out=tmp_path, data=str(tmp_path / "nowhere"), device="cpu")


def test_an_out_folder_that_cannot_be_made_is_named(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        SettingError, match=r"--out: .*file/relu-vs-tanh/\.checkpoints cannot be made \(Not a directory"
    ):
        relu_vs_tanh.run(TINY, out=tmp_path / "file", data=str(tree), device="cpu")


def test_a_run_that_diverges_is_an_outcome_and_leaves_no_checkpoint(tmp_path: Path, tree: Path) -> None:
    fast = contenders_of(replace(TINY, passes=4), 60.0)[0]
    fast.rates = [1e30]
    place = one_run.Workplace(str(tree), None, "cpu", 1, tmp_path)
    told = one_run.run_unit(fast.due()[0], place)
    assert told["ended"] == "diverged" and 1 < told["diverged_at"] <= 8 and told["seconds"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_whole_tiny_race_is_recorded_once(tmp_path: Path, tree: Path, capsys: pytest.CaptureFixture) -> None:
    """Real worker processes: a sweep, a second seed, a record that validates, and nothing to do the second time."""
    out, settings = tmp_path / "out", {"data": str(tree), "device": "cpu", "jobs": 2, "command": "the command"}
    (written,) = relu_vs_tanh.run(TINY, out=out, **settings)
    record = records.read(written)
    assert written == out / "relu-vs-tanh" / "18pct_2012_0-255_relu.json"
    assert record["result"]["complete"] and record["result"]["seeds_run"] == 2 and record["seeds"] == [0, 1]
    assert len(record["curves"]) >= 4 and record["command"] == "the command"
    assert record["dataset"]["name"] == "part of CIFAR-10" and record["dataset"]["images"] == 260
    assert record["dataset"]["test_images"] == 20
    best = [one for one in record["curves"] if one["rate"] == record["result"]["best_rate"]]
    assert [one["seed"] for one in best] == [0, 1] and all(0 <= one["test_error"] <= 1 for one in best)
    assert best[0]["curve"]["passes"] == [0.5, 1.0, 1.5, 2.0], "two steps a pass"
    assert [path.name for path in written.parent.iterdir()] == [written.name], "checkpoints were left"
    said = capsys.readouterr().out
    assert "part of CIFAR-10, 260 training images" in said and "1 of 1 contenders have runs left" in said

    before = written.stat().st_mtime_ns
    assert relu_vs_tanh.run(TINY, out=out, **settings) == []
    assert written.stat().st_mtime_ns == before
    assert f"all of it is recorded in {out / 'relu-vs-tanh'}" in capsys.readouterr().out


def test_the_same_unit_trains_to_the_same_curve_in_any_process(tmp_path: Path, tree: Path) -> None:
    unit = contenders_of(replace(TINY, passes=1), 60.0)[0].due()[0]
    place = one_run.Workplace(str(tree), None, "cpu", 1, tmp_path)
    one, again = (one_run.run_unit(unit, place) for _ in range(2))
    assert one["curve"] == again["curve"] and one["test_error"] == again["test_error"]


def test_an_error_in_a_process_is_raised_and_the_finished_runs_are_kept(tmp_path: Path, tree: Path) -> None:
    """The second rate finds a damaged checkpoint in its way; the first has been recorded by then."""
    one = contenders_of(replace(TINY, seeds=1, passes=1), 60.0)[0]
    one.rates = [0.003, 0.01]
    place, kept = one_run.Workplace(str(tree), None, "cpu", 1, tmp_path), []
    damaged = tmp_path / f"{one.due()[1].label.replace(' ', '_')}.pt"
    damaged.write_text("damaged")
    # Left by another race: it must not judge this one.
    write_leader(tmp_path / f"{one.run}.leader", 0.001)
    with pytest.raises(TrainingError, match=rf"{damaged.name} cannot be read"):
        run_race([one], place, 1, lambda contender: kept.append(list(contender.outcomes)))
    assert kept == [[(0.003, 0)]]
    assert one.outcomes[0.003, 0]["ended"] == "cap"


def test_a_process_that_is_killed_is_told_from_a_run_that_failed(tmp_path: Path, small_tree: Path) -> None:
    one = contenders_of(replace(TINY, seeds=1, passes=1), 60.0)[0]

    def kill(_: Contender) -> None:
        for child in multiprocessing.active_children():
            child.kill()
            child.join()

    with pytest.raises(TrainingError, match="ended from outside, perhaps for want of memory; try fewer --jobs"):
        run_race([one], one_run.Workplace(str(small_tree), None, "cpu", 1, tmp_path), 1, kill)
    assert len(one.outcomes) == 1


class Race:
    """`experiment relu-vs-tanh` in a process of its own, whose group is a terminal's."""

    def __init__(self, tree: Path, out: Path):
        command = [sys.executable, "-u", "-m", "alexnet_lib", "experiment", "relu-vs-tanh", "--only", "relu,18pct"]
        command += ["--device", "cpu", "--jobs", "1", "--data", str(tree), "--out", str(out)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def read_until(self, text: str) -> None:
        for line in self.process.stdout:
            if text in line:
                return
        raise AssertionError(f"never said {text!r}: {self.process.stderr.read()}")

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err

    def processes(self) -> list[int]:
        """Those of the group that are still there."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(group) == self.process.pid and state != "Z":
                found.append(int(folder.name))
        return found


@pytest.fixture
def start_race(tmp_path: Path, small_tree: Path) -> Iterator[Callable[[], Race]]:
    """Starts races on the small tree, writing to tmp_path; whatever a failed test leaves of them is ended."""
    started = []

    def start() -> Race:
        started.append(Race(small_tree, tmp_path))
        return started[-1]

    yield start
    for race in started:
        if race.processes():
            os.killpg(race.process.pid, signal.SIGKILL)
        race.process.communicate()


def wait_for(condition, seconds: float = 60) -> Any:  # noqa: ANN001
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return value


def test_ctrl_c_as_the_processes_start_ends_cleanly(start_race: Callable[[], Race]) -> None:
    """A terminal sends Ctrl-C to the whole group: to workers, too, that are still importing."""
    race = start_race()
    race.read_until("images/s measured")
    wait_for(lambda: len(race.processes()) > 2)  # ours, the tracker of shared things, and a worker
    os.killpg(race.process.pid, signal.SIGINT)
    code, out, err = race.ended()
    assert code == 130 and "the same command goes on from here" in out
    assert "stopped by Ctrl-C" in err and "Traceback" not in err, err
    assert wait_for(lambda: not race.processes())


def test_a_race_that_was_stopped_goes_on_and_leaves_nothing_running_when_killed(
    tmp_path: Path, start_race: Callable[[], Race]
) -> None:
    """Ctrl-C to the first process alone; then the same command, ended by a hard kill of its first process."""
    path = tmp_path / "relu-vs-tanh" / "18pct_2012_0-255_relu_10000-images.json"
    race = start_race()
    wait_for(path.exists)
    race.process.send_signal(signal.SIGINT)
    code, _, err = race.ended()
    assert code == 130 and "Traceback" not in err, err
    finished = records.read(path)["curves"]
    assert finished and not records.read(path)["result"]["complete"]

    race = start_race()
    wait_for(lambda: len(records.read(path)["curves"]) > len(finished))
    race.process.kill()
    assert wait_for(lambda: not race.processes()), "training went on without its race"
    rates = [one["rate"] for one in records.read(path)["curves"]]
    assert [one for one in records.read(path)["curves"] if one in finished] == finished, "a finished run was run again"
    assert len(rates) == len(set(rates))
