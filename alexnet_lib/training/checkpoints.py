"""Files that hold the state of a run half way, so that it can be taken up again: written whole, read only if theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import SettingError, TrainingError, first_line
from ..system.files import atomic_path


def save(path: Path, identity: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values, with the `identity` of its run. Raises TrainingError naming the file.

    A checkpoint that is there already stays until the new one is whole.
    """
    try:
        with atomic_path(path) as temporary:
            torch.save({"identity": identity, "state": state}, temporary)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError where the disk is full
        raise TrainingError(
            f"checkpoint {path} cannot be written ({error}); make room, or use another folder"
        ) from error


def load(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """The state in a checkpoint. Raises TrainingError, naming the file, if it is damaged or of another run."""
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        held, state = content["identity"], content["state"]
    except Exception as error:  # damaged files raise almost any exception
        # torch's own message may recommend to load it unsafely.
        damage = type(error).__name__
        raise TrainingError(f"checkpoint {path} cannot be read ({damage}); delete it to start again") from error
    if held != identity:
        raise TrainingError(f"checkpoint {path} is of a run with other settings; delete it or use another folder")
    return state


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """In which a checkpoint's state is taken up. TrainingError, naming the file, if it is not of what takes it up."""
    try:
        yield
    except (SettingError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        said = first_line(error)
        raise TrainingError(f"checkpoint {path} does not fit its run ({said}); delete it to start again") from error
