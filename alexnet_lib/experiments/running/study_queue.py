"""The queue of a study on Tiny ImageNet: which run is next, and the record of each variant after every run.

First all variants get one seed, then the second, and so on, so that whoever stops early has a little of everything.
Each chooses its rate before its first seed, by short pilots on images that are neither learned from nor counted on.
What is recorded is never run again, on whatever machine it was.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ... import records
from ...data import tiny_imagenet
from ...data.image_set import data_root
from ...data.imagenet.preparation import prepare_source
from ...data.imagenet.reader import PreparedImages
from ...data.imagenet.sources import Source
from ...errors import DataError, RecordError, SettingError, TrainingError
from ...system.devices import AUTO, describe_device, keep_freed_memory, pick_device, pick_dtype, precision, slowdown
from ...training.recipes import Recipe, named
from ...training.speed import stepped
from .common import at_guessing, recorded_before, writable
from .pool import default_jobs, run_race
from .study import checksum
from .tiny_runs import TEST, TRAIN, TUNE, Unit, Workplace, branch_of, kept_name, run_unit

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


class Variant:
    """An entry at work: its recipe, what is known of its pilots and seeds, and what is due."""

    def __init__(self, plan: Plan, entry: Entry, folder: Path, out: Path, dtype: str, precise: str):
        self.plan, self.entry, self.folder, self.out = plan, entry, folder, out
        self.run = f"{plan.size}_{entry.name}"
        self.recipe = replace(named("paper", entry.changes), dtype=dtype)
        self.images = PreparedImages(folder, TRAIN)
        start = {"after": entry.after} if entry.after else {}
        self.configuration = {
            "recipe": self.recipe.plain(), "side": self.images.side, "classes": list(self.images.classes),
            "rates": list(entry.rates), "pilot": list(entry.pilot), "registered": plan.registered,
            "precision": precise, **start,
        }  # fmt: skip
        before = recorded_before(plan.experiment, self.run, out, self.configuration, checksum(self.images))
        self.pilots = {one["rate"]: one for one in before.get("curves", ()) if one["pilot"]}
        self.outcomes = {one["seed"]: one for one in before.get("curves", ()) if not one["pilot"]}

    @property
    def weights(self) -> Path:
        """Where the first seed's weights stay, if they do."""
        return self.out / self.plan.experiment / f"{self.run}_weights.safetensors"

    @property
    def branches(self) -> Path:
        """Where the states at drops of the rate are kept, if they are."""
        return self.out / self.plan.experiment / WORK / "branches" / self.run

    def units(self, before: Variant | None) -> list[tuple[int, Unit]]:
        """What is left and can start, each with the round that it belongs to: pilots first, then seeds.

        before: the variant that this one begins from.
        """
        if self.entry.branch is not None:
            return self._branch(before)
        start = before.weights if before else None
        if start is not None and not start.is_file():
            return []
        if len(self.entry.rates) > 1 and (missing := [rate for rate in self.entry.rates if rate not in self.pilots]):
            return [(0, self._unit(self._pilot(rate), PILOT_SEED, start, pilot=True)) for rate in missing]
        recipe = replace(self.recipe, rate=self.rate)
        return [(max(0, seed - self.entry.first + 1), self._unit(recipe, seed, start))
                for seed in range(self.entry.seeds) if seed not in self.outcomes]  # fmt: skip

    def _branch(self, before: Variant) -> list[tuple[int, Unit]]:
        """The run without a drop, once that with it has ended; nothing where it had fewer, or its state is gone."""
        main, state = before.outcomes.get(0), branch_of(before.branches, self.entry.branch)
        if self.outcomes or main is None or len(main["dropped_at"]) < self.entry.branch or not state.is_file():
            return []
        ends = [*main["dropped_at"], main["curve"]["passes"][-1]]
        rate = main["curve"]["rate"][ends[self.entry.branch - 1] - 1]
        recipe = replace(self.recipe, schedule="constant", rate=rate, passes=ends[self.entry.branch])
        return [(1, replace(self._unit(recipe, 0, None), branch=state))]

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

    def keep(self, outcome: dict[str, Any]) -> None:
        """Take the outcome of a unit that was due."""
        if outcome["pilot"]:
            self.pilots[outcome["rate"]] = outcome
        else:
            self.outcomes[outcome["seed"]] = outcome

    def record(self, circumstances: dict[str, Any]) -> dict[str, Any]:
        """The record as it stands."""
        outcomes = [*(self.pilots[rate] for rate in sorted(self.pilots)),
                    *(self.outcomes[seed] for seed in sorted(self.outcomes))]  # fmt: skip
        return {
            "experiment": self.plan.experiment, "run": self.run, "claims": list(self.plan.claims), **circumstances,
            "configuration": {**self.configuration, "seeds_wanted": self.entry.seeds},
            "dataset": dataset(self.folder), "seeds": sorted({one["seed"] for one in outcomes}),
            "seconds": sum(one["seconds"] for one in outcomes), "curves": outcomes, "result": self.result(),
        }  # fmt: skip

    def tried(self) -> dict[str, float | str]:
        """By rate, what its pilot says: an error, or why it does not count as an answer."""
        found: dict[str, float | str] = {}
        for rate, one in sorted(self.pilots.items()):
            silent = "diverged" if one["ended"] == "diverged" else "at guessing"
            found[f"{rate:g}"] = one["tune_error"] if self.answers(one) else silent
        return found

    def result(self) -> dict[str, Any]:
        """What came out, by seed; of each rate that was tried, what its pilot says."""
        runs = [self.outcomes[seed] for seed in sorted(self.outcomes)]
        sound = [one for one in runs if one["ended"] != "diverged"]
        names = ("test_error", "training_error", "training_loss")
        found = {name: [one[name] for one in sound] for name in names}
        errors = found["test_error"]
        return {
            "complete": len(runs) >= self.entry.seeds, "rate": self.rate if runs else None, "rates_tried": self.tried(),
            "seeds": [one["seed"] for one in sound],
            "diverged": [one["seed"] for one in runs if one["ended"] == "diverged"], **found,
            "views_error": {"ten": [one["views_error"]["ten"] for one in sound]},
            "top5_error": {which: [one["top5_error"][which] for one in sound] for which in ("centre", "ten")},
            "mean_test_error": statistics.mean(errors) if errors else None,
            "spread_test_error": statistics.stdev(errors) if len(errors) > 1 else None,
        }  # fmt: skip


