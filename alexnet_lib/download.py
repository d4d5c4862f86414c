"""Fetching CIFAR-10 from its publisher, when a reader asks for it (`python -m alexnet_lib data fetch cifar10`).

The archive arrives as `cifar-10-python.tar.gz.part`, is resumed after a break, gets its name only once its md5 is the
published one, and is unpacked beside the target and renamed: whatever stops it, a rerun goes on or starts clean.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.request
import zlib
from pathlib import Path, PurePosixPath

from alexnet_lib.errors import DataError
from alexnet_lib.image_sources import BATCHES_FOLDER, Batches
from alexnet_lib.progress import progress

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR10_BYTES = 170_498_071
CIFAR10_MD5 = "c58f30108f718f92721af3b95e74349a"
ARCHIVE = "cifar-10-python.tar.gz"
_UNPACKED_BYTES = 190_000_000
_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_CHUNK = 1 << 18
_TIMEOUT = 60  # seconds without a byte


def fetch_cifar10(root: str | os.PathLike, *, url: str = CIFAR10_URL, md5: str = CIFAR10_MD5,
                  size: int = CIFAR10_BYTES, say=print) -> Path:
    """Brings `cifar-10-batches-py` under `root` and returns its path; does nothing but say so if it is there.

    An archive that already lies at `root`/cifar-10-python.tar.gz is used if its md5 is right. `size` is the archive's
    length in bytes. `say` gets one line for each step.
    DataError: no network, wrong md5, damaged or unsafe archive, a folder that cannot be written, too little disk.
    """
    root = Path(root).expanduser()
    archive, target = root / ARCHIVE, root / BATCHES_FOLDER
    if target.exists():
        _check_batches(target)
        say(f"CIFAR-10 is already at {target}: nothing to do")
        return target
    own = archive.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        _check_space(root, _UNPACKED_BYTES + (0 if own else size))
        if own:
            say(f"using the archive at {archive}")
            _check_own_archive(archive, md5, url)
        else:
            say(f"downloading {url} ({size / 1e6:.0f} MB)")
            _download(url, archive, md5, size)
        say("the md5 is right; unpacking")
        _unpack(archive, target)
        if not own:
            archive.unlink()
    except OSError as error:
        raise DataError(_explain(error, root)) from error
    say(f"CIFAR-10 is at {target}")
    return target


def _check_batches(target: Path) -> None:
    for split in ("train", "test"):
        Batches(target).fingerprint(split)


def _explain(error: OSError, root: Path) -> str:
    if error.errno in _FULL:
        return f"the disk of {root} is full: free {_UNPACKED_BYTES / 1e6:.0f} MB and run this again; what came is kept"
    if error.errno in _READ_ONLY:
        return f"{root} cannot be written ({error.strerror}): name another folder with --data or ALEXNET_DATA"
    return f"cannot store CIFAR-10 at {root}: {error}"


def _check_space(root: Path, needed: int) -> None:
    free = shutil.disk_usage(root).free
    if free < needed:
        raise DataError(f"CIFAR-10 needs {needed / 1e6:.0f} MB for the archive and its contents, but {root} has "
                        f"{free / 1e6:.0f} MB free: free some, or name another folder with --data")


def _check_own_archive(archive: Path, md5: str, url: str) -> None:
    found = _md5(archive)
    if found != md5:
        raise DataError(f"{archive} ({archive.stat().st_size:,} bytes) has md5 {found}, not {md5}: it is cut short or "
                        f"changed. Delete it and run this again, or put the file of {url} in its place")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(url: str, archive: Path, md5: str, size: int) -> None:
    """The archive under its own name once its md5 is right; what has come so far stays in `.part`."""
    part = archive.with_name(f"{archive.name}.part")
    if not (part.exists() and part.stat().st_size == size):
        _receive(url, part, archive, size)
    found = _md5(part)
    if found != md5:
        part.unlink()
        raise DataError(f"what {url} sent has md5 {found}, not {md5}: it was deleted; run this again to start clean, "
                        f"or put the right archive at {archive}")
    os.replace(part, archive)


def _receive(url: str, part: Path, archive: Path, size: int) -> None:
    done = part.stat().st_size if part.exists() else 0
    if done > size:
        part.unlink()
        done = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            resumed = done > 0 and answer.status == 206 and _starts_at(answer, done)
            _copy(answer, part, done if resumed else 0, size)
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) in _FULL + _READ_ONLY:
            raise
        if done and getattr(error, "code", None) == 416:  # the server has nothing after what we have: start clean
            part.unlink()
            return _receive(url, part, archive, size)
        raise DataError(f"cannot download {url} ({getattr(error, 'reason', None) or error!r}): run this again to go "
                        f"on, or download it by hand to {archive}, or let ALEXNET_DATA name a folder that has "
                        "the data") from error
    if part.stat().st_size < size:
        raise DataError(f"{url} broke off after {part.stat().st_size:,} of {size:,} bytes: run this again to go on")


def _starts_at(answer: http.client.HTTPResponse, done: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")


def _copy(answer: http.client.HTTPResponse, part: Path, start: int, size: int) -> None:
    with (part.open("r+b" if start else "wb") as file,
          progress(total=size, initial=start, desc=part.stem, unit="B", unit_scale=True) as bar):
        file.seek(start)
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))


def _unpack(archive: Path, target: Path) -> None:
    """Into a folder beside the target, then renamed, so that a target that is there is whole."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        unpacked = Path(temporary) / target.name
        unpacked.mkdir()
        try:
            with tarfile.open(archive, "r:gz") as tar:
                for member in tar:
                    _unpack_member(tar, member, unpacked, archive)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{archive} cannot be unpacked ({error}): delete it and run this again") from error
        _check_batches(unpacked)
        os.replace(unpacked, target)


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: Path) -> None:
    """One plain file of the one folder CIFAR-10's archive holds; anything else, a link or `../x`, is refused.

    Stricter than tarfile's "data" filter, which the first releases of Python 3.11 lack.
    """
    path = PurePosixPath(member.name)
    if member.isdir() and path.parts == (folder.name,):
        return
    if not member.isfile() or len(path.parts) != 2 or path.parts[0] != folder.name or path.name == "..":
        raise DataError(f"{archive} is refused and nothing of it kept: {member.name!r} is not a plain file of the "
                        f"folder {folder.name}. Delete the archive and run this again")
    with tar.extractfile(member) as packed, (folder / path.name).open("wb") as file:
        shutil.copyfileobj(packed, file)
