"""The pictures of the split show the counted bytes, in the right order and direction."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from alexnet_lib.figures.two_gpus import (
    CROSSING,
    Moment,
    crossed,
    describe_moment,
    draw_costs,
    draw_moment,
    draw_needs,
    moments,
)
from alexnet_lib.measures.memory import Need
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig, ablations
from alexnet_lib.network.description import Description
from alexnet_lib.network.traffic import expected_traffic
from alexnet_lib.notebook.slider_figure import slider

pytestmark = pytest.mark.usefixtures("book_style")


@pytest.fixture(scope="module")
def paper() -> Description:
    return AlexNet(AlexNetConfig.paper(), part=(0, 2)).describe()


def texts(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts]


def arrows(fig: Figure) -> list[FancyArrowPatch]:
    return [patch for patch in fig.axes[0].patches if isinstance(patch, FancyArrowPatch)]


def test_a_step_goes_forward_and_then_back(paper: Description) -> None:
    shown = [str(moment) for moment in moments(paper)]
    assert shown[:2] == ["forward, conv1", "forward, conv2"] and shown[7:9] == ["forward, fc8", "backward, fc8"]
    assert len(shown) == 16 and shown[-1] == "backward, conv1"


def test_what_crossed_grows_to_the_whole(paper: Description) -> None:
    sums = [crossed(paper, moment)[1] for moment in moments(paper)]
    assert sums == sorted(sums) and sums[0] == 0
    assert sums[-1] == expected_traffic(paper, 1).total == 468_992
    assert sum(sum(crossed(paper, moment)[0].values()) for moment in moments(paper)) == sums[-1]


def test_what_crosses_before_conv3(paper: Description) -> None:
    now, until = crossed(paper, Moment("forward", "conv3"))
    half = 4 * 128 * 13 * 13
    assert now == {"0 to 1": half, "1 to 0": half} and until == 2 * half
    assert crossed(paper, Moment("forward", "conv2")) == ({}, 0)
    assert crossed(paper, Moment("backward", "fc8"))[0] == {"0 to 1": 4 * 2048}


def test_the_words_say_the_bytes(paper: Description) -> None:
    said = describe_moment(paper, Moment("forward", "fc8"))
    assert "8,192 bytes from GPU 1 to GPU 0" in said and "activations" in said and "234,496" in said
    assert "nothing crosses" in describe_moment(paper, Moment("forward", "conv4"))
    assert "gradients" in describe_moment(paper, Moment("backward", "conv3"))


def test_the_picture_shows_every_layer_on_its_gpus_and_the_sum(paper: Description) -> None:
    fig = draw_moment(paper, Moment("forward", "conv3"))
    said = texts(fig)
    assert said.count("conv3: 192 x 13 x 13") == said.count("fc6: 2,048") == 2 and said.count("fc8: 1,000") == 1
    assert said.count("+86.5 kB") == 2 and "crossed so far: 173,056 bytes an image" in said
    outlines = [p for p in fig.axes[0].patches if isinstance(p, Rectangle) and not p.get_fill()]
    assert len(outlines) == 15  # eight layers on two GPUs, but fc8 on one


@pytest.mark.parametrize(("layer", "side"), [("conv3", None), ("fc8", "right")])
def test_the_bytes_stand_beside_the_gpu_that_receives(paper: Description, layer: str, side: str | None) -> None:
    fig = draw_moment(paper, Moment("backward", layer))
    labels = [text for text in fig.axes[0].texts if text.get_text().startswith("+")]
    assert len(labels) == (1 if side else 2)
    assert {text.get_ha() for text in labels} == ({side} if side else {"left", "right"})


def test_arrows_cross_only_where_the_layers_meet_and_turn_round_on_the_way_back(paper: Description) -> None:
    forward, backward = (draw_moment(paper, Moment(which, "conv4")) for which in ("forward", "backward"))
    across = [arrow for arrow in arrows(forward) if arrow.get_linestyle() == "--"]
    assert len(across) == 2 * 3 + 1 and {arrow.get_edgecolor()[:3] for arrow in across} == {rgb(CROSSING)}
    assert len(arrows(forward)) - len(arrows(backward)) == 2  # no gradient goes to the images
    assert all(down(arrow) for arrow in arrows(forward)) and not any(down(arrow) for arrow in arrows(backward))


def down(arrow: FancyArrowPatch) -> bool:
    start, end = arrow._posA_posB
    return start[1] < end[1]


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def test_other_patterns_are_drawn_as_they_are() -> None:
    never, always = (
        AlexNet(ablations()[name], part=(0, 2)).describe() for name in ("never_exchange", "always_exchange")
    )
    crossing = [
        sum(arrow.get_linestyle() == "--" for arrow in arrows(draw_moment(net, Moment("forward", "conv1"))))
        for net in (never, always)
    ]
    assert crossing == [1, 2 * 6 + 1]


def test_all_moments_make_one_small_slider_with_words_for_each(paper: Description) -> None:
    bundle = slider.bundle(
        lambda moment: draw_moment(paper, moment),
        moments(paper),
        label="moment",
        alt=lambda moment: describe_moment(paper, moment),
    )
    page = bundle["text/html"]
    assert len(page) < 400_000 and page.count('class="an-frame"') == 16
    assert describe_moment(paper, Moment("backward", "fc7")) in page


def test_bars_of_needs_are_as_long_as_the_needs() -> None:
    needs = {"one card": Need(10**9, 5 * 10**8, 10**9, 2 * 10**9), "two": Need(10**8, 0, 0, 0, 10**8)}
    fig = draw_needs(needs, 3 * 2**30)
    ax = fig.axes[0]
    ends = {}
    for bar in (bar for bar in ax.patches if bar.get_width()):
        ends[round(bar.get_y(), 2)] = max(ends.get(round(bar.get_y(), 2), 0), bar.get_x() + bar.get_width())
    assert sorted(ends.values()) == pytest.approx([0.2, 4.5])
    assert ax.lines[0].get_xdata()[0] == pytest.approx(3 * 2**30 / 1e9)
    assert {text.get_text() for text in fig.legends[0].get_texts()} == {
        "weights",
        "gradients",
        "velocity",
        "activations kept",
        "sums of parts of gradients",
    }


def test_bars_of_costs_are_milliseconds() -> None:
    costs = {"split": {"slow": 0.004, "fast": 1e-4}, "whole": {"slow": 0.03, "fast": 1e-3}}
    fig = draw_costs(costs, {"then": 0.1, "now": 0.01}, (1e-6, 1))
    ax = fig.axes[0]
    assert sorted(bar.get_width() for bar in ax.patches) == pytest.approx([0.1, 1, 4, 30])
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([100, 10])
    assert ax.get_xscale() == "log" and "milliseconds" in ax.get_xlabel()
