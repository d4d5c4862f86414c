"""The figures of "Results and ablations": changes as dots with intervals, errors of averages, and bells of chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..style import FOREGROUND, PALETTE, style_at
from .imagenet_results import Change

REACH = 8.0  # points to either side; what is farther out is written at the edge


def draw_changes(rows: Sequence[Change]) -> Figure:
    """For each ablation, in points of top-1 error: ours with its intervals, the paper's, and that of the 2012 logs.

    Thick: the 95% interval over seeds; thin: what the validation images alone can do to one pair of networks.
    """
    fig, ax = plt.subplots(figsize=(7.2, 0.42 * len(rows) + 1.5))
    ax.axvline(0, color=FOREGROUND, linewidth=0.9)
    for place, row in enumerate(rows):
        _dot(ax, row.paper, place - 0.22, "paper", "crimson", "D")
        _dot(ax, row.logs, place - 0.22, "logs of 2012", "orange", "s", hollow=True)
        if row.ours is not None:
            _interval(ax, row, place + 0.14)
            _dot(ax, row.ours.mean, place + 0.14, "ours", "blue", "o")
    ax.set_yticks(range(len(rows)), [row.label for row in rows])
    ax.set(xlabel="change of the top-1 error (points)", xlim=(-REACH - 0.6, REACH + 0.6), ylim=(len(rows) - 0.4, -0.6))
    named = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    fig.legend(named.values(), named, loc="outside lower center", ncols=3)
    return fig


def _dot(ax: Axes, share: float | None, place: float, name: str, colour: str, marker: str, hollow: bool = False):
    if share is None:
        return
    at = max(-REACH, min(REACH, 100 * share))
    face = {"markerfacecolor": "none", "markersize": 9} if hollow else {"markersize": 6}
    ax.plot(at, place, color=PALETTE[colour], marker=marker, linestyle="", markevery=1, label=name, **face)
    if at != 100 * share:
        side = "right" if at > 0 else "left"
        beside = at - math.copysign(0.1, at), place - 0.1
        ax.annotate(f"{100 * share:+.0f} ", beside, ha=side, va="bottom", fontsize=9)


def _interval(ax: Axes, row: Change, place: float) -> None:
    look = {"color": PALETTE["blue"], "marker": "", "linestyle": "-"}
    thin = row.ours.mean - row.by_images, row.ours.mean + row.by_images
    thick = row.ours.interval if row.ours.seeds > 1 else None
    for ends, width in ((thin, 1.0), (thick, 3.5)):
        if ends is not None:
            inside = [max(-REACH - 0.6, min(REACH + 0.6, 100 * end)) for end in ends]
            ax.plot(inside, [place, place], linewidth=width, **look)


def draw_averages(lines: Mapping[str, Sequence[float]], alone: Mapping[str, Sequence[float]]) -> Figure:
    """Errors in per cent against how many networks were averaged; at 1, each network alone as a dot.

    lines: {views or data: errors as shares of 1, 2, ... networks}; alone: the same keys.
    """
    fig, ax = plt.subplots()
    most = 1
    for place, (name, errors) in enumerate(lines.items()):
        style, counts = style_at(place, every=1), range(1, len(errors) + 1)
        ax.plot(counts, [100 * error for error in errors], label=name, **style)
        dots = style | {"linestyle": "", "alpha": 0.5, "markersize": 4}
        ax.plot([1 + 0.06 * (place + 1)] * len(alone[name]), [100 * error for error in alone[name]], **dots)
        most = max(most, len(errors))
    ax.set(xlabel="networks averaged", ylabel="top-1 error (%)", xticks=range(1, most + 1))
    if lines:
        ax.legend()
    return fig


def draw_bells(bells: Mapping[str, tuple[float, float]], reach: tuple[float, float], title: str = "") -> Figure:
    """Normal curves {name: (middle, deviation)}, each to its own height; the axis in per cent, middles dotted."""
    fig, ax = plt.subplots()
    across = [reach[0] + (reach[1] - reach[0]) * step / 200 for step in range(201)]
    for place, (name, (middle, deviation)) in enumerate(bells.items()):
        style = style_at(place, every=20)
        heights = [math.exp(-0.5 * ((at - middle) / deviation) ** 2) for at in across]
        ax.plot(across, heights, label=name, **style)
        ax.axvline(middle, color=style["color"], linestyle=":", linewidth=1)
    ax.set(xlabel="error counted (%)", ylabel="how often (most often = 1)", xlim=reach, ylim=(0, 1.05), title=title)
    ax.legend(loc="upper right", fontsize="small")
    return fig


def draw_found(lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str = "") -> Figure:
    """How often an effect is seen, in per cent of experiments, against its size in points."""
    fig, ax = plt.subplots()
    for place, (name, (effects, shares)) in enumerate(lines.items()):
        ax.plot(effects, [100 * share for share in shares], label=name, **style_at(place, every=2))
    ax.axhline(80, color=FOREGROUND, linestyle=":", linewidth=0.9)
    ax.set(xlabel="true effect (points)", ylabel="experiments that see it (%)", ylim=(0, 103), title=title)
    ax.legend(loc="lower right", fontsize="small")
    return fig
