"""The figures of "Predictions": how sure against how right, which labels are taken for which, what kernels answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from .evidence import Patch
from .predictions import Calibration
from .style import DASHES, FOREGROUND, MARKERS, PALETTE


def draw_reliability(found: Mapping[str, Calibration]) -> Figure:
    """Share that is right against the likeliest label's probability, a line each; dotted: as sure as right. Below it,
    how many images have which probability."""
    fig, (top, below) = plt.subplots(2, 1, figsize=(4.6, 4.6), sharex=True, height_ratios=(3, 1))
    top.plot([0, 1], [0, 1], color=FOREGROUND, linestyle=":", marker="", linewidth=1)
    width = 0.8 / len(found)
    for number, ((name, one), colour) in enumerate(zip(found.items(), PALETTE.values(), strict=False)):
        there = one.counts > 0
        top.plot(one.confidence[there], one.right[there], color=colour, linestyle=DASHES[number],
                 marker=MARKERS[number], markevery=1, label=f"{name} (error {one.error:.3f})")  # fmt: skip
        bins = len(one.counts)
        left = (np.arange(bins) + 0.1 + (number + 0.5) * width) / bins
        below.bar(left, one.counts, width / bins, color=colour)
    top.set(ylabel="share that is right", ylim=(-0.03, 1.03))
    below.set(xlabel="probability of the likeliest label", ylabel="images", xlim=(0, 1))
    fig.legend(*top.get_legend_handles_labels(), fontsize="small", ncols=2, loc="outside lower center")
    return fig


def draw_confusions(table: np.ndarray, words: Sequence[str]) -> Figure:
    """How often (per cent of a row) each label was the likeliest wrong one; rows are what the images show."""
    shares = 100 * table / table.sum(axis=1, keepdims=True)
    fig, ax = plt.subplots(figsize=(0.42 * len(words) + 1.8, 0.42 * len(words) + 1.2))
    ax.imshow(shares, cmap="Blues", vmin=0)
    for row, column in np.ndindex(*shares.shape):
        if row != column:
            ax.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize="x-small",
                    color="white" if shares[row, column] > shares.max() / 2 else "#333333")  # fmt: skip
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
