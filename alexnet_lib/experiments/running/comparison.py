"""Comparing variants of a network on CIFAR-10: data, seeds and schedule are the same.

The machinery behind `lrn_cifar10`, `pooling_cifar10` and others. Each variant may first choose its learning rate:
short runs on the training set less 5,000 held-out images, which decide; the test set is looked at once a run, at its
end. Every variant trains from the same seeds, so that differences are taken seed by seed. Its first chapters are
"Local response normalisation" and "Overlapping pooling".
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ...augment import centre
from ...data.image_set import ImageSet
from ...errors import SettingError, TrainingError
from ...measures.crops import views_error
from ...training.fit import OnPoint, TrainResult, TrainSettings, error_rate, fit
from ...training.optimizer import parameter_groups
from . import machine
from .on_cifar10 import Workplace, image_set
from .pixels import Scale, fitted_scale, with_noise
from .pool import STOPPED, Stopped, stop_if_asked
from .watching import keys_in, watching

HELD_OUT = 5_000
PILOT_SEED = 0
# Training images whose error is measured at the end: as many as there are test images, equally many of each class.
MOST_MEASURED = 10_000
DECAY = 0.004
# Terms that came later: where they are as ever, they are not in a record's configuration, so that old ones still fit.
LATER = {"padding": 0, "pixels": "mean image", "noise": "none", "watched": 0, "views": ()}


class NetConfig(Protocol):
    """What a network of a comparison is: a frozen dataclass that builds it.

    The network has this as its `config`, takes (N, 3, image_size, image_size), and may say what PaperSGD is given: by
    `parameter_groups(rate, decay)`, or by the name of a recipe of `optimizer.parameter_groups`, as `recipe`.
    """

    image_size: int

    def build(self, seed: int | None = None) -> nn.Module: ...


@dataclass(frozen=True)
class Terms:
    """What all variants of a comparison share.

    images: how many training images (None: all). augmented: True for random crops and reflections, "crops" or
    "reflections" for one of them, False for the centres as they are; padding: pixels of zero around, before cropping.
    pixels and noise: names in `pixels.SCALES` and `pixels.NOISES`. stages: passes at the rate, then at a tenth of it,
    then at a hundredth: the released nets had 140, 10 and 10. rates: to choose from, by `pilot` passes each on all but
    HELD_OUT images; a single rate is taken without a pilot. watched: of how many images of each set errors and losses
    are measured after every pass (`watching`); it does not change the training. views: names in `view_sets.SETS`, whose
    test error is measured at the end beside the centre crop's.
    """

    images: int | None = None
    augmented: bool | str = True
    stages: tuple[float, ...] = (140, 10, 10)
    rates: tuple[float, ...] = (0.001,)
    pilot: float = 0
    decay: float = DECAY
    padding: int = 0
    pixels: str = "mean image"
    noise: str = "none"
    watched: int = 0
    views: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.augmented not in (True, False, "crops", "reflections"):
            raise SettingError(f"augmented {self.augmented!r} is not known; use True, False, 'crops' or 'reflections'")

    @property
    def passes(self) -> float:
        return sum(self.stages)


@dataclass(frozen=True)
class Trial:
    """One training run of a comparison: a variant at one rate from one seed; a pilot if it is to choose the rate."""

    run: str
    net: NetConfig
    terms: Terms
    settings: TrainSettings
    seed: int
    pilot: bool = False

    @property
    def label(self) -> str:
        return f"{self.run} {'pilot ' * self.pilot}rate {self.settings.rate:g} seed {self.seed}"

    @property
    def turn(self) -> int:
        """All variants have one seed before any has two."""
        return self.seed


@dataclass
class Variant(machine.Variant):
    """One entry of a comparison, and what was run of it so far: pilots by rate, outcomes by seed."""

    label: str
    net: NetConfig
    terms: Terms

    def due(self, busy: Collection[Trial] = ()) -> list[Trial]:
        """What can start now beside the `busy` trials: the pilots, and when all have ended the seeds."""
        rates = self.terms.rates
        if len(rates) > 1 and (missing := [rate for rate in rates if rate not in self.pilots]):
            trials = [self._trial(rate, PILOT_SEED, pilot=True) for rate in missing]
        else:
            trials = [self._trial(self.best_rate(), seed) for seed in self.seeds_left()]
        return [trial for trial in trials if trial not in busy]

    def _trial(self, rate: float, seed: int, pilot: bool = False) -> Trial:
        passes = self.terms.pilot if pilot else self.terms.passes
        settings = settings_of(self.terms, self.net, rate=rate, passes=passes, points=1)
        return Trial(self.run, self.net, self.terms, settings, seed, pilot)

    def best_rate(self) -> float:
        """The rate with the lowest error on the held-out images, the lower one of two; a single rate as it is."""
        if len(self.terms.rates) == 1:
            return self.terms.rates[0]
        return min(sorted(self.pilots), key=lambda rate: self.pilots[rate]["held_out_error"])

    @property
    def left(self) -> float:
        """How many passes, at most, are still to run."""
        rates = len(self.terms.rates)
        pilots = (rates - len(self.pilots)) * self.terms.pilot if rates > 1 else 0
        return pilots + len(self.seeds_left()) * self.terms.passes

    def configuration(self) -> dict[str, Any]:
        terms = {name: value for name, value in asdict(self.terms).items() if (name, value) not in LATER.items()}
        net = {name: value for name, value in asdict(self.net).items() if value is not None}  # None: as ever
        return {"net": net, "terms": terms, "label": self.label}

    def result(self) -> dict[str, Any]:
        """Errors by seed at the chosen rate, their mean and spread (sample deviation)."""
        runs = self.runs()
        views = {which: [one["views_error"][which] for one in runs] for which in self.terms.views}
        return {
            "complete": not self.due(),
            "rate": self.best_rate() if runs else None,
            "seeds": sorted(self.outcomes),
            **machine.errors_of(runs),
            "diverged": [one["seed"] for one in runs if one["diverged_at"] is not None],
            "held_out_error": {f"{rate:g}": one["held_out_error"] for rate, one in sorted(self.pilots.items())},
        } | ({"views_error": views} if views else {})


def settings_of(terms: Terms, net: NetConfig, **others: Any) -> TrainSettings:
    """How one run is trained under these terms; `others` are further fields of TrainSettings."""
    crop = net.image_size if terms.augmented else None
    padding = terms.padding if terms.augmented in (True, "crops") else 0
    reflect = terms.augmented != "crops"
    return TrainSettings(**others, weight_decay=terms.decay, crop=crop, padding=padding, reflect=reflect)


def run_trial(trial: Trial, place: Workplace) -> dict[str, Any]:
    """Train one variant from one seed in this process, and say how it went; a loss that is not finite is an outcome."""
    train = image_set("train", place.data, trial.terms.images)
    judged, test_key = image_set("test", place.data, place.images), "test_error"
    if trial.pilot:
        train, judged = held_out(train)
        test_key = "held_out_error"
    stem = trial.label.replace(" ", "_")
    checkpoints = [place.checkpoints / f"{stem}.{stage}.pt" for stage in range(len(trial.terms.stages))]
    try:
        outcome = trained(trial, train, judged, test_key, place.device, checkpoints)
    except Stopped:
        return STOPPED
    for path in checkpoints:
        path.unlink(missing_ok=True)
    return outcome | {"threads": place.threads, "pilot": trial.pilot}


def held_out(train: ImageSet) -> tuple[ImageSet, ImageSet]:
    """The training images less the held-out ones, and those; a tenth is held out of a set under 50,000.

    Drawn, and the same for every variant: a tree's images stand class by class, and its last ones are all of one.
    """
    count = min(HELD_OUT, len(train) // 10)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(PILOT_SEED))
    out, kept = order[:count].sort().values, order[count:].sort().values
    return tuple(replace(train, images=train.images[part], labels=train.labels[part]) for part in (kept, out))


def trained(
    trial: Trial, train: ImageSet, judged: ImageSet, judged_key: str, device: str, checkpoints: list[Path | None]
) -> dict[str, Any]:
    """Train through the stages, then measure errors on centre crops: of training images, and of `judged`."""
    terms = trial.terms
    scale = fitted_scale(terms.pixels, train.images)
    noisy = with_noise(terms.noise, scale, train.images, trial.seed)
    net = trial.net.build(seed=trial.seed)
    images = training_images(train, terms, trial.net.image_size)
    look = on_point(trial, net, train, judged, scale, device)
    began, results, diverged_at = time.perf_counter(), [], None
    outcome = {"rate": trial.settings.rate, "seed": trial.seed, "ended": "cap", judged_key: 1.0, "training_error": 1.0}
    try:
        for stage, (settings, checkpoint) in enumerate(zip(stages_of(trial), checkpoints, strict=False)):
            results.append(one_stage(net, images, settings, noisy, trial.seed + 1000 * stage, device, checkpoint, look))
    except TrainingError as error:
        if error.step is None:
            raise
        diverged_at = error.step
    if diverged_at is None:
        some = train.subset(MOST_MEASURED) if len(train) > MOST_MEASURED else train
        outcome[judged_key] = centre_error(net, judged, scale, device)
        outcome["training_error"] = centre_error(net, some, scale, device)
    if not trial.pilot:
        outcome |= errors_with_views(trial, net, judged, scale, device, diverged_at)
    seconds = sum(result.seconds for result in results) or time.perf_counter() - began
    ended = {"ended": "diverged" if diverged_at is not None else "cap", "diverged_at": diverged_at}
    return outcome | ended | {"seconds": seconds, "curve": joined(results)}


def stages_of(trial: Trial) -> list[TrainSettings]:
    """The settings of each stage, every one at a tenth of the rate before; a pilot has the first alone."""
    if trial.pilot:
        return [trial.settings]
    rate = trial.settings.rate
    return [replace(trial.settings, rate=rate / 10**i, passes=passes) for i, passes in enumerate(trial.terms.stages)]


def training_images(train: ImageSet, terms: Terms, side: int) -> ImageSet:
    """The images that batches are made of: whole where crops are cut, else their centres."""
    if terms.augmented in (True, "crops"):
        return train
    return replace(train, images=centre(train.images, side, side))


def one_stage(
    net: nn.Module,
    train: ImageSet,
    settings: TrainSettings,
    scale: Scale,
    seed: int,
    device: str,
    checkpoint: Path | None,
    look: OnPoint,
) -> TrainResult:
    """One stage; the velocity starts at zero in each, as little of the old one is left after ten steps."""
    return fit(
        net,
        train.images,
        train.labels,
        settings,
        scale,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        on_point=look,
        parameters=groups_of(net, settings),
    )


def on_point(trial: Trial, net: nn.Module, train: ImageSet, judged: ImageSet, scale: Scale, device: str) -> OnPoint:
    """What is done at each point of a run: it ends if it is to, and is measured if its terms say so (no pilot is)."""
    if trial.terms.watched and not trial.pilot:
        return watching(net, train, judged, trial.terms.watched, scale, device)
    return lambda _: stop_if_asked()


def groups_of(net: nn.Module, settings: TrainSettings) -> list[dict] | None:
    """What PaperSGD is given: the network's own groups, or None for all of it alike."""
    if recipe := getattr(net, "recipe", None):
        return parameter_groups(net, recipe, settings.rate, settings.weight_decay, settings.momentum)
    own = getattr(net, "parameter_groups", None)
    return own(settings.rate, settings.weight_decay) if own else None


