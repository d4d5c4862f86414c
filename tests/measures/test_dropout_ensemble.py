"""The averages over thinned networks, against plain loops over networks and against what is proven to be equal."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from small_sets import separable
from torch import nn

from alexnet_lib.errors import SettingError
from alexnet_lib.measures import dropout_ensemble as ensemble
from alexnet_lib.measures.dropout_ensemble import (
    DroppedStack,
    all_masks,
    distances,
    estimate,
    exact_averages,
    sampled_averages,
    small_head,
)
from alexnet_lib.network.dropout import Dropout

pytestmark = pytest.mark.usefixtures("one_thread")


def stack_of(dropped: tuple[bool, ...], widths: tuple[int, ...] = (4, 5, 3), **rule: object) -> DroppedStack:
    """A stack with weights that are not small; widths: of the inputs, of each hidden layer, of the classes."""
    generator = torch.Generator().manual_seed(7)
    pairs = list(itertools.pairwise(widths))
    weights = tuple(torch.randn(out, into, generator=generator, dtype=torch.float64) for into, out in pairs)
    biases = tuple(torch.randn(out, generator=generator, dtype=torch.float64) for _, out in pairs)
    return DroppedStack(weights, biases, dropped, **rule)


def inputs(n: int = 6, width: int = 4) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def one_network(stack: DroppedStack, x: torch.Tensor, mask: tuple[int, ...]) -> torch.Tensor:
    """The probabilities of one thinned network, one unit after another."""
    left, h = list(mask), x
    for place, (weight, bias, drops) in enumerate(zip(stack.weights, stack.biases, stack.dropped, strict=True)):
        h = h.clamp(min=0) if place else h
        if drops:
            factor = 1.0 if stack.kind == "2012" else 1 / (1 - stack.rate)
            own, left = left[: h.shape[1]], left[h.shape[1] :]
            h = torch.stack([h[:, unit] * bit * factor for unit, bit in enumerate(own)], 1)
        h = h @ weight.T + bias
    return h.softmax(1)


SHAPES = [(False, True), (True, False), (True, True), (False, False)]


@pytest.mark.parametrize("dropped", SHAPES)
@pytest.mark.parametrize("rate", [0.5, 0.2, 0.0])
@pytest.mark.parametrize("kind", ["2012", "inverted"])
def test_the_averages_are_those_of_a_loop_over_networks(dropped, rate, kind) -> None:
    stack, x = stack_of(dropped, rate=rate, kind=kind), inputs()
    total, logs = torch.zeros(6, 3, dtype=torch.float64), torch.zeros(6, 3, dtype=torch.float64)
    for mask in itertools.product((0, 1), repeat=stack.units):
        chance = math.prod(1 - rate if bit else rate for bit in mask)
        p = one_network(stack, x, mask)
        total += chance * p
        logs += chance * p.log()
    found = exact_averages(stack, x)
    torch.testing.assert_close(found.arithmetic.exp(), total, rtol=1e-12, atol=1e-14)
    geometric = logs.exp() / logs.exp().sum(1, keepdim=True)
    torch.testing.assert_close(found.geometric.exp(), geometric, rtol=1e-12, atol=1e-14)
    assert found.masks == (2**stack.units if rate else 1)


@pytest.mark.parametrize("block", [1, 100, 1 << 22])
def test_blocks_change_nothing(block, monkeypatch) -> None:
    stack, x = stack_of((True, True)), inputs()
    whole = exact_averages(stack, x)
    monkeypatch.setattr(ensemble, "BLOCK", block)
    torch.testing.assert_close(exact_averages(stack, x).arithmetic, whole.arithmetic, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "dropped, widths", [((True,), (9, 3)), ((False, True), (4, 9, 3)), ((False, False, True), (4, 6, 8, 3))]
)
@pytest.mark.parametrize("rate", [0.5, 0.3])
@pytest.mark.parametrize("kind", ["2012", "inverted"])
def test_with_the_last_layer_alone_dropped_the_mean_network_is_the_geometric_mean(dropped, widths, rate, kind) -> None:
    """The docstring's proof, to the last digits; the arithmetic mean is another."""
    found = exact_averages(stack_of(dropped, widths, rate=rate, kind=kind), inputs(width=widths[0]))
    assert (found.geometric - found.scaled).abs().max() < 1e-12
    assert found.distances["geometric"].kl < 1e-14 and found.distances["geometric"].agreement == 1
    assert found.distances["arithmetic"].kl > 1e-3


