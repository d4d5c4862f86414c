"""A small run of training, and a way to stop one, for the tests of training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from small_sets import linear_net, separable

from alexnet_lib.augment import PixelScale
from alexnet_lib.training.fit import TrainResult, TrainSettings, fit


def train(settings: TrainSettings, n: int = 256, net_seed: int = 0, **options) -> tuple[TrainResult, torch.nn.Module]:  # noqa: ANN003
    images, labels = separable(n)
    net = linear_net(net_seed)
    return fit(net, images, labels, settings, PixelScale.fit(images, "unit"), **options), net


def stop_after(points: int) -> Callable[[dict], None]:
    """An `on_point` that presses Ctrl-C at its so-manieth call."""
    seen = []

    def press(point: dict[str, float]) -> None:
        seen.append(point)
        if len(seen) == points:
            raise KeyboardInterrupt

    return press
