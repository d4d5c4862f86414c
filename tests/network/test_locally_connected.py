"""The network with locally connected layers: against loops, counts by hand, and the released files."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib.errors import SettingError
from alexnet_lib.experiments import lrn_cifar10
from alexnet_lib.network.lrn import LocalResponseNorm, local_response_norm
from alexnet_lib.network.small.locally_connected import (
    NORMS,
    POOLINGS,
    ConvLocalConfig,
    ConvLocalNet,
    LearnedPooling,
    LocallyConnected2d,
    norm_of,
    pooling_of,
)
from alexnet_lib.training.fit import TrainSettings, train_step
from alexnet_lib.training.optimizer import PaperSGD

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ConvLocalConfig(maps=9, local_maps=4, image_size=8, classes=3)


def local(channels: int = 2, maps: int = 3, size: int = 4, kernel: int = 3, padding: int = 1) -> LocallyConnected2d:
    layer = LocallyConnected2d(channels, maps, size, kernel, padding).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer


@pytest.mark.parametrize("size, kernel, padding", [(4, 3, 1), (5, 3, 0), (3, 1, 0), (4, 2, 1), (3, 5, 2)])
def test_a_locally_connected_layer_is_a_loop_over_places(size: int, kernel: int, padding: int) -> None:
    layer = local(size=size, kernel=kernel, padding=padding)
    x = torch.randn(2, 2, size, size, dtype=torch.float64)
    wide = F.pad(x, (padding,) * 4)
    side = size + 2 * padding - kernel + 1
    expected = torch.empty(2, 3, side, side, dtype=torch.float64)
    for row in range(side):
        for column in range(side):
            window = wide[:, :, row : row + kernel, column : column + kernel].reshape(2, -1)
            place = row * side + column
            expected[:, :, row, column] = window @ layer.weight[place] + layer.bias[:, row, column]
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_with_the_same_kernels_everywhere_it_is_a_convolution() -> None:
    layer = local()
    with torch.no_grad():
        layer.weight.copy_(layer.weight[:1].clone())
        layer.bias.copy_(layer.bias[:, :1, :1].clone())
    kernels = layer.weight[0].T.reshape(3, 2, 3, 3)
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64)
    expected = F.conv2d(x, kernels, layer.bias[:, 0, 0], padding=1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_gradients_of_a_locally_connected_layer() -> None:
    layer = local(maps=2, size=3)
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)

    def run(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(run, (x, layer.weight, layer.bias))


def test_a_place_learns_from_its_own_window_only() -> None:
    layer = local()
    layer(torch.randn(2, 2, 4, 4, dtype=torch.float64))[:, :, 1, 2].sum().backward()
    touched = layer.weight.grad.abs().sum((1, 2)).nonzero().flatten().tolist()
    assert touched == [1 * 4 + 2]


def test_memory_order_changes_nothing() -> None:
    layer, x = local(), torch.randn(2, 2, 4, 4, dtype=torch.float64)
    assert torch.equal(layer(x), layer(x.contiguous(memory_format=torch.channels_last)))


def test_maps_of_another_size_are_refused() -> None:
    with pytest.raises(SettingError, match=r"maps of \(5, 5\) do not give 4 x 4 places"):
        local()(torch.zeros(1, 2, 5, 5, dtype=torch.float64))
    with pytest.raises(SettingError, match="a kernel of 5 does not fit into 2 pixels"):
        LocallyConnected2d(1, 1, 2, 5, 1)


def test_the_weights_are_as_many_as_counted_by_hand() -> None:
    convolutions = (75 * 64 + 64) + (1600 * 64 + 64)
    local_layers = 36 * (576 * 32 + 32) + 36 * (288 * 32 + 32)
    plain = convolutions + local_layers + 1152 * 10 + 10

    def count_of(config: ConvLocalConfig) -> int:
        return sum(map(torch.numel, ConvLocalNet(config, seed=0).parameters()))

    count = {norm: count_of(ConvLocalConfig(norm)) for norm in NORMS}
    assert count == {**dict.fromkeys(NORMS, plain), "batch": plain + 4 * 64}
    wider = 36 * (576 * 64 + 64) + 36 * (576 * 32 + 32) - local_layers
    assert count_of(lrn_cifar10.RELEASED) == plain + wider
    learned = {name: count_of(ConvLocalConfig(pooling=name)) - plain for name in POOLINGS}
    assert {name: n for name, n in learned.items() if n} == {
        "strided convolution": 2 * (9 * 64 * 64 + 64),
        "learned": 2 * 9 * 64,
    }


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("side", [6, 12, 24])
def test_every_pooling_halves_the_map(name: str, side: int) -> None:
    assert pooling_of(name, 5)(torch.randn(2, 5, side, side)).shape == (2, 5, side // 2, side // 2)


def windows(x: torch.Tensor, size: int) -> torch.Tensor:
    """(N, C, S / 2, S / 2, size, size) with infinity outside, by slicing."""
    wide = F.pad(x, (0, 1, 0, 1), value=float("inf"))
    half = x.shape[-1] // 2
    rows = [[wide[..., 2 * r : 2 * r + size, 2 * c : 2 * c + size] for c in range(half)] for r in range(half)]
    return torch.stack([torch.stack(row, 2) for row in rows], 2)


@pytest.mark.parametrize("name, size", [("max 3/2", 3), ("max 2/2", 2), ("average 3/2", 3), ("average 2/2", 2)])
def test_poolings_take_the_largest_or_the_mean_of_what_lies_inside(name: str, size: int) -> None:
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    seen = windows(x, size).flatten(-2)
    inside = seen.isfinite()
    largest = seen.where(inside, -torch.inf).amax(-1)
    mean = seen.where(inside, 0.0).sum(-1) / inside.sum(-1)
    torch.testing.assert_close(pooling_of(name, 3)(x), largest if "max" in name else mean)


def test_no_pooling_keeps_every_second_unit() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(pooling_of("none", 3)(x), x[:, :, ::2, ::2])


def test_learned_poolings_start_as_the_average_with_zeros_outside() -> None:
    net = ConvLocalNet(replace(SMALL, pooling="learned"), seed=0)
    pooling = next(layer for layer in net.layers if isinstance(layer, LearnedPooling))
    x = torch.randn(2, 9, 8, 8)
    expected = F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2)
    torch.testing.assert_close(pooling(x), expected)
    across = ConvLocalNet(replace(SMALL, pooling="strided convolution"), seed=0)
    pooling = next(layer for layer in across.layers if isinstance(layer, LearnedPooling))
    own = pooling.window.weight[torch.arange(9), torch.arange(9)]
    assert (own - 1 / 9).abs().max() < 0.06 and pooling.window.weight.std() < 0.06
    assert (pooling(x) >= 0).all(), "a convolution layer ends in ReLU"


def test_the_norms_are_the_papers_and_the_released_files() -> None:
    x = 50 * torch.rand(2, 8, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(norm_of("lrn", 8)(x), local_response_norm(x))
    released = norm_of("lrn average", 8)(x)
    torch.testing.assert_close(released, F.local_response_norm(x, 5, alpha=0.001, beta=0.75, k=1.0))
    x = 50 * torch.rand(2, 12, 3, 3, dtype=torch.float64)
    stayed = F.local_response_norm(x, 9, alpha=0.001, beta=0.75, k=1.0)
    torch.testing.assert_close(norm_of("lrn released", 12)(x), stayed)
    assert torch.equal(norm_of("none", 8)(x), x)


def plain(images: torch.Tensor, net: ConvLocalNet, norm, pooled_first: bool = False) -> torch.Tensor:  # noqa: ANN001
    """conv-local-11pct as one call after another: as first released, or with the first norm after its pooling."""
    first, second, *local_layers, last = net.weighted_layers()
    x = F.relu(F.conv2d(images, first.weight, first.bias, padding=2))
    x = F.pad(x if pooled_first else norm(x), (0, 1, 0, 1))
    x = F.max_pool2d(x, 3, 2)  # what lies outside is 0, as small as ReLU gives
    x = norm(x) if pooled_first else x
    x = F.max_pool2d(F.pad(norm(F.relu(F.conv2d(x, second.weight, second.bias, padding=2))), (0, 1, 0, 1)), 3, 2)
    for layer in local_layers:
        x = F.relu(layer(x))
    return x.flatten(1) @ last.weight.T + last.bias


@pytest.mark.parametrize(
    "config",
    [*(ConvLocalConfig(name) for name in ("none", "lrn", "lrn average", "lrn released")), lrn_cifar10.RELEASED],
    ids=str,
)
def test_the_forward_pass_is_the_plain_one(config: ConvLocalConfig) -> None:
    net = ConvLocalNet(config, seed=1).double()
    for layer in net.weighted_layers():
        nn.init.normal_(layer.bias, std=0.1)
    images = 60 * torch.randn(2, 3, 24, 24, dtype=torch.float64)
    expected = plain(images, net, norm_of(config.norm, 64), config.norm == "lrn released")
    torch.testing.assert_close(net(images), expected, rtol=1e-10, atol=1e-10)


def test_norms_stand_after_relu_and_batch_norm_before_it() -> None:
    kinds = [type(layer).__name__ for layer in ConvLocalNet(replace(SMALL, norm="lrn"), seed=0).layers]
    assert kinds[:4] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    kinds = [type(layer).__name__ for layer in ConvLocalNet(replace(SMALL, norm="batch"), seed=0).layers]
    assert kinds[:4] == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    assert sum(isinstance(layer, LocalResponseNorm) for layer in ConvLocalNet(ConvLocalConfig("lrn")).layers) == 2


def test_the_starting_weights_are_those_of_the_released_files() -> None:
    net = ConvLocalNet(seed=0)
    spreads = [layer.weight.std().item() for layer in net.weighted_layers()]
    assert spreads == pytest.approx([1e-4, 0.01, 0.04, 0.04, 0.01], rel=0.05)
    assert all(not layer.bias.any() for layer in net.weighted_layers())


def test_a_seed_starts_every_norm_and_pooling_alike() -> None:
    wanted = [layer.weight for layer in ConvLocalNet(SMALL, seed=4).weighted_layers()]
    for change in [{"norm": name} for name in NORMS] + [{"pooling": name} for name in POOLINGS]:
        net = ConvLocalNet(replace(SMALL, **change), seed=4)
        assert all(torch.equal(a, b.weight) for a, b in zip(wanted, net.weighted_layers(), strict=True)), change
    assert not torch.equal(wanted[1], ConvLocalNet(SMALL, seed=5).weighted_layers()[1].weight)


def test_rates_and_decays_are_those_of_the_released_files() -> None:
    """Biases learn twice as fast, and only the weights of the last three layers decay, the last one's as it says."""
    changes = ({"norm": "batch"}, {"pooling": "learned"}, {"pooling": "strided convolution"}, {"last_decay": 0.01})
    for change in changes:
        net = ConvLocalNet(replace(SMALL, **change), seed=0)
        settings = TrainSettings(rate=0.001, weight_decay=0.004)
        optimizer = PaperSGD(net.parameter_groups(settings.rate, settings.weight_decay), settings.rate)
        told = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
        assert len(told) == sum(len(g["params"]) for g in optimizer.param_groups) == len(list(net.parameters()))
        decayed = {id(layer.weight): 0.004 for layer in net.weighted_layers()[2:]}
        decayed[id(net.weighted_layers()[-1].weight)] = change.get("last_decay", 0.004)
        for name, parameter in net.named_parameters():
            wanted = (0.002, 0.0) if name.endswith("bias") else (0.001, decayed.get(id(parameter), 0.0))
            assert told[id(parameter)] == wanted, name


