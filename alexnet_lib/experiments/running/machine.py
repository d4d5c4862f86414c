"""The one machine behind all experiments that train: what is recorded is taken up, what is left runs in several
processes, and each variant's record is written after every one of its runs.

An experiment says what its variants are and how one run is made (`race`, `comparison`, `study`, `study_queue`).
"""

from __future__ import annotations

import statistics
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ... import records
from ...data.imagenet.reader import PreparedImages
from ...errors import RecordError, SettingError, TrainingError
from ...system.devices import describe_device, keep_freed_memory, pick_device
from ...system.files import made_folder
from ...system.locks import only_one
from ...training.recipes import Recipe
from ...training.run_folder import differences
from ...training.speed import stepped
from .pool import Outcome, Unit, Workplace, default_jobs, run_units


@dataclass
class Variant(ABC):
    """One record in the making: its runs so far, pilots by rate and outcomes by seed, and which come next.

    run: the record's name. seeds: how many are wanted. dataset: what the record says of the images.
    """

    run: str
    seeds: int
    dataset: dict[str, Any] = field(default_factory=dict, kw_only=True)
    pilots: dict[float, Outcome] = field(default_factory=dict, kw_only=True)
    outcomes: dict[Any, Outcome] = field(default_factory=dict, kw_only=True)

    @abstractmethod
    def due(self, busy: Collection[Unit] = ()) -> list[Unit]:
        """What can start now beside the `busy` units; [] where nothing more can."""

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """What must be equal for a record to be continued. More seeds may be asked for later."""

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """What a record says came out."""

    def wanted(self) -> dict[str, Any]:
        """What a record says of its plan besides."""
        return {"seeds_wanted": self.seeds}

    def keep(self, outcome: Outcome) -> None:
        """Take the outcome of a run, just made or recorded before."""
        if outcome["pilot"]:
            self.pilots[outcome["rate"]] = outcome
        else:
            self.outcomes[outcome["seed"]] = outcome

    def runs(self) -> list[Outcome]:
        """The outcomes that count, by seed."""
        return [self.outcomes[seed] for seed in sorted(self.outcomes)]

    def kept(self) -> list[Outcome]:
        """All outcomes, in the record's order."""
        return [*(self.pilots[rate] for rate in sorted(self.pilots)), *self.runs()]

    def seeds_left(self) -> list[int]:
        return [seed for seed in range(self.seeds) if seed not in self.outcomes]

    def leader(self) -> Outcome | None:
        """The run that the others of a sweep are held against, if there is one."""
        return None

    def said(self, outcome: Outcome) -> str:
        """A line about a run that has just ended, if there is one to tell."""
        return ""


