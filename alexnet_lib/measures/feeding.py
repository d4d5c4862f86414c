"""Feeding a training step: batches made before it, behind it by a thread, or long beforehand; and what each costs.

The paper makes the augmented images of the next batch on the CPU while the GPU trains on this one, and calls them
therefore free (section 4.1, claim C15). Whether they are depends on what the step leaves unused: on a machine that
trains on its CPU, the thread and the step share the same cores. Taught in "Crops, reflections and ten views".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import SettingError
from ..system.ahead import ahead
from ..system.timing import take_turns

Make, Step = Callable[[], Any], Callable[[Any], None]
WAYS = ("without", "before the step", "behind the step")


def time_ways(make: Make, step: Step, *, steps: int = 8, rounds: int = 3) -> dict[str, float]:
    """The median seconds of a step, by way of feeding: batches made beforehand ("without"), "before the step", or
    "behind the step"; in turns.

    make() gives a batch; step(batch) trains on it and returns when that is done (on a GPU: after waiting for it).
    Each turn is `steps` steps, after one that warms up; what a thread makes ahead of the first step counts, so the
    more steps, the nearer to running on for ever. SettingError: no steps, or no rounds.
    """
    if steps < 1 or rounds < 1:
        raise SettingError(f"steps {steps} and rounds {rounds} must be 1 or more")
    beforehand = make()

    def without() -> int:
        for _ in range(steps):
            step(beforehand)
        return steps

    def before() -> int:
        for _ in range(steps):
            step(make())
        return steps

    def behind() -> int:
        for batch in ahead(make() for _ in range(steps)):
            step(batch)
        return steps

    timings = take_turns(dict(zip(WAYS, (without, before, behind), strict=True)), rounds)
    return {way: 1 / timing.median for way, timing in timings.items()}


@dataclass(frozen=True)
class Span:
    """One piece of work: making batch `number`, or the step on it, from `start` to `stop`, in seconds."""

    what: str
    number: int
    start: float
    stop: float


def timeline(make: Make, step: Step, *, steps: int = 4, behind: bool) -> list[Span]:
    """When each batch was made ("make") and used ("step"), counted from the first: what a picture of overlap shows."""
    spans, began = [], time.perf_counter()

    def timed(what: str, number: int, work: Callable[[], Any]) -> Any:
        start = time.perf_counter() - began
        result = work()
        spans.append(Span(what, number, start, time.perf_counter() - began))
        return result

    made = (timed("make", number, make) for number in range(steps))
    for number, batch in enumerate(ahead(made) if behind else made):
        timed("step", number, lambda batch=batch: step(batch))
    return sorted(spans, key=lambda span: (span.start, span.number))
