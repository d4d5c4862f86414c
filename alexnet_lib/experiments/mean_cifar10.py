"""Which mean is subtracted, on CIFAR-10 (section 2, claim C31; Q28): per pixel, per channel, one number, or none.

The same network, images and seeds; only what is taken off the pixels differs, and nothing is divided. Each variant may
have its own learning rate, since pixels without their mean taken off ask for a lower one. Small, as the chapter "The
data" runs it: `live.live_comparison`. Full: `run_from` behind
`python -m alexnet_lib experiment mean-cifar10 --full`.
"""

from __future__ import annotations

from ..network.small.locally_connected import ConvLocalConfig
from .running.comparison import Terms
from .running.comparison_runs import Change, Comparison, Part

NAME = "mean-cifar10"
SUMMARY = "CIFAR-10 test error with the mean subtracted per pixel, per channel, as one number, or not at all (C31)"
NET = ConvLocalConfig()
LABELS = {
    "pixel": "per pixel (the paper)",
    "channel": "per channel",
    "number": "one number",
    "none": "none",
}
PIXELS = {"pixel": "mean image", "channel": "channel mean", "number": "one mean", "none": "no mean"}
VARIANTS = {name: Change(NET, {"pixels": pixels}) for name, pixels in PIXELS.items()}
_RATES = (0.0003, 0.001, 0.003)

LONG = Part("160-passes", Terms(rates=_RATES, pilot=20), VARIANTS, seeds=5)
SHORT = Part("10000-images-16-passes", Terms(10_000, stages=(12, 2, 2), rates=_RATES, pilot=4), VARIANTS, seeds=3)
SMALL = Part("small", Terms(images=2_000, stages=(6,), rates=(0.001,)), VARIANTS, seeds=1)
EXPERIMENT = Comparison(NAME, ("C31",), small=(SMALL,), on_cpu=(SHORT,), on_gpu=(LONG,))
run_from = EXPERIMENT.run_from
