"""Experiments on Tiny ImageNet with the whole network: recipes that differ in one thing, a record a variant.

Each variant is trained by `training.loop`, as `python -m alexnet_lib train` does, in a folder of its own
(`study_runs`): a study that is stopped goes on where it was. Errors are of the weights at the end, as the paper's
are. Used by the experiments tiny-imagenet, ablations, sixth-conv and ensemble.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ... import records
from ...data import tiny_imagenet
from ...data.image_set import data_root
from ...data.imagenet.preparation import prepare
from ...data.imagenet.reader import PreparedImages
from ...errors import DataError
from ...system.devices import pick_device
from ...system.files import made_folder
from ...training.recipes import START_2012, Recipe, named
from . import machine
from .machine import Call, chosen_of, errors_of
from .pool import Workplace
from .study_runs import Place, Unit, run_unit


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
        wanted = chosen_of(args.only, list(self.variants))
        size = self.size(args.full, pick_device(args.device))
        return run(
            self, size, wanted, out=args.out, data=args.data, device=args.device, seeds=args.seeds, jobs=args.jobs
        )

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
    study: Study,
    size: Size,
    variants: list[str],
    *,
    out: Path | None = None,
    data: str | None = None,
    device: str = "auto",
    seeds: int | None = None,
    jobs: int | None = None,
    command: str | None = None,
) -> list[Path]:
    """Train what is not recorded yet, a record a variant after each seed; the paths that were written.

    First one seed of every variant, then the next. DataError: no Tiny ImageNet. RecordError: a record in `out` that is
    of other settings or images.
    """
    return Job.begin(
        study, size, variants, out=out, data=data, device=device, seeds=seeds, jobs=jobs, command=command
    ).train()


@dataclass
class Job:
    """A study about to run: what is known of its variants, its images and the folder where they are prepared."""

    study: Study
    size: Size
    call: Call
    images: PreparedImages
    folder: Path
    known: list[KnownVariant]

    @classmethod
    def begin(
        cls,
        study: Study,
        size: Size,
        variants: list[str],
        *,
        out: Path | None,
        data: str | None,
        device: str,
        seeds: int | None,
        jobs: int | None = None,
        command: str | None = None,
    ) -> Job:
        if jobs is None and pick_device(device).type == "cuda":
            jobs = 1  # one run has a GPU to itself
        call = Call.of(study.name, study.claims, out=out, device=device, jobs=jobs, command=command)
        work = made_folder(call.out / ".imagenet")
        folder = prepared(size, data, work)
        images = PreparedImages(folder, "train")
        known = []
        for name in variants:
            place = Place(folder, work / "runs" / f"{size.name}_{name}", call.device)  # shared by alike studies
            snapshots = study.snapshots if name == variants[0] else 0
            known.append(KnownVariant(study, size, name, images, place, seeds or size.seeds, call.folder, snapshots))
        return cls(study, size, call, images, folder, known)

    @property
    def device(self) -> torch.device:
        return self.call.device

    def train(self) -> list[Path]:
        """Train what waits, a record a variant after each seed; the paths that were written."""
        self.call.take_up(self.known)
        if not self.call.left(self.known):
            return []
        self.announce()
        place = Workplace(checkpoints=self.call.work, device=str(self.device), threads=self.call.threads)
        return self.call.run(self.known, place, run_unit)

    def announce(self) -> None:
        """Print the plan: data, passes, seeds, and how long it will take."""
        waiting = [one for one in self.known for _ in one.due()]
        recipe, images = waiting[0].recipe, self.images
        passes, speed = sum(one.recipe.passes for one in waiting), self.call.speed(images, recipe)
        minutes = passes * len(images) / speed / self.call.jobs / 60
        self.call.announce(
            f"{self.study.name}, {self.size.name}: Tiny ImageNet, {len(images):,} training images of "
            f"{len(images.classes)} classes, {images.side} pixels, cropped to {recipe.net.input_size}",
            f"{len(self.known)} variant(s), {len(waiting)} run(s) of at most {recipe.passes} passes; about "
            f"{minutes:,.0f} minutes for their steps, by the speed measured just now",
        )


class KnownVariant(machine.Variant):
    """One variant at one size: its recipe, where it is trained, and what is known of its seeds. snapshots: at how many
    moments its first seed's kernels are kept."""

    def __init__(
        self,
        study: Study,
        size: Size,
        name: str,
        images: PreparedImages,
        place: Place,
        seeds: int,
        folder: Path,
        snapshots: int,
    ):
        super().__init__(f"{size.name}_{name}", seeds, dataset=dataset(images))
        self.recipe, self.images, self.place, self.snapshots = study.recipe_of(name, size), images, place, snapshots
        self.kernels = folder / f"{self.run}.json" if study.kernels else None

    def configuration(self) -> dict[str, Any]:
        return {"recipe": self.recipe.plain(), "side": self.images.side, "classes": list(self.images.classes)}

    def due(self, busy: Collection[Unit] = ()) -> list[Unit]:
        return [unit for unit in map(self._unit, self.seeds_left()) if unit not in busy]

    def _unit(self, seed: int) -> Unit:
        count = self.snapshots if seed == 0 else 0
        moments = {round(self.recipe.passes * (i / (count - 1)) ** 2) for i in range(count)}  # early ones closer
        return Unit(self.run, self.recipe, seed, self.place, self.kernels, tuple(sorted(moments)))

    def result(self) -> dict[str, Any]:
        runs = self.runs()
        views = {which: [one["views_error"][which] for one in runs] for which in runs[0]["views_error"]}
        top5 = {which: [one["top5_error"][which] for one in runs] for which in runs[0]["top5_error"]}
        return {
            "complete": len(runs) >= self.seeds,
            "seeds": sorted(self.outcomes),
            "rate": self.recipe.rate,
            "views_error": views,
            "top5_error": top5,
            **errors_of(runs),
        }

    def said(self, outcome: machine.Outcome) -> str:
        error, ten = outcome["test_error"], outcome["views_error"]["ten"]
        return f"{self.run}, seed {outcome['seed']}: top-1 error {error:.2%}, by ten views {ten:.2%}"


def checksum(images: PreparedImages) -> str:
    """Of the names and labels of what was prepared."""
    return f"names and labels, sha256:{images.index['source']['digest']}"


def dataset(images: PreparedImages) -> dict[str, Any]:
    """What a record says of the images."""
    part = "" if len(images.classes) == 200 else f", {len(images.classes)} of its 200 classes"
    return {
        "name": f"Tiny ImageNet{part}",
        "source": tiny_imagenet.URL,
        "checksum": checksum(images),
        "images": len(images),
        "test_images": images.index["splits"]["val"]["images"],
        "stand_in": False,
    }
