"""What of the image gets through: by its definition on small numbers, and on a narrow AlexNet against plain loops."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.signals import first_step, forward_signals, inputs_in_training, signal_of
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.dropout import seed_dropout

NARROW = replace(AlexNetConfig.paper(), widths=(16, 16, 16, 16, 16), hidden=(512, 256))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return 60 * torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def small(config: AlexNetConfig = NARROW) -> AlexNet:
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
    net = small(replace(NARROW, dropout_kind=kind)).train()
    signals = forward_signals(net, images)
    assert net.training and [signal.name for signal in signals] == list(net.weighted_layers())
    with torch.no_grad():
        assert signals[-1] == signal_of("fc8", net.eval()(images))


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(SettingError, match="images of shape"):
        forward_signals(small(), torch.zeros(2, 3, 227, 227))


def test_the_first_step_is_that_of_backward_and_leaves_the_network_alone(images: torch.Tensor) -> None:
    net, labels = small().eval(), torch.arange(4)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    step = first_step(net, images, labels, seed=3)
    assert not net.training and all(w.grad is None for w in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    seed_dropout(net, 3)
    loss = F.cross_entropy(net.train()(images), labels)
    loss.backward()
    assert step.loss == pytest.approx(float(loss.detach()), rel=1e-6)
    for name, layer in net.weighted_layers().items():
        assert step.gradients[name] == pytest.approx(float(layer.weight.grad.double().square().mean().sqrt()), rel=1e-5)


def test_inverted_dropout_feeds_fc7_twice_and_fc8_more(images: torch.Tensor) -> None:
    plain, inverted = (inputs_in_training(small(replace(NARROW, dropout_kind=k)), images) for k in ("2012", "inverted"))
    assert plain["conv1"] == inverted["conv1"] and plain["fc6"] == inverted["fc6"]
    assert inverted["fc7"] == pytest.approx(2 * plain["fc7"], rel=1e-6)
    assert 2 * plain["fc8"] < inverted["fc8"] < 4 * plain["fc8"]


def test_larger_weights_in_the_middle_let_more_of_the_image_through(images: torch.Tensor) -> None:
    wider = replace(NARROW, deviations=AlexNetConfig.code2012().deviations)
    assert forward_signals(small(wider), images)[-1].share > 2 * forward_signals(small(), images)[-1].share
    assert forward_signals(small(), images / 60)[-1].share < forward_signals(small(), images)[-1].share / 10
