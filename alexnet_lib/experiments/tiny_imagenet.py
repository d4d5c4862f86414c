"""The paper's full recipe on Tiny ImageNet (claims C21, C13): the rate divided by 10 when the validation error stalls,
at most three times, about 90 passes. Kept besides: the curve of each run, the ten-view error, the first-layer kernels.

Small: three classes, two passes. Full, behind `python -m alexnet_lib experiment tiny-imagenet --full`: all classes at
224 pixels on a GPU, ten classes at 64 pixels on a CPU. Taught in the chapter "Full training", whose curves, drops and
errors are read from the record by the functions below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..records import NOT_RUN
from . import tiny_imagenet as experiment
from .chance import mean_and_spread
from .results import VariantResult
from .running.study import Study, on_cpu, on_gpu, small

NAME = "tiny-imagenet"
SUMMARY = "the paper's full recipe on Tiny ImageNet: curves, schedule, ten views (C21, C13)"
EXPERIMENT = Study(
    NAME, ("C21", "C13"), {"paper": ()}, small(), kernels=True,
    on_cpu=on_cpu("90-passes", seeds=1), on_gpu=on_gpu("90-passes", seeds=3),
)  # fmt: skip
run_from = EXPERIMENT.run_from


Curve = Mapping[str, Sequence[float]]


def recorded(root: Path | None = None) -> VariantResult | None:
    """The run that is shown; None where none is recorded."""
    found = experiment.EXPERIMENT.shown(root).get("paper")
    return VariantResult(found) if found else None


def curves_of(result: VariantResult | None) -> list[Curve]:
    """A curve a seed, by pass: passes, pass_error and validation_error (shares), loss (nats), rate."""
    return [one["curve"] for one in result.record["curves"]] if result else []


def drops_of(curve: Curve) -> list[int]:
    """The passes after which the rate was lowered."""
    passes, rates = curve["passes"], curve["rate"]
    return [int(passes[at]) for at in range(len(rates) - 1) if rates[at + 1] < rates[at]]


def courses(curves: Sequence[Curve]) -> dict[str, list[tuple[Sequence[float], list[float]]]]:
    """For `draw_courses`: for each seed (passes, error in per cent), of training and of validation."""
    kinds = {"training (crops, dropout)": "pass_error", "validation (centre)": "validation_error"}
    return {name: [(one["passes"], [100 * error for error in one[key]]) for one in curves]
            for name, key in kinds.items()}  # fmt: skip


def stage_rows(curves: Sequence[Curve]) -> list[list[str]]:
    """For a table, a row a seed and rate: the rate, its passes, the loss of the last one, the lowest validation error
    until then."""
    rows = []
    for number, curve in enumerate(curves):
        ends = [0, *drops_of(curve), len(curve["passes"])]
        for before, after in zip(ends, ends[1:], strict=False):
            lowest = min(curve["validation_error"][:after])
            told = [f"{curve['rate'][after - 1]:g}", f"{before + 1} to {after}", f"{curve['loss'][after - 1]:.3f}"]
            rows.append([str(number), *told, f"{lowest:.1%}"])
    return rows or [[NOT_RUN, "-", "-", "-", "-"]]


def error_rows(result: VariantResult | None) -> list[list[str]]:
    """For a table: top-1 and top-5 errors at the end in per cent, with their spread over seeds."""
    if result is None:
        return [["validation images, centre view", NOT_RUN, NOT_RUN]]
    top5: dict[str, Any] = result.record["result"]["top5_error"]
    top1 = {"centre": result.test_error, "ten": result.views_error("ten")}
    names = {"centre": "validation images, centre view", "ten": "validation images, ten views"}
    rows = [[names[which], mean_and_spread(errors.values()), _spread(top5[which])] for which, errors in top1.items()]
    return [*rows, ["training images, centre view", mean_and_spread(result.training_error.values()), "-"]]


def _spread(errors: Sequence[float | None]) -> str:
    return "-" if None in errors else mean_and_spread(errors)


def lengths(curves: Sequence[Curve]) -> str:
    """How long each seed trained, such as "61 passes, 3 drops"; or that none has."""
    return "; ".join(f"{len(one['passes'])} passes, {len(drops_of(one))} drops" for one in curves) or NOT_RUN