@dataclass
class Queue:
    """All variants of a plan, as `pool.run_race` wants one contender: what is due next, and where outcomes go."""

    plan: Plan
    variants: dict[str, Variant] = field(default_factory=dict)
    run = "queue"

    def due(self, busy: Collection[Unit] = ()) -> list[Unit]:
        """What can start now beside the `busy` units: one seed of all before the second of any, in the plan's order."""
        waiting = []
        for place, one in enumerate(self.variants.values()):
            before = self.variants[one.entry.after] if one.entry.after else None
            waiting += [(turn, place, unit) for turn, unit in one.units(before) if unit not in busy]
        return [unit for *_, unit in sorted(waiting, key=lambda each: each[:2])]

    def keep(self, unit: Unit, outcome: dict[str, Any]) -> None:
        self.last = self._of(unit)
        self.last.keep(outcome)

    def _of(self, unit: Unit) -> Variant:
        return next(one for one in self.variants.values() if one.run == unit.run)

    def leader(self) -> None:
        """No run is given up for another's sake."""


def run_queue(plan: Plan, args: argparse.Namespace) -> list[Path]:
    """Run what is not recorded yet, a record a variant after each run; the paths that were written. `args`: full, out,
    data, device, jobs, seeds, only, dtype.

    DataError: no Tiny ImageNet. RecordError, naming both sides: a record in `out` of another plan, recipe, type,
    precision or data. TrainingError, naming the folder: the disk is full.
    """
    device, out = pick_device(args.device), Path(args.out) if args.out is not None else records.recorded_root()
    if device.type == "cpu":
        keep_freed_memory()
    work = writable(out / plan.experiment / WORK)
    queue = begin(plan, args, out, work, device)
    if not queue.due():
        print(f"{plan.experiment}: all of it is recorded in {out / plan.experiment}")
        return []
    jobs = args.jobs or default_jobs(device.type)
    threads = max(1, default_jobs("cpu") // jobs) if device.type == "cpu" else 1
    place = Workplace(out / plan.experiment, writable(work / "runs"), str(device), threads)
    circumstances = records.circumstances(describe_device(device), records.command_line(sys.argv[1:]))
    announce(queue, device, jobs, threads)
    paths = {}

    def write(queue: Queue) -> None:
        one = queue.last
        paths[one.run] = records.write(one.record(circumstances), out)
        told(one)
        for known in (*one.pilots.values(), *one.outcomes.values()):
            shutil.rmtree(place.checkpoints / label_of(one, known), ignore_errors=True)

    try:
        if not run_race([queue], place, jobs, write, run_unit):
            print("stopped; the same command goes on from here")
            raise KeyboardInterrupt
    except OSError as error:
        raise TrainingError(f"{out / plan.experiment} cannot be written ({error}): make room; what is recorded there "
                            "is whole, and the same command goes on from it") from error  # fmt: skip
    return list(paths.values())


def begin(plan: Plan, args: argparse.Namespace, out: Path, work: Path, device: torch.device) -> Queue:
    """The queue with what is known of it, its images prepared. SettingError: --only names what there is not."""
    entries = chosen(plan, args.only, args.seeds)
    folders = {name: prepared(plan, name, args.data, work) for name in dict.fromkeys(each.images for each in entries)}
    dtype = settled_dtype(plan, args.dtype, out, device)
    precise = precision(device, dtype)
    made = {each.name: Variant(plan, each, folders[each.images], out, dtype, precise) for each in entries}
    for one in made.values():
        if one.entry.weights and one.outcomes and not one.weights.is_file():
            raise RecordError(f"{one.weights} is missing: its record is there. Restore it with git, or move the record "
                              "away, and the run is made again")  # fmt: skip
    return Queue(plan, made)


def chosen(plan: Plan, only: str | None, seeds: int | None) -> list[Entry]:
    """The entries that are wanted, with those that they begin from."""
    known = {each.name: each for each in plan.entries}
    wanted = only.split(",") if only else list(known)
    if unknown := [name for name in wanted if name not in known]:
        raise SettingError(f"--only: {unknown[0]!r} is not known; use {', '.join(known)}")
    wanted += [known[name].after for name in wanted if known[name].after]
    some = [each for each in plan.entries if each.name in wanted]
    return [replace(each, seeds=min(each.seeds, seeds)) for each in some] if seeds else some


def prepared(plan: Plan, name: str, data: str | None, work: Path) -> Path:
    """The plan's images of that name, prepared below `work`; done once. DataError: they are not there."""
    source = data_root(data) / tiny_imagenet.FOLDER
    if not source.is_dir():
        raise DataError(tiny_imagenet.how_to_get_tiny(source.parent))
    target = work / f"images-{plan.size}-{name}"
    prepare_source(plan.sources[name](source), target, side=plan.side)
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


def announce(queue: Queue, device: torch.device, jobs: int, threads: int) -> None:
    """Print the plan: data, variants, runs and pilots that are left, and how long it will take."""
    plan, first = queue.plan, next(iter(queue.variants.values()))
    counts = {split: len(PreparedImages(first.folder, split)) for split in (TRAIN, TUNE, TEST)}
    print(f"{plan.experiment}, plan of {plan.registered}: {dataset(first.folder)['name']}; "
          + ", ".join(f"{count:,} to {split}" for split, count in counts.items()))  # fmt: skip
    print(f"{describe_device(device)}, {precision(device, first.recipe.dtype)}; {jobs} runs at a time, {threads} "
          "thread(s) each")  # fmt: skip
    torch.set_num_threads(threads)
    steps = stepped(first.images, first.recipe, 5, device)
    steps()
    began = time.perf_counter()
    speed = steps() / (time.perf_counter() - began)
    pilots, runs, images = 0, 0, 0
    for one in queue.variants.values():
        missing = [rate for rate in one.entry.rates if rate not in one.pilots] if len(one.entry.rates) > 1 else []
        left = sum(seed not in one.outcomes for seed in range(one.entry.seeds))
        pilots, runs = pilots + len(missing), runs + left
        images += (len(missing) * one.entry.pilot[0] + left * one.recipe.passes) * len(one.images)
    hours = images / speed / 3600
    print(f"{len(queue.variants)} variants: {runs} runs and {pilots} pilots are left, about {hours:,.1f} hours of one "
          f"job for their steps, by the speed measured just now ({speed:,.0f} images/s)")  # fmt: skip
    sys.stdout.flush()


def told(one: Variant) -> None:
    """Print a variant's newest state in a line."""
    rates = ", ".join(f"{rate}: {error:.1%}" if isinstance(error, float) else f"{rate}: {error}"
                      for rate, error in one.tried().items())  # fmt: skip
    ends = ", ".join(f"{error:.2%}" for error in one.result()["test_error"]) or "none yet"
    print(f"{one.run}: test error {ends}" + (f"; pilots {rates}" if rates else ""))
    sys.stdout.flush()


def label_of(one: Variant, outcome: Mapping[str, Any]) -> str:
    """The folder of a run that has ended."""
    recipe = replace(one.recipe, rate=outcome["rate"])
    return Unit(one.run, recipe, outcome["seed"], one.folder, outcome["pilot"]).label


def dataset(folder: Path) -> dict[str, Any]:
    """What a record says of a prepared part of Tiny ImageNet."""
    images = PreparedImages(folder, TRAIN)
    counts = images.index["splits"]
    part = "" if len(images.classes) == tiny_imagenet.CLASSES else (
        f", {len(images.classes)} of its {tiny_imagenet.CLASSES} classes")  # fmt: skip
    return {
        "name": f"Tiny ImageNet{part}", "source": tiny_imagenet.URL, "checksum": checksum(images),
        "images": len(images), "tune_images": counts[TUNE]["images"], "test_images": counts[TEST]["images"],
        "stand_in": False,
    }  # fmt: skip


def kept_files(record: Mapping[str, Any]) -> list[str]:
    """The names of the files that stay beside a record, a seed each."""
    return [f"{record['run']}{kept_name(seed)}" for seed in record["result"]["seeds"]]
