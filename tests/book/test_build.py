"""How the book is built: what runs and what is shown as stored, the tables drawn from data, the machine's check."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from built_pages import ROOT, build_book
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from alexnet_lib import claims as claims_module

CHECK_MACHINE = ROOT / "scripts" / "check_machine.sh"


def scratch_book(folder: Path) -> Path:
    """A book of three pages: one notebook with some outputs stored, one with none, and a claim that does not exist."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    stored = [new_markdown_cell("# Stored"), new_code_cell("import sys"), new_code_cell("print('ran', 6 * 7)")]
    stored[2].outputs = [new_output("stream", name="stdout", text="kept as stored\n")]
    empty = [new_markdown_cell("# Empty"), new_code_cell("print('ran', 6 * 7)")]
    for name, cells in {"stored": stored, "empty": empty}.items():
        nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / f"{name}.ipynb")
    (folder / "intro.md").write_text("# Intro\n\nFirst C01, then `C77`, then C99.\n", encoding="utf-8")
    (folder / "claims.md").write_text("# Claims\n\nSee C99.\n", encoding="utf-8")
    toc = {"format": "jb-book", "root": "intro", "chapters": [{"file": name} for name in ("claims", "stored", "empty")]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    for name in ("references.bib", "claims.yml"):
        shutil.copy(ROOT / "book" / name, folder)
    return folder


def article(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")


def test_stored_outputs_are_shown_and_empty_notebooks_run(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    build = build_book(scratch_book(tmp_path / "book"), tmp_path)
    stored, empty = (article(build.html / f"{name}.html").find(class_="cell_output") for name in ("stored", "empty"))
    assert stored.text.strip() == "kept as stored"
    assert empty.text.strip() == "ran 42"
    assert [link["href"] for link in article(build.html / "intro.html").select("a.claim-id")] == ["claims.html#c01"]
    assert build.status != 0 and "C99 is not in claims.yml" in build.printed and "C77 is" not in build.printed


def test_the_ledger_shows_every_claim_with_the_records_that_were_read_for_it(built_book) -> None:
    page = article(built_book.html / "claims.html")
    claims = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
    assert [row["id"] for row in page.select("tbody tr")] == [name.lower() for name in claims]
    for name in claims:
        shown = {link.text.strip() for link in page.select(f"#{name.lower()} a.download")}
        assert shown == set(claims_module.records_of(name))


def fake_python(folder: Path, name: str, version_ok: bool, venv_ok: bool) -> None:
    """A python that answers the three questions check_machine.sh asks."""
    script = f"""#!/bin/sh
case "$2" in
  *exit*) exit {int(not version_ok)} ;;
  *ensurepip*) exit {int(not venv_ok)} ;;
  *print*) echo 3.12 ;;
esac
"""
    (folder / name).write_text(script, encoding="utf-8")
    (folder / name).chmod(0o755)


def check_machine(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Run the check with a path that holds nothing but `folder`."""
    return subprocess.run(
        ["/bin/sh", str(CHECK_MACHINE), *words], env={**os.environ, "PATH": str(folder)}, capture_output=True, text=True
    )


def test_the_machine_check_takes_a_python_that_is_new_enough(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", version_ok=False, venv_ok=True)
    fake_python(tmp_path, "python3.12", version_ok=True, venv_ok=True)
    assert check_machine(tmp_path).stdout == "python3.12\n"


@pytest.mark.parametrize(
    ("version_ok", "venv_ok", "words", "command"),
    [
        (False, True, (), "sudo apt-get install python3.11 python3.11-venv"),
        (True, False, (), "sudo apt-get install python3.12-venv"),
        (True, True, ("python2",), "python2 is not a Python"),
    ],
    ids=["old", "no-venv", "asked-for"],
)
def test_the_machine_check_names_the_command_that_mends(tmp_path, version_ok, venv_ok, words, command) -> None:
    fake_python(tmp_path, "python3", version_ok, venv_ok)
    done = check_machine(tmp_path, *words)
    assert done.returncode == 2 and done.stdout == "" and command in done.stderr
