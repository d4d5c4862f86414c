"""Running a comparison from the command line: its plan, told before it starts, and a record a variant."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...augment.view_sets import view_list
from ...data.image_set import ImageSet
from ...errors import SettingError
from ...system.devices import pick_device
from .comparison import MOST_MEASURED, NetConfig, Terms, Variant, run_trial, settings_of, training_images
from .machine import Call
from .on_cifar10 import Workplace, dataset_of, images_a_second, real_images
from .pixels import fitted_scale, with_noise


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
        return Variant(f"{self.name}_{name}", self.seeds, name, net, terms)


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
    comparison: Comparison,
    parts: tuple[Part, ...],
    *,
    out: Path | None = None,
    data: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
    command: str | None = None,
) -> list[Path]:
    """Run the parts, writing a variant's record after each of its runs; what `out` already holds is not run again.

    Returns the paths of the records it wrote. Raises SettingError for the stand-in and for a folder that cannot be
    written, RecordError for a record that does not fit.
    """
    call = Call.of(comparison.name, comparison.claims, out=out, device=device, jobs=jobs, command=command)
    entries = [entry for part in parts for entry in part.entries()]
    sets = {images: real_images("train", data, images) for images in {entry.terms.images for entry in entries}}
    test = real_images("test", data, None)
    for entry in entries:
        entry.dataset = dataset_of(sets[entry.terms.images], test)
    call.take_up(entries)
    if not call.left(entries):
        return []
    place = Workplace(checkpoints=call.work, device=str(call.device), threads=call.threads, data=data)
    announce(call, parts, entries, sets)
    return call.run(entries, place, run_trial)


def announce(call: Call, parts: tuple[Part, ...], entries: list[Variant], sets: dict[int | None, ImageSet]) -> None:
    """Print the plan: for each part its images, passes and seeds; and how long it will take."""
    told = [told_of(part, {entry.run: len(sets[entry.terms.images]) for entry in part.entries()}) for part in parts]
    seconds = 0.0
    for entry in entries:
        train = sets[entry.terms.images]
        measured = 2 * MOST_MEASURED / 3 * len(entry.seeds_left())
        work = entry.left * len(train) + measured  # measuring an image costs a third of a step on it
        work += views_measured(entry) / 3
        seconds += work / speed_of(entry, train, call)
    runs = "runs" if call.jobs == 1 or call.device.type == "cpu" else "runs (if they do not slow each other down)"
    call.announce(
        f"{call.experiment}: {next(iter(sets.values())).name}",
        *told,
        f"about {seconds / call.jobs / 60:,.0f} minutes for the {runs} that are left, by the speed measured just now",
    )


def told_of(part: Part, images: dict[str, int]) -> str:
    """A part's plan in a line; where its variants differ in terms, the range; images: how many, by run."""
    terms = [entry.terms for entry in part.entries()]
    first, passes, counts = terms[0], [one.passes for one in terms], images.values()
    pilot = f", rate chosen of {len(first.rates)} by {first.pilot:g} passes each" if len(first.rates) > 1 else ""
    kinds = {True: "random crops and reflections", "crops": "random crops", "reflections": "random reflections"}
    crops = dict.fromkeys(kinds.get(one.augmented, "centres, not augmented") for one in terms)
    spans = [
        f"{low:{form}}" + (f" to {high:{form}}" if high > low else "")
        for low, high, form in ((min(passes), max(passes), "g"), (min(counts), max(counts), ","))
    ]
    return (
        f"{part.name}: {len(part.variants)} variants, {part.seeds} seeds of {spans[0]} passes{pilot}; "
        f"{spans[1]} images ({' / '.join(crops)})"
    )


def views_measured(entry: Variant, side: int = 32) -> int:
    """How many views of test images an entry's runs still have to look at, beside the centre crops."""
    views = sum(len(view_list(side, side, entry.net.image_size, which)) for which in entry.terms.views)
    return views * MOST_MEASURED * len(entry.seeds_left())


def speed_of(entry: Variant, train: ImageSet, call: Call, batches: int = 4) -> float:
    """Training speed of a variant, in images a second, measured over a few batches."""
    net, terms = entry.net, entry.terms
    settings = settings_of(terms, net, rate=1e-6, batch_size=min(128, len(train)), passes=1, points=1)
    few = train.subset(settings.batch_size * batches) if len(train) > settings.batch_size * batches else train
    scale = with_noise(terms.noise, fitted_scale(terms.pixels, few.images), few.images, seed=0)
    images = training_images(few, terms, net.image_size).images
    return images_a_second(lambda: net.build(seed=0), images, few.labels, settings, scale, call.device, call.threads)
