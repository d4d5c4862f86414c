"""One process at a time in a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError, SettingError

try:
    import fcntl
except ImportError:  # Windows: what locks nothing works there
    fcntl = None
CAN_LOCK = fcntl is not None


@contextmanager
def only_one(folder: Path, patience: float = 5.0) -> Iterator[int]:
    """Hold a lock on `folder`, given as an open file; the system lifts it when this process ends, however it does.

    Processes that are handed the open file (subprocess's `pass_fds`) hold the lock too; filelock's locks cannot be
    handed on, and leave a file in the folder. DataError where others still hold it after `patience` seconds, which
    those of a run that was just killed have for ending. SettingError where the system has no such locks.
    """
    if not CAN_LOCK:
        raise SettingError(
            f"{folder} cannot be locked, so that two commands might write into it at once: this needs Linux, macOS, "
            "or Windows' Subsystem for Linux"
        )
    handle, end = os.open(folder, os.O_RDONLY), time.monotonic() + patience
    try:
        while not _locked(handle):
            if time.monotonic() > end:
                raise DataError(f"another process is at work in {folder}: wait for it, or stop it")
            time.sleep(0.02)
        yield handle
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
