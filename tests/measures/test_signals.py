"""Looking inside networks: strengths, slopes, dead units, and what of the image gets through, against arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.signals import (
    dead_share,
    depth_profile,
    forward_signals,
    rms,
    signal_of,
    steepest_slope,
)
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.nonlinearities import NONLINEARITIES
from alexnet_lib.network.small.four_layers import SmallNet, SmallNetConfig

NARROW = replace(AlexNetConfig.paper(), widths=(16, 16, 16, 16, 16), hidden=(512, 256))
pytestmark = pytest.mark.usefixtures("one_thread")


def small(nonlinearity: str) -> SmallNet:
    return SmallNet(SmallNetConfig("18pct", nonlinearity, "today", "unit", classes=4, image_size=8), seed=0)


def some(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(n) % 4


def test_rms_is_the_root_of_the_mean_square() -> None:
    assert rms(torch.tensor([3.0, 4.0])) == pytest.approx(12.5**0.5)
    assert rms(torch.full((10,), 1e30)) == pytest.approx(1e30), "whose square is more than float32 holds"


def test_dead_means_small_at_every_place_of_every_image() -> None:
    small_slope = torch.tensor([[[1, 1], [1, 0], [1, 1]], [[1, 1], [1, 1], [1, 0]]], dtype=torch.bool)  # (2, 3, 2)
    assert dead_share(small_slope) == pytest.approx(1 / 3)


@pytest.mark.parametrize("name, steepest", [("relu", 1.0), ("tanh", 1.0), ("sigmoid", 0.25), ("abs_tanh", 1.0)])
def test_the_steepest_slope_is_known(name: str, steepest: float) -> None:
    assert steepest_slope(name) == pytest.approx(steepest, abs=1e-5)


def test_profiles_name_the_layers_and_the_logits() -> None:
    net, (images, labels) = small("relu"), some()
    profiles = depth_profile(net, images, labels)
    assert [p.name for p in profiles] == ["conv1", "conv2", "conv3", "fc4"]
    assert (profiles[-1].slope_small, profiles[-1].dead) == (0.0, 0.0)
    assert profiles[-1].input_rms == profiles[-1].output_rms == pytest.approx(rms(net(images)))


@pytest.mark.parametrize("nonlinearity", ["tanh", "sigmoid", "abs_tanh", "leaky_relu"])
def test_the_first_layers_profile_is_that_of_plain_differentiation(nonlinearity: str) -> None:
    net, (images, labels) = small(nonlinearity), some()
    images *= 4  # so that every kind has inputs where its slope is small
    profile = depth_profile(net, images, labels)[0]
    inputs = net.layers[:2](images).detach().requires_grad_()  # conv1 and its pooling, up to the nonlinearity
    outputs = net.layers[2](inputs)
    loss = F.cross_entropy(net.layers[3:](outputs), labels, reduction="sum")
    (slopes,) = torch.autograd.grad(outputs.sum(), inputs, retain_graph=True)
    (gradient,) = torch.autograd.grad(loss, inputs)
    few = (slopes.abs() < 0.05 * steepest_slope(nonlinearity)).float().mean().item()
    assert 0.01 < few < 0.99
    assert profile.slope_small == pytest.approx(few, abs=1e-3)
    for found, numbers in (
        (profile.input_rms, inputs),
        (profile.output_rms, outputs),
        (profile.gradient_rms, gradient),
    ):
        assert found == pytest.approx(numbers.square().mean().sqrt().item(), rel=1e-5)


def test_tanh_is_saturated_beyond_2_18() -> None:
    """As its chapter says: 5% of the steepest slope is where the input is 2.18 in size."""
    net, (images, labels) = small("tanh"), some()
    inputs = net.layers[:2](images)
    assert depth_profile(net, images, labels)[0].slope_small == pytest.approx(
        (inputs.abs() > 2.1783).float().mean().item(), abs=1e-6
    )


def test_a_gradient_is_that_of_one_images_loss_whatever_the_number() -> None:
    net, (images, labels) = small("tanh"), some()
    once = depth_profile(net, images, labels)
    twice = depth_profile(net, images.repeat(2, 1, 1, 1), labels.repeat(2))
    assert [p.gradient_rms for p in once] == pytest.approx([p.gradient_rms for p in twice], rel=1e-5)
    by_logits = net(images).softmax(1) - F.one_hot(labels, 4)
    assert once[-1].gradient_rms == pytest.approx(by_logits.square().mean().sqrt().item(), rel=1e-5)


def test_units_with_a_large_negative_bias_are_dead_leaky_ones_too() -> None:
    for name in ("relu", "leaky_relu"):
        net = small(name)
        with torch.no_grad():
            net.weighted_layers()[0].bias[:8] = -1e4
        assert depth_profile(net, *some())[0].dead == pytest.approx(8 / 32), name


def test_the_network_is_left_as_it_was() -> None:
    net = small("relu_bn").eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    depth_profile(net, *some())
    assert not net.training and all(p.grad is None for p in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_every_nonlinearity_can_be_looked_into() -> None:
    for name in NONLINEARITIES:
        assert all(p.gradient_rms > 0 for p in depth_profile(small(name), *some())), name


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return 60 * torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def narrow(config: AlexNetConfig = NARROW) -> AlexNet:
    return AlexNet(config, num_classes=10, seed=0)


def test_two_units_by_hand() -> None:
    """Unit 0 puts out 1 and 3, unit 1 always 4: variance of all 1.5, within a unit (1 + 0) / 2."""
    signal = signal_of("x", torch.tensor([[1.0, 4.0], [3.0, 4.0]]))
    assert signal.spread == pytest.approx(1.5**0.5) and signal.from_image == pytest.approx(0.5**0.5)
    assert signal.share == pytest.approx((0.5 / 1.5) ** 0.5)


def test_the_variances_add_up() -> None:
    outputs = torch.randn(6, 5, 3, 3) + torch.arange(5.0)[:, None, None]
    signal, between = signal_of("x", outputs), float(outputs.mean(0).std(correction=0))
    assert signal.spread**2 == pytest.approx(signal.from_image**2 + between**2, rel=1e-5)


@pytest.mark.parametrize(("outputs", "share"), [(torch.arange(4.0).expand(3, 4), 0), (torch.zeros(3, 4), 0)])
def test_the_same_for_all_images_is_a_share_of_nothing(outputs: torch.Tensor, share: float) -> None:
    assert signal_of("x", outputs).share == share


def test_a_faint_image_on_a_large_constant_is_not_lost() -> None:
    faint = 1000 + torch.tensor([[0.0], [2**-10]])
    assert signal_of("x", faint).from_image == pytest.approx(2**-11, rel=1e-6)


def test_one_image_cannot_differ() -> None:
    with pytest.raises(SettingError, match="two or more"):
        signal_of("x", torch.zeros(1, 4))


@pytest.mark.parametrize("kind", ["2012", "inverted"])
def test_forward_signals_are_those_of_evaluation_in_any_mode(images: torch.Tensor, kind: str) -> None:
    net = narrow(replace(NARROW, dropout_kind=kind)).train()
    signals = forward_signals(net, images)
    assert net.training and [signal.name for signal in signals] == list(net.weighted_layers())
    with torch.no_grad():
        assert signals[-1] == signal_of("fc8", net.eval()(images))


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(SettingError, match="images of shape"):
        forward_signals(narrow(), torch.zeros(2, 3, 227, 227))


def test_larger_weights_in_the_middle_let_more_of_the_image_through(images: torch.Tensor) -> None:
    wider = replace(NARROW, deviations=AlexNetConfig.code2012().deviations)
    assert forward_signals(narrow(wider), images)[-1].share > 2 * forward_signals(narrow(), images)[-1].share
    assert forward_signals(narrow(), images / 60)[-1].share < forward_signals(narrow(), images)[-1].share / 10
