"""The configuration: what each variant and ablation is, which layers see both columns, and what is refused."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest
import torch
from reference_alexnet import SMALL, images, shapes_only

from alexnet_lib.errors import SettingError
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import (
    BATCH_NORM_BLOCKS,
    CODE2012_BLOCKS,
    LAYERS,
    VARIANTS,
    AlexNetConfig,
    ResponseNorm,
    ablations,
)

pytestmark = pytest.mark.usefixtures("one_thread")
PAPER = AlexNetConfig.paper()
INNER = LAYERS[1:]

# What each ablation of the paper's network changes: field by field, written out.
CHANGES = {
    "tanh": {"activation": "tanh"},
    "one_gpu_half": {"widths": (48, 128, 192, 192, 256), "columns": 1},
    "one_column": {"columns": 1},
    "never_exchange": {"exchange": ("fc8",)},
    "always_exchange": {"exchange": ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")},
    "exchange_at_conv2": {"exchange": ("conv2", "conv3", "fc6", "fc7", "fc8")},
    "no_norm": {"norm": "none"},
    "batch_norm": {"norm": "batch", "blocks": BATCH_NORM_BLOCKS},
    "lrn_average": {"lrn": ResponseNorm(5, 2.0, 1e-4, 0.75, True, True)},
    "lrn_across": {"lrn": ResponseNorm(5, 2.0, 1e-4, 0.75, False, False)},
    "pool_2_2": {"pooling": (2, 2)},
    "average_pool": {"pooling_kind": "average"},
    "no_conv2": {"left_out": ("conv2",)},
    "no_conv3": {"left_out": ("conv3",)},
    "no_conv4": {"left_out": ("conv4",)},
    "no_conv5": {"left_out": ("conv5",)},
    "no_dropout": {"dropout": 0.0},
    "biases_0": {"biases": (0, 0, 0, 0, 0, 0, 0, 0)},
    "start_2012": {"deviations": (0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01)},
}


def differences(one, other):
    """The fields, besides the name, in which two configurations differ, with the second's values."""
    values = {field.name: (getattr(one, field.name), getattr(other, field.name)) for field in fields(one)}
    return {name: b for name, (a, b) in values.items() if a != b and name != "name"}


def test_the_papers_own_numbers():
    assert PAPER.widths == (96, 256, 384, 384, 256) and PAPER.hidden == (4096, 4096)
    assert (PAPER.columns, PAPER.input_size, PAPER.first_padding) == (2, 224, (0, 3))
    assert PAPER.exchange == ("conv3", "fc6", "fc7", "fc8")
    assert (PAPER.lrn.n, PAPER.lrn.k, PAPER.lrn.alpha, PAPER.lrn.beta) == (5, 2, 1e-4, 0.75)
    assert (PAPER.pooling, PAPER.pooling_kind, PAPER.activation) == ((3, 2), "max", "relu")
    assert (PAPER.dropout, PAPER.dropout_kind, PAPER.dropout_first) == (0.5, "2012", False)
    assert PAPER.deviations == (0.01,) * 8 and PAPER.biases == (0, 1, 0, 1, 1, 1, 1, 0)
    assert PAPER == AlexNetConfig()


@pytest.mark.parametrize(
    "name, wanted",
    [
        (
            "code2012",
            {
                "lrn": ResponseNorm(average=True),
                "blocks": CODE2012_BLOCKS,
                "deviations": (0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
            },
        ),
        (
            "caffe",
            {
                "input_size": 227,
                "first_padding": (0, 0),
                "lrn": ResponseNorm(5, 1.0, 1e-4, 0.75, True, False),
                "dropout_kind": "inverted",
                "deviations": (0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.01),
                "biases": (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0),
            },
        ),
        (
            "torchvision",
            {
                "widths": (64, 192, 384, 256, 256),
                "columns": 1,
                "first_padding": (2, 2),
                "norm": "none",
                "dropout_kind": "inverted",
                "dropout_first": True,
                "deviations": None,
            },
        ),
        ("one_gpu_half", {"widths": (48, 128, 192, 192, 256), "columns": 1}),
        ("sixth_conv", {"sixth": 256}),
    ],
)
def test_a_variant_differs_from_the_text_in_this_and_nothing_else(name, wanted):
    config = VARIANTS[name]()
    assert config.name == name
    assert differences(PAPER, config) == wanted


@pytest.mark.parametrize("name", CHANGES)
def test_an_ablation_differs_from_the_text_in_this_and_nothing_else(name):
    assert ablations()[name].name == name
    assert differences(PAPER, ablations()[name]) == CHANGES[name]


def test_all_ablations_are_listed_above():
    assert set(ablations()) == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("base", ["paper", "code2012"])
def test_every_ablation_runs_and_has_a_gradient(name, base):
    change = {key: value for key, value in SMALL.items() if not (name == "one_gpu_half" and key == "widths")}
    config = replace(ablations(VARIANTS[base]())[name], **change)
    net = AlexNet(config, 7, seed=0)
    out = net(images(config, dtype=torch.float32))
    assert out.shape == (2, 7) and bool(out.isfinite().all())
    out.sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())
    assert set(net.weighted_layers()) == set(LAYERS) - set(config.left_out)


