"""Drawing windows, routes, shifts and rebuilt images. Used by "Overlapping pooling" (section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..network.geometry import Window
from ..network.pooling import Pooling, average_pool, max_pool, onto_pixels, routes, soft_pool
from ..notebook.style import FOREGROUND, PALETTE, bar_style_for


def name_of(window: Window) -> str:
    """ "3/2": size and stride, as the chapter writes them."""
    return f"{window.size}/{window.stride}"


def draw_row(windows: Sequence[Window], pixels: int) -> Figure:
    """A row of pixels under each window in all its places, and in each pixel how many windows see it."""
    fig, axes = plt.subplots(1, len(windows), figsize=(8, 2.6))
    for ax, window in zip(axes, windows, strict=True):
        for pixel, seen in enumerate(window.times_seen(pixels)):
            _cell(ax, pixel, 0, str(seen), 0.22 * seen)
        for place, (start, stop) in enumerate(window.spans(pixels)):
            height = -0.45 - 0.5 * (place % 2)
            ax.plot(
                [start + 0.06, stop - 0.06],
                [height] * 2,
                color=PALETTE["orange"],
                linewidth=5,
                linestyle="-",
                marker="",
            )
            ax.text((start + stop) / 2, height - 0.12, f"{place + 1}", ha="center", va="top")
        _bare(ax, (-0.1, pixels + 0.1), (-1.7, 1.2))
        ax.set_title(f"{name_of(window)}: {window.outputs(pixels)} outputs")
    return fig


def draw_routes(x: torch.Tensor, windows: Sequence[Window]) -> Figure:
    """A map (H, W) of numbers, what max pooling makes of it, and how often each pixel is passed on, a row a window."""
    fig, axes = plt.subplots(len(windows), 3, figsize=(8, 2.7 * len(windows)), width_ratios=[5, 3, 5])
    for line, window in zip(axes, windows, strict=True):
        pooled, counts = max_pool(x[None, None], window)[0, 0], routes(x[None, None], window)[0, 0]
        seen = torch.tensor(window.times_seen(len(x)))
        _grid(line[0], x, 0.11 * seen[:, None] * seen, f"{name_of(window)}: the map")
        _grid(line[1], pooled, torch.zeros_like(pooled), "largest")
        _grid(line[2], counts, 0.15 * counts, "routes")
    return fig


def _grid(ax: Axes, numbers: torch.Tensor, shades: torch.Tensor, title: str) -> None:
    rows, columns = numbers.shape
    for row in range(rows):
        for column in range(columns):
            _cell(ax, column, -row, f"{numbers[row, column]:g}", float(shades[row, column]))
    _bare(ax, (-0.1, columns + 0.1), (-rows + 0.9, 1.1))
    ax.set_title(title)


def _cell(ax: Axes, left: float, bottom: float, text: str, shade: float) -> None:
    box = Rectangle((left, bottom), 1, 1, facecolor=PALETTE["blue"], alpha=min(shade, 0.85), linewidth=0)
    edge = Rectangle((left, bottom), 1, 1, facecolor="none", edgecolor=FOREGROUND, linewidth=0.8)
    ax.add_patch(box)
    ax.add_patch(edge)
    ax.text(left + 0.5, bottom + 0.5, text, ha="center", va="center")


def _bare(ax: Axes, across: tuple[float, float], down: tuple[float, float]) -> None:
    ax.set(xlim=across, ylim=down, aspect="equal")
    ax.axis("off")


def draw_window_on(grey: torch.Tensor, window: Window) -> Figure:
    """A picture (H, W), 0 to 255, and what max and average pooling make of it; a box shows the first two windows."""
    fig, axes = plt.subplots(1, 3, figsize=(8, 3.1))
    maps = grey[None, None].float()
    shown = {"max": max_pool(maps, window)[0, 0], "average": average_pool(maps, window)[0, 0]}
    for ax, (title, picture) in zip(axes, {"the image": grey, **shown}.items(), strict=True):
        side = len(picture)
        ax.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=255, interpolation="none", extent=(0, side, side, 0))
        ax.set(title=title, xlabel=f"{side} x {side} numbers", xticks=[], yticks=[])
        ax.grid(False)
    for place, colour in ((0, "orange"), (1, "crimson")):
        left = (len(grey) // 2 // window.stride + place) * window.stride
        corner, side = (left, len(grey) // 2), window.size
        axes[0].add_patch(Rectangle(corner, side, side, fill=False, edgecolor=PALETTE[colour], linewidth=2))
    return fig


def draw_shifted(row: torch.Tensor, move: int, pools: Mapping[str, Pooling], length: int = 31) -> Figure:
    """A strip of a map (3, W), moved `move` pixels to the left, and what each pooling makes of it, as bars.

    Windows of 3 see all three rows, others from the middle one on. A thin line repeats the values before the move.
    """
    fig, axes = plt.subplots(1 + len(pools), 1, figsize=(7, 1.2 + 1.25 * len(pools)), sharex=True)
    strips = {at: row[None, None, :, at : at + length] for at in (0, move)}
    top = float(row.max()) * 1.05
    _bars(axes[0], strips[move][0, 0, 1], strips[0][0, 0, 1], 1, "the map", top)
    for ax, (name, pool) in zip(axes[1:], pools.items(), strict=True):
        top_row = 0 if name.endswith("3/2") else 1
        now, before = (pool(strip[:, :, top_row:])[0, 0, 0] for strip in (strips[move], strips[0]))
        _bars(ax, now, before, 2, name, top)
    axes[-1].set(xlabel="unit of the map, before pooling")
    fig.supylabel("response, in deviations of all maps", fontsize="medium")
    return fig


def _bars(ax: Axes, now: torch.Tensor, before: torch.Tensor, width: int, title: str, top: float) -> None:
    places = [place * width + width / 2 for place in range(len(now))]
    ax.bar(places, now.tolist(), width=0.8 * width, color=PALETTE["blue"], alpha=0.75)
    edges = [edge * width for edge in range(len(before) + 1)]
    ax.stairs(before.tolist(), edges, color=FOREGROUND, linewidth=1)
    ax.set(ylim=(0, top), ylabel="")
    ax.set_title(title, loc="left", pad=2, fontsize="small")


def draw_soft(values: torch.Tensor, sharpness: float) -> Figure:
    """The numbers of one window, the share of the gradient that each gets, and where the pooled value lies."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
    side = round(len(values) ** 0.5)
    window, seen = Window(side, side), values.reshape(1, 1, side, side).clone().requires_grad_()
    pooled = soft_pool(seen, window, sharpness).sum()
    (shares,) = torch.autograd.grad(pooled, seen)
    places = range(1, len(values) + 1)
    left.bar(places, values.tolist(), **bar_style_for("relu"))
    for height, words, dash in ((values.mean(), "average", ":"), (values.max(), "maximum", "--")):
        left.axhline(float(height), color="gray", linestyle=dash)
        left.annotate(words, (1, float(height)), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    left.axhline(float(pooled.detach()), color=PALETTE["orange"], linewidth=2.5)
    left.set(title=f"pooled: {float(pooled.detach()):.2f}", ylabel="pixel", xlabel="pixel of the window")
    left.set(ylim=(0, float(values.max()) * 1.2), xlim=(0.3, len(values) + 3.7))
    right.bar(places, shares.flatten().tolist(), **bar_style_for("tanh"))
    right.set(title="shares of the gradient", xlabel="pixel of the window", ylim=(0, 1.05))
    return fig


def draw_rebuilt(pictures: torch.Tensor, pools: Mapping[str, Pooling]) -> Figure:
    """Each picture (3, S, S), 0 to 255, pooled and spread out again; over it the rms error in grey levels."""
    fig, axes = plt.subplots(
        len(pictures), 1 + len(pools), figsize=(1.35 * (1 + len(pools)), 1.6 * len(pictures)), squeeze=False
    )
    for line, picture in zip(axes, pictures, strict=True):
        for ax, (name, pool) in zip(line, {"the image": None, **pools}.items(), strict=True):
            shown, words = picture.float(), name
            if pool is not None:
                shown = spread_out(pool(picture[None].float()), name)[0]
                words = f"{name}\n{rms_error(picture, shown):.0f}"
            ax.imshow((shown.permute(1, 2, 0).clamp(0, 255) / 255).numpy(), interpolation="nearest")
            ax.set_title(words, fontsize="small")
            ax.axis("off")
    return fig


def spread_out(pooled: torch.Tensor, name: str) -> torch.Tensor:
    """Give each output back to all pixels of its window, and average where windows overlap: (N, C, H, W), larger.

    The window is 3 x 3 for the poolings called "... 3/2", else 2 x 2; the stride is 2.
    """
    window = Window(3 if name.endswith("3/2") else 2, 2)
    shape = torch.Size([*pooled.shape[:2], *(2 * side + window.size - 2 for side in pooled.shape[2:])])
    parts = pooled[..., None].expand(*pooled.shape, window.size**2)
    return onto_pixels(parts, shape, window) / onto_pixels(torch.ones_like(parts), shape, window)


def rms_error(picture: torch.Tensor, rebuilt: torch.Tensor) -> float:
    """The rms error, in grey levels, where both have pixels: pictures (C, H, W)."""
    height, width = (min(a, b) for a, b in zip(picture.shape[1:], rebuilt.shape[1:], strict=True))
    apart = picture[:, :height, :width].float() - rebuilt[:, :height, :width]
    return float(apart.square().mean().sqrt())
