"""When the learning rate is divided by 10 (section 5): by hand at chosen passes, or when the error stops improving.

The paper: divide by 10 when the validation error no longer improves at the current rate; three times, then stop. Its
author watched and decided. Both schedules here are asked once after every pass, work with PaperSGD and torch's
optimisers, and are saved and taken up with `state_dict`. Not the paper's is `CosineDecay`, of the modern recipe. Taught
in "Details of learning".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch

from ..errors import SettingError, TrainingError
from .optimizer import check_rate, keep_velocity

GO_ON, DROPPED, STOP = "go on", "dropped", "stop"
# The 2012 code's net 145, the paper's network: passes after which the rate was divided by 10, and the last pass. (The
# released files say "at" these passes; that it is after them is our reading.)
NET_145_DROPS, NET_145_END = (25, 51, 79), 91


def multiply_rates(optimizer: torch.optim.Optimizer, factor: float, *, paper: bool = False) -> None:
    """Multiply the rate of every group but those with `"lowered": False`, as the 2012 code's biases have.

    paper: with torch.optim.SGD, also rescale the momentum so that it goes on as PaperSGD (`optimizer.keep_velocity`);
    without it the framework's own behaviour is kept. SettingError for a factor that is not a positive number.
    """
    check_rate(factor)
    factors = [factor if group.get("lowered", True) else 1.0 for group in optimizer.param_groups]
    for group, own in zip(optimizer.param_groups, factors, strict=True):
        group["lr"] *= own
    if paper and isinstance(optimizer, torch.optim.SGD):
        keep_velocity(optimizer, factors)


class Schedule(Protocol):
    """What is asked after every pass: (GO_ON, DROPPED or STOP), having changed the optimiser's rates itself.

    learned: False while the run has not begun to learn; a rule that waits for an end of learning waits for its
    beginning first.
    """

    passes: int

    def step(
        self, optimizer: torch.optim.Optimizer, validation_error: float | None = None, learned: bool = True
    ) -> str: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass
class DropsByHand:
    """Divide the rate by 10 after each of the passes named, and stop after pass `end` (None: never).

    drops: rising numbers of passes, counted from 1: after 25 means that pass 26 is the first at the lower rate.
    SettingError: passes that do not rise, an end before the last drop, a factor outside 0 < factor < 1.
    """

    drops: Sequence[int]
    end: int | None = None
    factor: float = 0.1
    passes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        _check_factor(self.factor)
        self.drops = tuple(self.drops)
        rising = (*self.drops, *(() if self.end is None else (self.end,)))
        if any(number < 1 or number != int(number) for number in rising):
            raise SettingError(f"drops {self.drops}, end {self.end}: passes are counted from 1")
        if any(later <= earlier for earlier, later in zip(rising, rising[1:], strict=False)):
            raise SettingError(f"drops {self.drops}, end {self.end}: each must come after the one before")

    def step(
        self, optimizer: torch.optim.Optimizer, validation_error: float | None = None, learned: bool = True
    ) -> str:
        """One pass has ended. The validation error plays no part, but one that is not finite is a TrainingError."""
        self.passes += 1
        if validation_error is not None:
            _check_error(validation_error, self.passes)
        if self.end is not None and self.passes >= self.end:
            return STOP
        if self.passes in self.drops:
            multiply_rates(optimizer, self.factor)
            return DROPPED
        return GO_ON

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to go on, in plain numbers; rates are in the optimiser's own state."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there. SettingError for the state of a schedule with other settings."""
        _check_same(self, state, {"passes"})
        self.passes = state["passes"]


