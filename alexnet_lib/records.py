"""Recorded runs: every measured number that the book shows without computing it on the page is in one of these files.

A record is data/recorded/<experiment>/<run>.json. What it must hold is REQUIRED below; `validate` says what is missing.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import ROOT, __version__
from .errors import RecordError
from .system.files import write_text

REQUIRED: dict[str, type | tuple[type, ...]] = {
    "experiment": str,
    "run": str,
    "kind": str,
    "claims": list,
    "command": str,
    "configuration": dict,
    "dataset": dict,
    "seeds": list,
    "commit": str,
    "date": str,
    "device": str,
    "versions": dict,
    "seconds": (int, float),
    "curves": list,
    "result": dict,
}
DATASET_REQUIRED = ("name", "source", "checksum", "images", "stand_in")


def recorded_root() -> Path:
    """The folder that holds the records: data/recorded of the repository this package stands in, or of the cwd."""
    return (ROOT if ROOT.joinpath("pyproject.toml").exists() else Path()) / "data" / "recorded"


def key(record: dict[str, Any]) -> str:
    """experiment/run: how figures, tables and error messages name a record."""
    return f"{record['experiment']}/{record['run']}"


def validate(record: Any, where: str = "record") -> None:
    """Raise RecordError, naming `where` and the field, unless the record is complete and says what it is."""
    if not isinstance(record, dict):
        raise RecordError(f"{where}: a record is a JSON object, this is a {type(record).__name__}")
    for name, kind in REQUIRED.items():
        if name not in record:
            raise RecordError(f"{where}: the field {name!r} is missing")
        if not isinstance(record[name], kind) or isinstance(record[name], bool):
            raise RecordError(f"{where}: the field {name!r} holds a {type(record[name]).__name__}")
    if record["kind"] != "measured":
        raise RecordError(f"{where}: kind is {record['kind']!r}; only 'measured' runs are kept")
    for name in DATASET_REQUIRED:
        if name not in record["dataset"]:
            raise RecordError(f"{where}: the data set's {name!r} is missing")
    for name in ("experiment", "run", "command", "commit", "date", "device"):
        if not record[name].strip():
            raise RecordError(f"{where}: the field {name!r} is empty")
    if not record["seeds"]:
        raise RecordError(f"{where}: no seed is recorded, so nothing was measured")


def write(record: dict[str, Any], root: Path | None = None) -> Path:
    """Check the record and write it to <root>/<experiment>/<run>.json, all of it or nothing; return the path.

    Raises RecordError for a record that is not complete, or holds what JSON does not have, such as NaN.
    """
    validate(record)
    name = key(record)
    try:
        text = json.dumps(rounded(record), indent=1, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise RecordError(f"record {name} cannot be written as JSON: {error}") from error
    path = Path(root or recorded_root()) / f"{name}.json"
    write_text(path, text + "\n")
    return path


def read(path: Path) -> dict[str, Any]:
    """Read one record. Raises RecordError naming the file when it is not JSON, or not a complete record."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is not JSON ({error}); restore it with git, or delete it and run again") from error
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    validate(record, str(path))
    return record


def load(experiment: str, run: str | None = None, root: Path | None = None) -> dict[str, Any]:
    """All records of an experiment as {run: record}, or with `run` that one; {} where nothing was recorded yet."""
    folder = Path(root or recorded_root()) / experiment
    if run is not None:
        path = folder / f"{run}.json"
        return read(path) if path.exists() else {}
    return {path.stem: read(path) for path in sorted(folder.glob("*.json"))}


def shown(experiment: str, parts: Sequence[str], root: Path | None = None) -> dict[str, dict[str, Any]]:
    """The records of an experiment that are shown of it, wherever that is: {variant: record}.

    A run is PART_VARIANT, and the parts are given the best first: the long run before the short one. It is the part
    that has most variants with all their seeds, then most with one at least; the first of equal ones. So a better part
    takes another's place as a whole and not variant by variant. Of the part, the records with all their seeds; where
    it has none of them, those with one at least. {} where no part has a seed.
    """
    by_part: dict[str, dict[str, dict[str, Any]]] = {part: {} for part in parts}
    for run, record in load(experiment, root=root).items():
        part = next((part for part in parts if run.startswith(f"{part}_")), None)
        if part is not None and record["result"].get("seeds"):
            by_part[part][run.removeprefix(f"{part}_")] = record

    def complete(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {name: record for name, record in found.items() if record["result"]["complete"]}

    best = max(by_part.values(), key=lambda found: (len(complete(found)), len(found)), default={})
    return complete(best) or best


def circumstances(device: str, command: str) -> dict[str, Any]:
    """What every record says of where it came from: command, commit, date, device, versions."""
    import numpy  # these three on recording alone: whoever only reads records does not wait for them
    import torch
    import torchvision

    return {
        "kind": "measured",
        "command": command,
        "commit": current_commit(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "device": device,
        "versions": {
            "alexnet_lib": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": numpy.__version__,
            "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        },
    }


def command_line(words: Sequence[str]) -> str:
    """The command that makes a record again, from the words after `python -m alexnet_lib`.

    Without --out and --data: those name folders of one machine, and change nothing in what is measured.
    """
    kept, skip = [], False
    for word in words:
        if not skip and not word.startswith(("--out=", "--data=")) and word not in ("--out", "--data"):
            kept.append(word)
        skip = not skip and word in ("--out", "--data")
    return shlex.join(["python", "-m", "alexnet_lib", *kept])


def current_commit() -> str:
    """The commit of the repository this package stands in, with "+changes" if files differ from it, else "unknown".

    ALEXNET_COMMIT names it where the code runs from a copy without its history.
    """
    named = os.environ.get("ALEXNET_COMMIT")
    if named:
        return named
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(here))
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return f"unknown (alexnet_lib {__version__})"


def rounded(value: Any) -> Any:
    """The value with its floats at six digits and its tuples as lists: as it reads once written to a record."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


NOT_RUN = "not yet run"
