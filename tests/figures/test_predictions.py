"""Figures of "Predictions": the marks are those of the numbers, and a patch is what was cut out."""

from __future__ import annotations

import numpy as np
import torch

from alexnet_lib.figures.predictions import draw_confusions, draw_patches, draw_reliability
from alexnet_lib.measures.evidence import Patch
from alexnet_lib.measures.predictions import calibration


def test_a_line_has_a_mark_for_each_bin_that_holds_images() -> None:
    rows = np.array([[0.95, 0.05], [0.9, 0.1], [0.55, 0.45], [0.45, 0.55]])
    found = calibration(rows, np.array([0, 1, 0, 0]))
    fig = draw_reliability({"one": found, "other": found})
    top, below = fig.axes
    diagonal, one, other = top.lines
    assert diagonal.get_marker() in ("", "None", None) and diagonal.get_xdata().tolist() == [0, 1]
    assert one.get_xdata().tolist() == [0.55, 0.925] and one.get_ydata().tolist() == [0.5, 0.5]
    assert (one.get_linestyle(), one.get_marker()) != (other.get_linestyle(), other.get_marker())
    assert one.get_markevery() == other.get_markevery() == 1, "a mark a bin"
    assert sorted(bar.get_height() for bar in below.patches if bar.get_height()) == [2, 2, 2, 2]
    assert f"error {found.error:.3f}" in one.get_label()


def test_confusions_are_shares_of_their_row() -> None:
    fig = draw_confusions(np.array([[0, 3, 1], [2, 0, 2], [0, 5, 0]]), ["a", "b", "c"])
    ax = fig.axes[0]
    assert [text.get_text() for text in ax.texts] == ["75", "25", "50", "50", "0", "100"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    assert np.allclose(ax.images[0].get_array().sum(axis=1), 100)


def test_patches_are_cut_where_the_kernel_answered() -> None:
    images = torch.randint(256, (2, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    first, second = [Patch(1, 2.0, 3, 9, 5, 11), Patch(0, 1.0, 0, 4, 16, 20)], [Patch(0, 1.0, 0, 6, 0, 6)]
    fig = draw_patches(images, {4: first, 7: second})
    drawn = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert len(fig.axes) == 4 and len(drawn) == 3
    assert np.array_equal(drawn[0], images[1, :, 3:9, 5:11].permute(1, 2, 0))
    assert np.array_equal(drawn[1], images[0, :, 0:4, 16:20].permute(1, 2, 0))
    assert [ax.get_ylabel() for ax in fig.axes] == ["kernel 4", "", "kernel 7", ""]
