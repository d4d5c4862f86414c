"""One record of what the networks of `ablations` show when they are trained: written after each seed, taken up where it
was. `binary-codes` and `predictions` are such experiments."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from ... import records
from ...data.imagenet.reader import PreparedImages
from ...system.devices import describe_device, pick_device
from ...system.files import atomic_path
from .common import recorded_before
from .study import Job, Study, checksum
from .study import dataset as dataset_of
from .study_runs import load_beside, outcome_of

Outcome = dict[str, Any]


@dataclass(frozen=True)
class Measures:
    """study: whose only variant is the network. run: the record's name after the size's. settings: of the measuring,
    kept with the network's. measure: of one seed's trained network, its outcome and the tensors of it that stay beside
    the record. result: of all seeds' outcomes. said: one line about one of them. kept_of_all: the tensors of every
    seed stay, not the first's alone."""

    study: Study
    run: str
    settings: Mapping[str, Any]
    measure: Callable[[Job, int], tuple[Outcome, Mapping[str, torch.Tensor]]]
    result: Callable[[Sequence[Outcome]], dict[str, Any]]
    said: Callable[[Outcome], str]
    kept_of_all: bool = False

    def run_from(self, args: argparse.Namespace) -> list[Path]:
        """Train the networks that are not there, measure each, write the record after each seed; `args` as of all."""
        study, size = self.study, self.study.size(args.full, pick_device(args.device))
        job = Job.begin(study, size, list(study.variants), out=args.out, data=args.data, device=args.device,
                        seeds=args.seeds)  # fmt: skip
        one, run = job.known[0], f"{size.name}_{self.run}"
        settings = {**one.configuration, **self.settings}
        before = recorded_before(study.name, run, job.out, settings, checksum(job.images))
        done = {outcome["seed"]: outcome for outcome in before.get("curves", ())}
        circumstances = records.circumstances(describe_device(job.device), records.command_line(sys.argv[1:]))
        path = job.out / study.name / f"{run}.json"
        left = [seed for seed in range(args.seeds or size.seeds) if seed not in done]
        if not left:
            print(f"{study.name}: all of it is recorded in {path}")
            return []
        for seed in left:
            began = time.monotonic()
            outcome_of(one.recipe, job.place(one.run), seed)
            outcome, kept = self.measure(job, seed)
            done[seed] = {"seed": seed, "pilot": False, **outcome, "seconds": time.monotonic() - began}
            if self.kept_of_all or seed == 0:
                write_kept(path, seed, kept)
            records.write(self.record(job, run, settings, done, circumstances), job.out)
            print(f"seed {seed}: {self.said(done[seed])}")
            sys.stdout.flush()
        return [path]

    def record(
        self, job: Job, run: str, settings: dict[str, Any], done: Mapping[int, Outcome], circumstances: dict[str, Any]
    ) -> dict[str, Any]:
        """The record of the seeds that are done."""
        outcomes = [done[seed] for seed in sorted(done)]
        return {
            "experiment": self.study.name, "run": run, "claims": list(self.study.claims), **circumstances,
            "configuration": settings, "dataset": dataset_of(job.images), "seeds": sorted(done),
            "seconds": sum(one["seconds"] for one in outcomes), "curves": outcomes,
            "result": {"complete": len(done) >= job.size.seeds, "seeds": sorted(done), **self.result(outcomes)},
        }  # fmt: skip


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
