"""The figures of a race, read back from what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexnet_lib.experiments.race_figures import draw_by_depth, draw_curves, draw_functions, draw_inside
from alexnet_lib.inspect import LayerProfile
from alexnet_lib.small_nets import SmallNet, SmallNetConfig, activations_by_layer

pytestmark = pytest.mark.usefixtures("book_style", "one_thread")


def net(nonlinearity: str = "tanh", seed: int = 0) -> SmallNet:
    return SmallNet(SmallNetConfig(nonlinearity=nonlinearity, start="today", pixels="unit"), seed=seed)


def test_functions_and_slopes_are_those_of_the_names() -> None:
    left, right = draw_functions(["relu", "tanh"], reach=2.0).axes
    z = left.lines[0].get_xdata()
    assert (z[0], z[-1]) == (-2, 2)
    assert np.allclose(left.lines[0].get_ydata(), np.maximum(z, 0))
    assert np.allclose(left.lines[1].get_ydata(), np.tanh(z))
    assert np.allclose(right.lines[0].get_ydata(), z > 0)
    assert np.allclose(right.lines[1].get_ydata(), 1 - np.tanh(z) ** 2, atol=1e-6)


def test_every_seed_is_a_line_and_every_name_is_named_once() -> None:
    curves = {"relu": [([1, 2], [0.5, 0.3]), ([1, 2], [0.6, 0.4])], "tanh": [([1, 2], [0.7, 0.6])]}
    (ax,) = draw_curves(curves, 10_000, target=0.25).axes
    drawn = [tuple(line.get_ydata()) for line in ax.lines]
    assert drawn[:3] == [(0.5, 0.3), (0.6, 0.4), (0.7, 0.6)]
    assert set(drawn[3]) == {0.25}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ReLU", "tanh"]
    assert ax.get_xlabel() == "passes through 10,000 images"
    assert [text.get_text() for text in ax.texts] == ["25%"]


def test_a_race_that_was_not_run_gives_an_empty_figure_without_a_legend() -> None:
    (ax,) = draw_curves({"relu": []}, 10).axes
    assert ax.get_legend() is None and not ax.lines


def test_by_depth_draws_the_asked_field_of_each_layer() -> None:
    layers = [LayerProfile(f"conv{i}", 1.0, 2.0, 0.1 * i, 0.0, 10.0**-i) for i in (1, 2)]
    fig = draw_by_depth(
        {"a": {"relu": layers}, "b": {"relu": layers}}, ["gradient_rms", "slope_small"], [None, (0.01, 1)]
    )
    left, right = fig.axes
    assert list(left.lines[0].get_ydata()) == [0.1, 0.01] and list(right.lines[0].get_ydata()) == [0.1, 0.2]
    assert (left.get_title(), right.get_title(), right.get_ylim()) == ("a", "b", (0.01, 1))


def test_histograms_inside_hold_every_number_once() -> None:
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8)
    start, trained = net(seed=0), net(seed=1)
    axes = draw_inside(start, trained, images, labels).axes
    assert len(axes) == 2 * 4
    assert [ax.get_title() for ax in axes[:4]] == ["conv1", "conv2", "conv3", "fc64"]
    for ax in axes:
        for stairs in ax.patches:
            assert stairs.get_data().values.sum() == pytest.approx(1, abs=1e-5)
    kept = activations_by_layer(trained, images)
    F.cross_entropy(kept[-1][2], labels, reduction="sum").backward()
    gradient = kept[3][1].grad.flatten()
    share = ((gradient / gradient.square().mean().sqrt()).abs() < 3 / 41).float().mean()
    assert axes[7].patches[1].get_data().values[20] == pytest.approx(share.item(), abs=1e-5)
