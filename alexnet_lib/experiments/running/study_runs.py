"""One training run of a study on Tiny ImageNet: trained to its end in a folder of its own, then measured once."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from ... import records
from ...data.imagenet.reader import PreparedImages
from ...errors import RecordError
from ...measures.kernels import kernel_table
from ...network.alexnet import AlexNet
from ...system.files import atomic_path, naming, write_text
from ...training.evaluation import count_errors
from ...training.loop import Cadence, Training, asked_to_stop
from ...training.recipes import Recipe
from ...training.run_folder import RunFolder, read_log, run_identity
from . import pool

OUTCOME, FINAL, KERNELS = "outcome.json", "final", "kernels"


@dataclass(frozen=True)
class Place:
    """Where a variant is trained: the prepared images, the folder for its runs, and the device."""

    prepared: Path
    runs: Path
    device: torch.device

    def folder(self, seed: int) -> Path:
        """The run's own folder."""
        return self.runs / f"seed-{seed}"


@dataclass(frozen=True)
class Unit:
    """One training run. kernels: the record beside which its first-layer kernels stay (None: none do), with those of
    after so many `moments` passes."""

    run: str
    recipe: Recipe
    seed: int
    place: Place
    kernels: Path | None = None
    moments: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.run} seed {self.seed}"

    @property
    def turn(self) -> int:
        """All variants have one seed before any has two."""
        return self.seed


def run_unit(unit: Unit, place: pool.Workplace) -> pool.Outcome:
    """Train a unit in this process, taken up where it was, measure it, and say how it went."""
    try:
        outcome = outcome_of(unit.recipe, unit.place, unit.seed)
    except KeyboardInterrupt:
        return pool.STOPPED
    if unit.kernels is not None:
        outcome |= {"kernels": kernel_table(final_kernels(unit.place, unit.seed))}
        kernels_file(unit.place, unit.seed, unit.kernels, unit.moments)
    return outcome


def outcome_of(recipe: Recipe, place: Place, seed: int) -> dict[str, Any]:
    """Train to the end, taken up where it was, and measure: what a record keeps of the run.

    Raises KeyboardInterrupt, with the state saved, if it is asked to stop.
    """
    folder = place.folder(seed)
    images, val = PreparedImages(place.prepared, "train"), PreparedImages(place.prepared, "val")
    run_folder = RunFolder(folder, run_identity(recipe, images, seed))
    with run_folder.held(), asked_to_stop() as asked:
        if (folder / OUTCOME).is_file():
            with naming(folder / OUTCOME, f"delete {folder}, and the run is made again"):
                return json.loads((folder / OUTCOME).read_bytes())
        training = Training(recipe, images, val, seed, place.device, run_folder, cadence=Cadence(log=20, minutes=2.0))
        training.should_stop = lambda: bool(asked) or pool.asked_to_stop()
        keep_kernels(training)
        if training.run() == "stopped":
            print(f"stopped in {folder}; the same command goes on from here")
            raise KeyboardInterrupt
        outcome = measured(training, read_log(folder))
        run_folder.save_weights(FINAL, training.net.state_dict(), {})
        write_text(folder / OUTCOME, json.dumps(outcome) + "\n")
        shutil.rmtree(run_folder.checkpoints)
        (folder / "best.safetensors").unlink()
        return outcome


def measured(training: Training, log: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors of a finished run's weights: of validation images, which its log has, and of training images' centres."""
    recipe, began = training.recipe, time.monotonic()
    passes = [event for event in log if event["event"] == "pass"]
    last = passes[-1]
    training.net.eval()
    trained = count_errors(
        [training.net],
        training.train,
        [training.scale],
        recipe.net.input_size,
        device=training.device,
        autocast=training.autocast,
    ).shares
    names = {
        "passes": "pass",
        "pass_error": "train_error",
        "loss": "train_loss",
        "validation_error": "val_top1",
        "rate": "rate",
    }
    return {
        "seed": training.seed,
        "pilot": False,
        "ended": training.ended,
        "rate": recipe.rate,
        "test_error": last["val_top1"],
        "views_error": {"ten": last["val_ten_top1"]},
        "top5_error": {"centre": last.get("val_top5"), "ten": last.get("val_ten_top5")},
        "training_error": trained[1],
        "seconds": last["seconds"] + time.monotonic() - began,
        "curve": {name: [event[key] for event in passes] for name, key in names.items()},
    }


def final_net(recipe: Recipe, place: Place, seed: int, classes: int) -> AlexNet:
    """The network of a run that has ended, in evaluation mode on the device."""
    net = AlexNet(recipe.net, classes, seed=0)
    net.load_state_dict(load_file(place.folder(seed) / f"{FINAL}.safetensors"))
    return net.to(place.device, memory_format=torch.channels_last).eval()


def keep_kernels(training: Training) -> None:
    """Have a run write its first-layer kernels before its first pass and after each, float16, into its folder."""

    def write(number: int) -> None:
        (folder := training.folder.folder / KERNELS).mkdir(exist_ok=True)
        _write_tensors(folder / f"{number:03}.safetensors", {"conv1.weight": training.net.conv1.weight})

    def report(event: dict[str, Any]) -> None:
        before(event)
        if event["event"] == "pass":
            write(event["pass"])

    before, training.report = training.report, report
    write(0)  # the starting weights; a checkpoint is loaded later


def final_kernels(place: Place, seed: int) -> torch.Tensor:
    """The first-layer kernels of a run that has ended, (n, 3, height, width)."""
    return load_file(place.folder(seed) / f"{FINAL}.safetensors")["conv1.weight"]


def kernels_file(place: Place, seed: int, record: Path, passes: Sequence[int] = ()) -> Path:
    """Write a run's first-layer kernels, float16, beside its record: what Figure 3 of the paper shows; the path.

    passes: after which they are kept besides, as "pass-0", "pass-1", ... RecordError: the run did not keep those.
    """
    kept = {"conv1.weight": final_kernels(place, seed)}
    for number in passes:
        file = place.folder(seed) / KERNELS / f"{number:03}.safetensors"
        if not file.is_file():
            raise RecordError(
                f"{place.folder(seed)} has no kernels of pass {number}: it was trained by an earlier "
                "version; delete that folder, and the same command trains it again"
            )
        kept[f"pass-{number}"] = load_file(file)["conv1.weight"]
    path = record.with_name(f"{record.stem}_seed-{seed}_conv1.safetensors")
    _write_tensors(path, kept)
    return path


def load_beside(record: Mapping[str, Any], ending: str, root: Path | None = None) -> dict[str, torch.Tensor]:
    """The tensors of the file beside a record whose name is the run's and this ending. RecordError: it is not there."""
    path = (root or records.recorded_root()) / record["experiment"] / f"{record['run']}{ending}"
    if not path.is_file():
        raise RecordError(f"{path} is missing: it belongs to the record {records.key(record)}; run its command again")
    return load_file(path)


def _write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(save({name: one.detach().half().cpu().contiguous() for name, one in tensors.items()}))
