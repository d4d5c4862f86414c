"""Starting weights layer by layer, and weights that others trained."""

import math
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from reference_alexnet import CLASSES, gap, images, lively, small

from alexnet_lib.errors import DataError, SettingError
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import LAYERS, VARIANTS, AlexNetConfig
from alexnet_lib.network.published_weights import load_weights

pytestmark = pytest.mark.usefixtures("one_thread")

ONES, TENTHS = (0, 1, 0, 1, 1, 1, 1, 0), (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0)
STARTS = {
    "paper": ((0.01,) * 8, ONES),
    "code2012": ((0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01), ONES),
    "caffe": ((0.01,) * 5 + (0.005, 0.005, 0.01), TENTHS),
    "one_gpu_half": ((0.01,) * 8, ONES),
    "sixth_conv": ((0.01,) * 8, ONES),
}


def starting(name, seed=0, **changes):
    """The variant with its own convolutions and fewer hidden units."""
    return AlexNet(replace(VARIANTS[name](), hidden=(256, 128), **changes), 100, seed=seed)


@pytest.mark.parametrize("name", STARTS)
def test_starting_weights_are_normal_and_biases_as_configured(name):
    net = starting(name)
    deviations, biases = STARTS[name]
    for layer, deviation, bias in zip(LAYERS, deviations, biases, strict=True):
        module = net.get_submodule(layer)
        values = module.weight.detach().double().flatten() / deviation
        error = 5 / len(values) ** 0.5  # five deviations of the mean of that many draws
        assert abs(float(values.mean())) < error, layer
        assert abs(float(values.square().mean()) - 1) < error * 2**0.5, layer
        assert abs(float(values.pow(4).mean()) - 3) < error * 96**0.5, layer  # of a normal distribution
        assert bool((module.bias == bias).all()), layer


def test_the_sixth_convolution_starts_as_the_fifth():
    net = starting(
        "sixth_conv", deviations=(0.01, 0.01, 0.01, 0.01, 0.5, 0.01, 0.01, 0.01), biases=(0, 1, 0, 1, 7, 1, 1, 0)
    )
    assert float(net.conv6.weight.detach().std()) == pytest.approx(0.5, rel=0.01)
    assert bool((net.conv6.bias == 7).all())


def test_torchvisions_start_is_pytorchs_own():
    """Uniform within 1 / sqrt(fan in), weights and biases: all of it is used, and the spread is a uniform's."""
    net = starting("torchvision")
    for layer, module in net.weighted_layers().items():
        bound = module.weight[0].numel() ** -0.5
        values = module.weight.detach().double() / bound
        assert float(values.abs().max()) <= 1 + 1e-6, layer
        assert float(values.abs().max()) > 0.99, layer
        assert float(values.square().mean()) == pytest.approx(1 / 3, rel=0.05), layer
        assert 0.8 < module.bias.abs().max().item() / bound <= 1 + 1e-6, layer


def test_grouped_full_layers_start_within_pytorchs_bound_too():
    net = AlexNet(small(exchange=("fc8",), deviations=None), CLASSES, seed=0)
    bound = net.fc6.weight.shape[1] ** -0.5
    assert net.fc6.weight.shape == (40, 64)
    assert 0.95 * bound < net.fc6.weight.abs().max().item() <= bound
    assert 0.8 * bound < net.fc6.bias.abs().max().item() <= bound


@pytest.mark.parametrize("name", ["paper", "torchvision"])
def test_a_seed_gives_the_same_start_and_leaves_the_global_generator_alone(name):
    torch.manual_seed(12)
    before = torch.random.get_rng_state()
    first = AlexNet(small(name), CLASSES, seed=5).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(13)
    again = AlexNet(small(name), CLASSES, seed=5).state_dict()
    other = AlexNet(small(name), CLASSES, seed=6).state_dict()
    unseeded = [AlexNet(small(name), CLASSES).state_dict() for _ in range(2)]
    for key, value in first.items():
        assert torch.equal(value, again[key])
        if key.endswith("weight"):
            assert not torch.equal(value, other[key]) and not torch.equal(unseeded[0][key], unseeded[1][key])


