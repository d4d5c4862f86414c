"""The experiment on decay and starting biases: its plans, a tiny one run whole, and what is read of its records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chapter_cells import Chapter
from race_cases import workplace
from small_sets import write_tree

from alexnet_lib import experiments, records
from alexnet_lib.experiments import learning_cifar10, results
from alexnet_lib.experiments.chance import mean_and_spread
from alexnet_lib.experiments.results import results_of
from alexnet_lib.experiments.running.comparison import run_trial, stages_of
from alexnet_lib.experiments.running.comparison_runs import Change, Comparison, run
from alexnet_lib.experiments.running.pool import Stopped
from alexnet_lib.experiments.running.watching import courses
from alexnet_lib.network.small.eight_layers import EightLayersConfig

CPU_RUN = "biases-10000-images-20-passes-text"
pytestmark = pytest.mark.usefixtures("one_thread", "no_data_of_the_reader")
PLANS = [(False, False), (True, False), (True, True)]


def test_the_plans_are_registered_and_sound() -> None:
    assert experiments.get("learning-cifar10") is learning_cifar10
    names = []
    for full, on_gpu in PLANS:
        for part in learning_cifar10.EXPERIMENT.plan(full, on_gpu):
            names.append(part.name)
            assert set(part.variants) <= set(learning_cifar10.LABELS) and part.seeds >= (3 if full else 1)
            assert next(iter(part.variants)) in ("decay-0", "bias-0"), "the others are compared with it"
            assert (part.terms.pilot > 0) == (len(part.terms.rates) > 1)
            if "decay" in part.name:
                decays = [entry.terms.decay for entry in part.entries()]
                assert decays == [0.0, 0.0005, 0.005] and len(part.terms.stages) == 4, "three drops"
                assert len({entry.net for entry in part.entries()}) == 1
            else:
                nets = [entry.net for entry in part.entries()]
                assert [net.bias for net in nets] == [0.0, 0.1, 1.0] and len({net.start for net in nets}) == 1
                assert nets[0].start in part.name and {entry.terms.decay for entry in part.entries()} == {0.0005}
    assert len(names) == len(set(names)) == 9, "two plans would write the same record"


def test_the_rate_is_divided_by_ten_three_times() -> None:
    entry = learning_cifar10.DECAY_LONG.entries()[1]
    trial = replace(entry, terms=replace(entry.terms, rates=(0.01,), pilot=0)).due()[0]
    assert [stage.rate for stage in stages_of(trial)] == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    assert all(stage.weight_decay == 0.0005 for stage in stages_of(trial))


def tiny_parts() -> tuple:
    """One part of each kind, with networks and terms that take a second."""
    net = EightLayersConfig(maps=(4, 4, 4, 4, 4), hidden=(8, 8))
    decay, biases = learning_cifar10.SMALL[:2]
    small_net = replace(next(iter(decay.variants.values())).net, maps=(4, 4, 4), hidden=(8, 8))
    with_decay = {name: Change(small_net, decay.variants[name].terms) for name in ("decay-0", "decay-0.005")}
    with_bias = {"bias-1": replace(net, bias=1.0)}
    terms = {"images": None, "watched": 20}
    return (
        replace(decay, variants=with_decay, terms=replace(decay.terms, stages=(1, 1, 1, 1), **terms)),
        replace(biases, variants=with_bias, terms=replace(biases.terms, stages=(1,), **terms)),
    )


def test_a_whole_tiny_experiment_is_recorded_and_goes_on(tmp_path: Path) -> None:
    tree, parts = write_tree(tmp_path / "tree", train=30, test=2), tiny_parts()
    tiny = Comparison("learning-cifar10", ("C19", "C20"), small=parts, on_cpu=parts, on_gpu=parts)
    settings = {"out": tmp_path / "out", "data": str(tree), "device": "cpu", "jobs": 2, "command": "c"}
    written = {(one := records.read(path))["run"]: one for path in run(tiny, parts, **settings)}
    assert set(written) == {f"{part.name}_{name}" for part in parts for name in part.variants}
    decays = [written[f"small-decay_{name}"]["configuration"]["terms"]["decay"] for name in parts[0].variants]
    assert decays == [0.0, 0.005]
    assert run(tiny, parts, **settings) == []
    more = run(tiny, (replace(parts[1], seeds=2),), **settings)
    assert [records.read(path)["result"]["seeds"] for path in more] == [[0, 1]]
    found = results_of("learning-cifar10", (parts[0].name,), parts[0].variants, tmp_path / "out")
    lost = {name: courses(one.record, "watched_training_loss")[0][1][-1] for name, one in found.items()}
    assert lost["decay-0"] != lost["decay-0.005"], "every decay trains another network"


def test_a_stopped_run_goes_on_in_its_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, (decay, _) = write_tree(tmp_path / "tree", train=30, test=2), tiny_parts()
    trial = decay.entries()[1].due()[0]
    place = workplace(tree, tmp_path / "runs")
    place.checkpoints.mkdir()
    whole, asked = run_trial(trial, place), []

    def third_time() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Stopped

    monkeypatch.setattr("alexnet_lib.experiments.running.watching.stop_if_asked", third_time)
    assert run_trial(trial, place)["ended"] == "stopped"
    monkeypatch.undo()
    again = run_trial(trial, place)
    assert again["curve"] == whole["curve"] and again["test_error"] == whole["test_error"]


def write(
    run: str, passes: dict[int, list[float]], final: list[float], root: Path, diverged: int | None = None
) -> None:
    curves: list[dict[str, Any]] = [
        {
            "pilot": False,
            "seed": seed,
            "diverged_at": diverged if seed == diverged else None,
            "curve": {"passes": list(range(1, len(errors) + 1)), "pass_error": errors, "loss": errors},
        }
        for seed, errors in passes.items()
    ]
    curves.append(curves[0] | {"pilot": True, "curve": {"passes": [1], "pass_error": [0.99], "loss": [9.0]}})
    seeds = list(passes)
    result = {"complete": True, "seeds": seeds, "rate": 0.003, "test_error": final, "training_error": final}
    dataset = {"name": "CIFAR-10", "source": "made", "checksum": "x", "images": 10, "stand_in": False}
    records.write(
        {
            "experiment": learning_cifar10.NAME,
            "run": run,
            "claims": ["C20"],
            "configuration": {},
            "dataset": dataset,
            "seeds": seeds,
            "seconds": 1.0,
            "curves": curves,
            "result": result,
            **records.circumstances("CPU", "c"),
        },
        root,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(f"{CPU_RUN}_bias-0", {0: [0.9, 0.8], 1: [0.9, 0.9]}, [0.5, 0.6], tmp_path)
    write(f"{CPU_RUN}_bias-1", {0: [0.9, 0.6], 1: [0.9, 0.7]}, [0.5, 0.6], tmp_path)
    return tmp_path


@pytest.fixture
def tables(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """What the chapter's two cells on records define and show, from the records under root."""
    monkeypatch.setattr(results, "results_of", partial(results_of, root=root))

    def read() -> dict[str, Any]:
        shown: list[tuple[list[list[str]], str]] = []
        given = {"STARTS": dict.fromkeys(learning_cifar10.STARTS, "weights"), "mean_and_spread": mean_and_spread}
        given["nb"] = SimpleNamespace(table=lambda rows, caption, **_: shown.append((rows, caption)))
        return Chapter("learning").run("by_start = {", "by_decay = results_of(", **given) | {"shown": shown}

    return read


