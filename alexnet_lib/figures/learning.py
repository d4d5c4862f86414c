"""The figures of "Details of learning": paths through a valley, and courses of runs with the drops of their rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from ..measures.valley import Valley
from ..notebook.style import FOREGROUND, style_at

LEVELS = (0.1, 0.5, 2.0, 6.0, 15.0)
Courses = Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]]


def _styles(names: Iterable[str]) -> dict[str, dict]:
    """A style of its own for every name, in order: the names here differ in a digit, and must not look alike."""
    return {name: style_at(place) for place, name in enumerate(dict.fromkeys(names))}


def draw_paths(
    valley: Valley, paths: Mapping[str, torch.Tensor], *, reach: tuple[float, float] = (3.4, 1.6), title: str = ""
) -> Figure:
    """Paths (steps, 2) from above: lines of equal loss, a cross at the bottom, a point a step; axes in weights."""
    fig, ax = plt.subplots()
    for level in LEVELS:
        width, height = (2 * (2 * level / curvature) ** 0.5 for curvature in valley.curvatures)
        ax.add_patch(Ellipse(valley.bottom, width, height, fill=False, edgecolor=FOREGROUND, alpha=0.35, linewidth=0.8))
    ax.plot(*valley.bottom, "x", color=FOREGROUND, markersize=8)
    for (name, places), style in zip(paths.items(), _styles(paths).values(), strict=True):
        style = style | {"markersize": 3, "markevery": 1, "linewidth": 1.2}
        ax.plot(*places.T.round(decimals=3).tolist(), label=name, **style)
    ax.set(xlim=(-reach[0], reach[0]), ylim=(-reach[1], reach[1]), xlabel="first weight (flat)")
    ax.set(ylabel="second weight (steep)", title=title)
    if len(paths) > 1:
        ax.legend(fontsize="small", loc="lower right")
    return fig


def draw_courses(
    panels: Mapping[str, Courses],
    *,
    ylabel: str,
    level: float | None = None,
    drops: Mapping[str, Sequence[float]] | None = None,
    points: bool = True,
) -> Figure:
    """For each panel, {name: a (passes, values) a seed} as lines; a dotted line at `level`.

    drops: by panel, the passes at which the rate dropped, as dashed lines. points: mark some points on each line.
    """
    styles = _styles(name for courses in panels.values() for name in courses)
    fig, axes = plt.subplots(
        1, len(panels), sharey=True, figsize=(5.2 if len(panels) == 1 else 7.6, 3.3), squeeze=False
    )
    for ax, (title, courses) in zip(axes[0], panels.items(), strict=True):
        for name, runs in courses.items():
            style = styles[name] | ({} if points else {"marker": ""})
            for number, (passes, values) in enumerate(runs):
                ax.plot(passes, values, label=None if number else name, **style)
        for drop in (drops or {}).get(title, ()):
            ax.axvline(drop, color=FOREGROUND, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.7)
        if level is not None:
            ax.axhline(level, color=FOREGROUND, linewidth=0.8, linestyle=":", alpha=0.8)
        ax.set(title=title, xlabel="passes through the training images")
    axes[0, 0].set(ylabel=ylabel)
    named = {name: line for ax in axes[0] for line, name in zip(*ax.get_legend_handles_labels(), strict=True)}
    if named:
        fig.legend(named.values(), named, fontsize="small", ncols=min(3, len(named)), loc="outside lower center")
    return fig
