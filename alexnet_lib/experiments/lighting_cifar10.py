"""Colours changed in training on CIFAR-10 (section 4.1, claim C14): not at all, along the components, by jitter.

The same network, images, crops and seeds; only what is added to the colours of training images differs, and errors are
measured without it. Claim C14 is about the whole network on ImageNet, which `ablations` is to test; this asks a small
network the same. Small, as the chapter "Lighting by principal components" runs it:
`live.live_comparison`. Full: `run_from` behind
`python -m alexnet_lib experiment lighting-cifar10 --full`.
"""

from __future__ import annotations

from ..network.small.locally_connected import ConvLocalConfig
from .running.comparison import Terms
from .running.comparison_runs import Change, Comparison, Part

NAME = "lighting-cifar10"
SUMMARY = "CIFAR-10 test error with PCA lighting of two strengths, with colour jitter, with neither (C14)"
NET = ConvLocalConfig()
LABELS = {
    "none": "none",
    "deviation": "lighting by the deviation (2012 code)",
    "eigenvalue": "lighting by the eigenvalue, 0-1",
    "jitter": "brightness, contrast, saturation",
}
NOISE = {"none": "none", "deviation": "lighting", "eigenvalue": "lighting, eigenvalue 0-1", "jitter": "jitter"}
VARIANTS = {name: Change(NET, {"noise": noise}) for name, noise in NOISE.items()}
_RATES = (0.0003, 0.001, 0.003)

LONG = Part("160-passes", Terms(rates=_RATES, pilot=20), VARIANTS, seeds=5)
SHORT = Part("10000-images-16-passes", Terms(10_000, stages=(12, 2, 2), rates=(0.003,)), VARIANTS, seeds=3)
SMALL = Part("small", Terms(images=2_000, stages=(4,), rates=(0.003,)), VARIANTS, seeds=1)
EXPERIMENT = Comparison(NAME, ("C14",), small=(SMALL,), on_cpu=(SHORT,), on_gpu=(LONG,))
run_from = EXPERIMENT.run_from
