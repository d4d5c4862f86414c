"""Training a small network on images that fit into memory: the whole set as bytes, every step on whole batches.

Taught in "ReLU against tanh" (section 3.1). The data order of a pass depends on the seed and the pass's number alone,
so a run that was stopped and taken up again goes through the same batches as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .augment import PixelScale, random_crop_reflect
from .errors import SettingError, TrainingError
from .files import atomic_path
from .optimiser import PaperSGD
from .progress import progress as progress_bar

EVALUATION_BATCH = 500
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} passes [{elapsed}<{remaining}{postfix}]"


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained.

    rate, momentum, weight_decay: of PaperSGD. passes: through the training set, at most. target_error: stop when the
    training error of the last whole pass is at or under it (a share, 0.25 for 25%). points: how often a pass the curve
    gets a point. crop: side of random crops with reflections after `padding`, None for the images as they are.
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

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise SettingError(f"learning rate {self.rate} cannot train anything; give a positive number, such as 0.01")
        if self.batch_size < 1 or self.passes <= 0 or self.points < 1:
            raise SettingError(
                f"batch_size {self.batch_size}, passes {self.passes} and points {self.points} must be positive"
            )


@dataclass
class TrainResult:
    """What a run left: its curve, how it ended, and how long it took.

    curve: one entry a point: passes (so far), error (training error of the last stretch), pass_error (of the last
    whole pass, or of all so far in the first), loss (mean of the stretch). ended: "target", "cap", "abandoned" (by
    on_point) or "stopped" (by Ctrl-C).
    target_passes: passes when the target was met, None if it was not.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    ended: str = "cap"
    target_passes: float | None = None
    seconds: float = 0.0
    test_error: float | None = None


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
            batch = random_crop_reflect(batch, settings.crop, padding=settings.padding, generator=generator)
        yield batch, labels[chosen]


class _Tally:
    """Counts wrong answers and losses on the device; asks the device for numbers only when a point is due."""

    def __init__(self, device: torch.device, points: int):
        self.wrong = torch.zeros((), device=device)
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.first_bad = torch.full((), -1, dtype=torch.int64, device=device)
        self.seen = self.batches = 0
        self.recent: list[tuple[float, int]] = []
        self.points = points

    def add(self, logits: torch.Tensor, labels: torch.Tensor, loss: torch.Tensor, step: int) -> None:
        self.wrong += (logits.argmax(1) != labels).sum()
        self.loss += loss
        bad = ~torch.isfinite(loss) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, step, self.first_bad)
        self.seen += len(labels)
        self.batches += 1

    def point(self, passes: float) -> dict[str, float]:
        bad = int(self.first_bad)
        if bad >= 0:
            raise TrainingError(
                f"the loss is not a finite number at step {bad} (pass {passes:.2f}); "
                "a learning rate about three times lower is the first thing to try",
                step=bad,
            )
        self.recent = (self.recent + [(float(self.wrong), self.seen)])[-self.points :]
        wrong, seen = (sum(column) for column in zip(*self.recent, strict=True))
        result = {
            "passes": round(passes, 4),
            "error": float(self.wrong) / self.seen,
            "pass_error": wrong / seen,
            "loss": float(self.loss) / self.batches,
        }
        self.wrong.zero_()
        self.loss.zero_()
        self.seen = self.batches = 0
        return result


