"""What `train` and `evaluate` say of data, options and weights that do not fit."""

from __future__ import annotations

import io
import itertools
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from training_cases import small, training, words

from alexnet_lib.__main__ import main
from alexnet_lib.commands.train import _sets, _too_large
from alexnet_lib.data.imagenet import preparation
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import DataError, SettingError
from alexnet_lib.training import evaluation


@pytest.fixture(scope="module")
def run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one pass."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(words(prepared, out, "--passes", "1")) == 0
    return out


def said(capsys: pytest.CaptureFixture, words: list[str]) -> str:
    assert main(words) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--recipe", "vgg"], "recipe 'vgg' is not known"),
        (["--set", "speed=1"], "--set speed=1: give FIELD=VALUE"),
        (["--batch", "1000"], "48 images do not fill one batch of 1000: give a smaller --batch"),
        (["--rate", "nan"], "learning rate nan"),
        (["--feed", "disk"], "feed 'disk' is not known"),
        (["--log-every", "0"], "--log-every 0"),
        (["--set", "net.input_size=100"], "was prepared with 72 pixels, and the network takes crops of 100"),
        (["--set", "net.input_size=40"], "a window of 3 does not fit into 1 pixels"),
        (["--device", "tpu"], "device 'tpu' is not known"),
        (["--set", "net.pooling=3"], "pooling (3,): 2 entries are needed"),
        (["--set", "net.first_padding=1"], "first_padding (1,): 2 entries are needed"),
        (["--seed", str(2**63)], f"--seed {2**63}: give a whole number below 2^63"),
        (
            ["--set", "net.hidden=1000000000000,2"],
            "12 images does not fit into this computer's memory: give --b",
        ),
        (["--compile", "fast"], "--compile 'fast' is not known; use one of default, reduce-overhead"),
        (["--compile", "reduce-overhead"], "CUDA graphs, on a GPU; give --compile alone"),
    ],
)
def test_options_that_do_not_fit(
    more: list[str], message: str, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert message in said(capsys, words(prepared, tmp_path / "run", *more))
    assert not (tmp_path / "run").exists(), "a run that cannot begin leaves nothing behind"


def test_data_that_was_not_prepared(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "photos").mkdir()
    assert "run python -m alexnet_lib data prepare-imagenet SRC" in said(capsys, words(tmp_path / "photos", tmp_path))


def test_plateau_needs_validation_images(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.copytree(prepared.parent / "source" / "train", tmp_path / "flat")
    preparation.prepare(tmp_path / "flat", tmp_path / "prepared", side=72, jobs=1)
    message = said(capsys, words(tmp_path / "prepared", tmp_path / "run"))
    assert "no validation images, and the schedule 'plateau' judges by them" in message
    assert main(words(tmp_path / "prepared", tmp_path / "run", "--set", "schedule=constant", "--passes", "1")) == 0


def test_a_run_is_not_gone_on_with_by_other_settings(run: Path, prepared: Path, capsys: pytest.CaptureFixture) -> None:
    message = said(capsys, words(prepared, run, "--passes", "1", "--seed", "4"))
    assert "holds a run with seed 0, not 4: give the same settings" in message


def test_classes_missing_or_in_another_order(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    fewer, source = tmp_path / "fewer", prepared.parent / "source"
    shutil.copytree(source, fewer)
    for split in ("train", "val"):
        shutil.rmtree(fewer / split / "n00000002")
    preparation.prepare(fewer, tmp_path / "prepared", side=72, jobs=1)
    message = said(capsys, ["evaluate", str(run), "--data", str(tmp_path / "prepared"), "--device", "cpu"])
    assert f"holds 5 classes, not the 6 that {run} was trained on (n00000002 is missing): prepare it from" in message
    assert "holds a run with data" in said(capsys, words(tmp_path / "prepared", run, "--passes", "1"))


@pytest.mark.parametrize("split", ["val", "train"])
def test_a_run_is_judged_with_the_mean_image_that_it_was_trained_with(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, split: str
) -> None:
    """The same images in a set whose own mean image is another, as where it holds other training images."""
    other = tmp_path / "other"
    shutil.copytree(prepared, other)
    found = load_file(other / "statistics.safetensors")
    found["mean_image"] = found["mean_image"].roll(20, 2) + 60
    save_file(found, other / "statistics.safetensors")
    told = []
    for data in (prepared, other):
        assert main(["evaluate", str(run), "--data", str(data), "--split", split, "--device", "cpu"]) == 0
        told.append(capsys.readouterr().out.splitlines()[1:])
    assert told[0] == told[1] and "error" in told[0][0]


def set_to(path: Path, keys: tuple[str, ...], value: object) -> None:
    content = inner = json.loads(path.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("recipe",), {}, "settings.json cannot be read ('net' is missing)"),
        (("recipe", "rate"), "fast", "settings.json cannot be read (rate cannot be fast)"),
        (("recipe", "net", "norm"), "x", "settings.json cannot be read (norm 'x' is not known"),
        (("recipe", "net", "lrn", "k"), "x", "settings.json cannot be read (k cannot be x)"),
        (("recipe", "net", "input_size"), 8, "settings.json cannot be read (a window of 3 does not fit"),
        (
            ("recipe", "net", "columns"),
            1,
            "best.safetensors cannot be read as weights of its run: conv2.weight: the",
        ),
        (
            ("data", "classes"),
            ["a", "b"],
            "best.safetensors cannot be read as weights of its run: fc8.weight: the s",
        ),
        (("data", "classes"), "abcdef", "settings.json cannot be read (classes abcdef"),
        (("data", "classes"), ["../x"] * 6, "settings.json cannot be read (classes ['../x"),
        (("data",), {"side": 72}, "settings.json cannot be read ('classes' is missing)"),
    ],
)
def test_weights_of_another_network_and_edited_settings_are_named(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, keys: tuple, value: object, said: str
) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    set_to(other / "settings.json", keys, value)
    told = f"error: {other}/{said}"
    for weights in (other, other / "best.safetensors"):
        assert saying(capsys, ["evaluate", str(weights), "--data", str(prepared), "--device", "cpu"]).startswith(told)
    more = ["--passes", "1", "--set", "dtype=auto"]
    assert f"error: {other}" in saying(capsys, words(prepared, other, *more))


def saying(capsys: pytest.CaptureFixture, words: list[str]) -> str:
    """Its one line."""
    error = said(capsys, words)
    assert error.count("\n") == 1
    return error


def test_weights_that_are_not_there_or_damaged(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other, judge = shutil.copytree(run, tmp_path / "other"), ["--data", str(prepared), "--device", "cpu"]
    (other / "best.safetensors").write_bytes(b"no")
    assert "best.safetensors cannot be read (" in saying(capsys, ["evaluate", str(other), *judge])
    (other / "best.safetensors").unlink()
    assert "best.safetensors cannot be read (" in saying(capsys, ["evaluate", str(other), *judge])
    assert "there is no such file or folder" in said(capsys, ["evaluate", str(tmp_path / "none"), *judge])


@pytest.mark.parametrize("name", ["none", "other.pth", "checkpoints/step-000000004.pt"])
def test_what_are_no_weights_of_a_run_says_what_are(
    name: str, run: Path, prepared: Path, capsys: pytest.CaptureFixture
) -> None:
    (run / "other.pth").write_bytes(b"PK")
    wanted = "give the folder of a run of `train`, or a .safetensors file in one"
    for command in (
        ["evaluate", str(run / name), "--data", str(prepared)],
        ["inspect", str(run / name), "--out", str(run / "seen")],
    ):
        assert wanted in (err := said(capsys, [*command, "--device", "cpu"])) and err.startswith(f"error: {run / name}")
        assert ("here " + str(run) in err) == ("checkpoints" in name)
        assert ("Or give torchvision" in err) == (command[0] == "inspect")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_long_evaluation_shows_a_bar_in_a_terminal(
    terminal: bool, run: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    shown.isatty = lambda: terminal
    monkeypatch.setattr(evaluation, "SLOW", 0.0)
    monkeypatch.setattr(sys, "stderr", shown)
    assert main(["evaluate", str(run), "--data", str(prepared), "--device", "cpu"]) == 0
    assert ("validating:" in shown.getvalue()) == terminal


def test_weights_saved_under_a_wrapper_are_the_runs(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other, judge = shutil.copytree(run, tmp_path / "other"), ["--data", str(prepared), "--device", "cpu"]
    found = load_file(other / "best.safetensors")
    save_file({f"module.{name}": value for name, value in found.items()}, other / "best.safetensors")
    told = []
    for weights in (run, other):
        assert main(["evaluate", str(weights), *judge]) == 0
        told.append(capsys.readouterr().out.splitlines()[1])
    assert told[0] == told[1]


def test_a_run_is_not_gone_on_with_on_other_pixels_of_the_same_names(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    how = {"side": 72, "jobs": 1}
    preparation.prepare(prepared.parent / "source", tmp_path / "jpeg", format="jpeg", quality=1, **how)
    assert "holds a run with pixels.format raw, not jpeg" in saying(
        capsys, words(tmp_path / "jpeg", run, "--passes", "1")
    )
    source = shutil.copytree(prepared.parent / "source", tmp_path / "source")
    shutil.copy(source / "train/n00000000/0.JPEG", source / "train/n00000005/3.JPEG")
    preparation.prepare(source, tmp_path / "other", **how)
    assert "holds a run with pixels.checksum " in saying(capsys, words(tmp_path / "other", run, "--passes", "1"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state["net"].update({"conv1.weight": torch.zeros(2, 3)}),
        lambda state: state["net"].pop("conv1.weight"),
        lambda state: state.pop("velocity"),
        lambda state: state["groups"].clear(),
        lambda state: state["schedule"].clear(),
        lambda state: state["line"].update(sums=[1.0]),
        lambda state: state.update(step="4"),
    ],
    ids=["shape", "no layer", "no velocity", "no groups", "no schedule", "sums", "step"],
)
def test_a_checkpoint_that_does_not_fit_is_named(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, spoil: Callable[[dict], object]
) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    for path in (other / "checkpoints").iterdir():
        content = torch.load(path, weights_only=True)
        spoil(content["state"])
        torch.save(content, path)
    message = saying(capsys, words(prepared, other, "--passes", "1"))
    assert "no checkpoint of" in message and "step-000000004.pt does not fit its run (" in message


def test_images_that_are_all_alike_have_no_deviation(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for split, name, number in itertools.product(("train", "val"), ("a", "b"), range(12)):
        (tmp_path / "grey" / split / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (72, 72), (128, 128, 128)).save(tmp_path / "grey" / split / name / f"{number}.png")
    preparation.prepare(tmp_path / "grey", tmp_path / "set", side=72, jobs=1)
    message = saying(capsys, words(tmp_path / "set", tmp_path / "run", "--set", "unit_pixels=yes"))
    assert "are alike: there is no deviation to divide by" in message


def test_a_set_of_one_class_is_refused(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are prepared now have two; others may have been prepared earlier."""
    monkeypatch.setattr(PreparedImages, "__init__", lambda self, *_: setattr(self, "classes", ("a",)))
    with pytest.raises(DataError, match="holds one class, a: a network needs two"):
        _sets(prepared, small())


def test_a_loss_that_is_no_number_says_only_of_a_checkpoint_that_is_there(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, save, kept in (("none", "100", False), ("some", "1", True)):
        more = ("--rate", "1e30", "--save-every", save, "--log-every", "2")
        message = said(capsys, words(prepared, tmp_path / name, *more))
        assert "not a finite number" in message and ("the last checkpoint is from before" in message) == kept


def test_a_step_that_does_not_fit_says_which_batch_might(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1_000_000_000, 8_000_000_000))
    with (
        pytest.raises(SettingError, match="128 images does not fit into cuda:0's 8 GB .*give --batch 64"),
        _too_large(128, torch.device("cuda:0")),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def test_nothing_is_begun_twice(prepared: Path, tmp_path: Path) -> None:
    first = training(prepared, tmp_path / "run")
    with first.folder.held():
        assert first.run() == "passes"
    again = training(prepared, tmp_path / "run")
    with again.folder.held():
        assert again.run() == "passes" and again.step == first.step
