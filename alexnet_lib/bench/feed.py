"""`bench feed`: training batches of a prepared set a second, by where its images are held, beside torchvision's loader.

Also the training step of the recipe's network on a batch that is there already: whatever feeds it must be faster.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ..data.imagenet.reader import PreparedImages
from ..data.imagenet.workers import cores
from ..errors import DataError, check_counts
from ..system.devices import describe_device, keep_freed_memory, pick_device
from ..system.timing import Timing, take_turns
from ..training.feed import Feed
from ..training.recipes import Recipe, changes_of, named
from ..training.seeds import Order, Share
from ..training.speed import stepped
from . import print_table
from .loaders import PreparedClasses, held_place, taker, their_loader, theirs
from .recording import about, figures, write_of_prepared

STEP, THEIRS = "a training step, the batch at hand", "torchvision ImageFolder, DataLoader"


def fed(images: PreparedImages, recipe: Recipe, place: str, batches: int, device: torch.device) -> Callable[[], int]:
    """Makes `batches` batches as `train` does, and returns how many images that were."""
    order = Order(len(images), recipe.batch, seed=0)
    feed = Feed(images, order, Share(), device, place)
    augment = recipe.make_augmentation(recipe.make_scale(images).to(device), images.color_pca, 1)
    return taker(lambda number: feed.batches(number, augment), batches, recipe.batch, device)


def contestants(
    images: PreparedImages, recipe: Recipe, args: argparse.Namespace, device: torch.device
) -> dict[str, Callable[[], int]]:
    """What is measured, by name; each returns how many images it made or trained on."""
    places = [place for place in ("mapped", held_place(images, device)) if place]
    found = {f"ours, {place}": fed(images, recipe, place, args.batches, device) for place in places}
    if args.source:
        loader = their_loader(Path(args.source), images, recipe, args.workers)
        if len(loader.dataset) < recipe.batch:
            raise DataError(f"{args.source} holds {len(loader.dataset)} images, less than a batch of {recipe.batch}")
        found[f"{THEIRS}, {args.workers} worker(s)"] = theirs(loader, args.batches, device)
        found |= _decoders(images, recipe, args, device)
    return found | {STEP: stepped(images, recipe, args.steps, device)}


def _decoders(
    images: PreparedImages, recipe: Recipe, args: argparse.Namespace, device: torch.device
) -> dict[str, Callable[[], int]]:
    """torchvision's JPEG decoder on the cores, and where there is one, on the GPU."""
    from .jpeg import PLACES, decoded  # which imports this module

    files, threads = PreparedClasses(Path(args.source), images), max(1, args.workers)
    return {
        f"JPEG files decoded on {place} (torchvision), {threads} thread(s)":
            decoded(files, images, recipe, args.batches, device, threads, place)
        for place in (PLACES if device.type == "cuda" else PLACES[:1])
    }  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Measure and print the table."""
    check_counts(args, "rounds", "threads", "batches", "steps", "batch")
    began, device = time.perf_counter(), pick_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    if device.type == "cpu":
        keep_freed_memory()
    args.workers = cores() if args.workers is None else args.workers
    images = PreparedImages(args.prepared, "train")
    recipe = named("paper", changes_of(args.set, batch=args.batch))
    print(f"{describe_device(device)}; {about(images)} ({images.format}), batches of {recipe.batch}, median of "
          f"{args.rounds}")  # fmt: skip
    timings = take_turns(contestants(images, recipe, args, device), args.rounds)
    report(timings)
    if args.out:
        result = {"batch": recipe.batch, "size": recipe.net.input_size, "images_per_second": figures(timings)}
        path = write_of_prepared("feed", result, images, args, device, time.perf_counter() - began)
        print(f"recorded in {path}")
    return 0


def report(timings: dict[str, Timing]) -> None:
    """Print images a second, and how many times as fast as the step that is fed."""
    step = timings[STEP].median
    rows = [
        (name, f"{t.median:,.0f}", f"{t.lowest:,.0f} to {t.highest:,.0f}", f"{t.median / step:.1f}")
        for name, t in timings.items()
    ]
    print_table("training batches on the device", ("", "images/s (median)", "range", "times the step"), rows)
