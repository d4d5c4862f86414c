"""Unpacking what was downloaded: plain files under the one folder an archive is known to hold, and nothing else.

Each function fills an empty folder, whose name is the folder's in the archive. DataError: a member that is a link or a
device, or lies elsewhere; an archive that is cut short or damaged. What was written by then is the caller's to remove.
"""

from __future__ import annotations

import errno
import gzip
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..errors import DataError, first_line
from ..system.progress import progress

_PLAIN = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]+")  # a name that means the same on every system, and no way upwards


def unpack_tar(archive: Path, folder: Path, skip: Iterable[str] = ()) -> int:
    """Every member of a .tar.gz, which must be a file in `folder` itself; none is skipped, 0.

    Stricter than tarfile's "data" filter, which the first releases of Python 3.11 lack.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                top, *rest = PurePosixPath(member.name).parts or ("",)
                if member.isdir() and [top, *rest] == [folder.name]:
                    continue
                if not member.isfile() or top != folder.name or len(rest) != 1 or rest == [".."]:
                    raise _unsafe(archive, member.name, folder.name)
                with tar.extractfile(member) as packed, (folder / rest[0]).open("wb") as file:
                    shutil.copyfileobj(packed, file)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(archive, error) from error
    return 0


def unpack_zip(archive: Path, folder: Path, skip: Iterable[str] = ()) -> int:
    """Every file of a .zip at any depth in `folder`, but those in the folders `skip` of it; how many were skipped.

    All members are looked at before the first is written. Names are of letters, digits, and ._- only.
    """
    skipped = 0
    try:
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            places = [_place(member, folder.name, archive) for member in members]
            for member, place in progress(list(zip(members, places, strict=True)), desc="unpacking", unit=" files"):
                target = folder.joinpath(*place)
                if place[0] in skip:
                    skipped += not member.is_dir()
                elif member.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with packed.open(member) as content, target.open("wb") as file:
                        shutil.copyfileobj(content, file)
    # RuntimeError: a member with a password or of an unknown method. ValueError: a name or number that makes no sense.
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, ValueError) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # which a damaged list of members gives, by a place before the file's beginning
            raise
        raise _damaged(archive, error) from error
    return skipped


def _place(member: zipfile.ZipInfo, top: str, archive: Path) -> tuple[str, ...]:
    """The member's path below the folder `top`; ("",) for the folder itself."""
    first, *rest = member.filename.removesuffix("/").split("/")
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the archive was not made on Unix
    plain = kind in (0, stat.S_IFDIR if member.is_dir() else stat.S_IFREG)
    named = first == top and all(_PLAIN.fullmatch(name) for name in rest)
    if not (plain and named and (rest or member.is_dir())):
        raise _unsafe(archive, member.filename, top)
    return tuple(rest) or ("",)


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(f"{archive} cannot be unpacked ({first_line(error)}): delete it and run this again")


def _unsafe(archive: Path, name: str, folder: str) -> DataError:
    return DataError(
        f"{archive} is refused and nothing unpacked: {name!r} is not a plain file of the folder "
        f"{folder}. Delete the archive and run this again"
    )
