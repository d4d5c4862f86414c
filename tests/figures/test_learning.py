"""The figures of "Details of learning" show the numbers they are given."""

from __future__ import annotations

import pytest
import torch

from alexnet_lib.figures.learning import LEVELS, draw_courses, draw_paths
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


def test_courses_are_named_once_and_drops_marked(book_style) -> None:  # noqa: ANN001
    course = ([1, 2, 3], [3.0, 2.0, 1.0])
    fig = draw_courses(
        {"a": {"x": [course, course]}, "b": {"x": [course], "y": [course]}}, ylabel="loss (nats)", level=2.3,
        drops={"b": [1.5]},
    )  # fmt: skip
    left, right = fig.axes
    assert [line.get_label() for line in left.lines][:1] == ["x"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["x", "y"]
    assert len(left.lines) == 3 and len(right.lines) == 4
    assert right.lines[2].get_xdata() == [1.5, 1.5] and left.lines[2].get_ydata() == [2.3, 2.3]
    assert left.get_ylabel() == "loss (nats)" and right.get_xlabel() == "passes through the training images"


def test_names_that_differ_in_a_digit_do_not_look_alike(book_style) -> None:  # noqa: ANN001
    course = ([1, 2], [3.0, 2.0])
    names = ("bias 0", "bias 0.1", "bias 1")
    left, right = draw_courses({"a": {n: [course] for n in names}, "b": {"bias 1": [course]}}, ylabel="loss").axes
    looks = [(line.get_color(), line.get_marker()) for line in left.lines]
    assert len({color for color, _ in looks}) == len({marker for _, marker in looks}) == 3
    assert (right.lines[0].get_color(), right.lines[0].get_marker()) == looks[2]


def test_courses_that_are_not_recorded_yet_are_an_empty_figure(book_style) -> None:  # noqa: ANN001
    fig = draw_courses({"text": {}, "code2012": {}}, ylabel="training error (%)", points=False)
    assert not fig.legends and [ax.get_title() for ax in fig.axes] == ["text", "code2012"]
