"""The figures of "Full training": training images as stored and as the network sees them; layers under the roofline."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from ..bench.roofline import Peak, Work, allowed
from ..notebook.style import FOREGROUND, HATCHES, PALETTE

SHOWN = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8", "update")


def draw_seen(stored: torch.Tensor, seen: torch.Tensor, words: Sequence[str]) -> Figure:
    """Above, images uint8 (n, 3, H, W) as stored; below, what training made of them, float (n, 3, h, w) on the scale of
    0-255 without the mean, drawn with grey for 0; `words`: a title a column."""
    count = len(stored)
    fig, axes = plt.subplots(2, count, figsize=(1.3 * count, 2.9), squeeze=False)
    grey = (seen.float() + 128).clamp(0, 255).to(torch.uint8)
    for row, images in zip(axes, (stored, grey), strict=True):
        for ax, image in zip(row, images, strict=True):
            ax.imshow(image.permute(1, 2, 0).cpu().numpy())
            ax.set_axis_off()
    for ax, title in zip(axes[0], words, strict=True):
        ax.set_title(title, fontsize="small", parse_math=False)
    return fig


def grouped(parts: Sequence[Work]) -> list[Work]:
    """The layers with weights and the update by name; all other parts of a step as one, called "the rest"."""
    named = [part for part in parts if part.name in SHOWN]
    others = [part for part in parts if part.name not in SHOWN]
    return [*named, Work("the rest", sum(one.operations for one in others), sum(one.bytes for one in others))]


def draw_layers(parts: Sequence[Work], batch: int, peak: Peak) -> Figure:
    """What each part of a training step costs an image, in microseconds, at the peaks: for its arithmetic and for its
    bytes. The longer of the two bars is the least it takes."""
    shown = grouped(parts)
    fig, ax = plt.subplots(figsize=(5.2, 3.9))
    kinds = (
        ("arithmetic", "blue", [one.operations / peak.operations for one in shown]),
        ("memory", "orange", [one.bytes / peak.bytes for one in shown]),
    )
    for place, (name, colour, seconds) in enumerate(kinds):
        rows, widths = [row + 0.4 * place for row in range(len(shown))], [1e6 * one / batch for one in seconds]
        ax.barh(
            rows,
            widths,
            height=0.38,
            label=name,
            color=PALETTE[colour],
            hatch=HATCHES[place],
            edgecolor=FOREGROUND,
            linewidth=0.6,
        )
    ax.set_yticks([row + 0.2 for row in range(len(shown))], [one.name for one in shown])
    ax.invert_yaxis()
    ax.set(xlabel="microseconds an image", title=f"batch {batch}: at most {allowed(parts, batch, peak):,.3g} images/s")
    fig.legend(*ax.get_legend_handles_labels(), fontsize="small", ncols=2, loc="outside lower center")
    return fig
