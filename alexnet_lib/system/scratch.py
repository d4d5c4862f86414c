"""A folder to work in while a notebook runs, cleared away afterwards even where the kernel was killed."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from ..errors import DataError
from .locks import CAN_LOCK, only_one

PREFIX = "alexnet-scratch-"
YOUNG = 60.0  # seconds: a folder that another process may have made and not yet locked


class Scratch:
    """A new folder, `path`, under the system's place for temporary files; removed by `close` or with this object.

    A kernel that is killed, as Jupyter and nbval end theirs, removes nothing. The lock on its folder is lifted all the
    same, so the next one to be made finds and removes it.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)
        self._lock = ExitStack()
        if CAN_LOCK:
            remove_abandoned()
            self._lock.enter_context(only_one(self.path))

    def close(self) -> None:
        """Remove the folder. What was mapped from files in it stays readable."""
        self._folder.cleanup()
        self._lock.close()


def remove_abandoned(place: Path | None = None) -> list[Path]:
    """Remove the scratch folders in `place` whose process has ended, and say which; others' folders stay."""
    removed = []
    for folder in sorted((place or Path(tempfile.gettempdir())).glob(f"{PREFIX}*")):
        try:
            if folder.is_dir() and time.time() - folder.stat().st_mtime > YOUNG:
                with only_one(folder, patience=0):
                    shutil.rmtree(folder)
                removed.append(folder)
        except (DataError, OSError):  # in use, another user's, or just removed by another process
            continue
    return removed
