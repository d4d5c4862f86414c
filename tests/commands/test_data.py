"""python -m alexnet_lib data show: photographs, Tiny ImageNet and prepared images, there or missing; and verify."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from archives import tiny_files
from imagenet_trees import drawn, encoded

from alexnet_lib.__main__ import main
from alexnet_lib.data import cifar10
from alexnet_lib.data.imagenet.preparation import prepare
from alexnet_lib.data.tiny_imagenet import FOLDER, describe_tiny, find_tiny

pytestmark = pytest.mark.usefixtures("no_data_named")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Tiny ImageNet; not to be changed."""
    folder = tmp_path_factory.mktemp("tiny")
    for name, content in tiny_files(encoded(drawn(0, 64, 64))).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):  # noqa: ANN201
    """shown(root) -> what `data show` prints of that root, but for CIFAR-10's (see test_datasets)."""
    monkeypatch.setattr(cifar10, "SPLITS", ())

    def show(root: Path) -> str:
        assert main(["data", "show", "--data", str(root)]) == 0
        return capsys.readouterr().out

    return show


def test_show_says_what_is_there(shown, tiny: Path, tmp_path: Path) -> None:  # noqa: ANN001
    (tmp_path / FOLDER).symlink_to(tiny, target_is_directory=True)
    some = tmp_path / "photographs" / "mine"
    some.mkdir(parents=True)
    for i in range(3):
        (some / f"{i}.jpg").write_bytes(b"not opened")
    prepare(tiny, tmp_path / "two", side=64, classes=2, jobs=1)
    printed = shown(tmp_path)
    assert (
        f"part of Tiny ImageNet, 400 training and 200 validation images of 200 classes\n  source: {FOLDER}" in printed
    )
    assert "photographs, 3 images\n  source: photographs\n" in printed
    assert "prepared images, 4 train and 2 val, of 2 classes, 64 x 64 pixels, raw\n  source: two\n" in printed


def test_show_says_what_is_missing(shown, tmp_path: Path) -> None:  # noqa: ANN001
    printed = shown(tmp_path)
    assert f"no photographs in {tmp_path} (imagenet-samples-256, " in printed and "scikit-image" in printed
    assert f"no {FOLDER} in {tmp_path}: `python -m alexnet_lib data fetch tiny-imagenet` downloads it" in printed
    assert "prepared images" not in printed


def test_only_the_published_numbers_are_called_tiny_imagenet(tiny: Path) -> None:
    source = find_tiny(tiny)
    whole = replace(source, splits={"train": [None] * 100_000, "val": [None] * 10_000})
    assert describe_tiny(whole) == "Tiny ImageNet, 100,000 training and 10,000 validation images of 200 classes"
    assert describe_tiny(source).startswith("part of Tiny ImageNet, 400 ")


@pytest.mark.parametrize("file", ["val/00000.raw", "val/00000.json", "statistics.safetensors"])
def test_verify_reads_every_file_of_every_split(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, file: str
) -> None:
    folder = shutil.copytree(prepared, tmp_path / "set")
    assert main(["data", "verify", str(folder)]) == 0
    assert capsys.readouterr().out == (
        "train: 48 images of 6 classes, as they were prepared\nval: 12 images of 6 classes, as they were prepared\n"
    )
    content = bytearray((folder / file).read_bytes())
    content[-9] ^= 1
    (folder / file).write_bytes(content)
    assert main(["data", "verify", str(folder)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {folder / file} cannot be read (") and "copy it again, or delete" in error
