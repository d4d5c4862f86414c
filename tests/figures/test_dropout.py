"""The figures on dropout show what they were given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch

from alexnet_lib.figures import dropout as draw

pytestmark = pytest.mark.usefixtures("book_style")


@pytest.fixture(autouse=True)
def closed() -> None:
    yield
    plt.close("all")


def test_a_dropped_unit_is_crossed_out_and_loses_its_lines() -> None:
    (ax,) = draw.draw_thinned((2, 3, 2), {1: torch.tensor([1, 0, 1])}).axes
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2]
    dots = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert {dot.get_markevery() for dot in dots} == {1}, "a share of one dot would be none"
    assert len(lines) == 2 * 2 + 2 * 2 and [dot.get_marker() for dot in dots] == ["o", "o", "o", "x", "o", "o", "o"]
    crossed = dots[3].get_xdata()[0]
    assert all(crossed != line.get_xdata()[end] for line in lines for end in (0, 1) if line.get_ydata()[end] == 1)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["input", "hidden 1", "softmax"]


def test_the_mean_network_keeps_all_and_says_by_what_it_multiplies() -> None:
    (ax,) = draw.draw_thinned((2, 3, 2), {1: torch.ones(3)}, factor=0.5).axes
    assert len(ax.lines) == 12 + 7 and [text.get_text() for text in ax.texts] == ["x 0.5"]


def test_probabilities_lie_where_they_are() -> None:
    p = torch.tensor([[0.2, 0.8]]).log()
    (ax,) = draw.draw_against({"here": (p, torch.tensor([[0.3, 0.7]]).log())}).axes
    dots = ax.lines[1]
    assert dots.get_xdata().tolist() == pytest.approx([0.2, 0.8]) and dots.get_ydata().tolist() == pytest.approx(
        [0.3, 0.7]
    )


def test_shares_of_pairs_add_up_to_one() -> None:
    fig = draw.draw_pairs({"none": [torch.rand(500), torch.rand(500) * 3]}, floor=0.1)
    for steps in fig.axes[0].patches:
        assert float(steps.get_data().values.sum()) == pytest.approx(1)
