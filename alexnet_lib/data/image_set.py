"""A set of images that memory holds, uint8 (N, 3, H, W), 0 to 255; and the folder where data is looked for."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .. import ROOT
from ..errors import DataError


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
        return f"{self.name}, {len(self):,} {drawn}{'training' if self.split == 'train' else 'test'} images"

    def provenance(self) -> dict:
        """What a record keeps about the data: name, split, source, checksum, number of images, classes, stand_in."""
        return {
            "name": self.name,
            "split": self.split,
            "source": self.source,
            "checksum": self.checksum,
            "images": len(self),
            "classes": list(self.classes),
            "stand_in": self.stand_in,
        }

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
                raise DataError(
                    f"cannot take {n} images, {want} of class {class_name}, from {self.label}: "
                    f"it has only {len(members)} of that class"
                )
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

    Outside a clone the last is that of the current folder. The folder need not exist.
    """
    if (given := given_root(data)) is not None:
        return given
    if (ROOT / "pyproject.toml").is_file():
        return ROOT / "data" / "downloads"
    return Path.cwd() / "data" / "downloads"


def given_root(data: str | os.PathLike | None) -> Path | None:
    """The folder that the argument or ALEXNET_DATA names; None where neither does."""
    chosen = data if data is not None else os.environ.get("ALEXNET_DATA") or None
    try:
        return None if chosen is None else Path(chosen).expanduser()
    except RuntimeError as error:
        raise DataError(f"{chosen} names no data folder: {error}") from error
