"""The network against a slow one out of plain operations, in float64: outputs, every gradient, and bad input."""

import copy
from dataclasses import replace

import pytest
import torch
from reference_alexnet import CLASSES, REFERENCES, gap, images, lively, masks_of, small
from torch import nn

from alexnet_lib.errors import SettingError
from alexnet_lib.network.alexnet import AlexNet, GroupedLinear
from alexnet_lib.network.config import VARIANTS, AlexNetConfig, ablations
from alexnet_lib.network.dropout import seed_dropout
from alexnet_lib.network.nonlinearities import Activation

pytestmark = pytest.mark.usefixtures("one_thread")
TOLERANCE = 1e-10


def reference(name, net, x, masks=None):
    """Logits of the plain network with copies of the net's weights, and those copies, to differentiate by."""
    state = {key: value.detach().clone().requires_grad_() for key, value in net.named_parameters()}
    return REFERENCES[name](x, state, masks), state


def pull(logits):
    """A number to differentiate, in which every logit has a weight of its own."""
    return (logits * torch.linspace(-1, 2, logits.numel(), dtype=logits.dtype).view_as(logits)).sum()


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_outputs_and_every_gradient_are_those_of_the_plain_network(name, training):
    net = lively(AlexNet(small(name), CLASSES, seed=0)).train(training)
    x, again = (images(net.config).requires_grad_() for _ in range(2))
    masks = None
    if training:
        seed_dropout(net, 4)
        masks = masks_of(net)
        seed_dropout(net, 4)
    logits = net(x)
    wanted, state = reference(name, net, again, masks)
    assert gap(logits, wanted) < TOLERANCE
    pull(logits).backward()
    pull(wanted).backward()
    for key, parameter in net.named_parameters():
        assert gap(parameter.grad, state[key].grad) < TOLERANCE, key
    assert gap(x.grad, again.grad) < TOLERANCE


@pytest.mark.parametrize("name", REFERENCES)
def test_outputs_at_the_variants_own_widths_and_image_size(name):
    config = replace(VARIANTS[name](), hidden=(64, 48))
    net = lively(AlexNet(config, CLASSES, seed=0)).eval()
    x = images(config, count=1)
    with torch.no_grad():
        assert gap(net(x), reference(name, net, x)[0]) < TOLERANCE


def test_the_references_differ_so_agreeing_with_one_says_something():
    """The same weights through the text's network and the 2012 code's."""
    net = lively(AlexNet(small(), CLASSES, seed=0)).eval()
    x = images(net.config)
    outputs = {name: reference(name, net, x)[0] for name in ("paper", "code2012")}
    assert gap(outputs["code2012"], outputs["paper"]) > 0.01


def test_the_224_image_is_padded_at_right_and_bottom():
    """conv1's last window starts 8 pixels before the bottom: of the image's last line, no other window sees any."""
    net = lively(AlexNet(small(), CLASSES, seed=0)).eval()
    x = images(net.config, count=1)
    changed = x.clone()
    changed[..., -1, :] += 1.0
    before, after = net[:2](x), net[:2](changed)
    assert torch.equal(before[..., :-1, :], after[..., :-1, :])
    assert not torch.equal(before[..., -1:, :], after[..., -1:, :])


@pytest.mark.parametrize("name", VARIANTS)
def test_every_layer_but_the_last_has_a_nonlinearity_behind_it(name):
    config = small(name)
    kinds = [type(layer) for layer in AlexNet(config, CLASSES, seed=0)]
    assert kinds.count(Activation) == len(config.layers) - 1
    last = len(kinds) - 1
    for place, kind in enumerate(kinds):
        if kind in (nn.Conv2d, nn.Linear, GroupedLinear) and place != last:
            following = [k for k in kinds[place + 1 :] if k in (nn.Conv2d, nn.Linear, GroupedLinear, Activation)]
            assert following[0] is Activation


def test_grouped_layers_see_their_own_half_only():
    layer = GroupedLinear(6, 4, 2).double()
    layer.reset_parameters()
    nn.init.zeros_(layer.bias)
    x = torch.eye(6, dtype=torch.float64)
    out = layer(x)
    assert bool((out[:3, 2:] == 0).all()) and bool((out[3:, :2] == 0).all())
    assert torch.equal(out[:3, :2].T, layer.weight[:2]) and torch.equal(out[3:, 2:].T, layer.weight[2:])


