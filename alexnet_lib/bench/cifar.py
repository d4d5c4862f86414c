"""`bench cifar`: what feeding the CIFAR-10 network costs, beside torchvision's data set in a DataLoader."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator

import torch
import torchvision
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from ..augment import PixelScale
from ..data.cifar10 import load_cifar10
from ..data.image_set import ImageSet
from ..errors import SettingError
from ..network.small.four_layers import SmallNet, SmallNetConfig
from ..system.devices import describe_device, keep_freed_memory
from ..system.timing import Timing, take_turns
from ..training.fit import TrainSettings, make_batches
from ..training.optimizer import PaperSGD
from ..training.speed import trainer
from .frame import Comparison, each, print_columns, speeds

BATCH, PADDING, CROP = 128, 4, 32


class PublishedCIFAR10(torchvision.datasets.CIFAR10):
    """torchvision's own CIFAR10 with an ImageSet for what it reads from files: the same work for each image."""

    def __init__(self, images: ImageSet, transform: Callable | None = None):
        torchvision.datasets.VisionDataset.__init__(self, transform=transform)
        self.data = images.images.contiguous().permute(0, 2, 3, 1).numpy()  # planes of colour, as published
        self.targets = images.labels.tolist()
        self.classes = list(images.classes)


def torchvision_loader(images: ImageSet, scale: PixelScale, workers: int) -> DataLoader:
    """The usual way: torchvision's CIFAR10 with crop, reflection, tensor and normalisation image by image."""
    mean = scale.mean.mean((1, 2)) / 255
    transform = v2.Compose(
        [
            v2.RandomCrop(CROP, padding=PADDING),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean.tolist(), [scale.deviation / 255] * 3),
        ]
    )
    data = PublishedCIFAR10(images, transform)
    return DataLoader(data, BATCH, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0)


def batches_of(loader: DataLoader) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches without end, one pass after another: the workers of a pass are started once, in the warm-up."""
    while True:
        yield from loader


def our_batches(
    images: ImageSet, scale: PixelScale, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The same from our pipeline: bytes kept on the device, whole batches cropped, reflected and scaled there."""
    settings = TrainSettings(rate=1.0, crop=CROP, padding=PADDING, batch_size=BATCH)
    pixels = images.images.to(device).contiguous(memory_format=torch.channels_last)
    labels, scale = images.labels.to(device), scale.to(device)
    for number in itertools.count():
        for batch, target in make_batches(pixels, labels, settings, 0, number):
            yield scale(batch), target


def taker(batches: Iterator, count: int, device: torch.device) -> Callable[[], int]:
    """A contestant that takes `count` batches and brings them to the device."""
    return each(lambda batch: batch[0].to(device, non_blocking=True), lambda: itertools.islice(batches, count), BATCH)


def stepper(images: ImageSet, scale: PixelScale, count: int, device: torch.device) -> Callable[[], int]:
    """A contestant that trains the ReLU network for `count` steps on one batch that is already there."""
    batch, labels = next(our_batches(images, scale, device))
    net = SmallNet(SmallNetConfig(pixels="unit", start="today", classes=len(images.classes)), seed=0)
    net.to(device, memory_format=torch.channels_last)
    return trainer(net, PaperSGD(net.parameters(), 1e-6), batch, labels, count)


def run(args: argparse.Namespace) -> int:
    """Measure and print the table."""
    device = Comparison(args, keep=False).device
    images = load_cifar10("train", args.data)
    if len(images) < BATCH:
        raise SettingError(f"{images.label}: they do not fill one batch of {BATCH}; name a larger data set with --data")
    scale = PixelScale.fit(images.images, "unit")
    print(f"{images.label}; {describe_device(device)}; batches of {BATCH}")
    plain = take_turns({"step": stepper(images, scale, args.batches, device)}, max(1, args.rounds // 2))["step"]
    kept = device.type == "cpu" and keep_freed_memory()
    workers = max(1, torch.get_num_threads())
    ways = {
        "ours": our_batches(images, scale, device),
        "one": batches_of(torchvision_loader(images, scale, 0)),
        "workers": batches_of(torchvision_loader(images, scale, workers)),
    }
    takers = {name: taker(batches, args.batches, device) for name, batches in ways.items()}
    timings = take_turns(takers | {"step": stepper(images, scale, args.batches, device)}, args.rounds)
    report(timings, plain if kept else None, workers)
    return 0


def report(timings: dict[str, Timing], plain: Timing | None, workers: int) -> None:
    """Print images a second, the ratio to our pipeline, and what each pipeline costs as a share of a training step."""
    names = {
        "ours": "alexnet_lib: batches of bytes",
        "one": "torchvision CIFAR10 + DataLoader, no worker",
        "workers": f"torchvision CIFAR10 + DataLoader, {workers} worker(s)",
        "step": "training step of the network (80sec, ReLU)",
    }
    ours, step = timings["ours"].median, timings["step"].median
    columns = speeds() | {
        "ours is faster by": lambda t: f"{ours / t.median:.1f}" if t.name != "step" else "",
        "share of a step": lambda t: f"{step / t.median:.1%}" if t.name != "step" else "",
    }
    title = "input: random 32 x 32 crops of 40 x 40, reflections, mean and deviation, to float32 on the device"
    print_columns(title, {name: timings[key] for key, name in names.items()}, columns)
    if plain:
        share = plain.median / step
        print(f"the step before freed memory was kept: {plain.median:,.0f} images/s, {share:.2f} of the above")
