"""What the chapter "ReLU against tanh" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from chapter_cells import Chapter

from alexnet_lib import notebook as nb
from alexnet_lib.experiments.results import keys_of, ratio
from alexnet_lib.measures.signals import SMALL_SLOPE, LayerProfile, depth_profile
from alexnet_lib.network.nonlinearities import NONLINEARITIES
from alexnet_lib.network.small.four_layers import SmallNet, SmallNetConfig
from alexnet_lib.training.fit import train_step
from alexnet_lib.training.optimizer import PaperSGD

run_cells = Chapter("relu_vs_tanh").run
CALLED = {name: unit.label for name, unit in NONLINEARITIES.items()}


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
    torch.manual_seed(0)  # 640 weights in the last layer: one draw in eighty is off by a tenth
    layers = run_cells("by_hand = nn.Sequential")["layers"]
    ours = SmallNet(SmallNetConfig("80sec", "relu", "2012", "0-255"), seed=0).weighted_layers()
    for mine, theirs in zip(layers, ours, strict=True):
        assert float(mine.weight.detach().std() / theirs.weight.detach().std()) == pytest.approx(1, abs=0.1)
        assert not mine.bias.any() and not theirs.bias.any()


def test_the_slope_by_hand_is_the_librarys() -> None:
    slope = run_cells("three in a row")["slope"]
    assert float(slope) == pytest.approx(float(NONLINEARITIES["tanh"].derivative(torch.tensor(2.0))), abs=1e-7)


def shown(**parts: object) -> SimpleNamespace:
    """`nb` for a cell that is to draw, and to show nothing."""
    nothing = dict.fromkeys(("show", "table", "slider"), lambda *_, **__: None)
    return SimpleNamespace(**nothing | {"lines": nb.lines} | parts)


def test_the_functions_and_slopes_drawn_are_those_of_their_names(book_style) -> None:  # noqa: ANN001
    fig = run_cells("shown = [", nb=shown())["fig"]
    left, right = fig.axes
    z = np.array(left.lines[0].get_xdata())
    assert (z[0], z[-1]) == (-4, 4)
    assert np.allclose(left.lines[0].get_ydata(), np.maximum(z, 0))
    assert np.allclose(left.lines[1].get_ydata(), np.tanh(z))
    assert np.allclose(right.lines[0].get_ydata(), z > 0)
    assert np.allclose(right.lines[1].get_ydata(), 1 - np.tanh(z) ** 2, atol=1e-6)
    assert [text.get_text() for text in fig.legends[0].get_texts()][:2] == ["ReLU", "tanh"]
    for ax in (left, right):
        assert [line.get_color() for line in ax.lines[:2]] == [nb.style_for(n)["color"] for n in ("relu", "tanh")]


def test_by_depth_draws_the_asked_number_of_each_layer(book_style) -> None:  # noqa: ANN001
    layers = [LayerProfile(f"conv{i}", 1.0, 2.0 * i, 0.1 * i, 0.0, 10.0**-i) for i in (1, 2)]
    given = {"profile_at": lambda name, factor: layers, "called": CALLED, "session": None}
    fig = run_cells("def by_depth", nb=shown(), **given)["draw"](1)
    left, right = fig.axes
    assert list(left.lines[0].get_ydata()) == [2.0, 4.0] and list(right.lines[0].get_ydata()) == [0.1, 0.01]
    assert (left.get_title(), right.get_title()[:8], right.get_ylim()) == ("signal (rms)", "gradient", (1e-7, 1e5))
    for ax in (left, right):
        assert ax.get_yscale() == "log"
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["conv1", "conv2"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["ReLU", "tanh"]


def test_a_sweep_shows_passes_or_a_dash_and_says_what_diverged() -> None:
    sweep = [
        {"rate": 0.01, "target_passes": 9.5, "lowest_error": 0.2499},
        {"rate": 0.1, "target_passes": None, "lowest_error": None},
    ]
    done = {"relu": SimpleNamespace(record={"result": {"sweep": sweep}}, key="")}
    rows = run_cells('["sweep"]', nb=shown(), done=done, called=CALLED, keys_of=keys_of)["rows"]
    assert rows == [["ReLU", "0.01", "9.5", "25.0%"], ["ReLU", "0.1", "-", "diverged"]]


def test_what_is_not_recorded_is_not_yet_run() -> None:
    given = {"nb": shown(), "called": CALLED, "result_of": lambda *_: None, "ratio": ratio, "keys_of": keys_of}
    assert run_cells("factors[start, pixels] = ", **given)["rows"][0][1:] == ["not yet run"] * 4
    assert run_cells("rivals = [", **given)["rows"][0] == ["ReLU", "not yet run"]


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
        optimizer = PaperSGD(groups, rate=0.01)
        losses.append([float(train_step(net, optimizer, images * scale, labels)[0]) for _ in range(5)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0][-1] < losses[0][0]
