"""The queue of a study on Tiny ImageNet: which run is next, and the record of each variant after every run.

First all variants get one seed, then the second, and so on, so that whoever stops early has a little of everything.
Each chooses its rate before its first seed, by short pilots on images that are neither learned from nor counted on.
What is recorded is never run again, on whatever machine it was.
"""

from __future__ import annotations

import argparse
import math
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ... import records
from ...data import tiny_imagenet
from ...data.image_set import data_root
from ...data.imagenet.preparation import prepare
from ...data.imagenet.reader import PreparedImages
from ...data.imagenet.sources import Source
from ...errors import DataError, RecordError
from ...system.devices import AUTO, pick_dtype, precision, slowdown
from ...system.files import made_folder
from ...training.recipes import Recipe, named
from . import machine
from .machine import Call, at_guessing, errors_of
from .study import checksum
from .tiny_runs import TEST, TRAIN, TUNE, Unit, Workplace, branch_of, run_unit

PILOT_SEED = 1000  # none of the seeds that count
MARGIN = 0.02  # by which a pilot must be better than the recipe's own rate: as much as so few images do by chance (95%)
WORK = ".checkpoints"  # below the records: prepared images, and the runs under way


@dataclass(frozen=True)
class Entry:
    """A variant: what it changes of the recipe "paper", how many seeds; the rates it chooses from (one: none to choose)
    and a pilot's passes and drops. first: seeds that it has before the others' second. answers: of `tiny_runs.Unit`.
    images: a name in its plan's `sources`. after: the entry whose weights it begins from. weights: those stay beside
    the record, in half precision. branches: keep the state at each drop of the rate. branch: go on from the n-th such
    state of `after` without the drop, for as many passes as that had until the next."""

    name: str
    changes: tuple[str, ...]
    seeds: int
    rates: tuple[float, ...]
    pilot: tuple[int, tuple[int, ...]] = (1, ())
    answers: bool = False
    first: int = 1
    images: str = "own"
    after: str | None = None
    weights: bool = False
    branches: bool = False
    branch: int | None = None


@dataclass(frozen=True)
class Plan:
    """A study: its claims, the date of its plan, where its images come from (listed, by name), the side they are
    brought to, and its entries in the order of the queue. size: begins the names of its records."""

    experiment: str
    claims: tuple[str, ...]
    size: str
    registered: str
    sources: Mapping[str, Callable[[Path], Source]]
    side: int
    entries: tuple[Entry, ...]


