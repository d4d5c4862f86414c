"""Finding images that are nearly the same: for each of many images, the nearest of many others, by small thumbnails.

Images are uint8 (N, C, H, W), all of one size; distances are root mean squares in grey levels (0-255). What distance
makes a duplicate is for eyes to judge: the search only ranks. Taught in "The data".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..errors import SettingError

BLOCK = 1_000


@dataclass(frozen=True)
class Nearest:
    """For each image asked about, the nearest other one, all of shape (N,).

    index: int64, its place in the set searched. distance: float32, of the thumbnails, in grey levels. mirrored: bool,
    whether it is that one's mirror image that is near.
    """

    index: torch.Tensor
    distance: torch.Tensor
    mirrored: torch.Tensor

    def closest(self, count: int) -> torch.Tensor:
        """The places (int64) of the `count` images that have the smallest distances, the smallest first."""
        return self.distance.sort(stable=True).indices[:count]

    def within(self, limit: float) -> int:
        """How many have another one at most `limit` grey levels away."""
        return int((self.distance <= limit).sum())


def thumbnails(images: torch.Tensor, side: int = 8) -> torch.Tensor:
    """Averages over squares: float32 (N, C * side * side). SettingError if the sides do not divide the images."""
    height, width = images.shape[-2:]
    if side < 1 or height % side or width % side:
        raise SettingError(f"thumbnails of {side} pixels a side do not divide images of {height} x {width}")
    blocks = images.split(4096)
    return torch.cat([F.adaptive_avg_pool2d(block.to(torch.float32), side).flatten(1) for block in blocks])


def nearest(
    queries: torch.Tensor, others: torch.Tensor | None = None, side: int = 8, mirror: bool = True, block: int = BLOCK
) -> Nearest:
    """For each of `queries` the nearest of `others`, or of the other queries if none are given.

    All pairs, by one product of matrices a block of queries: |a|^2 + |b|^2 - 2 ab. In float32 that can choose wrongly
    between two that are alike to a tenth of a grey level; the distance given is then taken again from the difference.
    mirror: look for each query's mirror image too. SettingError: images of different sizes, nothing to search.
    """
    base = queries if others is None else others
    if queries.shape[1:] != base.shape[1:] or len(base) < (2 if others is None else 1):
        raise SettingError(f"nothing to search: {tuple(queries.shape)} among {tuple(base.shape)}")
    found_in = thumbnails(base, side)
    centre = found_in.mean(0)  # smaller numbers lose fewer digits
    found_in = found_in - centre
    lengths = found_in.square().sum(1)
    best: Nearest | None = None
    for mirrored in (False, True) if mirror else (False,):
        asked = thumbnails(queries.flip(3) if mirrored else queries, side) - centre
        index = _searched(asked, found_in, lengths, block, not_itself=others is None)
        apart = torch.cat(
            [
                (a - found_in[i]).square().mean(1).sqrt()
                for a, i in zip(asked.split(block), index.split(block), strict=True)
            ]
        )
        here = Nearest(index, apart, torch.full_like(index, mirrored, dtype=torch.bool))
        best = here if best is None else _nearer(best, here)
    return best


def _searched(
    asked: torch.Tensor, found_in: torch.Tensor, lengths: torch.Tensor, block: int, not_itself: bool
) -> torch.Tensor:
    index = []
    for start in range(0, len(asked), block):
        some = asked[start : start + block]
        distances = torch.addmm(lengths, some, found_in.T, alpha=-2)  # less the query's own length, the same in a row
        if not_itself:
            distances[torch.arange(len(some)), start + torch.arange(len(some))] = torch.inf
        index.append(distances.argmin(1))
    return torch.cat(index)


def _nearer(one: Nearest, other: Nearest) -> Nearest:
    swap = other.distance < one.distance
    return Nearest(*(torch.where(swap, getattr(other, n), getattr(one, n)) for n in ("index", "distance", "mirrored")))
