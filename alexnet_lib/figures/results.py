"""The figures of "Results and ablations": effects with their intervals, errors of averages, and bells of chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..experiments.evidence_results import Average
from ..experiments.tables import Compared
from ..notebook.style import FOREGROUND, PALETTE, style_at

REACH = 6.0  # points to either side; what is farther out is written at the edge


def draw_effects(rows: Sequence[Compared]) -> Figure:
    """For each question, in points better with what is asked about: ours with its 95% interval, the paper's, and that
    of the 2012 logs. Grey: effects that our test would mostly have missed."""
    fig, ax = plt.subplots(figsize=(5.4, 0.52 * len(rows) + 1.4))
    ax.axvline(0, color=FOREGROUND, linewidth=0.9)
    for place, row in enumerate(rows):
        at = place + 0.22
        if row.detectable is not None:
            ends = min(REACH, 100 * row.detectable)
            ax.fill_betweenx([at - 0.18, at + 0.18], -ends, ends, color=FOREGROUND, alpha=0.12, linewidth=0)
        ax.text(-REACH, place - 0.16, row.label if row.ours else f"{row.label}: not yet run", fontsize=9, va="center")
        _dot(ax, row.paper, at, "paper", "crimson", "D")
        _dot(ax, row.logs, at, "logs of 2012", "orange", "s", hollow=True)
        if row.ours is not None:
            inside = [max(-REACH, min(REACH, 100 * end)) for end in row.ours.interval]
            ax.plot(inside, [at, at], color=PALETTE["blue"], marker="", linestyle="-", linewidth=2.5)
            _dot(ax, row.ours.size, at, "ours", "blue", "o")
    ax.set_yticks([])
    ax.set(xlabel="points better with it", xlim=(-REACH - 0.2, REACH + 0.2), ylim=(len(rows) - 0.4, -0.6))
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
        beside = at - math.copysign(0.15, at), place - 0.1
        ax.annotate(f"{100 * share:+.0f} ", beside, ha=side, va="bottom", fontsize=9)


def draw_averages(lines: Mapping[str, Sequence[Average]]) -> Figure:
    """Errors in per cent against how many networks were averaged: the mean over all choices of them, and in a band
    the lowest and highest choice. lines: {name: of 1, 2, ... networks}."""
    fig, ax = plt.subplots()
    most = 1
    for place, (name, averages) in enumerate(lines.items()):
        style, counts = style_at(place, every=1), [one.networks for one in averages]
        ax.plot(counts, [100 * one.top1 for one in averages], label=name, **style)
        band = [[100 * getattr(one, end) for one in averages] for end in ("lowest", "highest")]
        ax.fill_between(counts, *band, color=style["color"], alpha=0.15, linewidth=0)
        most = max(most, *counts)
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
