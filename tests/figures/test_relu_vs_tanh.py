"""The histograms inside a network, read back from what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexnet_lib.figures import relu_vs_tanh
from alexnet_lib.figures.relu_vs_tanh import draw_inside
from alexnet_lib.network.small.four_layers import SmallNet, SmallNetConfig, activations_by_layer

pytestmark = pytest.mark.usefixtures("book_style", "one_thread")


def net(nonlinearity: str = "tanh", seed: int = 0) -> SmallNet:
    return SmallNet(SmallNetConfig(nonlinearity=nonlinearity, start="today", pixels="unit"), seed=seed)


def shares(numbers: torch.Tensor, reach: float) -> np.ndarray:
    """41 bars from -reach to reach; what lies beyond is in the outermost."""
    counts, _ = np.histogram(numbers.clamp(-reach, reach).numpy().ravel(), 41, (-reach, reach))
    return counts / numbers.numel()


def test_histograms_inside_are_those_of_outputs_and_gradients_before_and_after() -> None:
    images, labels = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 3, torch.arange(4)
    start, trained = net(seed=0), net(seed=1)
    fig = draw_inside(start, trained, images, labels)
    assert [ax.get_title() for ax in fig.axes[:4]] == ["conv1", "conv2", "conv3", "fc64"] and len(fig.axes) == 8
    assert [text.get_text() for text in fig.axes[0].get_legend().get_texts()] == ["start", "trained"]
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
