"""Processes that write shards, and end at once when the process that started them does.

Each is `python -m alexnet_lib.data.imagenet.workers FD`, so that it starts in a fifth of a second (no PyTorch),
whatever the parent has loaded, and talks over one socket. Killing the parent closes the socket, which ends them: none
is left over to write into a folder that a resumed run works in.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, Pipe, wait

from ... import ROOT
from ...errors import DataError
from .store import Shard, write_shard

# Pillow's and NumPy's buffers of a few hundred kilobytes are then reused, instead of being given back to the system
# and faulted in again for each image; and the processes are the only threads.
_ENVIRONMENT = {"PILLOW_BLOCKS_MAX": "8", "PILLOW_BLOCK_SIZE": "512k"}
_ENVIRONMENT |= dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**30))
_ENVIRONMENT |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write_shards(shards: Sequence[Shard], jobs: int, lock: int) -> Iterator[int]:
    """Write them all, `jobs` at a time, and yield each one's number of images as it is done. With jobs=1: right here.

    lock: an open file that they hold as well, so that a lock on it lasts until the last of them has ended. Raises what
    a shard raised. DataError: a process was killed from outside.
    """
    if jobs == 1 or len(shards) < 2:
        yield from map(write_shard, shards)
        return
    workers = [_Worker(lock) for _ in range(min(jobs, len(shards)))]
    try:
        yield from _share_out(list(reversed(shards)), {worker.connection: worker for worker in workers})
    finally:
        for worker in workers:
            worker.end()


def _share_out(waiting: list[Shard], workers: dict[Connection, _Worker]) -> Iterator[int]:
    """Give each worker its next shard when it is done with one; `waiting` is taken from its end."""
    busy, free = set(), list(workers)
    while busy or (free and waiting):
        while free and waiting:
            workers[free[-1]].give(waiting.pop())
            busy.add(free.pop())
        for connection in wait(busy):
            outcome = workers[connection].take()
            if isinstance(outcome, BaseException):
                raise outcome
            busy.remove(connection)
            free.append(connection)
            yield outcome


class _Worker:
    """One process, in a session of its own so that Ctrl-C goes to the parent alone."""

    def __init__(self, lock: int) -> None:
        self.connection, theirs = Pipe()
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": path}
        self.process = subprocess.Popen(
            command, pass_fds=(theirs.fileno(), lock), env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()

    def give(self, shard: Shard) -> None:
        try:
            self.connection.send(shard)
        except (BrokenPipeError, ConnectionResetError):
            raise self._killed() from None

    def take(self) -> int | BaseException:
        """What became of the shard given: its number of images, or the error. Waits for it."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._killed() from None

    def _killed(self) -> DataError:
        return DataError(
            f"a worker process was ended from outside (exit status {self.process.wait()}), perhaps for want of "
            "memory: the same command goes on from here; try fewer --jobs"
        )

    def end(self) -> None:
        self.connection.close()
        self.process.wait()


def _serve(connection: Connection) -> None:
    tasks: queue.SimpleQueue[Shard] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    while True:
        shard = tasks.get()
        try:
            outcome: int | BaseException = write_shard(shard)
        except Exception as error:
            outcome = error
        try:
            connection.send(outcome)
        except OSError:
            os._exit(0)  # the parent has gone; _listen is about to see it too


def _listen(connection: Connection, tasks: queue.SimpleQueue) -> None:
    while True:
        try:
            tasks.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)  # at once, in the middle of a shard: nobody waits for it any more


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
