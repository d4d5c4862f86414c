"""The network on two devices against the same network on one: outputs, gradients, masks, state dicts."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from reference_alexnet import CLASSES, SMALL, gap, images, lively, small

from alexnet_lib.errors import DataError, SettingError
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig, ablations
from alexnet_lib.network.dropout import seed_dropout
from alexnet_lib.network.published_weights import load_weights
from alexnet_lib.network.two_gpu import TwoGPUAlexNet, column_of, join_columns

pytestmark = pytest.mark.usefixtures("one_thread")
TOLERANCE = 1e-10


def ablation(name, base=AlexNetConfig.paper):
    return replace(ablations(base())[name], **SMALL)


CONFIGS = {
    "paper": small(),
    "code2012": small("code2012"),
    "sixth_conv": small("sixth_conv"),
    "never_exchange": ablation("never_exchange"),
    "always_exchange": ablation("always_exchange"),
    "exchange_at_conv2": ablation("exchange_at_conv2"),
    "sixth seeing both": small("sixth_conv", exchange=("conv2", "conv6", "fc8")),
    "batch_norm": ablation("batch_norm"),
    "batch_norm of 2012": ablation("batch_norm", AlexNetConfig.code2012),
    "tanh after batch norm": small(activation="tanh_bn", norm="none"),
    "no_norm": ablation("no_norm"),
    "no_conv3": ablation("no_conv3"),
    "no_conv5": ablation("no_conv5"),
    "average_pool": ablation("average_pool"),
    "dropout inverted": small(dropout_kind="inverted", dropout=0.3),
    "dropout before": small(dropout_kind="inverted", dropout_first=True),
    "dropout before, apart": small(dropout_first=True, exchange=("conv3", "fc8")),
}


def pair(config, devices=("cpu", "cpu")):
    """The single network in float64, and its split with the same weights."""
    single = lively(AlexNet(config, CLASSES, seed=0))
    split = TwoGPUAlexNet(config, devices, CLASSES, seed=1).double()
    split.load_single(single.state_dict())
    return single, split


def hold_equal(single, split, training, without_effect=()):
    """Two steps, so that running averages and later masks count too; 5 images, an odd number.

    without_effect: parameters whose gradients are nothing but rounding.
    """
    for net in (single, split):
        net.train(training)
    seed_dropout(single, 7)
    split.drop_as(7)
    labels = torch.tensor([0, 3, 9, 9, 1])
    for step in range(2):
        x = images(single.config, 5, seed=step).requires_grad_()
        again = x.detach().clone().requires_grad_()
        wanted, got = single(x), split(again)
        assert got.device == split.devices[0]
        assert gap(got.cpu(), wanted) < TOLERANCE
        F.cross_entropy(wanted, labels).backward()
        F.cross_entropy(got, labels.to(got.device)).backward()
        gradients = split.single_gradients()
        assert list(gradients) == [name for name, _ in single.named_parameters()]
        largest = max(float(p.grad.abs().max()) for p in single.parameters())
        for name, parameter in single.named_parameters():
            if name in without_effect:
                assert float(gradients[name].abs().max()) < 1e-12 * largest, name
            else:
                assert gap(gradients[name].cpu(), parameter.grad) < TOLERANCE, name
        assert gap(again.grad, x.grad) < TOLERANCE
    state = split.state_dict()
    assert list(state) == list(single.state_dict())
    for name, value in single.state_dict().items():
        assert state[name].shape == value.shape
        assert torch.allclose(state[name].cpu(), value, rtol=1e-12, atol=1e-12), name


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", CONFIGS)
def test_two_devices_equal_one_in_outputs_and_every_gradient(name, training):
    hold_equal(*pair(CONFIGS[name]), training, before_batch_norm(CONFIGS[name]) if training else ())


def before_batch_norm(config):
    """Biases that batch norm, while training, takes away again with the mean."""
    if config.activation == "tanh_bn":
        return {f"{layer}.bias" for layer in config.layers if layer != "fc8"}
    return {"conv1.bias", "conv2.bias"} if config.norm == "batch" else set()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
@pytest.mark.parametrize("name", ["paper", "code2012", "always_exchange", "batch_norm"])
def test_two_gpus_equal_one_device(name):
    single, split = pair(CONFIGS[name], ("cuda:0", "cuda:1"))
    assert {p.device.index for p in split.columns[1].parameters()} == {1}
    split.eval()
    hold_equal(single.eval(), split, training=False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_and_a_cpu_make_a_pair_too():
    single, split = pair(CONFIGS["paper"], ("cuda:0", "cpu"))
    hold_equal(single, split, training=False)


def test_training_without_the_same_masks_differs():
    """The masks are what makes training mode comparable: the equality above is not blind to them."""
    single, split = pair(CONFIGS["paper"])
    seed_dropout(single, 7)
    split.drop_as(8)
    x = images(single.config)
    assert gap(split(x), single(x)) > 1e-3


def test_training_steps_stay_together():
    """Three steps of gradient descent: the weights go on being the same."""
    single, split = pair(CONFIGS["code2012"])
    seed_dropout(single, 1)
    split.drop_as(1)
    optimizers = [torch.optim.SGD(net.parameters(), lr=1e-6) for net in (single, split)]
    begin = single.conv1.weight.detach().clone()
    for step in range(3):
        x = images(single.config, seed=step)
        for net, optimizer in zip((single, split), optimizers, strict=True):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
    assert gap(begin, single.conv1.weight) > 1e-6
    for name, value in single.state_dict().items():
        assert gap(split.state_dict()[name], value) < TOLERANCE, name


@pytest.mark.parametrize("training", [False, True])
def test_features_are_the_single_networks(training):
    single, split = pair(CONFIGS["paper"])
    x = images(single.config)
    seed_dropout(single, 7)
    split.drop_as(7)
    for net in (single, split):
        net.train(training)
    features = split.features(x)
    assert features.shape == (2, 24)
    assert gap(features, single.features(x)) < TOLERANCE


def test_starting_weights_are_the_single_networks_by_seed():
    split = TwoGPUAlexNet(small(), num_classes=CLASSES, seed=5)
    for name, value in AlexNet(small(), CLASSES, seed=5).state_dict().items():
        assert torch.equal(split.state_dict()[name], value), name


def test_the_paper_net_is_the_default_and_each_device_holds_half():
    split = TwoGPUAlexNet(small(), num_classes=CLASSES, seed=0)
    first, second = ({name: tuple(p.shape) for name, p in column.named_parameters()} for column in split.columns)
    assert first.pop("fc8.weight") == (CLASSES, 24) and first.pop("fc8.bias") == (CLASSES,)
    assert first == second
    assert first["conv2.weight"] == (16, 8, 5, 5) and first["conv3.weight"] == (12, 32, 3, 3)
    assert first["fc6.weight"] == (20, 128)
    assert TwoGPUAlexNet.__init__.__defaults__[0] is None


@pytest.mark.parametrize("name", ["paper", "batch_norm", "tanh after batch norm"])
def test_state_dicts_go_round(name):
    single, split = pair(CONFIGS[name])
    split.train()(images(single.config))
    other = AlexNet(CONFIGS[name], CLASSES, seed=3).double()
    other.load_state_dict(split.state_dict())
    third = TwoGPUAlexNet(CONFIGS[name], num_classes=CLASSES, seed=4).double()
    third.load_state_dict(other.state_dict())
    for key, value in split.state_dict().items():
        assert torch.equal(third.state_dict()[key], value), key
    x = images(single.config)
    assert torch.equal(third.eval()(x), split.eval()(x))
    assert not any(key.startswith("columns") for key in split.state_dict())


def test_inside_another_module_the_state_dict_is_whole():
    single, split = AlexNet(small(), CLASSES, seed=0), TwoGPUAlexNet(small(), num_classes=CLASSES, seed=0)
    state = torch.nn.Sequential(split).state_dict()
    assert list(state) == [f"0.{name}" for name in single.state_dict()]
    assert all(torch.equal(state[f"0.{name}"], value) for name, value in single.state_dict().items())


def test_gradients_that_are_not_there_are_left_out():
    """Before the first backward pass, and of frozen layers, as the 2012 code froze conv1 late in training."""
    split = TwoGPUAlexNet(small(), num_classes=CLASSES, seed=0)
    assert split.single_gradients() == {}
    for column in split.columns:
        column.conv1.requires_grad_(False)
    split(images(small(), dtype=torch.float32)).sum().backward()
    names = [name for name, _ in AlexNet(small(), CLASSES, seed=0).named_parameters()]
    assert list(split.single_gradients()) == [name for name in names if not name.startswith("conv1")]


@pytest.mark.parametrize("name", ["paper", "batch_norm", "never_exchange"])
def test_columns_cut_and_joined_are_the_whole(name):
    state = AlexNet(CONFIGS[name], CLASSES, seed=0).state_dict()
    parts = [column_of(state, index) for index in range(2)]
    assert "fc8.weight" in parts[0] and "fc8.weight" not in parts[1]
    joined = join_columns(*parts)
    assert list(joined) == list(state)
    assert all(torch.equal(joined[key], value) for key, value in state.items())


def test_weights_of_others_load_into_the_split():
    source = AlexNet(small(), CLASSES, seed=8)
    split = TwoGPUAlexNet(small(), num_classes=CLASSES, seed=9)
    load_weights(split, {name: value.numpy() for name, value in source.state_dict().items()})
    assert torch.equal(split.columns[1].conv1.weight, source.conv1.weight[8:])
    with pytest.raises(DataError, match=r"^fc8.weight: .*num_classes=7"):
        load_weights(split, AlexNet(small(), 7, seed=0).state_dict())


def test_half_precision_and_memory_order_go_through():
    single, split = (net.float().eval() for net in pair(CONFIGS["paper"]))
    x = images(single.config, dtype=torch.float32).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        wanted, got = single(x), split(x)
    assert got.dtype == torch.bfloat16
    assert gap(got.float(), wanted.float()) < 0.02


@pytest.mark.parametrize(
    "config, said",
    [
        (small("one_gpu_half"), "'one_gpu_half' has columns=1; two devices need a network of two columns"),
        (small("torchvision"), "'torchvision' has columns=1"),
        (small(widths=(32, 32, 64, 64, 32), columns=4), "'paper' has columns=4"),
        (small("caffe"), "'caffe' normalises across both columns, .*use lrn with within_columns=True"),
        (ablation("lrn_across"), "'lrn_across' normalises across both columns"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_networks_that_cannot_be_split_are_refused(config, said):
    with pytest.raises(SettingError, match=said):
        TwoGPUAlexNet(config, num_classes=CLASSES)


def test_a_network_across_whose_columns_nothing_normalises_is_split_whatever_its_lrn_says():
    config = small("caffe", norm="none")
    hold_equal(*pair(config), training=True)


def test_devices_are_where_the_columns_were_moved():
    split = TwoGPUAlexNet(small(), ("cpu", "cpu"), CLASSES, seed=1)
    split.drop_as(3)
    split.columns[1].to("meta")
    assert split.devices == (torch.device("cpu"), torch.device("meta"))
    split.to("meta")
    assert split.devices == (torch.device("meta"),) * 2
    size = split.config.input_size
    assert split(torch.empty(2, 3, size, size, device="meta")).device.type == "meta"


@pytest.mark.parametrize("devices", [("cpu",), ("cpu", "cpu", "cpu"), "cpu"])
def test_other_than_two_devices_are_refused(devices):
    with pytest.raises(SettingError, match="name two, such as"):
        TwoGPUAlexNet(small(), devices, CLASSES)


@pytest.mark.parametrize("call", ["forward", "features"])
def test_images_that_do_not_fit_are_refused(call):
    split = TwoGPUAlexNet(small(), num_classes=CLASSES, seed=0)
    with pytest.raises(SettingError, match=r"images of shape \(2, 3, 97, 97\)"):
        getattr(split, call)(torch.zeros(2, 3, 97, 97))
    with pytest.raises(SettingError, match="torch.int64"):
        getattr(split, call)(torch.zeros(2, 3, 96, 96, dtype=torch.int64))


def test_no_classes_are_refused():
    with pytest.raises(SettingError, match="num_classes=0"):
        TwoGPUAlexNet(small(), num_classes=0)


@pytest.mark.parametrize("devices", [("cpu", "gpu"), ("cpu", "cuda:99")])
def test_a_device_that_is_not_there_is_named(devices: tuple[str, str]) -> None:
    with pytest.raises(SettingError, match=devices[1]):
        TwoGPUAlexNet(devices=devices)
