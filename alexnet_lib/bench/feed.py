"""`bench feed`: training batches of a prepared set a second, by where its images are held, beside torchvision's loader.

Also the training step of the recipe's network on a batch that is there already: whatever feeds it must be faster.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader, RandomSampler
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from ..devices import describe_device, keep_freed_memory, pick_device
from ..errors import DataError, first_line
from ..imagenet_reader import PreparedImages
from ..imagenet_workers import cores
from ..model import AlexNet
from ..training.feed import Feed, fits
from ..training.recipes import Recipe, changes_of, named
from ..training.streams import Order, Share
from . import Timing, check_counts, print_table, synchronise, take_turns, trainer
from .augment import MinusMeanImage, PlainLighting
from .recording import about, figures, write_of_prepared

STEP, THEIRS = "a training step, the batch at hand", "torchvision ImageFolder, DataLoader"


def held_place(images: PreparedImages, device: torch.device) -> str | None:
    """Where all the images can be held: on the GPU, or in the memory of a computer without; None: they do not fit."""
    if not fits(images, device):
        return None
    return "device" if device.type == "cuda" else "memory"


def fed(images: PreparedImages, recipe: Recipe, place: str, batches: int, device: torch.device) -> Callable[[], int]:
    """Makes `batches` batches as `train` does, and returns how many images that were."""
    order = Order(len(images), recipe.batch, seed=0)
    feed = Feed(images, order, Share(), device, place)
    augment = recipe.make_augmentation(recipe.make_scale(images).to(device), images.color_pca, 1)
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


def their_loader(
    source: Path, images: PreparedImages, recipe: Recipe, workers: int, batches: int | None = None
) -> DataLoader:
    """The usual loader on the original files, with transforms that do what the recipe does.

    batches: how many a pass has (default: as many as the files fill). DataError: of PreparedClasses.
    """
    size, mean = recipe.net.input_size, images.mean_image
    edge = (images.side - size) // 2
    lighting = recipe.make_augmentation(recipe.make_scale(images), images.color_pca, 1).lighting
    chain = [v2.Resize(images.side), v2.CenterCrop(images.side), v2.RandomCrop(size), v2.RandomHorizontalFlip(),
             v2.PILToTensor(), v2.ToDtype(torch.float32),
             MinusMeanImage(mean[:, edge : edge + size, edge : edge + size])]  # fmt: skip
    chain += [PlainLighting(lighting)] if lighting else []
    return loader_of(PreparedClasses(source, images, v2.Compose(chain)), recipe.batch, workers, batches)


class PreparedClasses(ImageFolder):
    """torchvision's ImageFolder of the classes of a prepared set, with its labels; other folders are left out.

    DataError: a class without images, or a folder that is not there.
    """

    def __init__(self, source: Path, images: PreparedImages, transform: Callable | None = None):
        self.wanted = images.classes
        try:
            super().__init__(source, transform)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(f"--source {source} is no folder of this set's class folders: {first_line(error)}; give "
                            "the training images it was prepared from") from error  # fmt: skip

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """What ImageFolder asks: the classes, and the label of each."""
        return list(self.wanted), {name: label for label, name in enumerate(self.wanted)}


def loader_of(folder: ImageFolder, batch: int, workers: int, batches: int | None = None) -> DataLoader:
    """The usual DataLoader, shuffled, of whole batches; `batches` of them a pass, or as many as the files fill.

    Its workers are begun anew and not forked: a fork would keep all memory of this process as it was, beside what is
    written there meanwhile, which is ten gigabytes in `bench train`.
    """
    sampler = RandomSampler(folder, num_samples=batches * batch if batches else None)
    return DataLoader(folder, batch, sampler=sampler, num_workers=workers, drop_last=True,
                      persistent_workers=workers > 0, multiprocessing_context="spawn" if workers else None,
                      pin_memory=torch.cuda.is_available())  # fmt: skip


def theirs(loader: DataLoader, batches: int, device: torch.device) -> Callable[[], int]:
    """As many batches of that loader, on the device. Its workers stay, but each turn begins a new pass."""

    def make_pass(_: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return ((images.to(device), labels.to(device)) for images, labels in loader)

    return taker(make_pass, batches, loader.batch_size, device)


def stepped(images: PreparedImages, recipe: Recipe, steps: int, device: torch.device) -> Callable[[], int]:
    """Training steps on one batch that is made beforehand, in the recipe's type (one of DTYPES)."""
    net = AlexNet(recipe.net, len(images.classes), seed=0).to(device, memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    size = recipe.net.input_size
    pixels = 64 * torch.randn((recipe.batch, 3, size, size), generator=generator)
    pixels = pixels.to(device, memory_format=torch.channels_last)
    labels = torch.randint(len(images.classes), (recipe.batch,), generator=generator).to(device)
    return trainer(net, recipe.make_optimiser(net), pixels, labels, steps, recipe.dtype)


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
