"""PaperSGD against the rule of section 5, written out by hand, and against torch's own SGD."""

from __future__ import annotations

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.training.optimizer import RECIPES, PaperSGD, keep_velocity, parameter_groups


def weights(*values: float) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))


def step_with(optimizer: torch.optim.Optimizer, w: torch.nn.Parameter, gradient: torch.Tensor) -> None:
    w.grad = gradient.clone()
    optimizer.step()


def test_three_steps_on_two_weights_are_those_of_section_5() -> None:
    """v <- 0.9 v - 0.0005 e w - e g; w <- w + v, in Python's own numbers."""
    w, rate, momentum, decay = weights(1.0, -2.0), 0.1, 0.9, 0.0005
    optimizer = PaperSGD([w], rate, momentum, decay)
    by_hand, velocity = [1.0, -2.0], [0.0, 0.0]
    for gradient in ([0.5, 1.0], [-0.25, 0.0], [2.0, -3.0]):
        step_with(optimizer, w, torch.tensor(gradient, dtype=torch.float64))
        for i in range(2):
            velocity[i] = momentum * velocity[i] - decay * rate * by_hand[i] - rate * gradient[i]
            by_hand[i] += velocity[i]
        assert w.tolist() == pytest.approx(by_hand, abs=1e-15)
    assert w.tolist() != pytest.approx([1.0, -2.0], abs=0.1)


def test_the_first_step_in_plain_numbers() -> None:
    w = weights(1.0)
    step_with(PaperSGD([w], 0.1, 0.9, 0.5), w, torch.tensor([2.0], dtype=torch.float64))
    assert w.item() == pytest.approx(1 - 0.1 * 2 - 0.5 * 0.1 * 1, abs=1e-15)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.0005, 0.1])
