"""One record of what the networks of `ablations` show when they are trained: written after each seed, taken up where it
was. `binary-codes` and `predictions` are such experiments."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from ... import records
from ...data.imagenet.reader import PreparedImages
from ...system.devices import describe_device, pick_device
from ...system.files import atomic_path
from . import machine
from .pool import Outcome
from .study import Job, Study
from .study_runs import load_beside, outcome_of


class Measures(machine.Variant):
    """study: whose only variant is the network. name: the record's after the size's. settings: of the measuring, kept
    with the network's. measure: of one seed's trained network, its outcome and the tensors of it that stay beside the
    record. summary: of all seeds' outcomes, what came out. told: one line about one of them. kept_of_all: the tensors
    of every seed stay, not the first's alone."""

    def __init__(
        self,
        study: Study,
        name: str,
        settings: Mapping[str, Any],
        measure: Callable[[Job, int], tuple[Outcome, Mapping[str, torch.Tensor]]],
        summary: Callable[[Sequence[Outcome]], dict[str, Any]],
        told: Callable[[Outcome], str],
        kept_of_all: bool = False,
    ):
        self.study, self.name, self.settings, self.measure = study, name, settings, measure
        self.summary, self.told, self.kept_of_all = summary, told, kept_of_all

    def run_from(self, args: argparse.Namespace) -> list[Path]:
        """Train the networks that are not there, measure each, write the record after each seed; `args` as of all."""
        study, size = self.study, self.study.size(args.full, pick_device(args.device))
        self.job = job = Job.begin(
            study, size, list(study.variants), out=args.out, data=args.data, device=args.device, seeds=args.seeds
        )
        self.net, call = job.known[0], job.call
        super().__init__(f"{size.name}_{self.name}", args.seeds or size.seeds, dataset=self.net.dataset)
        call.take_up([self])
        if not call.left([self]):
            return []
        circumstances = records.circumstances(describe_device(call.device), call.command)
        for seed in self.due():
            began = time.monotonic()
            outcome_of(self.net.recipe, self.net.place, seed)
            outcome, kept = self.measure(job, seed)
            self.keep({"seed": seed, "pilot": False, **outcome, "seconds": time.monotonic() - began})
            if self.kept_of_all or seed == 0:
                write_kept(call.folder / f"{self.run}.json", seed, kept)
            path = records.write(call.record(self, circumstances), call.out)
            print(f"seed {seed}: {self.told(self.outcomes[seed])}", flush=True)
        return [path]

    def due(self, busy: Collection[int] = ()) -> list[int]:
        """The seeds that are left."""
        return self.seeds_left()

    def configuration(self) -> dict[str, Any]:
        return {**self.net.configuration(), **self.settings}

    def wanted(self) -> dict[str, Any]:
        return {}

    def result(self) -> dict[str, Any]:
        complete = len(self.outcomes) >= self.job.size.seeds
        return {"complete": complete, "seeds": sorted(self.outcomes), **self.summary(self.runs())}


def kept_path(record: Path, seed: int = 0) -> Path:
    """Where the tensors of one seed stay beside a record."""
    return record.with_name(f"{record.stem}_seed-{seed}.safetensors")


def write_kept(record: Path, seed: int, kept: Mapping[str, torch.Tensor]) -> None:
    """Write one seed's tensors beside the record."""
    with atomic_path(kept_path(record, seed)) as temporary:
        temporary.write_bytes(save({name: one.contiguous() for name, one in kept.items()}))


def load_kept(record: Mapping[str, Any], root: Path | None = None, seed: int = 0) -> dict[str, torch.Tensor]:
    """The tensors of one seed beside a record. RecordError: their file is not there."""
    return load_beside(record, f"_seed-{seed}.safetensors", root)


def in_batches(images: PreparedImages, at_once: int) -> Iterator[torch.Tensor]:
    """All of a prepared set's images in their order, uint8 (up to at_once, 3, H, W) at a time."""
    for start in range(0, len(images), at_once):
        yield images.images(range(start, min(start + at_once, len(images))))
