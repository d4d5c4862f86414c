"""Photographs prepared as section 2 says, chosen by a seed; windows where there are few."""

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet_lib.data.photographs import load_photographs, read_photograph
from alexnet_lib.errors import DataError, SettingError
from alexnet_lib.notebook import Session, origin


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


def test_a_broken_photograph_and_a_wish_for_none_are_named(root):
    (root / "photographs" / "class0" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(DataError, match="broken.jpg cannot be decoded"):
        load_photographs(5, 16, root)
    with pytest.raises(DataError, match="0 photographs"):
        load_photographs(0, 16, root)


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "photographs").mkdir()
    with pytest.raises(DataError, match=r"photographs holds no image \(.jpg, .jpeg, .*.png, .*\): put some into it"):
        load_photographs(5, 16, tmp_path)


def test_of_too_few_photographs_windows_are_cut(root):
    """Each photograph as a whole first; the others are pixels of one of them, which at its own scale can be found."""
    images = load_photographs(12, 20, root)
    assert images.name == "windows of 4 photographs (photographs)" and not images.stand_in
    whole = load_photographs(4, 20, root)
    assert torch.equal(images.images[:4], whole.images) and torch.equal(images.labels[:4], whole.labels)
    assert torch.equal(images.labels, whole.labels.repeat(3))
    files = sorted((root / "photographs").rglob("*.png"))
    sides = [min(Image.open(path).size) for path in files]
    originals = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) for path in files]
    assert sides.count(20) == 3  # of these, windows are 20 x 20 pixels of the file, without a change of scale
    found = 0
    for window in images.images[4:]:
        places = [original.unfold(1, 20, 1).unfold(2, 20, 1).permute(1, 2, 0, 3, 4) for original in originals]
        found += any((place == window).flatten(2).all(2).any() for place in places)
    assert found >= 6
    assert len({bytes(image.numpy()) for image in images.images}) == 12
    assert torch.equal(load_photographs(12, 20, root).images, images.images)


def test_without_a_folder_scikit_images_photographs_are_cut(tmp_path):
    images = load_photographs(12, 64, tmp_path)
    assert images.name == "windows of 5 photographs from scikit-image" and not images.stand_in
    assert set(images.classes) == {"astronaut", "chelsea", "coffee", "motorcycle_left", "rocket"}
    assert images.images.shape == (12, 3, 64, 64) and len({bytes(image.numpy()) for image in images.images}) == 12
    brightness = images.images.float().mean((1, 2, 3))
    assert all(20 < b < 235 for b in brightness) and (images.images.float().std((2, 3)).mean(1) > 10).all()
    assert origin.describe("live", data=images) == ("live · windows of 5 photographs from scikit-image", False)
    with pytest.raises(DataError, match="make a folder"):
        load_photographs(2, 64, tmp_path, shipped=False)


def test_the_first_line_says_where_to_put_ones_own(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path))
    session = Session("some", torch.device("cpu"), 1, 0, "photographs")
    said = f"windows of 5 photographs from scikit-image (to see your own, put them into {tmp_path / 'photographs'}): "
    assert session.data_label == said + "64 images of 256 pixels" and not session.stand_in


def test_a_chapter_gets_only_the_images_it_asked_for():
    with pytest.raises(SettingError, match="data='photographs'"):
        _ = Session("some", torch.device("cpu"), 1, 0, "cifar10").photographs
    with pytest.raises(SettingError, match="data='cifar10'"):
        _ = Session("some", torch.device("cpu"), 1, 0, "photographs").train


def test_a_readers_photographs_are_turned_and_said_to_be_and_a_data_sets_are_not(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.RandomState(0).randint(0, 255, (20, 20, 3), dtype=np.uint8)
    found = {}
    for name in ("photographs", "imagenet/val"):
        (tmp_path / name / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / name / name / "a.png", exif=exif)
        found[name] = load_photographs(1, 20, tmp_path / name)
    own, stored = found.values()
    assert np.array_equal(own.images[0].permute(1, 2, 0).numpy(), np.rot90(pixels, -1))
    assert np.array_equal(stored.images[0].permute(1, 2, 0).numpy(), pixels)
    assert own.name == "photographs (photographs), 1 turned as its EXIF asks" and stored.name == "photographs (val)"


def test_sixteen_bits_a_pixel_are_refused(root):
    Image.fromarray(np.full((30, 30), 40_000, np.uint16)).save(root / "photographs" / "class0" / "deep.png")
    with pytest.raises(DataError, match="deep.png cannot be decoded as an image .more than 8 bits a pixel"):
        load_photographs(5, 16, root)
