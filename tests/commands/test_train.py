"""What `train` and `evaluate` say of data, options and weights that do not fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from training_cases import training, words

from alexnet_lib.__main__ import main
from alexnet_lib.commands.train import _too_large
from alexnet_lib.data.imagenet import preparation
from alexnet_lib.errors import SettingError


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
    assert "holds 5 classes, not 6; n00000002 is missing" in message
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


def test_weights_of_another_variant(run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    text = (other / "settings.json").read_text()
    (other / "settings.json").write_text(text.replace('"columns": 2', '"columns": 1'))
    message = said(capsys, ["evaluate", str(other), "--data", str(prepared), "--device", "cpu"])
    assert "best.safetensors cannot be read as weights of its run" in message
    (other / "best.safetensors").unlink()
    assert "cannot be read" in said(capsys, ["evaluate", str(other), "--data", str(prepared), "--device", "cpu"])
    nowhere = ["evaluate", str(tmp_path / "none"), "--data", str(prepared), "--device", "cpu"]
    assert "is not the folder of a run" in said(capsys, nowhere)


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
