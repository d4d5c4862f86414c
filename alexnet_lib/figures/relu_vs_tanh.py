"""Drawing what a race and a look inside its networks gave. Used by "ReLU against tanh" (section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..measures.signals import LayerProfile
from ..network.nonlinearities import NONLINEARITIES
from ..network.small.four_layers import SmallNet, activations_by_layer
from ..notebook.style import style_for

Curve = tuple[Sequence[float], Sequence[float]]
MOST_NUMBERS = 50_000


def draw_functions(names: Sequence[str], reach: float = 4.0) -> Figure:
    """Each nonlinearity beside its slope, for inputs from -reach to reach."""
    z = torch.linspace(-reach, reach, 161)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
    for name in names:
        unit = NONLINEARITIES[name]
        left.plot(z, unit.function(z), label=unit.label, **style_for(name))
        right.plot(z, unit.derivative(z), **style_for(name))
    left.set(title="output f(z)", xlabel="input z", ylim=(-1.5, 3))
    right.set(title="slope f'(z)", xlabel="input z")
    fig.legend(ncols=3, loc="outside lower center")
    return fig


def draw_curves(curves: Mapping[str, Sequence[Curve]], images: int, target: float | None = None) -> Figure:
    """Training error against passes, a line a run: {nonlinearity: [(passes, errors) of each seed]}."""
    fig, ax = plt.subplots(figsize=(6.5, 4))
    for name, runs in curves.items():
        for seed, (passes, errors) in enumerate(runs):
            label = None if seed else NONLINEARITIES[name].label
            ax.plot(passes, errors, label=label, **style_for(name))
    if target is not None:
        ax.axhline(target, linestyle=":", color="gray")
        ax.annotate(f"{target:.0%}", (1, target), xycoords=("axes fraction", "data"), va="bottom", ha="right")
    ax.set(xlabel=f"passes through {images:,} images", ylabel="training error of the last pass", ylim=(0, 0.9))
    if ax.get_legend_handles_labels()[0]:
        ax.legend()
    return fig


def draw_by_depth(
    panels: Mapping[str, Mapping[str, Sequence[LayerProfile]]], what: Sequence[str], limits: Sequence[tuple | None]
) -> Figure:
    """Panels side by side, {title: {nonlinearity: profile}}: the field `what` of each layer, on a logarithmic scale."""
    fig, axes = plt.subplots(1, len(panels), figsize=(8, 4))
    for ax, (title, profiles), field, limit in zip(axes, panels.items(), what, limits, strict=True):
        for name, layers in profiles.items():
            style = style_for(name) | {"markevery": 1}
            heights = [getattr(layer, field) for layer in layers]
            ax.semilogy([layer.name for layer in layers], heights, label=NONLINEARITIES[name].label, **style)
        ax.set(title=title, ylim=limit)
    fig.legend(*axes[0].get_legend_handles_labels(), ncols=4, loc="outside lower center")
    return fig


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
