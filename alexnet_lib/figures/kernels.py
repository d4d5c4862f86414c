"""The figures of "First-layer kernels": kernels as pictures, what they answer, the columns' colours beside chance."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..measures.gabor import ORIENTATIONS, Gabor, Tuning, tuning_of
from ..measures.kernels import KINDS, Specialisation
from ..notebook.style import FOREGROUND, MARKERS, PALETTE

GAP = 2  # pixels between kernels
COLOURS = dict(zip(KINDS, ("blue", "crimson", "moss", "orange"), strict=True))
SHAPES = dict(zip(KINDS, MARKERS, strict=False))


def mosaic(kernels: torch.Tensor, per_row: int = 16, columns: int = 1) -> np.ndarray:
    """Kernels (n, 3, height, width) as one picture (rows, columns, 4) of 0 to 1, `per_row` in a row.

    Each is stretched by its own largest weight, and grey is 0. columns: the rows of each GPU's kernels stand apart.
    What is between them is transparent.
    """
    count, _, height, width = kernels.shape
    share = -(-count // columns)
    rows = -(-share // per_row)
    step = (height + GAP, width + GAP)
    picture = np.zeros((columns * (rows * step[0] + 2 * GAP) - 3 * GAP, per_row * step[1] - GAP, 4))
    scaled = (0.5 + 0.5 * kernels / kernels.abs().amax(dim=(1, 2, 3), keepdim=True)).permute(0, 2, 3, 1).cpu().numpy()
    for number, kernel in enumerate(scaled):
        column, place = divmod(number, share)
        top = column * (rows * step[0] + 2 * GAP) + place // per_row * step[0]
        left = place % per_row * step[1]
        picture[top : top + height, left : left + width] = np.concatenate([kernel, np.ones((height, width, 1))], axis=2)
    return picture


def draw_kernels(
    sets: Mapping[str, torch.Tensor], columns: int | Sequence[int] = 1, per_row: int = 16, width: float = 6.4
) -> Figure:
    """Sets of kernels under each other, by title; `columns` of each set, or of all."""
    each = [columns] * len(sets) if isinstance(columns, int) else columns
    pictures = [mosaic(kernels, per_row, count) for kernels, count in zip(sets.values(), each, strict=True)]
    heights = [picture.shape[0] / picture.shape[1] for picture in pictures]
    size = (width, width * sum(heights) + 0.35 * len(sets))
    fig, axes = plt.subplots(len(sets), 1, figsize=size, height_ratios=heights, squeeze=False)
    for ax, title, picture in zip(axes[:, 0], sets, pictures, strict=True):
        ax.imshow(picture, interpolation="nearest")
        ax.set_title(title, fontsize="small")
        ax.set_axis_off()
    return fig


def draw_gabor(gabor: Gabor, side: int = 11) -> Figure:
    """A Gabor as a kernel, and beside it how strongly it answers gratings of each orientation and frequency."""
    fig = plt.figure(figsize=(5.6, 2.6))
    left, right = fig.add_subplot(1, 2, 1), fig.add_subplot(1, 2, 2, projection="polar")
    left.imshow(mosaic(gabor.kernel(side, side)[None], 1), interpolation="nearest")
    left.set_axis_off()
    left.set_title("the kernel", fontsize="small")
    tuning = tuning_of(gabor.drawn(side, side))
    draw_tuning(right, tuning)
    right.set_title(f"selectivity {tuning.selectivity:.2f}", fontsize="small")
    return fig


def draw_tuning(ax: Axes, tuning: Tuning) -> None:
    """A ring by the orientation of gratings, in a polar plot: the strongest answer over all frequencies above 0."""
    angles = np.radians(np.arange(2 * ORIENTATIONS + 1) * 180 / ORIENTATIONS)
    answers = tuning.amplitudes[:, 1:].max(axis=1)
    ax.plot(angles, np.concatenate([answers, answers, answers[:1]]), color=PALETTE["blue"])
    ax.set_yticks([])
    ax.set_xticks(np.radians([0, 45, 90, 135]), ["0°", "45°", "90°", "135°"], fontsize="small")


def draw_measures(table: Mapping[str, list], title: str = "") -> Figure:
    """A recorded table of kernels: colour share against the frequency of the best Gabor; a mark is a kernel's kind."""
    fig, ax = plt.subplots(figsize=(5.4, 3.4))
    kinds = np.array(table["kind"])
    for kind in KINDS:
        chosen = kinds == kind
        if chosen.any():
            ax.scatter(
                np.array(table["frequency"])[chosen],
                np.array(table["colour_share"])[chosen],
                s=22,
                marker=SHAPES[kind],
                color=PALETTE[COLOURS[kind]],
                label=kind,
                alpha=0.8,
                linewidths=0,
            )
    ax.set(
        xlabel="frequency of its Gabor (cycles a pixel)",
        ylabel="share of colour in its energy",
        ylim=(-0.03, 1.03),
        title=title,
    )
    fig.legend(*ax.get_legend_handles_labels(), fontsize="small", ncols=2, loc="outside lower center")
    return fig


def draw_columns(by_variant: Mapping[str, Sequence[Sequence[float]]], names: Mapping[str, str]) -> Figure:
    """The colour shares of all kernels, by seed, the halves beside each other; a bar is a half's mean."""
    fig, axes = plt.subplots(1, len(by_variant), figsize=(2.6 * len(by_variant), 3.2), sharey=True, squeeze=False)
    for ax, (variant, seeds) in zip(axes[0], by_variant.items(), strict=True):
        for seed, shares in enumerate(seeds):
            for half, values in enumerate(np.split(np.asarray(shares), 2)):
                _half(ax, seed + (-0.2, 0.2)[half], values, half)
        ax.set_title("\n".join(textwrap.wrap(names[variant], 26)), fontsize="small")
        ax.set(xlabel="seed", xticks=range(len(seeds)))
    axes[0, 0].set_ylabel("share of colour")
    fig.legend(
        *axes[0, 0].get_legend_handles_labels(), fontsize="small", ncols=2, markerscale=3, loc="outside lower center"
    )
    return fig


def _half(ax: Axes, place: float, values: np.ndarray, half: int) -> None:
    colour, marker = (PALETTE["blue"], "o") if half == 0 else (PALETTE["orange"], "^")
    spread = np.linspace(-0.12, 0.12, len(values))
    label = ("first half", "second half")[half] if place < 0.5 else None
    ax.scatter(place + spread, values, s=6, color=colour, marker=marker, alpha=0.6, linewidths=0, label=label)
    ax.plot([place - 0.16, place + 0.16], [values.mean()] * 2, color=FOREGROUND, linestyle="-", marker="", linewidth=2)


def draw_chance(found: Specialisation, dealt: np.ndarray) -> Figure:
    """How far apart kernels dealt at random are (`kernels.dealt`), and how far they are in fact."""
    fig, ax = plt.subplots(figsize=(5, 2.6))
    ax.hist(100 * dealt, bins=40, color=PALETTE["moss"], label="dealt at random")
    ax.axvline(100 * found.size, color=PALETTE["crimson"], linestyle="--", label="as they are")
    ax.set(xlabel="points of colour between the halves", ylabel="dealings")
    fig.legend(*ax.get_legend_handles_labels(), fontsize="small", ncols=2, loc="outside lower center")
    return fig
