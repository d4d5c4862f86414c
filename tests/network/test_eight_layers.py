"""The paper's eight layers in small: signals as in the paper's network, biases where it has them, rates of 2012."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alexnet_lib.errors import SettingError
from alexnet_lib.experiments.running.comparison import groups_of
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import LAYERS, AlexNetConfig
from alexnet_lib.network.small.eight_layers import BIASES, PAPERS_INPUTS, EightLayers, EightLayersConfig
from alexnet_lib.training.fit import TrainSettings

TINY = EightLayersConfig(maps=(4, 6, 8, 8, 6), hidden=(10, 12))


def test_it_has_the_papers_layers_and_its_inputs_a_unit_are_the_papers() -> None:
    net = TINY.build(0)
    assert list(net.weighted_layers()) == list(LAYERS)
    assert net(torch.zeros(2, 3, 24, 24)).shape == (2, 10)
    paper = AlexNet(AlexNetConfig.paper(), seed=0).weighted_layers().values()
    assert tuple(layer.weight[0].numel() for layer in paper) == PAPERS_INPUTS


@pytest.mark.parametrize("size", [8, 13, 24, 32])
def test_the_fully_connected_part_fits_every_size(size: int) -> None:
    net = EightLayersConfig(image_size=size, maps=TINY.maps, hidden=TINY.hidden).build(0)
    assert net(torch.zeros(1, 3, size, size)).shape == (1, 10)


@pytest.mark.parametrize("start", ["text", "code2012"])
def test_the_gain_of_each_layer_is_that_of_the_papers(start: str) -> None:
    """Deviation times the root of the inputs: the spread of a sum of independent inputs of spread 1."""
    wanted = {"text": AlexNetConfig.paper(), "code2012": AlexNetConfig.code2012()}[start].deviations
    for layer, deviation, inputs in zip(
        EightLayersConfig(start=start).build(0).weighted_layers().values(), wanted, PAPERS_INPUTS, strict=True
    ):
        gain = float(layer.weight.detach().std()) * layer.weight[0].numel() ** 0.5
        assert gain == pytest.approx(deviation * inputs**0.5, rel=0.06)


def test_biases_stand_where_the_paper_has_them_and_change_no_weight() -> None:
    none, one = (EightLayersConfig(bias=bias).build(3) for bias in (0.0, 1.0))
    for (name, a), b in zip(none.weighted_layers().items(), one.weighted_layers().values(), strict=True):
        assert torch.equal(a.weight, b.weight) and not a.bias.any()
        assert set(b.bias.tolist()) == {1.0 if name in ("conv2", "conv4", "conv5", "fc6", "fc7") else 0.0}
    assert BIASES == (0, 1, 0, 1, 1, 1, 1, 0)
    assert not torch.equal(EightLayersConfig().build(4).layers[0].weight, one.layers[0].weight)


def test_live_shares_are_those_of_the_relus() -> None:
    net, images = TINY.build(0), 64 * torch.randn(5, 3, 24, 24)
    seen = []
    for layer in net.layers:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda _, __, out: seen.append(float((out > 0).float().mean())))
    shares = net.live_shares(images)
    assert list(shares) == list(LAYERS[:-1]) and list(shares.values()) == pytest.approx(seen)
    outputs = net.outputs(images)
    assert list(outputs) == list(LAYERS) and torch.equal(outputs["fc8"], net(images))
    assert sum(TINY.build(0).live_shares(images).values()) > sum(
        EightLayersConfig(bias=0.0, maps=TINY.maps, hidden=TINY.hidden).build(0).live_shares(images).values()
    )


def test_rates_and_decays_are_those_of_2012() -> None:
    of_weights, of_biases = groups_of(TINY.build(0), TrainSettings(rate=0.01, weight_decay=0.0005))
    assert (of_weights["lr"], of_weights["weight_decay"]) == (0.01, 0.0005)
    assert (of_biases["lr"], of_biases["weight_decay"]) == (0.02, 0.0)
    assert len(of_weights["params"]) == len(of_biases["params"]) == 8


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"start": "2012"}, "start '2012' is not known; use one of text, code2012"),
        ({"maps": (1, 2)}, "five numbers of maps"),
        ({"hidden": (0, 5)}, "all 1 or more"),
        ({"image_size": 7}, "image_size 7 is too small"),
    ],
)
def test_what_cannot_be_is_named(wrong: dict, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        EightLayersConfig(**wrong)
    assert isinstance(EightLayers(TINY), EightLayers)