@pytest.mark.parametrize("change", [{"norm": name} for name in NORMS] + [{"pooling": name} for name in POOLINGS])
def test_every_variant_learns_a_batch_by_heart(change: dict) -> None:
    torch.manual_seed(0)
    net = ConvLocalNet(replace(SMALL, **change), seed=0)
    for layer in net.weighted_layers():  # so small a net hardly moves from the files' spreads, made for a larger one
        fan_in = layer.weight.shape[1] if isinstance(layer, LocallyConnected2d) else layer.weight[0].numel()
        nn.init.normal_(layer.weight, std=(2 / fan_in) ** 0.5)
    images, labels = torch.randn(24, 3, 8, 8), torch.arange(24) % 3
    optimizer = PaperSGD(net.parameters(), 0.01)
    losses = [train_step(net, optimizer, images, labels)[0].item() for _ in range(150)]
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize(
    "change, said",
    [
        ({"norm": "LRN"}, "norm 'LRN' is not known; use one of none, lrn, lrn average, lrn released, batch"),
        ({"pooling": "max"}, "pooling 'max' is not known; use one of max 3/2"),
        ({"image_size": 26}, "image_size 26: .* a multiple of 4"),
        ({"maps": 0}, "must be 1 or more"),
        ({"maps": 4, "norm": "lrn"}, "maps 4: response normalisation looks at 5"),
        ({"maps": 8, "norm": "lrn released"}, "maps 8: response normalisation looks at 9"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        ConvLocalConfig(**change)
