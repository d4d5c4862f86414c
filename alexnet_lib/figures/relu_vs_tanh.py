"""Drawing the outputs and gradients inside a network. Used by "ReLU against tanh" (section 3.1)."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..network.nonlinearities import NONLINEARITIES
from ..network.small.four_layers import SmallNet, activations_by_layer
from ..notebook.style import style_for

MOST_NUMBERS = 50_000


def draw_inside(start: SmallNet, trained: SmallNet, images: torch.Tensor, labels: torch.Tensor) -> Figure:
    """Histograms, layer by layer, of a network's outputs (top) and of its inputs' gradients (bottom).

    images: normalised (N, 3, H, W). The start is dashed. Gradients are divided by their root mean square, since their
    size is another matter; what lies beyond an axis is in its outermost bar.
    """
    name = trained.config.nonlinearity
    looks = {"start": {"linestyle": "--", "color": "gray"}, "trained": {"color": style_for(name)["color"]}}
    depth = _inside(trained, images, labels)
    fig, axes = plt.subplots(2, len(depth), figsize=(8, 4.4), sharey=True)
    for label, net in (("start", start), ("trained", trained)):
        for (layer, outputs, gradients), top, bottom in zip(_inside(net, images, labels), *axes, strict=True):
            _histogram(top, outputs, 2.0, looks[label] | {"label": label})
            _histogram(bottom, gradients / gradients.square().mean().sqrt(), 3.0, looks[label])
            top.set(title=layer, yscale="log", ylim=(1e-3, 1.2))
    axes[0, 0].set(ylabel="share of outputs")
    axes[1, 0].set(ylabel="share of gradients")
    axes[0, 0].legend(fontsize="small", loc="lower left")
    fig.suptitle(f"{NONLINEARITIES[name].label}: outputs (top), gradients over their rms (bottom)")
    return fig


def _inside(net: SmallNet, images: torch.Tensor, labels: torch.Tensor) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    kept = activations_by_layer(net.cpu(), images)
    F.cross_entropy(kept[-1][2], labels, reduction="sum").backward()
    numbers = [(name, _some(output.detach()), _some(before.grad)) for name, before, output in kept[:-1]]
    net.zero_grad(set_to_none=True)
    return numbers


def _some(numbers: torch.Tensor) -> torch.Tensor:
    return numbers.flatten()[:: max(1, numbers.numel() // MOST_NUMBERS)]


def _histogram(ax: Axes, numbers: torch.Tensor, reach: float, style: dict) -> None:
    counts, edges = torch.histogram(numbers.clamp(-reach, reach), 41, range=(-reach, reach))
    ax.stairs(counts / len(numbers), edges, **style)
