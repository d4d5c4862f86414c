"""Processes that join after a restart, in the store that torchrun keeps: they meet each other, not the dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta

import torch.distributed as dist

JOINS = """
import os, torch, torch.distributed as dist
from alexnet_lib.system.torchrun import join_processes
join_processes("gloo", 30)
found = torch.ones(1)
dist.all_reduce(found)
print(int(found), flush=True)
os._exit(0)  # as one that is killed: nothing is taken down
"""


def start(port: int, rank: int, restart: int) -> subprocess.Popen:
    """One of two processes, with the environment that torchrun gives it."""
    given = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": str(restart),
    }
    return subprocess.Popen(
        [sys.executable, "-c", JOINS],
        env=os.environ | given,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_a_process_that_comes_first_after_a_restart_waits_for_the_other() -> None:
    """With the names of the first start it would read at once where the dead one listened, and be refused."""
    kept = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=60))
    for restart in (0, 1, 2):
        first = start(kept.port, 0, restart)
        if restart:
            time.sleep(4)  # until it has looked for the other
        second = start(kept.port, 1, restart)
        for process in (first, second):
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0 and said.split()[-1] == "2", said
