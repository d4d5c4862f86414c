"""The first layer's kernels of the paper's two columns, beside other ways to connect them (C26, C27; question Q43).

"one-column": every layer sees everything, and the normalisation reaches across; its halves are a matter of numbering
alone. "late": the columns meet in the fully connected layers only. A record holds each kernel's measures
(`alexnet_lib.measures.kernels`), and beside it stand the kernels themselves, of the first run at several moments.

Small: three classes, two passes. Full: `python -m alexnet_lib experiment kernels --full`. Taught in "First-layer
kernels".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

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
    NAME,
    ("C26", "C27"),
    VARIANTS,
    small(),
    kernels=True,
    snapshots=12,
    on_cpu=replace(ABLATIONS.on_cpu, seeds=3),
    on_gpu=replace(ABLATIONS.on_gpu, seeds=5),
)
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
