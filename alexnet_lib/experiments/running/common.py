"""What every experiment that is recorded on CIFAR-10 does before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import records
from ...data.image_set import ImageSet
from ...errors import RecordError, SettingError
from ...training.run_folder import differences
from .one_run import image_set


def real_images(split: str, data: str | None, images: int | None) -> ImageSet:
    """A split of CIFAR-10, cut to `images`. Raises SettingError where there is only the stand-in."""
    found = image_set(split, data, images)
    if found.stand_in:
        raise SettingError(
            "this experiment is recorded on CIFAR-10 only, and none was found; get it with "
            "`python -m alexnet_lib data fetch cifar10`, or point ALEXNET_DATA or --data at it"
        )
    return found


def writable(folder: Path) -> Path:
    """The folder, made if it is not there. Raises SettingError if it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"--out: {folder} cannot be made ({error.strerror}); name a folder of yours") from error
    return folder


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


AT_GUESSING = 0.02  # so near to the error of guessing, or above it, a network has learned nothing: a line of ours


def at_guessing(error: float, classes: int) -> bool:
    """Whether an error is one of a network that has learned nothing."""
    return error > 1 - 1 / classes - AT_GUESSING
