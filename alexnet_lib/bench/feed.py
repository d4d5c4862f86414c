"""`bench feed`: training batches of a prepared set a second, by where its images are held, beside torchvision's loader.

Also the training step of the recipe's network on a batch that is there already: whatever feeds it must be faster.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from ..devices import describe_device, keep_freed_memory, pick_device
from ..errors import DataError
from ..imagenet_reader import PreparedImages
from ..imagenet_workers import cores
from ..model import AlexNet
from ..training.feed import Feed
from ..training.recipes import Recipe, changes_of, named
from ..training.streams import Order, Share
from . import Timing, check_counts, print_table, synchronise, take_turns, trainer
from .augment import MinusMeanImage, PlainLighting
from .recording import figures, write

STEP, THEIRS = "a training step, the batch at hand", "torchvision ImageFolder, DataLoader"


def fed(images: PreparedImages, recipe: Recipe, place: str, batches: int, device: torch.device) -> Callable[[], int]:
    """Makes `batches` batches as `train` does, and returns how many images that were."""
    order = Order(len(images), recipe.batch, seed=0)
    feed = Feed(images, order, Share(), device, place)
    augment = recipe.make_augmentation(recipe.make_scale(images), images.color_pca, 1)
    return taker(lambda number: feed.batches(number, augment), batches, recipe.batch, device)


def taker(make_pass: Callable[[int], Iterable], batches: int, batch: int, device: torch.device) -> Callable[[], int]:
    """Takes so many batches, from pass 0 on in every turn, and returns how many images that were."""

    def run() -> int:
        passes = (make_pass(number) for number in itertools.count())
        for _ in itertools.islice(itertools.chain.from_iterable(passes), batches):
            pass
        synchronise(device)
        return batches * batch

    return run


def their_loader(source: Path, images: PreparedImages, recipe: Recipe, workers: int) -> DataLoader:
    """The usual loader on the original files, with transforms that do what the recipe does."""
    size, mean = recipe.net.input_size, images.mean_image
    edge = (images.side - size) // 2
    lighting = recipe.make_augmentation(recipe.make_scale(images), images.color_pca, 1).lighting
    chain = [v2.Resize(images.side), v2.CenterCrop(images.side), v2.RandomCrop(size), v2.RandomHorizontalFlip(),
             v2.PILToTensor(), v2.ToDtype(torch.float32),
             MinusMeanImage(mean[:, edge : edge + size, edge : edge + size])]  # fmt: skip
    chain += [PlainLighting(lighting)] if lighting else []
    folder = ImageFolder(source, v2.Compose(chain))
    return DataLoader(folder, recipe.batch, shuffle=True, num_workers=workers, drop_last=True,
                      persistent_workers=workers > 0, pin_memory=torch.cuda.is_available())  # fmt: skip


def theirs(loader: DataLoader, batches: int, device: torch.device) -> Callable[[], int]:
    """As many batches of that loader, on the device. Its workers stay, but each turn begins a new pass."""

    def make_pass(_: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return ((images.to(device), labels.to(device)) for images, labels in loader)

    return taker(make_pass, batches, loader.batch_size, device)


def stepped(images: PreparedImages, recipe: Recipe, steps: int, device: torch.device) -> Callable[[], int]:
    """Training steps on one batch that is made beforehand."""
    net = AlexNet(recipe.net, len(images.classes), seed=0).to(device, memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    size = recipe.net.input_size
    pixels = 64 * torch.randn((recipe.batch, 3, size, size), generator=generator)
    pixels = pixels.to(device, memory_format=torch.channels_last)
    labels = torch.randint(len(images.classes), (recipe.batch,), generator=generator).to(device)
    return trainer(net, recipe.make_optimiser(net), pixels, labels, steps)


def contestants(
    images: PreparedImages, recipe: Recipe, args: argparse.Namespace, device: torch.device
) -> dict[str, Callable[[], int]]:
    """What is measured, by name; each returns how many images it made or trained on."""
    held = "memory" if device.type == "cpu" else "device"
    found = {f"ours, {place}": fed(images, recipe, place, args.batches, device) for place in ("mapped", held)}
    if args.source:
        loader = their_loader(Path(args.source), images, recipe, args.workers)
        if len(loader.dataset) < recipe.batch:
            raise DataError(f"{args.source} holds {len(loader.dataset)} images, less than a batch of {recipe.batch}")
        found[f"{THEIRS}, {args.workers} worker(s)"] = theirs(loader, args.batches, device)
    return found | {STEP: stepped(images, recipe, args.steps, device)}


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
    about = f"{len(images):,} images of {images.side} pixels"
    print(f"{describe_device(device)}; {about} ({images.format}), batches of {recipe.batch}, median of {args.rounds}")
    timings = take_turns(contestants(images, recipe, args, device), args.rounds)
    report(timings)
    if args.out:
        result = {"batch": recipe.batch, "size": recipe.net.input_size, "images_per_second": figures(timings)}
        data = {"name": about, "source": "prepared images", "checksum": images.index["source"]["digest"],
                "images": len(images), "stand_in": False}  # fmt: skip
        circumstances = {"rounds": args.rounds, "seconds": time.perf_counter() - began, "words": sys.argv[3:]}
        path = write("feed", result, device=device, dataset=data, out=args.out, claims=("C15",), **circumstances)
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
