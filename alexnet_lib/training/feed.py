"""Batches of a prepared set for a training loop: read, cropped, reflected, lit, on the device, one step ahead.

Bytes travel, numbers do not: an image is a quarter as large before it is converted, so conversion and augmentation
happen where the batch is used. Three ways to hold the images: "mapped", in the prepared folder's shards; "memory", all
of them as bytes in the computer's memory; "device", all of them as bytes on the GPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import torch

from ..augment import AugmentBatch
from ..augment.batch import Draws
from ..data.imagenet.reader import PreparedImages
from ..errors import SettingError
from ..system.ahead import ahead
from ..system.devices import sent
from .seeds import Order, Share, generator

PLACES = ("auto", "mapped", "memory", "device")
ROOM = 0.6  # of the free memory of a GPU, or of all of a computer's, that images may take
AT_ONCE = 1024  # images read at a time when all are loaded


@dataclass(frozen=True)
class Batch:
    """One process's rows of one step: pixels (n, 3, size, size), labels int64 (n,), both on the device."""

    pixels: torch.Tensor
    labels: torch.Tensor


class Feed:
    """The batches of any pass of a prepared training set, this process's share of each.

    place: where the images are held, a name in PLACES; "auto" is "device" on a GPU with room for all of them, else
    "mapped". SettingError: an unknown place, or "device" where they do not fit.
    """

    def __init__(self, images: PreparedImages, order: Order, share: Share, device: torch.device, place: str = "auto"):
        self.images, self.order, self.share, self.device = images, order, share, device
        self.rows = share.rows(order.batch)
        self.place = _place(images, device, place)
        self.labels = images.labels
        self.held = None if self.place == "mapped" else load_all(images, device if self.place == "device" else None)

    def batches(self, number: int, augment: AugmentBatch, first: int = 0) -> Iterator[Batch]:
        """The batches of pass `number` (from 0) from step `first` on; made by a thread that is a batch ahead.

        What is drawn depends on the seed and the step alone, and is drawn for the whole batch: each process then
        takes its rows.
        """
        numbers = self.order.numbers(number)
        steps = range(first, self.order.steps)
        made = (self._batch(numbers[step], number * self.order.steps + step, augment) for step in steps)
        with closing(ahead(made)) as batches:
            yield from batches

    def _batch(self, numbers: torch.Tensor, step: int, augment: AugmentBatch) -> Batch:
        side = self.images.side
        drawn = augment.draw(len(numbers), side, side, generator(self.order.seed, "augment", step))
        mine = numbers[self.rows]
        draws = Draws(*(each[self.rows] for each in drawn))
        return Batch(augment.apply(self.read(mine), draws), sent(self.labels[mine], self.device))

    def read(self, numbers: torch.Tensor) -> torch.Tensor:
        """These images, uint8 (n, 3, side, side), on the device."""
        if self.held is None:
            images = self.images.images(numbers)
        else:
            images = self.held[sent(numbers, self.held.device)].permute(0, 3, 1, 2)
        return sent(images, self.device)


def load_all(images: PreparedImages, device: torch.device | None) -> torch.Tensor:
    """All of a set as bytes in one tensor, uint8 (N, side, side, 3), on that device or in memory."""
    side = images.side
    held = torch.empty((len(images), side, side, 3), dtype=torch.uint8, device=device)
    for start in range(0, len(images), AT_ONCE):
        some = range(start, min(start + AT_ONCE, len(images)))
        held[start : start + len(some)].copy_(images.images(some).permute(0, 2, 3, 1))
    return held


def size_of(images: PreparedImages) -> int:
    """How many bytes all of a set's pixels take."""
    return len(images) * images.side**2 * 3


def free_on(device: torch.device) -> int:
    """Bytes that are free on a GPU; on a CPU, the memory of the computer."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def fits(images: PreparedImages, device: torch.device) -> bool:
    """Whether all of a set's pixels can be held there, beside a training."""
    return size_of(images) < ROOM * free_on(device)


def _place(images: PreparedImages, device: torch.device, place: str) -> str:
    if place not in PLACES:
        raise SettingError(f"feed {place!r} is not known; use one of {', '.join(PLACES)}")
    if device.type == "cpu":
        return {"auto": "mapped", "device": "memory"}.get(place, place)
    there = fits(images, device)
    if place == "device" and not there:
        raise SettingError(
            f"the images take {size_of(images) / 1e9:.1f} GB, and {device} has {free_on(device) / 1e9:.1f} GB free, of "
            "which training needs a part: give --feed mapped"
        )
    return ("device" if there else "mapped") if place == "auto" else place


def validation_batches(
    images: PreparedImages, share: Share, device: torch.device, at_once: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """This process's images of a validation set, uint8 (n, 3, side, side), and their labels (n,), on the device."""
    mine = torch.arange(len(images))[share.rank :: share.size]
    made = ((images.images(some).to(device), images.labels[some].to(device)) for some in mine.split(at_once))
    with closing(ahead(made)) as batches:
        yield from batches


@dataclass(frozen=True, eq=False)
class CentredBatch(AugmentBatch):
    """As AugmentBatch, but every crop is the centre; what else is drawn is what AugmentBatch would draw."""

    def draw(self, n: int, height: int, width: int, generator: torch.Generator | None = None) -> Draws:
        drawn = super().draw(n, height, width, generator)
        return drawn._replace(
            tops=torch.full((n,), (height - self.size) // 2), lefts=torch.full((n,), (width - self.size) // 2)
        )