class Variant(machine.Variant):
    """An entry at work: its recipe, what is known of its pilots and seeds, and what is due. before: the variant that it
    begins from, if it does."""

    def __init__(self, plan: Plan, entry: Entry, folder: Path, out: Path, dtype: str, precise: str):
        self.plan, self.entry, self.folder, self.out, self.precise = plan, entry, folder, out, precise
        self.recipe = replace(named("paper", entry.changes), dtype=dtype)
        self.images = PreparedImages(folder, TRAIN)
        self.before: Variant | None = None
        super().__init__(f"{plan.size}_{entry.name}", entry.seeds, dataset=dataset(self.images))

    def configuration(self) -> dict[str, Any]:
        entry = self.entry
        return {
            "recipe": self.recipe.plain(),
            "side": self.images.side,
            "classes": list(self.images.classes),
            "rates": list(entry.rates),
            "pilot": list(entry.pilot),
            "registered": self.plan.registered,
            "precision": self.precise,
            **({"after": entry.after} if entry.after else {}),
        }

    @property
    def weights(self) -> Path:
        """Where the first seed's weights stay, if they do."""
        return self.out / self.plan.experiment / f"{self.run}_weights.safetensors"

    @property
    def branches(self) -> Path:
        """Where the states at drops of the rate are kept, if they are."""
        return self.out / self.plan.experiment / WORK / "branches" / self.run

    def due(self, busy: Collection[Unit] = ()) -> list[Unit]:
        """Pilots first, then seeds, each with its turn: one seed of all variants before the second of any."""
        return [unit for unit in self._left() if unit not in busy]

    def _left(self) -> list[Unit]:
        if self.entry.branch is not None:
            return self._branch(self.before)
        start = self.before.weights if self.before else None
        if start is not None and not start.is_file():
            return []
        if missing := self.rates_left():
            return [self._unit(self._pilot(rate), PILOT_SEED, start, pilot=True) for rate in missing]
        recipe = replace(self.recipe, rate=self.rate)
        return [
            replace(self._unit(recipe, seed, start), turn=max(0, seed - self.entry.first + 1))
            for seed in self.seeds_left()
        ]

    def rates_left(self) -> list[float]:
        """Of which there is no pilot yet; none where there is nothing to choose."""
        return [rate for rate in self.entry.rates if rate not in self.pilots] if len(self.entry.rates) > 1 else []

    def _branch(self, before: Variant) -> list[Unit]:
        """The run without a drop, once that with it has ended; nothing where it had fewer, or its state is gone."""
        main, state = before.outcomes.get(0), branch_of(before.branches, self.entry.branch)
        if self.outcomes or main is None or len(main["dropped_at"]) < self.entry.branch or not state.is_file():
            return []
        ends = [*main["dropped_at"], main["curve"]["passes"][-1]]
        rate = main["curve"]["rate"][ends[self.entry.branch - 1] - 1]
        recipe = replace(self.recipe, schedule="constant", rate=rate, passes=ends[self.entry.branch])
        return [replace(self._unit(recipe, 0, None), branch=state, turn=1)]

    def _pilot(self, rate: float) -> Recipe:
        passes, drops = self.entry.pilot
        return replace(self.recipe, rate=rate, passes=passes, drops=drops)

    def _unit(self, recipe: Recipe, seed: int, start: Path | None, pilot: bool = False) -> Unit:
        if pilot:
            return Unit(self.run, recipe, seed, self.folder, pilot, start)
        weights = self.weights if self.entry.weights else None
        branches = self.branches if self.entry.branches else None
        return Unit(self.run, recipe, seed, self.folder, pilot, start, self.entry.answers, weights, branches)

    @property
    def rate(self) -> float:
        """The recipe's own rate, or the one whose pilot was wrong least if that was by MARGIN or more, or if at its own
        the variant learned nothing. The recipe's own too where none learned."""
        if len(self.entry.rates) == 1:
            return self.entry.rates[0]
        answered = {rate: one["tune_error"] for rate, one in sorted(self.pilots.items()) if self.answers(one)}
        if not answered:
            return self.recipe.rate
        best = min(answered, key=answered.__getitem__)
        own = answered.get(self.recipe.rate, math.inf)
        return best if own - answered[best] >= MARGIN else self.recipe.rate

    def answers(self, pilot: Mapping[str, Any]) -> bool:
        """Whether a pilot says anything: it came to its end, and above guessing."""
        return pilot["ended"] != "diverged" and not at_guessing(pilot["tune_error"], len(self.images.classes))

    def tried(self) -> dict[str, float | str]:
        """By rate, what its pilot says: an error, or why it does not count as an answer."""
        found: dict[str, float | str] = {}
        for rate, one in sorted(self.pilots.items()):
            silent = "diverged" if one["ended"] == "diverged" else "at guessing"
            found[f"{rate:g}"] = one["tune_error"] if self.answers(one) else silent
        return found

    def result(self) -> dict[str, Any]:
        """What came out, by seed; of each rate that was tried, what its pilot says."""
        runs = self.runs()
        sound = [one for one in runs if one["ended"] != "diverged"]
        return {
            "complete": len(runs) >= self.seeds,
            "rate": self.rate if runs else None,
            "rates_tried": self.tried(),
            "seeds": [one["seed"] for one in sound],
            "diverged": [one["seed"] for one in runs if one["ended"] == "diverged"],
            **errors_of(sound),
            "training_loss": [one["training_loss"] for one in sound],
            "views_error": {"ten": [one["views_error"]["ten"] for one in sound]},
            "top5_error": {which: [one["top5_error"][which] for one in sound] for which in ("centre", "ten")},
        }

    def said(self, outcome: machine.Outcome) -> str:
        rates = ", ".join(
            f"{rate}: {error:.1%}" if isinstance(error, float) else f"{rate}: {error}"
            for rate, error in self.tried().items()
        )
        ends = ", ".join(f"{error:.2%}" for error in self.result()["test_error"]) or "none yet"
        return f"{self.run}: test error {ends}" + (f"; pilots {rates}" if rates else "")


