"""Photographs prepared as section 2 says, chosen by a seed, and what is said where there are none."""

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet_lib import origin
from alexnet_lib.errors import DataError, SettingError
from alexnet_lib.notebook import Session
from alexnet_lib.photographs import load_photographs, read_photograph


def write_photograph(path, width, height, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.RandomState(seed).randint(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def root(tmp_path):
    for place, (width, height) in enumerate([(30, 20), (20, 30), (25, 25), (40, 20)]):
        write_photograph(tmp_path / "photographs" / f"class{place % 2}" / f"{place}.png", width, height, place)
    return tmp_path


def test_a_photograph_of_the_right_size_is_cut_in_the_middle_and_nothing_else(tmp_path):
    pixels = write_photograph(tmp_path / "wide.png", 30, 20)
    assert torch.equal(read_photograph(tmp_path / "wide.png", 20), torch.from_numpy(pixels[:, 5:25]).permute(2, 0, 1))


def test_the_shorter_side_decides_the_scale(tmp_path):
    top = np.zeros((80, 40, 3), np.uint8)
    top[:20] = 255  # of 80 rows the top 20 are white: the central square of 40 x 40 holds none of them
    Image.fromarray(top).save(tmp_path / "tall.png")
    assert read_photograph(tmp_path / "tall.png", 20).shape == (3, 20, 20)
    assert int(read_photograph(tmp_path / "tall.png", 20)[:, 2:].max()) == 0


def test_the_seed_chooses_and_folders_are_the_labels(root):
    first, again, other = (load_photographs(3, 16, root, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)
    assert first.images.shape == (3, 3, 16, 16) and first.images.dtype == torch.uint8
    assert first.classes == ("class0", "class1") and not first.stand_in
    assert first.name == "photographs (photographs)"


def test_too_few_or_broken_photographs_are_named(root):
    with pytest.raises(DataError, match="photographs holds 4 images, 5 were asked for"):
        load_photographs(5, 16, root)
    (root / "photographs" / "class0" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(DataError, match="broken.jpg cannot be decoded"):
        load_photographs(5, 16, root)
    with pytest.raises(DataError, match="0 photographs"):
        load_photographs(0, 16, root)


def test_without_photographs_the_stand_in_says_so(tmp_path):
    drawn = load_photographs(2, 64, tmp_path)
    assert drawn.stand_in and drawn.images.shape == (2, 3, 64, 64)
    assert origin.describe("live", data=drawn) == ("live · drawn stand-in, not photographs", True)
    with pytest.raises(DataError, match="make a folder"):
        load_photographs(2, 64, tmp_path, stand_in=False)


def test_a_chapter_gets_only_the_images_it_asked_for():
    with pytest.raises(SettingError, match="data='photographs'"):
        _ = Session("some", torch.device("cpu"), 1, 0, "cifar10").photographs
    with pytest.raises(SettingError, match="data='cifar10'"):
        _ = Session("some", torch.device("cpu"), 1, 0, "photographs").train
