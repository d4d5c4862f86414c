"""What a run tells while it goes: lines and a bar in the terminal, and the same figures for TensorBoard."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from ..system.progress import progress

SCALARS = (
    "loss",
    "error",
    "rate",
    "images_per_second",
    "train_loss",
    "train_error",
    "val_top1",
    "val_top5",
    "val_ten_top1",
    "val_ten_top5",
)


class Report:
    """Tells the events of a run (see `loop.Training`) as they come; use it as a context."""

    def __init__(self, folder: Path, steps: int, passes: int, step: int = 0):
        self.steps, self.passes = steps, passes
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)
        self.bar = progress(total=steps * passes, initial=step, desc="training", unit="step")

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        self.board.close()

    def __call__(self, event: dict[str, Any]) -> None:
        for name in SCALARS:
            if name in event:
                self.board.add_scalar(f"{event['event']}/{name}", event[name], event["step"])
        self.bar.update(event["step"] - self.bar.n)
        if event["event"] == "step":
            left = (self.steps * self.passes - event["step"]) * event["seconds"] / event["step"]
            self.bar.set_postfix_str(
                f"loss {event['loss']:.3f}, error {event['error']:.1%}, {event['images_per_second']:,.0f} images/s, "
                f"{datetime.timedelta(seconds=round(left))} left"
            )
            return
        self.bar.write(line_of(event, self.passes))


def line_of(event: dict[str, Any], passes: int) -> str:
    """A pass in one line."""
    words = [
        f"pass {event['pass']} of at most {passes}",
        f"training loss {event['train_loss']:.4f}, error {event['train_error']:.2%}",
    ]
    for name, what in (("val", "validation"), ("val_ten", "by ten views")):
        shares = [f"top-{k} {event[f'{name}_top{k}']:.2%}" for k in (1, 5) if f"{name}_top{k}" in event]
        words += [f"{what} {', '.join(shares)}"] if shares else []
    words.append(f"rate {event['rate']:.2g}" + (", divided by 10 now" if event["decision"] == "dropped" else ""))
    return "; ".join(words) + f"; {datetime.timedelta(seconds=round(event['seconds']))}"
