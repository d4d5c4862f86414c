"""The rooms of alexnet_lib: who may import whom (the contracts in pyproject.toml), and that a breach is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet_lib import ROOT


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


EVERY_MODULE = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys(["fcntl", "grp", "pwd", "resource", "termios"]))  # which Windows does not have
import alexnet_lib
for module in pkgutil.walk_packages(alexnet_lib.__path__, "alexnet_lib."):
    importlib.import_module(module.name)
"""


def test_every_module_can_be_imported_where_unixs_modules_are_missing() -> None:
    done = subprocess.run([sys.executable, "-c", EVERY_MODULE], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
