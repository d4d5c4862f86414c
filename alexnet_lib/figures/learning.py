"""Drawing paths through a valley of two weights. Used by "Details of learning" (section 5)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from ..measures.valley import Valley
from ..notebook.style import FOREGROUND, style_at

LEVELS = (0.1, 0.5, 2.0, 6.0, 15.0)


def draw_paths(
    valley: Valley, paths: Mapping[str, torch.Tensor], *, reach: tuple[float, float] = (3.4, 1.6), title: str = ""
) -> Figure:
    """Paths (steps, 2) from above: lines of equal loss, a cross at the bottom, a point a step; axes in weights."""
    fig, ax = plt.subplots()
    for level in LEVELS:
        width, height = (2 * (2 * level / curvature) ** 0.5 for curvature in valley.curvatures)
        ax.add_patch(Ellipse(valley.bottom, width, height, fill=False, edgecolor=FOREGROUND, alpha=0.35, linewidth=0.8))
    ax.plot(*valley.bottom, "x", color=FOREGROUND, markersize=8)
    for number, (name, places) in enumerate(paths.items()):
        style = style_at(number, every=1) | {"markersize": 3, "linewidth": 1.2}
        ax.plot(*places.T.round(decimals=3).tolist(), label=name, **style)
    ax.set(xlim=(-reach[0], reach[0]), ylim=(-reach[1], reach[1]), xlabel="first weight (flat)")
    ax.set(ylabel="second weight (steep)", title=title)
    if len(paths) > 1:
        ax.legend(fontsize="small", loc="lower right")
    return fig
