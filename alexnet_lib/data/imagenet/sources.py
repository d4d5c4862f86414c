"""Finding ImageNet's images: in folders of classes, in Tiny ImageNet's folders, or in the publisher's tar files.

Nothing is decoded or unpacked here: an image is a name, a label and a place in a file. Classes are the folders' names
(ImageNet's wnids) in alphabetical order, which is also torchvision's and Caffe's order; a label is an index into them.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError, SettingError
from ..listing import MOST_BYTES, SUFFIXES, LeftOut, folders_in, images_in, is_image
from .labels import LABELS_HELP, read_labels, read_words
from .tars import TRAIN_TAR, VAL_TAR, Member, class_tars, members

LAYOUTS = f"""expected one of
  train/<class>/*.JPEG and val/<class>/*.JPEG (val/ may be missing);
  train/<class>/images/*.JPEG and val/images/*.JPEG with val/val_annotations.txt, as in Tiny ImageNet;
  <class>/*.JPEG: training images only;
  the publisher's {TRAIN_TAR} and {VAL_TAR}, not unpacked
where an image's name ends in {", ".join(SUFFIXES)} (upper or lower case)"""
IN_ORDER = itemgetter(1, 0)  # of entries: by label, then by name
LONGEST_NAME = 255  # bytes: what file systems take


def odd_class(names: Sequence[str]) -> str:
    """What is wrong with these class names, such as "class 'a\\nb' holds a control character"; "" if nothing is.

    A name is part of paths, of lines that are printed, and of files in UTF-8. Two that differ in how Unicode writes an
    accent look the same to a reader.
    """
    seen: dict[str, str] = {}
    for name in names:
        if reason := _odd(name):
            return f"class {name[:60]!r} {reason}"
        if (other := seen.setdefault(unicodedata.normalize("NFC", name), name)) is not name:
            return f"classes {other!a} and {name!a} are one name, written in two ways"
    return ""


def _odd(name: str) -> str:
    kinds = {unicodedata.category(letter) for letter in name}
    if "Cs" in kinds:
        return "is not UTF-8"
    if kinds & {"Cc", "Zl", "Zp"}:
        return "holds a control character"
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        return "is no name of one folder"
    return "is too long" if len(name.encode()) > LONGEST_NAME else ""


class Entry(NamedTuple):
    """One image: name within the source, label, the file that holds it, its first byte there (-1: it is the whole
    file), bytes, and file time in nanoseconds (whole seconds in a tar file)."""

    name: str
    label: int
    file: str
    offset: int
    size: int
    modified: int


@dataclass(frozen=True)
class Source:
    """All images of a source by split, each in the order of classes, then of names; `words[i]` may be None. left_out:
    what lies among them and is none.

    DataError: a class whose name cannot be stored, printed or told from another.
    """

    folder: Path
    layout: str
    classes: tuple[str, ...]
    words: tuple[str | None, ...]
    splits: dict[str, list[Entry]]
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    def __post_init__(self) -> None:
        if odd := odd_class(self.classes):
            raise DataError(f"{self.folder}: {odd}: rename it")

    def digest(self) -> str:
        """Of classes, names and labels in their order; says nothing of the pixels (`fingerprint` watches those)."""
        lines = hashlib.sha256("\n".join(self.classes).encode("utf-8", "surrogateescape"))
        for split, entries in self.splits.items():
            for entry in entries:
                lines.update(f"\n{split}\0{entry.name}\0{entry.label}".encode("utf-8", "surrogateescape"))
        return lines.hexdigest()


def fingerprint(entries: Sequence[Entry]) -> str:
    """Changes when one of these images has another name, label, place, size or file time."""
    return hashlib.sha256(repr([tuple(entry) for entry in entries]).encode("utf-8", "surrogateescape")).hexdigest()


def read_bytes(folder: Path, entry: Entry) -> bytes:
    """The image file's content, OSError as the system gives it. No part of a tar file is read besides."""
    # Neither a Path nor a buffer is made for each of a million images.
    if entry.size > MOST_BYTES:
        raise OSError(errno.EFBIG, f"{entry.size:,} bytes are no photograph")
    with open(os.path.join(folder, entry.file), "rb", buffering=0) as file:
        if entry.offset < 0:
            return file.read()
        return os.pread(file.fileno(), entry.size, entry.offset)


def find_source(src: str | os.PathLike, val_labels: str | os.PathLike | None = None) -> Source:
    """List the images under `src`. DataError says what is missing, in which file or folder, and what was expected."""
    folder = Path(src)
    try:
        return _listed(folder, val_labels)
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} cannot be read ({error.strerror}): mend its permissions"
        ) from error


def _listed(folder: Path, val_labels: str | os.PathLike | None) -> Source:
    left = LeftOut()
    if not folder.is_dir():
        hint = " (give the folder that holds the tar files)" if folder.is_file() else ""
        raise DataError(f"{folder} is not a folder{hint}: {LAYOUTS}")
    if (folder / TRAIN_TAR).is_file():
        layout, classes, splits = "publisher's tar files", *_from_tars(folder, val_labels)
    elif (folder / VAL_TAR).is_file():
        raise DataError(f"{folder} holds {VAL_TAR} but no {TRAIN_TAR}: put both there")
    elif (folder / "train").is_dir():
        layout, classes, splits = "train/ and val/ folders", *_from_folders(folder, val_labels, left)
    else:
        layout = "class folders"
        classes = tuple(c for c in folders_in(folder) if _holds_images(folder / c))
        splits = {"train": list(_class_entries(folder, "", classes, left))}
        if not classes:
            raise DataError(f"{folder} holds no images: {LAYOUTS}")
    if val_labels is not None and "val" not in splits:
        raise DataError(f"--val-labels {val_labels} is given, but {folder} holds no validation images")
    return Source(folder, layout, classes, read_words(folder, classes), splits, left)


def _holds_images(folder: Path) -> bool:
    return (folder / "images").is_dir() or bool(images_in(folder, LeftOut()))


def part_of(source: Source, classes: int | Sequence[str] | None = None, per_class: int | None = None) -> Source:
    """A smaller set: some classes, and of each the first `per_class` training images in the order of their names.

    classes: their names, or a number: so many, spread evenly over the list, so that a few are not all fish. Labels
    count them in the same order; all their validation images are kept. SettingError: a class that is not there, more
    classes than there are, or less than one.
    """
    names = _chosen(source, classes)
    if per_class is not None and per_class < 1:
        raise SettingError(f"--per-class {per_class}: give a whole number of 1 or more")
    labels = {source.classes.index(name): label for label, name in enumerate(names)}
    splits = {}
    for split, entries in source.splits.items():
        most = per_class if split == "train" else None
        of_class: dict[int, list[Entry]] = {label: [] for label in labels.values()}
        for entry in entries:
            if entry.label in labels:
                of_class[labels[entry.label]].append(entry._replace(label=labels[entry.label]))
        splits[split] = [entry for some in of_class.values() for entry in some[:most]]
    words = tuple(source.words[source.classes.index(name)] for name in names)
    return replace(source, classes=names, words=words, splits=splits)


def spread(count: int, whole: int) -> list[int]:
    """`count` places out of `whole`, spread evenly, the first among them."""
    return [i * whole // count for i in range(count)]


def _chosen(source: Source, classes: int | Sequence[str] | None) -> tuple[str, ...]:
    there = source.classes
    if classes is None:
        return there
    if isinstance(classes, int):
        if not 1 <= classes <= len(there):
            raise SettingError(f"--classes {classes}: {source.folder} holds {len(there):,}; give 1 or more of them")
        return tuple(there[place] for place in spread(classes, len(there)))
    if missing := [name for name in classes if name not in there]:
        near = difflib.get_close_matches(missing[0], there, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingError(f"--classes: {source.folder} holds no class {missing[0]!r}{hint}")
    return tuple(name for name in there if name in set(classes))


def _from_folders(folder: Path, val_labels: str | os.PathLike | None, left: LeftOut):
    classes = folders_in(folder / "train")
    if not classes:
        raise DataError(f"{folder / 'train'} holds no class folders: {LAYOUTS}")
    if (listed := folder / "wnids.txt").is_file():  # Tiny ImageNet's list, by which a broken copy is noticed
        _check_same(classes, listed.read_text(encoding="utf-8-sig", errors="replace").split(), folder / "train", listed)
    splits = {"train": list(_class_entries(folder, "train", classes, left))}
    if not (val := folder / "val").is_dir():
        return classes, splits
    inside = folders_in(val)
    if len(inside) == 1 and inside[0] not in classes:  # "images", or the name of the publisher's tar file
        return classes, splits | {"val": _flat_val(folder, val / inside[0], classes, val_labels, left)}
    if val_classes := tuple(name for name in inside if name != "images" or name in classes):
        if val_labels is not None:
            raise DataError(f"--val-labels {val_labels} is given, but {val} is sorted into class folders: leave it out")
        _check_same(classes, val_classes, folder / "train", val)
        return classes, splits | {"val": list(_class_entries(folder, "val", classes, left))}
    return classes, splits | {"val": _flat_val(folder, val, classes, val_labels, left)}


def _check_same(classes: Sequence[str], others: Sequence[str], here: Path, there: Path) -> None:
    if odd := sorted(set(classes) ^ set(others)):
        more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        only = here if odd[0] in classes else there
        how = f"; {why}" if (why := odd_class(odd)) else ""
        raise DataError(f"{here} and {there} do not hold the same classes: only {only} has {odd[0]}{more}{how}")


def _flat_val(
    folder: Path, images: Path, classes: tuple[str, ...], val_labels: str | os.PathLike | None, left: LeftOut
) -> list[Entry]:
    labels = Path(val_labels) if val_labels is not None else folder / "val" / "val_annotations.txt"
    files = images_in(images, left)
    if not files:
        raise DataError(f"{images} holds no images: {LAYOUTS}")
    if not labels.is_file():
        raise DataError(f"{folder / 'val'} is not sorted into class folders, and {labels} is not there. {LABELS_HELP}")
    found = read_labels(labels, classes, [file.name for file in files])
    relative = images.relative_to(folder).as_posix()
    entries = (_entry(relative, file, label) for file, label in zip(files, found, strict=True))
    return sorted(entries, key=IN_ORDER)


def _from_tars(folder: Path, val_labels: str | os.PathLike | None):
    tars = class_tars(folder / TRAIN_TAR)
    classes = tuple(sorted(tars))
    train = [
        _tar_entry(f"train/{name}", label, TRAIN_TAR, member)
        for label, name in enumerate(classes)
        for member in sorted(tars[name])
        if is_image(member.name)
    ]
    if empty := sorted(set(range(len(classes))) - {entry.label for entry in train}):
        raise DataError(f"{folder / TRAIN_TAR}: {classes[empty[0]]}.tar in it holds no images")
    if not (folder / VAL_TAR).is_file():
        return classes, {"train": train}
    if val_labels is None or not Path(val_labels).is_file():
        missing = "no --val-labels was given" if val_labels is None else f"{val_labels} is not there"
        raise DataError(f"{folder / VAL_TAR} does not say which image is of which class, and {missing}. {LABELS_HELP}")
    images = [member for member in members(folder / VAL_TAR) if is_image(member.name)]
    labels = read_labels(Path(val_labels), classes, [Path(member.name).name for member in images])
    val = (_tar_entry("val", label, VAL_TAR, member) for member, label in zip(images, labels, strict=True))
    return classes, {"train": train, "val": sorted(val, key=IN_ORDER)}


def _tar_entry(prefix: str, label: int, file: str, member: Member) -> Entry:
    return Entry(f"{prefix}/{member.name}", label, file, member.offset, member.size, member.modified)


def _class_entries(folder: Path, split: str, classes: Sequence[str], left: LeftOut) -> Iterator[Entry]:
    for label, name in enumerate(classes):
        place = folder / split / name
        if (place / "images").is_dir():
            place = place / "images"
        files = images_in(place, left)
        if not files:
            raise DataError(f"the class folder {place} holds no images ({', '.join(SUFFIXES)}): fill or remove it")
        relative = place.relative_to(folder).as_posix()
        yield from (_entry(relative, file, label) for file in files)


def _entry(relative: str, file: os.DirEntry, label: int) -> Entry:
    name = f"{relative}/{file.name}"
    try:
        stat = file.stat()
    except OSError as error:
        said = f"{file.path} cannot be read ({error.strerror}; a link to nothing?): mend or remove it"
        raise DataError(said) from error
    return Entry(name, label, name, -1, stat.st_size, stat.st_mtime_ns)