@pytest.mark.parametrize(
    "dropped, widths", [((True, True), (4, 5, 3)), ((True, False), (4, 5, 3)), ((False, True, True), (4, 5, 5, 3))]
)
def test_with_a_layer_dropped_beneath_relu_it_is_not(dropped, widths) -> None:
    found = exact_averages(stack_of(dropped, widths), inputs())
    assert found.distances["geometric"].kl > 1e-4


def test_without_relu_between_it_would_be() -> None:
    """What spoils it is the bend: far from it, where all units stay above 0, two dropped layers are averaged too."""
    stack = stack_of((True, False), (4, 5, 3))
    x = inputs()
    far = DroppedStack(stack.weights, (stack.biases[0] + 1000, stack.biases[1]), stack.dropped)
    assert (exact_averages(far, x).geometric - exact_averages(far, x).scaled).abs().max() < 1e-9


def test_both_kinds_are_one_function_when_weights_are_halved() -> None:
    stack = stack_of((False, True), rate=0.25)
    halved = DroppedStack(
        (stack.weights[0], 0.75 * stack.weights[1]), stack.biases, stack.dropped, rate=0.25, kind="inverted"
    )
    x = inputs()
    masks = all_masks(stack.units)
    torch.testing.assert_close(stack.log_probabilities(x, masks), halved.log_probabilities(x, masks))
    torch.testing.assert_close(stack.log_probabilities(x), halved.log_probabilities(x))


def test_the_mean_network_may_be_given_another_factor() -> None:
    stack, x = stack_of((False, True)), inputs()
    other = DroppedStack((stack.weights[0], 0.7 * stack.weights[1]), stack.biases, (False, False))
    torch.testing.assert_close(stack.log_probabilities(x, factor=0.7), other.log_probabilities(x))
    torch.testing.assert_close(stack.log_probabilities(x, factor=0.5), stack.log_probabilities(x))


def test_masks_count_in_binary() -> None:
    assert all_masks(2).int().tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert len(all_masks(10).unique(dim=0)) == 1024
    with pytest.raises(SettingError, match="21 units have 2\\^21 masks"):
        all_masks(21)


def test_a_stack_is_read_from_modules() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(4, 5), nn.ReLU(), Dropout(0.3), nn.Linear(5, 6), nn.ReLU(), Dropout(0.3), nn.Linear(6, 3)]
    net = nn.Sequential(*layers).double()
    stack = DroppedStack.of(net)
    assert stack.dropped == (False, True, True) and (stack.rate, stack.kind) == (0.3, "2012")
    assert stack.widths == [0, 5, 6] and stack.units == 11
    x = inputs()
    torch.testing.assert_close(stack.log_probabilities(x), net.eval()(x).log_softmax(1))
    kept = DroppedStack.of([net[0], net[1], net[3], net[4], net[6]])
    torch.testing.assert_close(stack.log_probabilities(x, torch.ones(1, 11))[0], kept.log_probabilities(x))


def test_a_drawn_network_is_what_the_module_is_in_training() -> None:
    for kind in ("2012", "inverted"):
        net = nn.Sequential(nn.Linear(4, 50), nn.ReLU(), Dropout(0.3, kind), nn.Linear(50, 3)).double()
        net[2].draw_from(5)
        x = inputs(1)
        trained = net(x).log_softmax(1)
        net[2].draw_from(5)
        mask = (net[2](torch.ones(1, 50, dtype=torch.float64)) > 0).double()
        torch.testing.assert_close(DroppedStack.of(net).log_probabilities(x, mask)[0], trained)


