"""Training in two processes under torchrun: as one process, shared equally, and taken up when a process dies."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from training_cases import losses, start, train, words

from alexnet_lib.__main__ import main
from alexnet_lib.training.evaluation import load_weights
from alexnet_lib.training.run_folder import read_log

pytestmark = pytest.mark.usefixtures("one_thread")


def test_two_processes_train_as_one(prepared: Path, tmp_path: Path) -> None:
    """Dropout, crops and lighting included; sums come in another order, and so the last digits may differ."""
    assert main(words(prepared, tmp_path / "1", "--passes", "2")) == 0
    assert "2 process(es)" in train(2, words(prepared, tmp_path / "2", "--passes", "2"))
    one, two = (read_log(tmp_path / str(n)) for n in (1, 2))
    assert [step for step, _ in losses(two)] == list(range(1, 9))
    for a, b in zip(one, two, strict=True):
        for key in ("loss", "error", "train_loss", "train_error", "val_top1", "val_top5", "rate"):
            assert (key in a) == (key in b)
            assert a.get(key, 0) == pytest.approx(b.get(key, 0), rel=1e-5), (a, b)
    a, b = (load_weights(tmp_path / str(n))[0].state_dict() for n in (1, 2))
    assert all(torch.allclose(a[key], b[key], rtol=1e-4, atol=1e-6) for key in a)


def test_a_batch_that_cannot_be_shared(prepared: Path, tmp_path: Path) -> None:
    running = start(2, words(prepared, tmp_path / "run", "--batch", "9"))
    said, _ = running.communicate(timeout=120)
    assert running.returncode and "9 images cannot be shared equally by 2 processes" in said
    assert not (tmp_path / "run").exists()


def workers(out: Path) -> list[int]:
    """The process numbers of the run's workers, torchrun itself left out."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode().split("\0")
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and str(out) in command and "torch.distributed.run" not in command:
            found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes by /proc")
def test_a_dead_process_is_replaced_and_the_run_goes_on(prepared: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "run"
    of_run = ("--passes", "30", "--set", "schedule=constant")
    assert main(words(prepared, whole, *of_run)) == 0
    running = start(2, words(prepared, out, *of_run, "--save-every", "1", "--timeout", "20"), "--max-restarts", "5")
    end = time.monotonic() + 120
    while len(list((out / "checkpoints").glob("step-*.pt"))) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    os.kill(max(workers(out)), signal.SIGKILL)
    said, _ = running.communicate(timeout=300)
    assert running.returncode == 0, said
    again = re.search(r"going on from step (\d+)", said)
    assert again and 0 < int(again[1]) < 120, said
    a, b = read_log(whole), read_log(out)
    assert [step for step, _ in losses(a)] == [step for step, _ in losses(b)] == list(range(1, 121))
    for key in ("loss", "train_loss", "train_error"):
        values = [[event[key] for event in log if key in event] for log in (a, b)]
        assert values[0] == pytest.approx(values[1], rel=1e-4)
