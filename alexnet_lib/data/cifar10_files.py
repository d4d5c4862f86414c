"""Two kinds of files that CIFAR-10 comes in, found and decoded: the publisher's batches and a tree of image files.

`find_cifar10(root)` picks one; each kind says its `folder`, `source`, `classes`, `fingerprint(split)` (changes when a
file does) and `decode(split)` to images uint8 (N, 3, 32, 32) and labels int64 (N,).
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ..errors import DataError, first_line
from ..system.progress import progress
from .imagenet.sources import odd_class
from .listing import LeftOut, folders_in, images_in
from .photographs import open_photograph

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_COUNTS = {"train": 50_000, "test": 10_000}
BATCHES_FOLDER = "cifar-10-batches-py"
SIZE = 32

Decoded = tuple[torch.Tensor, torch.Tensor]


def _fingerprint(files: Iterable[tuple[str, os.stat_result]]) -> str:
    digest = hashlib.sha256()
    for name, stat in files:
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


class _BatchUnpickler(pickle.Unpickler):
    """Unpickles arrays, dictionaries, lists, bytes and numbers, and refuses everything else, which could run code."""

    _ALLOWED = {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str):
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR-10 batch needs")
        if module == "numpy.core.multiarray" and np.lib.NumpyVersion(np.__version__) >= "2.0.0":
            module = "numpy._core.multiarray"  # NumPy 2 warns about the name that NumPy 1 wrote
        return super().find_class(module, name)


def read_batch(path: Path) -> dict:
    """One pickled dictionary of the publisher, keys as bytes. DataError: unreadable, cut short, or not plain data."""
    try:
        with path.open("rb") as file:
            content = _BatchUnpickler(file, encoding="bytes").load()
    except Exception as error:  # damaged pickles raise almost any exception
        raise DataError(
            f"{path} cannot be read as a CIFAR-10 batch ({first_line(error)}): delete {path.parent} and fetch CIFAR-10 "
            "again"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, not the dictionary of a CIFAR-10 batch")
    return content


@dataclass(frozen=True)
class Batches:
    """The publisher's `cifar-10-batches-py`: batches.meta, data_batch_1 to 5 and test_batch."""

    folder: Path

    source = f"the publisher's batches, {BATCHES_FOLDER}"

    def _files(self, split: str) -> list[Path]:
        names = ["test_batch"] if split == "test" else [f"data_batch_{i}" for i in range(1, 6)]
        files = [self.folder / name for name in ["batches.meta", *names]]
        for path in files:
            if not path.is_file():
                raise DataError(f"{path} is missing: delete {self.folder} and fetch CIFAR-10 again")
        return files

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names in batches.meta. DataError: it has none, or one that is no plain name."""
        meta = self.folder / "batches.meta"
        names = read_batch(meta).get(b"label_names")
        if not isinstance(names, list) or not names:
            raise DataError(f"{meta} names no classes (label_names): it is not CIFAR-10's batches.meta")
        classes = tuple(os.fsdecode(name) if isinstance(name, bytes) else str(name) for name in names)
        if odd := odd_class(classes):
            raise DataError(f"{meta}: {odd}: delete {self.folder} and fetch CIFAR-10 again")
        return classes

    def fingerprint(self, split: str) -> str:
        return _fingerprint((path.name, path.stat()) for path in self._files(split))

    def name(self, split: str, decoded: int) -> str:
        """CIFAR-10 where the split has the published number of images, else "part of CIFAR-10"."""
        return "CIFAR-10" if decoded == CIFAR10_COUNTS[split] else "part of CIFAR-10"

    def decode(self, split: str) -> Decoded:
        _, *files = self._files(split)
        pixels, labels = zip(*(_arrays_of(read_batch(path), path, len(self.classes)) for path in files), strict=True)
        return torch.from_numpy(np.concatenate(pixels).reshape(-1, 3, SIZE, SIZE)), torch.from_numpy(
            np.concatenate(labels)
        )


def _arrays_of(batch: dict, path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (3 * SIZE * SIZE,):
        raise DataError(f"{path} does not hold rows of {3 * SIZE * SIZE} bytes under 'data': it is no CIFAR-10 batch")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise DataError(f"{path} does not hold one label for each of its {len(pixels)} images")
    numbers = np.asarray(labels, dtype=np.int64)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < classes:
        raise DataError(f"{path} has a label outside 0 to {classes - 1}")
    return pixels, numbers


@dataclass(frozen=True)
class ImageTree:
    """A tree {train,test}/<class>/*.{jpg,png}; classes are the folders in alphabetical order, images in name order."""

    folder: Path
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    @property
    def source(self) -> str:
        return f"image files, {self.folder.resolve().name}/{{train,test}}/<class>/"

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Folder names of train/, which test/ must repeat. DataError where it does not, or where there are none."""
        train, test = (folders_in(self.folder / split) for split in ("train", "test"))
        if not train:
            raise DataError(f"{self.folder / 'train'} holds no class folders: expected train/<class>/*.jpg or *.png")
        if odd := sorted(set(train) ^ set(test)):
            raise DataError(f"{self.folder}: train/ and test/ do not hold the same classes; only one has {odd[0]}")
        if odd := odd_class(train):
            raise DataError(f"{self.folder / 'train'}: {odd}: rename it")
        return train

    @cached_property
    def files(self) -> dict[str, list[list[os.DirEntry]]]:
        """For each split, for each class, its image files in name order. DataError names a folder that has none."""
        return {
            split: [_class_images(self.folder / split / name, self.left_out) for name in self.classes]
            for split in ("train", "test")
        }

    def name(self, split: str, decoded: int) -> str:
        """CIFAR-10 (JPEG copy), or part of it, where classes and numbers are CIFAR-10's; else the folder's name."""
        if not set(self.classes) <= set(CIFAR10_CLASSES):
            return self.folder.resolve().name
        counts = {split: [len(entries) for entries in self.files[split]] for split in self.files}
        published = {split: total // 10 for split, total in CIFAR10_COUNTS.items()}
        if any(max(counts[split]) > published[split] for split in counts):
            return self.folder.resolve().name
        lossless = all(e.name.lower().endswith(".png") for split in self.files.values() for c in split for e in c)
        name = "CIFAR-10" if lossless else "CIFAR-10 (JPEG copy)"
        whole = all(counts[split] == [published[split]] * 10 for split in counts)
        return name if whole else f"part of {name}"

    def fingerprint(self, split: str) -> str:
        return _fingerprint(
            (f"{name}/{entry.name}", entry.stat())
            for name, entries in zip(self.classes, self.files[split], strict=True)
            for entry in entries
        )

    def decode(self, split: str) -> Decoded:
        """Decodes on a few threads (the decoder works outside Python's lock), with a progress bar."""
        paths = [Path(entry.path) for entries in self.files[split] for entry in entries]
        pixels = np.empty((len(paths), SIZE, SIZE, 3), np.uint8)
        # Closed, what is not yet decoded is given up: at once after a damaged file or Ctrl-C.
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool, closing(pool.map(read_image, paths)) as images:
            for i, image in enumerate(progress(images, total=len(paths), desc=f"decoding {split}", unit="image")):
                pixels[i] = image
        labels = torch.tensor([c for c, entries in enumerate(self.files[split]) for _ in entries], dtype=torch.int64)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels


def _class_images(folder: Path, left: LeftOut) -> list[os.DirEntry]:
    files = images_in(folder, left)
    if not files:
        raise DataError(f"the class folder {folder} holds no .jpg or .png image: fill it or remove it")
    return files


def read_image(path: Path) -> np.ndarray:
    """One image file as RGB uint8 (32, 32, 3). DataError names a file that is damaged or of another size."""
    image = open_photograph(path)
    if image.size != (SIZE, SIZE):
        width, height = image.size
        raise DataError(f"{path} is {width} x {height} pixels, not {SIZE} x {SIZE} as every image here must be")
    return np.asarray(image)


def find_cifar10(root: Path) -> Batches | ImageTree | None:
    """The data set at `root`, or in one folder inside it: the publisher's batches first, then a tree of the ten
    classes. A root that is itself such a tree may hold any classes."""
    for folder in (root, root / BATCHES_FOLDER):
        if (folder / "batches.meta").is_file() or (folder.name == BATCHES_FOLDER and folder.is_dir()):
            return Batches(folder)
    if _has_splits(root):
        return ImageTree(root)
    for folder in map(root.joinpath, folders_in(root)):
        try:
            if _has_splits(folder) and folders_in(folder / "train") == CIFAR10_CLASSES:
                return ImageTree(folder)
        except PermissionError:  # lost+found of a mounted disk, or another user's
            continue
    return None


def _has_splits(folder: Path) -> bool:
    return (folder / "train").is_dir() and (folder / "test").is_dir()
