"""Speeds side by side: what is compared takes turns, and a speed is the median of the turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Timing:
    """Images a second of one thing, over the rounds it was given: median, lowest, highest."""

    name: str
    median: float
    lowest: float
    highest: float


def take_turns(contestants: dict[str, Callable[[], int]], rounds: int) -> dict[str, Timing]:
    """Run each contestant once to warm up, then all in turn for `rounds` rounds; each call returns images handled.

    Turns, so that a machine whose speed drifts drifts for all alike.
    """
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, contestant in contestants.items():
            began = time.perf_counter()
            images = contestant()
            if turn:
                speeds[name].append(images / (time.perf_counter() - began))
    return {name: Timing(name, statistics.median(s), min(s), max(s)) for name, s in speeds.items()}


def synchronise(device: torch.device) -> None:
    """Wait for a GPU to finish; a CPU has by then."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
