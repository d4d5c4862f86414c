"""The images the book trains on: CIFAR-10 from a reader's own copy, or the drawn stand-in that needs no download.

Nothing here opens the network: `python -m alexnet_lib data fetch cifar10` does, when a reader asks for it. Used by
every chapter that trains on small images, first of all "ReLU against tanh" (section 3.1, Figure 1).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..errors import DataError
from . import cache
from . import stand_in as drawn
from .cifar10_files import SIZE, Batches, ImageTree, find_cifar10
from .image_set import ImageSet, content_checksum, data_root, given_root

SPLITS = ("train", "test")


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
    if given_root(data) is not None:
        named = "--data (or data=)" if data is not None else "ALEXNET_DATA"
        raise DataError(
            f"the data root {root}, given by {named}, does not exist: make the folder, name another, "
            "or leave it unset to use data/downloads"
        )
    return None


def load_cifar10(split: str = "train", data: str | os.PathLike | None = None, *, stand_in: bool = True) -> ImageSet:
    """CIFAR-10's 50,000 training or 10,000 test images, decoded once and cached; the stand-in where there is none.

    Looked for at `data_root(data)`, as `cifar10_files.find_cifar10` says. Images uint8 (N, 3, 32, 32); labels int64,
    in the publisher's order, which is alphabetical. DataError: a named root that does not exist, damaged or odd files,
    or no data and stand_in=False.
    """
    if split not in SPLITS:
        raise DataError(f"split {split!r} is not known: choose 'train' or 'test'")
    found = find_data(data)
    if found is None:
        if stand_in:
            return draw_stand_in(split)
        raise DataError(how_to_get(data_root(data)))
    root = data_root(data)
    with _readable(found.folder):
        fingerprint = found.fingerprint(split)
        cached = cache.read(root, found.folder, split, fingerprint, SIZE, len(found.classes))
        if cached is None:
            images, labels = found.decode(split)
            cached = images, labels, content_checksum(images, labels)
            cache.write(root, found.folder, split, fingerprint, cached)
        images, labels, checksum = cached
        name = found.name(split, len(labels))
        return ImageSet(images, labels, found.classes, name, split, found.source, checksum)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"the data at {folder} cannot be read ({error}): mend the file, or its permissions") from error


def draw_stand_in(split: str = "train", n: int | None = None, seed: int = 0) -> ImageSet:
    """Drawn images, 32 x 32, ten classes of shapes, in place of CIFAR-10: 10,000 for training, 2,000 for the test.

    `n` asks for another number; `seed` for other drawings. Every machine draws the same pixels; the training and
    the test images of a seed are drawn apart. DataError: an unknown split, or n below 1.
    """
    pixels, numbers = drawn.draw(split, n, seed)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(numbers)
    return ImageSet(
        images,
        labels,
        drawn.CLASSES,
        "DRAWN STAND-IN, not CIFAR-10",
        split,
        f"drawn from seed {seed}",
        content_checksum(images, labels),
        stand_in=True,
    )


def how_to_get(root: Path) -> str:
    """The sentence that tells a reader how to bring CIFAR-10 under `root`."""
    return (
        f"no CIFAR-10 at {root}: `python -m alexnet_lib data fetch cifar10` downloads it (170 MB, once), or let "
        "ALEXNET_DATA (or --data) name a folder that holds cifar-10-batches-py or a tree "
        "{train,test}/<class>/*.{jpg,png}"
    )
