"""The one plot style of the book: readable on white and on near-black, in colour and without it.

A figure is drawn with a foreground that is not yet a colour: everything in FOREGROUND (text, axes, grid) takes the
page's own text colour when the figure is shown (alexnet_lib.figures). The palette lies between the two backgrounds,
and every line also has a dash and a marker of its own.
"""

from __future__ import annotations

import zlib

import matplotlib as mpl
from cycler import cycler

FOREGROUND = "#010203"
PALETTE = {
    "blue": "#0077bb",
    "orange": "#dd6611",
    "teal": "#0099aa",
    "crimson": "#cc0066",
    "violet": "#6a4cff",
    "moss": "#77884d",
}
DASHES = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 2)), (0, (6, 2, 1.5, 2, 1.5, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "//", "||", "xx", "\\\\", "++")  # lines only: a hatch of dots is 47 KB of SVG
MARK_EVERY = 0.12
LOOKS = tuple(zip(PALETTE.values(), DASHES, MARKERS, strict=True))  # colour, dash and marker of a figure's n-th line

# A nonlinearity keeps its colour, dash, marker and hatch in every figure; batch norm shares the hue of what follows it.
NAMED = {
    "relu": ("blue", DASHES[0], "o", ""),
    "tanh": ("orange", DASHES[1], "s", "//"),
    "sigmoid": ("crimson", DASHES[2], "^", "||"),
    "abs_tanh": ("moss", DASHES[3], "D", "xx"),
    "leaky_relu": ("teal", DASHES[4], "v", "\\\\"),
    "elu": ("violet", DASHES[5], "P", "++"),
    "relu_bn": ("blue", (0, (1.5, 1.5)), "X", "--"),
    "tanh_bn": ("orange", (0, (1.5, 1.5)), "*", "/"),
}


def cycle():
    """The property cycle of unnamed lines: colour, dash and marker change together."""
    return (
        cycler(color=list(PALETTE.values()))
        + cycler(linestyle=list(DASHES))
        + cycler(marker=list(MARKERS))
        + cycler(markevery=[MARK_EVERY] * len(PALETTE))
    )


def use_style() -> None:
    """Make the book's style matplotlib's default for every figure drawn from now on (`nb.setup` calls it)."""
    mpl.rcParams.update(settings())


def settings() -> dict:
    """The style as matplotlib settings; 11-point text on 5.2 inches stays legible when a phone shrinks it to 3.3."""
    ink = dict.fromkeys(
        (
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "axes.titlecolor",
            "xtick.color",
            "ytick.color",
            "grid.color",
            "patch.edgecolor",
            "hatch.color",
            "boxplot.boxprops.color",
            "boxplot.whiskerprops.color",
            "boxplot.capprops.color",
            "boxplot.flierprops.color",
        ),
        FOREGROUND,
    )
    return ink | {
        "axes.prop_cycle": cycle(),
        "figure.figsize": (5.2, 3.3),
        "figure.facecolor": "none",
        "figure.constrained_layout.use": True,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "grid.alpha": 0.16,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "font.size": 11,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "image.cmap": "viridis",
        "savefig.facecolor": "none",
        "svg.fonttype": "path",
        "svg.hashsalt": "alexnet",
    }


def style_for(name: str) -> dict:
    """Keywords for `ax.plot` that are the same for `name` in every figure: color, linestyle, marker, markevery.

    The names of `four_layers.NONLINEARITIES` have styles of their own; any other name always gets the same one of
    the cycle. >>> ax.plot(x, y, label="ReLU", **style_for("relu"))
    """
    color, dash, marker, _ = _look(name)
    return {"color": color, "linestyle": dash, "marker": marker, "markevery": MARK_EVERY}


def style_at(place: int, every: float | int = MARK_EVERY) -> dict:
    """As `style_for`, of a figure's n-th line (from 0): neighbours never look alike, whatever their names."""
    color, dash, marker = LOOKS[place % len(LOOKS)]
    return {"color": color, "linestyle": dash, "marker": marker, "markevery": every}


def bar_style_for(name: str) -> dict:
    """Keywords for `ax.bar` in the colour of `style_for(name)`, with a hatch so that bars read without colour."""
    color, _, _, hatch = _look(name)
    return {"color": color, "hatch": hatch, "edgecolor": FOREGROUND, "linewidth": 0.8}


def _look(name: str) -> tuple:
    if name in NAMED:
        color, *rest = NAMED[name]
        return (PALETTE[color], *rest)
    i = zlib.crc32(name.encode()) % len(PALETTE)
    return list(PALETTE.values())[i], DASHES[i], MARKERS[i], HATCHES[i]
