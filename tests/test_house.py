"""The rooms of alexnet_lib: who may import whom, how their tests are called; and that CONTRIBUTING.md's map is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet_lib import ROOT

# Test files that are of no one module of their room, and why.
OF_SEVERAL = {"data/test_resume.py": "preparation, its store and its workers, stopped at any moment and gone on with"}
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATH = re.compile(r"`([\w./-]+(?:/|\.(?:py|md|yml|yaml|ipynb|toml)))`")


def linted(folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as go; go()", "--no-cache"]
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True)


def test_rooms_import_downwards_only_and_in_no_ring() -> None:
    done = linted(ROOT)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("network/lrn.py", "from ..training import loop", "rooms import downwards only"),
        ("system/files.py", "import alexnet_lib.claims", "rooms import downwards only"),
        ("training/seeds.py", "from . import loop", "no ring within a room"),
    ],
)
def test_an_import_upwards_or_in_a_ring_is_found(file: str, line: str, broken: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "alexnet_lib", tmp_path / "alexnet_lib", ignore=shutil.ignore_patterns("__pycache__"))
    changed = tmp_path / "alexnet_lib" / file
    changed.write_text(changed.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    done = linted(tmp_path)
    assert done.returncode == 1 and f"{broken} BROKEN" in done.stdout


def test_the_claims_can_be_imported_without_what_they_are_judged_by() -> None:
    heavy = {"torch", "torchvision", "faiss", "alexnet_lib.experiments", "alexnet_lib.measures"}
    code = f"import sys, alexnet_lib.claims; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


WITHOUT_UNIX = """
import importlib, pkgutil, signal, sys
sys.modules.update(dict.fromkeys(["fcntl", "grp", "pwd", "resource", "termios"]))  # which Windows does not have
for name in ("pthread_sigmask", "SIGKILL", "SIGALRM"):
    delattr(signal, name)
"""
EVERY_MODULE = """
import alexnet_lib
for module in pkgutil.walk_packages(alexnet_lib.__path__, "alexnet_lib."):
    importlib.import_module(module.name)
sys.path.insert(0, "book/_ext")
for module in pkgutil.iter_modules(["book/_ext"]):
    importlib.import_module(module.name)
"""
A_CHAPTER = """
import nbformat
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
for cell in nbformat.read("book/chapters/two_gpus.ipynb", as_version=4).cells:
    if cell.cell_type == "code":
        shell.run_cell(cell.source).raise_error()
"""
A_LOCK = """
from alexnet_lib.__main__ import main
from alexnet_lib.system.scratch import Scratch
scratch = Scratch()
assert scratch.path.is_dir()
sys.exit(main(["data", "fetch", "cifar10", "--data", sys.argv[1]]))
"""


def without_unix(code: str, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", WITHOUT_UNIX + code, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"MPLBACKEND": "agg"})


@pytest.mark.parametrize("code", [EVERY_MODULE, A_CHAPTER], ids=["every module", "a chapter"])
def test_what_locks_nothing_works_where_unixs_modules_are_missing(code: str) -> None:
    done = without_unix(code)
    assert done.returncode == 0, done.stderr


def test_what_locks_a_folder_says_where_it_cannot(tmp_path: Path) -> None:
    done = without_unix(A_LOCK, str(tmp_path))
    assert done.returncode == 2 and "cannot be locked" in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_a_test_file_is_named_after_a_module_of_its_room() -> None:
    """At any depth of the room; named as the room itself, it tests what the room's __init__ has."""
    strays = set()
    for room in (init.parent for init in (ROOT / "alexnet_lib").glob("*/__init__.py")):
        known = {module.stem for module in room.rglob("*.py")} | {room.name}
        tests = (ROOT / "tests" / room.name).glob("test_*.py")
        strays |= {f"{room.name}/{test.name}" for test in tests if test.stem.removeprefix("test_") not in known}
    assert strays == OF_SEVERAL.keys()


def test_every_path_that_contributing_names_is_there() -> None:
    """As a path's end, for it is named from its room on; of what is still to be added (NAME), the folder."""
    folders = [ROOT / name for name in ("alexnet_lib", "book", "data/recorded", "tests")]
    paths = [*ROOT.iterdir(), *folders, *(path for folder in folders for path in folder.rglob("*"))]
    there = {f"/{path.relative_to(ROOT).as_posix()}{'/' * path.is_dir()}" for path in paths}
    named = {f"{name.rpartition('/')[0]}/" if "NAME" in name else name for name in PATH.findall(CONTRIBUTING)}
    assert len(named) > 40
    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in there)] == []


def test_each_of_the_three_walks_goes_through_fewer_than_eight_files() -> None:
    walks = CONTRIBUTING.split("## Three walks")[1].split("##")[0].strip().split("\n\n")
    assert len(walks) == 3 and all(walk.startswith("*") for walk in walks)
    assert all(0 < len(set(PATH.findall(walk))) < 8 for walk in walks)
