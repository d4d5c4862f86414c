"""Small image sets that a small network learns in seconds, for the tests that train."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import nn

from alexnet_lib.data.cifar10_files import CIFAR10_CLASSES


def separable(n: int = 256, classes: int = 4, size: int = 8, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 (n, 3, size, size) and labels: each class has its own brightness pattern, under noise."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randint(40, 215, (classes, 3, size, size), generator=torch.Generator().manual_seed(99))
    labels = torch.arange(n) % classes
    noise = torch.randint(-30, 31, (n, 3, size, size), generator=generator)
    return (patterns[labels] + noise).clamp(0, 255).to(torch.uint8), labels


def noise(n: int, size: int = 8, classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 noise (n, 3, size, size) with labels that say nothing of it."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, classes, (n,), generator=generator)


def linear_net(seed: int = 0, size: int = 8, classes: int = 4) -> nn.Module:
    """The smallest thing that trains: one linear layer on the pixels."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        net[1].weight.copy_(torch.randn(net[1].weight.shape, generator=generator) * 1e-3)
        net[1].bias.zero_()
    return net


def write_tree(root: Path, train: int, test: int) -> Path:
    """A tree {train,test}/<CIFAR-10 class>/NNNN.png under `root`, each class in its own colours."""
    for split, count in (("train", train), ("test", test)):
        images, labels = separable(10 * count, classes=10, size=32, seed=len(split))
        for index, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            folder = root / split / CIFAR10_CLASSES[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{index:04}.png")
    return root
