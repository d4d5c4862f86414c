"""The first layer's kernels of the paper's two columns, beside other ways to connect them (C26, C27; question Q43).

"one-column": every layer sees everything, and the normalisation reaches across; its halves are a matter of numbering
alone. "late": the columns meet in the fully connected layers only. A record holds each kernel's measures
(`alexnet_lib.measures.kernels`), and beside it stand the kernels themselves, of the first run at several moments.

Small: three classes, two passes. Full: `python -m alexnet_lib experiment kernels --full`. Taught in "First-layer
kernels".
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from ..measures.effects import LEVEL
from ..measures.kernels import KINDS, Specialisation, specialisation
from .ablations import EXPERIMENT as ABLATIONS
from .results import VariantResult
from .running.study import Study, small
from .running.study_runs import load_beside

NAME = "kernels"
SUMMARY = "first-layer kernels of two columns and of one, measured over seeds, on Tiny ImageNet (C26, C27)"
VARIANTS = {
    "paper": (),
    "one-column": ("net.columns=1",),
    "late": ("net.exchange=fc6,fc7,fc8",),
}
LABELS = {
    "paper": "two columns that meet at conv3 (the paper's)",
    "one-column": "one column: all meet everywhere",
    "late": "two columns that meet at fc6",
}
EXPERIMENT = Study(
    NAME, ("C26", "C27"), VARIANTS, small(), kernels=True, snapshots=12,
    on_cpu=replace(ABLATIONS.on_cpu, seeds=3), on_gpu=replace(ABLATIONS.on_gpu, seeds=5),
)  # fmt: skip
run_from = EXPERIMENT.run_from


def variants(root: Path | None = None) -> dict[str, VariantResult]:
    """The variants of `kernels` that are shown; {} if there is none."""
    found = EXPERIMENT.shown(root)
    return {name: VariantResult(found[name]) for name in EXPERIMENT.variants if name in found}


def tables(result: VariantResult) -> dict[int, dict[str, Any]]:
    """By seed, a recorded variant's `kernels.kernel_table`."""
    return {run["seed"]: run["kernels"] for run in result.record["curves"] if not run["pilot"]}


def shares(result: VariantResult) -> list[list[float]]:
    """By seed, the colour shares of its kernels, the first column's first."""
    return [table["colour_share"] for table in tables(result).values()]


def apart(result: VariantResult) -> Specialisation:
    """How far the two halves of a variant's kernels are apart in colour, over its seeds."""
    return specialisation(shares(result))


def apart_by_run(result: VariantResult) -> list[Specialisation]:
    """The same of each run by itself, in the order of its seeds."""
    return [specialisation([run]) for run in shares(result)]


def kinds(table: Mapping[str, Any]) -> dict[str, float]:
    """The share of a table's kernels that are of each kind."""
    return {kind: table["kind"].count(kind) / len(table["kind"]) for kind in KINDS}


def kept_kernels(result: VariantResult, seed: int = 0, root: Path | None = None) -> dict[str, torch.Tensor]:
    """The kernels beside a record, float32: "conv1.weight" at the end, and "pass-N" where those are kept.

    RecordError: the file that belongs to the record is not there.
    """
    kept = load_beside(result.record, f"_seed-{seed}_conv1.safetensors", root)
    return {name: kernels.float() for name, kernels in kept.items()}


def moments(kept: Mapping[str, torch.Tensor]) -> dict[int, torch.Tensor]:
    """By passes, the kernels of each moment that was kept, in order."""
    numbers = sorted(int(name.removeprefix("pass-")) for name in kept if name.startswith("pass-"))
    return {number: kept[f"pass-{number}"] for number in numbers}


def kind_rows(results: Mapping[str, VariantResult]) -> list[list[str]]:
    """For a table, a row a variant and seed: the share of each of KINDS, and the mean colour share."""
    return [
        kind_row(f"{LABELS[name]}, seed {seed}", table)
        for name, result in results.items()
        for seed, table in tables(result).items()
    ]


def kind_row(label: str, table: Mapping[str, Any]) -> list[str]:
    """The row of one table of kernels."""
    mean = statistics.mean(table["colour_share"])
    return [label, *(f"{share:.0%}" for share in kinds(table).values()), f"{mean:.2f}"]


def column_rows(results: Mapping[str, VariantResult]) -> list[list[str]]:
    """For a table, a row a variant: by seed the second half's colour less the first's, in points, with that run's p;
    the mean of their sizes; what chance gives; p of all runs; how many runs are beyond chance by themselves, with the
    95% interval of the share of such runs."""
    rows = []
    for name, result in results.items():
        one, runs = apart(result), apart_by_run(result)
        by_seed = ", ".join(f"{100 * run.differences[0]:+.1f} (p {run.p:.2g})" for run in runs)
        beyond = sum(run.p < LEVEL for run in runs)
        low, high = stats.binomtest(beyond, len(runs)).proportion_ci()
        rows.append([LABELS[name], by_seed, f"{100 * one.size:.1f}", f"{100 * one.by_chance:.1f}", f"{one.p:.4f}",
                     f"{beyond} of {len(runs)} ({low:.0%} to {high:.0%})"])  # fmt: skip
    return rows
