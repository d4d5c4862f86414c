"""Training a small network on images that fit into memory: the whole set as bytes, every step on whole batches.

Taught in "ReLU against tanh" (section 3.1). The data order of a pass, and the masks of the library's Dropout layers,
depend on the seed and the pass's number alone, so a run that was stopped and taken up again goes through the same
batches as one that was not.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..augment import PixelScale, random_crop_reflect
from ..errors import SettingError
from ..network.dropout import seed_dropout
from ..system.progress import progress as progress_bar
from . import checkpoints
from .optimizer import PaperSGD, check_rate
from .schedule import STOP, Schedule
from .tally import Tally

EVALUATION_BATCH = 500
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} passes [{elapsed}<{remaining}{postfix}]"

OnPoint = Callable[[dict[str, float]], bool | None]


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained.

    rate, momentum, weight_decay: of PaperSGD. passes: through the training set, at most. target_error: stop when the
    training error of the last whole pass is at or under it (a share, 0.25 for 25%). points: how often a pass the curve
    gets a point. crop: side of random crops after `padding`, with reflections if `reflect`; None for the images as
    they are.
    """

    rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 128
    passes: float = 10
    target_error: float | None = None
    points: int = 4
    crop: int | None = None
    padding: int = 0
    reflect: bool = True

    def __post_init__(self) -> None:
        check_rate(self.rate)
        if not (math.isfinite(self.passes) and self.passes > 0):
            raise SettingError(f"passes {self.passes} must be a positive number")
        if self.batch_size < 1 or self.points < 1:
            raise SettingError(f"batch_size {self.batch_size} and points {self.points} must be 1 or more")
        if self.target_error is not None and not 0 <= self.target_error <= 1:
            raise SettingError(f"target_error {self.target_error} is a share: 0.25 for 25%")


