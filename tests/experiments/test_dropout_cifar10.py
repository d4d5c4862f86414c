"""The experiment on dropout: its plans, what is watched in a run, what is read off it, and a whole tiny one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from chapter_cells import Chapter
from race_cases import workplace
from small_sets import separable

from alexnet_lib import experiments, records
from alexnet_lib.augment import PixelScale, centre
from alexnet_lib.data.cifar10 import load_cifar10
from alexnet_lib.data.image_set import ImageSet
from alexnet_lib.experiments import dropout_cifar10
from alexnet_lib.experiments.live import live_comparison
from alexnet_lib.experiments.results import VariantResult, results_of
from alexnet_lib.experiments.running import comparison, watching
from alexnet_lib.experiments.running.comparison import Terms, Variant, run_trial
from alexnet_lib.experiments.running.comparison_runs import Comparison, Part, run
from alexnet_lib.experiments.running.pool import Stopped
from alexnet_lib.experiments.running.watching import (
    WATCHED,
    courses,
    error_and_loss,
    passes_to_settle,
    passes_until,
)
from alexnet_lib.network.small.with_dropout import DropoutNetConfig
from alexnet_lib.training.fit import error_rate

pytestmark = pytest.mark.usefixtures("one_thread", "no_data_of_the_reader")
TINY_NET = DropoutNetConfig(maps=(4, 4, 6), hidden=(10, 10))
NETS = {"none": replace(TINY_NET, rate=0.0), "rate-0.5": TINY_NET}
TERMS = Terms(stages=(2, 1), rates=(0.003,), augmented=False, decay=0.0005, watched=20)


def test_the_plans_are_registered_and_sound() -> None:
    assert experiments.get("dropout-cifar10") is dropout_cifar10
    names = []
    for full, on_gpu in ((False, False), (True, False), (True, True)):
        for part in dropout_cifar10.EXPERIMENT.plan(full, on_gpu):
            names.append(part.name)
            assert set(part.variants) <= set(dropout_cifar10.LABELS) and part.seeds >= (3 if full else 1)
            assert next(iter(part.variants)) == "none", "the others are compared with it"
            assert (part.terms.pilot > 0) == (len(part.terms.rates) > 1)
            assert part.terms.watched and part.terms.decay == 0.0005
    assert len(names) == len(set(names)), "two plans would write the same record"
    assert dropout_cifar10.VARIANTS["rate-0.5"] == DropoutNetConfig(0.5, "2012", "after"), "the paper's"


def test_a_watched_run_is_the_one_that_nobody_watched(tree_of_300: Path, tmp_path: Path) -> None:
    watched = Variant("a", 1, "a", TINY_NET, TERMS)
    alone = Variant("a", 1, "a", TINY_NET, replace(TERMS, watched=0))
    told, plain = (run_trial(one.due()[0], workplace(tree_of_300, tmp_path)) for one in (watched, alone))
    assert set(told["curve"]) == {"passes", "pass_error", "loss", *WATCHED}
    assert all(len(values) == 3 for values in told["curve"].values())
    for key in ("passes", "pass_error", "loss"):
        assert told["curve"][key] == plain["curve"][key]
    assert told["test_error"] == plain["test_error"] == told["curve"]["watched_test_error"][-1], "all 20 are watched"
    assert "watched" not in alone.configuration()["terms"], "records made before still fit"


def test_a_stopped_run_keeps_what_was_watched_and_drops_the_same_units(
    tree_of_300: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Variant("a", 1, "a", TINY_NET, replace(TERMS, stages=(2, 2))).due()[0]
    whole = run_trial(trial, workplace(tree_of_300, tmp_path))
    asked = []

    def fourth_time() -> None:
        asked.append(1)
        if len(asked) == 4:
            raise Stopped

    monkeypatch.setattr(watching, "stop_if_asked", fourth_time)
    assert run_trial(trial, workplace(tree_of_300, tmp_path))["ended"] == "stopped"
    monkeypatch.undo()
    resumed = run_trial(trial, workplace(tree_of_300, tmp_path))
    assert resumed["curve"] == whole["curve"] and resumed["test_error"] == whole["test_error"]
    assert list(tmp_path.iterdir()) == []


def test_pilots_are_not_watched(tree_of_300: Path, tmp_path: Path) -> None:
    one = Variant("a", 1, "a", TINY_NET, replace(TERMS, rates=(0.003, 0.01), pilot=1))
    assert set(run_trial(one.due()[0], workplace(tree_of_300, tmp_path))["curve"]) == {"passes", "pass_error", "loss"}


def test_errors_and_losses_are_those_of_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = separable(60, classes=10, size=24)
    some = ImageSet(images, labels, tuple("abcdefghij"), "made", "train", "made", "sha256:0")
    scale, net = PixelScale.fit(images), TINY_NET.build(0)
    logits = net.eval()(scale(images))
    monkeypatch.setattr(watching, "EVALUATION_BATCH", 7)
    error, loss = error_and_loss(net.train(), some, scale)
    assert net.training and error == pytest.approx(error_rate(net, images, labels, scale))
    assert loss == pytest.approx(float(F.cross_entropy(logits, labels).detach()), rel=1e-5)


def test_watched_images_are_of_all_classes_and_centred() -> None:
    images, labels = separable(200, classes=10, size=32)
    order = labels.argsort()
    sorted_set = ImageSet(images[order], labels[order], tuple("abcdefghij"), "made", "train", "made", "sha256:0")
    some = watching._centres(sorted_set, 50, 24)
    assert some.labels.bincount().tolist() == [5] * 10 and some.images.shape == (50, 3, 24, 24)
    whole = watching._centres(sorted_set, 1000, 24)
    assert torch.equal(whole.images, centre(images[order], 24, 24))


def test_passes_are_read_between_points() -> None:
    course = [1.0, 2, 3, 4], [0.9, 0.5, 0.6, 0.2]
    assert passes_until(course, 0.95) == 1.0 and passes_until(course, 0.9) == 1.0
    assert passes_until(course, 0.7) == pytest.approx(1.5) and passes_until(course, 0.5) == pytest.approx(2)
    assert passes_until(course, 0.4) == pytest.approx(3.5) and passes_until(course, 0.1) is None
    assert passes_to_settle(course, 0.1) == pytest.approx(3.75) and passes_to_settle(course, 1) == 1.0


def test_courses_leave_out_pilots_and_what_diverged() -> None:
    run = {"pilot": False, "diverged_at": None, "seed": 0, "curve": {"passes": [1.0], "watched_test_error": [0.5]}}
    record = {"curves": [run, run | {"pilot": True, "seed": 1}, run | {"diverged_at": 7, "seed": 2}]}
    assert courses(record, "watched_test_error") == {0: ([1.0], [0.5])}


def test_a_whole_tiny_experiment_is_recorded_and_goes_on(tmp_path: Path, tree_of_300: Path) -> None:
    part = Part("tiny", TERMS, NETS, seeds=1)
    small = Comparison("dropout-cifar10", ("C16", "C17"), small=(part,), on_cpu=(part,), on_gpu=(part,))
    settings = {"out": tmp_path / "out", "data": str(tree_of_300), "device": "cpu", "jobs": 2, "command": "c"}
    written = run(small, (part,), **settings)
    assert sorted(path.name for path in written) == ["tiny_none.json", "tiny_rate-0.5.json"]
    assert run(small, (part,), **settings) == []
    more = run(small, (replace(part, seeds=2),), **settings)
    assert [records.read(path)["result"]["seeds"] for path in more] == [[0, 1]] * 2
    found = results_of("dropout-cifar10", ("tiny",), NETS, tmp_path / "out")
    course = courses(found["rate-0.5"].record, "watched_training_loss")
    assert list(course) == [0, 1] and course[0][0] == [1.0, 2.0, 3.0] and all(v > 0 for v in course[1][1])
    assert found["none"].record["configuration"]["terms"]["watched"] == 20


def test_a_live_comparison_watches_too(tree_of_300: Path) -> None:
    train, test = (load_cifar10(split, str(tree_of_300)) for split in ("train", "test"))
    runs = live_comparison(train, test, NETS, rates=0.003, passes=2, terms=dict.fromkeys(NETS, TERMS))
    for (one,) in runs.values():
        assert [point["passes"] for point in one.points] == [1.0, 2.0] and set(WATCHED) < set(one.points[0])
        assert one.points[-1]["watched_test_error"] == one.test_error


def test_what_is_asked_at_each_point_is_a_stop_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(comparison, "stop_if_asked", lambda: asked.append(1))
    trial = Variant("a", 1, "a", TINY_NET, replace(TERMS, watched=0)).due()[0]
    comparison.on_point(trial, TINY_NET.build(0), None, None, None, "cpu")({})
    assert asked == [1]


def record(losses: list[list[float]], errors: list[list[float]]) -> VariantResult:
    curves = [
        {
            "pilot": False,
            "diverged_at": None,
            "seed": seed,
            "curve": {"passes": [1.0, 2.0, 3.0], "watched_training_loss": loss, "watched_test_error": error},
        }
        for seed, (loss, error) in enumerate(zip(losses, errors, strict=True))
    ]
    return VariantResult({"curves": curves})


def test_passes_are_read_from_records_and_compared_seed_by_seed_where_both_came_there() -> None:
    found: dict[str, Any] = {
        "none": record([[1.0, 0.5, 0.1], [0.5, 0.2, 0.1]], [[0.5, 0.4, 0.6], [0.4, 0.5, 0.5]]),
        "rate-0.5": record([[2.0, 1.0, 0.5], [2.0, 1.0, 0.9]], [[0.9, 0.5, 0.3], [0.9, 0.5, 0.3]]),
    }
    to_level, to_settle = dropout_cifar10.recorded_passes(found)
    assert to_level == {"none": {0: 2.0, 1: 1.0}, "rate-0.5": {0: 3.0, 1: None}}
    assert to_settle["none"] == {0: pytest.approx(1.9), 1: 1.0} and to_settle["rate-0.5"][0] == pytest.approx(2.95)
    given: dict[str, Any] = {"recorded": {"5,000 images": found}, "experiment": dropout_cifar10, "keys_of": list}
    given |= {"nb": SimpleNamespace(table=lambda *_, **__: None), "live": {}, "from_live": "live"}
    given["courses"] = lambda _: {"no dropout": [], "dropout 0.5": []}
    made = Chapter("dropout").run("def factors", "experiment.recorded_passes", **given)
    assert made["rows"][1][1:] == ["1.5", "1.6, 3.0"] and made["rows"][2][1:] == ["not yet run"] * 2
    factors = made["factors"]
    took = {"none": {0: 3.0, 1: 3.0, 2: 3.0, 7: 1.0}, "rate-0.5": {0: 6.0, 1: 9.0, 2: None, 5: 1.0}}
    assert factors(took, "rate-0.5", "none") == "2.0, 3.0"
    assert factors({}, "rate-0.5", "none") == "not yet run"
    assert factors({"none": {0: None}, "rate-0.5": {0: 1.0}}, "rate-0.5", "none") == "not reached"
    assert dropout_cifar10.recorded_passes({}) == ({}, {})


def test_passes_are_compared_by_their_logarithms_and_those_not_reached_left_out() -> None:
    assert dropout_cifar10.log_passes({0: 1.0, 1: None, 2: math.e}).values == pytest.approx((0.0, 1.0))
    assert dropout_cifar10.log_passes({0: None}) is None and dropout_cifar10.log_passes({}) is None
