"""Joining the processes that torchrun started, so that those of a restart never meet what dead ones left behind."""

from __future__ import annotations

import datetime
import os

import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous


def join_processes(backend: str, timeout: float) -> None:
    """Make torch.distributed's default group of this start's processes; `timeout` in seconds, to meet and to answer.

    torchrun keeps one store over all its restarts. In it each process writes where it listens; without a name for each
    restart, a process that is first could read where one that is dead has listened, and find nobody there.
    RuntimeError, ValueError: as of `torch.distributed.init_process_group`.
    """
    limit = datetime.timedelta(seconds=timeout)
    store, rank, size = next(rendezvous("env://", timeout=limit))
    store.set_timeout(limit)
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    own = dist.PrefixStore(f"restart-{restart}", store)
    dist.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=limit)
