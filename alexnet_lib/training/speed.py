"""Training steps to be timed, on a batch that is already there: for `bench`, and to tell how long a study takes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ..data.imagenet.reader import PreparedImages
from ..network.alexnet import AlexNet
from ..system.timing import synchronise
from .recipes import Recipe


def trainer(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: torch.Tensor,
    labels: torch.Tensor,
    steps: int,
    dtype: str = "float32",
) -> Callable[[], int]:
    """A contestant that trains for `steps` steps on one batch that is already there, computing in `dtype`."""
    from ..system.devices import autocast
    from ..training.fit import train_step

    def logits(images: torch.Tensor) -> torch.Tensor:
        with autocast(images.device, dtype):
            return net(images).float()

    def run() -> int:
        for _ in range(steps):
            train_step(logits, optimizer, batch, labels)
        synchronise()
        return steps * len(batch)

    return run


def stepped(images: PreparedImages, recipe: Recipe, steps: int, device: torch.device) -> Callable[[], int]:
    """Training steps on one batch that is made beforehand, in the recipe's type (one of DTYPES)."""
    net = AlexNet(recipe.net, len(images.classes), seed=0).to(device, memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    size = recipe.net.input_size
    pixels = 64 * torch.randn((recipe.batch, 3, size, size), generator=generator)
    pixels = pixels.to(device, memory_format=torch.channels_last)
    labels = torch.randint(len(images.classes), (recipe.batch,), generator=generator).to(device)
    return trainer(net, recipe.make_optimizer(net), pixels, labels, steps, recipe.dtype)
