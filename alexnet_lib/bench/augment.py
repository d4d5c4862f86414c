"""`bench augment`: a training batch of crops, reflections, mean and lighting, beside torchvision's v2 transforms."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn
from torch.utils.data import default_collate
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ..augment import AugmentBatch, ColorPCA, Draws, PCALighting, PixelScale
from ..augment.transforms import Augment
from ..errors import AlexNetLibError
from ..system.timing import Timing, take_turns
from .frame import Comparison, figures, print_columns, speeds

SIDE, SIZE = 256, 224
THEIRS = "torchvision v2, image by image"


class MinusMeanImage(nn.Module):
    """What torchvision's Normalize does with one mean a channel, with a mean image; in place, to be quick."""

    def __init__(self, mean: torch.Tensor):
        super().__init__()
        self.mean = mean

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.sub_(self.mean)


class PlainLighting(nn.Module):
    """Lighting of one image as it is usually written: three numbers drawn, one colour added; in place, to be quick."""

    def __init__(self, lighting: PCALighting):
        super().__init__()
        self.axes = (lighting.pca.eigenvectors * lighting.strengths).to(torch.float32)
        self.deviation = lighting.deviation

    def forward(self, image: torch.Tensor, alpha: torch.Tensor | None = None) -> torch.Tensor:
        alpha = torch.randn(3) * self.deviation if alpha is None else alpha
        return image.add_((self.axes @ alpha)[:, None, None])


class TorchvisionWay:
    """torchvision's own crop, reflection and conversion, then mean and lighting, and a batch stacked of the results."""

    def __init__(self, augment: AugmentBatch):
        self.minus_mean = MinusMeanImage(augment.scale.mean)
        self.lighting = PlainLighting(augment.lighting)
        to_float = v2.ToDtype(torch.float32)
        self.size = augment.size
        self.chain = v2.Compose(
            [v2.RandomCrop(self.size), v2.RandomHorizontalFlip(), to_float, self.minus_mean, self.lighting]
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return default_collate([self.chain(image) for image in images])

    def with_draws(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """The same by the functions that those transforms call, with draws that are given."""
        made = []
        for image, top, left, mirrored, alpha in zip(images, *(drawn.tolist() for drawn in draws), strict=True):
            window = functional.crop(image, top, left, self.size, self.size)
            window = functional.horizontal_flip(window) if mirrored else window
            lit = self.minus_mean(functional.to_dtype(window, torch.float32))
            made.append(self.lighting(lit, torch.tensor(alpha)))
        return default_collate(made)


def pipeline(images: torch.Tensor) -> AugmentBatch:
    """What is measured: the paper's augmentation, its statistics those of these images; the mean's central window."""
    mean = PixelScale.fit(images).mean
    edge = (images.shape[-1] - SIZE) // 2
    scale = PixelScale(mean[:, edge : edge + SIZE, edge : edge + SIZE].contiguous())
    return AugmentBatch(SIZE, scale, PCALighting(ColorPCA.fit(images)))


def contestants(images: torch.Tensor, augment: AugmentBatch, device: torch.device) -> dict[str, Callable[[], int]]:
    """Each makes a batch (N, 3, 224, 224) of uint8 (N, 3, 256, 256) and leaves it on the device; N is returned."""
    # As a prepared ImageNet holds them: the channels of a pixel together.
    stored = images.contiguous(memory_format=torch.channels_last)
    stored, planes = stored.to(device), images.to(device)
    # A batch is used up when the next is made: its memory serves again.
    batch, batch_of_planes = augment(stored), augment(planes)
    narrow, one, theirs = replace(augment, dtype=torch.bfloat16), Augment(augment), TorchvisionWay(augment)
    made = {
        "ours": lambda: augment(stored, out=batch),
        "ours, planes of colour": lambda: augment(planes, out=batch_of_planes),
        "ours, new memory each time": lambda: augment(stored),
        "ours, new memory, bfloat16": lambda: narrow(stored),
        "ours, image by image": lambda: default_collate([one(image) for image in images]).to(device),
        THEIRS: lambda: theirs(images).to(device),
    }
    return {name: lambda make=make: len(make()) for name, make in made.items()}


def largest_difference(images: torch.Tensor, augment: AugmentBatch, device: torch.device) -> float:
    """How far our batch and torchvision's are apart for the same draws, in grey levels; nothing else is compared."""
    draws = augment.draw(len(images), *images.shape[-2:], torch.Generator().manual_seed(0))
    theirs = TorchvisionWay(augment).with_draws(images, draws)
    return (augment.apply(images.to(device), draws).cpu() - theirs).abs().max().item()


def run(args: argparse.Namespace) -> int:
    """Compare the two outputs, then measure and print the table."""
    bench = Comparison(args)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (args.batch, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    augment = pipeline(images)
    apart = largest_difference(images, augment, bench.device)
    if apart > 1e-3:
        raise AlexNetLibError(f"the two pipelines differ by {apart:.3g} grey levels: their speeds cannot be compared")
    bench.announce(f"batches of {args.batch}, ")
    print(f"the same draws give the same pixels, within {apart:.1g} grey levels of 0-255")
    timings = take_turns(contestants(images, augment, bench.device), args.rounds)
    report(timings, torch.get_num_threads())
    result = {"batch": args.batch, "images_per_second": figures(timings), "largest_difference": apart}
    return bench.record(result, ["C15"])


def report(timings: dict[str, Timing], threads: int) -> None:
    """Print images a second, for each thread too, and how many times torchvision's speed."""
    columns = speeds() | {
        "a thread": lambda t: f"{t.median / threads:,.0f}",
        "times as fast as torchvision": lambda t: f"{t.median / timings[THEIRS].median:.2f}",
    }
    print_columns("uint8 256 x 256 to float32 224 x 224: crop, reflection, mean image, lighting", timings, columns)
