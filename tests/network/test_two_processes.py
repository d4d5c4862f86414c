"""The split as two processes over gloo: equal to the single network, and errors in place of waiting for ever."""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from column_process import CONFIGS, LABELS, MASKS, single
from reference_alexnet import CLASSES, gap, images, small

from alexnet_lib import ROOT
from alexnet_lib.__main__ import main
from alexnet_lib.commands.two_gpus import _batch, worst_of
from alexnet_lib.errors import SettingError, TrainingError
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.dropout import seed_dropout
from alexnet_lib.network.traffic import Traffic, expected_traffic
from alexnet_lib.network.two_gpu import join_columns
from alexnet_lib.network.two_processes import AlexNetColumn, join_pair

pytestmark = pytest.mark.usefixtures("one_thread")
TOLERANCE = 1e-10
SCRIPT = ROOT / "tests" / "helpers" / "column_process.py"


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def environment(rank: int, size: int = 2, port: int | None = None) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port or free_port()),
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def started(what: str, folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Both processes of a pair; none is left when the test is over."""
    port = free_port()
    pair = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), what, str(folder)],
            env=os.environ | environment(rank, port=port),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        yield pair
    finally:
        for process in pair:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Mapping[Any, Any]]:
    """What each of the two processes found for every configuration, both modes, in one start of both."""
    folder = tmp_path_factory.mktemp("pair")
    with started("equal", folder) as pair:
        for process in pair:
            _, errors = process.communicate(timeout=180)
            assert process.returncode == 0, errors
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


CASES = [(name, training) for name in CONFIGS for training in (False, True)]
case = pytest.mark.parametrize("name, training", CASES, ids=lambda value: {True: "train", False: "eval"}.get(value))


@case
def test_two_processes_equal_one_device(results: list[Mapping[Any, Any]], name: str, training: bool) -> None:
    net = single(CONFIGS[name]).train(training)
    seed_dropout(net, MASKS)
    x = images(CONFIGS[name], len(LABELS)).requires_grad_()
    logits = net(x)
    first, second = (result[name, training] for result in results)
    assert gap(first["out"], logits) < TOLERANCE
    assert second["out"].shape == () and float(second["out"]) == 0
    loss = F.cross_entropy(logits, LABELS)
    assert float(first["loss"]) == pytest.approx(loss.item(), rel=TOLERANCE)
    loss.backward()
    gradients = join_columns(first["gradients"], second["gradients"])
    assert set(gradients) == {key for key, _ in net.named_parameters()}
    for key, parameter in net.named_parameters():
        assert gap(gradients[key], parameter.grad) < TOLERANCE, key
    # Each process has the part of the images' gradient that came through its column.
    assert gap(first["of images"] + second["of images"], x.grad) < TOLERANCE


@case
def test_bytes_that_crossed_are_the_arithmetics(results: list[Mapping[Any, Any]], name: str, training: bool) -> None:
    described = AlexNet(CONFIGS[name], CLASSES, seed=0).describe()
    first, second = (result[name, training] for result in results)
    counted = Traffic(first["bytes"]).joined(Traffic(second["bytes"]))
    assert counted.bytes == expected_traffic(described, len(LABELS), bytes_each=8).bytes
    # Each process counts what it sends, nothing twice.
    assert {way for _, _, way in first["bytes"]} <= {"0 to 1"} and {way for _, _, way in second["bytes"]} == {"1 to 0"}
    without = Traffic(first["bytes without gradients"]).joined(Traffic(second["bytes without gradients"]))
    assert without.bytes == expected_traffic(described, len(LABELS), training=False, bytes_each=8).bytes


def test_bytes_by_hand(results: list[Mapping[Any, Any]]) -> None:
    """Three float64 images; half of pool2 is 16 maps of 5 x 5, of pool5 16 of 2 x 2, of fc6 20 units, of fc7 12."""
    first, second = (result["paper", True]["bytes"] for result in results)
    sent = {"conv3": 16 * 25 * 24, "fc6": 16 * 4 * 24, "fc7": 20 * 24}
    both = {(layer, which): count for layer, count in sent.items() for which in ("forward", "backward")}
    assert first == {(*key, "0 to 1"): count for key, count in both.items()} | {("fc8", "backward", "0 to 1"): 12 * 24}
    assert second == {(*key, "1 to 0"): count for key, count in both.items()} | {("fc8", "forward", "1 to 0"): 12 * 24}


def test_starting_weights_are_the_single_networks(results: list[Mapping[Any, Any]]) -> None:
    joined = join_columns(*(result["start by seed"] for result in results))
    wanted = AlexNet(small(), CLASSES, seed=5).state_dict()
    assert all(torch.equal(joined[key], value) for key, value in wanted.items()) and joined.keys() == wanted.keys()


def test_a_process_killed_between_the_passes_ends_the_other(tmp_path: Path) -> None:
    with started("killed", tmp_path) as (first, second):
        second.wait(timeout=180)
        killed = time.monotonic()
        printed, errors = first.communicate(timeout=30)
        assert time.monotonic() - killed < 30
        assert second.returncode == -signal.SIGKILL
        assert printed.split("\n")[0] == "between the passes"
    assert first.returncode == 2
    assert re.search(
        r"TrainingError: the process of GPU 1 stopped answering during the backward pass of fc8 \(", errors
    )
    assert "look at its output for the reason, then start both again" in errors


def test_two_processes_with_different_networks_both_end(tmp_path: Path) -> None:
    """Of the same shapes, so that nothing but asking can tell."""
    with started("another network", tmp_path) as pair:
        for process in pair:
            _, errors = process.communicate(timeout=180)
            assert process.returncode == 2
            assert "SettingError: the processes were given two networks" in errors
            assert "'paper'" in errors and "'code2012'" in errors


def test_a_process_that_falls_silent_ends_the_other_after_the_timeout(tmp_path: Path) -> None:
    """Stopped, not gone: its connections stay open, and only the timeout of 4 seconds tells."""
    with started("silent", tmp_path) as (first, second):
        assert first.stdout and first.stdout.readline() == "between the passes\n"
        began = time.monotonic()
        _, errors = first.communicate(timeout=30)
        assert 3 < time.monotonic() - began < 30
        assert second.poll() is None
    assert first.returncode == 2
    assert "TrainingError: the process of GPU 1 stopped answering during the backward pass of fc8" in errors


def test_a_process_whose_partner_does_not_come_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(0).items():
        monkeypatch.setenv(name, value)
    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"the processes did not find each other \(.*torchrun --nproc-per-node 2"):
        join_pair("gloo", timeout=1.0)
    assert time.monotonic() - began < 20
    assert not dist.is_initialized()


@pytest.mark.parametrize("rank, size", [(0, 3), (2, 3), (0, 1)])
def test_other_than_two_processes_are_refused(
    rank: int, size: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(rank, size).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=f"{size} processes were started, .* two columns: use --nproc-per-node 2"):
        join_pair()
    assert main(["two-gpus"]) == 2
    assert f"error: {size} processes were started" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given", [{}, {"RANK": "0"}, {"WORLD_SIZE": "2"}, {"RANK": "first", "WORLD_SIZE": "2"}], ids=str
)
def test_a_process_not_started_by_torchrun_says_how(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    said = "one half of a pair of processes: start both with torchrun --nproc-per-node 2 -m alexnet_lib two-gpus"
    with pytest.raises(SettingError, match=said):
        join_pair()
    assert main(["two-gpus"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, said",
    [
        (["--config", "alexnet"], "--config 'alexnet' is not known; use one of paper, code2012"),
        (["--batch", "0"], "--batch 0: give a whole number of 1 or more"),
        (["--steps", "-1"], "--steps -1"),
        (["--seed", str(2**40)], f"--seed {2**40}: give a whole number below 2^40"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_refused(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["two-gpus", *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["caffe", "torchvision"])
def test_networks_that_cannot_be_split_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match=f"'{name}'"):
        AlexNetColumn(small(name), CLASSES)


def test_what_is_not_a_number_is_not_passed_over_by_the_check() -> None:
    wanted = {"a": torch.tensor([1.0, -2.0]), "b": torch.tensor([4.0]), "c": torch.zeros(2)}
    assert worst_of(wanted, wanted) == 0
    assert worst_of({**wanted, "a": torch.tensor([1.0, -1.5])}, wanted) == 0.25
    assert worst_of({**wanted, "c": torch.ones(2)}, wanted) > 1e30
    for name in wanted:
        assert not worst_of({**wanted, name: wanted[name] * float("nan")}, wanted) < TOLERANCE


def first_loss(batch: int, seed: int) -> float:
    """The paper's network on one device, with the command's start, images, labels and dropped units."""
    net = AlexNet(seed=seed)
    seed_dropout(net, seed)
    pixels, labels = _batch(argparse.Namespace(batch=batch, seed=seed), 224, 0)
    with torch.no_grad():
        return float(F.cross_entropy(net(pixels), labels))


def test_the_command_that_the_readme_names() -> None:
    """The one slow test: the paper's whole network under torchrun, one step, and the comparison in float64."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "alexnet_lib", "two-gpus", "--batch", "2", "--steps", "1", "--check", "--backend", "gloo"]
    unset = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        command, cwd=ROOT, env=kept | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    loss = re.search(r"^step 0: loss (\d+\.\d{4}), ", printed, re.M)
    assert loss and abs(float(loss[1]) - first_loss(batch=2, seed=0)) < 2e-3
    # 468,992 bytes an image, by hand in test_traffic.py.
    assert "in all 937,984; by arithmetic 937,984; 468,992 an image" in printed
    assert re.search(r"^  conv3  forward  0 to 1 +173,056$", printed, re.M)
    assert len(re.findall(r"^  \w+ +(?:forward|backward) +[01] to [01] +[\d,]+$", printed, re.M)) == 14
    differences = re.search(r"loss differs by (\S+), gradients by at most (\S+) of the largest", printed)
    assert differences and all(float(number) < TOLERANCE for number in differences.groups())
