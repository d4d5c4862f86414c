"""Rules about how many times as many passes one network takes as another (sections 3.1 and 4.2; C01, C02, C17)."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from ..experiments import dropout_cifar10 as dropout
from ..experiments import dropout_results
from ..experiments.comparison_results import difference
from ..experiments.race_results import RaceResult, ratio, result_of
from .paired import TIMES, Effect, Measured, all_of, records_of, variants

RACE, TARGET = "relu-vs-tanh", 0.25
SIX_TIMES = math.log(6)  # the paper's figure for C01
ARCHITECTURES = ("80sec", "18pct", "deep")


def tanh_over_relu(
    architecture: str = "80sec", start: str = "2012", pixels: str = "0-255"
) -> Callable[[Path | None], Measured | None]:
    """A `measure`: the log of how many times as many passes tanh takes, seed by seed. A run that did not get there
    within its cap counts as the cap, so the factor is then at least that."""

    def measure(root: Path | None) -> Measured | None:
        slow, fast = (result_of(RACE, name, start, pixels, architecture, root) for name in ("tanh", "relu"))
        if slow is None or fast is None:
            return None
        found = ratio(slow, fast, TARGET)
        change = found and difference(log_passes(slow), log_passes(fast))
        figure = f"{found} times as many passes to {TARGET:.0%} training error" if found else ""
        return Measured(change, (slow.record, fast.record), figure)

    return measure


def log_passes(result: RaceResult) -> dict[int, float]:
    """By seed, the log of the passes to the target, or of the cap."""
    passes = zip(result.runs, result.passes(TARGET), strict=True)
    return {run["seed"]: math.log(result.cap if taken is None else taken) for run, taken in passes}


def with_dropout(what: int) -> Callable[[Path | None], Measured | None]:
    """A `measure`: the log of how many times as many passes dropout takes, seed by seed.

    what: 0 to an evaluated training loss of 0.5, 1 to within 1 point of the run's own lowest test error.
    """

    def measure(root: Path | None) -> Measured | None:
        parts = [part.name for part in (dropout.FEW_LONG, dropout.FEW_SHORT)]
        found = variants(dropout.NAME, parts, ("none", "rate-0.5"), root)
        if not found:
            return None
        passes = dropout_results.recorded_passes(found)[what]
        figure = f"{dropout_results.factors(passes, 'rate-0.5')} times as many passes, seed by seed"
        return Measured(dropout_results.change_in_passes(passes), records_of(found), figure)

    return measure


def race(what: str, measure: Callable, limits: str = "", paper: float | None = None, decides: bool = True) -> Effect:
    return Effect(what, RACE, measure, +1, limits, TIMES, paper, decides)


FASTER = (
    race(
        "tanh against ReLU, starting weights and pixels as in 2012", tanh_over_relu(), paper=SIX_TIMES,
        limits="The paper does not say which network or which rates it took; the factor hangs on both.",
    ),
    race(
        "the same with today's starting weights and pixels of unit variance", tanh_over_relu("80sec", "today", "unit"),
        limits="How large the advantage is hangs on more than the nonlinearity.", decides=False,
    ),
)  # fmt: skip
BY_ARCHITECTURE = [race(f"{name}:", tanh_over_relu(name)) for name in ARCHITECTURES]
EVERYWHERE = (
    all_of(
        "tanh against ReLU on several architectures", BY_ARCHITECTURE,
        "How far the factors are apart shows how much hangs on the architecture.",
    ),
)  # fmt: skip
LONGER = (
    Effect(
        "passes to within 1 point of the run's lowest test error, dropout of 0.5 against none", dropout.NAME,
        with_dropout(1), +1, "A small network on few images: whether it is two times on ImageNet is not tested.", TIMES,
    ),
    Effect(
        "passes to an evaluated training loss of 0.5 nats, dropout of 0.5 against none", dropout.NAME, with_dropout(0),
        +1, "Only where both came there.", TIMES, decides=False,
    ),
)  # fmt: skip