def test_at_a_constant_rate_it_is_torchs_sgd(momentum: float, decay: float) -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(5, dtype=torch.float64), torch.randn(30, 5, dtype=torch.float64)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    paper = PaperSGD([ours], 0.05, momentum, decay)
    torchs = torch.optim.SGD([theirs], 0.05, momentum, weight_decay=decay)
    for gradient in gradients:
        step_with(paper, ours, gradient)
        step_with(torchs, theirs, gradient)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
        if momentum:
            velocity, buffer = paper.state[ours]["velocity"], torchs.state[theirs]["momentum_buffer"]
            torch.testing.assert_close(velocity, -0.05 * buffer, rtol=0, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_fused_is_the_same_rule_through_changes_of_the_rate(momentum: float, decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((300,), (4, 3, 5, 5), (7, 9))]
    plain, fused = ([torch.nn.Parameter(w.clone()) for w in start] for _ in range(2))
    for net in (plain, fused):
        net[1].data = net[1].data.contiguous(memory_format=torch.channels_last)
    both = [PaperSGD(net, 0.1, momentum, decay, fused=net is fused) for net in (plain, fused)]
    for rate in (0.1, 0.01, 0.001):
        for _ in range(10):
            gradients = [torch.randn(w.shape, generator=generator) for w in start]
            for optimizer, net in zip(both, (plain, fused), strict=True):
                optimizer.param_groups[0]["lr"] = rate
                for w, gradient in zip(net, gradients, strict=True):
                    w.grad = torch.empty_like(w).copy_(gradient)
                optimizer.step()
    assert (plain[0] - start[0]).abs().max() > 0.1
    for one, other in zip(plain, fused, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=2e-6)
        velocities = (optimizer.state[w]["velocity"] for optimizer, w in zip(both, (one, other), strict=True))
        torch.testing.assert_close(*velocities, rtol=1e-5, atol=2e-6)


def test_fused_is_asked_for_and_given_only_what_lies_alike_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel for CPUs goes through memory as it lies: with other strides it would pair the wrong numbers."""
    calls, kernel = [], torch._fused_sgd_
    monkeypatch.setattr(torch, "_fused_sgd_", lambda *given, **more: (calls.append(1), kernel(*given, **more)))
    start = torch.randn(4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(4, 3, 5, 5)
    expected = start - 0.1 * gradient
    for fused, given, used in (
        (False, torch.empty_like(start), 0),
        (True, torch.empty_like(start), 1),
        (True, torch.empty(start.shape), 0),
    ):
        w = torch.nn.Parameter(start.clone())
        w.grad = given.copy_(gradient)
        PaperSGD([w], 0.1, 0.9, fused=fused).step()
        torch.testing.assert_close(w.detach(), expected)
        assert len(calls) == used
        calls.clear()


def test_after_a_drop_of_the_rate_the_old_velocity_is_not_divided() -> None:
    """Rate divided by 10: torch's SGD divides the velocity too, the paper's rule lets it run on.

    With no gradient after the drop, the weight still travels v m / (1 - m) here, and a tenth of that in torch.
    """
    ours, theirs = weights(0.0), weights(0.0)
    paper, torchs = PaperSGD([ours], 0.1, 0.9), torch.optim.SGD([theirs], 0.1, 0.9)
    for optimizer, w in ((paper, ours), (torchs, theirs)):
        step_with(optimizer, w, torch.ones(1, dtype=torch.float64))
        assert w.item() == pytest.approx(-0.1, abs=1e-15)
        optimizer.param_groups[0]["lr"] = 0.01
        for _ in range(400):
            step_with(optimizer, w, torch.zeros(1, dtype=torch.float64))
    assert ours.item() == pytest.approx(-0.1 - 0.1 * 0.9 / 0.1, abs=1e-12)
    assert theirs.item() == pytest.approx(-0.1 - 0.01 * 0.9 / 0.1, abs=1e-12)


def two_alike() -> tuple[PaperSGD, torch.optim.SGD, list[list[torch.nn.Parameter]]]:
    """PaperSGD and torch's SGD on two equal groups in float64, the second with its own rate and decay."""
    torch.manual_seed(1)
    starts = [torch.randn(4, dtype=torch.float64), torch.randn(3, dtype=torch.float64)]
    both = [[torch.nn.Parameter(start.clone()) for start in starts] for _ in range(2)]
    given = [[{"params": [one]}, {"params": [other], "lr": 0.1, "weight_decay": 0.0}] for one, other in both]
    return PaperSGD(given[0], 0.05, 0.9, 0.01), torch.optim.SGD(given[1], 0.05, 0.9, weight_decay=0.01), both


def along(optimizers: tuple, both: list[list[torch.nn.Parameter]], steps: int, seed: int) -> float:
    """Step both with the same random gradients; the largest difference of their weights at any time."""
    generator, apart = torch.Generator().manual_seed(seed), 0.0
    for _ in range(steps):
        for ours, theirs in zip(*both, strict=True):
            ours.grad = torch.randn(ours.shape, dtype=torch.float64, generator=generator)
            theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
        apart = max(apart, *(float((a - b).detach().abs().max()) for a, b in zip(*both, strict=True)))
    return apart


@pytest.mark.parametrize("factor", [0.1, 10.0, 0.37])
def test_torchs_buffer_divided_by_the_rates_factor_makes_it_the_papers_rule(factor: float) -> None:
    paper, torchs, both = two_alike()
    assert along((paper, torchs), both, 20, seed=2) < 1e-12
    for change in (factor, 1 / factor, factor):
        for optimizer in (paper, torchs):
            for group in optimizer.param_groups:
                group["lr"] *= change
        keep_velocity(torchs, [change, change])
        assert along((paper, torchs), both, 20, seed=3) < 1e-12


def test_without_it_they_part_by_the_old_velocity_times_what_is_left_of_it() -> None:
    """After the drop to f times the rate, the weights differ by (1 - f) v (m + m^2 + ...) where gradients are given."""
    paper, torchs, both = two_alike()
    along((paper, torchs), both, 20, seed=2)
    old = [paper.state[w]["velocity"].clone() for w in both[0]]
    for optimizer in (paper, torchs):
        for group in optimizer.param_groups:
            group["lr"] *= 0.1
            group["weight_decay"] = 0.0
    for step in (1, 7):
        along((paper, torchs), both, step if step == 1 else 6, seed=4)
        carried = sum(0.9**k for k in range(1, step + 1))
        for ours, theirs, velocity in zip(*both, old, strict=True):
            torch.testing.assert_close(ours - theirs, 0.9 * velocity * carried, rtol=0, atol=1e-12)


def test_only_the_plain_momentum_is_converted_and_a_factor_is_given_a_group() -> None:
    for other in ({"nesterov": True}, {"dampening": 0.5}):
        with pytest.raises(SettingError, match="not the paper's rule"):
            keep_velocity(torch.optim.SGD([weights(1.0)], 0.1, 0.9, **other), [0.1])
    with pytest.raises(SettingError, match="1 factors for 2 groups"):
        keep_velocity(two_alike()[1], [0.1])
    fresh = torch.optim.SGD([weights(1.0)], 0.1, 0.9)
    keep_velocity(fresh, [0.1])
    assert not fresh.state


SMALL = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 2))


