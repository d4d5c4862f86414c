"""What the chapter "ReLU against tanh" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

import pytest
import torch
from chapter_cells import Chapter

from alexnet_lib.measures.signals import SMALL_SLOPE, depth_profile
from alexnet_lib.network.nonlinearities import NONLINEARITIES
from alexnet_lib.network.small.four_layers import SmallNet, SmallNetConfig
from alexnet_lib.training.fit import train_step
from alexnet_lib.training.optimizer import PaperSGD

run_cells = Chapter("relu_vs_tanh").run


def test_the_network_built_by_hand_is_the_librarys_in_outputs_and_gradients() -> None:
    made = run_cells("by_hand = nn.Sequential")
    by_hand, layers = made["by_hand"].double(), made["layers"]
    ours = SmallNet(SmallNetConfig("80sec", "relu", "2012", "0-255")).double()
    for mine, theirs in zip(layers, ours.weighted_layers(), strict=True):
        theirs.load_state_dict(mine.state_dict())
    images = 64 * torch.randn(6, 3, 32, 32, dtype=torch.float64)
    for net in (by_hand, ours):
        net(images).square().sum().backward()
    torch.testing.assert_close(by_hand(images), ours(images), rtol=1e-10, atol=1e-10)
    for mine, theirs in zip(layers, ours.weighted_layers(), strict=True):
        torch.testing.assert_close(mine.weight.grad, theirs.weight.grad, rtol=1e-9, atol=1e-9)


def test_the_starting_weights_set_by_hand_are_spread_as_the_librarys() -> None:
    layers = run_cells("by_hand = nn.Sequential")["layers"]
    ours = SmallNet(SmallNetConfig("80sec", "relu", "2012", "0-255"), seed=0).weighted_layers()
    for mine, theirs in zip(layers, ours, strict=True):
        assert float(mine.weight.detach().std() / theirs.weight.detach().std()) == pytest.approx(1, abs=0.1)
        assert not mine.bias.any() and not theirs.bias.any()


def test_the_slope_by_hand_is_the_librarys() -> None:
    slope = run_cells("three in a row")["slope"]
    assert float(slope) == pytest.approx(float(NONLINEARITIES["tanh"].derivative(torch.tensor(2.0))), abs=1e-7)


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_the_relu_with_a_slope_at_zero_is_relu_elsewhere(at_zero: float) -> None:
    relu = run_cells("class ReLUWithSlope")["ReLUWithSlope"]
    z = torch.tensor([-2.0, -0.0, 0.0, 3.0], requires_grad=True)
    out = relu.apply(z, at_zero)
    out.sum().backward()
    assert out.tolist() == NONLINEARITIES["relu"].function(z).tolist()
    assert z.grad.tolist() == [0.0, at_zero, at_zero, 1.0]


def test_the_solutions_share_of_saturated_units_is_what_the_profile_measures() -> None:
    share = run_cells("def share_saturated", called={})["share_saturated"]
    net = SmallNet(SmallNetConfig("80sec", "tanh", "today", "unit"), seed=0)
    with torch.no_grad():
        for layer in net.weighted_layers():
            layer.weight *= 4
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8)
    first = net.layers[1](net.layers[0](images))
    assert SMALL_SLOPE == 0.05
    assert float(share(first)) == pytest.approx(depth_profile(net, images, labels)[0].slope_small, abs=1e-6)


def test_the_pixel_scale_is_a_rate_of_the_first_layer() -> None:
    """The chapter's claim of c squared, in float64, where it must hold to the last digits."""
    config = {"architecture": "80sec", "nonlinearity": "tanh", "start": "today", "deviation": 64.0}
    images, labels = torch.randn(16, 3, 32, 32, dtype=torch.float64), torch.arange(16) % 10
    losses = []
    for pixels, scale in (("unit", 1.0), ("0-255", 64.0)):
        net = SmallNet(SmallNetConfig(pixels=pixels, **config), seed=0).double()
        first = net.weighted_layers()[0].weight
        others = [weight for weight in net.parameters() if weight is not first]
        groups = [{"params": [first], "lr": 0.01 / scale**2}, {"params": others}]
        optimiser = PaperSGD(groups, rate=0.01)
        losses.append([float(train_step(net, optimiser, images * scale, labels)[0]) for _ in range(5)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0][-1] < losses[0][0]
