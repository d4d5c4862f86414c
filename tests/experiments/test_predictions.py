"""The experiment "predictions" on drawn images in Tiny ImageNet's layout, and what its chapter reads from a record."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from chapter_cells import Chapter, Shown
from imagenet_trees import CLASSES, write_tiny
from ledger_cases import put
from PIL import Image
from safetensors.torch import load_file, save_file
from training_cases import SMALL

from alexnet_lib import records
from alexnet_lib.data import tiny_imagenet
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.data.tiny_imagenet import FOLDER
from alexnet_lib.data.wordnet import nouns
from alexnet_lib.errors import DataError, RecordError
from alexnet_lib.experiments import predictions as experiment
from alexnet_lib.experiments.predictions import CONVOLUTIONS, STUDY
from alexnet_lib.experiments.running.study import Job, Size
from alexnet_lib.experiments.running.study_runs import final_net
from alexnet_lib.measures import effects
from alexnet_lib.measures.predictions import calibration
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.training.evaluation import probabilities

SOME_CLASSES = ["n01443537", "n04398044", "n02002724"]  # goldfish, teapot, black stork
RECORDED_SIZE = STUDY.on_cpu
RECORDED_RUN = f"{RECORDED_SIZE.name}_predictions"
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


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "STUDY", replace(experiment.STUDY, small=SIZE))
    monkeypatch.setattr(tiny_imagenet, "CLASSES", len(CLASSES))


def run(out: Path, data: Path, seeds: int | None = None) -> list[Path]:
    asked = argparse.Namespace(full=False, out=out, data=str(data), device="cpu", seeds=seeds, only=None)
    return experiment.run_from(asked)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.mark.usefixtures("few")
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


@pytest.mark.usefixtures("few")
def test_the_image_whose_object_is_in_a_corner_is_the_one_off_the_centre(out: Path, data: Path) -> None:
    record = records.load("predictions", "tiny_predictions", out)
    result, kept = record["result"], load_file(out / "predictions" / "tiny_predictions_seed-0.safetensors")
    assert (result["images"], result["off_centre_images"]) == (6, 1)
    (corner,) = np.flatnonzero(kept["boxes"][:, 2].numpy() == 20)
    hit = kept["softmax-centre"][corner].argmax() == kept["labels"][corner]
    assert result["centre"]["error_off_centre"] == [0.0 if hit else 1.0]
    assert np.array(result["confusions"]).sum() == 6 and np.trace(result["confusions"]) == 0


@pytest.mark.usefixtures("few")
def test_the_convolutional_layers_stay_in_half_precision(out: Path, data: Path) -> None:
    kept = load_file(out / "predictions" / "tiny_predictions_seed-0.safetensors")
    job = Job.begin(experiment.STUDY, SIZE, ["paper"], out=out, data=str(data), device="cpu", seeds=1)
    net = final_net(job.known[0].recipe, job.known[0].place, 0, len(CLASSES))
    for layer in experiment.CONVOLUTIONS:
        assert kept[f"{layer}.weight"].dtype == torch.float16
        assert torch.equal(kept[f"{layer}.weight"], net.get_submodule(layer).weight.detach().half())
    assert not any(name.startswith("fc") for name in kept)


@pytest.mark.usefixtures("few")
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


@pytest.mark.usefixtures("few")
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


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A record of two seeds and four images, with what stays beside it."""
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    recipe = STUDY.recipe_of("paper", RECORDED_SIZE)
    view = {
        "error": [0.5, 0.25],
        "error_on_centre": [0.5, 0.0],
        "error_off_centre": [0.5, 0.5],
        "calibration_error": [0.1, 0.2],
    }
    result = {
        "complete": True,
        "seeds": [0, 1],
        "centre": view,
        "ten": view | {"error": [0.25, 0.25]},
        "names": [f"val_{n}.JPEG" for n in range(4)],
    }
    put(
        tmp_path,
        "predictions",
        RECORDED_RUN,
        result,
        [0, 1],
        claims=["C28"],
        configuration={"classes": SOME_CLASSES, "recipe": recipe.plain()},
    )
    rows = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.4, 0.5, 0.1]])
    others = torch.tensor([[0.2, 0.7, 0.1], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    net = AlexNet(recipe.net, 3, seed=5)
    layers = {
        f"{layer}.{what}": getattr(net.get_submodule(layer), what).detach().half()
        for layer in CONVOLUTIONS
        for what in ("weight", "bias")
    }
    shares = {"softmax-centre": rows.half(), "softmax-ten": others.half()}
    corner, all_of_it = [0, 0, 20, 20], [0, 0, 63, 63]
    beside = {"labels": torch.tensor([0, 1, 2, 0]), "boxes": torch.tensor([corner, all_of_it, all_of_it, corner])}
    save_file(shares | beside | layers, tmp_path / "predictions" / f"{RECORDED_RUN}_seed-0.safetensors")
    save_file(shares, tmp_path / "predictions" / f"{RECORDED_RUN}_seed-1.safetensors")
    return tmp_path


def test_nothing_recorded_is_said_to_be_not_yet_run(tmp_path: Path) -> None:
    assert experiment.recorded(tmp_path) == {}
    shown = cells_of({}, "better on the centre by", "put right by ten views")
    assert [rows[0][0] for rows in shown.tables] == ["not yet run"] * 2 and "not known" in shown.captions[1]


def test_errors_on_and_off_the_centre_have_intervals_of_seeds_and_images(root: Path) -> None:
    record = experiment.recorded(root)
    assert records.key(record) == f"predictions/{RECORDED_RUN}"
    assert experiment.off(record, root).tolist() == [True, False, False, True]
    ((centre, ten),) = cells_of(record, "better on the centre by").tables
    assert [centre[0], ten[0]] == ["centre view", "ten views"]
    # Of labels 0, 1, 2, 0 both seeds have 0, 0, 2, 1: one of two is wrong in each group.
    assert centre[1].startswith("50.0 (") and centre[1] == centre[2] and centre[3].startswith("+0.00 points (")
    assert centre[1] == "50.0 (0.0 to 100.0)", "of two images little is known, and no error is under 0"


def test_the_interval_of_an_error_is_that_of_both_seeds_and_images() -> None:
    generator = np.random.default_rng(0)
    hard = generator.random(400)
    wrong = np.stack([generator.random(400) < 0.9 * hard for _ in range(5)])
    low, high = (float(end) / 100 for end in effects.told_error(wrong).split("(")[1].strip(")").split(" to "))
    resampled = np.percentile(effects.resampled(wrong, np.zeros_like(wrong)), [2.5, 97.5])
    assert [low, high] == pytest.approx(sorted(-resampled), abs=0.02)
    assert effects.told_error(wrong[:1]).endswith(" (1 seed)")


def test_the_cost_of_being_off_is_told_apart_from_chance_by_images_of_both_groups(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    away = np.arange(500) < 140
    hard = np.where(away, 0.6, 0.4)
    always = generator.random(500) < hard  # which images are wrong hangs on the images alone
    monkeypatch.setattr(experiment, "wrong_by_seed", lambda *given: np.stack([always] * 3))
    monkeypatch.setattr(experiment, "off", lambda *given: away)
    cost = experiment.cost_of_off({}, root=root)
    assert cost.size == pytest.approx(always[away].mean() - always[~away].mean())
    expected = sum(always[group].var(ddof=1) / group.sum() for group in (away, ~away)) ** 0.5
    assert cost.error == cost.image_error == pytest.approx(expected) and cost.seed_error == 0
    assert cost.interval[1] - cost.interval[0] == pytest.approx(2 * 1.97 * expected, rel=0.01)
    record = experiment.recorded(root)
    monkeypatch.setattr(experiment, "wrong_by_seed", lambda *given: always[None])
    assert experiment.cost_of_off({}, root=root) is None
    assert cells_of(record).tables[0][0][3] == "1 seed: cannot tell"


def test_ten_views_put_right_and_spoil(root: Path) -> None:
    """Of labels 0, 1, 2, 0 the centre view has 0, 0, 2, 1 and ten views have 1, 1, 2, 0."""
    shown = cells_of(experiment.recorded(root), "put right by ten views")
    assert shown.tables[1] == [["seed 0", 2, 1, 4], ["seed 1", 2, 1, 4]]
    assert shown.captions[1].startswith("Ten views instead of one: +25.00 points (")


def test_half_precision_adds_up_to_one_again(root: Path) -> None:
    for rows in experiment.softmax(experiment.recorded(root), root=root):
        assert rows.dtype == np.float64 and np.allclose(rows.sum(axis=1), 1, atol=1e-12)


def test_the_trees_order_puts_animals_together(root: Path) -> None:
    record = experiment.recorded(root)
    assert experiment.words(record) == ["goldfish", "teapot", "black stork"]
    table = np.arange(9).reshape(3, 3).tolist()
    record["result"]["confusions"] = table
    names = cells_of(record, "def way_down").names
    order = names["order"]
    assert abs(order.index(0) - order.index(2)) == 1 and names["way_down"](SOME_CLASSES[0])[-1] == SOME_CLASSES[0]
    assert names["table"].tolist() == [[table[row][column] for column in order] for row in order]


def test_photographs_are_those_named_and_none_where_there_are_none(root: Path, tmp_path: Path) -> None:
    record = experiment.recorded(root)
    data = tmp_path / "data"
    (data / FOLDER / "val" / "images").mkdir(parents=True)
    Image.new("L", (64, 64), 7).save(data / FOLDER / "val" / "images" / "val_2.JPEG")
    (found,) = experiment.photographs(record, [2], data)
    assert found.shape == (64, 64, 3) and found.max() == 7
    with pytest.raises(DataError, match="val_1.JPEG cannot be read"):
        experiment.photographs(record, [1], data)
    (tmp_path / "empty").mkdir()
    assert experiment.photographs(record, [1, 2], tmp_path / "empty") == [None, None]


def test_the_recorded_layers_are_in_the_network_and_the_rest_is_not_asked_for(root: Path) -> None:
    record = experiment.recorded(root)
    net, again = experiment.convolutions(record, root), AlexNet(STUDY.recipe_of("paper", RECORDED_SIZE).net, 3, seed=5)
    for layer in CONVOLUTIONS:
        assert torch.equal(net.get_submodule(layer).weight, again.get_submodule(layer).weight.half().float())
    assert not net.training


def test_a_file_that_is_gone_is_named(root: Path) -> None:
    (root / "predictions" / f"{RECORDED_RUN}_seed-1.safetensors").unlink()
    with pytest.raises(RecordError, match="_seed-1.safetensors is missing"):
        experiment.softmax(experiment.recorded(root), root=root)


def cells_of(record: dict, *needles: str, **given: object) -> Shown:
    """What those cells of the chapter show of a record, the first cell that reads answers among them."""
    shown = Shown()
    names = {"np": np, "nb": shown, "read": experiment, "record": record, "keys": [], "data": None, "tree": nouns()}
    if record:
        labels = experiment.kept(record)["labels"].numpy()
        names |= {"off": experiment.off(record), "words": experiment.words(record), "labels": labels}
    shown.names = Chapter("predictions", **names | given).run("better on the centre by", *needles)
    return shown


def test_a_line_has_a_mark_for_each_bin_that_holds_images(root: Path) -> None:
    """Of labels 0, 1, 2, 0 the centre view has 0, 0, 2, 1, with 0.7, 0.6, 0.7 and 0.5."""
    found = calibration(experiment.softmax(experiment.recorded(root))[0], np.array([0, 1, 2, 0]))
    (panels,) = cells_of(experiment.recorded(root), "counted[name]", calibration=calibration).charts
    right, counted = panels.values()
    assert right.pop("as sure as right") == ([0, 1], [0, 1]) and list(right) == list(counted)
    name, (sure, share) = next(iter(right.items()))
    assert sure.tolist() == pytest.approx([0.5, 0.6, 0.7], abs=1e-3) and share.tolist() == [0, 0, 1]
    assert counted[name][1].tolist() == [1, 1, 2] and name == f"centre view (error {found.error:.3f})"
