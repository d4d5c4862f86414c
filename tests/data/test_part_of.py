"""A smaller set out of a whole one: some of the classes, a few training images of each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from imagenet_trees import CLASSES, counts, write_folders, write_tiny

from alexnet_lib.__main__ import main
from alexnet_lib.data.imagenet import preparation
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.data.imagenet.sources import Source, find_source, part_of
from alexnet_lib.errors import DataError, SettingError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "source")


def test_part_keeps_classes_in_order_and_counts_labels_anew(source: Path) -> None:
    whole = find_source(source)
    part = part_of(whole, [CLASSES[2], CLASSES[0]], per_class=2)
    assert part.classes == (CLASSES[0], CLASSES[2]) and part.words == (whole.words[0], whole.words[2])
    assert counts(part)["train"] == [2, 2]
    assert counts(part)["val"] == [counts(whole)["val"][0], counts(whole)["val"][2]]
    kept = [entry.name for entry in part.splits["train"]]
    assert kept == [entry.name for label in (0, 2) for entry in whole.splits["train"] if entry.label == label
                    and entry.name in kept]  # fmt: skip
    assert kept[:2] == sorted(entry.name for entry in whole.splits["train"] if entry.label == 0)[:2]
    assert [entry.label for entry in part.splits["train"]] == [0, 0, 1, 1]


def test_a_number_of_classes_is_spread_over_all_of_them() -> None:
    whole = Source(Path("there"), "", tuple(f"n{i:03}" for i in range(200)), (None,) * 200, {"train": []})
    assert part_of(whole, 4).classes == ("n000", "n050", "n100", "n150")
    assert part_of(whole, 200).classes == whole.classes == part_of(whole).classes


def test_prepared_part_is_those_images(source: Path, tmp_path: Path) -> None:
    preparation.prepare(source, tmp_path / "whole", side=16, jobs=1)
    command = ["data", "prepare-imagenet", str(source), str(tmp_path / "part"), "--side", "16", "--jobs", "1"]
    assert main([*command, "--classes", f"{CLASSES[1]}, {CLASSES[2]}", "--per-class", "2"]) == 0
    whole, part = PreparedImages(tmp_path / "whole"), PreparedImages(tmp_path / "part")
    assert part.classes == CLASSES[1:] and part.labels.tolist() == [0, 0, 1, 1]
    places = [whole.names.index(name) for name in part.names]
    assert torch.equal(part.images(range(4)), whole.images(places))
    mean = part.images(range(4)).double().mean(0)
    assert torch.allclose(part.mean_image.double(), mean, atol=1e-4)


def test_part_of_tiny_imagenet_by_number(tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny")
    preparation.prepare(tiny, tmp_path / "part", side=16, jobs=1, classes=2, per_class=1)
    part = PreparedImages(tmp_path / "part")
    assert len(part.classes) == 2 and len(part) == 2 and len(PreparedImages(tmp_path / "part", "val")) > 0


def test_another_part_into_the_same_folder_is_refused(source: Path, tmp_path: Path) -> None:
    preparation.prepare(source, tmp_path / "part", side=16, jobs=1, classes=2)
    with pytest.raises(DataError, match="another source"):
        preparation.prepare(source, tmp_path / "part", side=16, jobs=1, classes=2, per_class=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"classes": 4}, "--classes 4: .* holds 3"), ({"classes": 0}, "give 1 or more"),
     ({"classes": ["n01440765"]}, "no class 'n01440765'; did you mean n01440764"),
     ({"per_class": 0}, "--per-class 0: give a whole number")],
)  # fmt: skip
def test_parts_that_cannot_be(source: Path, options: dict, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        part_of(find_source(source), **options)
