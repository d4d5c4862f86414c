"""Drawing thinned networks, their average against the mean network, and units that lean on each other.

Used by "Dropout" (section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..notebook.style import FOREGROUND, HATCHES, LOOKS, MARKERS, PALETTE

_GONE = "gray"


def draw_thinned(widths: Sequence[int], masks: Mapping[int, torch.Tensor], factor: float = 1.0) -> Figure:
    """Layers of units as rows of dots, those that masks {layer: (units,)} drop crossed out, with all their lines gone.

    factor: what the outputs of the masked layers are multiplied by, written beside them where it is not 1.
    """
    fig, ax = plt.subplots(figsize=(6.5, 3.6))
    alive = [masks.get(layer, torch.ones(width)).bool().tolist() for layer, width in enumerate(widths)]
    across = [[(unit + 0.5) / width * max(widths) for unit in range(width)] for width in widths]
    for layer in range(len(widths) - 1):
        pairs = ((i, j) for i in range(widths[layer]) for j in range(widths[layer + 1]))
        for i, j in pairs:
            if alive[layer][i] and alive[layer + 1][j]:
                ends = [across[layer][i], across[layer + 1][j]]
                ax.plot(ends, [layer, layer + 1], color=FOREGROUND, linewidth=0.6, alpha=0.45, linestyle="-", marker="")
    for layer, (places, kept) in enumerate(zip(across, alive, strict=True)):
        for place, lives in zip(places, kept, strict=True):
            colour = PALETTE["blue"] if lives else _GONE
            look = {"marker": "o", "markersize": 12} if lives else {"marker": "x", "markersize": 9}
            ax.plot(place, layer, color=colour, linestyle="", markevery=1, **look)
        if layer in masks and factor != 1:
            ax.annotate(f"x {factor:g}", (max(widths) + 0.1, layer), va="center")
    ax.set(xlim=(-0.3, max(widths) + 1), ylim=(-0.5, len(widths) - 0.5), yticks=range(len(widths)))
    names = ["input", *(f"hidden {layer}" for layer in range(1, len(widths) - 1)), "softmax"]
    ax.set_yticklabels(names)
    ax.set_xticks([])
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    return fig


def draw_against(panels: Mapping[str, tuple[torch.Tensor, torch.Tensor]], most: int = 400) -> Figure:
    """For each title: probabilities of the averaged networks (across) against the mean network's (up), dots on a line.

    Each pair is of log-probabilities (N, classes); at most `most` of their entries are drawn.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(8, 4), squeeze=False, sharey=True)
    for place, (ax, (title, (wanted, got))) in enumerate(zip(axes[0], panels.items(), strict=True)):
        step = max(1, wanted.numel() // most)
        dots = wanted.exp().flatten()[::step], got.exp().flatten()[::step]
        ax.plot([0, 1], [0, 1], color="gray", linestyle="-", linewidth=1, marker="")
        ax.plot(*dots, color=LOOKS[place][0], marker=MARKERS[place], markersize=3, linestyle="", markevery=1)
        ax.set(title=title, xlabel="average of the thinned networks", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes[0][0].set_ylabel("mean network")
    return fig


def draw_pairs(pairs: Mapping[str, Sequence[torch.Tensor]], floor: float, most: float = 1.0) -> Figure:
    """How many pairs of units have which absolute correlation: a panel a variant, a line a seed; floor: dotted.

    The floor is what the mean would be if all were chance: that which independent units would have on so many images.
    """
    fig, axes = plt.subplots(1, len(pairs), figsize=(8, 3.4), sharey=True, squeeze=False)
    edges = torch.linspace(0, most, 26)
    for place, (ax, (name, runs)) in enumerate(zip(axes[0], pairs.items(), strict=True)):
        for seed, values in enumerate(runs):
            counts = torch.histogram(values.float().clamp(max=most), edges).hist / len(values)
            _steps(ax, counts, edges, place, seed)
        ax.axvline(floor, color="gray", linestyle=":")
        ax.set(title=name, xlabel="absolute correlation of two units")
    axes[0][0].set_ylabel("share of pairs")
    return fig


def _steps(ax: Axes, counts: torch.Tensor, edges: torch.Tensor, place: int, seed: int) -> None:
    colour = list(PALETTE.values())[place]
    shape = {"fill": True, "alpha": 0.35, "hatch": HATCHES[place]} if seed == 0 else {"linewidth": 1.6}
    ax.stairs(counts.tolist(), edges.tolist(), color=colour, **shape)
