"""The text files beside ImageNet's images: which class a validation image is of, and a class's everyday words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError

LABELS_HELP = """Give --val-labels FILE, a text file with one line an image: its file name (the ending may be left \
out), then its class, with a comma or blanks between; what follows is not read. Such are Kaggle's \
LOC_val_solution.csv, Tiny ImageNet's val_annotations.txt, and Caffe's val.txt, whose classes are numbers from 0 in \
the alphabetical order of the wnids. The devkit's ILSVRC2012_validation_ground_truth.txt is not: its numbers follow \
an order of its own, which only the devkit's meta.mat tells. Or sort val/ into class folders."""
WORDS_FILES = ("words.txt", "synset_words.txt", "LOC_synset_mapping.txt")


def read_labels(path: Path, classes: Sequence[str], names: Sequence[str]) -> list[int]:
    """For each image file name its index into `classes`, read from `path`; see LABELS_HELP for what it may hold.

    DataError names the file and the line that cannot be used, or an image of which it says nothing.
    """
    found = _parse(path, classes)
    labels = [found.get(_stem(name)) for name in names]
    if unlabelled := [name for name, label in zip(names, labels, strict=True) if label is None]:
        raise DataError(
            f"{path} says nothing of {len(unlabelled):,} of the {len(names):,} validation images, the "
            f"first {unlabelled[0]}. {LABELS_HELP}"
        )
    if missing := sorted(set(range(len(classes))) - set(labels)):
        raise DataError(
            f"no validation image is of class {classes[missing[0]]}, by {path} "
            f"({len(missing):,} classes have none): are all images there?"
        )
    return labels


def _parse(path: Path, classes: Sequence[str]) -> dict[str, int]:
    numbers = {name: index for index, name in enumerate(classes)}
    found: dict[str, int] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a text file ({error}). {LABELS_HELP}") from error
    for line_number, line in enumerate(lines, 1):
        fields = re.split(r"[,\s]+", line.strip())
        if fields == [""] or fields[0] == "ImageId":  # Kaggle's header
            continue
        if len(fields) < 2:
            said = f"{line.strip()[:60]!r} is not a name and a class"
            raise DataError(f"{path}, line {line_number}: {said}. {LABELS_HELP}")
        name, label = _stem(fields[0]), numbers.get(fields[1])
        if label is None and re.fullmatch(r"[0-9]{1,9}", fields[1]) and int(fields[1]) < len(classes):
            label = int(fields[1])
        if label is None:
            raise DataError(
                f"{path}, line {line_number}: {fields[1]!r} is none of the {len(classes):,} classes, "
                f"{classes[0]} to {classes[-1]}, nor a number from 0 to {len(classes) - 1}"
            )
        if found.setdefault(name, label) != label:
            raise DataError(f"{path}, line {line_number}: {fields[0]} is given two classes")
    return found


def _stem(name: str) -> str:
    return re.sub(r"\.(jpe?g|png)$", "", name.rpartition("/")[2], flags=re.IGNORECASE)


def read_words(folder: Path, classes: Sequence[str]) -> tuple[str | None, ...]:
    """A class's words ("tench, Tinca tinca") from the first of WORDS_FILES that is in `folder`; None where unknown."""
    words: dict[str, str] = {}
    path = next((folder / name for name in WORDS_FILES if (folder / name).is_file()), None)
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if path else ():
        wnid, *rest = line.split(maxsplit=1) or [""]
        words[wnid] = rest[0].strip() if rest else ""
    return tuple(words.get(name) or None for name in classes)
