"""Writing files so that nothing is ever half written: first beside the target under a temporary name, then renamed."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)  # numbers of an OSError
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def atomic_path(target: Path, forced: bool = True) -> Iterator[Path]:
    """Give a temporary path in the target's folder; rename it to `target` when the block ends well, else delete it.

    Readers therefore see the old file or the new one, never a part; `forced` (onto the disk first) even after a power
    cut. Raises OSError as the system gives it (no space, read-only folder), after the temporary file is gone.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if forced:
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write `text` to `target` as UTF-8, all of it or nothing."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
