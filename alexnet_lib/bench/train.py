"""`bench train`: whole training, from stored images to updated weights, on every rung of the speed ladder, in one run.

Beside it: torchvision's alexnet trained as PyTorch's example does, in the same types; the `train` command's own step;
what each step reaches on a batch that is there already, and how much of what the machine's peaks allow that is.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from ..data.imagenet.reader import PreparedImages
from ..data.imagenet.workers import cores
from ..errors import SettingError, check_counts
from ..system.devices import describe_device, keep_freed_memory, pick_device
from ..system.timing import take_turns
from ..training.recipes import changes_of, named
from .ladder import extras_of
from .recording import about, write_of_prepared
from .train_report import recorded, report
from .whole import Bench


def prepared_bench(args: argparse.Namespace) -> Bench:
    """What the command line asks for, checked. SettingError and DataError name what does not fit."""
    check_counts(args, "rounds", "threads", "batches", "steps", "batch")
    device = pick_device(args.device)
    if args.workers is not None and args.workers < 0:
        raise SettingError(f"--workers {args.workers}: give 0 or more")
    extras = extras_of(args.extra, device)
    if args.threads:
        torch.set_num_threads(args.threads)
    if device.type == "cpu":
        keep_freed_memory()
    images = PreparedImages(args.prepared, "train")
    recipe = named("paper", changes_of(args.set, batch=args.batch))
    if recipe.dtype != "float32":
        raise SettingError(f"--set dtype={recipe.dtype}: the ladder changes the type itself; see --extra")
    # On a GPU a turn must be long enough to be measured; a CPU takes seconds a batch.
    gpu = device.type == "cuda"
    batches, steps = args.batches or (50 if gpu else 2), args.steps or (50 if gpu else 1)
    source = Path(args.source) if args.source else None
    workers = cores() if args.workers is None else args.workers
    return Bench(images, recipe, device, source, workers, batches, steps, extras)


def run(args: argparse.Namespace) -> int:
    """Check that all rungs compute the same, measure them in turns, and print what was found."""
    began = time.perf_counter()
    bench = prepared_bench(args)
    print(f"{describe_device(bench.device)}; {about(bench.images)} ({bench.images.format}), {bench.classes} classes, "
          f"batches of {bench.recipe.batch}, median of {args.rounds}")  # fmt: skip
    for reason in bench.left_out:
        print(f"left out: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        timings = take_turns(bench.contestants(Path(folder)), args.rounds)
    report(bench, timings)
    if args.out:
        seconds = time.perf_counter() - began
        path = write_of_prepared("train", recorded(bench, timings), bench.images, args, bench.device, seconds)
        print(f"recorded in {path}")
    return 0