@pytest.mark.parametrize("name", ["never_exchange", "always_exchange", "exchange_at_conv2"])
def test_exchange_patterns_connect_what_they_say(name):
    """A gradient with respect to the other column's units is zero just where a layer does not see them."""
    config = replace(ablations()[name], **{k: getattr(small(), k) for k in ("widths", "hidden", "input_size")})
    net = lively(AlexNet(config, CLASSES, seed=0)).eval()
    sees_both = {
        "never_exchange": {"fc8"},
        "always_exchange": {"conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"},
    }
    wanted = sees_both.get(name, {"conv2", "conv3", "fc6", "fc7", "fc8"})
    got = set()
    for layer in config.layers[1:]:
        module = net.get_submodule(layer)
        channels = net.describe().rows[[row.name for row in net.describe().rows].index(layer) - 1].shape[0]
        if layer == "fc6":
            channels *= 2 * 2
        x = torch.randn(1, channels, *([5, 5] if layer.startswith("conv") else []), dtype=torch.float64)
        x.requires_grad_()
        out = module(x)
        (seen,) = torch.autograd.grad(out[:, 0].sum(), x)
        if bool((seen[:, channels // 2 :] != 0).any()):
            got.add(layer)
        assert bool((seen[:, : channels // 2] != 0).any())
    assert got == wanted


def test_features_are_fc7_after_its_relu_and_before_dropout():
    net = lively(AlexNet(small(), CLASSES, seed=0)).eval()
    x = images(net.config)
    features = net.features(x).detach()
    assert features.shape == (2, 24)
    assert float(features.min()) == 0 and float(features.max()) > 0
    assert torch.allclose(net.fc8(features / 2), net(x), rtol=1e-12, atol=0)
    first = lively(AlexNet(small("torchvision"), CLASSES, seed=0)).eval()
    assert torch.allclose(first.fc8(first.features(x)), first(x), rtol=1e-12, atol=0)


def test_a_slice_shares_the_weights():
    net = AlexNet(small(), CLASSES, seed=0)
    part = net[:3]
    assert type(part) is nn.Sequential and part[1] is net.conv1
    assert part(images(net.config, dtype=torch.float32)).shape == (2, 16, 23, 23)


def test_no_images_and_one_image_and_other_memory_orders():
    net = lively(AlexNet(small(), CLASSES, seed=0)).eval()
    x = images(net.config)
    wanted = net(x)
    assert net(x[:0]).shape == (0, CLASSES)
    assert gap(net(x[1:]), wanted[1:]) < TOLERANCE
    assert gap(net(x.contiguous(memory_format=torch.channels_last)), wanted) < TOLERANCE


def test_a_copy_taken_in_the_middle_of_training_drops_the_same_units():
    net = AlexNet(small(), CLASSES, seed=0)
    x = images(net.config, dtype=torch.float32)
    seed_dropout(net, 2)
    net(x)
    twin = copy.deepcopy(net)
    assert torch.equal(net(x), twin(x))


SIDE = small().input_size


@pytest.mark.parametrize(
    "x, said",
    [
        (torch.zeros(2, 3, SIDE + 1, SIDE + 1), r"\(2, 3, 97, 97\): this network \(paper\) takes \(N, 3, 96, 96\)"),
        (torch.zeros(2, 3, SIDE, SIDE - 1), r"\(2, 3, 96, 95\)"),
        (torch.zeros(2, 1, SIDE, SIDE), r"\(2, 1, 96, 96\)"),
        (torch.zeros(3, SIDE, SIDE), r"\(3, 96, 96\)"),
        (torch.zeros(1, 1, 3, SIDE, SIDE), r"\(1, 1, 3, 96, 96\)"),
        (torch.zeros(2, SIDE, SIDE, 3), r"\(2, 96, 96, 3\)"),
        (torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8), r"torch.uint8: convert them with .float\(\)"),
    ],
    ids=["size", "not square", "grey", "3-D", "5-D", "channels last", "integers"],
)
@pytest.mark.parametrize("call", ["forward", "features"])
def test_images_that_do_not_fit_are_refused(x, said, call):
    net = AlexNet(small(), CLASSES, seed=0)
    with pytest.raises(SettingError, match=said):
        getattr(net, call)(x)


def test_a_step_named_twice_in_a_block_is_refused():
    twice = (("activation", "norm", "norm", "pool"), *small().blocks[1:])
    with pytest.raises(SettingError, match="norm1 would be there twice"):
        AlexNet(small(blocks=twice), CLASSES)


@pytest.mark.parametrize("classes", [0, -1])
def test_no_classes_are_refused(classes):
    with pytest.raises(SettingError, match=f"num_classes={classes}"):
        AlexNet(small(), classes)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"input_size": 10, "first_padding": (0, 0)}, "a window of 11 does not fit into 10 pixels"),
        ({"input_size": 30}, "a window of 3 does not fit"),
        ({"dropout": 1.0}, "dropout rate 1.0 is outside"),
        ({"dropout": -0.1}, "dropout rate -0.1 is outside"),
        ({"pooling": (3, 0)}, "moved by 0"),
        ({"first_padding": (-1, 3)}, "cannot be negative"),
    ],
    ids=str,
)
def test_numbers_that_give_no_network_are_refused(changes, said):
    with pytest.raises(SettingError, match=said):
        AlexNet(replace(AlexNetConfig(), hidden=(8, 8), **changes), CLASSES)