@dataclass
class TrainResult:
    """What a run left: its curve, how it ended, and how long it took.

    curve: one entry a point: passes (so far), error (training error since the last point), pass_error (of the last
    whole pass, or of all so far in the first; up to a point's stretch more where a cap lies between two points), loss
    (mean since the last point); with a schedule also, at the end of a pass, validation_error and rate (of the first
    group, in that pass). ended: "target", "cap", "schedule", or "abandoned" (by on_point).
    target_passes: passes when the target was met, None if it was not.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    ended: str = "cap"
    target_passes: float | None = None
    seconds: float = 0.0
    test_error: float | None = None

    @property
    def error(self) -> float:
        """Training error over the last whole pass."""
        return self.curve[-1]["pass_error"]

    @property
    def course(self) -> tuple[list[float], list[float]]:
        """Passes, and the training error over the last whole pass at each."""
        return [point["passes"] for point in self.curve], [point["pass_error"] for point in self.curve]


def make_batches(
    images: torch.Tensor, labels: torch.Tensor, settings: TrainSettings, seed: int, number: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The batches of pass `number`: uint8 images (B, 3, S, S) and labels, shuffled by (seed, number); the rest dropped.

    `images` may be in any memory order; batches come channels last, which is what convolutions on CPUs want.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    order = torch.randperm(len(images), generator=generator).to(images.device)
    pixels = images.permute(0, 2, 3, 1)
    for start in range(0, len(order) - settings.batch_size + 1, settings.batch_size):
        chosen = order[start : start + settings.batch_size]
        batch = pixels[chosen].permute(0, 3, 1, 2)
        if settings.crop:
            batch = random_crop_reflect(
                batch, settings.crop, padding=settings.padding, reflect=settings.reflect, generator=generator
            )
        yield batch, labels[chosen]


@dataclass
class _Run:
    """A run under way: what `fit` was given, and the state that a checkpoint holds."""

    net: nn.Module
    images: torch.Tensor
    labels: torch.Tensor
    settings: TrainSettings
    scale: PixelScale
    seed: int
    optimizer: PaperSGD
    result: TrainResult = field(default_factory=TrainResult)
    finished_passes: int = 0
    recent: list[tuple[float, int]] = field(default_factory=list)
    schedule: Schedule | None = None
    validate: Callable[[], float] | None = None

    @property
    def steps(self) -> int:
        """Steps a pass."""
        return len(self.images) // self.settings.batch_size

    @property
    def all_steps(self) -> int:
        """Steps until the cap."""
        return max(1, round(self.settings.passes * self.steps))

    @property
    def finished(self) -> bool:
        return self.result.ended != "cap" or self.finished_passes * self.steps >= self.all_steps

    def one_pass(self, bar: Any, on_point: OnPoint | None) -> None:
        """One pass through the training set, or less where an end comes first."""
        began, earlier, done = time.perf_counter(), self.result.seconds, self.finished_passes * self.steps
        seed_dropout(self.net, self.seed * 1_000_003 + self.finished_passes)
        tally, recent = Tally(self.images.device), list(self.recent)
        last, points = min(self.steps, self.all_steps - done), self.settings.points
        due = {round(self.steps * (k + 1) / points) for k in range(points)} | {last}
        batches = make_batches(self.images, self.labels, self.settings, self.seed, self.finished_passes)
        for index, (batch, labels) in enumerate(itertools.islice(batches, last), 1):
            loss, logits = train_step(self.net, self.optimizer, self.scale(batch), labels)
            tally.add(logits, labels, loss, done + index)
            bar.update(1 / self.steps)
            if index in due:
                point = self._point(tally, recent, done + index)
                self.result.curve.append(point)
                self.result.seconds = earlier + time.perf_counter() - began
                bar.set_postfix_str(f"error {point['pass_error']:.1%}")
                if self._ends_at(point, on_point):
                    return
        self.recent = recent
        self.finished_passes += 1
        if self.schedule is not None and last == self.steps:
            self._ask_schedule()

    def _point(self, tally: Tally, recent: list[tuple[float, int]], step: int) -> dict[str, float]:
        """The curve's point after so many steps; counting starts anew.

        recent: wrong answers and images of the last points, as many as make up a whole pass.
        """
        found = tally.checked(self.steps)
        tally.clear()
        recent.append((found.wrong, found.seen))
        while sum(seen for _, seen in recent[1:]) >= self.steps * self.settings.batch_size:
            recent.pop(0)
        pass_error = sum(wrong for wrong, _ in recent) / sum(seen for _, seen in recent)
        return {
            "passes": round(step / self.steps, 4),
            "error": found.error,
            "pass_error": pass_error,
            "loss": found.loss,
        }

    def _ask_schedule(self) -> None:
        error = self.validate() if self.validate else None
        point = self.result.curve[-1]
        point["rate"] = self.optimizer.param_groups[0]["lr"]
        if error is not None:
            point["validation_error"] = error
        if self.schedule.step(self.optimizer, error) == STOP:
            self.result.ended = "schedule"

    def _ends_at(self, point: dict[str, float], on_point: OnPoint | None) -> bool:
        target = self.settings.target_error
        if on_point is not None and on_point(point):
            self.result.ended = "abandoned"
        elif target is not None and point["passes"] >= 1 and point["pass_error"] <= target:
            self.result.ended, self.result.target_passes = "target", point["passes"]
        return self.result.ended != "cap"

    def identity(self, label: str) -> dict[str, Any]:
        """What must be equal for a checkpoint to be of this run."""
        net = str(getattr(self.net, "config", self.net))
        run = {"settings": asdict(self.settings), "seed": self.seed, "label": label}
        if self.schedule is not None:
            run["schedule"] = type(self.schedule).__name__
        return {**run, "net": net, "images": list(self.images.shape)}

    def state(self) -> dict[str, Any]:
        state = {
            "net": self.net.state_dict(),
            "optimiser": self.optimizer.state_dict(),
            "result": asdict(self.result),
            "finished_passes": self.finished_passes,
            "recent": self.recent,
        }
        return state if self.schedule is None else state | {"schedule": self.schedule.state_dict()}

    def take_up(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimiser"])
        self.result = TrainResult(**state["result"])
        self.finished_passes, self.recent = state["finished_passes"], state["recent"]
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])


def fit(
    net: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: TrainSettings,
    scale: PixelScale,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    label: str = "",
    progress: bool = False,
    checkpoint: Path | None = None,
    on_point: OnPoint | None = None,
    parameters: Iterable | None = None,
    schedule: Schedule | None = None,
    validate: Callable[[], float] | None = None,
) -> TrainResult:
    """Train `net` on uint8 images (N, 3, H, W) and labels (N,) until the target or the cap.

    Every training image counts once for the training error, at the step that uses it and before the update it causes:
    that is how the 2012 code counted. `on_point` sees each point of the curve and may return True to end the
    run. With `checkpoint`, the state is saved after every pass, and a run with the same settings and seed goes on from
    there. An interruption goes through, so that a notebook's cell ends where its reader stops it. `parameters` are what
    PaperSGD is given, such as groups with rates or decays of their own; without it, all of the net's alike. Dropout
    layers of the library draw their masks from `seed` meanwhile, and from torch's own generator afterwards. A new
    `schedule` is asked after every whole pass, with what `validate()` says is the validation error then, and may end
    the run.
    Raises TrainingError when the loss is not finite, naming the step, and for a checkpoint that cannot be used.
    """
    device = torch.device(device)
    if len(images) < settings.batch_size:
        raise SettingError(f"{len(images)} images do not fill one batch of {settings.batch_size}")
    net.to(device, memory_format=torch.channels_last).train()
    # Rows of whole pixels in memory, so that the batches taken from them are channels last without another copy.
    images = images.to(device).contiguous(memory_format=torch.channels_last)
    given = net.parameters() if parameters is None else parameters
    optimizer = PaperSGD(given, settings.rate, settings.momentum, settings.weight_decay)
    run = _Run(net, images, labels.to(device), settings, scale.to(device), seed, optimizer)
    run.schedule, run.validate = schedule, validate
    if checkpoint is not None and checkpoint.exists():
        state = checkpoints.load(checkpoint, run.identity(label))
        with checkpoints.fitting(checkpoint):
            run.take_up(state)
    shown = {"desc": label, "unit": "pass", "bar_format": BAR} | ({} if progress else {"disable": True})
    with progress_bar(total=math.ceil(settings.passes), initial=run.finished_passes, **shown) as bar:
        try:
            while not run.finished:
                run.one_pass(bar, on_point)
                if checkpoint is not None:
                    checkpoints.save(checkpoint, run.identity(label), run.state())
        finally:
            seed_dropout(net, None)
    return run.result


def train_step(
    net: Callable[[torch.Tensor], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One update on a batch of normalised images (B, 3, H, W) and labels (B,); the loss and logits from before it."""
    logits = net(images)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach(), logits.detach()


@torch.no_grad()
def error_rate(
    net: nn.Module, images: torch.Tensor, labels: torch.Tensor, scale: PixelScale, device: torch.device | str = "cpu"
) -> float:
    """The share of uint8 images (N, 3, H, W) that the network, in evaluation mode, puts into a wrong class."""
    training = net.training
    net.to(device).eval()
    scale = scale.to(torch.device(device))
    wrong = 0
    for some, wanted in zip(images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True):
        batch = scale(some.to(device)).contiguous(memory_format=torch.channels_last)
        wrong += int((net(batch).argmax(1) != wanted.to(device)).sum())
    net.train(training)
    return wrong / len(images)