def run_queue(plan: Plan, args: argparse.Namespace) -> list[Path]:
    """Run what is not recorded yet, a record a variant after each run; the paths that were written. `args`: full, out,
    data, device, jobs, seeds, only, dtype.

    DataError: no Tiny ImageNet. RecordError, naming both sides: a record in `out` of another plan, recipe, type,
    precision or data. TrainingError, naming the folder: the disk is full.
    """
    call = Call.of(plan.experiment, plan.claims, out=args.out, device=args.device, jobs=args.jobs)
    variants = begin(plan, args, call)
    call.take_up(variants)
    for one in variants:
        if one.entry.weights and one.outcomes and not one.weights.is_file():
            raise RecordError(
                f"{one.weights} is missing: its record is there. Restore it with git, or move the record "
                "away, and the run is made again"
            )
    if not call.left(variants):
        return []
    place = Workplace(
        records=call.folder,
        checkpoints=made_folder(call.work / "runs"),
        device=str(call.device),
        threads=call.threads,
    )
    announce(call, plan, variants)

    def clear(one: Variant, outcome: machine.Outcome) -> None:
        recipe = replace(one.recipe, rate=outcome["rate"])
        ended = Unit(one.run, recipe, outcome["seed"], one.folder, outcome["pilot"])
        shutil.rmtree(place.checkpoints / ended.label, ignore_errors=True)

    return call.run(variants, place, run_unit, clear)


def begin(plan: Plan, args: argparse.Namespace, call: Call) -> list[Variant]:
    """The variants that are asked for, their images prepared. SettingError: --only names what there is not."""
    entries, work = chosen(plan, args.only, args.seeds), call.work
    folders = {name: prepared(plan, name, args.data, work) for name in dict.fromkeys(each.images for each in entries)}
    dtype = settled_dtype(plan, args.dtype, call.out, call.device)
    precise = precision(call.device, dtype)
    made = {each.name: Variant(plan, each, folders[each.images], call.out, dtype, precise) for each in entries}
    for one in made.values():
        one.before = made.get(one.entry.after)
    return list(made.values())


def chosen(plan: Plan, only: str | None, seeds: int | None) -> list[Entry]:
    """The entries that are wanted, with those that they begin from."""
    known = {each.name: each for each in plan.entries}
    wanted = machine.chosen_of(only, list(known))
    wanted += [known[name].after for name in wanted if known[name].after]
    some = [each for each in plan.entries if each.name in wanted]
    return [replace(each, seeds=min(each.seeds, seeds)) for each in some] if seeds else some


def prepared(plan: Plan, name: str, data: str | None, work: Path) -> Path:
    """The plan's images of that name, prepared below `work`; done once. DataError: they are not there."""
    source = data_root(data) / tiny_imagenet.FOLDER
    if not source.is_dir():
        raise DataError(tiny_imagenet.how_to_get_tiny(source.parent))
    target = work / f"images-{plan.size}-{name}"
    prepare(plan.sources[name](source), target, side=plan.side)
    return target


def settled_dtype(plan: Plan, asked: str, out: Path, device: torch.device) -> str:
    """The type that all of a study computes in: that of its first record, else what is asked for."""
    for record in records.load(plan.experiment, root=out).values():
        if record["run"].startswith(f"{plan.size}_") and asked == AUTO:
            return record["configuration"]["recipe"]["dtype"]
    dtype = pick_dtype(asked, device)
    if asked == AUTO:
        print(f"computing in {dtype}: bfloat16 takes {slowdown(device):.2f} times as long as float32 here")
    return dtype


def announce(call: Call, plan: Plan, variants: Sequence[Variant]) -> None:
    """Print the plan: data, variants, runs and pilots that are left, and how long it will take."""
    first = variants[0]
    counts = {split: len(PreparedImages(first.folder, split)) for split in (TRAIN, TUNE, TEST)}
    pilots, runs, images, speed = 0, 0, 0, call.speed(first.images, first.recipe)
    for one in variants:
        missing, left = len(one.rates_left()), len(one.seeds_left())
        pilots, runs = pilots + missing, runs + left
        images += (missing * one.entry.pilot[0] + left * one.recipe.passes) * len(one.images)
    call.announce(
        f"{plan.experiment}, plan of {plan.registered}: {first.dataset['name']}; "
        + ", ".join(f"{count:,} to {split}" for split, count in counts.items()),
        f"{len(variants)} variants: {runs} runs and {pilots} pilots are left, about {images / speed / 3600:,.1f} hours "
        f"of one job for their steps, by the speed measured just now ({speed:,.0f} images/s in {first.precise})",
    )


def dataset(images: PreparedImages) -> dict[str, Any]:
    """What a record says of a prepared part of Tiny ImageNet."""
    counts = images.index["splits"]
    part = (
        ""
        if len(images.classes) == tiny_imagenet.CLASSES
        else (f", {len(images.classes)} of its {tiny_imagenet.CLASSES} classes")
    )
    return {
        "name": f"Tiny ImageNet{part}",
        "source": tiny_imagenet.URL,
        "checksum": checksum(images),
        "images": len(images),
        "tune_images": counts[TUNE]["images"],
        "test_images": counts[TEST]["images"],
        "stand_in": False,
    }
