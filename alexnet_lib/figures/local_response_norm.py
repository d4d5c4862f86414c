"""Drawing what response normalisation does to one unit. Used by "Local response normalisation" (section 3.3)."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from ..notebook.style import LOOKS, MARK_EVERY

REACH = 400


def response(
    own: torch.Tensor, neighbours: torch.Tensor, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> torch.Tensor:
    """The normalised response of a unit of activity `own` whose n - 1 neighbours all have the activity `neighbours`."""
    return own / (k + alpha * (own**2 + (n - 1) * neighbours**2)) ** beta


def draw_response(**constants: float) -> Figure:
    """A unit's response as its own activity grows (left), and as that of its neighbours does (right)."""
    activity = torch.linspace(0, REACH, 81)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), sharey=True)
    for look, fixed in zip(LOOKS, (0.0, 50.0, 200.0), strict=False):
        left.plot(activity, response(activity, torch.tensor(fixed), **constants), label=f"{fixed:g}", **_line(look))
    for look, fixed in zip(LOOKS[3:], (25.0, 100.0, 300.0), strict=True):
        right.plot(activity, response(torch.tensor(fixed), activity, **constants), label=f"{fixed:g}", **_line(look))
    left.set(xlabel="the unit's own activity", ylabel="its response", ylim=(0, 150))
    right.set(xlabel="each neighbour's activity")
    left.legend(title="neighbours", fontsize="small", loc="upper left")
    right.legend(title="the unit", fontsize="small", loc="upper right")
    return fig


def _line(look: tuple) -> dict:
    color, dash, marker = look
    return {"color": color, "linestyle": dash, "marker": marker, "markevery": MARK_EVERY}
