"""What a training run leaves in its folder, so that it can be killed at any moment and goes on where it was.

settings.json              recipe, seed, data, pixels; written first, and compared when the run is taken up again
log.jsonl                  one line an event: steps, passes, the end
tensorboard/               the same for TensorBoard
checkpoints/step-….pt      all state, the last two; a new one is whole before the oldest goes
best.safetensors           the weights with the lowest top-1 validation error; pass-….safetensors where asked for
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from ..augment import PixelScale
from ..data.imagenet.reader import PreparedImages
from ..errors import DataError, SettingError, TrainingError
from ..system.files import atomic_path, clear_left_overs, json_object, naming, write_text
from ..system.locks import only_one
from . import checkpoints
from .recipes import Recipe, recipe_of

SETTINGS, LOG, EDITED = "settings.json", "log.jsonl", "it was edited, or is of another version"
KEPT = 2  # checkpoints: the last may be the one that a failing disk damaged
PATIENCE = 5.0  # seconds that a process which was just killed has for ending


class RunFolder:
    """One run's folder. Only the first of several processes writes into it.

    SettingError where it holds something else, or a run with other settings or images (named), or cannot be written.
    DataError where another process is at work in it.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        self.folder, self.settings = Path(folder), json.loads(json.dumps(settings))
        self.log, self.checkpoints = self.folder / LOG, self.folder / "checkpoints"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for this process alone: a new run's, or one that is found to be of the same run."""
        with ExitStack() as lock:
            try:
                self._check_folder()
                self.folder.mkdir(parents=True, exist_ok=True)
                lock.enter_context(only_one(self.folder, PATIENCE))
                path = self.folder / SETTINGS
                if not path.is_file() or self._compare(read_settings(self.folder)):
                    write_text(path, json.dumps(self.settings, indent=1) + "\n")
                clear_left_overs(self.folder, r"settings\.json|log\.jsonl|outcome\.json|[\w-]+\.safetensors")
                clear_left_overs(self.checkpoints, r"step-\d{9}\.pt")
            except OSError as error:
                raise SettingError(
                    f"--out {self.folder} cannot be made or written ({error.strerror}): give a folder that can"
                ) from error
            yield

    def _check_folder(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise SettingError(f"--out {self.folder} is a file: give a folder")
        if self.folder.is_dir() and any(self.folder.iterdir()) and not (self.folder / SETTINGS).is_file():
            raise SettingError(f"--out {self.folder} is not empty and holds no run: give a folder of its own")

    def _compare(self, begun: dict[str, Any]) -> bool:
        """Whether the run was begun before folders kept which pixels it sees: from now on this one does."""
        older = "pixels" in self.settings and "pixels" not in begun
        if older:
            begun = begun | {"pixels": self.settings["pixels"]}
        for where, then, now in differences(begun, self.settings):
            raise SettingError(
                f"{self.folder} holds a run with {where} {str(then)[:60]}, not {str(now)[:60]}: give the same settings "
                "and images to go on with it, or another --out"
            )
        if older:
            warnings.warn(
                f"{self.folder} was begun by a version that did not keep which pixels it was trained on: they are "
                "taken to be these",
                stacklevel=2,
            )
        return older

    def identity(self) -> dict[str, Any]:
        """What a checkpoint is bound to; the pixels are the folder's matter."""
        bound = {name: value for name, value in self.settings.items() if name != "pixels"}
        return {"settings": json.dumps(bound, sort_keys=True)}

    def save(self, state: dict[str, Any]) -> bool:
        """Write a checkpoint of the state at state["step"] and keep the last two; False, with a warning, if it fails.

        A run on a full disk goes on: what it had saved before stays, and the next checkpoint may find room.
        """
        path = self._path(state["step"])
        try:
            checkpoints.save(path, self.identity(), state)
        except TrainingError as error:
            kept = self.saved()
            last = f"the last good one is {kept[-1].name}" if kept else "there is none yet"
            warnings.warn(f"{error}. Training goes on; {last}", stacklevel=2)
            return False
        for old in self.saved()[:-KEPT]:
            old.unlink(missing_ok=True)
        return True

    def saved(self) -> list[Path]:
        """The checkpoints there are, the oldest first."""
        return sorted(self.checkpoints.glob("step-*.pt"))

    def load(self, use: Callable[[dict[str, Any]], None] = lambda state: None) -> dict[str, Any] | None:
        """The newest state that can be read and used, None where the run is at its beginning; warns of any that cannot.

        TrainingError where there are checkpoints and none can be used.
        """
        damaged = []
        for path in reversed(self.saved()):
            try:
                state = checkpoints.load(path, self.identity())
                with checkpoints.fitting(path):
                    if path != self._path(state["step"]):
                        raise ValueError(f"it is of step {state['step']}")
                    use(state)
            except TrainingError as error:
                damaged.append((path, error))
                continue
            for bad, error in damaged:
                warnings.warn(f"{error}. {path.name} is used instead", stacklevel=2)
                bad.rename(bad.with_name(f"damaged-{bad.name}"))
            return state
        if damaged:
            raise TrainingError(f"no checkpoint of {self.folder} can be used: {damaged[0][1]}")
        return None

    def load_step(self, step: int) -> dict[str, Any]:
        """The state that was saved at that step; all processes must see the same folder."""
        return checkpoints.load(self._path(step), self.identity())

    def _path(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:09}.pt"

    def cut_log(self, step: int, unjudged: bool = False) -> None:
        """Take out of the log what was written after the checkpoint that the run is taken up from; `unjudged`: also the
        line of the pass that ends with that step, which is still to be validated."""
        if self.log.is_file():
            lines = [line for line in read_log(self.folder) if line["step"] <= step]
            kept = [line for line in lines if not (unjudged and line["step"] == step and line["event"] == "pass")]
            write_text(self.log, "".join(json.dumps(line) + "\n" for line in kept))

    def append(self, event: dict[str, Any]) -> None:
        """One line of the log."""
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def save_weights(self, name: str, state: Mapping[str, torch.Tensor], about: dict[str, str]) -> Path:
        """Write a network's state dict as safetensors, with `about` in their metadata; the path."""
        state = {key: value.detach().cpu().contiguous() for key, value in state.items()}
        path = self.folder / f"{name}.safetensors"
        with atomic_path(path) as temporary:
            temporary.write_bytes(save(state, about))
        return path


def read_settings(folder: Path) -> dict[str, Any]:
    """settings.json of a run. DataError where the folder holds none that can be read."""
    path = Path(folder) / SETTINGS
    with naming(path, f"{folder} is not the folder of a run"):
        found = json_object(path.read_bytes())
    if not {"recipe", "data", "seed"} <= set(found) or not isinstance(found["data"], dict):
        raise DataError(f"{path} says nothing of a recipe, data and seed: {folder} is not the folder of a run")
    return found


def folder_of(run: Path) -> Path:
    """The folder of a run, which is given itself or by a file of weights in it."""
    return run if run.is_dir() else run.parent


def has_learned(run: Path) -> bool:
    """Whether a pass of a run was better than guessing, by its log. run: its folder, or a file of weights in it. True
    where the log does not tell: an earlier version's, or none beside the weights."""
    folder = folder_of(run)
    events = read_log(folder) if (folder / LOG).is_file() else []
    passes = [event for event in events if event.get("event") == "pass"]
    return not passes or any("guessing" not in event for event in passes)


def recipe_in(folder: Path) -> Recipe:
    """The recipe of a run. DataError names its settings.json where that is none that can be used."""
    path = Path(folder) / SETTINGS
    with naming(path, EDITED):
        return recipe_of(read_settings(folder)["recipe"])


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The events of a run, in order; a last line that was cut short when the run was killed is left out."""
    path = Path(folder) / LOG
    with naming(path, f"{folder} is not the folder of a run"):
        lines = path.read_bytes().splitlines()
    events = []
    for number, line in enumerate(lines, 1):
        wrong = "no event with a step"
        try:
            event = json.loads(line)  # NaN is allowed: what was measured of a run that diverged
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                break
            event, wrong = None, f"not JSON ({error})"
        if not isinstance(event, dict) or not isinstance(event.get("step"), int):
            raise DataError(f"{path}, line {number}: {wrong}; take that line out")
        events.append(event)
    return events


def differences(then: Any, now: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two settings differ, such as "recipe.net.norm", with what was there and what is now."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            yield from differences(then.get(key), now.get(key), f"{where}.{key}" if where else key)
    elif then != now:
        yield where, then, now


SCALE_FILE = "pixels.safetensors"


def write_scale(folder: Path, scale: PixelScale) -> None:
    """Keep a run's pixel scale in its folder, once, so that its weights can be used on other images."""
    if (folder / SCALE_FILE).is_file():
        return
    tensors = {"mean": scale.mean.float().cpu().contiguous(), "deviation": torch.tensor(float(scale.deviation))}
    with atomic_path(folder / SCALE_FILE) as temporary:
        temporary.write_bytes(save(tensors))


def read_scale(run: Path) -> PixelScale:
    """The pixel scale that a run was trained with, as its folder keeps it; `run`: that, or a file of weights in it.
    DataError: it has none, or it cannot be read."""
    folder = folder_of(run)
    path = folder / SCALE_FILE
    if not path.is_file():
        raise DataError(
            f"{folder} does not keep the mean image it was trained with ({SCALE_FILE} is missing): it "
            "was trained by an earlier version, or has no finished pass yet"
        )
    with naming(path, "it is not what training wrote"):
        found = load_file(path)
        mean, deviation = found["mean"], float(found["deviation"])
        if mean.ndim != 3 or len(mean) != 3 or not mean.isfinite().all() or not 0 < deviation < math.inf:
            raise ValueError(f"a mean image of {tuple(mean.shape)} and a deviation of {deviation}")
    return PixelScale(mean, deviation)


def run_identity(recipe: Recipe, images: PreparedImages, seed: int) -> dict[str, Any]:
    """What a run's folder is bound to."""
    source = images.index["source"]["digest"]
    data = {"images": len(images), "side": images.side, "source": source, "classes": list(images.classes)}
    return {"recipe": recipe.plain(), "data": data, "seed": seed, "pixels": images.stored}