@dataclass(frozen=True)
class Call:
    """One call of an experiment: where its records go, on what and how many at a time its runs are made."""

    experiment: str
    claims: Sequence[str]
    out: Path
    device: torch.device
    jobs: int
    command: str

    @classmethod
    def of(
        cls,
        experiment: str,
        claims: Sequence[str],
        *,
        out: Path | None = None,
        device: str = "auto",
        jobs: int | None = None,
        command: str | None = None,
    ) -> Call:
        """out: None for the book's records. SettingError: no such device."""
        chosen = pick_device(device)
        if chosen.type == "cpu":
            keep_freed_memory()
        return cls(
            experiment,
            claims,
            Path(out) if out is not None else records.recorded_root(),
            chosen,
            jobs or default_jobs(chosen.type),
            command or records.command_line(sys.argv[1:]),
        )

    @property
    def threads(self) -> int:
        """For each run."""
        return max(1, default_jobs("cpu") // self.jobs) if self.device.type == "cpu" else 1

    @property
    def folder(self) -> Path:
        """Of the experiment's records."""
        return self.out / self.experiment

    @property
    def work(self) -> Path:
        """Of what is needed until they are whole; made if it is not there. SettingError if it cannot be."""
        return made_folder(self.folder / ".checkpoints")

    def take_up(self, variants: Sequence[Variant]) -> None:
        """Take what is recorded of them already. RecordError: a record does not fit."""
        for one in variants:
            checksum = one.dataset["checksum"]
            before = recorded_before(self.experiment, one.run, self.out, one.configuration(), checksum)
            for outcome in before.get("curves", ()):
                one.keep(outcome)

    def left(self, variants: Sequence[Variant]) -> bool:
        """Whether anything is left to run; says so if not."""
        left = any(one.due() for one in variants)
        if not left:
            print(f"{self.experiment}: all of it is recorded in {self.folder}")
        return left

    def announce(self, *lines: str) -> None:
        """Print the plan before it starts, with what it runs on."""
        print(
            "\n".join(
                (
                    *lines[:1],
                    f"{describe_device(self.device)}; {self.jobs} runs at a time, {self.threads} thread(s) each",
                    *lines[1:],
                )
            )
        )
        sys.stdout.flush()

    def speed(self, images: PreparedImages, recipe: Recipe) -> float:
        """Training speed of the whole network in images a second, on as many threads as each run gets."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        steps = stepped(images, recipe, 5, self.device)
        steps()
        began = time.perf_counter()
        speed = steps() / (time.perf_counter() - began)
        torch.set_num_threads(before)
        return speed

    def run(
        self,
        variants: Sequence[Variant],
        place: Workplace,
        work: Callable[[Unit, Workplace], Outcome],
        after: Callable[[Variant, Outcome], None] = lambda *_: None,
    ) -> list[Path]:
        """Make the runs that are due, a record a variant after each; the paths that were written.

        KeyboardInterrupt, with all that was finished recorded, if it is stopped. TrainingError: a process is gone, or
        the records cannot be written. DataError: another process records there.
        """
        # Asked once, before the first run: the code may change on disk while the runs go on.
        circumstances = records.circumstances(describe_device(self.device), self.command)
        paths = {}

        def write(one: Variant, outcome: Outcome) -> None:
            paths[one.run] = records.write(self.record(one, circumstances), self.out)
            if said := one.said(outcome):
                print(said, flush=True)
            after(one, outcome)

        try:
            with only_one(made_folder(self.folder)):
                everything = run_units(variants, place, self.jobs, write, work)
            if not everything:
                print("stopped; the same command goes on from here")
                raise KeyboardInterrupt
        except BrokenPipeError:  # not the folder's fault: nobody reads what is printed
            raise
        except OSError as error:
            raise TrainingError(
                f"{self.folder} cannot be written ({error}): make room; what is recorded there is "
                "whole, and the same command goes on from it"
            ) from error
        return list(paths.values())

    def record(self, one: Variant, circumstances: Mapping[str, Any]) -> dict[str, Any]:
        """The record of a variant as it stands."""
        about = {"experiment": self.experiment, "run": one.run, "claims": list(self.claims), **circumstances}
        return about | {
            "configuration": {**one.configuration(), **one.wanted()},
            "dataset": one.dataset,
            **summed(one.kept()),
            "result": one.result(),
        }


def summed(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What a record says of its runs: their seeds, their seconds together, and each of them."""
    return {
        "seeds": sorted({one["seed"] for one in outcomes}),
        "seconds": sum(one["seconds"] for one in outcomes),
        "curves": list(outcomes),
    }


def errors_of(runs: Sequence[Outcome]) -> dict[str, Any]:
    """What a result says of the errors of runs: by seed, and the mean and sample deviation of the test errors."""
    errors = [one["test_error"] for one in runs]
    return {
        "test_error": errors,
        "training_error": [one["training_error"] for one in runs],
        "mean_test_error": statistics.mean(errors) if errors else None,
        "spread_test_error": statistics.stdev(errors) if len(errors) > 1 else None,
    }


def recorded_before(
    experiment: str, run: str, out: Path, configuration: dict[str, Any], checksum: str
) -> dict[str, Any]:
    """The record of `run` in `out`, to go on from, or {}.

    Raises RecordError, naming both sides, if it was recorded with another configuration, or on other images than those
    of `checksum`.
    """
    record = records.load(experiment, run, out)
    if not record:
        return {}
    wanted = records.rounded(configuration)
    held, differs = {key: record["configuration"].get(key) for key in wanted}, ""
    if there := next(differences(held, wanted), None):
        where, then, now = there
        differs = f"with other settings: {where} {then}, not {now}"
    elif (there := record["dataset"]["checksum"]) != checksum:
        differs = f"on other images: those of {there}, not of {checksum}"
    if differs:
        path = out / experiment / f"{run}.json"
        raise RecordError(f"{path} was recorded {differs}; move it away or use another --out folder")
    return record


def chosen_of(only: str | None, known: Sequence[str]) -> list[str]:
    """The names that --only gives, in its order, or all. SettingError for one that is not known."""
    wanted = only.split(",") if only else list(known)
    if unknown := [name for name in wanted if name not in known]:
        raise SettingError(f"--only: {unknown[0]!r} is not known; use {', '.join(known)}")
    return wanted


AT_GUESSING = 0.02  # so near to the error of guessing, or above it, a network has learned nothing: a line of ours


def at_guessing(error: float, classes: int) -> bool:
    """Whether an error is one of a network that has learned nothing."""
    return error > 1 - 1 / classes - AT_GUESSING
