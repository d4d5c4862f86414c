"""Paths through a valley are drawn where they go."""

from __future__ import annotations

import pytest
import torch

from alexnet_lib.figures.learning import LEVELS, draw_paths
from alexnet_lib.measures.valley import Valley, path


def test_a_path_is_drawn_point_by_point_over_lines_of_equal_loss(book_style) -> None:  # noqa: ANN001
    valley = Valley((1.0, 4.0), (0.5, -0.5))
    places = path(valley, (2.0, 1.0), 0.1, steps=5)
    (ax,) = draw_paths(valley, {"one": places}, title="t").axes
    drawn = torch.tensor(ax.lines[-1].get_xydata())
    assert drawn.tolist() == [pytest.approx(place, abs=6e-4) for place in places.tolist()]
    for ellipse, level in zip(ax.patches, LEVELS, strict=True):
        edge = torch.tensor([0.5 + ellipse.get_width() / 2, -0.5], dtype=torch.float64)
        top = torch.tensor([0.5, -0.5 + ellipse.get_height() / 2], dtype=torch.float64)
        assert float(valley.loss(edge)) == pytest.approx(level) == float(valley.loss(top))
    assert ax.get_xlabel() == "first weight (flat)" and ax.get_legend() is None
    assert draw_paths(valley, {"one": places, "two": places}).axes[0].get_legend()
