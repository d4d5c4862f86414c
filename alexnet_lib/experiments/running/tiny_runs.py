"""One training run on a part of Tiny ImageNet, in a process of its own: trained, then measured image by image.

Of each run stay, beside its record, which test images it got wrong, as bits, and its first layer's kernels
(`Kept`). Used by the experiments `evidence`, `flagship` and `pretraining`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from ... import records
from ...augment.view_sets import view_list, views
from ...data.imagenet.reader import PreparedImages
from ...errors import RecordError, TrainingError, first_line
from ...system.files import atomic_path, naming, write_text
from ...training import checkpoints
from ...training.evaluation import VIEWS_AT_ONCE, probabilities
from ...training.feed import validation_batches
from ...training.loop import Cadence, Training
from ...training.recipes import Recipe
from ...training.run_folder import RunFolder, read_log, run_identity
from ...training.schedule import DROPPED
from ...training.seeds import Share
from . import pool

TRAIN, TUNE, TEST = "train", "tune", "test"  # the splits: learned from, rates and schedules judged by, counted on
OUTCOME, STAGE = "outcome.json", "stage-"
LAST = torch.channels_last


@dataclass(frozen=True)
class Unit:
    """One training run. run: the record that it goes into. pilot: to choose a rate; judged on TUNE, and nothing else
    is kept of it. start: weights to begin from, their last layer aside (None: drawn by the seed). answers: keep every
    test image's softmax by ten views. weights: the file that keeps the first seed's weights. branches: the folder for
    the state at each drop of the rate. branch: such a state, to go on from without that drop, at the recipe's rate.
    images: the prepared set's folder. turn: units of a lower turn come first."""

    run: str
    recipe: Recipe
    seed: int
    images: Path
    pilot: bool = False
    start: Path | None = None
    answers: bool = False
    weights: Path | None = None
    branches: Path | None = None
    branch: Path | None = None
    turn: int = 0

    @property
    def label(self) -> str:
        return f"{self.run}{'_pilot' * self.pilot}_rate-{self.recipe.rate:g}_seed-{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Workplace(pool.Workplace):
    """records: the folder of the records, beside which what is kept of a run stays."""

    records: Path


def run_unit(unit: Unit, place: Workplace) -> dict[str, Any]:
    """Train a unit in this process, taken up where it was, measure it, and say how it went.

    A loss that is not finite is an outcome ("diverged"); "stopped" says that it waits to be taken up.
    """
    sets = {split: PreparedImages(unit.images, split) for split in (TRAIN, TUNE, TEST)}
    settings = run_identity(unit.recipe, sets[TRAIN], unit.seed) | {"start": str(unit.start and unit.start.name)}
    folder = RunFolder(place.checkpoints / unit.label, settings)
    with folder.held():
        outcome = folder.folder / OUTCOME
        if outcome.is_file():
            with naming(outcome, f"delete {folder.folder}, and the run is made again"):
                return json.loads(outcome.read_bytes())
        training = Training(
            unit.recipe,
            sets[TRAIN],
            sets[TUNE],
            unit.seed,
            torch.device(place.device),
            folder,
            cadence=Cadence(minutes=2.0),
        )
        training.learned = True  # as registered, a plateau is judged by the error alone
        training.should_stop, training.measure = pool.asked_to_stop, watching(training)
        if not folder.saved():
            begin(unit, training)
        if unit.branches:
            training.report = branching(unit, training, sets[TEST])
        try:
            if training.run() == "stopped":
                return {"ended": "stopped"}
            found = piloted(unit, training) if unit.pilot else measured(unit, training, sets[TEST], place.records)
        except TrainingError as error:
            if error.step is None:
                raise
            found = said(unit, read_log(folder.folder)) | {"ended": "diverged", "diverged_at": error.step}
        write_text(outcome, json.dumps(found) + "\n")
        return found


