"""Running a comparison from the command line: its plan, told before it starts, and a record a variant."""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ... import records
from ...augment.view_sets import view_list
from ...data.image_set import ImageSet
from ...errors import SettingError
from ...system.devices import describe_device, keep_freed_memory, pick_device
from ...training.fit import fit
from .common import real_images, recorded_before, writable
from .comparison import MOST_MEASURED, NetConfig, Terms, Variant, run_trial, settings_of, training_images
from .one_run import Workplace
from .pixels import fitted_scale, with_noise
from .pool import default_jobs, run_race


@dataclass(frozen=True)
class Change:
    """A variant that differs from its part in terms too: its network, and {field of Terms: value}."""

    net: NetConfig
    terms: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Some variants on the same terms: {name: network, or Change}; the others are compared with the first."""

    name: str
    terms: Terms
    variants: dict[str, NetConfig | Change]
    seeds: int

    def entries(self) -> list[Variant]:
        """A Variant each, without outcomes."""
        return [self._entry(name, variant) for name, variant in self.variants.items()]

    def _entry(self, name: str, variant: NetConfig | Change) -> Variant:
        net, terms = variant, self.terms
        if isinstance(variant, Change):
            net, terms = variant.net, replace(terms, **variant.terms)
        return Variant(f"{self.name}_{name}", name, net, terms, self.seeds)


@dataclass(frozen=True)
class Comparison:
    """An experiment: the small run, the full one for a CPU, the full one for a GPU, each of one or more parts."""

    name: str
    claims: tuple[str, ...]
    small: tuple[Part, ...]
    on_cpu: tuple[Part, ...]
    on_gpu: tuple[Part, ...]

    def plan(self, full: bool, on_gpu: bool) -> tuple[Part, ...]:
        """The parts that one call runs."""
        return (self.on_gpu if on_gpu else self.on_cpu) if full else self.small

    def run_from(self, args: argparse.Namespace) -> list[Path]:
        """The command line's entry: `args` has full, out, data, device, jobs, seeds and only."""
        parts = self.plan(args.full, pick_device(args.device).type == "cuda")
        if args.only:
            parts = narrowed(parts, args.only.split(","))
        if args.seeds:
            parts = tuple(replace(part, seeds=args.seeds) for part in parts)
        return run(self, parts, out=args.out, data=args.data, device=args.device, jobs=args.jobs)


def narrowed(parts: tuple[Part, ...], wanted: list[str]) -> tuple[Part, ...]:
    """The plan cut to the named variants and parts; a kind not named stays. SettingError for an unknown name."""
    names = [part.name for part in parts]
    variants = list(dict.fromkeys(name for part in parts for name in part.variants))
    unknown = [name for name in wanted if name not in names + variants]
    if unknown:
        raise SettingError(f"--only: {unknown[0]!r} is not known; use {', '.join(variants + names)}")
    if any(name in names for name in wanted):
        parts = tuple(part for part in parts if part.name in wanted)
    if any(name in variants for name in wanted):
        kept = ({name: net for name, net in part.variants.items() if name in wanted} for part in parts)
        parts = tuple(replace(part, variants=some) for part, some in zip(parts, kept, strict=True) if some)
    if not parts:
        raise SettingError(f"--only: no part of the plan has all of {', '.join(wanted)}")
    return parts


