"""Fetching a data set from its publisher, when a reader asks for it (`python -m alexnet_lib data fetch NAME`).

The archive arrives as `<archive>.part`, is resumed after a break, gets its name only once its md5 is the expected one,
and is unpacked beside the target and renamed: whatever stops it, a rerun goes on or starts clean.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..system.files import FULL, READ_ONLY
from ..system.locks import only_one
from ..system.progress import progress
from . import tiny_imagenet
from .cifar10_files import BATCHES_FOLDER, Batches
from .unpacking import unpack_tar, unpack_zip

_CHUNK = 1 << 18
_TIMEOUT = 60  # seconds without a byte
_UNPACKING = ".unpacking-"
_FIRST_BYTES = {".gz": b"\x1f\x8b", ".zip": b"PK"}


@dataclass(frozen=True)
class Archive:
    """A data set as its publisher packs it: one archive that holds one folder.

    title: what messages call it.   url, size (bytes), md5: the archive's.   file: its name in the data root.
    folder: the folder's name, in the archive and in the data root.   unpacked: bytes of disk that it takes there.
    check(folder): DataError where something is missing of it.   skip: folders of it without public labels, left out.
    """

    title: str
    url: str
    size: int
    md5: str
    file: str
    folder: str
    unpacked: int
    check: Callable[[Path], object]
    skip: tuple[str, ...] = ()


CIFAR10 = Archive(
    "CIFAR-10",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    170_498_071,
    "c58f30108f718f92721af3b95e74349a",
    "cifar-10-python.tar.gz",
    BATCHES_FOLDER,
    190_000_000,
    check=lambda folder: [Batches(folder).fingerprint(split) for split in ("train", "test")],
)
# Length and md5 as others publish them. Unpacked: 110,000 files, most of which take one 4096-byte block each.
TINY_IMAGENET = Archive(
    "Tiny ImageNet",
    tiny_imagenet.URL,
    248_100_043,
    "90528d7ca1a48142e341f4ef8d21d0de",
    "tiny-imagenet-200.zip",
    tiny_imagenet.FOLDER,
    500_000_000,
    tiny_imagenet.find_tiny,
    skip=("test",),
)
ARCHIVES = {"cifar10": CIFAR10, "tiny-imagenet": TINY_IMAGENET}


def fetch(data: Archive, root: str | os.PathLike, *, say: Callable[[str], object] = print) -> Path:
    """Brings `data.folder` under `root` and returns its path; does nothing but check it and say so if it is there.

    An archive that already lies at `root`/`data.file` is used if its md5 is right. `say` gets one line for each step.
    DataError: no network, wrong md5, damaged or unsafe archive, a folder that cannot be written or that another process
    is fetching into, too little disk.
    """
    root = Path(root).expanduser()
    archive, target = root / data.file, root / data.folder
    if target.exists():
        data.check(target)
        say(f"{data.title} is already at {target}: nothing to do")
        return target
    try:
        root.mkdir(parents=True, exist_ok=True)
        with only_one(root, patience=1.0):
            if not target.exists():  # the process that was waited for may have brought it
                _bring(data, root, archive, target, say)
    except BrokenPipeError:  # not the folder's fault: nobody reads what is printed
        raise
    except OSError as error:
        said = f"cannot store {data.title} at {root}: {error}"
        if error.errno in FULL:
            needed = f"{data.unpacked / 1e6:.0f} MB"
            said = f"the disk of {root} is full: free {needed} and run this again; what came is kept"
        elif error.errno in READ_ONLY:
            said = f"{root} cannot be written ({error.strerror}): name another folder with --data or ALEXNET_DATA"
        raise DataError(said) from error
    say(f"{data.title} is at {target}")
    return target


def _bring(data: Archive, root: Path, archive: Path, target: Path, say: Callable[[str], object]) -> None:
    for left_over in root.glob(f".{target.name}{_UNPACKING}*"):  # of a process that was killed
        shutil.rmtree(left_over)
    own, part = archive.exists(), _part(archive)
    come = min(part.stat().st_size, data.size) if part.exists() else 0
    needed, free = data.unpacked + (0 if own else data.size - come), shutil.disk_usage(root).free
    if free < needed:
        raise DataError(
            f"{data.title} needs {needed / 1e6:.0f} MB for the archive and its contents, but {root} has "
            f"{free / 1e6:.0f} MB free: free some, or name another folder with --data"
        )
    if own:
        say(f"using the archive at {archive}")
        if (found := _md5(archive)) != data.md5:
            raise DataError(
                f"{archive} ({archive.stat().st_size:,} bytes) has md5 {found}, not {data.md5}: it is cut short or "
                f"changed. Delete it and run this again, or put the file of {data.url} in its place"
            )
    else:
        say(f"downloading {data.url} ({data.size / 1e6:.0f} MB)")
        _download(data, archive)
    say("the md5 is as expected; unpacking")
    if skipped := _unpack(data, archive, target):
        say(f"left out the {skipped:,} files of {data.skip[0]}/, whose labels are not public")
    if not own:
        archive.unlink()


def _part(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.part")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(data: Archive, archive: Path) -> None:
    """The archive under its own name once its md5 is right; what has come so far stays in `.part`."""
    part = _part(archive)
    if not (part.exists() and part.stat().st_size == data.size):
        _receive(data, part, archive)
    if (found := _md5(part)) != data.md5:
        part.unlink()
        raise DataError(
            f"what {data.url} sent has md5 {found}, not {data.md5}: it was deleted; run this again to "
            f"start clean, or put the right archive at {archive}"
        )
    os.replace(part, archive)


def _receive(data: Archive, part: Path, archive: Path) -> None:
    """Go on with `part`, if the server can; else from the beginning. Never more than the archive's own size."""
    done = part.stat().st_size if part.exists() else 0
    if done and (done > data.size or not _is_archive(part)):
        part.unlink()
        done = 0
    request = urllib.request.Request(data.url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")
            _copy(answer, part, done if goes_on else 0, data.size)
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) in FULL + READ_ONLY:
            raise
        if done and getattr(error, "code", None) == 416:  # the server has nothing after what we have: start clean
            part.unlink()
            return _receive(data, part, archive)
        raise DataError(
            f"cannot download {data.url} ({getattr(error, 'reason', None) or error!r}): run this again to go on, or "
            f"download it by hand to {archive}, or let ALEXNET_DATA name a folder that has the data"
        ) from error
    came = part.stat().st_size
    if came and not _is_archive(part):
        part.unlink()
        raise DataError(
            f"{data.url} sent something else than the archive; it was deleted. It may be the page of a network that "
            f"asks for a login: open the address in a browser, or download it by hand to {archive}"
        )
    if came < data.size:
        raise DataError(f"{data.url} broke off after {came:,} of {data.size:,} bytes: run this again to go on")


def _copy(answer: http.client.HTTPResponse, part: Path, start: int, size: int) -> None:
    with (
        part.open("r+b" if start else "wb") as file,
        progress(total=size, initial=start, desc=part.stem, unit="B", unit_scale=True) as bar,
    ):
        file.seek(start)
        while chunk := answer.read(min(_CHUNK, size - file.tell())):
            file.write(chunk)
            bar.update(len(chunk))


def _is_archive(part: Path) -> bool:
    wanted = _FIRST_BYTES[part.with_suffix("").suffix]
    with part.open("rb") as file:
        return file.read(len(wanted)) == wanted


def _unpack(data: Archive, archive: Path, target: Path) -> int:
    """Into a folder beside the target, then renamed, so that a target that is there is whole; how many were skipped."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}{_UNPACKING}", dir=target.parent) as temporary:
        unpacked = Path(temporary) / target.name
        unpacked.mkdir()
        skipped = (unpack_zip if archive.suffix == ".zip" else unpack_tar)(archive, unpacked, data.skip)
        data.check(unpacked)
        os.replace(unpacked, target)
    return skipped
