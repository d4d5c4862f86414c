"""Response normalisation on CIFAR-10 (claim C06, section 3.3): none, the paper's, the released file's, batch norm.

Small, as the chapter runs it: `live.live_comparison`. Full: `run_from` behind
`python -m alexnet_lib experiment lrn-cifar10 --full`. The released pair of files, 13% and 11%, differs in more than the
norm (`locally_connected`), and its author trained the second network for 520 passes and the first for 160. Here all
have as many, and the file's norm is also tried by itself, so that it can be told from the rest.
"""

from __future__ import annotations

from ..network.small.locally_connected import ConvLocalConfig
from .running.comparison import Terms
from .running.comparison_runs import Change, Comparison, Part

NAME = "lrn-cifar10"
SUMMARY = "CIFAR-10 test error without a norm, with the paper's, the released file's, and batch normalisation (C06)"
# The 11% file as it stayed: its norm, 64 maps in the first locally connected layer, and a decay of 0.01 in the last.
RELEASED = ConvLocalConfig("lrn released", first_local_maps=64, last_decay=0.01)
BATCH_NORM_RATES = (0.003, 0.01, 0.03, 0.1)
VARIANTS = {
    "none": ConvLocalConfig("none"),
    "lrn-sum": ConvLocalConfig("lrn"),
    "lrn-9": ConvLocalConfig("lrn released"),
    "released-11": RELEASED,
    "batch-norm": Change(ConvLocalConfig("batch"), {"rates": BATCH_NORM_RATES}),
}
LABELS = {
    "none": "no norm (the 13% file)",
    "lrn-sum": "LRN, the paper's formula",
    "lrn-9": "LRN of the 11% file, alone",
    "released-11": "the 11% file whole",
    "batch-norm": "batch normalisation",
}
LONG = Part("160-passes", Terms(rates=(0.0003, 0.001, 0.003), pilot=20), VARIANTS, seeds=5)
MIDDLE = Part("20-passes", Terms(stages=(16, 2, 2), rates=(0.0005, 0.001, 0.002), pilot=3), VARIANTS, seeds=5)
# Recorded before the file's second revision was known; "lrn-average" is the norm of the first.
EARLIER = {
    **{name: VARIANTS[name] for name in ("none", "lrn-sum")},
    "lrn-average": ConvLocalConfig("lrn average"),
    "batch-norm": ConvLocalConfig("batch"),
}
SHORT = Part("5-passes", Terms(stages=(4, 0.5, 0.5), rates=(0.001, 0.003), pilot=1), EARLIER, seeds=3)
RECORDED = (LONG, MIDDLE, SHORT)
RECORDED_LABELS = LABELS | {"lrn-average": "LRN of the 11% file's first version"}
SMALL = Part("small", Terms(images=10_000, stages=(2,)), VARIANTS, seeds=1)
EXPERIMENT = Comparison(NAME, ("C06",), small=(SMALL,), on_cpu=(MIDDLE,), on_gpu=(LONG,))
run_from = EXPERIMENT.run_from
