"""Records of speed: data/recorded/bench/<run>.json, with the machine they belong to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .. import records
from ..data.imagenet.reader import PreparedImages
from ..system.devices import describe_device
from ..system.timing import Timing

# Speed does not hang on what the pixels show.
NOISE = {"name": "noise", "source": "drawn from seed 0", "checksum": "none", "images": 0, "stand_in": False}


def figures(timings: dict[str, Timing]) -> dict[str, dict[str, float]]:
    """Images a second of each contestant, as a record keeps them."""
    return {name: {"median": t.median, "lowest": t.lowest, "highest": t.highest} for name, t in timings.items()}


def without_folders(words: Sequence[str], **named: str | None) -> list[str]:
    """The command's words with a name in the place of each folder, which only one machine has."""
    names = {folder: name for name, folder in named.items() if folder}
    options = (word.partition("=") if word.startswith("--") else (word, "", "") for word in words)
    return [f"{option}={names.get(value, value)}" if equals else names.get(option, option)
            for option, equals, value in options]  # fmt: skip


def of_prepared(images: PreparedImages) -> dict[str, Any]:
    """What a record says of a prepared set's images: their number and size; their names stay on the machine."""
    return {"name": about(images), "source": "prepared images", "checksum": images.index["source"]["digest"],
            "images": len(images), "stand_in": False}  # fmt: skip


def about(images: PreparedImages) -> str:
    """ "5,000 images of 72 pixels"."""
    return f"{len(images):,} images of {images.side} pixels"


def write_of_prepared(
    what: str, result: dict[str, Any], images: PreparedImages, args: argparse.Namespace, device: torch.device,
    seconds: float,
) -> Path:  # fmt: skip
    """Write the record of a bench whose arguments name a prepared set and the files it was made from (C15)."""
    words = without_folders(sys.argv[3:], DIR=args.prepared, SRC=args.source)
    return write(what, result, device=device, rounds=args.rounds, seconds=seconds, words=words, out=args.out,
                 claims=("C15",), dataset=of_prepared(images))  # fmt: skip


def write(
    what: str,
    result: dict[str, Any],
    *,
    device: torch.device,
    rounds: int,
    seconds: float,
    words: Sequence[str],
    out: Path,
    claims: Sequence[str] = (),
    dataset: dict[str, Any] = NOISE,
) -> Path:
    """Write the record of `bench what` on this kind of device, and return its path. dataset: what was worked on."""
    record = {
        "experiment": "bench",
        "run": f"{what}_{device.type}",
        "claims": list(claims),
        "configuration": {"rounds": rounds, "threads": torch.get_num_threads()},
        "dataset": dataset,
        "seeds": [0],
        "seconds": seconds,
        "curves": [],
        "result": result,
        **records.circumstances(describe_device(device), records.command_line(["bench", what, *words])),
    }
    return records.write(record, out)