@pytest.mark.parametrize(
    "layers, said",
    [
        ([nn.Linear(2, 2), nn.Linear(2, 2)], "does not fit"),
        ([nn.ReLU(), nn.Linear(2, 2)], "does not fit"),
        ([nn.Linear(2, 2), nn.ReLU(), nn.ReLU(), nn.Linear(2, 2)], "does not fit"),
        ([nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)], "Tanh.* does not fit"),
        ([nn.Linear(2, 2), nn.ReLU()], "must end in a Linear"),
        ([nn.Linear(2, 2), Dropout()], "must end in a Linear"),
        ([Dropout(0.5), nn.Linear(2, 2), nn.ReLU(), Dropout(0.2), nn.Linear(2, 2)], "of one rate"),
        ([], "must end in a Linear"),
    ],
)
def test_what_is_no_such_stack_is_refused(layers, said) -> None:
    with pytest.raises(SettingError, match=said):
        DroppedStack.of(layers)


def test_a_stack_whose_parts_do_not_fit_is_refused() -> None:
    with pytest.raises(SettingError, match="one entry for each layer"):
        DroppedStack((torch.ones(2, 2),), (torch.ones(2),), (True, False))
    with pytest.raises(SettingError, match="rate 1"):
        DroppedStack((torch.ones(2, 2),), (torch.ones(2),), (True,), rate=1)


def test_distances_on_cases_worked_out_by_hand() -> None:
    p, q = torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([[0.25, 0.75], [0.9, 0.1]])
    found = distances(p.double().log(), q.double().log())
    assert found.kl == pytest.approx((0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2, abs=1e-7)
    assert found.total_variation == pytest.approx(0.25 / 2, abs=1e-7)
    assert distances(p.log(), p.log()) == ensemble.Distances(0.0, 0.0, 1.0)
    opposite = distances(torch.tensor([[0.0, -math.inf]]), torch.tensor([[-0.7, -0.7]]))
    assert opposite.kl == pytest.approx(0.7) and opposite.total_variation == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("rate", [0.5, 0.3])
def test_sampled_averages_come_to_the_exact_ones(rate) -> None:
    stack, x = stack_of((True, True), rate=rate), inputs()
    exact = exact_averages(stack, x)
    whole, left_out = sampled_averages(stack, x, 20_000, groups=20)
    assert whole.masks == 20_000 and [part.masks for part in left_out] == [19_000] * 20
    for kind in ("arithmetic", "geometric"):
        found = estimate(lambda a, kind=kind: a.distances[kind].kl, whole, left_out)
        assert abs(found.value - exact.distances[kind].kl) < 4 * found.standard_error
        assert found.standard_error < 0.1 * exact.distances[kind].kl


def test_the_standard_error_is_the_scatter_of_repeated_draws_and_the_bias_is_gone() -> None:
    """Few masks and an exact answer of 0: the plain distance is well above it, the jackknife's is not."""
    stack, x = stack_of((False, True), (4, 12, 3)), inputs(2)
    runs = [sampled_averages(stack, x, 100, seed=seed) for seed in range(200)]
    found = [estimate(lambda a: a.distances["geometric"].kl, *run) for run in runs]
    plain = torch.tensor([whole.distances["geometric"].kl for whole, _ in runs]).mean()
    values = torch.tensor([one.value for one in found])
    assert abs(float(values.mean())) < 0.1 * float(plain)
    stated = torch.tensor([one.standard_error for one in found]).square().mean().sqrt()
    assert 0.6 < float(stated / values.std()) < 1.7


def test_the_same_seed_draws_the_same_masks() -> None:
    stack, x = stack_of((True, True)), inputs()
    one, again, other = (sampled_averages(stack, x, 20, groups=2, seed=s)[0].geometric for s in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    with pytest.raises(SettingError, match="21 masks do not fall into 2 equal groups"):
        sampled_averages(stack, x, 21, groups=2)


def test_a_small_head_learns_and_is_repeatable() -> None:
    pixels, labels = separable(256)
    inputs = (pixels.float() / 64 - 2).flatten(1)
    head, again = (small_head(inputs, labels, (8, 6), rate=0.02, steps=300) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), again.parameters(), strict=True))
    assert float((head.eval()(inputs).argmax(1) != labels).double().mean()) < 0.3, "guessing is wrong in three of four"
    assert DroppedStack.of(head).widths == [0, 8, 6]
