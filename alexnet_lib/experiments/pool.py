"""Running the units of a race in several processes, stopping those that cannot win, and losing nothing."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..augment import PixelScale
from ..datasets import ImageSet, load_cifar10
from ..devices import keep_freed_memory
from ..errors import TrainingError
from ..files import write_text
from ..progress import progress
from ..small_nets import SmallNet
from ..train import TrainResult, error_rate, fit
from .race import SWEEP_SEED, Contender, Unit

# A run whose error is still that of guessing after so many passes is given up: it is at a rate too low or too high.
STUCK_AFTER, STUCK_ERROR = 6, 0.88


@dataclass(frozen=True)
class Workplace:
    """What every process needs: where the data is, how many images of it, the device, threads, and where to keep."""

    data: str | None
    images: int | None
    device: str
    threads: int
    checkpoints: Path


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
    name = unit.label.replace(" ", "_")
    checkpoint, beaten = place.checkpoints / f"{name}.pt", place.checkpoints / f"{unit.run}.best"
    diverged_at = None
    try:
        result = fit(
            net, train.images, train.labels, unit.settings, scale, seed=unit.seed, device=place.device,
            label=unit.label, checkpoint=checkpoint, on_point=_referee(unit, beaten),
        )  # fmt: skip
        if result.ended == "target" or result.ended == "cap":
            result.test_error = error_rate(net, test.images, test.labels, scale, place.device)
    except TrainingError as error:
        if error.step is None:
            raise
        diverged_at, result = error.step, TrainResult(ended="diverged")
    if result.ended != "stopped":
        checkpoint.unlink(missing_ok=True)
    return outcome_of(unit, result, diverged_at, place)


def _referee(unit: Unit, beaten: Path) -> Callable[[dict[str, float]], bool]:
    """Says, at each point of a sweep's run, whether to give it up."""

    def give_up(point: dict[str, float]) -> bool:
        if unit.seed != SWEEP_SEED:
            return False
        if point["passes"] >= STUCK_AFTER and point["pass_error"] > STUCK_ERROR:
            return True
        return beaten.exists() and point["passes"] > float(beaten.read_text())

    return give_up


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


def run_race(contenders: Sequence[Contender], place: Workplace, jobs: int, record: Callable[[Contender], None]) -> bool:
    """Run all that is due, `jobs` units at a time, first contenders first; `record` is called after every unit.

    Returns True when everything was run, False when Ctrl-C ended it: what was finished is recorded by then, and the
    units under way have left checkpoints to go on from.
    """
    place.checkpoints.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    under_way: dict[concurrent.futures.Future, tuple[Contender, Unit]] = {}
    began = time.perf_counter()
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool, progress(total=0, unit="run") as bar:
        try:
            while True:
                _submit(pool, contenders, under_way, place, jobs)
                bar.total = bar.n + len(under_way) + len(_waiting(contenders, under_way))
                bar.set_postfix_str(", ".join(unit.label for _, unit in under_way.values())[:100])
                if not under_way:
                    return True
                done, _ = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    _keep(*under_way.pop(future), future.result(), place, record)
                    bar.update()
        except KeyboardInterrupt:
            bar.write(f"stopping after {time.perf_counter() - began:.0f} s: waiting for the runs to leave checkpoints")
            for future, (contender, unit) in under_way.items():
                if not future.cancel():
                    _keep(contender, unit, future.result(), place, record)
            return False


def _waiting(contenders: Sequence[Contender], under_way: dict) -> list[tuple[Contender, Unit]]:
    busy = {unit for _, unit in under_way.values()}
    return [(contender, unit) for contender in contenders for unit in contender.due(busy)]


def _submit(pool, contenders: Sequence[Contender], under_way: dict, place: Workplace, jobs: int) -> None:  # noqa: ANN001
    while len(under_way) < jobs:
        waiting = _waiting(contenders, under_way)
        if not waiting:
            return
        contender, unit = waiting[0]
        under_way[pool.submit(run_unit, unit, place)] = (contender, unit)


def _keep(
    contender: Contender, unit: Unit, outcome: dict, place: Workplace, record: Callable[[Contender], None]
) -> None:
    if outcome["ended"] == "stopped":
        return
    contender.outcomes[unit.settings.rate, unit.seed] = outcome
    if (best := contender.best_target()) is not None:
        write_text(place.checkpoints / f"{contender.run}.best", str(best))
    record(contender)


def default_jobs(device: str) -> int:
    """On a CPU one process a core, since small networks use several cores badly; on a GPU a few share it."""
    cores = os.cpu_count() or 1
    return cores if device == "cpu" else max(1, min(12, cores - 2))


def settings_of(contender: Contender) -> dict[str, Any]:
    """The part of a contender that must be equal for a record to be continued."""
    settings = asdict(contender.settings)
    settings.pop("rate")
    return {"net": asdict(contender.net), "settings": settings}
