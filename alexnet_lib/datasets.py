"""The images the book trains on: CIFAR-10 from a reader's own copy, or the drawn stand-in that needs no download.

Pixels are whole numbers 0 to 255, uint8, in tensors (N, 3, 32, 32); labels are int64 (N,). Nothing here opens the
network: `python -m alexnet_lib data fetch cifar10` (alexnet_lib.download) does, when a reader asks for it.
Used by every chapter that trains on small images, first of all "ReLU against tanh" (section 3.1, Figure 1).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from alexnet_lib import image_cache
from alexnet_lib import stand_in as drawn
from alexnet_lib.errors import DataError
from alexnet_lib.image_sources import Batches, ImageTree, find_cifar10

SPLITS = ("train", "test")
_SPLIT_WORDS = {"train": "training", "test": "test"}
STAND_IN_NAME = "DRAWN STAND-IN, not CIFAR-10"


@dataclass(frozen=True)
class ImageSet:
    """One split of a data set, wholly in memory.

    images: uint8 (N, 3, H, W), RGB, 0 to 255.   labels: int64 (N,), an index into `classes`.
    name: what the data is; `stand_in` is true for drawn images, and then `name` says so.
    source: the kind of files and their folder's name, without the reader's own path.
    checksum: "sha256:..." over all pixels, then all labels.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]
    name: str
    split: str
    source: str
    checksum: str
    stand_in: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def label(self) -> str:
        """One line for first lines and figures, such as "CIFAR-10 (JPEG copy), 50,000 training images"."""
        drawn = "drawn " if self.stand_in else ""
        return f"{self.name}, {len(self):,} {drawn}{_SPLIT_WORDS[self.split]} images"

    def provenance(self) -> dict:
        """What a record keeps about the data: name, split, source, checksum, number of images, classes, stand_in."""
        return {"name": self.name, "split": self.split, "source": self.source, "checksum": self.checksum,
                "images": len(self), "classes": list(self.classes), "stand_in": self.stand_in}

    def subset(self, n: int, seed: int = 0) -> ImageSet:
        """`n` images, equally many of each class (the first classes get one more where n does not divide), mixed.

        The same `n` and `seed` give the same images in the same order. The name stays; the checksum is the subset's.
        DataError: n below 1, or a class with fewer images than its share.
        """
        if not 1 <= n <= len(self):
            raise DataError(f"cannot take {n} images from {self.label}: choose 1 to {len(self)}")
        rng = np.random.RandomState(seed)  # its stream is frozen by NumPy: the same subset in every version
        labels, share, chosen = self.labels.numpy(), divmod(n, len(self.classes)), []
        for c, class_name in enumerate(self.classes):
            members, want = rng.permutation(np.flatnonzero(labels == c)), share[0] + (c < share[1])
            if len(members) < want:
                raise DataError(f"cannot take {n} images, {want} of class {class_name}, from {self.label}: "
                                f"it has only {len(members)} of that class")
            chosen.append(members[:want])
        index = torch.from_numpy(rng.permutation(np.concatenate(chosen)))
        images, picked = self.images[index], self.labels[index]
        return replace(self, images=images, labels=picked, checksum=content_checksum(images, picked))


def content_checksum(images: torch.Tensor, labels: torch.Tensor) -> str:
    """sha256 over the pixels (N, 3, H, W), then the labels (int64, little-endian): the same on every machine."""
    digest = hashlib.sha256(np.ascontiguousarray(images.numpy()))
    digest.update(labels.numpy().astype("<i8"))
    return f"sha256:{digest.hexdigest()}"


def data_root(data: str | os.PathLike | None = None) -> Path:
    """The folder that holds the data: the argument, else ALEXNET_DATA, else data/downloads of this project.

    Outside a clone (the package installed elsewhere) the last is data/downloads of the nearest folder upwards from
    the current one that has a `data` folder, else of the current one. The folder need not exist.
    """
    given = _given_root(data)
    if given is not None:
        return given
    here, clone = Path.cwd(), Path(__file__).resolve().parents[1]
    if (clone / "pyproject.toml").is_file():
        return clone / "data" / "downloads"
    home = next((folder for folder in (here, *here.parents) if (folder / "data").is_dir()), here)
    return home / "data" / "downloads"


