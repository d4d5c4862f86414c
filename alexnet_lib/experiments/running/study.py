"""Experiments on Tiny ImageNet with the whole network: recipes that differ in one thing, a record a variant.

Each variant is trained by `training.engine`, as `python -m alexnet_lib train` does, in a folder of its own
(`study_runs`): a study that is stopped goes on where it was. Errors are of the weights at the end, as the paper's
are. Used by the experiments tiny-imagenet, ablations, sixth-conv and ensemble.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ... import records
from ...data import tiny_imagenet
from ...data.image_set import data_root
from ...data.imagenet.preparation import prepare
from ...data.imagenet.reader import PreparedImages
from ...errors import DataError, SettingError
from ...measures.kernels import kernel_table
from ...system.devices import describe_device, keep_freed_memory, pick_device
from ...training.recipes import START_2012, Recipe, named
from ...training.speed import stepped
from .common import recorded_before, writable
from .study_runs import Workplace, final_kernels, kernels_file, outcome_of


@dataclass(frozen=True)
class Size:
    """How much of the data, for how long: the side that images are brought to; changes to the recipe that all variants
    have; seeds; classes, spread over the 200, and training images of each (None: all)."""

    name: str
    side: int
    changes: tuple[str, ...] = ()
    seeds: int = 1
    classes: int | None = None
    per_class: int | None = None


# For two cores: crops of 64 out of 72 pixels, the smallest that the network's three poolings leave anything of.
_SMALL_IMAGES = ("net.input_size=64",)
_HALF = ("dtype=bfloat16",)


def small(name: str = "small") -> Size:
    """A size to try the code with: three classes, two passes."""
    return Size(name, 72, (*_SMALL_IMAGES, "batch=32", "passes=2", "schedule=constant"), classes=3, per_class=64)


def on_cpu(name: str, *changes: str, seeds: int) -> Size:
    """Ten classes of 500 images: a size that two cores can train."""
    return Size(f"10-classes-64-pixels-{name}", 72, (*_SMALL_IMAGES, *changes), seeds, classes=10)


def on_gpu(name: str, *changes: str, seeds: int) -> Size:
    """All 200 classes, enlarged from 64 to 256 pixels and cropped to 224; computed in bfloat16."""
    return Size(f"200-classes-224-pixels-{name}", 256, (*_HALF, *changes), seeds)


@dataclass(frozen=True)
class Study:
    """An experiment: {variant: changes to the recipe}, the first of which the others are compared with; its sizes.

    kernels: keep each run's first-layer kernels beside the record, and what they are in it. snapshots: of how many
    moments of the first variant's first run besides, from the starting weights on, early ones closer together.
    """

    name: str
    claims: tuple[str, ...]
    variants: dict[str, tuple[str, ...]]
    small: Size
    on_cpu: Size
    on_gpu: Size
    kernels: bool = False
    snapshots: int = 0

    def run_from(self, args: argparse.Namespace) -> list[Path]:
        """The command line's entry: `args` has full, out, data, device, jobs, seeds and only."""
        wanted = args.only.split(",") if args.only else list(self.variants)
        if unknown := [name for name in wanted if name not in self.variants]:
            raise SettingError(f"--only: {unknown[0]!r} is not known; use {', '.join(self.variants)}")
        size = self.size(args.full, pick_device(args.device))
        return run(self, size, wanted, out=args.out, data=args.data, device=args.device, seeds=args.seeds)

    def size(self, full: bool, device: torch.device) -> Size:
        """The size that a call with or without --full runs on that device."""
        return (self.on_gpu if device.type == "cuda" else self.on_cpu) if full else self.small

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The sizes that are recorded, the best first."""
        return self.on_gpu, self.on_cpu

    def shown(self, root: Path | None = None) -> dict[str, dict[str, Any]]:
        """The records that are shown of it, by what was run (`records.shown`)."""
        return records.shown(self.name, [size.name for size in self.sizes], root)

    def recipe_of(self, variant: str, size: Size) -> Recipe:
        """The variant's recipe at that size; its own changes come last."""
        return named("paper", (START_2012, *size.changes, *self.variants[variant]))


def prepared(size: Size, data: str | None, folder: Path) -> Path:
    """Tiny ImageNet, or the part of it that a size asks for, prepared in `folder`; done once. DataError: it is not
    there."""
    source = data_root(data) / tiny_imagenet.FOLDER
    if not source.is_dir():
        raise DataError(tiny_imagenet.how_to_get_tiny(source.parent))
    target = folder / f"{size.classes or 'all'}-classes-{size.per_class or 'all'}-{size.side}"
    prepare(source, target, side=size.side, classes=size.classes, per_class=size.per_class)
    return target


def run(
    study: Study, size: Size, variants: list[str], *, out: Path | None = None, data: str | None = None,
    device: str = "auto", seeds: int | None = None, command: str | None = None,
) -> list[Path]:  # fmt: skip
    """Train what is not recorded yet, a record a variant after each seed; the paths that were written.

    First one seed of every variant, then the next. DataError: no Tiny ImageNet. RecordError: a record in `out` that is
    of other settings or images.
    """
    job = Job.begin(study, size, variants, out=out, data=data, device=device, seeds=seeds)
    return job.train(command or records.command_line(sys.argv[1:]))


