"""What the first layers' kernels of the registered study are (claims C26, C27; section 6.1, Figure 3): each beside
noise as smooth.

Nothing is trained: the kernels were kept beside the records of `evidence`, and are fitted here, a few minutes a seed.

    python -m alexnet_lib experiment kernel-fits --full --out data/recorded
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from .. import records
from ..errors import SettingError
from ..measures.kernels import kernel_table, noise_as_smooth
from ..system.devices import describe_device
from . import evidence
from .evidence_results import runs_of
from .running.machine import chosen_of, recorded_before, summed
from .running.tiny_runs import Kept

NAME = "kernel-fits"
SUMMARY = "the kernels of the registered study, and noise as smooth, as Gabors and colours (C26, C27)"
CLAIMS = ("C26", "C27")
VARIANTS = ("paper", "always-meet", "never-meet")
LABELS = {name: evidence.LABELS[name] for name in VARIANTS}


def run_from(args: argparse.Namespace) -> list[Path]:
    """Measure every kept seed that is not measured yet; `args` has full, out, only. SettingError: nothing is kept."""
    root, size = args.out, (evidence.FULL if args.full else evidence.SMALL).name
    written, there = [], 0
    for name in chosen_of(args.only, VARIANTS):
        source = records.load(evidence.NAME, f"{size}_{name}", root)
        there += bool(source)
        if source and (path := measured(source, name, size, root)):
            written.append(path)
    if not there:
        raise SettingError(
            f"no kernels of {evidence.NAME} are kept yet: run `python -m alexnet_lib experiment "
            f"{evidence.NAME}{' --full' * bool(args.full)}` first"
        )
    return written


def measured(source: dict[str, Any], name: str, size: str, root: Path | None) -> Path | None:
    """The record of a variant's kernels, with the seeds that were missing; None where none was."""
    run, out = f"{size}_{name}", Path(root or records.recorded_root())
    before = recorded_before(NAME, run, out, settings(source), source["dataset"]["checksum"])
    done = {one["seed"]: one for one in before.get("curves", ())}
    left = [one["seed"] for one in runs_of(source) if one["seed"] not in done]
    if not left:
        print(f"{NAME}: all kernels of {name} are measured in {out / NAME}")
        return None
    circumstances = records.circumstances(describe_device(torch.device("cpu")), records.command_line(sys.argv[1:]))
    for seed in left:
        began, kernels = time.monotonic(), Kept.read(source, seed, root).kernels
        tables = {"kernels": kernel_table(kernels), "noise": kernel_table(noise_as_smooth(kernels, seed))}
        fits = {which: statistics.mean(table["fit"]) for which, table in tables.items()}
        done[seed] = {"seed": seed, "seconds": time.monotonic() - began, **tables}
        path = records.write(record(source, run, done, circumstances), out)
        print(f"{run}, seed {seed}: one Gabor has {fits['kernels']:.0%} of a kernel, {fits['noise']:.0%} of such noise")
        sys.stdout.flush()
    return path


def settings(source: dict[str, Any]) -> dict[str, Any]:
    """What must be equal for a record to be continued."""
    return {"of": f"{source['experiment']}/{source['run']}", "registered": source["configuration"]["registered"]}


def record(source: dict[str, Any], run: str, done: dict[int, dict], circumstances: dict[str, Any]) -> dict[str, Any]:
    """The record as it stands."""
    runs = [done[seed] for seed in sorted(done)]
    return {
        "experiment": NAME,
        "run": run,
        "claims": list(CLAIMS),
        **circumstances,
        "configuration": settings(source),
        "dataset": source["dataset"],
        **summed(runs),
        "result": {
            "complete": len(runs) >= len(runs_of(source)),
            "seeds": sorted(done),
            "mean_fit": [statistics.mean(one["kernels"]["fit"]) for one in runs],
            "mean_fit_of_noise": [statistics.mean(one["noise"]["fit"]) for one in runs],
        },
    }
