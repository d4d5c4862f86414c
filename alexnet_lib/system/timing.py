"""Speeds side by side: what is compared takes turns, and a speed is the median of the turns."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Images a second of one thing, over the rounds it was given: median, lowest, highest."""

    name: str
    median: float
    lowest: float
    highest: float


def take_turns(contestants: dict[str, Callable[[], int]], rounds: int) -> dict[str, Timing]:
    """Run each contestant once to warm up, then all in turn for `rounds` rounds; each call returns images handled.

    Turns, so that a machine whose speed drifts drifts for all alike. A turn lasts until GPUs have done what it asked.
    """
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, contestant in contestants.items():
            began = time.perf_counter()
            images = contestant()
            synchronise()
            if turn:
                speeds[name].append(images / (time.perf_counter() - began))
    return {name: Timing(name, statistics.median(s), min(s), max(s)) for name, s in speeds.items()}


def synchronise() -> None:
    """Wait for the GPUs that this process uses; a CPU has done by then what it was asked."""
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        for number in filter(torch.cuda.memory_reserved, range(torch.cuda.device_count())):
            torch.cuda.synchronize(number)
