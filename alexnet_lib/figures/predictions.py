"""The figures of "Predictions": which labels are taken for which, what kernels answer, the likeliest labels as bars,
and maps of evidence over the photograph.

An image is uint8 (3, H, W), the view that the network saw. Used too by `python -m alexnet_lib inspect`. Paper section
6.1 and the left of Figure 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from ..errors import SettingError
from ..measures.evidence import Patch
from ..notebook.style import FOREGROUND, HATCHES, PALETTE


def draw_confusions(table: np.ndarray, words: Sequence[str]) -> Figure:
    """How often (per cent of a row) each label was the likeliest wrong one; rows are what the images show."""
    shares = 100 * table / table.sum(axis=1, keepdims=True)
    fig, ax = plt.subplots(figsize=(0.42 * len(words) + 1.8, 0.42 * len(words) + 1.2))
    ax.imshow(shares, cmap="Blues", vmin=0)
    for row, column in np.ndindex(*shares.shape):
        if row != column:
            ax.text(
                column,
                row,
                f"{shares[row, column]:.0f}",
                ha="center",
                va="center",
                fontsize="x-small",
                color="white" if shares[row, column] > shares.max() / 2 else "#333333",
            )
    places = range(len(words))
    ax.set_xticks(places, words, rotation=45, ha="right", fontsize="small")
    ax.set_yticks(places, words, fontsize="small")
    ax.set(xlabel="likeliest wrong label", ylabel="what it shows")
    ax.grid(False)
    return fig


def draw_patches(images: torch.Tensor, patches: Mapping[int, Sequence[Patch]], noun: str = "kernel") -> Figure:
    """A row a kernel of the patches it answers most, strongest first, cut out of uint8 images (N, 3, H, W)."""
    most = max(len(row) for row in patches.values())
    fig, axes = plt.subplots(len(patches), most, figsize=(0.95 * most + 0.6, 0.98 * len(patches)), squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.grid(False)
    for row, (kernel, some) in zip(axes, patches.items(), strict=True):
        row[0].set_ylabel(f"{noun} {kernel}", fontsize="x-small")
        for ax, one in zip(row, some, strict=False):
            ax.imshow(images[one.image, :, one.top : one.bottom, one.left : one.right].permute(1, 2, 0).numpy())
    return fig


Extent = tuple[float, float, float, float]  # left, right, bottom, top in pixels of the image, y downwards
OTHER, TRUE = ("blue", HATCHES[0]), ("orange", HATCHES[1])  # colour and hatch of a wrong label's bar and the true one's
LONGEST = 34  # letters of a label that fit over its bar
COVER = 0.6  # opacity of a map over its photograph


def grid_extent(shape: Sequence[int], start: float, size: float, step: float) -> Extent:
    """Where a map (rows, columns) lies on its image, if the entry of a row was made from the `size` pixels that begin
    at `start` + `step` times its number, and likewise of a column: each is drawn as a square of `step` pixels in the
    middle of those. An occlusion map has start 0; a layer's maps have its field's start, size and jump."""
    rows, columns = shape
    first = start + (size - step) / 2
    return (first, first + step * columns, first + step * rows, first)


def draw_top_labels(
    image: torch.Tensor | None, labels: Sequence[str], shares: Sequence[float], true: str | None = None, title: str = ""
) -> Figure:
    """An image beside the likeliest labels, likeliest first, a bar each for its probability (0 to 1).

    image: uint8 (3, H, W), or None where the photograph is not here. true: the true label, whose bar is hatched, in
    another colour, with bold text; if it is none of these, it is named under them. SettingError: not a share a label.
    """
    height = max(1.9, 0.42 * len(labels) + 0.5)
    fig = plt.figure(figsize=(5.4, height))
    _fill_top_labels(fig, image, labels, shares, true, title)
    return fig


def draw_evidence(
    image: torch.Tensor,
    maps: Mapping[str, torch.Tensor],
    extents: Mapping[str, Extent] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """The image, and beside it each map (rows, columns) over the image, by title, with a bar of its colours.

    extents: by title, where a map lies (`grid_extent`); one that has none covers the whole image. limits: by title, the
    values that the colours begin and end with; a map that has none begins with its lowest and ends with its highest.
    """
    fig = plt.figure(figsize=(1.7 + 2.3 * len(maps), 2.2))
    axes = fig.subplots(1, 1 + len(maps), width_ratios=[1] + [1.25] * len(maps), squeeze=False)[0]
    _show(axes[0], image)
    axes[0].set_title("the image", fontsize="small")
    _fill_maps(fig, axes[1:], image, maps, extents or {}, limits or {})
    return fig


def draw_answer(
    image: torch.Tensor,
    labels: Sequence[str],
    shares: Sequence[float],
    maps: Mapping[str, torch.Tensor],
    extents: Mapping[str, Extent] | None = None,
    title: str = "",
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """The likeliest labels of an image as `draw_top_labels` shows them, and under them the maps of `draw_evidence`."""
    fig = plt.figure(figsize=(5.8, 5.0))
    above, below = fig.subfigures(2, 1, height_ratios=[1, 1])
    _fill_top_labels(above, image, labels, shares, None, _short(title, 26))
    below.suptitle(f"what “{_short(labels[0])}” rests on", fontsize="small", parse_math=False)
    _fill_maps(below, below.subplots(1, len(maps), squeeze=False)[0], image, maps, extents or {}, limits or {})
    return fig


def _fill_top_labels(
    fig: FigureBase,
    image: torch.Tensor | None,
    labels: Sequence[str],
    shares: Sequence[float],
    true: str | None,
    title: str,
) -> None:
    if len(labels) != len(shares) or not len(labels):
        raise SettingError(f"{len(labels)} labels and {len(shares)} probabilities: give one for each label")
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.6])
    _show(left, image)
    left.set_title(title, fontsize="small", parse_math=False)
    for place, (label, share) in enumerate(zip(labels, shares, strict=True)):
        _bar(right, place, label, 100 * float(share), label == true)
    note = "" if true is None or true in labels else f"true label: {_short(true)}"
    if note:
        right.text(0, len(labels) - 0.15, note, fontsize="small", fontweight="bold", va="center", parse_math=False)
    right.set(xlim=(0, 112), xticks=range(0, 101, 20), ylim=(len(labels) + (0.3 if note else -0.35), -0.85), yticks=[])
    right.set_xlabel("probability (%)", fontsize="small")
    right.tick_params(labelsize="small")
    right.grid(False)
    right.spines["left"].set_visible(False)
    if title:
        right.set_title(" ", fontsize="small")  # or the layout keeps no room over an image that fills its height


def _bar(ax: Axes, place: int, label: str, percent: float, is_true: bool) -> None:
    """A bar with its label over it, so that a long one has room, and its number at the end."""
    colour, hatch = TRUE if is_true else OTHER
    weight = "bold" if is_true else "normal"
    ax.barh(place, percent, height=0.34, color=PALETTE[colour], hatch=hatch, edgecolor=FOREGROUND, linewidth=0.6)
    ax.text(0, place - 0.42, _short(label), fontsize="small", fontweight=weight, va="center", parse_math=False)
    told = "<1%" if percent < 1 else ">99%" if percent > 99 else f"{percent:.0f}%"
    ax.text(percent + 1, place, told, fontsize="x-small", fontweight=weight, va="center")


def _short(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _show(ax: Axes, image: torch.Tensor | None) -> None:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    if image is None:
        ax.set_aspect("equal")
        ax.set(xlim=(0, 1), ylim=(0, 1))
        ax.spines[:].set(visible=True, linestyle=":")
        ax.text(0.5, 0.5, "the photograph\nis not here", ha="center", va="center", fontsize="x-small")
        return
    ax.spines[:].set_visible(False)
    height, width = image.shape[-2:]
    ax.imshow(image.permute(1, 2, 0).cpu().numpy(), interpolation="nearest", extent=(0, width, height, 0))


def _fill_maps(
    fig: FigureBase,
    axes: Sequence[Axes],
    image: torch.Tensor,
    maps: Mapping[str, torch.Tensor],
    extents: Mapping[str, Extent],
    limits: Mapping[str, tuple[float, float]],
) -> None:
    """A map an axis, over the photograph in grey, so that all colour is the map's."""
    height, width = image.shape[-2:]
    grey = image.float().mean(dim=0).round().to(torch.uint8).expand(3, -1, -1)
    for ax, (title, values) in zip(axes, maps.items(), strict=True):
        _show(ax, grey)
        low, high = limits.get(title, (None, None))
        drawn = ax.imshow(
            values.detach().cpu().numpy(),
            cmap="viridis",
            alpha=COVER,
            interpolation="nearest",
            extent=extents.get(title, (0, width, height, 0)),
            vmin=low,
            vmax=high,
        )
        ax.set(xlim=(0, width), ylim=(height, 0))
        ax.set_title(title, fontsize="small")
        bar = fig.colorbar(drawn, ax=ax, shrink=0.8)
        bar.ax.tick_params(labelsize="x-small")
        bar.outline.set_visible(False)
