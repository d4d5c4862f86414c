"""The figures of "Full training": what they draw is what they were given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch

from alexnet_lib.bench.roofline import Peak, Work, allowed, work
from alexnet_lib.figures.full_training import draw_layers, draw_seen, grouped
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig

PARTS = [Work("conv1", 100, 10), Work("pool1", 5, 7), Work("fc6", 20, 80), Work("update", 0, 40), Work("fog", 1, 2)]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_rest_is_what_is_not_named() -> None:
    shown = grouped(PARTS)
    assert [one.name for one in shown] == ["conv1", "fc6", "update", "the rest"]
    assert (shown[-1].operations, shown[-1].bytes) == (6, 9)
    whole = work(AlexNet(AlexNetConfig.paper(), 10, seed=0).describe(), 4)
    assert sum(one.bytes for one in grouped(whole)) == sum(one.bytes for one in whole) and len(grouped(whole)) == 10


def test_bars_are_microseconds_an_image() -> None:
    peak = Peak(1e6, 1e6)
    ax = draw_layers(PARTS, 2, peak).axes[0]
    arithmetic, memory = ([bar.get_width() for bar in container] for container in ax.containers)
    assert arithmetic == pytest.approx([50, 10, 0, 3]) and memory == pytest.approx([5, 40, 20, 4.5])
    assert f"{allowed(PARTS, 2, peak):,.3g}" in ax.get_title()


def test_what_the_network_sees_is_drawn_around_grey() -> None:
    stored = torch.full((2, 3, 4, 4), 200, dtype=torch.uint8)
    seen = torch.stack([torch.zeros(3, 2, 2), torch.full((3, 2, 2), 500.0)])
    fig = draw_seen(stored, seen, ["one", "other"])
    pictures = [ax.images[0].get_array() for ax in fig.axes]
    assert [int(picture[0, 0, 0]) for picture in pictures] == [200, 200, 128, 255]
    assert [ax.get_title() for ax in fig.axes] == ["one", "other", "", ""]
