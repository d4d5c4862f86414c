"""The small networks: weights counted by hand, starts, derivatives, and a plain reference for the forward pass."""

from __future__ import annotations

import pickle

import pytest
import torch
import torch.nn.functional as F

from alexnet_lib.errors import SettingError
from alexnet_lib.network.nonlinearities import NONLINEARITIES
from alexnet_lib.network.small.four_layers import (
    ARCHITECTURES,
    SmallNet,
    SmallNetConfig,
    activations_by_layer,
    layer_names,
)

KINKS = ("relu", "leaky_relu", "abs_tanh", "elu", "relu_bn")


pytestmark = pytest.mark.usefixtures("one_thread")


def pixels(n: int = 4, size: int = 32, deviation: float = 64.0) -> torch.Tensor:
    return deviation * torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


# Kernels times inputs plus biases, layer by layer.
WEIGHTS = {
    "80sec": (75 * 32 + 32) + (800 * 32 + 32) + (800 * 64 + 64) + (64 * 16 * 64 + 64) + (64 * 10 + 10),
    "18pct": (75 * 32 + 32) + (800 * 32 + 32) + (800 * 64 + 64) + (64 * 16 * 10 + 10),
    "deep": (27 * 32 + 32)
    + (288 * 32 + 32)
    + (288 * 48 + 48)
    + (432 * 48 + 48)
    + (432 * 64 + 64)
    + (576 * 64 + 64)
    + (64 * 16 * 64 + 64)
    + (64 * 10 + 10),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_are_as_many_as_counted_by_hand(architecture: str) -> None:
    net = SmallNet(SmallNetConfig(architecture), seed=0)
    assert sum(map(torch.numel, net.parameters())) == WEIGHTS[architecture]
    assert net(pixels(2)).shape == (2, 10)


def test_the_80sec_network_has_145578_weights() -> None:
    assert WEIGHTS["80sec"] == 145_578


@pytest.mark.parametrize("size", [8, 24, 31, 32, 33])
def test_other_image_sizes_and_classes_fit(size: int) -> None:
    """The sizes that the constructor computes are those that ragged pooling gives."""
    net = SmallNet(SmallNetConfig(classes=7, image_size=size), seed=0)
    assert net(pixels(2, size)).shape == (2, 7)


def plain_80sec(images: torch.Tensor, layers: list[torch.nn.Module], function) -> torch.Tensor:  # noqa: ANN001
    """layers-80sec, one functional call after another, with the ragged average pooling written as two sums."""

    def average(x: torch.Tensor) -> torch.Tensor:
        padded, inside = F.pad(x, (0, 1, 0, 1)), F.pad(torch.ones_like(x), (0, 1, 0, 1))
        sums, pixels_inside = (F.avg_pool2d(y, 3, 2, divisor_override=1) for y in (padded, inside))
        return sums / pixels_inside

    first, second, third, hidden, last = layers
    x = F.conv2d(images, first.weight, first.bias, padding=2)
    x = function(F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 3, 2))
    x = average(function(F.conv2d(x, second.weight, second.bias, padding=2)))
    x = average(function(F.conv2d(x, third.weight, third.bias, padding=2)))
    return last(function(x.reshape(len(x), -1) @ hidden.weight.T + hidden.bias))


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh", "abs_tanh"])
def test_the_80sec_forward_pass_is_the_plain_one(nonlinearity: str) -> None:
    net = SmallNet(SmallNetConfig("80sec", nonlinearity, "today"), seed=3).double()
    for layer in net.weighted_layers():
        torch.nn.init.normal_(layer.bias, std=0.1)
    images = pixels().double()
    expected = plain_80sec(images, net.weighted_layers(), NONLINEARITIES[nonlinearity].function)
    torch.testing.assert_close(net(images), expected, rtol=1e-10, atol=1e-10)


def test_the_first_pooling_takes_the_largest_and_the_others_the_mean() -> None:
    kinds = [type(layer).__name__ for layer in SmallNet(seed=0).layers]
    blocks = ["Conv2d", "MaxPool2d", "Activation", *["Conv2d", "Activation", "AvgPool2d"] * 2]
    assert kinds == [*blocks, "Flatten", "Linear", "Activation", "Linear"]