@dataclass
class DropsOnPlateau:
    """Divide the rate by 10 when the validation error has stopped improving; after `drops` of them, stop instead.

    A pass improves if its error is under the lowest so far less `threshold` (a share: 0.001 for 0.1 points). When
    `patience` passes in a row have not, the rate drops, and the count begins anew; the lowest error stays. Passes
    before anything was learned do not count: a start that has not begun is no plateau. dropped_at: after which passes.
    It is torch's ReduceLROnPlateau(factor=factor, patience=patience - 1, threshold=threshold, threshold_mode="abs") but
    for these two, the wait for a beginning and the end. SettingError: a threshold that is negative or not a
    number, patience under 1, drops under 0, a factor outside 0 < factor < 1.
    """

    patience: int = 5
    threshold: float = 0.0
    drops: int = 3
    factor: float = 0.1
    passes: int = field(default=0, init=False)
    best: float = field(default=math.inf, init=False)
    waited: int = field(default=0, init=False)
    dropped_at: tuple[int, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        _check_factor(self.factor)
        if not (math.isfinite(self.threshold) and self.threshold >= 0):
            raise SettingError(f"threshold {self.threshold} must be a share of 0 or more, such as 0.001 for 0.1 points")
        if self.patience < 1 or self.drops < 0:
            raise SettingError(f"patience {self.patience} must be 1 or more, drops {self.drops} 0 or more")

    def step(
        self, optimizer: torch.optim.Optimizer, validation_error: float | None = None, learned: bool = True
    ) -> str:
        """One pass has ended with this error. TrainingError, naming the pass, for one that is missing or not finite."""
        self.passes += 1
        _check_error(validation_error, self.passes)
        if not learned:
            return GO_ON
        if validation_error < self.best - self.threshold:
            self.best, self.waited = validation_error, 0
            return GO_ON
        self.waited += 1
        if self.waited < self.patience:
            return GO_ON
        if len(self.dropped_at) >= self.drops:
            return STOP
        self.waited = 0
        self.dropped_at += (self.passes,)
        multiply_rates(optimizer, self.factor)
        return DROPPED

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to go on, in plain numbers; rates are in the optimiser's own state."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there. SettingError for the state of a schedule with other settings."""
        moving = {"passes", "best", "waited", "dropped_at"}
        _check_same(self, state, moving)
        for name in moving:
            setattr(self, name, tuple(state[name]) if name == "dropped_at" else state[name])


def _check_factor(factor: float) -> None:
    if not 0 < factor < 1:
        raise SettingError(f"factor {factor} must lie between 0 and 1: the paper multiplies by 0.1")


def _check_error(error: float | None, number: int) -> None:
    if error is None or not math.isfinite(error):
        said = "there is no validation error" if error is None else f"the validation error is {error}"
        raise TrainingError(
            f"{said} after pass {number}: a schedule cannot judge it; look whether the loss has become NaN, "
            "and try a learning rate about three times lower"
        )


def _check_same(schedule: Any, state: dict[str, Any], moving: set[str]) -> None:
    now = {name: value for name, value in asdict(schedule).items() if name not in moving}
    then = {name: tuple(v) if isinstance(v, list) else v for name, v in state.items() if name not in moving}
    if now != then:
        raise SettingError(f"the saved schedule was {then}, this one is {now}: give the same settings to go on")


@dataclass
class CosineDecay:
    """From 0 up to each group's own rate over `warmup` steps, then along half a cosine to 0 at step `steps`.

    `before_step` sets the rates for the step that comes; `step` is asked after each pass, as of other schedules. The
    rates of torch's LinearLR and CosineAnnealingLR; but those belong to an optimiser, which a recipe does not know yet.
    SettingError: a warm-up that is not shorter than the whole.
    """

    steps: int
    warmup: int = 0
    passes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < self.steps:
            raise SettingError(f"warmup of {self.warmup} steps: give 0 or more, fewer than the {self.steps} in all")

    def factor(self, step: int) -> float:
        """What part of its own rate a group has in the step of this number, from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / (self.steps - self.warmup)))

    def before_step(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Set every group's rate for that step; a group's own rate is kept in it as "full_rate"."""
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("full_rate", group["lr"]) * self.factor(step)

    def step(
        self, optimizer: torch.optim.Optimizer, validation_error: float | None = None, learned: bool = True
    ) -> str:
        """One pass has ended."""
        self.passes += 1
        return GO_ON

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """SettingError for the state of a schedule of another length."""
        if (state["steps"], state["warmup"]) != (self.steps, self.warmup):
            raise SettingError(f"the saved schedule was of {state['steps']} steps, this one has {self.steps}")
        self.passes = state["passes"]
