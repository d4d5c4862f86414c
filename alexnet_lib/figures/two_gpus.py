"""Pictures of the split: what crosses between two GPUs and when, what has to fit, what a crossing costs.

Used by "Two GPUs" (section 3.2). Everything is drawn from a network's description.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from ..measures.memory import Need
from ..network.description import Description, LayerRow
from ..network.traffic import BACKWARD, FORWARD, Traffic, expected_traffic
from ..notebook.style import FOREGROUND, PALETTE

COLOURS = (PALETTE["blue"], PALETTE["orange"])
CROSSING = PALETTE["crimson"]
PLACES = (0.27, 0.73)  # of the two GPUs, from left to right
HALF, TALL = 0.2, 0.5  # a box's half width, and its height in rows
LOOKS = {
    "weights": ("blue", ""),
    "gradients": ("teal", "//"),
    "velocity": ("violet", "\\\\"),
    "kept": ("orange", "xx"),
    "other": ("moss", "||"),
}
WORDS = {"kept": "activations kept", "other": "sums of parts of gradients"}


@dataclass(frozen=True)
class Moment:
    """A moment of a training step: a layer at work, in the forward or the backward pass."""

    which: str
    layer: str

    def __str__(self) -> str:
        return f"{self.which}, {self.layer}"


def moments(described: Description) -> list[Moment]:
    """The moments of one training step in their order: the layers forward, then the layers backward."""
    names = [row.name for row in described.layers]
    return [Moment(FORWARD, name) for name in names] + [Moment(BACKWARD, name) for name in reversed(names)]


def crossed(described: Description, moment: Moment) -> tuple[dict[str, int], int]:
    """Bytes of one image that cross at this moment, by direction, and the sum of all that crossed until its end."""
    expected = expected_traffic(described, 1)
    passed = moments(described)[: moments(described).index(moment) + 1]
    until = sum(expected.bytes[key] for key in expected.bytes if Moment(key[1], key[0]) in passed)
    return _at(expected, moment), until


def describe_moment(described: Description, moment: Moment) -> str:
    """The alternative text of `draw_moment`: what the layer takes, and what crosses, in a sentence."""
    now, until = crossed(described, moment)
    if not now:
        work = f"{moment.which.capitalize()} pass, {moment.layer}: each GPU works on its own column, nothing crosses."
    else:
        thing = "activations" if moment.which == FORWARD else "gradients"
        ways = " and ".join(f"{count:,} bytes from GPU {way.replace(' to ', ' to GPU ')}" for way, count in now.items())
        work = f"{moment.which.capitalize()} pass, {moment.layer}: {thing} cross, {ways}."
    return f"{work} So far {until:,} bytes an image."


def draw_moment(described: Description, moment: Moment) -> Figure:
    """The two columns from the image down to the classes; at work: `moment.layer`, with what crosses for it."""
    layers = described.layers
    fig, ax = plt.subplots(figsize=(4.4, 6))
    names = [row.name for row in layers]
    active, (now, until) = names.index(moment.layer), crossed(described, moment)
    for place, row in enumerate(layers):
        done = place < active if moment.which == FORWARD else place > active
        weight = 2.6 if place == active else 1.5 if done else 0.7
        _draw_arrows(ax, row, place, moment, now if place == active else {}, weight)
        _draw_boxes(ax, described, row, place, weight, place == active)
    for gpu, place in enumerate(PLACES):
        ax.text(place, -1.62, f"GPU {gpu}", ha="center", va="center", weight="bold", color=COLOURS[gpu])
        ax.text(place, -1, "all images", ha="center", va="center", fontsize=10)
    total = f"crossed so far: {until:,} bytes an image"
    ax.text(0.5, len(layers) - 0.2, total, ha="center", va="center", weight="bold")
    ax.set(xlim=(0, 1), ylim=(len(layers) + 0.1, -1.9))
    ax.set_axis_off()
    return fig


def draw_needs(needs: Mapping[str, Need], limit: float) -> Figure:
    """Stacked bars, one for each device: what it holds, in GB (10^9 bytes), beside the limit of its memory in bytes."""
    fig, ax = plt.subplots(figsize=(6.4, 1.5 + 0.5 * len(needs)))
    left = dict.fromkeys(needs, 0.0)
    for part, (colour, hatch) in LOOKS.items():
        widths = {name: need.parts()[part] / 1e9 for name, need in needs.items()}
        if any(widths.values()):
            look = {"color": PALETTE[colour], "hatch": hatch, "edgecolor": FOREGROUND, "linewidth": 0.8}
            bars = (list(needs), list(widths.values()))
            ax.barh(*bars, 0.6, left=list(left.values()), label=WORDS.get(part, part), **look)
            left = {name: left[name] + widths[name] for name in needs}
    ax.axvline(limit / 1e9, color=FOREGROUND, linestyle="--")
    ax.annotate(
        f"{limit / 2**30:g} GiB",
        (limit / 1e9, 1),
        (-3, 2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right",
        va="bottom",
    )
    ax.invert_yaxis()
    ax.set(xlabel="GB held on the device", xlim=(0, 6))
    ax.grid(False, axis="y")
    fig.legend(ncols=3, loc="outside lower center", fontsize="small")
    return fig


def draw_costs(
    costs: Mapping[str, Mapping[str, float]], marks: Mapping[str, float], limits: tuple[float, float]
) -> Figure:
    """Bars on a logarithmic axis: {what is moved: {link: seconds}}, with the seconds of `marks` as dashed lines."""
    fig, ax = plt.subplots(figsize=(6.4, 3.9))
    looks = (("crimson", ""), ("moss", "//"))
    thick = 0.8 / len(costs)
    for place, ((what, by_link), (colour, hatch)) in enumerate(zip(costs.items(), looks, strict=True)):
        at = [i + (place - (len(costs) - 1) / 2) * thick for i in range(len(by_link))]
        look = {"color": PALETTE[colour], "hatch": hatch, "edgecolor": FOREGROUND, "linewidth": 0.8}
        ax.barh(at, [seconds * 1e3 for seconds in by_link.values()], thick, label=what, **look)
    for (name, seconds), dash in zip(marks.items(), ("--", ":"), strict=True):
        ax.axvline(seconds * 1e3, color=FOREGROUND, linestyle=dash, label=name)
    ax.set_yticks(range(len(by_link)), list(by_link))
    ax.invert_yaxis()
    ax.set(xscale="log", xlim=tuple(1e3 * limit for limit in limits), xlabel="milliseconds a training step")
    ax.grid(False, axis="y")
    fig.legend(ncols=1, loc="outside lower center", fontsize="small")
    return fig


def _at(expected: Traffic, moment: Moment) -> dict[str, int]:
    return {key[2]: count for key, count in expected.bytes.items() if key[:2] == (moment.layer, moment.which)}


def _draw_boxes(ax: Axes, described: Description, row: LayerRow, place: int, weight: float, active: bool) -> None:
    for gpu, x in enumerate(PLACES):
        if str(gpu) not in described.gpus(row):
            continue
        corner, colour = (x - HALF, place - TALL / 2), COLOURS[gpu]
        if active:
            ax.add_patch(Rectangle(corner, 2 * HALF, TALL, facecolor=colour, alpha=0.3, edgecolor="none"))
        ax.add_patch(Rectangle(corner, 2 * HALF, TALL, fill=False, edgecolor=colour, lw=weight))
        ax.text(x, place, _label(described, row), ha="center", va="center", fontsize=10)


def _label(described: Description, row: LayerRow) -> str:
    share = 1 if row.name == "fc8" else 2
    units = row.shape[0] // share
    return f"{row.name}: {units} x {row.shape[1]} x {row.shape[2]}" if len(row.shape) == 3 else f"{row.name}: {units:,}"


def _draw_arrows(ax: Axes, row: LayerRow, place: int, moment: Moment, now: Mapping[str, int], weight: float) -> None:
    """From the boxes above into this row's; where both columns meet, across as well, with the bytes beside."""
    backward = moment.which == BACKWARD
    if backward and place == 0:
        return  # nobody asks for the images' gradient
    for sender in (0, 1):
        for receiver in (0,) if row.name == "fc8" else (0, 1):
            across = sender != receiver
            if across and not row.exchanges:
                continue
            ends = (PLACES[sender], place - 1 + TALL / 2), (PLACES[receiver], place - TALL / 2)
            look = {"color": CROSSING, "linestyle": "--"} if across else {"color": FOREGROUND}
            arrow = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0, "lw": weight}
            ax.add_patch(FancyArrowPatch(*(reversed(ends) if backward else ends), **arrow, **look))
    for way, count in now.items():  # beside the GPU that receives
        x, side = (0.02, "left") if way.endswith("0") else (0.98, "right")
        text = {"ha": side, "va": "center", "color": CROSSING, "fontsize": 10, "weight": "bold"}
        ax.text(x, place - 0.5, f"+{count / 1e3:,.1f} kB", **text)
