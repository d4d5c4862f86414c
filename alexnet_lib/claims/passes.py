"""Rules about how many times as many passes one network takes as another (sections 3.1 and 4.2; C01, C02, C17)."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from ..experiments import dropout_cifar10 as dropout
from ..experiments.relu_vs_tanh import SOME_IMAGES
from ..experiments.results import RaceResult, ratio, result_of
from ..measures.effects import TIMES, Sample, compared
from .judging import Measured, Test, all_of, asked, records_of, variants

RACE, TARGET = "relu-vs-tanh", 0.25
SIX_TIMES, TWO_TIMES = math.log(6), math.log(2)  # the paper's figures for C01 and C17
# Which networks, and of how many images the records are that are looked for first.
ARCHITECTURES = ("80sec", "18pct", "deep")


def tanh_over_relu(
    architecture: str = "80sec", start: str = "2012", pixels: str = "0-255"
) -> Callable[[Path | None], Measured | None]:
    """A `measure`: the log of how many times as many passes tanh takes. A run that did not get there within its cap
    counts as the cap, so the factor is then at least that. On all images where that is recorded, else on some."""

    def measure(root: Path | None) -> Measured | None:
        for images in (None, SOME_IMAGES):
            slow, fast = (result_of(RACE, name, start, pixels, architecture, root, images) for name in ("tanh", "relu"))
            if slow is not None and fast is not None:
                break
        else:
            return None
        found = ratio(slow, fast, TARGET)
        if found is None:
            stuck = Measured(None, (slow.record, fast.record), broken=("ReLU",))
            return stuck
        effect = compared(log_passes(slow), log_passes(fast), less_is_better=False)
        return Measured(effect, (slow.record, fast.record))

    return measure


def log_passes(result: RaceResult) -> Sample:
    """By seed, the log of the passes to the target, or of the cap."""
    passes = result.passes(TARGET)
    return Sample(tuple(math.log(result.cap if taken is None else taken) for taken in passes))


def with_dropout(what: int) -> Callable[[Path | None], Measured | None]:
    """A `measure`: the log of how many times as many passes dropout takes.

    what: 0 to an evaluated training loss of 0.5, 1 to within 1 point of the run's own lowest test error.
    """

    def measure(root: Path | None) -> Measured | None:
        parts = [part.name for part in (dropout.FEW_LONG, dropout.FEW_SHORT)]
        found = variants(dropout.NAME, parts, ("none", "rate-0.5"), root)
        if not found:
            return None
        passes = dropout.recorded_passes(found)[what]
        samples = [dropout.log_passes(passes[name]) for name in ("rate-0.5", "none")]
        effect = None if None in samples else compared(*samples, less_is_better=False)
        return Measured(effect, records_of(found))

    return measure


def race(what: str, measure: Callable, limits: str = "", paper: float | None = None, decides: bool = True) -> Test:
    return Test(what, RACE, measure, limits, TIMES, paper, same_data=paper is not None, decides=decides)


FASTER = (
    race(
        "passes to 25% training error, tanh over ReLU, starting weights and pixels as in 2012",
        tanh_over_relu(),
        paper=SIX_TIMES,
        limits="The paper does not say which network or which rates it took; the factor hangs on both.",
    ),
    race(
        "the same with today's starting weights and pixels of unit variance",
        tanh_over_relu("80sec", "today", "unit"),
        limits="How large the advantage is hangs on more than the nonlinearity.",
        decides=False,
    ),
)
BY_ARCHITECTURE = [race(f"{name}:", tanh_over_relu(name)) for name in ARCHITECTURES]
EVERYWHERE = (
    all_of(
        "passes to 25% training error, tanh over ReLU, on several architectures",
        BY_ARCHITECTURE,
        RACE,
        "How far the factors are apart shows how much hangs on the architecture.",
    ),
    *(
        race(f"{name} with today's starting weights and pixels", tanh_over_relu(name, "today", "unit"), decides=False)
        for name in ARCHITECTURES[1:]
    ),
)
SMALL = "A small network on few images: whether it is two times on ImageNet is not tested."
LONGER = (
    asked(
        "dropout-time",
        "passes to an evaluated training loss of 2.5 nats, with dropout's masks over without them",
        "Without the masks the outputs are halved all the same.",
    ),
    Test(
        "passes to an evaluated training loss of 0.5 nats, dropout of 0.5 over none",
        dropout.NAME,
        with_dropout(0),
        f"Only where both came there. {SMALL}",
        TIMES,
        TWO_TIMES,
    ),
    Test(
        "passes to within 1 point of the run's lowest test error, dropout of 0.5 over none",
        dropout.NAME,
        with_dropout(1),
        "Where the lowest error lies hangs on chance.",
        TIMES,
        TWO_TIMES,
        decides=False,
    ),
)
