"""Fixed views of each image for testing: the paper's ten, and others to compare them with (section 4.1, question Q30).

Taught in "Crops, reflections and ten views".
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch

from ..errors import SettingError

CORNERS = ((0, 0), (0, 2), (2, 0), (2, 2))  # in halves of the room that is left: down, to the right
EDGES = ((0, 1), (1, 0), (1, 2), (2, 1))
CENTRE = ((1, 1),)
# Places, and the flips that all of them are also shown with (left to right, top to bottom).
SETS = {
    "centre": (CENTRE, "no"),
    "centre, reflected": (CENTRE, "reflected"),
    "five": (CORNERS + CENTRE, "no"),
    "ten": (CORNERS + CENTRE, "reflected"),
    "eight": (CORNERS + EDGES, "no"),
    "eighteen": (CORNERS + EDGES + CENTRE, "reflected"),
    "ten, upside down too": (CORNERS + CENTRE, "all"),
    "thirty-six": (CORNERS + EDGES + CENTRE, "all"),
}
FLIPS = {
    "no": ((False, False),),
    "reflected": ((False, False), (True, False)),
    "all": tuple((mirrored, upside_down) for upside_down, mirrored in product((False, True), repeat=2)),
}


class View(NamedTuple):
    """One window: its first row and column, and whether it is flipped left to right, top to bottom."""

    top: int
    left: int
    mirrored: bool = False
    upside_down: bool = False


def view_list(height: int, width: int, size: int, which: str = "ten", grid: int = 5) -> list[View]:
    """The windows of a named set, in order: all places as they are, then all again with each flip.

    which: a name in SETS, or "dense": `grid` x `grid` places, evenly spread from corner to corner, and reflections.
    Places come in the order of CORNERS (top left, top right, bottom left, bottom right), EDGES, CENTRE; half of an odd
    room is rounded down. Raises SettingError for an unknown name, a window that does not fit, a grid without places.
    """
    if not 1 <= size <= min(height, width):
        raise SettingError(f"a view of {size} pixels does not fit into images of {height} x {width}")
    down, right = height - size, width - size
    if which == "dense":
        if grid < 1:
            raise SettingError(f"a grid of {grid} x {grid} has no place: give 1 or more")
        places = [(_spread(down, i, grid), _spread(right, j, grid)) for i in range(grid) for j in range(grid)]
        flips = FLIPS["reflected"]
    elif which in SETS:
        halves, flipped = SETS[which]
        places, flips = [(down * i // 2, right * j // 2) for i, j in halves], FLIPS[flipped]
    else:
        raise SettingError(f"views {which!r} are not known; use dense, {', '.join(SETS)}")
    return [View(top, left, *flip) for flip in flips for top, left in places]


def _spread(room: int, step: int, steps: int) -> int:
    """Where the step-th of so many evenly spaced windows begins; a single one is in the middle."""
    return room // 2 if steps == 1 else round(room * step / (steps - 1))


def views(images: torch.Tensor, size: int, which: str = "ten", grid: int = 5) -> torch.Tensor:
    """Every view of every image: (N, C, H, W) of any type to (N, views, C, size, size), in the order of `view_list`.

    The result is a copy, views x size^2 / (H x W) times as large: keep bytes, and take few images at a time.
    """
    if images.ndim != 4:
        raise SettingError(f"images are {tuple(images.shape)}: give (N, C, H, W)")
    chosen = view_list(*images.shape[-2:], size, which, grid)
    cut = images.new_empty((len(images), len(chosen), images.shape[1], size, size))
    for number, (top, left, mirrored, upside_down) in enumerate(chosen):
        window = images[:, :, top : top + size, left : left + size]
        flipped = [dim for dim, flip in ((2, upside_down), (3, mirrored)) if flip]
        cut[:, number] = window.flip(flipped) if flipped else window
    return cut


def ten_views(images: torch.Tensor, size: int) -> torch.Tensor:
    """The paper's ten: (N, C, H, W) to (N, 10, C, size, size).

    Order: top left, top right, bottom left, bottom right, centre, then their reflections left to right in the same
    order. (torchvision's TenCrop gives the same ten; it mirrors before it cuts, so that left and right corners have
    changed places among its reflections.) The network's softmax outputs over the ten are averaged.
    """
    return views(images, size, "ten")