def run(
    comparison: Comparison, parts: tuple[Part, ...], *, out: Path | None = None, data: str | None = None,
    device: str = "auto", jobs: int | None = None, command: str | None = None,
) -> list[Path]:  # fmt: skip
    """Run the parts, writing a variant's record after each of its runs; what `out` already holds is not run again.

    Returns the paths of the records it wrote. Raises SettingError for the stand-in and for a folder that cannot be
    written, RecordError for a record that does not fit.
    """
    chosen = pick_device(device)
    out = Path(out) if out is not None else records.recorded_root()
    entries = [entry for part in parts for entry in part.entries()]
    sets = {images: real_images("train", data, images) for images in {entry.terms.images for entry in entries}}
    for entry in entries:
        take_up(entry, comparison.name, out, sets[entry.terms.images].checksum)
    if not any(entry.due() for entry in entries):
        print(f"{comparison.name}: all of it is recorded in {out / comparison.name}")
        return []
    test = real_images("test", data, None)
    jobs = jobs or default_jobs(chosen.type)
    threads = max(1, default_jobs("cpu") // jobs) if chosen.type == "cpu" else 1
    place = Workplace(data, None, str(chosen), threads, writable(out / comparison.name / ".checkpoints"))
    announce(comparison, parts, entries, sets, chosen, jobs, threads)
    # Asked once, before the first run: the code may change on disk while the runs go on.
    circumstances = records.circumstances(describe_device(chosen), command or records.command_line(sys.argv[1:]))
    paths = {}

    def write(entry: Variant) -> None:
        record = record_of(entry, comparison, sets[entry.terms.images], test, circumstances)
        paths[entry.run] = records.write(record, out)

    if not run_race(entries, place, jobs, write, run_trial):
        print("stopped; the same command goes on from here")
        raise KeyboardInterrupt
    return list(paths.values())


def take_up(entry: Variant, experiment: str, out: Path, checksum: str) -> None:
    """Take from the record in `out`, if there is one, what it already holds. RecordError if it does not fit."""
    for outcome in recorded_before(experiment, entry.run, out, entry.configuration(), checksum).get("curves", ()):
        if outcome["pilot"]:
            entry.pilots[outcome["rate"]] = outcome
        else:
            entry.outcomes[outcome["seed"]] = outcome


def record_of(
    entry: Variant, comparison: Comparison, train: ImageSet, test: ImageSet, circumstances: dict[str, Any]
) -> dict[str, Any]:
    """The record of a variant as it stands; `circumstances` are those of `records.circumstances`."""
    outcomes = [*entry.pilots.values(), *(entry.outcomes[seed] for seed in sorted(entry.outcomes))]
    return {
        "experiment": comparison.name,
        "run": entry.run,
        "claims": list(comparison.claims),
        **circumstances,
        "configuration": {**entry.configuration(), "seeds_wanted": entry.seeds},
        "dataset": {**train.provenance(), "test_images": len(test), "test_checksum": test.checksum},
        "seeds": sorted({outcome["seed"] for outcome in outcomes}),
        "seconds": sum(outcome["seconds"] for outcome in outcomes),
        "curves": outcomes,
        "result": summarise(entry),
    }


def summarise(entry: Variant) -> dict[str, Any]:
    """What a record says came out: errors by seed at the chosen rate, their mean and spread (sample deviation)."""
    runs = [entry.outcomes[seed] for seed in sorted(entry.outcomes)]
    errors = [one["test_error"] for one in runs]
    views = {which: [one["views_error"][which] for one in runs] for which in entry.terms.views}
    return {
        "complete": not entry.due(),
        "rate": entry.best_rate() if runs else None,
        "seeds": sorted(entry.outcomes),
        "test_error": errors,
        "training_error": [one["training_error"] for one in runs],
        "mean_test_error": statistics.mean(errors) if errors else None,
        "spread_test_error": statistics.stdev(errors) if len(errors) > 1 else None,
        "diverged": [one["seed"] for one in runs if one["diverged_at"] is not None],
        "held_out_error": {f"{rate:g}": one["held_out_error"] for rate, one in sorted(entry.pilots.items())},
    } | ({"views_error": views} if views else {})


def announce(
    comparison: Comparison, parts: tuple[Part, ...], entries: list[Variant], sets: dict[int | None, ImageSet],
    device: torch.device, jobs: int, threads: int,
) -> None:  # fmt: skip
    """Print the plan: for each part its images, passes and seeds; and how long it will take."""
    print(f"{comparison.name}: {next(iter(sets.values())).name}; {describe_device(device)}")
    print(f"{jobs} runs at a time, {threads} thread(s) each")
    for part in parts:
        print(told_of(part, {entry.run: len(sets[entry.terms.images]) for entry in part.entries()}))
    seconds = 0.0
    for entry in entries:
        train = sets[entry.terms.images]
        measured = 2 * MOST_MEASURED / 3 * sum(seed not in entry.outcomes for seed in range(entry.seeds))
        work = entry.left * len(train) + measured  # measuring an image costs a third of a step on it
        work += views_measured(entry) / 3
        seconds += work / images_a_second(entry, train, device, threads)
    runs = "runs" if jobs == 1 or device.type == "cpu" else "runs (if they do not slow each other down)"
    print(f"about {seconds / jobs / 60:,.0f} minutes for the {runs} that are left, by the speed measured just now")
    sys.stdout.flush()


def told_of(part: Part, images: dict[str, int]) -> str:
    """A part's plan in a line; where its variants differ in terms, the range; images: how many, by run."""
    terms = [entry.terms for entry in part.entries()]
    first, passes, counts = terms[0], [one.passes for one in terms], images.values()
    pilot = f", rate chosen of {len(first.rates)} by {first.pilot:g} passes each" if len(first.rates) > 1 else ""
    kinds = {True: "random crops and reflections", "crops": "random crops", "reflections": "random reflections"}
    crops = dict.fromkeys(kinds.get(one.augmented, "centres, not augmented") for one in terms)
    spans = [f"{low:{form}}" + (f" to {high:{form}}" if high > low else "") for low, high, form in (
        (min(passes), max(passes), "g"), (min(counts), max(counts), ","))]  # fmt: skip
    return (f"{part.name}: {len(part.variants)} variants, {part.seeds} seeds of {spans[0]} passes{pilot}; "
            f"{spans[1]} images ({' / '.join(crops)})")  # fmt: skip


def views_measured(entry: Variant, side: int = 32) -> int:
    """How many views of test images an entry's runs still have to look at, beside the centre crops."""
    views = sum(len(view_list(side, side, entry.net.image_size, which)) for which in entry.terms.views)
    return views * MOST_MEASURED * sum(seed not in entry.outcomes for seed in range(entry.seeds))


def images_a_second(entry: Variant, train: ImageSet, device: torch.device, threads: int, batches: int = 4) -> float:
    """Training speed of a variant, measured over a few batches after a warm-up."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    net, terms = entry.net, entry.terms
    settings = settings_of(terms, net, rate=1e-6, batch_size=min(128, len(train)), passes=1, points=1)
    few = train.subset(settings.batch_size * batches) if len(train) > settings.batch_size * batches else train
    scale = with_noise(terms.noise, fitted_scale(terms.pixels, few.images), few.images, seed=0)
    images = training_images(few, terms, net.image_size).images
    for _ in ("warm-up", "measured"):
        result = fit(net.build(seed=0), images, few.labels, settings, scale, device=device)
    return len(few) // settings.batch_size * settings.batch_size / result.seconds
