"""A small prepared set and a network small enough to train on it in a second, for the tests of training."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import torch
from imagenet_trees import drawn, encoded
from PIL import Image

from alexnet_lib.data.imagenet import preparation
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.training.loop import Cadence, Training
from alexnet_lib.training.recipes import Recipe, named
from alexnet_lib.training.run_folder import RunFolder

CLASSES = 6
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
SMALL = ("net.input_size=64", "net.widths=10,10,8,8,8", "net.hidden=16,16", "batch=12", "passes=3")


def write_set(folder: Path, train: int = 8, val: int = 2, side: int = 72) -> Path:
    """Prepared images of six classes that their colours tell apart, 48 to train on and 12 to validate; its folder."""
    for split, count in (("train", train), ("val", val)):
        for c in range(CLASSES):
            of_class = folder / "source" / split / f"n{c:08}"
            of_class.mkdir(parents=True)
            for i in range(count):
                image = drawn(1000 * c + i + len(split), side + 4, side).point(lambda v, c=c: min(255, v // 2 + 20 * c))
                (of_class / f"{i}.JPEG").write_bytes(encoded(image, quality=90))
    preparation.prepare(folder / "source", folder / "prepared", side=side, jobs=1)
    return folder / "prepared"


def small(*changes: str) -> Recipe:
    """The paper's recipe with the small network, and changes."""
    return named("paper", (*SMALL, *changes))


def training(prepared: Path, out: Path, recipe: Recipe | None = None, *, seed: int = 0, **options: Any) -> Training:
    """A run on a CPU that has not begun."""
    recipe = recipe or small()
    images = PreparedImages(prepared, "train")
    folder = RunFolder(out, {"recipe": recipe.plain(), "data": {"classes": list(images.classes)}, "seed": seed})
    out.mkdir(parents=True, exist_ok=True)  # as RunFolder.held does
    options = {"cadence": Cadence(log=1)} | options
    return Training(recipe, images, PreparedImages(prepared, "val"), seed, torch.device("cpu"), folder, **options)


def hold(path: Path, settings: dict[str, Any], there: Event, go: Event) -> None:
    """In a process of its own, which can import this file and no test's: hold a run's folder until told to go."""
    with RunFolder(path, settings).held():
        there.set()
        go.wait(30)


def words(prepared: Path, out: Path, *more: str) -> list[str]:
    """The command line of the same run."""
    changes = [word for change in SMALL for word in ("--set", change)]
    return ["train", "--data", str(prepared), "--out", str(out), "--device", "cpu", "--log-every", "1", *changes, *more]


def photograph(path: Path, seed: int, size: tuple[int, int] = (80, 90)) -> Path:
    """Write a picture of large patches, which the small network's input keeps; its path."""
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def losses(events: list[dict[str, Any]]) -> list[tuple[int, float]]:
    """(step, loss) of each step in a log."""
    return [(event["step"], event["loss"]) for event in events if event["event"] == "step"]


def start(processes: int, command: list[str], *options: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*TORCHRUN, str(processes), *options, "-m", "alexnet_lib", *command],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def train(processes: int, command: list[str], *options: str) -> str:
    """What torchrun and its processes printed; they must end well."""
    running = start(processes, command, *options)
    said, _ = running.communicate(timeout=300)
    assert running.returncode == 0, said
    return said
