"""`nb.lines`: what is drawn of lines, runs, panels, levels and marks."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from alexnet_lib import notebook as nb
from alexnet_lib.errors import SettingError
from alexnet_lib.notebook.style import MARK_EVERY

LINE = ([0, 1, 2], [3.0, 2.0, 1.0])


@pytest.fixture(autouse=True)
def closed() -> None:
    yield
    plt.close("all")


def drawn(ax) -> list:  # noqa: ANN001
    """The lines of data, without levels and marks."""
    return [line for line in ax.lines if list(line.get_xdata()) == LINE[0]]


def test_lines_by_name_have_looks_of_their_own_and_a_legend() -> None:
    fig = nb.lines({"one": LINE, "other": LINE}, xlabel="passes", ylim=(0, 4), title="errors")
    (ax,) = fig.axes
    first, second = drawn(ax)
    assert first.get_color() != second.get_color() and first.get_linestyle() != second.get_linestyle()
    assert list(first.get_ydata()) == LINE[1] and first.get_markevery() == 1
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["one", "other"]
    assert (ax.get_xlabel(), ax.get_ylim(), ax.get_title()) == ("passes", (0, 4), "errors")


def test_runs_of_a_name_look_alike_and_are_named_once() -> None:
    fig = nb.lines({"tanh": [LINE, LINE], "relu": LINE}, labels={"relu": "ReLU"})
    one, other, relu = drawn(fig.axes[0])
    assert one.get_color() == other.get_color() == nb.style_for("tanh")["color"]
    assert relu.get_color() == nb.style_for("relu")["color"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["tanh", "ReLU"]


def test_a_name_looks_the_same_in_all_panels() -> None:
    fig = nb.lines({"left": {"a": LINE, "b": LINE}, "right": {"b": LINE}}, ylabel="error")
    left, right = fig.axes
    assert drawn(left)[1].get_color() == drawn(right)[0].get_color()
    assert (left.get_title(), right.get_title()) == ("left", "right")
    assert (left.get_ylabel(), right.get_ylabel()) == ("error", "")
    assert len(fig.legends[0].get_texts()) == 2


def test_levels_and_marks_of_all_panels_or_of_some() -> None:
    fig = nb.lines({"left": {"a": LINE}, "right": {"a": LINE}}, level={"chance": 0.5}, marked={"right": [1.5]})
    left, right = fig.axes
    assert len(left.lines) == 2 and len(right.lines) == 3 and not fig.legends
    assert left.texts[0].get_text() == "chance" and left.texts[0].xy == (1, 0.5)
    assert list(right.lines[1].get_xdata()) == [1.5, 1.5]
    (ax,) = nb.lines({"a": LINE}, level=0.25, marked=[1, 2]).axes
    assert len(ax.lines) == 4


def test_many_points_have_few_markers_or_none() -> None:
    long = (range(100), range(100))
    (ax,) = nb.lines({"a": long}).axes
    assert ax.lines[0].get_markevery() == MARK_EVERY
    (ax,) = nb.lines({"a": long}, points=False).axes
    assert ax.lines[0].get_marker() == ""


def test_panels_beside_lines_are_refused() -> None:
    with pytest.raises(SettingError, match="lines by name, or panels"):
        nb.lines({"a": LINE, "b": {"c": LINE}})


def test_long_names_stand_in_fewer_columns() -> None:
    for length, columns in ((5, 3), (18, 2), (40, 1)):
        fig = nb.lines({f"{'name' * length}"[:length] + str(number): LINE for number in range(3)})
        (legend,) = fig.legends
        fig.canvas.draw()
        assert legend._ncols == columns and legend.get_window_extent().x0 >= 0


def test_what_has_no_runs_yet_is_left_out() -> None:
    assert not nb.lines({}).axes[0].lines
    fig = nb.lines({"a": LINE, "b": [], "c": LINE})
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["a", "c"]
