"""Which files of a folder are photographs: one rule for all who list them, with a count of what it leaves out.

A photograph is a regular file, or a link to one, that is not hidden and whose name has an ending that is read. Nothing
is opened to find out: a pipe without a writer would never answer.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Pillow's names of what is decoded, with the endings of their files.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jfif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}
MOST_BYTES = 500_000_000  # of a file: the largest image that is decoded has 300 million without any compression
SUFFIXES = tuple(suffix for some in FORMATS.values() for suffix in some)


class LeftOut(Counter[str]):
    """What a listing has left out, by reason."""

    def line(self) -> str:
        """In words, the most frequent first; "" where nothing was."""
        rows = sorted(self.items(), key=lambda row: (-row[1], row[0]))
        told = ", ".join(f"{reason} ({count:,})" for reason, count in rows)
        return f"left out: {told}" if told else ""


def images_in(folder: Path, left: LeftOut) -> list[os.DirEntry]:
    """The photographs of one folder, in the order of their names. OSError: it cannot be read."""
    with os.scandir(folder) as found:
        return sorted((entry for entry in found if _is_photograph(entry, left)), key=lambda entry: entry.name)


def folders_in(folder: Path) -> tuple[str, ...]:
    """Names of the visible folders inside, and of links to such, in alphabetical order. OSError: it cannot be read."""
    with os.scandir(folder) as found:
        return tuple(sorted(f.name for f in found if not f.name.startswith(".") and _kind(f) == "folder"))


def images_under(folder: Path, left: LeftOut, without: Path | None = None) -> Iterator[os.DirEntry]:
    """The photographs at any depth, but for hidden folders, linked ones and the one `without`; OSError: `folder` itself
    cannot be read."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            if here == folder:
                raise
            left["folders that cannot be read"] += 1
            continue
        for entry in entries:
            if _kind(entry) != "folder":
                if _is_photograph(entry, left):
                    yield entry
            elif entry.is_symlink():
                left["linked folders"] += 1
            elif not entry.name.startswith(".") and Path(entry) != without:
                waiting.append(Path(entry))


def is_image(name: str) -> bool:
    """Whether a file's name, with or without its folders, is one of a photograph."""
    base = name.rpartition("/")[2]
    return base.lower().endswith(SUFFIXES) and not base.startswith(".")


def is_regular(path: Path) -> bool:
    """Whether a file can be read to its end: none that is missing, a folder, a pipe or a device."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # a loop of links, a name that is too long or no name
        return False


def why_no_file(path: Path) -> str:
    """Why one that is not `is_regular` is not."""
    return "a folder, a pipe or a device" if os.path.exists(path) else "there is no such file"


def _is_photograph(entry: os.DirEntry, left: LeftOut) -> bool:
    kind = _kind(entry)
    if kind == "folder":
        return False
    if not is_image(entry.name):
        if entry.name.lower().endswith(SUFFIXES):
            left["hidden files"] += 1
        elif not entry.name.startswith("."):
            suffix = Path(entry.name).suffix.lower()[:12]
            left[f"{suffix} files" if suffix else "files without an ending"] += 1
        return False
    if kind == "other":
        left["pipes, devices or loops of links"] += 1
    return kind == "file"


def _kind(entry: os.DirEntry) -> str:
    """ "file" also for a link to nothing, whose reader says so; "folder"; or "other"."""
    try:
        mode = entry.stat().st_mode
    except FileNotFoundError:
        return "file"
    except OSError:
        return "other"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
