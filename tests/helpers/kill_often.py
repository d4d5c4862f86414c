"""Train in a process of its own and kill it at random moments until it comes to its end: python kill_often.py N WORDS.

Prints how many runs were killed. PyTorch is loaded once, before the processes are forked from this one.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

import torch

import alexnet_lib.commands.train  # noqa: F401 - loaded here, once, for all runs
from alexnet_lib.__main__ import main


def run(words: list[str], after: float | None) -> int:
    """The exit status of one run, or minus the signal that ended it; killed `after` so many seconds."""
    child = os.fork()
    if not child:
        torch.set_num_threads(1)
        os._exit(main(words))
    end = None if after is None else time.monotonic() + after
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if end is not None and time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            end = None
        time.sleep(0.002)


if __name__ == "__main__":
    wanted, words, moments = int(sys.argv[1]), sys.argv[2:], random.Random(0)
    killed = 0
    while True:
        status = run(words, moments.uniform(0.02, 0.9) if killed < wanted else None)
        if status == 0:
            break
        if status != -signal.SIGKILL:
            sys.exit(f"a run ended with {status}")
        killed += 1
    print(killed)
