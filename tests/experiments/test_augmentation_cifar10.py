"""The experiment on crops and reflections: its plans, errors with several views, and a whole tiny one."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from race_cases import workplace

from alexnet_lib import experiments, records
from alexnet_lib.augment import PixelScale
from alexnet_lib.augment.view_sets import ten_views
from alexnet_lib.data.cifar10 import load_cifar10
from alexnet_lib.experiments import augmentation_cifar10
from alexnet_lib.experiments.augmentation_cifar10 import VARIANTS, images_worth
from alexnet_lib.experiments.results import results_of
from alexnet_lib.experiments.running import comparison
from alexnet_lib.experiments.running.comparison import Terms, Variant, run_trial
from alexnet_lib.experiments.running.comparison_runs import Change, Comparison, Part, run, told_of, views_measured
from alexnet_lib.measures.crops import IMAGES_AT_ONCE, views_error
from alexnet_lib.network.small.locally_connected import ConvLocalConfig

pytestmark = pytest.mark.usefixtures("one_thread", "no_data_of_the_reader")
TINY_NET = ConvLocalConfig(maps=6, local_maps=4)
TERMS = Terms(stages=(1, 1), rates=(0.003,), views=("centre, reflected", "ten"))
SIZE = TINY_NET.image_size


def test_the_plans_are_registered_and_sound() -> None:
    assert experiments.get("augmentation-cifar10") is augmentation_cifar10
    names = []
    for full, on_gpu in ((False, False), (True, False), (True, True)):
        for part in augmentation_cifar10.EXPERIMENT.plan(full, on_gpu):
            names.append(part.name)
            assert part.seeds >= (2 if full else 1)
            for entry in part.entries():
                assert "ten" in entry.terms.views and entry.net == augmentation_cifar10.NET
                assert (entry.terms.pilot > 0) == (len(entry.terms.rates) > 1)
    assert len(names) == len(set(names)), "two plans would write the same record"


def test_variants_differ_in_crops_and_reflections_alone() -> None:
    entries = Part("p", TERMS, VARIANTS, 1).entries()
    assert [entry.terms.augmented for entry in entries] == [True, "crops", "reflections", False]
    assert {replace(entry.terms, augmented=True) for entry in entries} == {replace(TERMS, augmented=True)}


@pytest.mark.parametrize("short", [True, False])
def test_larger_sets_are_trained_for_as_many_steps(short: bool) -> None:
    few, more = (
        (augmentation_cifar10.FEW_SHORT, augmentation_cifar10.MORE_SHORT)
        if short
        else (augmentation_cifar10.FEW_LONG, augmentation_cifar10.MORE_LONG)
    )
    for entry in more.entries():
        images = entry.terms.images or 50_000
        assert f"_{images}" in entry.run and entry.terms.augmented is False
        for own, of_few in zip(entry.terms.stages, few.terms.stages, strict=True):
            assert own * images == pytest.approx(of_few * few.terms.images)
        assert entry.terms.pilot * images == pytest.approx(few.terms.pilot * few.terms.images)


def test_the_plan_is_told_with_its_ranges() -> None:
    more = augmentation_cifar10.MORE_SHORT
    counts = dict(zip((entry.run for entry in more.entries()), (10_000, 20_000, 50_000), strict=True))
    said = told_of(more, counts)
    assert "3 seeds of 4 to 20 passes; 10,000 to 50,000 images (centres, not augmented)" in said
    four = told_of(Part("p", replace(TERMS, rates=(0.1, 0.2), pilot=2), VARIANTS, 1), dict.fromkeys(VARIANTS, 500))
    assert "4 variants, 1 seeds of 2 passes, rate chosen of 2 by 2 passes each; 500 images (random crops and" in four
    assert four.endswith("(random crops and reflections / random crops / random reflections / centres, not augmented)")


def test_the_error_with_ten_views_is_that_of_their_mean_softmax(
    monkeypatch: pytest.MonkeyPatch, tree_of_300: Path
) -> None:
    test = load_cifar10("test", tree_of_300)
    net, scale = TINY_NET.build(0).eval(), PixelScale.fit(test.images)
    with torch.no_grad():
        for weight in net.parameters():  # the starting weights are so small that all views get the same answer
            weight.mul_(20)
        mean = torch.stack([net(scale(ten_views(test.images, SIZE)[:, view])).softmax(1) for view in range(10)]).mean(0)
    wanted = float((mean.argmax(1) != test.labels).double().mean())
    monkeypatch.setattr("alexnet_lib.measures.crops.IMAGES_AT_ONCE", 7)
    assert IMAGES_AT_ONCE != 7
    assert views_error(net, test.images, test.labels, SIZE, "ten", scale) == pytest.approx(wanted)


def test_a_trial_tells_errors_by_views_and_trains_as_one_without_them(tree_of_300: Path, tmp_path: Path) -> None:
    with_views, without = (Variant("a", 1, "a", TINY_NET, replace(TERMS, views=v)) for v in (TERMS.views, ()))
    told, plain = (run_trial(one.due()[0], workplace(tree_of_300, tmp_path)) for one in (with_views, without))
    assert set(told["views_error"]) == {"centre, reflected", "ten"} and "views_error" not in plain
    assert all(0 <= error <= 1 for error in told["views_error"].values())
    assert told["curve"] == plain["curve"] and told["test_error"] == plain["test_error"]
    assert "views" not in without.configuration()["terms"], "records made before still fit"
    assert views_measured(with_views) == 12 * comparison.MOST_MEASURED and views_measured(without) == 0


def test_pilots_and_diverged_runs_need_no_views(tree_of_300: Path, tmp_path: Path) -> None:
    one = Variant("a", 1, "a", TINY_NET, replace(TERMS, rates=(0.001, 0.003), pilot=1))
    assert "views_error" not in run_trial(one.due()[0], workplace(tree_of_300, tmp_path))
    wild = Variant("a", 1, "a", TINY_NET, replace(TERMS, rates=(1e30,)))
    told = run_trial(wild.due()[0], workplace(tree_of_300, tmp_path))
    assert told["ended"] == "diverged" and told["views_error"] == {"centre, reflected": 1.0, "ten": 1.0}


def test_a_whole_tiny_one_is_recorded_once(tree_of_300: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    variants = {name: Change(TINY_NET, change.terms) for name, change in VARIANTS.items()}
    variants["150"] = Change(TINY_NET, {"augmented": False, "images": 150, "stages": (2, 2)})
    part = Part("tiny", TERMS, variants, seeds=2)
    plan = Comparison("augmentation-cifar10", ("C12",), (part,), (part,), (part,))
    asked = {"out": tmp_path, "data": str(tree_of_300), "device": "cpu", "jobs": 2, "command": "the command"}
    assert len(run(plan, (part,), **asked)) == 5
    found = results_of("augmentation-cifar10", ["tiny"], variants, tmp_path)
    assert set(found) == set(variants)
    for result in found.values():
        assert set(result.views_error("ten")) == {0, 1} and result.views_error("five") == {}
    record = records.load("augmentation-cifar10", "tiny_150", tmp_path)
    assert record["dataset"]["images"] == 150 and record["configuration"]["terms"]["views"] == list(TERMS.views)
    assert "5 variants, 2 seeds of 2 to 4 passes; 150 to 300 images" in capsys.readouterr().out
    assert run(plan, (part,), **asked) == []


def test_the_command_runs_the_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet_lib.experiments.running.comparison_runs.run", lambda comparison, parts, **asked: parts)
    args = argparse.Namespace(full=False, device="cpu", only="neither", seeds=2, out=None, data=None, jobs=None)
    (part,) = augmentation_cifar10.run_from(args)
    assert (part.name, set(part.variants), part.seeds) == ("small", {"neither"}, 2)


def test_what_augmented_images_are_worth_is_read_between_sizes() -> None:
    errors = {5_000: 0.5, 10_000: 0.4, 20_000: 0.3}
    assert images_worth(errors, 0.4) == pytest.approx(10_000)
    assert images_worth(errors, 0.45) == pytest.approx(5_000 * math.sqrt(2))
    assert images_worth(errors, 0.325) == pytest.approx(10_000 * 2**0.75)
    assert images_worth(errors, 0.2) is None and images_worth(errors, 0.6) is None
