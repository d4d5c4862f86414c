"""Line charts: one function for every plain one of the book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import SettingError
from .style import FOREGROUND, MARK_EVERY, NAMED, style_at, style_for

Line = tuple[Sequence[float], Sequence[float]]
Lines = Mapping[str, Line | Sequence[Line]]
FEW = 16  # a line of so few points has a marker on each


def lines(
    data: Lines | Mapping[str, Lines],
    *,
    level: float | Mapping[str, float] | None = None,
    marked: Sequence[float] | Mapping[str, Sequence[float]] = (),
    labels: Mapping[str, str] | None = None,
    points: bool = True,
    sharey: bool = True,
    figsize: tuple[float, float] | None = None,
    **axis: Any,
) -> Figure:
    """Lines by name, {name: (x, y)}, or several of one look, {name: [(x, y), …]}, such as a run a seed; or panels side
    by side, {title: {name: …}}, where a name looks the same in all.

    level: a dotted line across at that height, or several, each with its words. marked: dashed upright lines at these
    places, or by panel. labels: what the legend calls a name, if not the name; a name without any line is left out.
    points: markers. axis: as matplotlib's `Axes.set` takes it (xlabel, ylim, yscale …), for every panel. The names of
    nonlinearities have their own looks, others one by their place. SettingError: panels beside lines.

    >>> nb.show(nb.lines({"ReLU": (passes, errors)}, level=0.25, xlabel="passes"), alt=…)
    """
    panels = _panels(data)
    looks = _looks(dict.fromkeys(name for panel in panels.values() for name in panel))
    size = figsize or ((5.2, 3.6) if len(panels) == 1 else (7.6, 3.6))
    fig, axes = plt.subplots(1, len(panels), figsize=size, sharey=sharey, squeeze=False)
    for ax, (title, panel) in zip(axes[0], panels.items(), strict=True):
        for name, runs in panel.items():
            for number, (x, y) in enumerate([runs] if isinstance(runs, tuple) else runs):
                look = looks[name] | {"markevery": 1 if len(x) <= FEW else MARK_EVERY}
                look |= {} if points else {"marker": ""}
                ax.plot(x, y, label=None if number else (labels or {}).get(name, name), **look)
        for place in marked.get(title, ()) if isinstance(marked, Mapping) else marked:
            ax.axvline(place, color=FOREGROUND, linewidth=0.8, linestyle=(0, (4, 3)), marker="", alpha=0.7)
        _draw_levels(ax, level)
        ax.set(**{"title": title} | axis)
        if sharey and ax is not axes[0, 0]:
            ax.set_ylabel("")
    named = {name: line for ax in axes[0] for line, name in zip(*ax.get_legend_handles_labels(), strict=True)}
    for columns in (3, 2, 1) if len(named) > 1 else ():
        legend = fig.legend(named.values(), named, fontsize="small", ncols=columns, loc="outside lower center")
        if columns == 1 or legend.get_window_extent().width <= fig.bbox.width:
            break
        legend.remove()
    return fig


def _panels(data: Mapping[str, Any]) -> Mapping[str, Lines]:
    kinds = {isinstance(one, Mapping) for one in data.values()}
    if len(kinds) > 1:
        raise SettingError(f"lines of {list(data)}: give lines by name, or panels of them by title")
    return data if kinds == {True} else {"": data}


def _looks(names: Mapping[str, Any]) -> dict[str, dict]:
    return {name: style_for(name) if name in NAMED else style_at(place) for place, name in enumerate(names)}


def _draw_levels(ax: Axes, level: float | Mapping[str, float] | None) -> None:
    levels = level if isinstance(level, Mapping) else {} if level is None else {"": level}
    for words, height in levels.items():
        ax.axhline(height, color=FOREGROUND, linewidth=0.8, linestyle=":", marker="", alpha=0.8)
        ax.annotate(words, (1, height), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize="small")
