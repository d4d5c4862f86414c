"""Drawing photographs, what preparation cuts away, pairs of pixels, and places. Used by "The data"; rows of pictures by
other chapters too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..measures.images import correlation_by_distance
from ..notebook.style import LOOKS

PAIRS = 100
_ON_BRIGHT = "#111111"  # pure black would take the page's colour, white on a dark page


def draw_pictures(
    pictures: Sequence[torch.Tensor],
    titles: Sequence[str] = (),
    *,
    columns: int = 8,
    width: float = 1.1,
    names: Sequence[str] = (),
) -> Figure:
    """Pictures (3, H, W) or grey (1, H, W), on 0-255, in rows of `columns`: titles over them, names beside the rows.

    What is below 0 or above 255 is cut off.
    """
    rows, titled = (-(-len(some) // columns) for some in (pictures, titles))
    high = 0.17 * titled * (1 + max((title.count("\n") for title in titles), default=0))
    size = (width * columns + 0.4 * bool(names), (width + 0.1) * rows + high + 0.1)
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    for ax, picture in zip(axes.flat, pictures, strict=False):
        ax.imshow(as_bytes(picture), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        ax.spines[:].set(visible=True, linewidth=0.5)  # a frame: a picture may be all white
    for ax, title in zip(axes.flat, titles, strict=False):
        ax.set_title(title, fontsize=9, parse_math=False)
    for ax, name in zip(axes[:, 0], names, strict=False):
        ax.set_ylabel(name.replace(", ", ",\n"), fontsize=9, parse_math=False)
    return fig


def draw_kept(photographs: Mapping[str, torch.Tensor], kept: int, crop: int) -> Figure:
    """Whole photographs, uint8 (3, H, W), their shorter side already `kept`; what is cut away is darkened.

    A dashed square marks the central crop that a network looks at.
    """
    ratios = [photo.shape[2] / photo.shape[1] for photo in photographs.values()]
    fig, axes = plt.subplots(1, len(ratios), figsize=(1.45 * sum(ratios), 1.8), width_ratios=ratios, squeeze=False)
    for ax, (name, photo) in zip(axes[0], photographs.items(), strict=True):
        height, width = photo.shape[1:]
        top, left = (height - kept) // 2, (width - kept) // 2
        dark = (photo * 0.35).to(torch.uint8)
        dark[:, top : top + kept, left : left + kept] = photo[:, top : top + kept, left : left + kept]
        ax.imshow(as_bytes(dark), interpolation="antialiased")
        inset = (kept - crop) // 2
        ax.add_patch(Rectangle((left + inset, top + inset), crop, crop, fill=False, edgecolor="white", linestyle="--"))
        ax.set_title(name, fontsize=9)
        ax.axis("off")
    return fig


def draw_pairs(images: torch.Tensor, moved: torch.Tensor, distance: int) -> Figure:
    """Pairs of pixels `distance` apart in a row: in `images` (left) and in `moved`, their control; green channel.

    The titles give the correlation over all pairs of the channel; PAIRS of them are drawn.
    """
    fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.4), sharey=True)
    for ax, some, name, look in zip(axes, (images, moved), ("photographs", "permuted"), LOOKS, strict=False):
        green = some[:, 1:2]
        (r,) = correlation_by_distance(green, [distance])
        generator = torch.Generator().manual_seed(0)
        n, row = (
            torch.randint(len(green), (PAIRS,), generator=generator),
            torch.randint(green.shape[2], (PAIRS,), generator=generator),
        )
        column = torch.randint(green.shape[3] - distance, (PAIRS,), generator=generator)
        one, other = green[n, 0, row, column], green[n, 0, row, column + distance]
        ax.plot(one.numpy(), other.numpy(), linestyle="", marker=look[2], markersize=3, alpha=0.6, color=look[0])
        ax.set(xlabel="a pixel, 0-255", xlim=(-5, 260), ylim=(-5, 260), title=f"{name}: correlation {float(r):.2f}")
    axes[0].set_ylabel(f"the pixel {distance} to the right")
    return fig


def draw_places(maps: Mapping[str, torch.Tensor], unit: str, numbers: str = "{:.0f}") -> Figure:
    """Maps (rows, columns) of one number a place, two side by side, with their numbers written in; all on one scale."""
    low = min(float(some.min()) for some in maps.values())
    high = max(float(some.max()) for some in maps.values())
    rows, columns = _grid(len(maps))
    fig, axes = plt.subplots(rows, columns, figsize=(3.1 * columns + 0.6, 3.3 * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, some) in zip(axes.flat, maps.items(), strict=False):
        drawn = ax.imshow(some.numpy(), cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        for (row, column), value in np.ndenumerate(some.numpy()):
            bright = (value - low) / max(high - low, 1e-9) > 0.6
            ax.text(
                column,
                row,
                numbers.format(value),
                ha="center",
                va="center",
                fontsize=7,
                color=_ON_BRIGHT if bright else "white",
            )
        ax.set_title(name, fontsize=10)
    fig.colorbar(drawn, ax=axes.ravel().tolist(), label=unit, shrink=0.8)
    return fig


def draw_contrast(pictures: Mapping[str, torch.Tensor]) -> Figure:
    """Pictures of any numbers, (3, H, W) or (1, H, W), two in a row: uint8 as they are, others by brightness.

    Others are drawn from -3 to 3 of their own deviations, 0 as middle grey, so that frames of a slider compare.
    """
    rows, columns = _grid(len(pictures))
    fig, axes = plt.subplots(rows, columns, figsize=(2.2 * columns, 2.5 * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        if picture.dtype != torch.uint8:
            grey = picture.float().mean(0, keepdim=True)
            spread = float(grey.std().clamp(min=1e-6))
            picture = ((grey / (3 * spread) + 1) * 127.5).clamp(0, 255).to(torch.uint8)
        ax.imshow(as_bytes(picture), cmap="gray", vmin=0, vmax=255, interpolation="none")
        ax.set_title(name, fontsize=10)
    return fig


def _grid(count: int) -> tuple[int, int]:
    """Rows and columns for so many pictures: two side by side, which a page can show without scrolling."""
    return -(-count // 2), min(count, 2)


def as_bytes(picture: torch.Tensor) -> np.ndarray:
    """A picture on 0-255, cut off there, as matplotlib and Pillow take it: uint8 (H, W, 3), or grey (H, W)."""
    array = picture.float().clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[2] == 1 else array
