"""The paper's update rule (section 5), to the letter. Taught in "Details of learning"."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from ..errors import SettingError

# Whose rates and decays: the text, the code of 2012, Caffe's bvlc_alexnet, torchvision's training script.
RECIPES = ("paper", "code2012", "caffe", "torchvision")


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
    the same the two give the same weights. fused: read and write each number once a step instead of several times,
    where PyTorch can; sums are rounded otherwise, so the last digits differ. Raises SettingError for a rate that is
    not a positive number, a momentum outside [0, 1) and a negative decay, also in a group of its own.
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        rate: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        fused: bool = False,
    ):
        super().__init__(params, {"lr": rate, "momentum": momentum, "weight_decay": weight_decay})
        self.fused = fused

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
            gradients, velocities = [w.grad for w in weights], [self._velocity(w) for w in weights]
            if self.fused and group["momentum"] and _alike(weights, gradients, velocities):
                _step_at_once(weights, gradients, velocities, group)
                continue
            torch._foreach_mul_(velocities, group["momentum"])
            if group["weight_decay"]:
                torch._foreach_add_(velocities, weights, alpha=-group["weight_decay"] * group["lr"])
            torch._foreach_add_(velocities, gradients, alpha=-group["lr"])
            torch._foreach_add_(weights, velocities)
        return loss

    def _velocity(self, weight: torch.Tensor) -> torch.Tensor:
        state = self.state[weight]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        return state["velocity"]


def _alike(weights: list[torch.Tensor], gradients: list[torch.Tensor], velocities: list[torch.Tensor]) -> bool:
    """Whether all are of one type on one device, and each three lie alike in memory: what the fused kernel takes."""
    first = weights[0]
    return first.device.type in ("cpu", "cuda") and all(
        w.stride() == g.stride() == v.stride()
        and {w.dtype, g.dtype, v.dtype} == {first.dtype}
        and {w.device, g.device, v.device} == {first.device}
        and g.layout == torch.strided
        for w, g, v in zip(weights, gradients, velocities, strict=True)
    )


def _step_at_once(
    weights: list[torch.Tensor], gradients: list[torch.Tensor], velocities: list[torch.Tensor], group: dict
) -> None:
    """The paper's rule out of the kernel of torch's fused SGD: b <- m b + (1 - dampening) (g + d w); w <- w - lr b.

    With dampening 1 + rate its buffer is the paper's velocity, and with lr = -1 the weights move by it.
    """
    torch._fused_sgd_(
        weights,
        gradients,
        velocities,
        weight_decay=group["weight_decay"],
        momentum=group["momentum"],
        lr=-1.0,
        dampening=1 + group["lr"],
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )


def parameter_groups(
    net: nn.Module, recipe: str, rate: float = 0.01, weight_decay: float = 0.0005, momentum: float = 0.9
) -> list[dict]:
    """What an optimiser is given for a recipe's rates and decays (one of RECIPES): groups named weights and biases.

    paper, torchvision: one rate and the decay for every number that is learned; the text knows no exception.
    code2012, caffe: biases at twice the rate and without decay. code2012 also never lowers the biases' rate, which the
    group says by `"lowered": False` (`schedule.multiply_rates` leaves it alone). A parameter counts as a bias if its
    name ends so. Works for PaperSGD and torch.optim.SGD. SettingError: an unknown recipe, or nothing to train.
    """
    if recipe not in RECIPES:
        raise SettingError(f"recipe {recipe!r} is not known; use one of {', '.join(RECIPES)}")
    check_rate(rate)
    named = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    weights = [p for name, p in named if not name.endswith("bias")]
    biases = [p for name, p in named if name.endswith("bias")]
    if not named:
        raise SettingError("the network has no parameters to train")
    apart = recipe in ("code2012", "caffe")
    of_weights = {"name": "weights", "params": weights, "lr": rate, "weight_decay": weight_decay, "lowered": True}
    of_biases = of_weights | {"name": "biases", "params": biases}
    if apart:
        of_biases |= {"lr": 2 * rate, "weight_decay": 0.0, "lowered": recipe != "code2012"}
    return [group | {"momentum": momentum} for group in (of_weights, of_biases) if group["params"]]


@torch.no_grad()
def keep_velocity(sgd: torch.optim.SGD, factors: Iterable[float]) -> None:
    """After the rates of torch's SGD changed, make it go on as PaperSGD does: the old velocity runs on undivided.

    torch keeps a buffer b and moves by -rate b; the paper keeps v = -rate b and moves by v. So where a group's rate was
    multiplied by a factor, its buffers are divided by it, and the two give the same weights again. factors: one a
    group (new rate over old). SettingError for SGD with Nesterov's momentum or dampening, which is no such rule.
    """
    factors = list(factors)
    if len(factors) != len(sgd.param_groups):
        raise SettingError(f"{len(factors)} factors for {len(sgd.param_groups)} groups: give one a group")
    for group, factor in zip(sgd.param_groups, factors, strict=True):
        if group["nesterov"] or group["dampening"]:
            raise SettingError("Nesterov's momentum and dampening are not the paper's rule; use SGD without them")
        check_rate(factor)
        for weight in group["params"]:
            buffer = sgd.state[weight].get("momentum_buffer") if weight in sgd.state else None
            if buffer is not None:
                buffer /= factor