@dataclass
class _Run:
    """The state of a run that a checkpoint must hold."""

    net: nn.Module
    optimiser: PaperSGD
    result: TrainResult
    finished_passes: int = 0
    recent: list[tuple[float, int]] = field(default_factory=list)

    def save(self, path: Path, identity: dict) -> None:
        state = {
            "identity": identity,
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "result": asdict(self.result),
            "finished_passes": self.finished_passes,
            "recent": self.recent,
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def load(self, path: Path, identity: dict) -> None:
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:
            raise TrainingError(f"checkpoint {path} cannot be read ({error}); delete it to start again") from error
        if state["identity"] != identity:
            raise TrainingError(f"checkpoint {path} is of a run with other settings; delete it or use another folder")
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.result = TrainResult(**state["result"])
        self.finished_passes, self.recent = state["finished_passes"], state["recent"]


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
    on_point: Callable[[dict[str, float]], bool | None] | None = None,
) -> TrainResult:
    """Train `net` on uint8 images (N, 3, H, W) and labels (N,) until the target, the cap or Ctrl-C.

    Every training image counts once for the training error, at the step that uses it and before the update it causes:
    that is how the 2012 code counted. `on_point` sees each point of the curve and may return True to end the
    run. With `checkpoint`, the state is saved after every pass, and a run with the same settings and seed goes on from
    there. Ctrl-C ends the run cleanly: the curve so far is returned, ended "stopped".
    Raises TrainingError when the loss is not finite, naming the step.
    """
    device = torch.device(device)
    if len(images) < settings.batch_size:
        raise SettingError(f"{len(images)} images do not fill one batch of {settings.batch_size}")
    net.to(device, memory_format=torch.channels_last).train()
    # Rows of whole pixels in memory, so that the batches taken from them are channels last without another copy.
    images = images.to(device).contiguous(memory_format=torch.channels_last)
    labels, scale = labels.to(device), scale.to(device)
    optimiser = PaperSGD(net.parameters(), settings.rate, settings.momentum, settings.weight_decay)
    run = _Run(net, optimiser, TrainResult())
    identity = {"settings": asdict(settings), "seed": seed, "label": label, "images": len(images)}
    if checkpoint is not None and checkpoint.exists():
        run.load(checkpoint, identity)
    passes = math.ceil(settings.passes)
    shown = {"desc": label, "unit": "pass", "bar_format": BAR} | ({} if progress else {"disable": True})
    with progress_bar(total=passes, initial=run.finished_passes, **shown) as bar:
        try:
            while run.finished_passes < passes and run.result.ended == "cap":
                _one_pass(run, images, labels, settings, scale, seed, bar, on_point)
                if checkpoint is not None:
                    run.save(checkpoint, identity)
        except KeyboardInterrupt:
            run.result.ended = "stopped"
    return run.result


def _one_pass(
    run: _Run, images: torch.Tensor, labels: torch.Tensor, settings: TrainSettings, scale: PixelScale, seed: int,
    bar: Any, on_point: Callable[[dict[str, float]], bool | None] | None,
) -> None:  # fmt: skip
    """One pass through the training set, or less where the target or the cap comes first."""
    began, base_seconds, result = time.perf_counter(), run.result.seconds, run.result
    tally = _Tally(images.device, settings.points)
    tally.recent = list(run.recent)
    steps = len(images) // settings.batch_size
    last = min(steps, round((settings.passes - run.finished_passes) * steps))
    due = {round(steps * (k + 1) / settings.points) for k in range(settings.points)} | {last}
    for index, (batch, target) in enumerate(make_batches(images, labels, settings, seed, run.finished_passes), 1):
        loss, logits = train_step(run.net, run.optimiser, scale(batch), target)
        tally.add(logits, target, loss, run.finished_passes * steps + index)
        bar.update(1 / steps)
        if index in due:
            point = tally.point(run.finished_passes + index / steps)
            result.curve.append(point)
            result.seconds = base_seconds + time.perf_counter() - began
            bar.set_postfix_str(f"error {point['pass_error']:.1%}")
            if on_point is not None and on_point(point):
                result.ended = "abandoned"
                return
            whole = point["passes"] >= 1
            if settings.target_error is not None and whole and point["pass_error"] <= settings.target_error:
                result.ended, result.target_passes = "target", point["passes"]
                return
        if index >= last:
            break
    run.recent = tally.recent
    run.finished_passes += 1


def train_step(
    net: nn.Module, optimiser: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One update on a batch of normalised images (B, 3, H, W) and labels (B,); the loss and logits from before it."""
    logits = net(images)
    loss = F.cross_entropy(logits, labels)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
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