def test_average_pooling_at_the_ragged_edge_divides_by_the_pixels_inside() -> None:
    pooling = next(layer for layer in SmallNet(seed=0).layers if isinstance(layer, torch.nn.AvgPool2d))
    assert torch.equal(pooling(torch.ones(1, 1, 16, 16)), torch.ones(1, 1, 8, 8))
    corner = torch.arange(256.0).reshape(1, 1, 16, 16)
    assert pooling(corner)[0, 0, -1, -1] == corner[0, 0, 14:, 14:].mean(), "2 x 2 pixels are inside the last window"


def deviations(net: SmallNet) -> list[float]:
    return [layer.weight.std().item() for layer in net.weighted_layers()]


def test_the_2012_start_has_the_released_deviations_and_no_bias() -> None:
    net = SmallNet(SmallNetConfig(start="2012"), seed=0)
    assert deviations(net) == pytest.approx([1e-4, 0.01, 0.01, 0.1, 0.1], rel=0.08)
    assert all(not layer.bias.any() for layer in net.weighted_layers())


@pytest.mark.parametrize("nonlinearity, gain", [("relu", 2**0.5), ("tanh", 1.0)])
def test_todays_start_is_hes_or_glorots(nonlinearity: str, gain: float) -> None:
    """Gain / sqrt(fan in): He's for ReLU; the gain 1 for tanh. The last layer feeds no nonlinearity: gain 1."""
    net = SmallNet(SmallNetConfig("80sec", nonlinearity, "today", "unit"), seed=0)
    fans = (75, 800, 800, 1024)
    assert deviations(net) == pytest.approx([*(gain / fan**0.5 for fan in fans), 1 / 64**0.5], rel=0.08)


@pytest.mark.parametrize("start", ["2012", "today"])
@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
def test_both_pixel_scales_start_as_the_same_function(start: str, nonlinearity: str) -> None:
    bytes_net, unit_net = (
        SmallNet(SmallNetConfig("80sec", nonlinearity, start, scale, deviation=61.5), seed=2).double()
        for scale in ("0-255", "unit")
    )
    images = pixels(deviation=61.5).double()
    expected = bytes_net(images)
    torch.testing.assert_close(unit_net(images / 61.5), expected, rtol=1e-5, atol=1e-7 * expected.abs().max().item())
    first, other = (net.weighted_layers()[0].weight for net in (bytes_net, unit_net))
    torch.testing.assert_close(other, first * 61.5, rtol=1e-6, atol=0)


def test_a_seed_draws_the_same_weights_and_another_seed_others() -> None:
    one, again, other = (SmallNet(seed=seed).weighted_layers()[2].weight for seed in (5, 5, 6))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert not torch.equal(SmallNet().weighted_layers()[0].weight, SmallNet().weighted_layers()[0].weight)


