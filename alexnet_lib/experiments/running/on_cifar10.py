"""What experiments on CIFAR-10 share: the images, and how quickly a network is trained on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ...data.cifar10 import load_cifar10
from ...data.image_set import ImageSet
from ...errors import SettingError
from ...training.fit import TrainSettings, fit
from . import pool


@dataclass(frozen=True, kw_only=True)
class Workplace(pool.Workplace):
    """Where the data is, and how many of its images are used (None: all)."""

    data: str | None
    images: int | None = None


_sets: dict[Any, ImageSet] = {}


def image_set(split: str, data: str | None, images: int | None) -> ImageSet:
    """A split of CIFAR-10 (or the stand-in), cut to `images`; loaded once a process."""
    key = (split, data, images)
    if key not in _sets:
        whole = load_cifar10(split, data)
        _sets[key] = whole if images is None or images >= len(whole) else whole.subset(images)
    return _sets[key]


def real_images(split: str, data: str | None, images: int | None) -> ImageSet:
    """A split of CIFAR-10, cut to `images`. Raises SettingError where there is only the stand-in."""
    found = image_set(split, data, images)
    if found.stand_in:
        raise SettingError(
            "this experiment is recorded on CIFAR-10 only, and none was found; get it with "
            "`python -m alexnet_lib data fetch cifar10`, or point ALEXNET_DATA or --data at it"
        )
    return found


def dataset_of(train: ImageSet, test: ImageSet) -> dict[str, Any]:
    """What a record says of the images."""
    return {**train.provenance(), "test_images": len(test), "test_checksum": test.checksum}


def images_a_second(
    build: Callable[[], nn.Module],
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: TrainSettings,
    scale: Any,
    device: torch.device,
    threads: int,
) -> float:
    """Training speed, measured over a pass through a few images after a warm-up."""
    torch.set_num_threads(threads)
    for _ in ("warm-up", "measured"):
        result = fit(build(), images, labels, settings, scale, device=device)
    return len(images) // settings.batch_size * settings.batch_size / result.seconds
