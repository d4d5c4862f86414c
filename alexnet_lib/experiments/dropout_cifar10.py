"""Dropout on CIFAR-10 (claims C16, C17; section 4.2): its rate swept, the kind of 2012 and today's, and its place.

A small network that ends in two hidden fully connected layers, as the paper's does, with dropout on both. Two parts.
5,000 images as they are, which every variant can learn by heart: how far test and training error come apart (C16), and
how many passes each takes (C17). All training images with crops and reflections, as the paper trained. Every variant
chooses its rate of learning, since dropout may want another one; after each pass the network is evaluated on 2,000
images of each set (`watching`), from which the passes are read off. Small: `live.live_comparison`, in the chapter
"Dropout". Full: `run_from` behind `python -m alexnet_lib experiment dropout-cifar10 --full`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..measures.effects import Sample
from ..network.small.with_dropout import DropoutNetConfig
from .results import VariantResult
from .running.comparison import Terms
from .running.comparison_runs import Comparison, Part
from .running.watching import courses, passes_to_settle, passes_until

NAME = "dropout-cifar10"
SUMMARY = "CIFAR-10 overfitting and passes to converge with dropout at several rates, of 2012 and inverted (C16, C17)"
VARIANTS = {
    "none": DropoutNetConfig(rate=0.0),
    "rate-0.25": DropoutNetConfig(rate=0.25),
    "rate-0.5": DropoutNetConfig(rate=0.5),
    "rate-0.75": DropoutNetConfig(rate=0.75),
    "inverted-0.5": DropoutNetConfig(rate=0.5, kind="inverted"),
    "before-0.5": DropoutNetConfig(rate=0.5, place="before"),
}
LABELS = {
    "none": "no dropout",
    "rate-0.25": "rate 0.25",
    "rate-0.5": "rate 0.5, the paper's",
    "rate-0.75": "rate 0.75",
    "inverted-0.5": "rate 0.5, inverted",
    "before-0.5": "rate 0.5, before the hidden layers",
}
_THREE = {key: VARIANTS[key] for key in ("none", "rate-0.5", "rate-0.75")}
FEW, DECAY, WATCHED = 5_000, 0.0005, 2_000
_RATES = (0.003, 0.01, 0.03)


def _terms(images: int | None, stages: tuple[float, ...], pilot: float = 0, watched: int = WATCHED) -> Terms:
    rates = _RATES if pilot else (0.01,)
    augmented = images is None
    return Terms(images, augmented, stages, rates, pilot, decay=DECAY, watched=watched)


LONG = Part("150-passes", _terms(None, (110, 20, 20), pilot=20), VARIANTS, seeds=5)
SHORT = Part("8-passes", _terms(None, (6, 1, 1)), _THREE, seeds=3)
FEW_LONG = Part("5000-images-240-passes", _terms(FEW, (200, 20, 20), pilot=40), VARIANTS, seeds=5)
FEW_SHORT = Part("5000-images-60-passes", _terms(FEW, (50, 5, 5), pilot=15), VARIANTS, seeds=3)
SMALL = Part("small-1000-images", _terms(1_000, (20,), watched=1_000), _THREE, seeds=1)
EXPERIMENT = Comparison(NAME, ("C16", "C17"), small=(SMALL,), on_cpu=(FEW_SHORT, SHORT), on_gpu=(FEW_LONG, LONG))
run_from = EXPERIMENT.run_from


Passes = dict[str, dict[int, float | None]]  # by variant, by seed


def recorded_passes(
    found: Mapping[str, VariantResult], level: float = 0.5, within: float = 0.01
) -> tuple[Passes, Passes]:
    """Passes to an evaluated training loss of `level`, and to `within` of each run's own lowest test error."""
    to_level: Passes = {}
    to_settle: Passes = {}
    for name, result in found.items():
        losses, errors = (courses(result.record, f"watched_{what}") for what in ("training_loss", "test_error"))
        to_level[name] = {seed: passes_until(course, level) for seed, course in losses.items()}
        to_settle[name] = {seed: passes_to_settle(course, within) for seed, course in errors.items()}
    return to_level, to_settle


def log_passes(passes: Mapping[int, float | None]) -> Sample | None:
    """By seed, the log of the passes; None where no seed came there."""
    reached = [math.log(taken) for taken in passes.values() if taken]
    return Sample(tuple(reached)) if reached else None