def _given_root(data: str | os.PathLike | None) -> Path | None:
    chosen = data if data is not None else os.environ.get("ALEXNET_DATA") or None
    return None if chosen is None else Path(chosen).expanduser()


def find_data(data: str | os.PathLike | None = None) -> Batches | ImageTree | None:
    """Where CIFAR-10 (or the tree a reader points at) lies under the data root; None if there is none.

    DataError: a root that was named (argument or ALEXNET_DATA) but does not exist or is not a folder.
    """
    root = data_root(data)
    if root.is_dir():
        with _readable(root):
            return find_cifar10(root)
    if root.exists():
        raise DataError(f"the data root {root} is a file, not a folder: name the folder that holds the data set")
    if _given_root(data) is not None:
        named = "--data (or data=)" if data is not None else "ALEXNET_DATA"
        raise DataError(f"the data root {root}, given by {named}, does not exist: make the folder, name another, "
                        "or leave it unset to use data/downloads")
    return None


def load_cifar10(split: str = "train", data: str | os.PathLike | None = None, *, stand_in: bool = True) -> ImageSet:
    """CIFAR-10's 50,000 training or 10,000 test images, decoded once and cached; the stand-in where there is none.

    Looked for at `data_root(data)`, the folder itself or one inside it: the publisher's `cifar-10-batches-py`, else
    a tree {train,test}/<class>/*.{jpg,png} with the ten class names. A root that is itself such a tree may hold any
    classes, 32 x 32. Never downloads.
    Returns images uint8 (N, 3, 32, 32); labels follow the publisher's order, which is alphabetical.
    DataError: a named root that does not exist, damaged or odd files, or no data and stand_in=False.
    """
    if split not in SPLITS:
        raise DataError(f"split {split!r} is not known: choose 'train' or 'test'")
    found = find_data(data)
    if found is None:
        if stand_in:
            return draw_stand_in(split)
        raise DataError(how_to_get(data_root(data)))
    with _readable(found.folder):
        return _load_found(found, split, data_root(data))


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"the data at {folder} cannot be read ({error}): mend the file, or its permissions") from error


def _load_found(found: Batches | ImageTree, split: str, root: Path) -> ImageSet:
    fingerprint = found.fingerprint(split)
    cached = image_cache.read(root, found.folder, split, fingerprint)
    if cached is None:
        images, labels, classes = found.decode(split)
        cached = image_cache.Cached(images, labels, classes, content_checksum(images, labels))
        image_cache.write(root, found.folder, split, fingerprint, cached)
    return ImageSet(cached.images, cached.labels, cached.classes, found.name(split, len(cached.labels)), split,
                    found.source, cached.checksum)


def draw_stand_in(split: str = "train", n: int | None = None, seed: int = 0) -> ImageSet:
    """Drawn images, 32 x 32, ten classes of shapes, in place of CIFAR-10: 10,000 for training, 2,000 for the test.

    `n` asks for another number; `seed` for other drawings. Every machine draws the same pixels; the training and
    the test images of a seed are drawn apart. The label says DRAWN STAND-IN: results on it say nothing of CIFAR-10.
    DataError: an unknown split, or n below 1.
    """
    pixels, numbers = drawn.draw(split, n, seed)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(numbers)
    return ImageSet(images, labels, drawn.CLASSES, STAND_IN_NAME, split, f"drawn from seed {seed}",
                    content_checksum(images, labels), stand_in=True)


def how_to_get(root: Path) -> str:
    """The sentence that tells a reader how to bring CIFAR-10 under `root`."""
    return (f"no CIFAR-10 at {root}: `python -m alexnet_lib data fetch cifar10` downloads it (170 MB, once), or let "
            "ALEXNET_DATA (or --data) name a folder that holds cifar-10-batches-py or a tree "
            "{train,test}/<class>/*.{jpg,png}")
