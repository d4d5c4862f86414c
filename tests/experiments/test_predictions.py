"""The experiment predictions on drawn images in Tiny ImageNet's layout: what it records, keeps and refuses."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from imagenet_trees import CLASSES, write_tiny
from safetensors.torch import load_file
from training_cases import SMALL

from alexnet_lib import records
from alexnet_lib.data import tiny_imagenet
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import DataError
from alexnet_lib.experiments import predictions as experiment
from alexnet_lib.experiments.running.study import Job, Size
from alexnet_lib.experiments.running.study_runs import final_net
from alexnet_lib.measures.predictions import calibration
from alexnet_lib.training.evaluation import probabilities

SIZE = Size("tiny", 72, (*SMALL, "batch=3", "passes=2", "schedule=constant"), seeds=2, classes=None)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose Tiny ImageNet has three classes, of 3 and 2 images; one object is in a corner."""
    root = tmp_path_factory.mktemp("data")
    tiny = write_tiny(root / tiny_imagenet.FOLDER)
    notes = tiny / "val" / "val_annotations.txt"
    rows = [line.split("\t") for line in notes.read_text().splitlines()]
    boxes = ["0\t0\t20\t20", *["5\t5\t60\t60"] * (len(rows) - 1)]
    lines = ["\t".join((*row[:2], box)) for row, box in zip(rows, boxes, strict=True)]
    notes.write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "STUDY", replace(experiment.STUDY, small=SIZE))
    monkeypatch.setattr(tiny_imagenet, "CLASSES", len(CLASSES))


def run(out: Path, data: Path, seeds: int | None = None) -> list[Path]:
    asked = argparse.Namespace(full=False, out=out, data=str(data), device="cpu", seeds=seeds, only=None)
    return experiment.run_from(asked)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


def test_what_is_recorded_is_what_the_network_answers(out: Path, data: Path, capsys: pytest.CaptureFixture) -> None:
    (path,) = run(out, data, seeds=1)
    record = records.load("predictions", "tiny_predictions", out)
    result, kept = record["result"], load_file(path.with_name("tiny_predictions_seed-0.safetensors"))
    job = Job.begin(experiment.STUDY, SIZE, ["paper"], out=out, data=str(data), device="cpu", seeds=1)
    one, val = job.known[0], PreparedImages(job.folder, "val")
    net = final_net(one.recipe, one.place, 0, len(CLASSES))
    images = val.images(range(len(val)))
    for which in ("centre", "ten"):
        rows = probabilities([net], [one.recipe.make_scale(job.images)], images, 64, which)
        assert torch.allclose(kept[f"softmax-{which}"].float(), rows, atol=1e-3)
        wrong = (rows.argmax(1) != val.labels).float()
        assert result[which]["error"] == [pytest.approx(float(wrong.mean()))]
        expected = calibration(rows.numpy(), val.labels.numpy()).error
        assert result[which]["calibration_error"][0] == pytest.approx(expected, rel=1e-4)
    assert kept["labels"].tolist() == val.labels.tolist() and result["names"] == [Path(name).name for name in val.names]
    assert not result["complete"], "one of two seeds"
    assert "likeliest wrong labels" in capsys.readouterr().out


def test_the_image_whose_object_is_in_a_corner_is_the_one_off_the_centre(out: Path, data: Path) -> None:
    record = records.load("predictions", "tiny_predictions", out)
    result, kept = record["result"], load_file(out / "predictions" / "tiny_predictions_seed-0.safetensors")
    assert (result["images"], result["off_centre_images"]) == (6, 1)
    (corner,) = np.flatnonzero(kept["boxes"][:, 2].numpy() == 20)
    hit = kept["softmax-centre"][corner].argmax() == kept["labels"][corner]
    assert result["centre"]["error_off_centre"] == [0.0 if hit else 1.0]
    assert np.array(result["confusions"]).sum() == 6 and np.trace(result["confusions"]) == 0


def test_the_convolutional_layers_stay_in_half_precision(out: Path, data: Path) -> None:
    kept = load_file(out / "predictions" / "tiny_predictions_seed-0.safetensors")
    job = Job.begin(experiment.STUDY, SIZE, ["paper"], out=out, data=str(data), device="cpu", seeds=1)
    net = final_net(job.known[0].recipe, job.known[0].place, 0, len(CLASSES))
    for layer in experiment.CONVOLUTIONS:
        assert kept[f"{layer}.weight"].dtype == torch.float16
        assert torch.equal(kept[f"{layer}.weight"], net.get_submodule(layer).weight.detach().half())
    assert not any(name.startswith("fc") for name in kept)


def test_it_goes_on_with_the_next_seed_and_keeps_its_answers_too(
    out: Path, data: Path, capsys: pytest.CaptureFixture
) -> None:
    before = records.load("predictions", "tiny_predictions", out)["result"]
    (path,) = run(out, data)
    result = records.load("predictions", "tiny_predictions", out)["result"]
    assert result["complete"] and result["seeds"] == [0, 1] and result["names"] == before["names"]
    assert result["centre"]["error"][0] == before["centre"]["error"][0]
    assert np.array(result["confusions"]).sum() == 12
    assert set(load_file(path.with_name("tiny_predictions_seed-1.safetensors"))) == {"softmax-centre", "softmax-ten"}
    assert run(out, data) == [] and "all of it is recorded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "\n".join(text.splitlines()[1:]) + "\n", "says nothing of"),
        (lambda text: text.replace("\t20\t20", ""), "line 1: no box of four whole numbers"),
    ],
)
def test_boxes_that_are_not_there_are_named(change, said: str, data: Path, tmp_path: Path) -> None:
    tiny = data / tiny_imagenet.FOLDER
    names = [line.split("\t")[0] for line in (tiny / "val" / "val_annotations.txt").read_text().splitlines()]
    assert tiny_imagenet.read_boxes(tiny, names)[:2] == [(0, 0, 20, 20), (5, 5, 60, 60)]
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        tiny_imagenet.read_boxes(tmp_path, names)
    (tmp_path / "val" / "val_annotations.txt").write_text(change((tiny / "val" / "val_annotations.txt").read_text()))
    with pytest.raises(DataError, match=said):
        tiny_imagenet.read_boxes(tmp_path, names)
