"""Where a training run's random numbers come from: its seed, what they are for, and a step's or pass's number.

Nothing depends on what was drawn before. So a run that is taken up at any step draws what it would have drawn, and
several processes draw the same for the whole batch, of which each takes its rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from ..errors import SettingError


def seed_of(seed: int, purpose: str, number: int) -> int:
    """A seed of 63 bits for one purpose and one step or pass."""
    digest = hashlib.blake2b(f"{seed} {purpose} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, purpose: str, number: int) -> torch.Generator:
    """A generator on the CPU, at the beginning of that stream."""
    return torch.Generator().manual_seed(seed_of(seed, purpose, number))


@dataclass(frozen=True)
class Order:
    """In which order `images` training images are seen, in batches of `batch`: each pass another one.

    Every image comes once a pass, but for the images % batch that would not fill a batch, which are others in each
    pass. SettingError: fewer images than a batch.
    """

    images: int
    batch: int
    seed: int

    def __post_init__(self) -> None:
        if self.images < self.batch:
            raise SettingError(f"{self.images:,} images do not fill one batch of {self.batch}: give a smaller --batch")

    @property
    def steps(self) -> int:
        """Steps a pass."""
        return self.images // self.batch

    def numbers(self, number: int) -> torch.Tensor:
        """The images of pass `number` (from 0), int64 (steps, batch)."""
        shuffled = torch.randperm(self.images, generator=generator(self.seed, "order", number))
        return shuffled[: self.steps * self.batch].view(self.steps, self.batch)


@dataclass(frozen=True)
class Share:
    """Which rows of each batch this process has: the rank-th of `size` equal parts. SettingError: unequal parts."""

    rank: int = 0
    size: int = 1

    def rows(self, batch: int) -> slice:
        if batch % self.size:
            raise SettingError(
                f"a batch of {batch} images cannot be shared equally by {self.size} processes: give a --batch that is "
                f"a multiple of {self.size}"
            )
        part = batch // self.size
        return slice(self.rank * part, (self.rank + 1) * part)
