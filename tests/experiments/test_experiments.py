"""Experiments: their plans, what is taken up from a record, and a whole tiny race."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from race_cases import TINY, contender, due, outcome, with_outcomes, workplace

from alexnet_lib import experiments, records
from alexnet_lib.errors import DataError, RecordError, SettingError
from alexnet_lib.experiments import relu_vs_tanh
from alexnet_lib.experiments.relu_vs_tanh import CONDITIONS, Plan, contenders_of, default_plans, narrowed
from alexnet_lib.experiments.running import machine, race
from alexnet_lib.experiments.running.machine import Call
from alexnet_lib.experiments.running.race import Contender
from alexnet_lib.network.nonlinearities import NONLINEARITIES
from alexnet_lib.network.small.four_layers import SmallNetConfig
from alexnet_lib.system.locks import only_one
from alexnet_lib.training.fit import TrainSettings

pytestmark = pytest.mark.usefixtures("one_thread", "no_data_named")


def write_record(of: Contender, out: Path, checksum: str = "sha256:1", **changes: Any) -> Path:
    record = {
        "experiment": relu_vs_tanh.NAME,
        "run": of.run,
        "claims": ["C01"],
        **records.circumstances("CPU", "command"),
        "configuration": of.configuration(),
        "seeds": [0],
        "seconds": sum(one["seconds"] for one in of.outcomes.values()),
        "curves": list(of.outcomes.values()),
        "result": {},
        "dataset": {"name": "CIFAR-10", "source": "x", "checksum": checksum, "images": 1, "stand_in": False},
    }
    return records.write(record | changes, out)


def take_up(of: Contender, out: Path, checksum: str) -> None:
    of.dataset = {"checksum": checksum}
    Call.of(relu_vs_tanh.NAME, ["C01"], out=out, device="cpu").take_up([of])


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
        ({"net": SmallNetConfig(nonlinearity="tanh")}, "with other settings: net.nonlinearity relu, not tanh"),
        (
            {"settings": TrainSettings(rate=1.0, passes=21, target_error=0.25)},
            "with other settings: settings.passes 20, not 21",
        ),
        ({}, "on other images: those of sha256:1, not of sha256:2"),
    ],
)
def test_a_record_of_another_race_is_refused_by_name(changed: dict, how: str, tmp_path: Path) -> None:
    write_record(with_outcomes(contender(), outcome(0.003, 9.0)), tmp_path)
    with pytest.raises(RecordError, match=rf"a\.json was recorded {how}; move it away or use another --out folder"):
        take_up(replace(contender(), **changed), tmp_path, "sha256:1" if changed else "sha256:2")


def test_the_plans_are_those_of_the_book() -> None:
    assert [plan.images for plan in default_plans(False, False)] == [10_000]
    whole, kinds, nets = default_plans(True, False)
    assert whole == Plan(("relu", "tanh"), ("80sec",), CONDITIONS, 3, 60, None)
    assert kinds.nonlinearities == tuple(NONLINEARITIES) and kinds.images == nets.images == 20_000
    assert nets.architectures == ("18pct", "deep") and nets.conditions == CONDITIONS[:2]
    (gpu,) = default_plans(True, True)
    assert (len(gpu.nonlinearities), len(gpu.architectures), gpu.seeds) == (8, 3, 10)


def test_starts_and_pixels_are_crossed_for_relu_and_tanh_only() -> None:
    runs = {one.run: one for one in contenders_of(*default_plans(True, True), 63.0)}
    assert len(runs) == 2 * 3 * 8 + 2 * 2
    assert "80sec_2012_unit_tanh" in runs and "80sec_2012_unit_elu" not in runs
    assert "deep_today_unit_elu" in runs and "deep_today_0-255_relu" not in runs
    assert sorted(runs["80sec_today_unit_relu"].rates) == [0.01, 0.03, 0.1]


def test_only_narrows_by_name() -> None:
    plan = narrowed(default_plans(True, False)[0], ["tanh", "today/unit", "deep"])
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


def test_the_stand_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="recorded on CIFAR-10 only, and none was found; get it with `python -m"):
        relu_vs_tanh.run(replace(TINY, images=200), out=tmp_path / "out", data=str(tmp_path), device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_data_root_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        relu_vs_tanh.run(TINY, out=tmp_path, data=str(tmp_path / "nowhere"), device="cpu")


def test_an_out_folder_that_cannot_be_made_is_named(tmp_path: Path, cifar_tree: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        SettingError, match=r"--out .*file/relu-vs-tanh/\.checkpoints cannot be made or written \(Not a directory"
    ):
        relu_vs_tanh.run(TINY, out=tmp_path / "file", data=str(cifar_tree), device="cpu")


def test_a_run_that_diverges_is_an_outcome_and_leaves_no_checkpoint(tmp_path: Path, cifar_tree: Path) -> None:
    fast = contenders_of(replace(TINY, passes=4), 60.0)[0]
    fast.rates = [1e30]
    place = workplace(cifar_tree, tmp_path)
    told = race.run_unit(fast.due()[0], place)
    assert told["ended"] == "diverged" and 1 < told["diverged_at"] <= 8 and told["seconds"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_whole_tiny_race_is_recorded_once(tmp_path: Path, cifar_tree: Path, capsys: pytest.CaptureFixture) -> None:
    """Real worker processes: a sweep, a second seed, a record that validates, and nothing to do the second time."""
    out, settings = tmp_path / "out", {"data": str(cifar_tree), "device": "cpu", "jobs": 2, "command": "the command"}
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


def test_a_second_process_is_told_that_one_records_there(
    tmp_path: Path, cifar_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "only_one", partial(only_one, patience=0))
    folder = tmp_path / relu_vs_tanh.NAME
    folder.mkdir()
    with only_one(folder), pytest.raises(DataError, match=f"another process is at work in {folder}"):
        relu_vs_tanh.run(TINY, out=tmp_path, data=str(cifar_tree), device="cpu", jobs=1)
    assert list(folder.rglob("*.json")) == []


def test_the_same_unit_trains_to_the_same_curve_in_any_process(tmp_path: Path, cifar_tree: Path) -> None:
    unit = contenders_of(replace(TINY, passes=1), 60.0)[0].due()[0]
    place = workplace(cifar_tree, tmp_path)
    one, again = (race.run_unit(unit, place) for _ in range(2))
    assert one["curve"] == again["curve"] and one["test_error"] == again["test_error"]
