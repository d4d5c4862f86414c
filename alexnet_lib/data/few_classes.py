"""A few classes of real photographs, prepared as ImageNet is, for a training run that two cores finish in a minute.

The paper's preparation is section 2. Used by "Full training".
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DataError
from .cifar10 import load_cifar10
from .image_set import ImageSet, data_root
from .imagenet.preparation import prepare
from .imagenet.sources import spread
from .tiny_imagenet import CLASSES as TINY_CLASSES
from .tiny_imagenet import FOLDER as TINY_IMAGENET

HELD_OUT = 50  # images a class to validate with: as many as Tiny ImageNet has


@dataclass(frozen=True)
class FewClasses:
    """What `few_classes` prepared: where; the data's name; whether it is the stand-in; its classes in plain words."""

    folder: Path
    name: str
    stand_in: bool
    words: tuple[str, ...]


def few_classes(
    folder: str | os.PathLike,
    classes: int = 5,
    per_class: int = 200,
    side: int = 72,
    data: str | os.PathLike | None = None,
) -> FewClasses:
    """Prepare `classes` classes in `folder` (a new one), `per_class` training images of each, side x side pixels, and
    50 of each to validate with; the classes are spread evenly over the data's list.

    Taken from `data_root(data)`: tiny-imagenet-200 if that is there, else CIFAR-10 or what `load_cifar10` gives in its
    place, enlarged from 32 pixels. DataError: more classes or images than there are, or data that is damaged.
    """
    source, target = data_root(data) / TINY_IMAGENET, Path(folder)
    train = None if source.is_dir() else load_cifar10("train", data)
    there = TINY_CLASSES if train is None else len(train.classes)
    if not 1 <= classes <= there:
        raise DataError(f"cannot take {classes} classes: give 1 to {there}")
    name = f"{'Tiny ImageNet' if train is None else train.name}, {classes} of its {there} classes"
    if train is None:
        index = prepare(source, target, side=side, classes=classes, per_class=per_class)
        words = tuple((entry["words"] or entry["name"]).split(",")[0] for entry in index["classes"])
        return FewClasses(target, name, False, words)
    chosen = spread(classes, there)
    with tempfile.TemporaryDirectory() as files:
        _write(train, chosen, per_class, Path(files) / "train")
        _write(load_cifar10("test", data), chosen, HELD_OUT, Path(files) / "val")
        prepare(files, target, side=side)
    return FewClasses(target, name, train.stand_in, tuple(train.classes[c] for c in chosen))


def _write(images: ImageSet, chosen: list[int], count: int, folder: Path) -> None:
    """The first `count` images of each chosen class as PNG, in folders named so that their order is the labels'."""
    labels = images.labels.numpy()
    for place, label in enumerate(chosen):
        numbers = np.flatnonzero(labels == label)[:count]
        if len(numbers) < count:
            raise DataError(
                f"cannot take {count} images of class {images.classes[label]} from {images.label}: "
                f"it has only {len(numbers)} of that class"
            )
        of_class = folder / f"{place:02}-{images.classes[label].replace(' ', '-')}"
        of_class.mkdir(parents=True)
        for number in numbers:
            Image.fromarray(images.images[number].permute(1, 2, 0).numpy()).save(of_class / f"{number:05}.png")
