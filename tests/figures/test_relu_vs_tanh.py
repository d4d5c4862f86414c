"""The figures of a race, read back from what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet_lib.figures import relu_vs_tanh
from alexnet_lib.figures.relu_vs_tanh import draw_by_depth, draw_curves, draw_functions, draw_inside
from alexnet_lib.measures.signals import LayerProfile
from alexnet_lib.network.small.four_layers import SmallNet, SmallNetConfig, activations_by_layer
from alexnet_lib.notebook.style import style_for

pytestmark = pytest.mark.usefixtures("book_style", "one_thread")


def net(nonlinearity: str = "tanh", seed: int = 0) -> SmallNet:
    return SmallNet(SmallNetConfig(nonlinearity=nonlinearity, start="today", pixels="unit"), seed=seed)


def key_of(fig: Figure | Axes) -> list[str]:
    legend = fig.get_legend() if isinstance(fig, Axes) else fig.legends[0]
    return [text.get_text() for text in legend.get_texts()]


def test_functions_and_slopes_are_those_of_the_names() -> None:
    fig = draw_functions(["relu", "tanh"], reach=2.0)
    left, right = fig.axes
    z = left.lines[0].get_xdata()
    assert (z[0], z[-1]) == (-2, 2)
    assert np.allclose(left.lines[0].get_ydata(), np.maximum(z, 0))
    assert np.allclose(left.lines[1].get_ydata(), np.tanh(z))
    assert np.allclose(right.lines[0].get_ydata(), z > 0)
    assert np.allclose(right.lines[1].get_ydata(), 1 - np.tanh(z) ** 2, atol=1e-6)
    assert key_of(fig) == ["ReLU", "tanh"]
    for ax in (left, right):
        assert [line.get_color() for line in ax.lines] == [style_for(name)["color"] for name in ("relu", "tanh")]


def test_every_seed_is_a_line_and_every_name_is_named_once() -> None:
    curves = {"relu": [([1, 2], [0.5, 0.3]), ([1, 2], [0.6, 0.4])], "tanh": [([1, 2], [0.7, 0.6])]}
    (ax,) = draw_curves(curves, 10_000, target=0.25).axes
    drawn = [line.get_xydata().tolist() for line in ax.lines[:3]]
    assert drawn == [[[1, 0.5], [2, 0.3]], [[1, 0.6], [2, 0.4]], [[1, 0.7], [2, 0.6]]]
    assert [(line.get_color(), line.get_marker()) for line in ax.lines[:3]] == [
        (style_for(name)["color"], style_for(name)["marker"]) for name in ("relu", "relu", "tanh")
    ]
    assert set(ax.lines[3].get_ydata()) == {0.25}
    assert key_of(ax) == ["ReLU", "tanh"]
    assert ax.get_xlabel() == "passes through 10,000 images"
    assert [text.get_text() for text in ax.texts] == ["25%"]
    assert ax.get_ylim() == (0, 0.9), "from no error to chance among ten classes"


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
    for ax in (left, right):
        assert ax.get_yscale() == "log"
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["conv1", "conv2"]
    assert key_of(fig) == ["ReLU"]


def shares(numbers: torch.Tensor, reach: float) -> np.ndarray:
    """41 bars from -reach to reach; what lies beyond is in the outermost."""
    counts, _ = np.histogram(numbers.clamp(-reach, reach).numpy().ravel(), 41, (-reach, reach))
    return counts / numbers.numel()


def test_histograms_inside_are_those_of_outputs_and_gradients_before_and_after() -> None:
    images, labels = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 3, torch.arange(4)
    start, trained = net(seed=0), net(seed=1)
    fig = draw_inside(start, trained, images, labels)
    assert [ax.get_title() for ax in fig.axes[:4]] == ["conv1", "conv2", "conv3", "fc64"] and len(fig.axes) == 8
    assert key_of(fig.axes[0]) == ["start", "trained"]
    assert fig.get_suptitle() == "tanh: outputs (top), gradients over their rms (bottom)"
    assert [fig.axes[i].get_ylabel() for i in (0, 4)] == ["share of outputs", "share of gradients"]
    for drawn, one in enumerate((start, trained)):
        assert all(p.grad is None for p in one.parameters()), "a network is left as it was"
        kept = activations_by_layer(one, images)
        F.cross_entropy(kept[-1][2], labels).backward()
        for (_, before, output), top, bottom in zip(kept[:-1], fig.axes[:4], fig.axes[4:], strict=True):
            gradient = before.grad / before.grad.square().mean().sqrt()
            for ax, numbers, reach in ((top, output.detach(), 2.0), (bottom, gradient, 3.0)):
                stairs = ax.patches[drawn]
                assert np.allclose(stairs.get_data().values, shares(numbers, reach), atol=1e-3)
                assert stairs.get_data().edges[[0, -1]] == pytest.approx([-reach, reach])
                assert (stairs.get_linestyle() in ("-", "solid")) is (one is trained)


def test_of_many_numbers_some_are_taken_evenly() -> None:
    numbers = torch.arange(150_000).reshape(3, 50_000)
    assert relu_vs_tanh._some(numbers).tolist() == list(range(0, 150_000, 3))
    assert relu_vs_tanh._some(numbers[:, :10]).tolist() == numbers[:, :10].flatten().tolist()