@dataclass
class Job:
    """A study about to run: what is known, and what waits."""

    study: Study
    size: Size
    images: PreparedImages
    folder: Path
    out: Path
    device: torch.device
    known: list[KnownVariant]
    waiting: list[tuple[int, KnownVariant]]

    @classmethod
    def begin(
        cls, study: Study, size: Size, variants: list[str], *, out: Path | None, data: str | None, device: str,
        seeds: int | None,
    ) -> Job:  # fmt: skip
        chosen, out = pick_device(device), Path(out) if out is not None else records.recorded_root()
        if chosen.type == "cpu":
            keep_freed_memory()
        folder = prepared(size, data, writable(out / ".imagenet"))
        images = PreparedImages(folder, "train")
        known = [KnownVariant(study, size, name, images, out, seeds or size.seeds) for name in variants]
        waiting = [(seed, one) for seed in range(seeds or size.seeds) for one in known if seed not in one.done]
        return cls(study, size, images, folder, out, chosen, known, waiting)

    def train(self, command: str) -> list[Path]:
        """Train what waits, a record a variant after each seed; the paths that were written."""
        if not self.waiting:
            print(f"{self.study.name}: all of it is recorded in {self.out / self.study.name}")
            return []
        circumstances = records.circumstances(describe_device(self.device), command)
        self.announce()
        written = {}
        for seed, one in self.waiting:
            one.done[seed] = outcome_of(one.recipe, self.place(one.run), seed)
            if self.study.kernels:
                one.done[seed] |= {"kernels": kernel_table(final_kernels(self.place(one.run), seed))}
                kernels_file(self.place(one.run), seed, one.path, self.moments(one) if seed == 0 else ())
            written[one.run] = records.write(one.record(circumstances), self.out)
            error, ten = one.done[seed]["test_error"], one.done[seed]["views_error"]["ten"]
            print(f"{one.run}, seed {seed}: top-1 error {error:.2%}, by ten views {ten:.2%}")
            sys.stdout.flush()
        return list(written.values())

    def moments(self, one: KnownVariant) -> list[int]:
        """After which passes a variant's kernels are kept."""
        count = self.study.snapshots if one is self.known[0] else 0
        return sorted({round(one.recipe.passes * (i / (count - 1)) ** 2) for i in range(count)})

    def place(self, run: str) -> Workplace:
        """Where a variant's runs are trained; studies that train the same share them."""
        return Workplace(self.folder, self.out / ".imagenet" / "runs" / run, self.device)

    def announce(self) -> None:
        """Print the plan: data, passes, seeds, and how long it will take."""
        recipe, images = self.waiting[0][1].recipe, self.images
        shown = f"{len(images):,} training images of {len(images.classes)} classes"
        print(f"{self.study.name}, {self.size.name}: Tiny ImageNet, {shown}, {images.side} pixels, cropped to "
              f"{recipe.net.input_size}; {describe_device(self.device)}")  # fmt: skip
        steps = stepped(images, recipe, 3, self.device)
        steps()
        began = time.perf_counter()
        speed = steps() / (time.perf_counter() - began)
        minutes = sum(one.recipe.passes for _, one in self.waiting) * len(images) / speed / 60
        print(f"{len(self.known)} variant(s), {len(self.waiting)} run(s) of at most {recipe.passes} passes; about "
              f"{minutes:,.0f} minutes for their steps, by the speed measured just now")  # fmt: skip
        sys.stdout.flush()


class KnownVariant:
    """One variant at one size: its recipe, and what is known of its seeds."""

    def __init__(self, study: Study, size: Size, name: str, images: PreparedImages, out: Path, seeds: int):
        self.study, self.size, self.images, self.seeds = study, size, images, seeds
        self.run, self.recipe = f"{size.name}_{name}", study.recipe_of(name, size)
        self.path = out / study.name / f"{self.run}.json"
        self.configuration = {"recipe": self.recipe.plain(), "side": images.side, "classes": list(images.classes)}
        before = recorded_before(study.name, self.run, out, self.configuration, checksum(images))
        self.done = {outcome["seed"]: outcome for outcome in before.get("curves", ())}

    def record(self, circumstances: dict[str, Any]) -> dict[str, Any]:
        """The record as it stands."""
        runs = [self.done[seed] for seed in sorted(self.done)]
        errors = [one["test_error"] for one in runs]
        views = {which: [one["views_error"][which] for one in runs] for which in runs[0]["views_error"]}
        top5 = {which: [one["top5_error"][which] for one in runs] for which in runs[0]["top5_error"]}
        return {
            "experiment": self.study.name, "run": self.run, "claims": list(self.study.claims), **circumstances,
            "configuration": {**self.configuration, "seeds_wanted": self.seeds}, "dataset": dataset(self.images),
            "seeds": sorted(self.done), "seconds": sum(one["seconds"] for one in runs), "curves": runs,
            "result": {
                "complete": len(runs) >= self.seeds, "seeds": sorted(self.done), "rate": self.recipe.rate,
                "test_error": errors, "training_error": [one["training_error"] for one in runs],
                "views_error": views, "top5_error": top5, "mean_test_error": statistics.mean(errors),
                "spread_test_error": statistics.stdev(errors) if len(errors) > 1 else None,
            },
        }  # fmt: skip


def checksum(images: PreparedImages) -> str:
    """Of the names and labels of what was prepared."""
    return f"names and labels, sha256:{images.index['source']['digest']}"


def dataset(images: PreparedImages) -> dict[str, Any]:
    """What a record says of the images."""
    part = "" if len(images.classes) == 200 else f", {len(images.classes)} of its 200 classes"
    return {
        "name": f"Tiny ImageNet{part}", "source": tiny_imagenet.URL, "checksum": checksum(images),
        "images": len(images), "test_images": images.index["splits"]["val"]["images"], "stand_in": False,
    }  # fmt: skip
