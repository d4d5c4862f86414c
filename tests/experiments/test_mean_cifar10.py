"""The experiment on means: its plans, that variants differ in the mean alone, and a whole tiny one, gone on with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_sets import separable, write_tree

from alexnet_lib import experiments, records
from alexnet_lib.experiments import mean_cifar10
from alexnet_lib.experiments.results import results_of, rows_of
from alexnet_lib.experiments.running.comparison_runs import Change, Comparison, Part, run
from alexnet_lib.experiments.running.pixels import SCALES, fitted_scale
from alexnet_lib.measures.images import mean_image
from alexnet_lib.network.small.locally_connected import ConvLocalConfig

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_plans_are_registered_and_sound() -> None:
    assert experiments.get("mean-cifar10") is mean_cifar10
    names = []
    for full, on_gpu in ((False, False), (True, False), (True, True)):
        for part in mean_cifar10.EXPERIMENT.plan(full, on_gpu):
            names.append(part.name)
            assert part.seeds >= (3 if full else 1) and list(part.variants) == list(mean_cifar10.LABELS)
            assert (part.terms.pilot > 0) == (len(part.terms.rates) > 1)
    assert len(names) == len(set(names)), "two plans would write the same record"


def test_variants_differ_in_the_pixels_alone() -> None:
    entries = mean_cifar10.LONG.entries()
    assert [entry.terms.pixels for entry in entries] == list(mean_cifar10.PIXELS.values())
    for entry in entries:
        assert entry.net == mean_cifar10.NET
        assert replace(entry.terms, pixels="mean image") == mean_cifar10.LONG.terms


@pytest.mark.parametrize(("kind", "name"), mean_cifar10.PIXELS.items())
def test_each_scale_takes_off_its_mean_and_divides_by_nothing(kind: str, name: str) -> None:
    images, _ = separable(64, size=12)
    assert name in SCALES
    scale = fitted_scale(name, images)
    wanted = images.float() - mean_image(images, kind)
    assert scale.deviation == 1 and torch.equal(scale(images), wanted)


def test_a_whole_tiny_one_is_recorded_and_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALEXNET_DATA", raising=False)
    tree = write_tree(tmp_path / "tree", train=30, test=2)
    net = ConvLocalConfig(maps=6, local_maps=4)
    few = {name: mean_cifar10.LABELS[name] for name in ("pixel", "none")}
    variants = {name: Change(net, change.terms) for name, change in mean_cifar10.VARIANTS.items() if name in few}
    part = Part("tiny", replace(mean_cifar10.SMALL.terms, images=None, stages=(0.5,)), variants, seeds=1)
    plan = Comparison("mean-cifar10", ("C31",), small=(part,), on_cpu=(part,), on_gpu=(part,))
    settings = {"out": tmp_path / "out", "data": str(tree), "device": "cpu", "jobs": 2, "command": "the command"}
    written = run(plan, (part,), **settings)
    assert sorted(path.stem for path in written) == ["tiny_none", "tiny_pixel"]
    kept = {path: path.read_bytes() for path in written}
    assert set(run(plan, (replace(part, seeds=2),), **settings)) == set(written)
    assert run(plan, (replace(part, seeds=2),), **settings) == []
    for path, before in kept.items():
        record = records.read(path)
        assert record["claims"] == ["C31"] and record["result"]["seeds"] == [0, 1] and path.read_bytes() != before
        terms = record["configuration"]["terms"]
        assert terms.get("pixels", "mean image") == mean_cifar10.PIXELS[path.stem.removeprefix("tiny_")]
    found = results_of("mean-cifar10", ["tiny"], few, tmp_path / "out")
    rows = rows_of(found, few)
    assert [row[0] for row in rows] == list(few.values()) and all("2 seeds" in row[2] for row in rows)
    assert "about" in capsys.readouterr().out
