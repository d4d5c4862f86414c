"""What the tests share: the built book, and the counts printed at the end."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OF_THE_BOOK = ("tests/test_book", "tests/test_build", "tests/test_pages")


@dataclass(frozen=True)
class Build:
    """One run of `jupyter-book build`: its exit status, what it printed, the folder of its pages."""

    status: int
    printed: str
    html: Path


def build_book(source: Path, out: Path) -> Build:
    """Build a book strictly (a warning is an error) with the repository's settings, under `out`."""
    run = "from jupyter_book.cli.main import main; main()"  # of this Python, whatever jupyter-book is on the path
    command = [sys.executable, "-c", run, "build", str(source), "-W", "-n", "--keep-going"]
    command += ["--config", str(ROOT / "_config.yml"), "--path-output", str(out)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return Build(done.returncode, done.stdout, out / "_build" / "html")


@pytest.fixture(scope="session")
def built_book(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The book, built from nothing in a folder of its own: the reader's _build stays as it is."""
    return build_book(ROOT / "book", tmp_path_factory.mktemp("book"))


def kind(nodeid: str) -> str:
    if ".ipynb::" in nodeid:
        return "notebook cells"
    return "book and pages" if nodeid.startswith(OF_THE_BOOK) else "library"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = {
        outcome: Counter(kind(report.nodeid) for report in terminalreporter.getreports(outcome))
        for outcome in ("passed", "failed", "error", "skipped")
    }
    terminalreporter.section("counts")
    for group in ("library", "notebook cells", "book and pages"):
        line = ", ".join(f"{count[group]} {outcome}" for outcome, count in counts.items() if count[group])
        terminalreporter.write_line(f"{group}: {line or 'none run'}")
