"""The paper's full recipe on Tiny ImageNet (claims C21, C13): the rate divided by 10 when the validation error stalls,
at most three times, about 90 passes. Kept besides: the curve of each run, the ten-view error, the first-layer kernels.

Small: three classes, two passes. Full, behind `python -m alexnet_lib experiment tiny-imagenet --full`: all classes at
224 pixels on a GPU, ten classes at 64 pixels on a CPU. Taught in the chapter "Full training".
"""

from __future__ import annotations

from pathlib import Path

from .results import VariantResult
from .running.study import Study, on_cpu, on_gpu, small

NAME = "tiny-imagenet"
SUMMARY = "the paper's full recipe on Tiny ImageNet: curves, schedule, ten views (C21, C13)"
EXPERIMENT = Study(
    NAME,
    ("C21", "C13"),
    {"paper": ()},
    small(),
    kernels=True,
    on_cpu=on_cpu("90-passes", seeds=1),
    on_gpu=on_gpu("90-passes", seeds=3),
)
run_from = EXPERIMENT.run_from


def recorded(root: Path | None = None) -> VariantResult | None:
    """The run that is shown; None where none is recorded."""
    found = EXPERIMENT.shown(root).get("paper")
    return VariantResult(found) if found else None
