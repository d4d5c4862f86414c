"""The decoded images on disk: used while they match the files, replaced when not, never half written, never needed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from alexnet_lib.data import cache, cifar10_files
from alexnet_lib.data.cifar10 import load_cifar10
from alexnet_lib.data.image_set import content_checksum

pytestmark = pytest.mark.usefixtures("closed_to_the_reader")


def cache_file(root: Path, split: str = "train") -> Path:
    return root / ".alexnet_cache" / f"photos-{split}.safetensors"


def count_decodes(monkeypatch) -> list[Path]:
    decoded = []
    read_image = cifar10_files.read_image
    monkeypatch.setattr(cifar10_files, "read_image", lambda path: decoded.append(path) or read_image(path))
    return decoded


def test_second_load_decodes_nothing_and_a_changed_file_decodes_anew(tree, monkeypatch):
    first = load_cifar10("train", tree)
    decoded = count_decodes(monkeypatch)
    again = load_cifar10("train", tree)
    assert decoded == [] and torch.equal(again.images, first.images) and again.provenance() == first.provenance()
    changed = tree / "photos" / "train" / "airplane" / "0000.png"
    Image.new("RGB", (32, 32), (1, 2, 3)).save(changed)
    anew = load_cifar10("train", tree)
    assert len(decoded) == 20 and anew.images[0, :, 5, 5].tolist() == [1, 2, 3] and anew.checksum != first.checksum
    changed.unlink()
    assert len(load_cifar10("train", tree)) == 19


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_damaged_cache_is_replaced(tree, monkeypatch, damage):
    first = load_cifar10("train", tree)
    path = cache_file(tree)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "other": b"\xff" * 64}[damage])
    assert torch.equal(load_cifar10("train", tree).images, first.images)
    assert path.stat().st_size == len(whole)
    decoded = count_decodes(monkeypatch)
    assert load_cifar10("train", tree).checksum == first.checksum and decoded == []


def edited(images: torch.Tensor, labels: torch.Tensor, how: str) -> tuple[torch.Tensor, torch.Tensor]:
    if how == "pixels":
        images[3, :, 10:20] = 0
    elif how.startswith("labels"):
        labels += 90 if how == "labels too large" else -1
    elif how == "another shape":
        images = images.view(len(images), 3, 16, 64)
    return images, labels


@pytest.mark.parametrize("how", ["pixels", "labels too large", "labels below 0", "another shape", "no checksum"])
def test_edited_cache_is_replaced(tree, how):
    """Labels and shapes even where the checksum is that of what was edited."""
    first = load_cifar10("train", tree)
    with safe_open(cache_file(tree), "pt") as file:
        meta, images, labels = file.metadata(), file.get_tensor("images"), file.get_tensor("labels")
    images, labels = edited(images, labels, how)
    if how == "no checksum":
        del meta["checksum"]
    elif how != "pixels":
        meta["checksum"] = content_checksum(images, labels)
    save_file({"images": images, "labels": labels}, cache_file(tree), meta)
    again = load_cifar10("train", tree)
    assert torch.equal(again.images, first.images) and torch.equal(again.labels, first.labels)
    assert again.provenance() == first.provenance()
    with safe_open(cache_file(tree), "pt") as file:
        assert torch.equal(file.get_tensor("images"), first.images)


def test_names_of_classes_come_from_the_files_and_not_from_the_cache(tree):
    first = load_cifar10("train", tree)
    with safe_open(cache_file(tree), "pt") as file:
        meta, tensors = file.metadata(), {name: file.get_tensor(name) for name in ("images", "labels")}
    for named in ('["../../x"]', "5"):
        save_file(tensors, cache_file(tree), meta | {"classes": named})
        assert load_cifar10("train", tree).classes == first.classes


def fail_with(monkeypatch, number: int, under: Path) -> None:
    """Writing a file under a folder fails as the system fails, at the last moment: when it is pushed to the disk."""
    fsync = os.fsync

    def failing(descriptor):
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).is_relative_to(under):
            raise OSError(number, os.strerror(number))
        return fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)


def test_full_disk_while_caching_warns_once_and_goes_on_in_memory(tree, monkeypatch):
    fail_with(monkeypatch, errno.ENOSPC, tree)
    with pytest.warns(UserWarning, match="could not be cached .*No space left on device.* stay in memory") as caught:
        train = load_cifar10("train", tree)
    assert len(caught) == 1 and len(train) == 20
    assert list((tree / ".alexnet_cache").iterdir()) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_read_only_data_root_is_cached_for_the_user(tree, monkeypatch, number):
    mkdir = Path.mkdir

    def failing(self, *args, **kwargs):
        if self.is_relative_to(tree):
            raise OSError(number, os.strerror(number), str(self))
        return mkdir(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", failing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = load_cifar10("train", tree)
    user = Path(os.environ["XDG_CACHE_HOME"]) / "alexnet_lib"
    assert [path.name.startswith("photos-") for path in user.iterdir()] == [True]
    assert not (tree / ".alexnet_cache").exists()
    decoded = count_decodes(monkeypatch)
    assert load_cifar10("train", tree).checksum == first.checksum and decoded == []


def test_no_place_for_the_cache_warns_and_goes_on(tree, monkeypatch):
    def failing(self, *args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "mkdir", failing)
    with pytest.warns(UserWarning, match="Read-only file system.*alexnet_lib.*Read-only file system"):
        assert len(load_cifar10("train", tree)) == 20


def test_killed_write_leaves_no_half_cache(tree):
    """The process dies, as by a power cut, when the bytes are written but the file has not got its name."""
    code = (
        "import os, signal, sys\nfrom alexnet_lib.data.cifar10 import load_cifar10\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\nload_cifar10('train', sys.argv[1])"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tree)]).returncode == -signal.SIGKILL
    assert not cache_file(tree).exists()
    left = list((tree / ".alexnet_cache").iterdir())
    assert [path.suffix for path in left] == [".part"]
    os.utime(left[0], (0, 0))
    assert len(load_cifar10("train", tree)) == 20
    assert [path.name for path in (tree / ".alexnet_cache").iterdir()] == ["photos-train.safetensors"]


def test_cache_of_another_version_is_not_read(tree, monkeypatch):
    load_cifar10("train", tree)
    monkeypatch.setattr(cache, "VERSION", "0")
    decoded = count_decodes(monkeypatch)
    load_cifar10("train", tree)
    assert len(decoded) == 20