def test_all_nonlinearities_start_from_the_same_draw() -> None:
    """Seed for seed, the contenders of a race differ in scale at most."""
    relu, tanh = (SmallNet(SmallNetConfig(nonlinearity=n), seed=1).weighted_layers() for n in ("relu", "tanh"))
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(relu, tanh, strict=True))


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_slopes_are_autograds(name: str) -> None:
    unit = NONLINEARITIES[name]
    z = torch.tensor([-30.0, -3.0, -0.5, -1e-3, 1e-3, 0.5, 3.0, 30.0], dtype=torch.float64, requires_grad=True)
    (by_autograd,) = torch.autograd.grad(unit.function(z).sum(), z)
    slope = unit.derivative(z.detach())
    assert slope.dtype == torch.float64
    torch.testing.assert_close(slope, by_autograd, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", KINKS)
def test_the_slope_at_the_kink_is_the_one_that_training_uses(name: str) -> None:
    unit, z = NONLINEARITIES[name], torch.zeros(1, requires_grad=True)
    (by_autograd,) = torch.autograd.grad(unit.function(z).sum(), z)
    assert unit.derivative(z.detach()).item() == pytest.approx(by_autograd.item())


def test_the_functions_are_what_their_names_say() -> None:
    z = torch.tensor([-2.0, 0.5], dtype=torch.float64)
    e = torch.e
    tanh = [(e**-2 - e**2) / (e**-2 + e**2), (e**0.5 - e**-0.5) / (e**0.5 + e**-0.5)]
    wanted = {
        "relu": [0, 0.5],
        "tanh": tanh,
        "sigmoid": [1 / (1 + e**2), 1 / (1 + e**-0.5)],
        "abs_tanh": [-tanh[0], tanh[1]],
        "leaky_relu": [-0.02, 0.5],
        "elu": [e**-2 - 1, 0.5],
    }
    for name, values in wanted.items():
        assert NONLINEARITIES[name].function(z).tolist() == pytest.approx(values, abs=1e-12), name


@pytest.mark.parametrize("name", ["tanh_bn", "relu_bn"])
def test_batch_norm_comes_before_the_nonlinearity(name: str) -> None:
    plain, normed = (SmallNet(SmallNetConfig(nonlinearity=n, start="today"), seed=0) for n in (name[:-3], name))
    weights = [sum(map(torch.numel, net.parameters())) for net in (plain, normed)]
    assert weights[1] - weights[0] == 2 * (32 + 32 + 64 + 64), "a scale and a shift a channel"
    for _, before, after in activations_by_layer(normed.train(), pixels(16))[:-1]:
        channels = before.transpose(0, 1).flatten(1)
        torch.testing.assert_close(channels.mean(1), torch.zeros(len(channels)), rtol=0, atol=1e-5)
        torch.testing.assert_close(after, NONLINEARITIES[name].function(before))


def test_batch_norm_uses_the_running_mean_in_evaluation() -> None:
    net = SmallNet(SmallNetConfig(nonlinearity="relu_bn", start="today"), seed=0)
    images = pixels(16)
    for _ in range(60):
        net.train()(images)
    together, alone = net.eval()(images), torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("nonlinearity", ["tanh", "tanh_bn"])
def test_looking_inside_computes_what_the_network_computes(architecture: str, nonlinearity: str) -> None:
    net = SmallNet(SmallNetConfig(architecture, nonlinearity, "today"), seed=0)
    images, labels = pixels(), torch.tensor([0, 1, 2, 3])
    kept = activations_by_layer(net, images)
    assert [name for name, _, _ in kept] == list(layer_names(net))
    assert torch.equal(kept[-1][2], net(images))
    F.cross_entropy(kept[-1][2], labels).backward()
    for name, before, after in kept:
        assert before.grad.shape == before.shape and after.grad.abs().sum() > 0, name
    for name, before, after in kept[:-1]:
        slope = NONLINEARITIES["tanh"].derivative(before)
        torch.testing.assert_close(before.grad, after.grad * slope, rtol=1e-4, atol=1e-9, msg=name)


def test_layers_are_named_by_their_place() -> None:
    assert list(layer_names(SmallNet(seed=0))) == ["conv1", "conv2", "conv3", "fc64", "fc10"]


@pytest.mark.parametrize(
    "field, wrong, choices",
    [
        ("architecture", "vgg", "80sec, 18pct, deep"),
        ("nonlinearity", "gelu", "relu, tanh, sigmoid, abs_tanh, leaky_relu, elu, tanh_bn, relu_bn"),
        ("start", "1998", "2012, today"),
        ("pixels", "0-1", "0-255, unit"),
    ],
)
def test_an_unknown_name_lists_the_choices(field: str, wrong: str, choices: str) -> None:
    with pytest.raises(SettingError, match=f"{field} '{wrong}' is not known; use one of {choices}$"):
        SmallNetConfig(**{field: wrong})


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_a_network_of_any_nonlinearity_can_be_pickled(nonlinearity: str) -> None:
    net = SmallNet(SmallNetConfig("80sec", nonlinearity), seed=1)
    again = pickle.loads(pickle.dumps(net))
    assert torch.equal(again(pixels()), net(pixels()))
