"""Measuring speed: every ratio is measured side by side in one run, in turns, and quoted as a median."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Images a second of one thing, over the rounds it was given: median, lowest, highest."""

    name: str
    median: float
    lowest: float
    highest: float


def take_turns(contestants: dict[str, Callable[[], int]], rounds: int) -> dict[str, Timing]:
    """Run each contestant once to warm up, then all in turn for `rounds` rounds; each call returns images handled.

    Turns, so that a machine whose speed drifts drifts for all alike.
    """
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, contestant in contestants.items():
            began = time.perf_counter()
            images = contestant()
            if turn:
                speeds[name].append(images / (time.perf_counter() - began))
    return {name: Timing(name, statistics.median(s), min(s), max(s)) for name, s in speeds.items()}


def print_table(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a plain table: first column left, the others right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    print(title)
    for row in [header, *rows]:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))))


def add_bench_parser(commands: argparse._SubParsersAction) -> None:
    """`bench WHAT`: measure speed and print a table."""
    about = "measure speed, side by side with what others use"
    bench = commands.add_parser("bench", help=about, description=about)
    kinds = bench.add_subparsers(title="what to measure", required=True, metavar="{cifar}")
    about = "images a second of the CIFAR-10 input pipeline, of torchvision's, and of a training step"
    cifar = kinds.add_parser("cifar", help=about, description=about)
    cifar.add_argument("--data", metavar="DIR", help="the data's folder (default: ALEXNET_DATA, else data/downloads)")
    cifar.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    cifar.add_argument("--threads", type=int, metavar="N", help="CPU threads for PyTorch (default: its own choice)")
    cifar.add_argument("--batches", type=int, default=40, metavar="N", help="batches of 128 a turn (default: 40)")
    cifar.add_argument("--rounds", type=int, default=5, metavar="N", help="turns that count (default: 5)")
    cifar.set_defaults(run=_run_cifar)


def _run_cifar(args: argparse.Namespace) -> int:
    # Imported on running, so that the command line's help does not wait for torch.
    from .cifar import run

    return run(args)
