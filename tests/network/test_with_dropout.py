"""The small network with dropout on two hidden layers: shapes by hand, places, starts, and what can be taken out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from small_sets import separable
from torch import nn

from alexnet_lib.augment import PixelScale
from alexnet_lib.errors import SettingError
from alexnet_lib.measures.dropout_ensemble import DroppedStack
from alexnet_lib.network.dropout import Dropout
from alexnet_lib.network.small.with_dropout import DropoutNet, DropoutNetConfig
from alexnet_lib.training.fit import TrainSettings, error_rate, fit, train_step
from alexnet_lib.training.optimizer import PaperSGD

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = DropoutNetConfig(maps=(4, 6, 8), hidden=(20, 12), classes=4, image_size=8)


def kinds(net: DropoutNet) -> list[str]:
    return [type(layer).__name__ for layer in net.head]


def test_dropout_stands_where_it_is_said_to_stand() -> None:
    full = ["Linear", "ReLU"]
    assert kinds(DropoutNet(SMALL)) == [*full, "Dropout", *full, "Dropout", "Linear"]
    assert kinds(DropoutNet(replace(SMALL, place="before"))) == ["Dropout", *full, "Dropout", *full, "Linear"]
    assert kinds(DropoutNet(replace(SMALL, rate=0))) == [*full, *full, "Linear"]
    assert DroppedStack.of(DropoutNet(SMALL).head).dropped == (False, True, True)
    assert DroppedStack.of(DropoutNet(replace(SMALL, place="before")).head).dropped == (True, True, False)


def test_the_weights_are_as_many_as_counted_by_hand() -> None:
    convolutions = (75 * 32 + 32) + (800 * 32 + 32) + (800 * 64 + 64)
    full = (9 * 64 * 512 + 512) + (512 * 512 + 512) + (512 * 10 + 10)
    for net in (DropoutNet(), DropoutNet(DropoutNetConfig(rate=0))):
        assert sum(map(torch.numel, net.parameters())) == convolutions + full


@pytest.mark.parametrize("side", [8, 24, 32])
def test_every_size_passes_through(side: int) -> None:
    assert DropoutNet(replace(SMALL, image_size=side))(torch.zeros(2, 3, side, side)).shape == (2, 4)


def test_a_seed_starts_all_alike_by_hes_rule() -> None:
    nets = [
        DropoutNet(replace(SMALL, **change), seed=3)
        for change in ({}, {"rate": 0}, {"place": "before"}, {"kind": "inverted"})
    ]
    weights = [[p for p in net.parameters()] for net in nets]
    assert all(torch.equal(a, b) for others in weights[1:] for a, b in zip(weights[0], others, strict=True))
    net = DropoutNet(seed=0)
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    wanted = [(2 / 75) ** 0.5, (2 / 800) ** 0.5, (2 / 800) ** 0.5, (2 / 576) ** 0.5, (2 / 512) ** 0.5, (1 / 512) ** 0.5]
    assert [layer.weight.std().item() for layer in layers] == pytest.approx(wanted, rel=0.05)
    assert not any(layer.bias.any() for layer in layers)


@pytest.mark.parametrize("change", [{}, {"kind": "inverted"}, {"place": "before"}, {"rate": 0}])
def test_hidden_outputs_lead_to_the_networks_logits(change: dict) -> None:
    net = DropoutNet(replace(SMALL, **change), seed=1)
    images = 64 * torch.randn(5, 3, 8, 8)
    first, second = net.hidden(images)
    assert first.shape == (5, 20) and second.shape == (5, 12) and net.training
    logits = net.eval()(images)
    for layer, outputs in enumerate((first, second)):
        torch.testing.assert_close(net.logits_from(layer, outputs), logits)
        assert (outputs >= 0).all() and not net.training
    torch.testing.assert_close(
        DroppedStack.of(net.head, torch.float32).log_probabilities(net.features(images)), logits.log_softmax(1)
    )


def test_both_kinds_train_alike_when_weights_and_rates_are_matched() -> None:
    """Weights behind a dropout times 1 - p, their rates times (1 - p)^2, their decay over it: the same run."""
    p, images, labels = 0.5, 64 * torch.randn(16, 3, 8, 8, dtype=torch.float64), torch.arange(16) % 4
    nets, losses = {}, {}
    for kind in ("2012", "inverted"):
        net = nets[kind] = DropoutNet(replace(SMALL, rate=p, kind=kind), seed=2).double()
        behind = [net.head[3].weight, net.head[6].weight]
        factor = 1 - p if kind == "inverted" else 1.0
        with torch.no_grad():
            for weight in behind:
                weight *= factor
        others = [w for w in net.parameters() if all(w is not each for each in behind)]
        groups = [{"params": behind, "lr": 0.05 * factor**2, "weight_decay": 0.01 / factor**2}, {"params": others}]
        optimizer = PaperSGD(groups, 0.05, weight_decay=0.01)
        for seed, layer in enumerate(each for each in net.head if isinstance(each, Dropout)):
            layer.draw_from(seed)
        losses[kind] = [float(train_step(net, optimizer, images, labels)[0]) for _ in range(20)]
    assert losses["2012"] == pytest.approx(losses["inverted"], rel=1e-9)
    assert losses["2012"][-1] < losses["2012"][0]
    torch.testing.assert_close(*(net.eval()(images) for net in nets.values()), rtol=1e-9, atol=1e-12)


def test_decay_is_for_weights_only() -> None:
    net, settings = DropoutNet(SMALL), TrainSettings(rate=0.01, weight_decay=0.0005)
    groups = net.parameter_groups(settings.rate, settings.weight_decay)
    optimizer = PaperSGD(groups, settings.rate, weight_decay=settings.weight_decay)
    told = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert len(told) == len(list(net.parameters()))
    for name, parameter in net.named_parameters():
        assert told[id(parameter)] == (0.0 if name.endswith("bias") else 0.0005), name


@pytest.mark.parametrize("change", [{}, {"kind": "inverted"}, {"place": "before"}, {"rate": 0}])
def test_every_variant_learns(change: dict) -> None:
    images, labels = separable(128)
    scale = PixelScale.fit(images)
    net = DropoutNet(replace(SMALL, **change), seed=0)
    fit(net, images, labels, TrainSettings(rate=0.01, batch_size=32, passes=60), scale, parameters=None)
    assert error_rate(net, images, labels, scale) < 0.1


@pytest.mark.parametrize(
    "change, said",
    [
        ({"rate": 1.0}, "dropout rate 1.0"),
        ({"kind": "new"}, "dropout kind 'new'"),
        ({"place": "within"}, "place 'within' is not known"),
        ({"maps": (4, 4)}, "three numbers of maps"),
        ({"hidden": (4, 0)}, "all 1 or more"),
        ({"image_size": 7}, "image_size 7 is too small"),
    ],
)
def test_what_cannot_be_is_refused(change: dict, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        replace(SMALL, **change)


def test_training_and_evaluation_differ_by_dropout_alone() -> None:
    net, images = DropoutNet(SMALL, seed=0), 64 * torch.randn(4, 3, 8, 8)
    for layer in net.head:
        if isinstance(layer, Dropout):
            layer.rate = 0.0
    torch.testing.assert_close(F.softmax(net.train()(images), 1), F.softmax(net.eval()(images), 1))
