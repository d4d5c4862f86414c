"""Recorded runs: every measured number that the book shows without computing it on the page is in one of these files.

A record is data/recorded/<experiment>/<run>.json. What it must hold is REQUIRED below; `validate` says what is missing.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import re
import shlex
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import ROOT, __version__
from .errors import RecordError
from .system.files import NUMBERS, write_text

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
NAME = r"[^/\\.][^/\\]*"
FORMS = {
    "experiment": NAME,
    "run": NAME,
    "commit": r"[0-9a-f]{6,64}(\+changes)?|unknown.*",
    "date": r"\d{4}-[01]\d-[0-3]\d",
}
DATASET_REQUIRED = ("name", "source", "checksum", "images", "stand_in")


def recorded_root() -> Path:
    """The folder that holds the records: data/recorded of the repository this package stands in, or of the cwd."""
    return (ROOT if ROOT.joinpath("pyproject.toml").exists() else Path()) / "data" / "recorded"


def key(record: dict[str, Any]) -> str:
    """experiment/run: how figures, tables and error messages name a record."""
    return f"{record['experiment']}/{record['run']}"


def validate(record: Any, where: str = "record", text: str = "") -> None:
    """Raise RecordError unless the record is complete, says what it is, and its result is that of its runs.

    The message names `where`, the field, and with the `text` that it was read from the line.
    """
    if not isinstance(record, dict):
        raise RecordError(f"{where}: a record is a JSON object, this is a {type(record).__name__}")
    for path, fault in _faults(record):
        raise RecordError(f"{where}{_line(text, path)}: {fault}")


def _faults(record: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with a record, each with the keys that lead there."""
    for name, kind in REQUIRED.items():
        if name not in record:
            yield (), f"the field {name!r} is missing"
        elif not isinstance(record[name], kind) or isinstance(record[name], bool):
            yield (name,), f"the field {name!r} holds a {type(record[name]).__name__}"
    for name in record.keys() - REQUIRED.keys():
        yield (name,), f"the field {name!r} is not one of a record"
    if record["kind"] != "measured":
        yield ("kind",), f"kind is {record['kind']!r}; only 'measured' runs are kept"
    for name in DATASET_REQUIRED:
        if name not in record["dataset"]:
            yield ("dataset",), f"the data set's {name!r} is missing"
    for name in ("experiment", "run", "command", "commit", "date", "device"):
        if not record[name].strip():
            yield (name,), f"the field {name!r} is empty"
    for name, form in FORMS.items():
        if not re.fullmatch(form, record[name]):
            yield (name,), f"{name} {record[name]!r} is none"
    if not record["seeds"]:
        yield ("seeds",), "no seed is recorded, so nothing was measured"
    if not (math.isfinite(record["seconds"]) and record["seconds"] >= 0):
        yield ("seconds",), f"a run cannot take {record['seconds']} seconds"
    if not all(isinstance(one, dict) and _is_number(one.get("seconds", 0)) for one in record["curves"]):
        yield ("curves",), "curves hold something else than runs with their seconds"
    if record["curves"]:
        yield from _unlike_its_runs(record)


def _unlike_its_runs(record: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where what a record sums up is not what its `curves` say: a figure that is edited by hand is noticed."""
    result, curves = record["result"], record["curves"]
    rate = result.get("best_rate")  # of a race, whose curves also hold runs at other rates
    runs = [one for one in curves if not one.get("pilot") and rate in (None, one.get("rate"))]
    if "seeds" in result:
        told = result["seeds"] if isinstance(result["seeds"], list) else []
        runs = [one for one in runs if one.get("ended") != "diverged" or one.get("seed") in told]
        found = [one.get("seed") for one in runs]
        if result["seeds"] != found:
            yield ("result", "seeds"), f"result.seeds is {result['seeds']}, but its curves give {found}"
    summed = [*_told(result, runs, ("result",)), *_told_of_pilots(result, curves)]
    if all("seconds" in one for one in curves):
        summed.append((("seconds",), record["seconds"], sum(one["seconds"] for one in curves)))
    for path, said, found in summed:
        if not _alike(said, found):
            yield path, f"{'.'.join(path)} is {said}, but its curves give {found}"


Told = tuple[tuple[str, ...], Any, Any]  # keys, what a result says there, what its runs say


def _told(result: dict[str, Any], runs: list[dict[str, Any]], path: tuple[str, ...]) -> Iterator[Told]:
    """What a result says of its runs: each one's value, and means and deviations."""
    for name, said in result.items():
        here = [one.get(name) for one in runs]
        kind, _, of = name.partition("_")
        if isinstance(said, dict) and all(isinstance(each, dict) for each in here):
            yield from _told(said, here, (*path, name))
        elif isinstance(said, list) and all(name in one for one in runs) and not any(isinstance(h, list) for h in here):
            yield (*path, name), said, here
        elif name == "rate" and runs and all(name in one for one in runs):
            yield (*path, name), [said] * len(runs), here
        elif kind in SUMS and isinstance(values := result.get(of), list):
            least, sum_of = SUMS[kind]
            whole = len(values) >= least and all(map(_is_number, values))
            yield (*path, name), said, sum_of(values) if whole else None


SUMS = {"mean": (1, statistics.mean), "spread": (2, statistics.stdev)}  # of how many values at least


def _told_of_pilots(result: dict[str, Any], curves: list[dict[str, Any]]) -> Iterator[Told]:
    """What a result says of the runs by which the rate was chosen; words stand where one gave no answer."""
    for name, key in (("held_out_error", "held_out_error"), ("rates_tried", "tune_error")):
        said = result.get(name)
        found = {f"{one.get('rate')}": one.get(key) for one in curves if one.get("pilot")}
        if isinstance(said, dict):
            answered = {rate: error for rate, error in found.items() if not isinstance(said.get(rate), str)}
            yield ("result", name), [said.get(rate) for rate in answered], list(answered.values())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are the same as far as six digits say it."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if _is_number(one) and _is_number(other):
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=2e-6)
    return one == other


def _line(text: str, path: Sequence[str]) -> str:
    """Where in the text of a record these keys lead, as ", line 12"; as far as they are there."""
    place = 0
    for depth, name in enumerate(path, 1):
        found = re.compile(rf"^ {{{depth}}}{re.escape(json.dumps(name))}:", re.MULTILINE).search(text, place)
        if found is None:
            break
        place = found.start()
    return f", line {text.count(chr(10), 0, place) + 1}" if text else ""


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
        text = Path(path).read_text(encoding="utf-8")
        record = json.loads(text, object_pairs_hook=partial(_Object.of, f"{path}"), **NUMBERS)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not JSON ({error}); restore it with git, or delete it and run again") from error
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    validate(record, str(path), text)
    return record


class _Object(dict):
    """An object of a record's file. RecordError, with the file's name: a key that a reader needs is not there."""

    where: str

    @classmethod
    def of(cls, where: str, pairs: list[tuple[str, Any]]) -> _Object:
        made = cls(pairs)
        made.where = where
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise RecordError(f"{where}: the key {twice!r} stands twice in one object; keep the one that was measured")
        return made

    def __missing__(self, name: str) -> Any:
        raise RecordError(f"{self.where}: {name!r} is missing beside {', '.join(map(repr, list(self)[:5]))}")


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
