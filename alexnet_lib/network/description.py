"""The table of a network's layers: what each puts out, holds and costs. Taught in "The whole architecture" (3.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .config import AlexNetConfig
from .geometry import ReceptiveField

BYTES = 4  # of a float32


@dataclass(frozen=True)
class LayerRow:
    """One layer: shape (C, H, W) or (F,) of what it puts out for one image, and what that takes.

    weights and biases are counts of learned numbers; multiply_adds are for one image; field is what one of its units
    sees of the image (None for fully connected layers: all of it); exchanges: it needs the other column's units too.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    biases: int
    multiply_adds: int
    field: ReceptiveField | None
    exchanges: bool

    @property
    def outputs(self) -> int:
        """Numbers put out for one image."""
        return math.prod(self.shape)

    @property
    def learned(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases

    @property
    def has_weights(self) -> bool:
        """True for the convolutions and the fully connected layers: the eight layers of the paper."""
        return self.kind in ("convolution", "fully connected")


@dataclass(frozen=True)
class Description:
    """A network's layers as rows, with their sums; `str()` of it is a table to print.

    Sums of outputs (the paper's "neurons") and multiply-adds are over the convolutions and fully connected layers.
    """

    config: AlexNetConfig
    rows: tuple[LayerRow, ...]
    num_classes: int

    def __getitem__(self, name: str) -> LayerRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    @property
    def layers(self) -> tuple[LayerRow, ...]:
        """The rows of convolutions and fully connected layers."""
        return tuple(row for row in self.rows if row.has_weights)

    @property
    def neurons(self) -> int:
        """Outputs of all layers with weights, the images not counted."""
        return sum(row.outputs for row in self.layers)

    @property
    def learned(self) -> int:
        """All weights and biases."""
        return sum(row.learned for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one forward pass of one image."""
        return sum(row.multiply_adds for row in self.rows)

    def gpus(self, row: LayerRow) -> str:
        """On which GPUs the layer lives: "0", or "0, 1", each with its half of the kernels or units."""
        return "0" if self.config.columns == 1 or row.name == "fc8" else ", ".join(map(str, range(self.config.columns)))

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows of text."""
        header = ("layer", "kind", "output", "weights", "biases", "multiply-adds", "sees", "GPU", "from both")
        rows = []
        for row in self.rows:
            numbers = (f"{n:,}" if n else "" for n in (row.weights, row.biases, row.multiply_adds))
            shape = " x ".join(map(str, row.shape))
            sees = f"{row.field.size} px" if row.field else "all"
            meets = "yes" if row.exchanges else ""
            rows.append((row.name, row.kind, shape, *numbers, sees, self.gpus(row), meets))
        weights, biases = (sum(getattr(row, kind) for row in self.rows) for kind in ("weights", "biases"))
        sums = (f"{weights:,}", f"{biases:,}", f"{self.multiply_adds:,}")
        rows.append(("sum", f"{self.neurons:,} neurons", "", *sums, "", "", ""))
        return header, rows

    def __str__(self) -> str:
        header, rows = self.table()
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
        left = {0, 1, 2, 7, 8}
        lines = [f"{self.config.name}: {self.learned:,} weights and biases, {self.num_classes:,} classes"]
        for row in [header, *rows]:
            cells = (c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)