@pytest.mark.parametrize("recipe", RECIPES)
def test_groups_have_every_parameter_once_and_the_recipes_rates(recipe: str) -> None:
    of_weights, of_biases = parameter_groups(SMALL, recipe)
    assert of_weights["params"] == [SMALL[0].weight, SMALL[1].weight]
    assert of_biases["params"] == [SMALL[0].bias, SMALL[1].bias]
    assert (of_weights["lr"], of_weights["weight_decay"], of_weights["lowered"]) == (0.01, 0.0005, True)
    wanted = {"code2012": (0.02, 0.0, False), "caffe": (0.02, 0.0, True)}.get(recipe, (0.01, 0.0005, True))
    assert (of_biases["lr"], of_biases["weight_decay"], of_biases["lowered"]) == wanted
    for optimizer in (PaperSGD, torch.optim.SGD):
        made = optimizer([dict(group) for group in (of_weights, of_biases)], 1.0)
        assert [group["momentum"] for group in made.param_groups] == [0.9, 0.9]
        assert [group["lr"] for group in made.state_dict()["param_groups"]] == [0.01, wanted[0]]


def test_groups_leave_out_what_is_frozen_or_not_there() -> None:
    frozen = torch.nn.Linear(3, 2)
    frozen.weight.requires_grad_(False)
    (only,) = parameter_groups(frozen, "paper")
    assert only["name"] == "biases" and only["params"] == [frozen.bias]
    for recipe, net, said in (
        ("2012", SMALL, "recipe '2012' is not known; use one of paper, code2012, caffe, torchvision"),
        ("paper", torch.nn.ReLU(), "no parameters"),
    ):
        with pytest.raises(SettingError, match=said):
            parameter_groups(net, recipe)


def test_recipes_bear_the_names_of_the_networks_variants() -> None:
    assert all(getattr(AlexNetConfig, recipe)().name == recipe for recipe in RECIPES)


def test_weights_without_a_gradient_stay() -> None:
    still, moved = weights(1.0), weights(1.0)
    step_with(PaperSGD([still, moved], 0.1, 0.9, 0.5), moved, torch.ones(1, dtype=torch.float64))
    assert still.item() == 1.0 and moved.item() < 1.0


def test_groups_keep_their_own_rates() -> None:
    slow, fast = weights(0.0), weights(0.0)
    slow.grad = fast.grad = torch.ones(1, dtype=torch.float64)
    PaperSGD([{"params": [slow], "lr": 0.01}, {"params": [fast]}], 0.1).step()
    assert (slow.item(), fast.item()) == (-0.01, -0.1)


def test_a_closure_is_run_with_gradients_and_its_loss_returned() -> None:
    w = weights(3.0)
    optimizer = PaperSGD([w], 0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert w.item() == pytest.approx(3 - 0.1 * 6)


@pytest.mark.parametrize("rate", [0.0, -0.1, float("nan"), float("inf")])
def test_a_rate_that_cannot_train_is_named(rate: float) -> None:
    with pytest.raises(SettingError, match=f"learning rate {rate} cannot train anything; give a positive number"):
        PaperSGD([weights(1.0)], rate)


@pytest.mark.parametrize("momentum", [1.0, -0.1, 1.5, float("nan")])
def test_a_momentum_that_never_forgets_is_refused(momentum: float) -> None:
    with pytest.raises(SettingError, match=f"momentum {momentum} is outside 0 <= momentum < 1; the paper uses 0.9"):
        PaperSGD([weights(1.0)], 0.1, momentum)


@pytest.mark.parametrize("decay", [-0.0005, float("nan"), float("inf")])
def test_a_decay_that_would_grow_the_weights_is_refused(decay: float) -> None:
    with pytest.raises(SettingError, match=f"weight decay {decay} must be 0 or more; the paper uses 0.0005"):
        PaperSGD([weights(1.0)], 0.1, 0.9, decay)


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.0), ("lr", float("nan")), ("momentum", 1.0), ("weight_decay", -1.0)]
)
def test_a_groups_own_settings_are_checked_too(name: str, value: float) -> None:
    group = {"params": [torch.nn.Parameter(torch.zeros(2))], name: value}
    with pytest.raises(SettingError, match=str(value)):
        PaperSGD([group], rate=0.01)
