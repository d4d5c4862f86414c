"""The loop that trains a network by a recipe: steps, passes, validation, checkpoints, in one process or several.

Taught in "Full training". With the same seed and data the losses are the same to the bit on a CPU,
whether a run was stopped or not; with several processes they are the same up to the order of sums, unless layers look
at the whole batch (batch normalisation sees each process's rows alone).
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from ..data.imagenet.reader import PreparedImages
from ..network.dropout import seed_dropout
from ..system.devices import autocast
from .evaluation import count_errors
from .feed import Batch, Feed
from .processes import Group
from .recipes import Recipe
from .run_folder import RunFolder, write_scale
from .schedule import STOP
from .seeds import Order, seed_of
from .tally import Tally
from .topk import Guessing, TopKErrors


@dataclass(frozen=True)
class Cadence:
    """How often, in steps: a line of the log; a checkpoint (None: every `minutes`); and in passes: weights kept."""

    log: int = 50
    save: int | None = None
    minutes: float = 10.0
    keep: int | None = None


@dataclass
class Training:
    """A run under way: what it was given, and the state that a checkpoint holds."""

    recipe: Recipe
    train: PreparedImages
    val: PreparedImages | None
    seed: int
    device: torch.device
    folder: RunFolder
    group: Group = field(default_factory=Group)
    cadence: Cadence = field(default_factory=Cadence)
    feed: str = "auto"
    compiled: str = ""  # a mode of torch.compile, or not at all
    report: Callable[[dict[str, Any]], None] = lambda event: None
    measure: Callable[[], dict[str, float]] = dict  # at the end of each pass, for the log
    should_stop: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        order = Order(len(self.train), self.recipe.batch, self.seed)
        self.source = Feed(self.train, order, self.group.share, self.device, self.feed)
        self.steps = order.steps
        net = self.group.make_net(self.recipe.net, len(self.train.classes), self.seed)
        self.net = net.to(self.device, memory_format=torch.channels_last)
        self.optimizer = self.recipe.make_optimizer(self.net)
        self.schedule = self.recipe.make_schedule(self.steps)
        self.scale = self.recipe.make_scale(self.train).to(self.device)
        self.guessing = Guessing.of(self.train.labels, (self.train if self.val is None else self.val).labels)
        self.step, self.ended, self.best, self.saved_at = 0, "", math.inf, time.monotonic()
        self.learned = False  # until a pass was better than guessing
        self.unjudged = False  # where a run was stopped within the validation that ends a pass
        self.since_line, self.since_pass = Tally(self.device), Tally(self.device)
        self.model: torch.nn.Module | None = None
        self.began, self.earlier = time.monotonic(), 0.0
        self._told = (time.monotonic(), 0)

    @property
    def number(self) -> int:
        """The pass that the next step belongs to, from 0."""
        return self.step // self.steps

    @property
    def seconds(self) -> float:
        """How long the run has worked, with what it did before it was stopped."""
        return self.earlier + time.monotonic() - self.began

    def run(self) -> str:
        """Train to the end, from the newest checkpoint on; "schedule", "passes" or "stopped" (asked to by the caller).

        TrainingError: a loss that is not finite, a process that is gone, or no checkpoint that can be read.
        """
        if self.model is None:
            self.take_up()
        if self.unjudged:
            self.unjudged = False
            self._end_pass(self.number - 1)
        while not self.ended:
            self._one_pass()
        return self.ended

    def take_up(self) -> None:
        """Load the newest checkpoint there is, and get ready for the next step."""
        state = self.folder.load(self.load_state) if self.group.first else None
        step = self.group.same_for_all(None if state is None else state["step"])
        if step is not None and state is None:
            self.load_state(self.folder.load_step(step))
        if self.group.first:
            self.folder.cut_log(self.step, self.unjudged)
        self._told = (time.monotonic(), self.step)
        if self.device.type == "cuda":  # batches are all of one size: the time to try algorithms comes back
            torch.backends.cudnn.benchmark = True
        self.model = self.group.wrap(self.net)
        if self.compiled:
            self.model = torch.compile(self.model, mode=self.compiled)

    def _one_pass(self) -> None:
        number = self.number
        augment = self.recipe.make_augmentation(self.scale, self.train.color_pca, number + 1)
        with contextlib.closing(self.source.batches(number, augment, self.step % self.steps)) as batches:
            for batch in batches:
                self.one_step(batch)
                if self.step % self.steps and self._pause():
                    return
        self._end_pass(number)
        if not self.ended and self.group.any(self.should_stop()):  # where a pass is one step, no other time comes
            self.ended = "stopped"

    def _how(self) -> str:
        """What to do about a loss that is no number."""
        kept = "; the last checkpoint is from before that" if self.folder.saved() else ""
        return f" (--rate, with another --out{kept})"

    def one_step(self, batch: Batch) -> None:
        """One update, after `take_up`."""
        if hasattr(self.schedule, "before_step"):
            self.schedule.before_step(self.optimizer, self.step)
        self._seed_masks()
        self.net.train()
        # Before the forward pass: its CUDA graph may put new numbers where the last gradients are.
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            logits = self.model(batch.pixels)
        loss = self.group.loss(logits, batch.labels, self.recipe.smoothing)
        with self.group.partner_errors("the backward pass"):
            loss.backward()
        self.optimizer.step()
        if self.group.sees_outputs:
            self.since_line.add(logits.detach(), batch.labels, loss.detach(), self.step)
        self.step += 1
        if self.step % self.cadence.log == 0 or self.step % self.steps == 0:
            self._line()

    def _seed_masks(self) -> None:
        """Dropout's masks hang on the seed and the step. On a GPU they are drawn there, and so for its rows alone."""
        seed = seed_of(self.seed, "dropout", self.step)
        if self.device.type == "cuda":
            torch.cuda.manual_seed((seed + self.group.rank) % 2**63)
        else:
            seed_dropout(self.net, seed % 2**40, (self.source.rows.start, self.recipe.batch))

    def autocast(self) -> contextlib.AbstractContextManager:
        """In which the network computes in the recipe's type."""
        return autocast(self.device, self.recipe.dtype)

    def _line(self) -> None:
        found = self.group.sum(self.since_line).checked(self.steps, self._how)
        self.since_pass.take(self.since_line)
        now, done = time.monotonic(), self.step
        rate = (done - self._told[1]) * self.recipe.batch / max(now - self._told[0], 1e-9)
        self._told = (now, done)
        self._tell(
            {
                "event": "step",
                "step": done,
                "pass": done / self.steps,
                "loss": found.loss,
                "error": found.error,
                "rate": self.optimizer.param_groups[0]["lr"],
                "images_per_second": rate,
                "seconds": self.seconds,
            }
        )

    def _pause(self) -> bool:
        """Between two steps: a checkpoint if one is due, and whether the run is to stop here."""
        asked = self.group.size == 1 or self.step % self.cadence.log == 0  # an exchange at every step would cost
        stop = asked and self.group.any(self.should_stop())
        if self.cadence.save is not None:
            due = self.step % self.cadence.save == 0
        else:
            late = time.monotonic() - self.saved_at > 60 * self.cadence.minutes
            due = self.step % self.cadence.log == 0 and self.group.any(late)
        if stop or due:
            self._save()
        if stop:
            self.ended = "stopped"
        return stop

    def _end_pass(self, number: int) -> None:
        before = self._state() | {"unjudged": True}
        trained = self.group.sum(self.since_pass).read()
        self.since_pass.clear()
        event = {
            "event": "pass",
            "step": self.step,
            "pass": number + 1,
            "train_loss": trained.loss,
            "train_error": trained.error,
            "rate": self.optimizer.param_groups[0]["lr"],
        }
        error = None
        if self.val is not None:
            if (centre := self.validate("centre")) is None:
                return self._stop(before)
            event |= {f"val_top{k}": share for k, share in centre.shares.items()}
            error = centre.shares[1]
        if self.guessing.is_pass(trained.loss, trained.error if error is None else error):
            event["guessing"] = self.guessing.error
        else:
            self.learned = True
        decision = self.schedule.step(self.optimizer, error, self.learned)
        if decision == STOP or number + 1 >= self.recipe.passes:
            self.ended = "schedule" if decision == STOP and number + 1 < self.recipe.passes else "passes"
        if self.ended and self.val is not None:
            if (ten := self.validate("ten")) is None:
                return self._stop(before)
            event |= {f"val_ten_top{k}": share for k, share in ten.shares.items()}
        improved = error is not None and error < self.best
        self.best = min(self.best, error) if error is not None else self.best
        self._tell(event | self.measure() | {"decision": decision, "seconds": self.seconds})
        self._keep_weights(number + 1, improved or self.val is None)
        self._save()
        self._told = (time.monotonic(), self.step)  # validation is not training speed

    def _stop(self, state: dict[str, Any]) -> None:
        self.ended = "stopped"
        self._save(state)

    def _keep_weights(self, number: int, best: bool) -> None:
        numbered = self.cadence.keep and number % self.cadence.keep == 0
        if not (best or numbered):
            return
        about = {"recipe": self.recipe.name, "pass": str(number), "classes": ",".join(self.train.classes)}
        whole = self.group.whole(self.net.state_dict())
        if not self.group.first:
            return
        write_scale(self.folder.folder, self.scale)  # for whoever uses the weights on other images
        if best:
            self.folder.save_weights("best", whole, about)
        if numbered:
            self.folder.save_weights(f"pass-{number:03}", whole, about)

    @torch.no_grad()
    def validate(self, which: str) -> TopKErrors | None:
        """Errors on the validation images by a named set of views, of all processes together; None where the run was
        asked to stop."""
        self.net.eval()
        together = self.group.share.size < self.group.size  # each batch is the work of all processes
        net = self.group.for_validation(self.net)
        counted = count_errors(
            [net],
            self.val,
            [self.scale],
            self.recipe.net.input_size,
            which=which,
            device=self.device,
            share=self.group.share,
            autocast=self.autocast,
            should_stop=(lambda: self.group.any(self.should_stop())) if together else self.should_stop,
        )
        return None if self.group.any(self.should_stop()) else self.group.add(counted)

    def _tell(self, event: dict[str, Any]) -> None:
        if self.group.first:
            self.folder.append(event)
            self.report(event)

    def _save(self, state: dict[str, Any] | None = None) -> None:
        self.saved_at = time.monotonic()
        state = state or self._state()
        if self.group.first:
            self.folder.save(state)

    def _state(self) -> dict[str, Any]:
        line, whole = (self.group.sum(each) for each in (self.since_line, self.since_pass))
        line.checked(self.steps, self._how)  # a state that has lost its numbers must not replace a good one
        return self.state(line, whole)

    def state(self, line: Tally, whole: Tally) -> dict[str, Any]:
        """All that a run needs to go on: tensors and plain values, of the whole network; all processes must ask."""
        moved = self.optimizer.state
        velocity = {name: moved[weight]["velocity"] for name, weight in self.net.named_parameters() if weight in moved}
        groups = [
            {key: value for key, value in group.items() if key != "params"} for group in self.optimizer.param_groups
        ]
        return {
            "step": self.step,
            "ended": self.ended if self.ended != "stopped" else "",
            "best": self.best,
            "learned": self.learned,
            "seconds": self.seconds,
            "net": self.group.whole(self.net.state_dict()),
            "velocity": self.group.whole(velocity),
            "groups": groups,
            "schedule": self.schedule.state_dict(),
            "line": line.state_dict(),
            "whole": whole.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.net.load_state_dict(self.group.own(state["net"]))
        velocity = self.group.own(state["velocity"])
        for name, weight in self.net.named_parameters():
            self.optimizer.state[weight]["velocity"] = torch.empty_like(weight).copy_(velocity[name])
        for group, kept in zip(self.optimizer.param_groups, state["groups"], strict=True):
            group.update(kept)
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.ended, self.best = state["step"], state["ended"], state["best"]
        self.unjudged = state.get("unjudged", False)
        self.learned = state.get("learned", True)  # an earlier version's checkpoint goes on by that version's rule
        self.earlier = state["seconds"]
        if self.group.first:  # sums of all processes: one of them carries them on
            self.since_line.load_state_dict(state["line"], self.group.share.size)
            self.since_pass.load_state_dict(state["whole"], self.group.share.size)


@contextmanager
def asked_to_stop() -> Iterator[list[int]]:
    """Ctrl-C and a request to end (SIGTERM, as clusters send) let the step end and the state be saved.

    The signals that came are in the list; a second Ctrl-C ends at once.
    """
    asked: list[int] = []

    def note(number: int, _: object) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
