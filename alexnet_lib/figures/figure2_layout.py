"""Where everything stands in the picture of a network (Figure 2): blocks, the lines between them, what is written.

In units of the picture, y downwards. Used by architecture_figures for "The whole architecture".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..network.description import Description

GAP, LEFT = 30, 26  # between layers, and left of the first, in units of the picture
TOP, ROW = 74, 128  # middle of the upper column, and from it to the lower one
WIDE_GAP = 44  # between bars, whose numbers are wider than they are
ZOOM_WIDTH = 190  # what is seen of the picture's width when a layer is near
TEXT = 10


@dataclass(frozen=True)
class Box:
    """A layer's block in one column: the corner of its front face, its size, and how far it leans back."""

    x: float
    y: float
    width: float
    height: float
    lean: float

    def faces(self) -> list[list[tuple[float, float]]]:
        """Front, top and side, as corners."""
        x, y, w, h, d = self.x, self.y, self.width, self.height, self.lean
        front = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        top = [(x, y), (x + d, y - d), (x + w + d, y - d), (x + w, y)]
        side = [(x + w, y), (x + w + d, y - d), (x + w + d, y + h - d), (x + w, y + h)]
        return [front, top, side]

    @property
    def right(self) -> tuple[float, float]:
        """Where lines to the next layer start."""
        return self.x + self.width + self.lean / 2, self.y + self.height / 2 - self.lean / 2

    @property
    def left(self) -> tuple[float, float]:
        """Where lines from the layer before end."""
        return self.x, self.y + self.height / 2


@dataclass(frozen=True)
class Stage:
    """The images, or a layer with weights: one box for each column it lives in, and what is written under it."""

    name: str
    boxes: tuple[Box, ...]
    under: tuple[str, ...]
    exchanges: bool


def stages(described: Description) -> list[Stage]:
    """The images and the layers with weights, laid out from left to right, two columns one above the other."""
    columns, size = described.config.columns, described.config.input_size
    x, found = float(LEFT), []
    for row in (None, *described.layers):
        shape = row.shape if row else (3, size, size)
        halves = columns if row and row.name != "fc8" else 1
        width, height, lean = _block(shape, halves)
        centres = [_middle(columns)] if halves == 1 else [TOP, TOP + ROW]
        boxes = tuple(Box(x, centre - height / 2, width, height, lean) for centre in centres)
        found.append(Stage(row.name if row else "images", boxes, _under(shape, halves), bool(row and row.exchanges)))
        x += width + lean + (GAP if len(shape) == 3 else WIDE_GAP)
    return found


def _middle(columns: int) -> float:
    return TOP + ROW / 2 if columns == 2 else 98


def _block(shape: tuple[int, ...], halves: int) -> tuple[float, float, float]:
    """Width for the kernels, height and lean for the map's side; fully connected layers are bars."""
    if len(shape) == 1:
        return 9, 12 + shape[0] / halves / 40, 4
    height = 6.4 * shape[1] ** 0.5
    return 4 + shape[0] / halves / 8, height, height / 3


def _under(shape: tuple[int, ...], halves: int) -> tuple[str, ...]:
    count = f"{halves} x {shape[0] // halves:,}" if halves > 1 else f"{shape[0]:,}"
    return (count, f"{shape[1]} x {shape[2]}") if len(shape) == 3 else (count,)


def lines(found: Sequence[Stage]) -> list[tuple[tuple[float, float], tuple[float, float], bool]]:
    """The lines between boxes: start, end, and whether it crosses from one column to the other."""
    drawn = []
    for before, after in zip(found, found[1:], strict=False):
        for i, start in enumerate(before.boxes):
            for j, end in enumerate(after.boxes):
                crosses = i != j and len(before.boxes) == len(after.boxes)
                if not crosses or after.exchanges:
                    drawn.append((start.right, end.left, crosses or (i > 0 and len(after.boxes) == 1)))
    return drawn


def extent(described: Description, found: Sequence[Stage]) -> tuple[float, float]:
    last = found[-1].boxes[0]
    return round(last.x + last.width + last.lean + 26), 292 if described.config.columns == 2 else 192


def near(stage: Stage, width: float, height: float) -> list[float]:
    """The part of the picture that is seen when this layer is near: x, y, width, height, of the picture's shape."""
    box, wide = stage.boxes[0], ZOOM_WIDTH
    tall = wide * height / width
    x, y = box.x + (box.width + box.lean) / 2 - wide / 2, box.y + box.height / 2 + 4 - tall / 2
    return [round(v, 1) for v in (min(max(x, 0), width - wide), min(max(y, 0), height - tall), wide, tall)]


def labels(stage: Stage) -> list[tuple[float, float, str, bool]]:
    """x, baseline, text and whether it is bold: the name over the block, its size under it."""
    top, low = stage.boxes[0], stage.boxes[-1]
    x = top.x + (top.width + top.lean) / 2
    above = [(x, top.y - top.lean - 5, stage.name, True)]
    bottom = low.y + low.height + TEXT + 2
    return above + [(x, bottom + i * (TEXT + 1), text, False) for i, text in enumerate(stage.under)]


def target(stage: Stage) -> str:
    """An unseen rectangle around the whole layer, so that a finger need not hit a thin bar."""
    top, low = stage.boxes[0], stage.boxes[-1]
    x, y = top.x - GAP / 3, top.y - top.lean - TEXT - 4
    width, height = top.width + top.lean + 2 * GAP / 3, low.y + low.height + 3 * TEXT - y
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill-opacity="0"/>'
