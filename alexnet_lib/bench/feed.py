"""`bench feed`: training batches of a prepared set a second, by where its images are held, beside torchvision's loader.

Also the training step of the recipe's network on a batch that is there already: whatever feeds it must be faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from ..data.imagenet.reader import PreparedImages
from ..errors import DataError
from ..system.timing import Timing, take_turns
from ..training.feed import Feed
from ..training.recipes import Recipe
from ..training.seeds import Order, Share
from ..training.speed import stepped
from .frame import OfPrepared, figures, print_columns, speeds
from .loaders import PLACES, PreparedClasses, decoded, held_place, taker, their_loader, theirs

STEP, THEIRS = "a training step, the batch at hand", "torchvision ImageFolder, DataLoader"


def fed(images: PreparedImages, recipe: Recipe, place: str, batches: int, device: torch.device) -> Callable[[], int]:
    """Makes `batches` batches as `train` does, and returns how many images that were."""
    order = Order(len(images), recipe.batch, seed=0)
    feed = Feed(images, order, Share(), device, place)
    augment = recipe.make_augmentation(recipe.make_scale(images).to(device), images.color_pca, 1)
    return taker(lambda number: feed.batches(number, augment), batches, recipe.batch)


def contestants(bench: OfPrepared, batches: int, steps: int) -> dict[str, Callable[[], int]]:
    """What is measured, by name; each returns how many images it made or trained on."""
    images, recipe, device = bench.images, bench.recipe, bench.device
    places = [place for place in ("mapped", held_place(images, device)) if place]
    found = {f"ours, {place}": fed(images, recipe, place, batches, device) for place in places}
    if bench.source:
        loader = their_loader(bench.source, images, recipe, bench.workers)
        if len(loader.dataset) < recipe.batch:
            raise DataError(f"{bench.source} holds {len(loader.dataset)} images, less than a batch of {recipe.batch}")
        found[f"{THEIRS}, {bench.workers} worker(s)"] = theirs(loader, batches, device)
        files, threads = PreparedClasses(bench.source, images), max(1, bench.workers)
        for place in PLACES if bench.gpu else PLACES[:1]:
            name = f"JPEG files decoded on {place} (torchvision), {threads} thread(s)"
            found[name] = decoded(files, images, recipe, batches, device, threads, place)
    return found | {STEP: stepped(images, recipe, steps, device)}


def run(args: argparse.Namespace) -> int:
    """Measure and print the table."""
    bench = OfPrepared(args)
    bench.announce()
    timings = take_turns(contestants(bench, args.batches, args.steps), args.rounds)
    report(timings)
    size = bench.recipe.net.input_size
    return bench.record({"batch": bench.recipe.batch, "size": size, "images_per_second": figures(timings)})


def report(timings: dict[str, Timing]) -> None:
    """Print images a second, and how many times as fast as the step that is fed."""
    columns = speeds() | {"times the step": lambda t: f"{t.median / timings[STEP].median:.1f}"}
    print_columns("training batches on the device", timings, columns)
