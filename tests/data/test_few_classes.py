"""A few classes prepared for a short run: from Tiny ImageNet, from CIFAR-10's layout, and from the stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from imagenet_trees import write_tiny
from small_sets import write_tree

from alexnet_lib.data import few_classes as module
from alexnet_lib.data.cifar10 import load_cifar10
from alexnet_lib.data.few_classes import few_classes
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import DataError

pytestmark = pytest.mark.usefixtures("closed_to_the_reader")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with three training images and two to validate of each of CIFAR-10's classes."""
    monkeypatch.setattr(module, "HELD_OUT", 2)
    write_tree(tmp_path / "root" / "photos", train=3, test=2)
    return tmp_path / "root"


def test_classes_of_cifar_are_spread_and_keep_their_pictures(root: Path, tmp_path: Path) -> None:
    few = few_classes(tmp_path / "few", classes=5, per_class=2, side=32, data=root)
    train, val = PreparedImages(few.folder, "train"), PreparedImages(few.folder, "val")
    assert few.words == ("airplane", "bird", "deer", "frog", "ship") and not few.stand_in
    assert few.name.endswith(", 5 of its 10 classes")
    assert train.labels.tolist() == sorted([0, 1, 2, 3, 4] * 2) and len(val) == 10
    source = load_cifar10("train", root)
    for label, of_source in enumerate((0, 2, 4, 6, 8)):
        wanted = source.images[source.labels == of_source][:2]
        assert torch.equal(train.images(torch.arange(10)[train.labels == label]), wanted)


def test_images_are_enlarged_to_the_side(root: Path, tmp_path: Path) -> None:
    few = few_classes(tmp_path / "few", classes=2, per_class=1, side=72, data=root)
    assert PreparedImages(few.folder).images([0]).shape == (1, 3, 72, 72)


def test_tiny_imagenet_comes_first_and_is_called_so(root: Path, tmp_path: Path) -> None:
    tree = root / module.TINY_IMAGENET
    tree.mkdir()
    write_tiny(tree)
    few = few_classes(tmp_path / "few", classes=3, per_class=2, side=24, data=root)
    train = PreparedImages(few.folder)
    assert few.name == "Tiny ImageNet, 3 of its 200 classes" and not few.stand_in
    assert few.words == ("tench", train.classes[1], "dog"), "the first of its words, or its wnid where it has none"
    assert len(train) == 6 and PreparedImages(few.folder, "val").side == 24


def test_without_data_it_is_the_stand_in_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    few = few_classes(tmp_path / "few", classes=2, per_class=4, side=16, data=tmp_path / "empty")
    assert few.stand_in and few.name.startswith("DRAWN STAND-IN") and "of its 10 classes" in few.name
    assert len(PreparedImages(few.folder, "val")) == 2 * module.HELD_OUT


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"classes": 11}, "1 to 10"), ({"classes": 0}, "1 to 10"), ({"per_class": 4}, "only 3 of that class")],
)
def test_more_than_there_is_is_an_error(root: Path, tmp_path: Path, asked: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        few_classes(tmp_path / "few", data=root, **{"classes": 5, "per_class": 2, "side": 16} | asked)
