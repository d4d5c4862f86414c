"""Drawing crops, work in time, and letters in a mirror. Used by "Crops, reflections and ten views"."""

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
from ..measures.feeding import Span
from ..notebook.style import FOREGROUND, HATCHES, PALETTE

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


def draw_timelines(timelines: Mapping[str, Sequence[Span]]) -> Figure:
    """For each title, when each batch was made (upper lane) and used (lower lane), in milliseconds."""
    fig, axes = plt.subplots(len(timelines), 1, figsize=(7, 1.5 * len(timelines) + 0.4), squeeze=False)
    for ax, (title, spans) in zip(axes[:, 0], timelines.items(), strict=True):
        for span in spans:
            lane, colour = (1, "orange") if span.what == "make" else (0, "blue")
            ax.barh(
                lane,
                1000 * (span.stop - span.start),
                left=1000 * span.start,
                color=PALETTE[colour],
                hatch=HATCHES[span.number % 2],
                edgecolor=FOREGROUND,
                linewidth=0.6,
                height=0.7,
            )
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
