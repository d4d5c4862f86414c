"""The figure of "Results and ablations": effects with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..experiments.evidence_results import Answer, Question
from ..notebook.style import FOREGROUND, PALETTE

REACH = 6.0  # points to either side; what is farther out is written at the edge


def draw_effects(rows: Sequence[tuple[Question, Answer | None, float | None]]) -> Figure:
    """For each question, in points better with what is asked about: ours with its 95% interval, the paper's, and that
    of the 2012 logs. Grey: effects that our test would mostly have missed.

    rows: a question, our answer (None while it is not run), and the logs' effect (a share, None if they have none).
    """
    fig, ax = plt.subplots(figsize=(5.4, 0.52 * len(rows) + 1.4))
    ax.axvline(0, color=FOREGROUND, linewidth=0.9)
    for place, (question, answer, logged) in enumerate(rows):
        at, ours = place + 0.22, answer.effect if answer else None
        if ours is not None:
            ends = min(REACH, 100 * answer.detectable)
            ax.fill_betweenx([at - 0.18, at + 0.18], -ends, ends, color=FOREGROUND, alpha=0.12, linewidth=0)
        words = question.short if ours else f"{question.short}: not yet run"
        ax.text(-REACH, place - 0.16, words, fontsize=9, va="center")
        _dot(ax, question.paper, at, "paper", "crimson", "D")
        _dot(ax, logged, at, "logs of 2012", "orange", "s", hollow=True)
        if ours is not None:
            inside = [max(-REACH, min(REACH, 100 * end)) for end in ours.interval]
            ax.plot(inside, [at, at], color=PALETTE["blue"], marker="", linestyle="-", linewidth=2.5)
            _dot(ax, ours.size, at, "ours", "blue", "o")
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
