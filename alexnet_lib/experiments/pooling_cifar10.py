"""Pooling on CIFAR-10 (claims C07, C08; section 3.4): windows of 3 and 2 moved by 2, and other ways to halve a map.

Two parts. All training images with crops and reflections, where the question is the test error (C07); and 5,000
images as they are, which every variant can learn by heart, where it is how far test and training error come apart
(C08). Small, as the chapter runs it: `live.live_comparison`. Full: `run_from` behind
`python -m alexnet_lib experiment pooling-cifar10 --full`.
"""

from __future__ import annotations

from ..network.small.locally_connected import POOLINGS, ConvLocalConfig
from .running.comparison import Terms
from .running.comparison_runs import Comparison, Part

NAME = "pooling-cifar10"
SUMMARY = "CIFAR-10 test error and overfitting with overlapping and other poolings (C07, C08)"
LABELS = {name.replace(" ", "-").replace("/", "-"): name for name in POOLINGS}
VARIANTS = {key: ConvLocalConfig(pooling=name) for key, name in LABELS.items()}
_THREE = {key: VARIANTS[key] for key in ("max-3-2", "max-2-2", "average-3-2")}
FEW = 5_000
_RATES = (0.0003, 0.001, 0.003)

LONG = Part("160-passes", Terms(rates=_RATES, pilot=20), VARIANTS, seeds=5)
SHORT = Part("4-passes", Terms(stages=(3, 0.5, 0.5), rates=(0.003,)), _THREE, seeds=3)
FEW_LONG = Part(
    "5000-images-200-passes", Terms(FEW, augmented=False, stages=(180, 10, 10), rates=_RATES, pilot=60), VARIANTS, 5
)
FEW_SHORT = Part(
    "5000-images-24-passes", Terms(FEW, augmented=False, stages=(20, 2, 2), rates=(0.003,)), VARIANTS, seeds=3
)
SMALL = (
    Part("small", Terms(images=10_000, stages=(2,), rates=(0.003,)), _THREE, seeds=1),
    Part("small-1000-images", Terms(1_000, augmented=False, stages=(20,), rates=(0.003,)), _THREE, seeds=1),
)
EXPERIMENT = Comparison(NAME, ("C07", "C08"), small=SMALL, on_cpu=(FEW_SHORT, SHORT), on_gpu=(LONG, FEW_LONG))
run_from = EXPERIMENT.run_from
