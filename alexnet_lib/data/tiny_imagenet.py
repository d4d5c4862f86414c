"""Tiny ImageNet as published: 200 of ImageNet's classes, 500 training and 50 validation images of each, 64 x 64.

The experiments with the whole network train on it. Its 10,000 test images are of no use: their labels are not public.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError
from .imagenet.labels import LABELS_HELP
from .imagenet.sources import LAYOUTS, Source, find_source

FOLDER = "tiny-imagenet-200"  # in the data root
URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
CLASSES = 200
COUNTS = {"train": 100_000, "val": 10_000}


def find_tiny(folder: Path) -> Source:
    """List its images, which are not opened. DataError: what is missing of wnids.txt, the classes or the two splits.

    Validation images that were sorted into class folders, as some scripts do, are as good as the publisher's layout.
    """
    again = f"delete {folder}, or move it away, and run `python -m alexnet_lib data fetch tiny-imagenet`"
    try:
        for name in ("wnids.txt", "val"):
            if not (folder / name).exists():
                raise DataError(f"{folder / name} is missing")
        source = find_source(folder)
    except DataError as error:
        said = str(error).removesuffix(f": {LAYOUTS}").removesuffix(f". {LABELS_HELP}")
        raise DataError(f"{said}; if you cannot mend it, {again}") from error
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error}): mend its permissions, or {again}") from error
    if len(source.classes) != CLASSES:
        raise DataError(f"{folder} holds {len(source.classes)} classes, not {CLASSES}: {again}")
    return source


def read_boxes(folder: Path, names: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Of each of these validation images the object's box: left, top, right, bottom, in its 64 pixels, all within it.

    Read from val/val_annotations.txt. DataError: it is not there, a line of it has no box, or an image is missing.
    """
    path = folder / "val" / "val_annotations.txt"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): it tells where the objects are") from error
    found = {}
    for number, line in enumerate(lines, 1):
        name, *fields = line.split("\t")
        try:
            left, top, right, bottom = map(int, fields[1:])
        except ValueError as error:
            raise DataError(f"{path}, line {number}: no box of four whole numbers after {name}") from error
        found[name] = (left, top, right, bottom)
    if lost := [name for name in names if name not in found]:
        raise DataError(f"{path} says nothing of {lost[0]} ({len(lost)} of {len(names)} images)")
    return [found[name] for name in names]


def describe_tiny(source: Source) -> str:
    """One line, such as "Tiny ImageNet, 100,000 training and 10,000 validation images of 200 classes"."""
    found = {split: len(entries) for split, entries in source.splits.items()}
    name = "Tiny ImageNet" if found == COUNTS else "part of Tiny ImageNet"
    return (
        f"{name}, {found['train']:,} training and {found['val']:,} validation images of {len(source.classes)} classes"
    )


def how_to_get_tiny(root: Path) -> str:
    """The sentence that tells a reader how to bring it under `root`."""
    return (
        f"no {FOLDER} in {root}: `python -m alexnet_lib data fetch tiny-imagenet` downloads it (248 MB, once, from "
        f"{URL}), or let ALEXNET_DATA (or --data) name the folder that holds it"
    )
