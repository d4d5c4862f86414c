"""A learning rate that falls along half a cosine, after a rise: for the modern recipe, and for comparison.

Not the paper's: its rate stands still between drops (section 5, alexnet_lib.schedule).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from ..errors import SettingError
from ..schedule import GO_ON


@dataclass
class CosineDecay:
    """From 0 up to each group's own rate over `warmup` steps, then along half a cosine to 0 at step `steps`.

    `before_step` sets the rates for the step that comes; `step` is asked after each pass, as of other schedules.
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

    def before_step(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        """Set every group's rate for that step; a group's own rate is kept in it as "full_rate"."""
        for group in optimiser.param_groups:
            group["lr"] = group.setdefault("full_rate", group["lr"]) * self.factor(step)

    def step(self, optimiser: torch.optim.Optimizer, validation_error: float | None = None) -> str:
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
