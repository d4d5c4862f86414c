"""The check of the notebooks can fail: a cell that runs out of time fails the run, and so does each cell after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from alexnet_lib import ROOT

BOOK = ROOT / "book"
SLOW = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pass"


def checked(folder: Path, *sources: str, printed: str = "") -> subprocess.CompletedProcess:
    """A notebook of these cells, checked as the book's are, with two seconds a cell; the last one has `printed`, the
    others nothing."""
    cells = [new_code_cell(source, execution_count=number) for number, source in enumerate(sources, 1)]
    if printed:
        cells[-1].outputs = [new_output("stream", name="stdout", text=printed)]
    nbformat.write(new_notebook(cells=cells), folder / "toy.ipynb")
    (folder / "conftest.py").write_text((BOOK / "conftest.py").read_text())
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        "-c",
        "/dev/null",
        "-rN",
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=2",
        "toy.ipynb",
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_cells_that_are_right_pass(tmp_path: Path) -> None:
    done = checked(tmp_path, "a = 1", "assert a == 1")
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("slow", [SLOW, "import time\ntime.sleep(60)"], ids=["swallows it", "lets it through"])
def test_a_cell_out_of_time_and_those_after_it_fail_the_run(slow: str, tmp_path: Path) -> None:
    done = checked(tmp_path, "a = 1", slow, "assert a == 2", "assert a == 1")
    assert done.returncode == 1 and "3 failed, 1 passed" in done.stdout, done.stdout
    assert done.stdout.count("This cell was not judged: one before it ran out of time") == 2
    said = "ran out of time: it was interrupted after 2 seconds" if slow == SLOW else "Timeout of 2 seconds exceeded"
    assert said in done.stdout


def test_a_cell_that_fails_fails_alone(tmp_path: Path) -> None:
    done = checked(tmp_path, "assert False", "a = 1")
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout, done.stdout


def test_seconds_are_not_compared_from_whatever_folder_it_is_called(tmp_path: Path) -> None:
    done = checked(tmp_path, "print('took 3.2 s')", printed="took 5 s\n")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
    done = checked(tmp_path, "print('took 3.2 m')", printed="took 5 m\n")
    assert done.returncode == 1, done.stdout
