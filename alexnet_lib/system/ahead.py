"""Batches made ahead by a thread of their own, while the step before them runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import TypeVar

from ..errors import SettingError

Batch = TypeVar("Batch")


def ahead(batches: Iterable[Batch], depth: int = 1) -> Iterator[Batch]:
    """What `batches` yields, in its order, made by a thread that is up to `depth` items ahead of whoever takes them.

    The thread begins with the first item that is asked for, and makes the next one from the moment an item is taken.
    What `batches` raises is raised here, at the place it would have had. Closing the iterator, or leaving it, ends the
    thread. SettingError: a depth below 1.
    """
    if depth < 1:
        raise SettingError(f"depth {depth}: the thread must be at least 1 batch ahead")
    return _ahead(iter(batches), depth)


def _ahead(source: Iterator[Batch], depth: int) -> Iterator[Batch]:
    ready: SimpleQueue = SimpleQueue()  # of (batch, None), and at the end ((), None) or ((), error)
    room, stop = threading.Semaphore(depth), threading.Event()

    def work() -> None:
        try:
            while room.acquire() and not stop.is_set():
                ready.put(([next(source)], None))
        except StopIteration:
            ready.put(([], None))
        except BaseException as error:  # whatever it is, it belongs to the one who takes the batches
            ready.put(([], error))

    worker = threading.Thread(target=work, name="batches ahead", daemon=True)
    worker.start()
    try:
        while True:
            made, error = ready.get()
            if error is not None:
                raise error
            if not made:
                return
            room.release()
            yield made[0]
    finally:
        stop.set()
        room.release()
        worker.join()
