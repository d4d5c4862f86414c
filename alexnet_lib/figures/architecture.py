"""Charts of "The whole architecture": what layers hold and cost, windows at the border."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ..network.description import BYTES, Description
from ..network.geometry import Window
from ..notebook.style import FOREGROUND, PALETTE
from .figure2 import steps_after

KINDS = ("weights", "multiply-adds", "activations")


def breakdown(described: Description, kind: str) -> dict[str, int]:
    """By layer: learned weights and biases, multiply-adds of one image, or numbers put out for one image.

    Activations count all that a layer's step of response norm and pooling put out too, as they are kept in training.
    """
    if kind != "activations":
        return {row.name: row.learned if kind == "weights" else row.multiply_adds for row in described.layers}
    return {
        row.name: row.outputs + sum(after.outputs for after in steps_after(described, row.name))
        for row in described.layers
    }


def draw_breakdown(described: Description, kind: str) -> Figure:
    """Bars of `breakdown`, one for each layer, with its count and its share of the sum."""
    found = breakdown(described, kind)
    total, names = sum(found.values()), list(found)
    fig, ax = plt.subplots(figsize=(5.2, 3.6))
    for place, name in enumerate(names):
        share = found[name] / total
        convolution = name.startswith("conv")
        ax.barh(
            place,
            share,
            color=PALETTE["blue" if convolution else "orange"],
            hatch="" if convolution else "//",
            edgecolor=FOREGROUND,
            lw=0.8,
        )
        ax.text(share + 0.01, place, f"{share:.1%}  {found[name]:,}", va="center", fontsize=9)
    unit = f"{total:,}" + (f" numbers, {total * BYTES / 1e6:,.1f} MB" if kind != "multiply-adds" else "")
    ax.set(yticks=range(len(names)), yticklabels=names, xlim=(0, 1), xlabel=f"share of the {kind} ({unit})")
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.invert_yaxis()
    return fig


def draw_borders(ways: Sequence[tuple[str, int, Window]], windows: int = 2) -> Figure:
    """The first and last windows of conv1 in one dimension, for each way (name, side of the image, window)."""
    fig, axes = plt.subplots(1, 2, figsize=(5.2, 0.62 * len(ways) + 0.9), sharey=True)
    for place, (_, image, window) in enumerate(ways):
        spans = window.spans(image)
        for ax, some in zip(axes, (spans[:windows], spans[-windows:]), strict=True):
            ax.barh(place, image, left=0, height=0.75, color=PALETTE["moss"], alpha=0.3)
            for i, (start, stop) in enumerate(some):
                ax.plot(
                    [start, stop],
                    [place - 0.16 + 0.32 * i] * 2,
                    lw=3,
                    marker="|",
                    markersize=9,
                    ls="-",
                    color=PALETTE["blue" if i else "orange"],
                )
    last = max(image for _, image, _ in ways)
    axes[0].set(xlim=(-5, 22), yticks=range(len(ways)), yticklabels=[name for name, _, _ in ways], title="left edge")
    axes[1].set(xlim=(last - 22, last + 5), title="right edge")
    axes[0].tick_params(axis="y", labelsize=9)
    axes[0].invert_yaxis()
    fig.supxlabel("pixel", fontsize=11)
    return fig
