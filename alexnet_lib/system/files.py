"""Writing files so that nothing is ever half written: first beside the target under a temporary name, then renamed. And
reading them so that one that is damaged, or was edited, is named."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ..errors import DataError, SettingError, first_line

FULL = (errno.ENOSPC, errno.EDQUOT)  # numbers of an OSError
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def atomic_path(target: Path, forced: bool = True) -> Iterator[Path]:
    """Give a temporary path in the target's folder; rename it to `target` when the block ends well, else delete it.

    Readers therefore see the old file or the new one, never a part; `forced` (onto the disk first) even after a power
    cut. A link is followed; the file has the mode of the one before it, or what the umask leaves. Raises OSError as the
    system gives it (no space, read-only folder), after the temporary file is gone, and for a target that is there and
    no regular file (a device, a pipe).
    """
    target = Path(os.path.realpath(target))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file", str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield temporary
        if forced:
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def made_folder(folder: Path) -> Path:
    """A folder that --out names, made if it is not there. SettingError: it cannot be made, or written into."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        what = "is a file" if folder.is_file() else f"cannot be made or written ({error.strerror})"
        raise SettingError(f"--out {folder} {what}: give a folder of its own") from error
    return folder


def clear_left_overs(folder: Path, names: str) -> None:
    """Delete what `atomic_path` left in a folder when its process was killed: of files whose names match, a regular
    expression, and of no others."""
    left_over = re.compile(rf"\.({names})\.[0-9a-z_]{{8}}\.part")
    for path in folder.iterdir() if folder.is_dir() else ():
        if left_over.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write `text` to `target` as UTF-8, all of it or nothing."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


# What reading a file raises that is cut short, damaged, or not what we wrote.
UNREADABLE = (OSError, SafetensorError, SettingError, ArithmeticError, AttributeError, LookupError, RecursionError)
UNREADABLE += (TypeError, ValueError)


@contextmanager
def naming(path: Path, mend: str) -> Iterator[None]:
    """DataError that names a file of ours and says how to `mend` it, where the block fails on what the file holds."""
    try:
        yield
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({first_line(error)}): {mend}") from error


def json_object(content: str | bytes) -> dict[str, Any]:
    """A JSON object, as we write them. ValueError: it is something else, no JSON, or has NaN or Infinity in it."""
    found = json.loads(content, **NUMBERS)
    if not isinstance(found, dict):
        raise ValueError(f"it is a {type(found).__name__}, not an object of names and values")
    return found


def _finite(digits: str, kind: type = float) -> float:
    if not math.isfinite(float(digits)):
        raise ValueError(f"{digits[:20]} is no number")
    return kind(digits)


# For `json.loads`: NaN, Infinity and what is too large to be a number are a ValueError.
NUMBERS = {"parse_constant": _finite, "parse_float": _finite, "parse_int": partial(_finite, kind=int)}


_HEAD = 4096  # bytes of a PNG in which its field Software stands
DRAWN = "alexnet_lib"  # what PNG files of our commands have in their field Software


def is_drawn(path: Path) -> bool:
    """Whether a file is a picture that one of our commands drew. OSError as the system gives it."""
    with open(path, "rb") as file:
        return is_drawing(file.read(_HEAD))


def is_drawing(content: bytes) -> bool:
    """Whether these are the bytes of such a picture, or their beginning."""
    head = content[:_HEAD]
    return head.startswith(b"\x89PNG") and f"Software\0{DRAWN}".encode() in head
