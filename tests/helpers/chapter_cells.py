"""A chapter's own cells, run by its tests: what the notebook builds by hand can then be held to the library."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import nbformat
import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib import ROOT
from alexnet_lib import notebook as nb

CHAPTERS = ROOT / "book" / "chapters"


class Chapter:
    """The notebook chapters/NAME.ipynb; `given` is what its cells find besides torch, nn, F and nb."""

    def __init__(self, name: str, **given: Any):
        self.path = CHAPTERS / f"{name}.ipynb"
        self.given = given

    def sources(self, kind: str | None = None) -> list[str]:
        """What the cells hold, in order; kind: "code" or "markdown" only."""
        cells = nbformat.read(self.path, as_version=4).cells
        return [cell.source for cell in cells if kind in (None, cell.cell_type)]

    def run(self, *needles: str, **given: Any) -> dict[str, Any]:
        """Run, in the chapter's order, the code cells that hold one of the needles; returns what they define."""
        cells = self.sources("code")
        for needle in needles:
            found = sum(needle in cell for cell in cells)
            assert found == 1, f"{needle!r} stands in no cell of the chapter, or in several"
        names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "nb": nb, **self.given, **given}
        for cell in cells:
            if any(needle in cell for needle in needles):
                exec(compile(cell, str(self.path), "exec"), names)
        return names


class Shown:
    """Stands for `nb` in a cell: keeps what it would show, the rows of tables and the arguments of line charts."""

    def __init__(self) -> None:
        self.tables: list[list] = []
        self.captions: list[str] = []
        self.charts: list[dict] = []

    def table(self, rows: list, *, caption: str = "", **named: Any) -> None:
        self.tables.append(rows)
        self.captions.append(caption)

    def lines(self, data: dict, **named: Any) -> None:
        plt.close(nb.lines(data, **named))
        self.charts.append(data)

    def show(self, *given: Any, **named: Any) -> None: ...

    slider = show
