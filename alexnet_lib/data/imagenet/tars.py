"""The publisher's tar files of ImageNet (ILSVRC-2012), listed without unpacking: where each image's bytes lie."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...errors import DataError

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
_BLOCK = 512  # a tar file is made of blocks of this many bytes, and ends with empty ones


class Member(NamedTuple):
    """A file in a tar file: its name, first byte (counted in the outermost file), bytes, and time in whole seconds."""

    name: str
    offset: int
    size: int
    modified: int


def class_tars(path: Path) -> dict[str, list[Member]]:
    """The images of the training file by class: it holds one tar file a class, n01440764.tar and so on."""
    classes, expected = {}, "expected one tar file a class, n01440764.tar and so on"
    with open(path, "rb") as file:
        for info in _walk(file, str(path)):
            if not info.name.endswith(".tar"):
                raise DataError(f"{path} holds {info.name}: {expected}")
            if (name := Path(info.name).stem) in classes:
                raise DataError(f"{path} holds {name}.tar twice: {expected}")
            inner = _Window(file, info.offset_data, info.size)
            found = _walk(inner, f"{path}, {info.name} in it")
            classes[name] = [_member(one, info.offset_data) for one in found]
    if not classes:
        raise DataError(f"{path} holds nothing: {expected}")
    return classes


def members(path: Path) -> list[Member]:
    """The files of a plain tar file."""
    with open(path, "rb") as file:
        return [_member(info) for info in _walk(file, str(path))]


def _member(info: tarfile.TarInfo, first: int = 0) -> Member:
    return Member(info.name, first + info.offset_data, info.size, int(info.mtime))


def _walk(file: BinaryIO | _Window, called: str) -> Iterator[tarfile.TarInfo]:
    """Each plain file in the tar; DataError where it is cut short, which tarfile itself would take for its end."""
    length = file.seek(0, 2)
    file.seek(0)
    again = "fetch it again, and compare its checksum with the publisher's"
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                if info.offset_data + info.size > length:
                    raise DataError(f"{called} is cut short: {info.name} goes beyond its end; {again}")
                if info.isfile():
                    yield info
            file.seek(tar.offset)
    except tarfile.TarError as error:
        said = f"{called} cannot be read as a tar file ({error}): not compressed, and whole? {again}"
        raise DataError(said) from error
    end = file.read(_BLOCK)
    if len(end) < _BLOCK or any(end):
        raise DataError(f"{called} is cut short or damaged after {tar.offset:,} bytes: {again}")


class _Window:
    """A part of an open file, as a file of its own that is only read: what tarfile needs for a tar in a tar."""

    def __init__(self, file: BinaryIO, start: int, size: int):
        self.file, self.start, self.size, self.place = file, start, size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = offset + (0, self.place, self.size)[whence]
        return self.place

    def tell(self) -> int:
        return self.place

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.size - self.place)
        self.file.seek(self.start + self.place)
        content = self.file.read(left if size is None or size < 0 else min(size, left))
        self.place += len(content)
        return content
