"""What a training step must compute and move, and how fast that could go: the roofline. Taught in "Full training".

Counted are the multiply-adds of convolutions and fully connected layers, two operations each, and the bytes that must
come from memory or go there at least once. The rule, a lower bound: in the forward pass a layer reads its input and its
weights and writes its output; in the backward pass it reads its input again (pooling need not), the gradient by its
output and its weights, and writes the gradients by its input and its weights. The first layer's input has no gradient.
However many kernels a layer is made of, each tensor counts once a pass. Activations, biases and dropout may be done on
the way, and count nothing. The update reads weights, gradients and velocity, and writes weights and velocity, in
float32; in half precision the weights are also copied to it, and their gradients back.

Images a second are then at most N / sum of max(operations / peak operations, bytes / peak bytes) over these, one after
the other. Peaks are measured: a large matrix product in the same type, and a large copy. It is a yardstick, no law: an
algorithm may need fewer multiplications than the definition (Winograd's), and what stays in a cache is not moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from ..network.description import BYTES, Description
from ..system.devices import DTYPES

PIXEL = 1  # byte, of each of an image's three colours, before it is converted
IMAGENET, PASSES = 1_281_167, 90  # ILSVRC-2012's training images, and how often the paper goes through its own


@dataclass(frozen=True)
class Work:
    """One layer's share of a training step on a batch, or another part of the step."""

    name: str
    operations: int
    bytes: int

    def seconds(self, peak: Peak) -> float:
        """The least it takes there."""
        return max(self.operations / peak.operations, self.bytes / peak.bytes)

    def bound(self, peak: Peak) -> str:
        """What keeps it from being faster: "arithmetic" or "memory"."""
        return "arithmetic" if self.operations / peak.operations >= self.bytes / peak.bytes else "memory"


@dataclass(frozen=True)
class Peak:
    """Operations and bytes a second that a device was seen to reach."""

    operations: float
    bytes: float

    @property
    def balance(self) -> float:
        """Operations a byte, above which work is bound by arithmetic."""
        return self.operations / self.bytes


def work(described: Description, batch: int, dtype: str = "float32") -> list[Work]:
    """Every part of one training step on `batch` images, in order; the network computes in `dtype`."""
    size = DTYPES[dtype].itemsize
    image = 3 * described.config.input_size**2
    parts = [Work("crop, mean, lighting", 0, batch * image * (PIXEL + BYTES))]
    before, first = image, True
    for row in described.rows:
        tensors = _moved(row.kind, before, row.outputs, first)
        weights = (2 if first else 3) * row.learned  # read forward, backward unless first; their gradient written
        macs = (2 if first else 3) * row.multiply_adds  # outputs, gradient by weights, gradient by inputs
        parts.append(Work(row.name, 2 * macs * batch, size * (batch * tensors + weights)))
        before, first = row.outputs, False
    copies = 2 * (BYTES + size) if size < BYTES else 0
    return [*parts, Work("update", 0, described.learned * (5 * BYTES + copies))]


def _moved(kind: str, inputs: int, outputs: int, first: bool) -> int:
    """How many of an image's numbers a layer reads and writes, forward and backward."""
    forward, backward = inputs + outputs, outputs + (0 if first else inputs)
    return forward + backward + (0 if kind.endswith("pooling") else inputs)


def operations_an_image(described: Description) -> int:
    """Operations that training on one image takes; 4.14e9 for the paper's network."""
    return sum(part.operations for part in work(described, 1))


def allowed(parts: Iterable[Work], batch: int, peak: Peak) -> float:
    """Images a second at the most."""
    return batch / sum(part.seconds(peak) for part in parts)


def hours(images_a_second: float) -> float:
    """A projection: how long 90 passes over ImageNet's training images would take at that speed."""
    return PASSES * IMAGENET / images_a_second / 3600


def product(device: torch.device, dtype: str, side: int | None = None) -> Callable[[], int]:
    """A contestant: products of two square matrices; how many operations that was.

    On a GPU float32 may use TF32, as PyTorch lets convolutions do.
    """
    side, times = side or (8192 if device.type == "cuda" else 2048), 10 if device.type == "cuda" else 1
    one, other, out = (torch.randn(side, side).to(device, DTYPES[dtype]) for _ in range(3))

    def run() -> int:
        before = torch.get_float32_matmul_precision()
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        try:
            for _ in range(times):
                torch.mm(one, other, out=out)
        finally:
            torch.set_float32_matmul_precision(before)
        return times * 2 * side**3

    return run


def copy(device: torch.device, numbers: int | None = None) -> Callable[[], int]:
    """A contestant: copies of a tensor too large for a cache; how many bytes were read and written."""
    numbers, times = numbers or (2**28 if device.type == "cuda" else 2**26), 10 if device.type == "cuda" else 1
    source, target = (torch.ones(numbers, device=device) for _ in range(2))

    def run() -> int:
        for _ in range(times):
            target.copy_(source)
        return times * 2 * math.prod(source.shape) * BYTES

    return run
