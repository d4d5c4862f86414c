"""Losses and wrong answers, counted on the device and asked for only when a line of the log is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import TrainingError


@dataclass(frozen=True)
class Sums:
    """What was counted since the tally was cleared. loss: the mean over batches; error: a share of the images."""

    loss: float
    error: float
    seen: int
    first_bad: int | None

    @property
    def wrong(self) -> int:
        return round(self.error * self.seen)


class Tally:
    """Sums over steps, without waiting for a GPU at any of them."""

    def __init__(self, device: torch.device):
        # loss, wrong answers, images, batches; float64 holds them exactly or nearly so.
        self.sums = torch.zeros(4, dtype=torch.float64, device=device)
        self.first_bad = torch.full((), torch.inf, dtype=torch.float64, device=device)

    def add(self, logits: torch.Tensor, labels: torch.Tensor, loss: torch.Tensor, step: int) -> None:
        """One batch: logits (n, classes), labels (n,) and the loss of it, at that step of the run."""
        wrong = (logits.argmax(1) != labels).sum()
        n = len(labels)
        counts = torch.tensor([0, 0, n, 1], dtype=torch.float64)
        self.sums += counts.to(self.sums.device, non_blocking=True)
        self.sums[0] += loss
        self.sums[1] += wrong
        bad = torch.where(torch.isfinite(loss), torch.inf, float(step))
        self.first_bad = torch.minimum(self.first_bad, bad.double())

    def clear(self) -> None:
        self.sums.zero_()
        self.first_bad.fill_(torch.inf)

    def take(self, other: Tally) -> None:
        """Count what `other` has counted, and clear it."""
        self.sums += other.sums
        self.first_bad = torch.minimum(self.first_bad, other.first_bad)
        other.clear()

    def read(self) -> Sums:
        """Waits for the device."""
        loss, wrong, seen, batches, first_bad = *self.sums.tolist(), float(self.first_bad)
        bad = None if first_bad == float("inf") else int(first_bad)
        return Sums(loss / max(batches, 1), wrong / max(seen, 1), int(seen), bad)

    def checked(self, steps: int, how: Callable[[], str] = str) -> Sums:
        """As `read`; TrainingError, naming the step and the pass of so many `steps`, if a loss was not finite."""
        found = self.read()
        if found.first_bad is not None:
            raise TrainingError(
                f"the loss is not a finite number at step {found.first_bad} (pass {found.first_bad / steps:.2f}); "
                f"a learning rate about three times lower is the first thing to try{how()}",
                step=found.first_bad,
            )
        return found

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums.tolist()}

    def load_state_dict(self, state: dict[str, Any], processes: int = 1) -> None:
        """Go on from the sums of a whole group, so that `Group.sum` of these and nothing from the others gives them."""
        loss, wrong, seen, batches = state["sums"]
        sums = [loss * processes, wrong, seen, batches * processes]
        self.sums.copy_(torch.tensor(sums, dtype=torch.float64))
