"""A notebook's folder for its work: removed at its end, or by the next notebook where it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alexnet_lib.system.scratch import PREFIX, Scratch, remove_abandoned

HOLDER = """
import os, time
from alexnet_lib.system.scratch import Scratch
scratch = Scratch()
(scratch.path / "bytes").write_bytes(b"0" * 1000)
os.utime(scratch.path, (0, 0))
print(scratch.path, flush=True)
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_scratch_folder_is_removed_when_closed_and_when_forgotten(place: Path) -> None:
    first, second = Scratch(), Scratch()
    assert first.path.is_dir() and first.path.parent == place and first.path != second.path
    first.close()
    assert not first.path.exists() and second.path.is_dir()
    path = second.path
    with pytest.warns(ResourceWarning, match="Implicitly cleaning up"):
        del second
    assert not path.exists()


def test_the_folder_of_a_killed_process_is_removed_by_the_next_and_a_living_ones_is_not(place: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(place)}
    )
    assert holder.stdout is not None
    left = holder.stdout.readline().strip()
    try:
        assert left.startswith(str(place / PREFIX))
        assert remove_abandoned(place) == [] and os.path.isdir(left)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    assert os.path.isdir(left)
    scratch = Scratch()
    assert not os.path.exists(left) and scratch.path.is_dir()
    scratch.close()


def test_a_folder_that_was_just_made_and_what_is_not_ours_stay(place: Path) -> None:
    young, old, other, file = (place / name for name in (f"{PREFIX}a", f"{PREFIX}b", "other", f"{PREFIX}file"))
    for folder in (young, old, other):
        folder.mkdir()
    file.write_text("kept")
    long_ago = time.time() - 3600
    for path in (old, other, file):
        os.utime(path, (long_ago, long_ago))
    assert remove_abandoned(place) == [old]
    assert young.is_dir() and other.is_dir() and file.is_file()