def test_a_start_leaves_the_generators_of_gpus_alone_too(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    AlexNet(small("torchvision"), CLASSES, seed=0)
    assert not seeded


@pytest.mark.parametrize("name", ["paper", "torchvision"])
def test_layers_start_from_draws_of_their_own(name):
    state = AlexNet(small(name), CLASSES, seed=5).state_dict()
    starts = [value.flatten()[:20] / value.std() for key, value in state.items() if key.endswith("weight")]
    assert all(not torch.allclose(a, b) for i, a in enumerate(starts) for b in starts[:i])


# -- weights of others


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return torchvision.models.alexnet(weights=None).eval()


def test_torchvisions_alexnet_is_ours_with_its_weights(theirs):
    net = AlexNet(AlexNetConfig.torchvision()).eval()
    load_weights(net, theirs.state_dict())
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = theirs(x)
        assert gap(net(x), wanted) < 1e-6
        hidden = theirs.classifier[:6](theirs.avgpool(theirs.features(x)).flatten(1))
        assert torch.allclose(net.features(x), hidden, rtol=1e-5, atol=1e-7)
    assert sum(p.numel() for p in net.parameters()) == 61_100_840


@pytest.mark.parametrize(
    "wrap",
    [
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.module.{name}",
        lambda name: name.replace("features.", "features.module."),
    ],
    ids=["DataParallel", "DDP compiled", "features alone"],
)
def test_names_that_wrappers_made_longer_load_too(theirs, wrap):
    net = AlexNet(AlexNetConfig.torchvision(), seed=0)
    load_weights(net, {wrap(name): value for name, value in theirs.state_dict().items()})
    ours, wanted = net.state_dict(), theirs.state_dict()
    assert torch.equal(ours["conv2.weight"], wanted["features.3.weight"])
    assert torch.equal(ours["fc8.bias"], wanted["classifier.6.bias"])


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(theirs, number):
    state = {name: value.clone() for name, value in theirs.state_dict().items()}
    state["features.3.weight"][5, 6, 1, 1] = number
    with pytest.raises(DataError, match="features.3.weight holds NaN or infinity"):
        load_weights(AlexNet(AlexNetConfig.torchvision(), seed=0), state)


def test_two_names_of_one_tensor_are_refused(theirs):
    state = theirs.state_dict()
    with pytest.raises(DataError, match="under two names"):
        load_weights(AlexNet(AlexNetConfig.torchvision(), seed=0), state | {"conv1.weight": state["features.0.weight"]})


def test_torchvisions_training_mode_is_ours_too(theirs):
    """Their dropout draws from torch's generator, as ours without a seed: the same units fall."""
    config = small("torchvision", hidden=(48, 48))
    net = AlexNet(config, CLASSES, seed=0)
    x = torch.randn(4, 48)
    torch.manual_seed(3)
    wanted = torch.nn.functional.dropout(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(net.drop7(x), wanted)


@pytest.fixture
def caffe():
    return lively(AlexNet(small("caffe"), CLASSES, seed=0)).float().eval()


def as_caffe(net):
    """NumPy arrays in the shapes of Caffe's first file format: four axes, biases (1, 1, 1, N)."""
    state = {}
    for key, value in net.state_dict().items():
        old = (1, 1, 1, -1) if value.ndim == 1 else (1, 1, *value.shape) if value.ndim == 2 else value.shape
        state[key] = value.numpy().reshape(old).copy()
    return state


def test_old_caffe_files_and_their_bgr_kernels(caffe):
    """A network trained on BGR pixels, given them, equals the one loaded with channel_order, given RGB."""
    net = AlexNet(caffe.config, CLASSES, seed=1).eval()
    state = as_caffe(caffe)
    assert state["fc6.bias"].shape == (1, 1, 1, 40) and state["fc6.weight"].ndim == 4
    load_weights(net, state, channel_order="BGR")
    rgb = images(caffe.config, dtype=torch.float32)
    wanted = caffe(rgb.flip(1))
    assert gap(net(rgb), wanted) < 1e-5
    load_weights(net, state)
    assert torch.equal(net(rgb), caffe(rgb))
    assert np.array_equal(state["conv1.weight"], as_caffe(caffe)["conv1.weight"])  # the caller's arrays stay


@pytest.mark.parametrize("name", ["paper", "torchvision", "sixth_conv", "caffe"])
def test_our_own_state_dicts_load(name):
    source, net = (AlexNet(small(name), CLASSES, seed=seed) for seed in (0, 1))
    load_weights(net, source.state_dict())
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in net.state_dict().items())


def test_batch_norms_tensors_load_too():
    config = small(norm="batch")
    source, net = AlexNet(config, CLASSES, seed=0), AlexNet(config, CLASSES, seed=1)
    source(images(config, dtype=torch.float32))
    load_weights(net, source.state_dict())
    assert int(net.norm1.num_batches_tracked) == 1
    assert torch.equal(net.norm2.running_var, source.norm2.running_var)


def full_state(name, classes=1000, **changes):
    """A state dict at a variant's own widths, few hidden units, without numbers."""
    net = AlexNet(replace(VARIANTS[name](), hidden=(8, 8), **changes), classes, seed=0)
    return OrderedDict(net.state_dict())


@pytest.mark.parametrize(
    "into, out_of, said",
    [
        (
            "paper",
            "torchvision",
            r"^conv1.weight: the state dict holds \(64, 3, 11, 11\), this network \(paper\) has "
            r"\(96, 3, 11, 11\); it looks like AlexNetConfig.torchvision\(\)",
        ),
        ("torchvision", "paper", r"^conv1.weight: .*; it looks like AlexNetConfig.paper\(\)"),
        ("torchvision", "caffe", r"^conv1.weight: .*; it looks like AlexNetConfig.paper\(\)"),
        ("code2012", "one_gpu_half", r"^conv1.weight: .*; it looks like AlexNetConfig.one_gpu_half\(\)"),
        ("sixth_conv", "paper", r"^conv6.weight is missing from the state dict; it looks like AlexNetConfig.paper\(\)"),
        (
            "paper",
            "sixth_conv",
            r"^conv6.weight is in the state dict, but this network \(paper\) has no such tensor; "
            r"it looks like AlexNetConfig.sixth_conv\(\)",
        ),
    ],
)
def test_a_state_dict_of_another_variant_is_refused_by_its_first_tensor(into, out_of, said):
    net = AlexNet(replace(VARIANTS[into](), hidden=(8, 8)), seed=0)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(DataError, match=said):
        load_weights(net, full_state(out_of))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_a_file_of_this_very_variant_is_not_said_to_look_like_it():
    net = AlexNet(replace(AlexNetConfig(), hidden=(8, 8)), seed=0)
    with pytest.raises(DataError, match=r"^fc6.bias: the state dict holds \(9,\), this network \(paper\) has \(8,\)$"):
        load_weights(net, {**full_state("paper"), "fc6.bias": torch.zeros(9)})


def test_one_column_without_groups_is_told_from_two():
    with pytest.raises(
        DataError, match=r"^conv2.weight: the state dict holds \(256, 96, 5, 5\).*\(256, 48, 5, 5\): its"
    ):
        load_weights(AlexNet(replace(AlexNetConfig(), hidden=(8, 8)), seed=0), full_state("paper", columns=1))


def test_another_number_of_classes_is_said():
    net = AlexNet(small(), CLASSES, seed=0)
    state = AlexNet(small(), 7, seed=0).state_dict()
    with pytest.raises(DataError, match=r"^fc8.weight: .*for 7 classes; make the network with num_classes=7"):
        load_weights(net, state)


@pytest.mark.parametrize("missing", ["conv1.weight", "conv4.bias", "fc8.bias"])
def test_a_missing_tensor_is_named(missing):
    net = AlexNet(small(), CLASSES, seed=0)
    state = {key: value for key, value in net.state_dict().items() if key != missing}
    with pytest.raises(DataError, match=f"^{missing} is missing from the state dict"):
        load_weights(net, state)


def test_the_first_in_the_order_of_layers_is_named_whatever_the_files_order():
    net = AlexNet(small(), CLASSES, seed=0)
    state = OrderedDict(reversed(list(net.state_dict().items())))
    del state["fc8.weight"]
    state["conv3.bias"] = torch.zeros(5)
    with pytest.raises(
        DataError, match=r"^conv3.bias: the state dict holds \(5,\), this network \(paper\) has \(24,\)"
    ):
        load_weights(net, state)


@pytest.mark.parametrize("extra", ["conv5.scale", "mean", "norm1.weight", "features.1.weight"])
def test_a_tensor_too_many_is_named_and_nothing_is_loaded(extra):
    net, source = AlexNet(small(), CLASSES, seed=0), AlexNet(small(), CLASSES, seed=1)
    before = net.conv1.weight.clone()
    with pytest.raises(DataError, match=f"^{extra} is in the state dict, but this network"):
        load_weights(net, {**source.state_dict(), extra: torch.zeros(3)})
    assert torch.equal(net.conv1.weight, before)


def test_a_transposed_tensor_is_refused_though_it_has_as_many_numbers():
    net = AlexNet(small(), CLASSES, seed=0)
    state = net.state_dict()
    with pytest.raises(DataError, match=r"^fc7.weight: the state dict holds \(40, 24\)"):
        load_weights(net, {**state, "fc7.weight": state["fc7.weight"].T})


@pytest.mark.parametrize("around, key", [("state_dict", "state_dict"), ("model", "model")])
def test_a_checkpoint_that_holds_a_state_dict_is_not_one(around, key):
    net = AlexNet(small(), CLASSES, seed=0)
    with pytest.raises(DataError, match=f"^'{key}' is a OrderedDict, not a tensor"):
        load_weights(net, {around: net.state_dict(), "epoch": 3})


def test_a_single_number_in_place_of_biases_is_refused():
    net = AlexNet(small(), CLASSES, seed=0)
    with pytest.raises(DataError, match=r"^fc8.bias: the state dict holds \(\), this network \(paper\) has \(10,\)"):
        load_weights(net, {**net.state_dict(), "fc8.bias": torch.tensor(1.0)})


def test_an_unknown_channel_order_is_refused():
    net = AlexNet(small(), CLASSES, seed=0)
    with pytest.raises(SettingError, match="channel_order 'GRB' is not known"):
        load_weights(net, net.state_dict(), channel_order="GRB")
