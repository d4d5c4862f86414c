"""Drawing crops, views, errors against their number, and work in time. Used by "Crops, reflections and ten views"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw, ImageFont

from ..augment.view_sets import View
from ..measures.crops import ViewError
from ..measures.feeding import Span
from ..notebook.style import FOREGROUND, HATCHES, LOOKS, PALETTE

SHOWN = 80  # pixels that a photograph is shrunk to in a slider, whose frames all hold one


def shrunk(picture: torch.Tensor, side: int) -> np.ndarray:
    """(3, H, W), 0 to 255, as an array (side, side, 3) of bytes, each pixel the mean of those it stands for."""
    small = F.interpolate(picture[None].float(), size=(side, side), mode="area")[0]
    return small.permute(1, 2, 0).round().to(torch.uint8).numpy()


def draw_crop(picture: torch.Tensor, size: int, view: View) -> Figure:
    """A photograph (3, H, H) with the window marked, and what is cut out of it, both made smaller alike."""
    side, factor = picture.shape[-1], SHOWN / picture.shape[-1]
    cut = picture[:, view.top : view.top + size, view.left : view.left + size]
    cut = cut.flip(2) if view.mirrored else cut
    fig, (left, right) = plt.subplots(1, 2, figsize=(6, 3.1), width_ratios=[side, size])
    left.imshow(shrunk(picture, SHOWN), interpolation="none", extent=(0, side, side, 0))
    left.add_patch(Rectangle((view.left, view.top), size, size, fill=False, edgecolor=PALETTE["orange"], linewidth=3))
    right.imshow(shrunk(cut, round(size * factor)), interpolation="none", extent=(0, size, size, 0))
    left.set_title(f"row {view.top}, column {view.left}")
    right.set_title("mirrored" if view.mirrored else "as it is")
    for ax in (left, right):
        ax.axis("off")
    return fig


def draw_views(pictures: torch.Tensor, titles: Sequence[str], columns: int = 5) -> Figure:
    """Pictures (V, 3, S, S), 0 to 255, in rows, a title over each."""
    rows = -(-len(pictures) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(1.5 * columns, 1.75 * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, picture, title in zip(axes.flat, pictures, titles, strict=False):
        ax.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest")
        ax.set_title(title, fontsize="small")
    return fig


def draw_likeness(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """For each name, shifts as shares of a crop's side, and how alike crops are that lie so far apart."""
    fig, ax = plt.subplots(figsize=(6.5, 3.8))
    for (name, (shifts, alike)), (colour, dash, marker) in zip(curves.items(), LOOKS, strict=False):
        ax.plot([100 * s for s in shifts], alike, label=name, color=colour, linestyle=dash, marker=marker)
    ax.set(
        xlabel="distance of two crops, % of a crop's side", ylabel="likeness (1: equal, 0: strangers)", ylim=(0, 1.05)
    )
    ax.legend(fontsize="small")
    return fig


def draw_learning(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], test: Mapping[str, float]) -> Figure:
    """Training error against passes, a line a variant, and its test error after training as a mark at the end."""
    fig, ax = plt.subplots(figsize=(6.5, 3.8))
    for (name, (passes, errors)), (colour, dash, marker) in zip(curves.items(), LOOKS, strict=False):
        ax.plot(passes, [100 * e for e in errors], color=colour, linestyle=dash, marker="", label=f"{name}, training")
        ax.plot(
            passes[-1],
            100 * test[name],
            color=colour,
            linestyle="",
            marker=marker,
            markersize=9,
            markevery=1,
            label=f"{name}, test",
        )
    ax.set(xlabel="passes", ylabel="error, %")
    ax.legend(fontsize="small")
    return fig


def draw_errors(by_number: Sequence[ViewError], named: Mapping[str, ViewError]) -> Figure:
    """How many points the error falls below that of one view, by number of views; bars are standard errors."""
    fig, ax = plt.subplots(figsize=(6.5, 4))
    colour, dash, marker = LOOKS[0]
    counts, gains, errors = zip(*((e.views, 100 * e.gain, 100 * e.standard_error) for e in by_number), strict=True)
    ax.errorbar(
        counts, gains, errors, color=colour, linestyle=dash, marker=marker, capsize=3, markevery=1, label="drawn views"
    )
    for (name, one), (colour, _, marker) in zip(named.items(), LOOKS[1:], strict=False):
        ax.errorbar(
            one.views, 100 * one.gain, 100 * one.standard_error, color=colour, linestyle="", marker=marker, capsize=3,
            markersize=8, markevery=1, label=name,
        )  # fmt: skip
    ax.axhline(0, color=FOREGROUND, linewidth=0.8, alpha=0.5)
    ax.set(xscale="log", xlabel="views averaged", ylabel="points of error less")
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.minorticks_off()
    ax.legend(fontsize="small")
    return fig


def draw_timelines(timelines: Mapping[str, Sequence[Span]]) -> Figure:
    """For each title, when each batch was made (upper lane) and used (lower lane), in milliseconds."""
    fig, axes = plt.subplots(len(timelines), 1, figsize=(7, 1.5 * len(timelines) + 0.4), squeeze=False)
    for ax, (title, spans) in zip(axes[:, 0], timelines.items(), strict=True):
        for span in spans:
            lane, colour = (1, "orange") if span.what == "make" else (0, "blue")
            ax.barh(
                lane, 1000 * (span.stop - span.start), left=1000 * span.start, color=PALETTE[colour],
                hatch=HATCHES[span.number % 2], edgecolor=FOREGROUND, linewidth=0.6, height=0.7,
            )  # fmt: skip
        ax.set(yticks=[1, 0], yticklabels=["make", "step"], title=title)
        ax.grid(False, axis="y")
    axes[-1, 0].set_xlabel("milliseconds")
    return fig


def letter_pictures(letters: str, side: int = 32, finer: int = 8) -> torch.Tensor:
    """Each letter in black on white, its ink in the middle: uint8 (letters, 1, side, side).

    Drawn `finer` times as large first, so that the middle is met to a fraction of a pixel.
    """
    large = side * finer
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), round(0.75 * large))
    pictures = []
    for letter in letters:
        left, top, right, bottom = font.getbbox(letter)
        canvas = Image.new("L", (large, large), 255)
        place = round((large - right - left) / 2), round((large - bottom - top) / 2)
        ImageDraw.Draw(canvas).text(place, letter, font=font, fill=0)
        pictures.append(torch.from_numpy(np.array(canvas))[None])
    return F.avg_pool2d(torch.stack(pictures).float(), finer).round().to(torch.uint8)


def seen_in_mirror(letters: str, alike: float = 0.97) -> dict[str, str]:
    """Which letter of the same alphabet the mirror image of each is, where it is one: {"b": "d", "A": "A"}.

    It is one if their pictures correlate by more than `alike`.
    """
    pictures = letter_pictures(letters).float()
    ink, mirrored = (x.flatten(1) - x.flatten(1).mean(1, keepdim=True) for x in (pictures, pictures.flip(3)))
    near, which = (F.normalize(mirrored) @ F.normalize(ink).T).max(1)
    return {a: letters[b] for a, b, how in zip(letters, which.tolist(), near.tolist(), strict=True) if how > alike}
