"""Response normalisation on CIFAR-10 (claim C06, section 3.3): none, the paper's, the released file's, batch norm.

Small, as the chapter runs it: `comparison_results.live_comparison`. Full: `run_from` behind
`python -m alexnet_lib experiment lrn-cifar10 --full`. The released pair of files, 13% and 11%, differs in the norm
alone, but its author trained the second network for 470 passes and the first for 160: here both have as many.
"""

from __future__ import annotations

from ..local_nets import ConvLocalConfig
from .comparison import Terms
from .comparison_runs import Comparison, Part

NAME = "lrn-cifar10"
SUMMARY = "CIFAR-10 test error without a norm, with the paper's, the released file's, and batch normalisation (C06)"
VARIANTS = {
    "none": ConvLocalConfig("none"),
    "lrn-sum": ConvLocalConfig("lrn"),
    "lrn-average": ConvLocalConfig("lrn average"),
    "batch-norm": ConvLocalConfig("batch"),
}
LABELS = {
    "none": "no norm",
    "lrn-sum": "LRN, the paper's formula",
    "lrn-average": "LRN, the released file's",
    "batch-norm": "batch normalisation",
}
LONG = Part("160-passes", Terms(rates=(0.0003, 0.001, 0.003), pilot=20), VARIANTS, seeds=5)
SHORT = Part("5-passes", Terms(stages=(4, 0.5, 0.5), rates=(0.001, 0.003), pilot=1), VARIANTS, seeds=3)
SMALL = Part("small", Terms(images=10_000, stages=(2,)), VARIANTS, seeds=1)
EXPERIMENT = Comparison(NAME, ("C06",), small=(SMALL,), on_cpu=(SHORT,), on_gpu=(LONG,))
run_from = EXPERIMENT.run_from
