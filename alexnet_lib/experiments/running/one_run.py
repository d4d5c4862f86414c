"""One training run of a race, as a worker process does it: trained, stopped where it cannot win, told as an outcome."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import torch

from ...augment import PixelScale
from ...data.cifar10 import load_cifar10
from ...data.image_set import ImageSet
from ...errors import TrainingError
from ...network.small.four_layers import SmallNet
from ...system.devices import keep_freed_memory
from ...training.fit import TrainResult, error_rate, fit
from .race import SWEEP_SEED, Unit

# A run whose error is still that of guessing after so many passes is given up: it is at a rate too low or too high.
STUCK_AFTER, STUCK_ERROR = 6, 0.88
# So is one that after this many passes lies this far behind the leader of its sweep at the same pass.
BEHIND_AFTER, BEHIND_BY = 8, 0.05


@dataclass(frozen=True)
class Workplace:
    """What every process needs: where the data is, how many images of it, the device, threads, and where to keep."""

    data: str | None
    images: int | None
    device: str
    threads: int
    checkpoints: Path

    def leader_of(self, run: str) -> Path:
        """The file that holds the course of the best run in the sweep of `run`, once one has met the target."""
        return self.checkpoints / f"{run}.leader"


_sets: dict[Any, ImageSet] = {}


def image_set(split: str, data: str | None, images: int | None) -> ImageSet:
    """A split of CIFAR-10 (or the stand-in), cut to `images`; loaded once a process."""
    key = (split, data, images)
    if key not in _sets:
        whole = load_cifar10(split, data)
        _sets[key] = whole if images is None or images >= len(whole) else whole.subset(images)
    return _sets[key]


def run_unit(unit: Unit, place: Workplace) -> dict[str, Any]:
    """Train one unit and say how it went; a run that another rate has beaten ends as "abandoned"."""
    torch.set_num_threads(place.threads)
    keep_freed_memory()
    train, test = (image_set(split, place.data, place.images) for split in ("train", "test"))
    scale = PixelScale.fit(train.images, unit.net.pixels)
    net = SmallNet(unit.net, seed=unit.seed)
    checkpoint = place.checkpoints / f"{unit.label.replace(' ', '_')}.pt"
    diverged_at, began = None, time.perf_counter()
    try:
        result = fit(
            net, train.images, train.labels, unit.settings, scale, seed=unit.seed, device=place.device,
            label=unit.label, checkpoint=checkpoint, on_point=_referee(unit, place.leader_of(unit.run)),
        )  # fmt: skip
        if result.ended in ("target", "cap"):
            result.test_error = error_rate(net, test.images, test.labels, scale, place.device)
    except Stopped:
        return STOPPED
    except TrainingError as error:
        if error.step is None:
            raise
        diverged_at, result = error.step, TrainResult(ended="diverged", seconds=time.perf_counter() - began)
    checkpoint.unlink(missing_ok=True)
    return outcome_of(unit, result, diverged_at, place)


def _referee(unit: Unit, leader: Path) -> Callable[[dict[str, float]], bool]:
    """Says, at each point of a sweep's run, whether to give it up; ends any run when the race is stopped."""

    def give_up(point: dict[str, float]) -> bool:
        stop_if_asked()
        if unit.seed != SWEEP_SEED:
            return False
        if point["passes"] >= STUCK_AFTER and point["pass_error"] > STUCK_ERROR:
            return True
        return leader.exists() and cannot_win(point, json.loads(leader.read_text(encoding="utf-8")))

    return give_up


def cannot_win(point: dict[str, float], leader: dict[str, Any]) -> bool:
    """Whether a sweep's run at `point` has used more passes than its leader needed, or has fallen far behind it.

    leader: target_passes, and its course as the lists passes and pass_error.
    """
    if point["passes"] > leader["target_passes"]:
        return True
    course = dict(zip(leader["passes"], leader["pass_error"], strict=True))
    ahead = course.get(point["passes"], point["pass_error"])
    return point["passes"] >= BEHIND_AFTER and point["pass_error"] > ahead + BEHIND_BY


def outcome_of(unit: Unit, result: TrainResult, diverged_at: int | None, place: Workplace) -> dict[str, Any]:
    """The outcome as a record keeps it."""
    return {
        "rate": unit.settings.rate,
        "seed": unit.seed,
        "ended": result.ended,
        "target_passes": result.target_passes,
        "test_error": result.test_error,
        "diverged_at": diverged_at,
        "seconds": result.seconds,
        "threads": place.threads,
        "curve": {key: [point[key] for point in result.curve] for key in ("passes", "pass_error", "loss")},
    }


class Stopped(Exception):
    """The runs are to end; what a run had saved by then stays. Raised and caught within a worker process."""


STOPPED = {"ended": "stopped"}  # the outcome of a run that was
_stop: Event | None = None


def asked_to_stop() -> bool:
    """In a worker process: whether the runs are to end."""
    return _stop is not None and _stop.is_set()


def stop_if_asked() -> None:
    """In a worker process: raise Stopped when the runs are to end."""
    if asked_to_stop():
        raise Stopped


def start_worker(stop: Event) -> None:
    """In a worker process: keep the flag that ends its runs, and end with the process that started it."""
    global _stop
    _stop = stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