@pytest.mark.parametrize(
    "changes, seeing_both",
    [
        ({}, {"conv3", "fc6", "fc7", "fc8"}),
        ({"left_out": ("conv3",)}, {"conv4", "fc6", "fc7", "fc8"}),
        ({"left_out": ("conv3", "conv4")}, {"conv5", "fc6", "fc7", "fc8"}),
        ({"left_out": ("conv3", "conv4", "conv5")}, {"fc6", "fc7", "fc8"}),
        ({"left_out": ("conv2",)}, {"conv3", "fc6", "fc7", "fc8"}),
        ({"left_out": ("conv4",)}, {"conv3", "fc6", "fc7", "fc8"}),
        ({"left_out": ("conv2",), "exchange": ("conv2", "fc8")}, {"conv3", "fc8"}),
        ({"left_out": ("conv5",), "exchange": ("conv5", "fc8")}, {"fc6", "fc8"}),
        ({"left_out": ("conv5",), "exchange": ("conv5", "fc8"), "sixth": 8}, {"conv6", "fc8"}),
        ({"exchange": ("fc8",)}, {"fc8"}),
        ({"exchange": INNER}, set(INNER)),
        ({"exchange": ("fc8", "conv2")}, {"conv2", "fc8"}),
        ({"sixth": 8}, {"conv3", "fc6", "fc7", "fc8"}),
        ({"sixth": 8, "exchange": ("conv6", "fc8")}, {"conv6", "fc8"}),
        ({"exchange": ("conv6", "fc8")}, {"fc6", "fc8"}),
    ],
    ids=str,
)
def test_which_layers_see_both_columns(changes, seeing_both):
    config = replace(PAPER, **changes)
    groups = {name: config.groups(name) for name in config.layers}
    assert groups.pop("conv1") == 1
    assert {name for name, count in groups.items() if count == 1} == seeing_both
    assert set(groups.values()) <= {1, 2}
    assert {row.name for row in shapes_only(config).describe().layers if row.exchanges} == seeing_both


def test_always_means_the_sixth_convolution_too():
    config = ablations(AlexNetConfig.sixth_conv())["always_exchange"]
    assert {config.groups(name) for name in config.layers} == {1}


def test_one_column_has_no_groups_and_nothing_to_exchange():
    config = replace(PAPER, columns=1, exchange=("fc8",))
    assert {config.groups(name) for name in config.layers} == {1}
    assert not any(row.exchanges for row in shapes_only(config).describe().rows)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"activation": "swish"}, "activation 'swish' is not known; use one of relu, tanh"),
        ({"pooling": (3,)}, r"pooling \(3,\): 2 entries are needed"),
        ({"first_padding": (1,)}, r"first_padding \(1,\): 2 entries are needed"),
        ({"norm": "layer"}, "norm 'layer' is not known; use one of lrn, batch, none"),
        ({"pooling_kind": "sum"}, "pooling_kind 'sum' is not known; use one of max, average"),
        ({"dropout_kind": "2014"}, "dropout_kind '2014' is not known; use one of 2012, inverted"),
        ({"left_out": ("conv1",)}, "left_out 'conv1': only conv2, conv3, conv4, conv5 can be left out"),
        ({"left_out": ("conv3", "fc6")}, "left_out 'fc6'"),
        ({"left_out": "conv3"}, "left_out 'c'"),
        ({"exchange": ("conv1", "fc8")}, "exchange 'conv1': use names out of conv2, .*, fc8, conv6"),
        ({"exchange": ("conv3", "fc9", "fc8")}, "exchange 'fc9'"),
        ({"exchange": ("conv3",)}, "exchange must have 'fc8'"),
        ({"exchange": ()}, "exchange must have 'fc8'"),
        ({"blocks": (("relu",), (), (), (), ())}, "blocks: 'relu' is not known; use activation, norm"),
        ({"blocks": ((), (), (), ())}, "blocks .*: 5 entries are needed"),
        ({"widths": (96, 256, 384, 384)}, "widths .*: 5 entries are needed"),
        ({"hidden": (4096,)}, "hidden .*: 2 entries are needed"),
        ({"deviations": (0.01,) * 7}, "deviations .*: 8 entries are needed"),
        ({"biases": (0,) * 5}, "biases .*: 8 entries are needed"),
        ({"columns": 3}, "columns=3 does not divide the 256 kernels or units"),
        ({"columns": 0}, "columns=0"),
        ({"columns": -1}, "columns=-1"),
        ({"widths": (96, 256, 384, 385, 256)}, "columns=2 does not divide the 385"),
        ({"widths": (96, 0, 384, 384, 256)}, "columns=2 does not divide the 0"),
        ({"hidden": (4096, 4095)}, "columns=2 does not divide the 4095"),
        ({"sixth": 255}, "columns=2 does not divide the 255"),
    ],
    ids=str,
)
def test_a_field_that_does_not_fit_is_named(changes, said):
    with pytest.raises(SettingError, match=said):
        replace(PAPER, **changes)


def test_a_configuration_cannot_be_changed_by_accident():
    with pytest.raises(FrozenInstanceError):
        PAPER.columns = 1
    assert hash(PAPER) == hash(AlexNetConfig.paper())


def test_a_window_of_lrn_wider_than_a_column_is_refused():
    config = replace(PAPER, **{**SMALL, "widths": (8, 32, 24, 24, 32)})
    with pytest.raises(SettingError, match="n=5 is more than the 4 channels"):
        AlexNet(config, 7, seed=0)(images(config, dtype=torch.float32))
