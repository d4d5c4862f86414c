"""Running training runs in several processes, losing nothing when it is stopped: both sides, ours and the workers'."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from tqdm import tqdm

from ...errors import TrainingError
from ...system.devices import keep_freed_memory
from ...system.files import write_text
from ...system.progress import progress

if TYPE_CHECKING:
    from .machine import Variant

NOTICE_CTRL_C = 0.5  # seconds until a Ctrl-C is seen
Outcome = dict[str, Any]


class Unit(Protocol):
    """One training run, as a worker is given it: hashable, and the same whenever it is made again.

    run: the record that it goes into. turn: those of a lower turn start first.
    """

    run: str
    label: str
    turn: int


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What every worker needs: the folder for the runs under way, the device, and how many threads a run."""

    checkpoints: Path
    device: str
    threads: int

    def leader_of(self, run: str) -> Path:
        """The file that holds the course of the best run in the sweep of `run`, once one has met the target."""
        return self.checkpoints / f"{run}.leader"


def run_units(
    variants: Sequence[Variant],
    place: Workplace,
    jobs: int,
    record: Callable[[Variant, Outcome], None],
    work: Callable[[Unit, Workplace], Outcome],
) -> bool:
    """Run all that is due, `jobs` units at a time: the lowest turn first, of one turn the first variants.

    `work` turns a unit into its outcome, in a worker process; `record` is called after every one. Returns True when
    everything was run, False when Ctrl-C ended it: what was finished is recorded by then, and the units under way have
    left checkpoints to go on from. So they have when one unit fails, whose error is raised.
    """
    place.checkpoints.mkdir(parents=True, exist_ok=True)
    for variant in variants:
        _tell_best(variant, place)
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with (
        _CtrlC() as ctrl_c,
        concurrent.futures.ProcessPoolExecutor(jobs, context, start_worker, (stop, place.threads)) as pool,
        progress(total=0, unit="run") as bar,
    ):
        try:
            everything = _Pool(variants, place, jobs, record, work, pool, stop, ctrl_c, bar).run()
        except BrokenProcessPool as error:
            raise TrainingError(
                "a training process was ended from outside, perhaps for want of memory; try fewer --jobs: "
                "the same command goes on from here"
            ) from error
    if everything:
        _clean_up(variants, place)
    return everything


class _CtrlC:
    """Inside, a first Ctrl-C is only noted, so that it breaks nothing half done; a second raises KeyboardInterrupt."""

    pressed = False

    def __enter__(self) -> _CtrlC:
        self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.before)

    def _note(self, *_: object) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


@dataclass
class _Pool:
    """The units under way, and the bar that shows them."""

    variants: Sequence[Variant]
    place: Workplace
    jobs: int
    record: Callable[[Variant, Outcome], None]
    work: Callable[[Unit, Workplace], Outcome]
    pool: concurrent.futures.Executor
    stop: Event
    ctrl_c: _CtrlC
    bar: tqdm
    under_way: dict[concurrent.futures.Future, tuple[Variant, Unit]] = field(default_factory=dict)

    def run(self) -> bool:
        """True when all was run, False when Ctrl-C came; at any end, what is under way ends at its next point."""
        try:
            while self.submit():
                self.keep(concurrent.futures.FIRST_COMPLETED, NOTICE_CTRL_C)
                if self.ctrl_c.pressed:
                    self.bar.write("stopping: the runs under way leave checkpoints", file=sys.stderr)
                    return False
            return True
        finally:
            self.stop.set()
            self.keep(concurrent.futures.ALL_COMPLETED)

    def submit(self) -> bool:
        """Start what can start; False when nothing is under way, so that all is done."""
        while len(self.under_way) < self.jobs and (waiting := self._waiting()):
            with _hidden_from_ctrl_c():
                self.under_way[self.pool.submit(self.work, waiting[0][1], self.place)] = waiting[0]
        self.bar.total = self.bar.n + len(self.under_way) + len(self._waiting())
        self.bar.set_postfix_str(", ".join(unit.label for _, unit in self.under_way.values())[:100])
        return bool(self.under_way)

    def _waiting(self) -> list[tuple[Variant, Unit]]:
        busy = {unit for _, unit in self.under_way.values()}
        waiting = [(variant, unit) for variant in self.variants for unit in variant.due(busy)]
        return sorted(waiting, key=lambda pair: pair[1].turn)

    def keep(self, when: str, seconds: float | None = None) -> None:
        """Wait until one unit or all have ended, and record them; then raise the first error, if one failed."""
        done, _ = concurrent.futures.wait(self.under_way, timeout=seconds, return_when=when)
        failures = []
        for future in done:
            variant, _ = self.under_way.pop(future)
            if future.exception() is not None:
                failures.append(future.exception())
            elif future.result()["ended"] != "stopped":
                self._keep_one(variant, future.result())
        if failures:
            raise failures[0]

    def _keep_one(self, variant: Variant, outcome: Outcome) -> None:
        variant.keep(outcome)
        _tell_best(variant, self.place)
        self.record(variant, outcome)
        self.bar.update()


def _tell_best(variant: Variant, place: Workplace) -> None:
    """Let the runs of a sweep know the course of the best of it, if one has come to the target."""
    path, leader = place.leader_of(variant.run), variant.leader()
    if leader is None:
        path.unlink(missing_ok=True)
    else:
        write_text(path, json.dumps({"target_passes": leader["target_passes"], **leader["curve"]}))


def _clean_up(variants: Sequence[Variant], place: Workplace) -> None:
    for variant in variants:
        place.leader_of(variant.run).unlink(missing_ok=True)
    if not any(place.checkpoints.iterdir()):
        place.checkpoints.rmdir()


@contextmanager
def _hidden_from_ctrl_c() -> Iterator[None]:
    """Processes started inside never see Ctrl-C, not even while they start: they inherit what is blocked here. On
    Windows, which blocks nothing, they do."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def default_jobs(device: str) -> int:
    """On a CPU one process a core, since small networks use several cores badly; on a GPU a few share it."""
    cores = os.cpu_count() or 1
    return cores if device == "cpu" else max(1, min(12, cores - 2))


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


def start_worker(stop: Event, threads: int) -> None:
    """In a worker process: keep the flag that ends its runs, compute on so many threads, and end with the process that
    started it."""
    global _stop
    _stop = stop
    torch.set_num_threads(threads)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