def centre_error(net: nn.Module, images: ImageSet, scale: Scale, device: str) -> float:
    """The share of images whose centre crop is put into a wrong class."""
    side = net.config.image_size
    return error_rate(net, centre(images.images, side, side), images.labels, scale, device)


def errors_with_views(
    trial: Trial, net: nn.Module, judged: ImageSet, scale: Scale, device: str, diverged_at: int | None
) -> dict[str, dict[str, float]]:
    """The error with each set of views that the terms name, as an outcome holds it; nothing where they name none."""
    size, sets = trial.net.image_size, trial.terms.views
    errors = (views_error(net, judged.images, judged.labels, size, which, scale, device) for which in sets)
    told = [1.0] * len(sets) if diverged_at is not None else errors
    return {"views_error": dict(zip(sets, told, strict=True))} if sets else {}


def joined(results: list[TrainResult]) -> dict[str, list[float]]:
    """The curves of the stages as one: passes, the error of each pass as it was trained, the loss, what was watched."""
    keys = ["pass_error", "loss", *keys_in(point for result in results for point in result.curve)]
    curve: dict[str, list[float]] = {key: [] for key in ("passes", *keys)}
    before = 0.0
    for result in results:
        curve["passes"] += [round(before + point["passes"], 4) for point in result.curve]
        for key in keys:
            curve[key] += [point[key] for point in result.curve]
        before = curve["passes"][-1] if curve["passes"] else 0.0
    return curve
