"""Running the units of a race or a comparison in several processes, losing nothing when it is stopped."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.synchronize import Event
from typing import Any

from tqdm import tqdm

from ...errors import TrainingError
from ...system.files import write_text
from ...system.progress import progress
from .one_run import Workplace, run_unit, start_worker
from .race import Contender, Unit

NOTICE_CTRL_C = 0.5  # seconds until a Ctrl-C is seen


def run_race(
    contenders: Sequence[Contender], place: Workplace, jobs: int, record: Callable[[Contender], None],
    work: Callable[[Unit, Workplace], dict[str, Any]] = run_unit,
) -> bool:  # fmt: skip
    """Run all that is due, `jobs` units at a time, first contenders first; `record` is called after every unit.

    `work` turns a unit into its outcome, in a worker process. Whatever has a `run`, and `due`, `keep` and `leader` as
    Contender has them, can stand in for one.

    Returns True when everything was run, False when Ctrl-C ended it: what was finished is recorded by then, and the
    units under way have left checkpoints to go on from. So they have when one unit fails, whose error is raised.
    """
    place.checkpoints.mkdir(parents=True, exist_ok=True)
    for contender in contenders:
        _tell_best(contender, place)
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with (
        _CtrlC() as ctrl_c,
        concurrent.futures.ProcessPoolExecutor(jobs, context, start_worker, (stop,)) as pool,
        progress(total=0, unit="run") as bar,
    ):
        try:
            everything = _Race(contenders, place, jobs, record, work, pool, stop, ctrl_c, bar).run()
        except BrokenProcessPool as error:
            raise TrainingError(
                "a training process was ended from outside, perhaps for want of memory; try fewer --jobs: "
                "the same command goes on from here"
            ) from error
    if everything:
        _clean_up(contenders, place)
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
class _Race:
    """The units under way, and the bar that shows them."""

    contenders: Sequence[Contender]
    place: Workplace
    jobs: int
    record: Callable[[Contender], None]
    work: Callable[[Unit, Workplace], dict[str, Any]]
    pool: concurrent.futures.Executor
    stop: Event
    ctrl_c: _CtrlC
    bar: tqdm
    under_way: dict[concurrent.futures.Future, tuple[Contender, Unit]] = field(default_factory=dict)

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

    def _waiting(self) -> list[tuple[Contender, Unit]]:
        busy = {unit for _, unit in self.under_way.values()}
        return [(contender, unit) for contender in self.contenders for unit in contender.due(busy)]

    def keep(self, when: str, seconds: float | None = None) -> None:
        """Wait until one unit or all have ended, and record them; then raise the first error, if one failed."""
        done, _ = concurrent.futures.wait(self.under_way, timeout=seconds, return_when=when)
        failures = []
        for future in done:
            contender, unit = self.under_way.pop(future)
            if future.exception() is not None:
                failures.append(future.exception())
            elif future.result()["ended"] != "stopped":
                self._keep_one(contender, unit, future.result())
        if failures:
            raise failures[0]

    def _keep_one(self, contender: Contender, unit: Unit, outcome: dict[str, Any]) -> None:
        contender.keep(unit, outcome)
        _tell_best(contender, self.place)
        self.record(contender)
        self.bar.update()


def _tell_best(contender: Contender, place: Workplace) -> None:
    """Let the runs of a sweep know the course of the best of it, if one has come to the target."""
    path, leader = place.leader_of(contender.run), contender.leader()
    if leader is None:
        path.unlink(missing_ok=True)
    else:
        write_text(path, json.dumps({"target_passes": leader["target_passes"], **leader["curve"]}))


def _clean_up(contenders: Sequence[Contender], place: Workplace) -> None:
    for contender in contenders:
        place.leader_of(contender.run).unlink(missing_ok=True)
    if not any(place.checkpoints.iterdir()):
        place.checkpoints.rmdir()


@contextmanager
def _hidden_from_ctrl_c() -> Iterator[None]:
    """Processes started inside never see Ctrl-C, not even while they start: they inherit what is blocked here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def default_jobs(device: str) -> int:
    """On a CPU one process a core, since small networks use several cores badly; on a GPU a few share it."""
    cores = os.cpu_count() or 1
    return cores if device == "cpu" else max(1, min(12, cores - 2))


def settings_of(contender: Contender) -> dict[str, Any]:
    """The part of a contender that must be equal for a record to be continued."""
    settings = asdict(contender.settings)
    settings.pop("rate")
    if settings["reflect"]:  # a later field: records made before it still fit
        del settings["reflect"]
    return {"net": asdict(contender.net), "settings": settings}
