"""Figures of the chapter on crops and views: what is drawn is what was given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch

from alexnet_lib.augment.view_sets import View
from alexnet_lib.figures import crops_and_views
from alexnet_lib.measures.feeding import Span


def test_letters_in_a_mirror() -> None:
    lower = crops_and_views.seen_in_mirror("abcdefghijklmnopqrstuvwxyz")
    assert {a: b for a, b in lower.items() if a != b} == {"b": "d", "d": "b", "p": "q", "q": "p"}
    assert set("oivwx") <= set(lower) and not set("aefgjkrsyz") & set(lower)
    pictures = crops_and_views.letter_pictures("AI")
    assert pictures.shape == (2, 1, 32, 32) and pictures.dtype == torch.uint8
    assert (pictures.float() - pictures.flip(3).float()).abs().max() < 40, "both are symmetric, and in the middle"


def test_figures_show_what_they_are_given(book_style) -> None:  # noqa: ANN001
    picture = torch.arange(3 * 64 * 64).view(3, 64, 64) % 256
    left, right = crops_and_views.draw_crop(picture, 56, View(2, 8, mirrored=True)).axes
    (box,) = left.patches
    assert (box.get_xy(), box.get_width()) == ((8, 2), 56) and right.get_title() == "mirrored"
    cut = picture[:, 2:58, 8:64].flip(2)
    assert (right.images[0].get_array() == crops_and_views.shrunk(cut, 70)).all()
    spans = [Span("make", 0, 0.0, 0.002), Span("step", 0, 0.002, 0.007)]
    (ax,) = crops_and_views.draw_timelines({"t": spans}).axes
    assert [round(bar.get_width(), 6) for bar in ax.patches] == [2, 5]
    plt.close("all")
