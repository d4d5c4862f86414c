"""The paper's update rule (section 5), to the letter. Taught in "Details of learning" (planned)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from .errors import SettingError


def check_rate(rate: float) -> None:
    """Raise SettingError unless `rate` is a learning rate that can train: finite and above 0."""
    if not (math.isfinite(rate) and rate > 0):
        raise SettingError(f"learning rate {rate} cannot train anything; give a positive number, such as 0.01")


class PaperSGD(torch.optim.Optimizer):
    """Stochastic gradient descent with momentum and weight decay as section 5 writes it.

        v <- momentum v - weight_decay rate w - rate g
        w <- w + v

    The learning rate is inside the velocity (torch.optim.SGD keeps it outside, so that after a change of the rate the
    two differ until the old velocity has died away), and the decay is multiplied by the rate. While the rate stays
    the same the two give the same weights. Raises SettingError for a rate that is not a positive number, a momentum
    outside [0, 1) and a negative decay, also in a group of its own.
    """

    def __init__(
        self, params: Iterable[torch.nn.Parameter], rate: float, momentum: float = 0.9, weight_decay: float = 0.0
    ):
        super().__init__(params, {"lr": rate, "momentum": momentum, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict) -> None:
        """As torch's; each group's own rate ("lr"), momentum and decay must be usable too, else SettingError."""
        super().add_param_group(param_group)
        rate, momentum, decay = (self.param_groups[-1][name] for name in ("lr", "momentum", "weight_decay"))
        check_rate(rate)
        if not 0 <= momentum < 1:
            raise SettingError(f"momentum {momentum} is outside 0 <= momentum < 1; the paper uses 0.9")
        if not (math.isfinite(decay) and decay >= 0):
            raise SettingError(f"weight decay {decay} must be 0 or more; the paper uses 0.0005")

    @torch.no_grad()
    def step(self, closure=None):  # noqa: ANN001, ANN201 - the signature is torch's
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [w for w in group["params"] if w.grad is not None]
            if not weights:
                continue
            velocities = [self._velocity(w) for w in weights]
            torch._foreach_mul_(velocities, group["momentum"])
            if group["weight_decay"]:
                torch._foreach_add_(velocities, weights, alpha=-group["weight_decay"] * group["lr"])
            torch._foreach_add_(velocities, [w.grad for w in weights], alpha=-group["lr"])
            torch._foreach_add_(weights, velocities)
        return loss

    def _velocity(self, weight: torch.Tensor) -> torch.Tensor:
        state = self.state[weight]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        return state["velocity"]
