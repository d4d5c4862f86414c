"""What is asked of networks with dropout, on networks whose answers are known, and of records that were made up."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_sets import separable
from torch import nn

from alexnet_lib.errors import SettingError
from alexnet_lib.experiments import dropout_cifar10
from alexnet_lib.experiments.results import VariantResult
from alexnet_lib.measures import dropout as results
from alexnet_lib.measures.dropout import gradients, noise_to_signal
from alexnet_lib.measures.dropout_ensemble import DroppedStack
from alexnet_lib.network.dropout import Dropout
from alexnet_lib.network.small.with_dropout import DropoutNet, DropoutNetConfig

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = DropoutNetConfig(maps=(4, 4, 6), hidden=(40, 30), image_size=8)


@pytest.fixture
def net() -> DropoutNet:
    return CONFIG.build(0)


def images(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    return 64 * torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 10


def test_the_last_layer_alone_is_averaged_exactly_but_for_chance(net: DropoutNet) -> None:
    whole, left_out = results.sampled_networks(net, images(10)[0], 400, place=(False, False, True))
    assert whole.distances["geometric"].kl < 1e-3
    row = results.distance_row("name", (whole, left_out))
    value, error = map(float, row[1].split(" ± "))
    assert row[0] == "name" and abs(value) < 5 * error + 1e-4 and row[3].endswith("%")


def test_a_network_without_dropout_can_be_dropped(net: DropoutNet) -> None:
    bare = replace(CONFIG, rate=0.0).build(0)
    same, own = (
        results.sampled_networks(one, images(5)[0], 20, place=(False, True, True))[0].arithmetic for one in (bare, net)
    )
    torch.testing.assert_close(same, own)


def test_a_small_head_learns_and_is_repeatable() -> None:
    pixels, labels = separable(256)
    inputs = (pixels.float() / 64 - 2).flatten(1)
    head, again = (results.small_head(inputs, labels, (8, 6), rate=0.02, steps=300) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), again.parameters(), strict=True))
    assert float((head.eval()(inputs).argmax(1) != labels).double().mean()) < 0.3, "guessing is wrong in three of four"
    assert DroppedStack.of(head).widths == [0, 8, 6]


def test_leaning_is_what_the_measures_say(net: DropoutNet) -> None:
    x, labels = images()
    found = results.leaning(net, x, labels)
    assert found.correlations.units == 30 and 0 <= found.redundancy <= 1
    labels_it_gives = net.eval()(x).argmax(1)
    right = results.leaning(net, x, labels_it_gives)
    assert right.half > 0 and right.worst_unit >= 0, "silencing can only change right answers"
    shares, errors = results.silenced(net, x, labels_it_gives, (0.0, 0.5, 0.9))
    assert shares == [0.0, 0.5, 0.9] and errors[0] == 0 and errors[1] == pytest.approx(right.half) and errors[2] > 0


def test_a_quarter_of_the_weights_between_two_dropouts_is_reached(net: DropoutNet) -> None:
    x, labels = images(20)
    bare = replace(CONFIG, rate=0.0).build(0)
    for linear in (net.head[0], net.head[3], bare.head[0], bare.head[2]):
        linear.weight.data.abs_()  # all units on, so that only masks decide
    x = x / 64
    reached, everything = (results.weights_reached(one, x, labels, 30) for one in (net, bare))
    six, seven, eight = (one / other for one, other in zip(reached, everything, strict=True))
    assert (six, seven, eight) == (
        pytest.approx(0.5, abs=0.03),
        pytest.approx(0.25, abs=0.03),
        pytest.approx(0.5, abs=0.03),
    )


def test_masks_add_noise_to_the_gradient(net: DropoutNet) -> None:
    pixels, labels = separable(64 * 12, classes=10)
    x = pixels.float() - 128
    off, on = (results.batch_noise(net, x, labels, training) for training in (False, True))
    assert on > off > 0 and net.training
    assert on == results.batch_noise(net, x, labels, True), "the same masks each time"


def record(losses: list[list[float]], errors: list[list[float]]) -> VariantResult:
    curves = [
        {"pilot": False, "diverged_at": None, "seed": seed, "curve": {
            "passes": [1.0, 2.0, 3.0], "watched_training_loss": loss, "watched_test_error": error}}
        for seed, (loss, error) in enumerate(zip(losses, errors, strict=True))
    ]  # fmt: skip
    return VariantResult({"curves": curves})


def test_passes_and_factors_are_read_from_records() -> None:
    found: dict[str, Any] = {
        "none": record([[1.0, 0.5, 0.1], [0.5, 0.2, 0.1]], [[0.5, 0.4, 0.6], [0.4, 0.5, 0.5]]),
        "rate-0.5": record([[2.0, 1.0, 0.5], [2.0, 1.0, 0.9]], [[0.9, 0.5, 0.3], [0.9, 0.5, 0.3]]),
    }
    to_level, to_settle = dropout_cifar10.recorded_passes(found)
    assert to_level == {"none": {0: 2.0, 1: 1.0}, "rate-0.5": {0: 3.0, 1: None}}
    assert to_settle["none"] == {0: pytest.approx(1.9), 1: 1.0} and to_settle["rate-0.5"][0] == pytest.approx(2.95)
    assert dropout_cifar10.factors(to_level, "rate-0.5") == "1.5"
    assert dropout_cifar10.factors(to_settle, "rate-0.5") == "1.6, 3.0"
    assert dropout_cifar10.factors(to_level, "rate-0.75") == "not yet run" == dropout_cifar10.factors({}, "rate-0.5")
    assert dropout_cifar10.factors({"none": {0: None}, "rate-0.5": {0: 1.0}}, "rate-0.5") == "not reached"
    assert dropout_cifar10.recorded_passes({}) == ({}, {})


def test_passes_are_compared_by_their_logarithms_and_those_not_reached_left_out() -> None:
    assert dropout_cifar10.log_passes({0: 1.0, 1: None, 2: math.e}).values == pytest.approx((0.0, 1.0))
    assert dropout_cifar10.log_passes({0: None}) is None and dropout_cifar10.log_passes({}) is None


@pytest.mark.parametrize("noise, wanted", [(0.0, 0.0), (0.5, 0.25), (3.0, 9.0)])
def test_made_rows_have_the_ratio_they_were_made_with(noise: float, wanted: float) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = 2 + 2 * noise * torch.randn(400, 200, generator=generator)
    assert noise_to_signal(rows) == pytest.approx(wanted, rel=0.05, abs=1e-12)


def test_few_rows_are_not_biased() -> None:
    generator = torch.Generator().manual_seed(0)
    signals = [noise_to_signal(1 + 4 * torch.randn(8, 500, generator=generator)) for _ in range(200)]
    inverse = torch.tensor([1 / each for each in signals])
    assert float(inverse.mean()) == pytest.approx(1 / 16, rel=0.1)


def test_the_rows_are_the_gradients() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).double()
    batches = [(torch.randn(5, 3, 2, 2, dtype=torch.float64), torch.arange(5) % 3) for _ in range(3)]
    rows = gradients(net, [net[1].weight, net[1].bias], batches)
    assert rows.shape == (3, 39)
    for row, (images, labels) in zip(rows, batches, strict=True):
        errors = net(images).softmax(1) - nn.functional.one_hot(labels, 3)
        torch.testing.assert_close(row[:36].view(3, 12), errors.T @ images.flatten(1) / 5)
        torch.testing.assert_close(row[36:], errors.mean(0))


def test_dropout_adds_noise_in_training_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 40), nn.ReLU(), Dropout(0.5), nn.Linear(40, 3))
    same = [(torch.randn(32, 3, 2, 2), torch.arange(32) % 3)] * 30
    assert noise_to_signal(gradients(net.eval(), [net[4].weight], same)) == 0
    assert noise_to_signal(gradients(net.train(), [net[4].weight], same)) > 0.1


def test_one_row_is_refused_and_no_signal_said() -> None:
    with pytest.raises(SettingError, match=r"rows \(1, 4\) must be two or more"):
        noise_to_signal(torch.ones(1, 4))
    assert noise_to_signal(torch.tensor([[1.0, 0], [-1, 0]])) == float("inf")
