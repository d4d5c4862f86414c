"""What a run tells while it goes: lines and a bar in the terminal, and the same figures for TensorBoard."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from ..system.progress import progress
from .recipes import START_2012, Recipe, paper

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


PATIENT = (5, 500)  # passes and steps without learning anything, after which it is told: the earlier of the two


def not_begun(recipe: Recipe, guessing: float) -> str:
    """What is said of a run that was never better than guessing, which has this error; and what to do."""
    why = (
        "look whether labels and pixels are right; try another --rate or, for a narrow network, PyTorch's own start "
        "(--set net.deviations=none), in another --out"
    )
    if recipe.net.deviations == paper().net.deviations:
        why = (
            "the text's starting weights may do this, for long or for ever. Begin anew, in another --out, with the "
            f"2012 code's: --recipe code2012, or --set {START_2012}. If that is not it, look at labels and pixels"
        )
    return f"it has not begun to learn, and answers no better than by guessing ({guessing:.2%} wrong): {why}"


class Report:
    """Tells the events of a run (see `loop.Training`) as they come; use it as a context."""

    def __init__(self, folder: Path, steps: int, recipe: Recipe, step: int = 0):
        self.steps, self.recipe, self.passes = steps, recipe, recipe.passes
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)
        self.bar = progress(total=steps * recipe.passes, initial=step, desc="training", unit="step")
        self.told = False

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
        late = event["pass"] >= PATIENT[0] or event["step"] >= PATIENT[1]
        if late and "guessing" in event and not self.told:
            self.bar.write(f"after pass {event['pass']} {not_begun(self.recipe, event['guessing'])}")
        self.told = late and "guessing" in event


def line_of(event: dict[str, Any], passes: int) -> str:
    """A pass in one line."""
    words = [
        f"pass {event['pass']} of at most {passes}",
        f"training loss {event['train_loss']:.4f}, error {event['train_error']:.2%}",
    ]
    for name, what in (("val", "validation"), ("val_ten", "by ten views")):
        shares = [f"top-{k} {event[f'{name}_top{k}']:.2%}" for k in (1, 5) if f"{name}_top{k}" in event]
        words += [f"{what} {', '.join(shares)}"] if shares else []
    words += ["no better than guessing"] if "guessing" in event else []
    words.append(f"rate {event['rate']:.2g}" + (", divided by 10 now" if event["decision"] == "dropped" else ""))
    return "; ".join(words) + f"; {datetime.timedelta(seconds=round(event['seconds']))}"
