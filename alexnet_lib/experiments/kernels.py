"""The first layer's kernels of the paper's two columns, beside other ways to connect them (C26, C27; question Q43).

"one-column": every layer sees everything, and the normalisation reaches across; its halves are a matter of numbering
alone. "late": the columns meet in the fully connected layers only. A record holds each kernel's measures
(`alexnet_lib.kernels`), and beside it stand the kernels themselves, of the first run at several moments.

Small: three classes, two passes. Full: `python -m alexnet_lib experiment kernels --full`. Taught in "First-layer
kernels".
"""

from __future__ import annotations

from dataclasses import replace

from .ablations import EXPERIMENT as ABLATIONS
from .imagenet_study import Study, small

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