def begin(unit: Unit, training: Training) -> None:
    """Put a new run where it begins: at drawn weights, at another network's, or in the middle of another run."""
    if unit.start is not None:
        begin_from(training.net, unit.start)
    if unit.branch is not None:
        state = checkpoints.load(unit.branch, {})
        training.take_up()
        with checkpoints.fitting(unit.branch):
            schedule = training.schedule.state_dict() | {"passes": state["step"] // training.steps}
            groups = [group | {"lr": unit.recipe.rate} for group in state["groups"]]
            training.load_state(state | {"schedule": schedule, "groups": groups, "ended": ""})


def branch_of(folder: Path, drop: int) -> Path:
    """Where the state at a run's n-th drop of the rate is kept."""
    return folder / f"drop-{drop}.pt"


def branching(unit: Unit, training: Training, test: PreparedImages) -> Callable[[dict[str, Any]], None]:
    """At each drop of the rate, keep the state, and which test images the network gets wrong by then."""

    def report(event: dict[str, Any]) -> None:
        if event.get("decision") != DROPPED:
            return
        drop = len(training.schedule.dropped_at)
        answers = answers_of(training, test, "centre")
        _write(training.folder.folder / f"{STAGE}{drop}.safetensors", {"wrong": _packed(answers, test)}, {})
        state = training.state(training.since_line, training.since_pass)
        checkpoints.save(branch_of(unit.branches, drop), {}, state)

    return report


def begin_from(net: torch.nn.Module, path: Path) -> None:
    """Take a trained network's weights, all but the last layer's, whose classes were others. RecordError: unfit."""
    try:
        weights = {name: one.float() for name, one in load_file(path).items() if not name.startswith("fc8.")}
        missing, unknown = net.load_state_dict(weights, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RecordError(f"{path} cannot be read as weights to begin from ({first_line(error)})") from error
    if unknown or any(not name.startswith("fc8.") for name in missing):
        raise RecordError(f"{path} holds the weights of another network: {(unknown + missing)[0]}")


def watching(training: Training) -> Callable[[], dict[str, float]]:
    """What is measured at the end of each pass besides: the loss, in evaluation mode, of as many training images as
    there are to tune by, equally many of each class, and of those to tune by."""
    train, tune = training.train, training.val
    first = torch.cat(
        [
            (train.labels == label).nonzero()[: -(-len(tune) // len(train.classes))]
            for label in range(len(train.classes))
        ]
    ).flatten()

    def watch() -> dict[str, float]:
        seen, error = evaluated(training, train, first)
        return {"seen_loss": seen, "seen_error": error, "tune_loss": evaluated(training, tune)[0]}

    return watch


@torch.no_grad()
def evaluated(training: Training, images: PreparedImages, numbers: torch.Tensor | None = None) -> tuple[float, float]:
    """Mean loss and error of images' centres in evaluation mode, by the network as it is now."""
    training.net.eval()
    numbers = torch.arange(len(images)) if numbers is None else numbers
    scale, size, loss, wrong = training.scale, training.recipe.net.input_size, 0.0, 0
    for some in numbers.split(VIEWS_AT_ONCE):
        pixels, labels = images.images(some).to(training.device), images.labels[some].to(training.device)
        with training.autocast():
            logits = training.net(scale(views(pixels, size, "centre")[:, 0]).contiguous(memory_format=LAST)).float()
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        wrong += int((logits.argmax(1) != labels).sum())
    return loss / len(numbers), wrong / len(numbers)


def said(unit: Unit, log: list[dict[str, Any]]) -> dict[str, Any]:
    """What any outcome says: the seed, the rate, and the curve by pass."""
    passes = [event for event in log if event["event"] == "pass"]
    names = {
        "passes": "pass",
        "pass_error": "train_error",
        "loss": "train_loss",
        "validation_error": "val_top1",
        "seen_loss": "seen_loss",
        "seen_error": "seen_error",
        "validation_loss": "tune_loss",
        "rate": "rate",
    }
    curve = {name: [event[key] for event in passes] for name, key in names.items()}
    seconds = passes[-1]["seconds"] if passes else 0.0
    return {"seed": unit.seed, "pilot": unit.pilot, "rate": unit.recipe.rate, "seconds": seconds, "curve": curve}


def piloted(unit: Unit, training: Training) -> dict[str, Any]:
    """The outcome of a pilot: how often it was wrong on the images to tune by."""
    outcome = said(unit, read_log(training.folder.folder))
    return outcome | {"ended": training.ended, "tune_error": outcome["curve"]["validation_error"][-1]}


def measured(unit: Unit, training: Training, test: PreparedImages, folder: Path) -> dict[str, Any]:
    """The outcome of a run that has ended, its tensors written beside its record in `folder`."""
    began, answers = time.monotonic(), {which: answers_of(training, test, which) for which in ("centre", "ten")}
    wrong = {which: _packed(found, test) for which, found in answers.items()}
    for path in sorted(training.folder.folder.glob(f"{STAGE}*.safetensors")):
        wrong[path.stem] = load_file(path)["wrong"]
    errors = {which: float((found.argmax(1) != test.labels).double().mean()) for which, found in answers.items()}
    loss, error = evaluated(training, training.train)
    kept = Kept(wrong, training.net.conv1.weight.detach(), answers["ten"] if unit.answers else None)
    kept.write(folder / f"{unit.run}{kept_name(unit.seed)}", test)
    if unit.weights is not None and unit.seed == 0:
        write_weights(unit.weights, training.net)
    outcome = said(unit, read_log(training.folder.folder))
    if unit.branches:
        outcome["dropped_at"] = list(training.schedule.dropped_at)
    top5 = {which: _outside(found, test.labels) for which, found in answers.items()}
    return outcome | {
        "ended": training.ended,
        "test_error": errors["centre"],
        "views_error": {"ten": errors["ten"]},
        "top5_error": top5,
        "training_error": error,
        "training_loss": loss,
        "seconds": outcome["seconds"] + time.monotonic() - began,
    }


def _packed(answers: torch.Tensor, test: PreparedImages) -> torch.Tensor:
    """Which test images are answered wrong, eight to a byte."""
    return torch.from_numpy(np.packbits((answers.argmax(1) != test.labels).numpy()))


def _outside(answers: torch.Tensor, labels: torch.Tensor, k: int = 5) -> float | None:
    """The share of images whose label is not among the k likeliest; None where there are no more classes than that."""
    if answers.shape[1] <= k:
        return None
    own = answers.gather(1, labels[:, None])
    return float(((answers >= own).sum(1) > k).double().mean())


@torch.no_grad()
def answers_of(training: Training, images: PreparedImages, which: str) -> torch.Tensor:
    """Every image's softmax by a named set of views, float32 (N, classes), on the CPU."""
    training.net.eval()
    size = training.recipe.net.input_size
    at_once = max(1, VIEWS_AT_ONCE // len(view_list(images.side, images.side, size, which)))
    parts = [
        probabilities([training.net], [training.scale], pixels, size, which, training.autocast).cpu()
        for pixels, _ in validation_batches(images, Share(), training.device, at_once)
    ]
    return torch.cat(parts)


def kept_name(seed: int) -> str:
    """How the file beside a record ends that holds what is kept of a seed's run."""
    return f"_seed-{seed}.safetensors"


@dataclass(frozen=True, eq=False)
class Kept:
    """What stays of a run: by views, which test images it got wrong, in the set's order, bool (N,) when read, packed
    when written ("stage-n": by the centre, before the n-th drop of the rate); conv1's kernels, (n, 3, height, width);
    of some runs each test image's softmax by ten views, (N, classes), to 1/255 of its root, and its label, int64 (N,).
    """

    wrong: Mapping[str, torch.Tensor]
    kernels: torch.Tensor
    answers: torch.Tensor | None = None
    labels: torch.Tensor | None = None

    def write(self, path: Path, test: PreparedImages) -> None:
        """Into a file that names the test set."""
        tensors = {f"wrong-{which}": one for which, one in self.wrong.items()}
        tensors["conv1.weight"] = self.kernels.half().cpu().contiguous()
        if self.answers is not None:
            tensors["answers-ten"] = (255 * self.answers.sqrt()).round().to(torch.uint8)
            tensors["labels"] = test.labels.to(torch.int16)
        about = {"images": str(len(test)), "set": test.index["source"]["digest"]}
        _write(path, tensors, about)

    @classmethod
    def read(cls, record: Mapping[str, Any], seed: int, root: Path | None = None) -> Kept:
        """What is kept of a seed's run. RecordError, naming the file: missing, damaged, cut short, of another set."""
        folder = Path(root or records.recorded_root()) / record["experiment"]
        path, images = folder / f"{record['run']}{kept_name(seed)}", record["dataset"]["test_images"]
        try:
            with safe_open(path, "pt") as file:
                about, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, SafetensorError) as error:
            raise RecordError(
                f"{path} cannot be read ({first_line(error)}): restore it with git, or take seed {seed} "
                f"out of {records.key(record)} and run its command again"
            ) from error
        digest = record["dataset"]["checksum"].rpartition(":")[2]
        if about.get("set") != digest:
            raise RecordError(f"{path} is of the test set {about.get('set')}, its record of {digest}")
        wrong = {name.removeprefix("wrong-"): one for name, one in tensors.items() if name.startswith("wrong-")}
        for which, bits in wrong.items():
            if about.get("images") != str(images) or bits.shape != (-(-images // 8),):
                raise RecordError(
                    f"{path}: the bits of {which!r} are of {about.get('images')} images in {len(bits)} "
                    f"bytes, its record of {images:,}"
                )
        if {"centre", "ten"} - set(wrong) or "conv1.weight" not in tensors:
            raise RecordError(f"{path} lacks what a run keeps; it holds {', '.join(sorted(tensors))}")
        unpacked = {
            which: torch.from_numpy(np.unpackbits(bits.numpy(), count=images)).bool() for which, bits in wrong.items()
        }
        answers = labels = None
        if "answers-ten" in tensors:
            answers, labels = (tensors["answers-ten"].float() / 255).square(), tensors["labels"].long()
            answers = answers / answers.sum(1, keepdim=True)
        return cls(unpacked, tensors["conv1.weight"].float(), answers, labels)


def write_weights(path: Path, net: torch.nn.Module) -> None:
    """A network's weights in half precision."""
    _write(path, {name: one.detach().half().cpu().contiguous() for name, one in net.state_dict().items()}, {})


def _write(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(dict(tensors), dict(about)))
