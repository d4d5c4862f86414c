"""PaperSGD against the rule of section 5, written out by hand, and against torch's own SGD."""

from __future__ import annotations

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.optimiser import PaperSGD


def weights(*values: float) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))


def step_with(optimiser: torch.optim.Optimizer, w: torch.nn.Parameter, gradient: torch.Tensor) -> None:
    w.grad = gradient.clone()
    optimiser.step()


def test_three_steps_on_two_weights_are_those_of_section_5() -> None:
    """v <- 0.9 v - 0.0005 e w - e g; w <- w + v, in Python's own numbers."""
    w, rate, momentum, decay = weights(1.0, -2.0), 0.1, 0.9, 0.0005
    optimiser = PaperSGD([w], rate, momentum, decay)
    by_hand, velocity = [1.0, -2.0], [0.0, 0.0]
    for gradient in ([0.5, 1.0], [-0.25, 0.0], [2.0, -3.0]):
        step_with(optimiser, w, torch.tensor(gradient, dtype=torch.float64))
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


def test_after_a_drop_of_the_rate_the_old_velocity_is_not_divided() -> None:
    """Rate divided by 10: torch's SGD divides the velocity too, the paper's rule lets it run on.

    With no gradient after the drop, the weight still travels v m / (1 - m) here, and a tenth of that in torch.
    """
    ours, theirs = weights(0.0), weights(0.0)
    paper, torchs = PaperSGD([ours], 0.1, 0.9), torch.optim.SGD([theirs], 0.1, 0.9)
    for optimiser, w in ((paper, ours), (torchs, theirs)):
        step_with(optimiser, w, torch.ones(1, dtype=torch.float64))
        assert w.item() == pytest.approx(-0.1, abs=1e-15)
        optimiser.param_groups[0]["lr"] = 0.01
        for _ in range(400):
            step_with(optimiser, w, torch.zeros(1, dtype=torch.float64))
    assert ours.item() == pytest.approx(-0.1 - 0.1 * 0.9 / 0.1, abs=1e-12)
    assert theirs.item() == pytest.approx(-0.1 - 0.01 * 0.9 / 0.1, abs=1e-12)


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
    optimiser = PaperSGD([w], 0.1)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    assert optimiser.step(closure).item() == 9.0
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
