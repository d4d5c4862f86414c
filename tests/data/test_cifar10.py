"""CIFAR-10 read from a reader's own files: what is found, what is cached, and what each kind of damage says."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from archives import write_batches
from PIL import Image
from small_sets import separable

from alexnet_lib import ROOT
from alexnet_lib.commands.data import run_show
from alexnet_lib.data import cifar10_files
from alexnet_lib.data.cifar10 import draw_stand_in, load_cifar10
from alexnet_lib.data.cifar10_files import CIFAR10_CLASSES, ImageTree
from alexnet_lib.data.image_set import ImageSet, content_checksum, data_root
from alexnet_lib.errors import DataError

pytestmark = pytest.mark.usefixtures("closed_to_the_reader")


def test_tree_gives_its_pixels_and_labels_in_the_publishers_class_order(tree):
    train = load_cifar10("train", tree, stand_in=False)
    assert train.images.shape == (20, 3, 32, 32) and train.images.dtype == torch.uint8
    assert train.labels.tolist() == [c for c in range(10) for _ in range(2)] and train.labels.dtype == torch.int64
    assert train.classes == CIFAR10_CLASSES
    pixels, labels = separable(20, classes=10, size=32, seed=len("train"))
    for c in range(10):
        assert torch.equal(train.images[train.labels == c], pixels[labels == c])
    assert train.checksum == content_checksum(train.images, train.labels)
    assert len(load_cifar10("test", tree)) == 10


def test_batches_give_the_same_images_as_a_tree_and_are_preferred(tree):
    train = load_cifar10("train", tree)
    write_batches(tree / "cifar-10-batches-py", train.images.numpy(), train.labels.tolist())
    from_batches = load_cifar10("train", tree)
    assert from_batches.source == "the publisher's batches, cifar-10-batches-py"
    assert torch.equal(from_batches.images, train.images) and torch.equal(from_batches.labels, train.labels)
    assert from_batches.checksum == train.checksum
    assert from_batches.name == "part of CIFAR-10" and from_batches.classes == CIFAR10_CLASSES
    assert load_cifar10("train", tree / "cifar-10-batches-py").checksum == train.checksum


def test_labels_of_data_say_what_it_is(tree):
    train = load_cifar10("train", tree)
    assert train.label == "part of CIFAR-10, 20 training images"
    assert load_cifar10("test", tree).label == "part of CIFAR-10, 10 test images"
    assert train.provenance() == {
        "name": "part of CIFAR-10",
        "split": "train",
        "source": "image files, photos/{train,test}/<class>/",
        "checksum": train.checksum,
        "images": 20,
        "classes": list(CIFAR10_CLASSES),
        "stand_in": False,
    }


@pytest.mark.parametrize(
    ("train", "test", "suffix", "name"),
    [
        (5000, 1000, "png", "CIFAR-10"),
        (5000, 1000, "jpg", "CIFAR-10 (JPEG copy)"),
        (5000, 999, "jpg", "part of CIFAR-10 (JPEG copy)"),
        (4000, 1000, "png", "part of CIFAR-10"),
        (5001, 1000, "png", "photos"),
    ],
)
def test_name_of_a_tree_by_its_classes_and_counts(tmp_path, train, test, suffix, name):
    class Entry:
        def __init__(self, name):
            self.name = name

    found = ImageTree(tmp_path / "photos")
    found.__dict__["classes"] = CIFAR10_CLASSES
    found.__dict__["files"] = {
        split: [[Entry(f"{i}.{suffix}") for i in range(n)]] * 10 for split, n in (("train", train), ("test", test))
    }
    assert found.name("train", 10 * train) == name


def test_tree_of_other_classes_is_taken_only_when_pointed_at_and_never_called_cifar10(tmp_path):
    for split in ("train", "test"):
        for name in ("apple", "pear"):
            folder = tmp_path / "fruit" / split / name
            folder.mkdir(parents=True)
            Image.new("L", (32, 32), 77).save(folder / "grey.PNG")
    fruit = load_cifar10("test", tmp_path / "fruit")
    assert (fruit.name, fruit.classes, fruit.label) == ("fruit", ("apple", "pear"), "fruit, 2 test images")
    assert fruit.images.unique().tolist() == [77]
    assert load_cifar10("test", tmp_path).stand_in


def test_no_data_gives_the_stand_in_or_says_how_to_get_it(tmp_path):
    assert load_cifar10("test", tmp_path).label == "DRAWN STAND-IN, not CIFAR-10, 2,000 drawn test images"
    with pytest.raises(DataError, match="no CIFAR-10 at .*`python -m alexnet_lib data fetch cifar10` downloads it"):
        load_cifar10("test", tmp_path, stand_in=False)
    with pytest.raises(DataError, match="split 'valid' is not known: choose 'train' or 'test'"):
        load_cifar10("valid", tmp_path)


def test_data_root_argument_then_variable_then_the_project(tree, monkeypatch):
    assert data_root() == ROOT / "data" / "downloads"
    monkeypatch.setenv("ALEXNET_DATA", str(tree))
    assert data_root() == tree and len(load_cifar10("train")) == 20
    assert data_root(tree / "photos") == tree / "photos"
    monkeypatch.setenv("ALEXNET_DATA", "")
    assert data_root().name == "downloads"


def test_named_data_root_that_does_not_exist_is_an_error_not_the_stand_in(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"gone, given by --data \(or data=\), does not exist"):
        load_cifar10("train", tmp_path / "gone")
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone, given by ALEXNET_DATA, does not exist: make the folder"):
        load_cifar10("train")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file is a file, not a folder"):
        load_cifar10("train", tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"not an image", "cut"])
def test_corrupt_image_is_named(tree, content):
    bad = tree / "photos" / "train" / "cat" / "0003.png"
    bad.write_bytes(bad.read_bytes()[:200] if content == "cut" else content)
    with pytest.raises(DataError, match=r"train/cat/0003.png cannot be decoded as an image \(.*replace or delete it"):
        load_cifar10("train", tree)
    assert not (tree / ".alexnet_cache").exists()


def test_image_of_another_size_is_named(tree):
    Image.new("RGB", (40, 30)).save(tree / "photos" / "train" / "dog" / "odd.jpg")
    with pytest.raises(DataError, match="train/dog/odd.jpg is 40 x 30 pixels, not 32 x 32"):
        load_cifar10("train", tree)


def test_empty_class_folder_is_named(tree):
    for image in (tree / "photos" / "test" / "frog").iterdir():
        image.rename(image.with_suffix(".txt"))
    with pytest.raises(DataError, match="the class folder .*test/frog holds no .jpg or .png image"):
        load_cifar10("train", tree)


def test_dangling_link_and_unreadable_root_are_named(tree, monkeypatch):
    (tree / "photos" / "train" / "bird" / "gone.png").symlink_to(tree / "nowhere.png")
    with pytest.raises(DataError, match="photos cannot be read .*No such file.*bird/gone.png.*: mend the file"):
        load_cifar10("train", tree)

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match="root cannot be read .*Permission denied.* or its permissions"):
        load_cifar10("train", tree)


def test_classes_of_train_and_test_must_agree(tree):
    (tree / "photos" / "test" / "ship").rename(tree / "photos" / "test" / "boat")
    with pytest.raises(DataError, match="train/ and test/ do not hold the same classes; only one has boat"):
        load_cifar10("train", tree)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch /tmp/alexnet_lib_was_here",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps(Malicious()), "asks for posix.system, which no CIFAR-10 batch needs"),
        (
            pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [3]})[:40],
            "cannot be read as a CIFAR-10 batch",
        ),
        (pickle.dumps([1]), "holds a list, not the dictionary"),
        (pickle.dumps({b"data": np.zeros((1, 9), np.uint8), b"labels": [3]}), "does not hold rows of 3072 bytes"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [3]}), "one label for each of its 2 images"),
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}), "a label outside 0 to 9"),
    ],
)
def test_bad_batch_is_refused_and_named(tmp_path, content, said):
    folder = write_batches(tmp_path / "cifar-10-batches-py", np.zeros((5, 3, 32, 32), np.uint8), [0, 1, 2, 3, 4])
    (folder / "data_batch_4").write_bytes(content)
    with pytest.raises(DataError, match=f"data_batch_4.*{said}"):
        load_cifar10("train", tmp_path)
    assert not Path("/tmp/alexnet_lib_was_here").exists()


@pytest.mark.parametrize("name", [b"../../x", b"caf\xe9", b"a\nb"])
def test_a_class_that_is_no_plain_name_is_refused(tmp_path, tree, name):
    folder = write_batches(tmp_path / "cifar-10-batches-py", np.zeros((5, 3, 32, 32), np.uint8), [0, 1, 2, 3, 4])
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"cat", name]}))
    with pytest.raises(DataError, match="batches.meta: class .*fetch CIFAR-10 again"):
        load_cifar10("train", tmp_path)
    if b"/" not in name:
        for split in ("train", "test"):
            (tree / "photos" / split / "ship").rename(os.path.join(tree, "photos", split, os.fsdecode(name)))
        with pytest.raises(DataError, match="photos/train: class .*rename it"):
            load_cifar10("train", tree / "photos")


def test_missing_batch_is_named(tmp_path):
    folder = write_batches(tmp_path / "cifar-10-batches-py", np.zeros((5, 3, 32, 32), np.uint8), [0, 1, 2, 3, 4])
    (folder / "data_batch_2").unlink()
    with pytest.raises(DataError, match="data_batch_2 is missing: delete .*cifar-10-batches-py and fetch CIFAR-10"):
        load_cifar10("train", tmp_path)


def test_subset_is_balanced_repeatable_and_keeps_its_name():
    whole = draw_stand_in("test", 200)
    some = whole.subset(33, seed=5)
    assert some.labels.bincount().tolist() == [4, 4, 4, 3, 3, 3, 3, 3, 3, 3]
    assert torch.equal(some.images, whole.subset(33, seed=5).images)
    assert not torch.equal(some.images, whole.subset(33, seed=6).images)
    assert some.name == whole.name and some.checksum == content_checksum(some.images, some.labels) != whole.checksum
    assert some.labels.tolist() != sorted(some.labels.tolist())
    assert len({image.numpy().tobytes() for image in whole.subset(200).images}) == 200


def test_subset_that_cannot_be_had_is_refused():
    labels = torch.tensor([0, 0, 0, 1])
    uneven = ImageSet(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), labels, ("a", "b"), "two", "train", "here", "none")
    for n in (0, -1, 5):
        with pytest.raises(DataError, match=f"cannot take {n} images from two, 4 training images: choose 1 to 4"):
            uneven.subset(n)
    with pytest.raises(DataError, match="2 of class b, from two, 4 training images: it has only 1 of that class"):
        uneven.subset(4)


def test_data_show_says_what_is_there_and_how_to_get_what_is_missing(tree, tmp_path, capsys):
    class Args:
        data = str(tree)

    assert run_show(Args) == 0
    printed = capsys.readouterr().out
    assert f"data root: {tree}" in printed and "part of CIFAR-10, 20 training images" in printed
    assert load_cifar10("test", tree).checksum in printed and "data fetch cifar10" not in printed
    Args.data = str(tmp_path)
    assert run_show(Args) == 0
    printed = capsys.readouterr().out
    assert "DRAWN STAND-IN, not CIFAR-10, 10,000 drawn training images" in printed
    assert "`python -m alexnet_lib data fetch cifar10` downloads it" in printed


REAL = os.environ.get("ALEXNET_DATA")


@pytest.mark.skipif(not REAL, reason="ALEXNET_DATA names no data: set it to test on real CIFAR-10")
def test_real_cifar10_is_whole_balanced_and_the_same_from_the_cache():
    for split, each in (("train", 5000), ("test", 1000)):
        real = load_cifar10(split, REAL)
        if real.stand_in or not real.name.startswith("CIFAR-10"):
            pytest.skip(f"ALEXNET_DATA holds {real.name}, not the whole of CIFAR-10")
        assert real.labels.bincount().tolist() == [each] * 10 and real.classes == CIFAR10_CLASSES
        assert real.checksum == content_checksum(real.images, real.labels)
        found = cifar10_files.find_cifar10(Path(REAL))
        if isinstance(found, ImageTree):
            files = [entry.path for entries in found.files[split] for entry in entries]
            for i in range(0, len(files), 500):
                pixels = np.moveaxis(cifar10_files.read_image(Path(files[i])), -1, 0)
                assert np.array_equal(real.images[i].numpy(), pixels), files[i]
