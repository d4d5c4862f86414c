"""The book as a reader has it: built in a folder of its own, a page opened on a phone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet_lib import ROOT


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


def opened_on_a_phone(running: Any, path: Path) -> Iterator[Any]:
    """A page opened from its file, without a network; `page.wrong` lists requests, complaints and errors."""
    context = running.new_context(viewport={"width": 360, "height": 700}, offline=True)
    opened = context.new_page()
    opened.wrong = []
    opened.on("request", lambda r: r.url.startswith((path.as_uri(), "data:")) or opened.wrong.append(r.url))
    opened.on("console", lambda line: opened.wrong.append(line.text))
    opened.on("pageerror", lambda error: opened.wrong.append(str(error)))
    opened.goto(path.as_uri())
    yield opened
    context.close()