def test_the_early_error_is_the_second_passs_without_the_pilot(tables: Callable) -> None:
    found = tables()
    assert learning_cifar10.early_error(found["by_start"]["text"]["bias-1"]) == {0: 0.6, 1: 0.7}
    rows, caption = found["shown"][0]
    assert rows[:3] == [
        ["weights; biases 0", "85.0 ± 7.1 (2 seeds)", "0.003"],
        ["weights; biases 0.1, Caffe's", "not yet run", "-"],
        ["weights; biases 1, the paper's", "65.0 ± 7.1 (2 seeds)", "0.003"],
    ]
    assert f"Runs: {CPU_RUN}." in caption


def test_a_run_that_diverged_has_no_early_error(root: Path, tables: Callable) -> None:
    write(f"{CPU_RUN}_bias-0", {0: [0.9, 0.8], 1: [0.9]}, [0.5, 1.0], root, diverged=1)
    assert learning_cifar10.early_error(tables()["by_start"]["text"]["bias-0"]) == {0: 0.8}


def test_the_longest_run_is_taken_as_soon_as_it_has_as_many_variants(root: Path, tables: Callable) -> None:
    write("biases-20-passes-text_bias-0", {0: [0.7, 0.6]}, [0.4], root)
    assert f"Runs: {CPU_RUN}." in tables()["shown"][0][1]
    write("biases-20-passes-text_bias-1", {0: [0.7, 0.6]}, [0.4], root)
    assert "Runs: biases-20-passes-text." in tables()["shown"][0][1]


def test_what_is_not_recorded_says_so(tables: Callable) -> None:
    found = tables()
    assert found["by_start"]["code2012"] == {} == found["by_decay"]
    rows, caption = found["shown"][1]
    assert rows[1] == ["decay 0.0005, the paper's", "not yet run", "-", "not yet run", "-"]
    assert "Run: not yet run." in caption
