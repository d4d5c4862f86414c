"""The frame of every bench: what was asked for, tables of what took turns, and records.

A bench says what is compared, {name: a callable that does one unit of work and says of how many images}; the turns are
`take_turns`, in system/timing.py. A record is data/recorded/bench/<run>.json, with the machine it belongs to.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from .. import records
from ..data.imagenet.reader import PreparedImages
from ..data.imagenet.workers import cores
from ..errors import SettingError, check_counts
from ..system.devices import describe_device, keep_freed_memory, pick_device
from ..system.files import made_folder
from ..system.timing import Timing
from ..training.recipes import changes_of, named
from . import print_table

# Speed does not hang on what the pixels show.
NOISE = {"name": "noise", "source": "drawn from seed 0", "checksum": "none", "images": 0, "stand_in": False}


class Comparison:
    """One run of a bench: device, threads and memory as its options say, and its record.

    SettingError: a whole number below 1 (--workers may be 0), a device that is not there, an --out that is no folder.
    """

    def __init__(self, args: argparse.Namespace, *, keep: bool = True):
        check_counts(args, *(name for name, given in vars(args).items() if type(given) is int and name != "workers"))
        self.args, self.began, self.device = args, time.perf_counter(), pick_device(args.device)
        self.gpu = self.device.type == "cuda"
        if getattr(args, "out", None):  # before minutes of measuring
            made_folder(args.out / "bench")
        if args.threads:
            torch.set_num_threads(args.threads)
        if keep and not self.gpu:
            keep_freed_memory()

    def announce(self, what: str = "") -> None:
        """Print where it is measured, and how often."""
        print(f"{describe_device(self.device)}; {what}median of {self.args.rounds}")

    def record(
        self, result: dict[str, Any], claims: Sequence[str] = (), dataset: dict[str, Any] = NOISE, kind: str = ""
    ) -> int:
        """Write the record of this run if --out asks for one, and return 0. dataset: what was worked on; kind: what
        tells it from the bench's other records."""
        args, device = self.args, describe_device(self.device)
        if args.out:
            folders = {args.prepared: "DIR"} if hasattr(args, "prepared") else {}
            folders |= {args.source: "SRC"} if getattr(args, "source", None) else {}
            command = records.command_line(["bench", args.bench, *without_folders(sys.argv[3:], folders)])
            record = {
                "experiment": "bench",
                "run": f"{args.bench}{kind}_{self.device.type}",
                "claims": list(claims),
                "configuration": {"rounds": args.rounds, "threads": torch.get_num_threads()},
                "dataset": dataset,
                "seeds": [0],
                "seconds": time.perf_counter() - self.began,
                "curves": [],
                "result": result,
                **records.circumstances(device, command),
            }
            print(f"recorded in {records.write(record, args.out)}")
        return 0


class OfPrepared(Comparison):
    """A bench of a prepared set, by the paper's recipe as --set changes it; `source`: the files it was made from."""

    def __init__(self, args: argparse.Namespace):
        super().__init__(args)
        if args.workers is not None and args.workers < 0:
            raise SettingError(f"--workers {args.workers}: give 0 or more")
        self.workers = cores() if args.workers is None else args.workers
        self.source = Path(args.source) if args.source else None
        self.images = PreparedImages(args.prepared, "train")
        self.recipe = named("paper", changes_of(args.set, batch=args.batch))
        self.about = f"{len(self.images):,} images of {self.images.side} pixels"

    def announce(self, what: str = "") -> None:
        super().announce(f"{self.about} ({self.images.format}), {what}batches of {self.recipe.batch}, ")

    def record(self, result: dict[str, Any]) -> int:
        """C15's. What it says of the images: their number and size; their names stay on the machine."""
        digest = self.images.index["source"]["digest"]
        return super().record(
            result,
            ["C15"],
            {
                "name": self.about,
                "source": "prepared images",
                "checksum": digest,
                "images": len(self.images),
                "stand_in": False,
            },
        )


def each(work: Callable[[Any], object], batches: Callable[[], Iterable[Any]], size: int) -> Callable[[], int]:
    """A contestant: that work on each batch of a turn, of `size` images each; how many images that were."""

    def turn() -> int:
        images = 0
        for batch in batches():
            work(batch)
            images += size
        return images

    return turn


def without_folders(words: Sequence[str], names: dict[Path, str]) -> list[str]:
    """The command's words with a name in the place of each folder, which only one machine has."""
    options = (word.partition("=") if word.startswith("--") else ("", "", word) for word in words)
    return [
        f"{option}{equals}{names.get(Path(value).expanduser(), value) if value else ''}"
        for option, equals, value in options
    ]


def figures(timings: dict[str, Timing]) -> dict[str, dict[str, float]]:
    """Images a second of each contestant, as a record keeps them."""
    return {name: {"median": t.median, "lowest": t.lowest, "highest": t.highest} for name, t in timings.items()}


Columns = dict[str, Callable[[Any], str]]


def speeds(digits: int = 0) -> Columns:
    """The columns of images a second."""
    return {
        "images/s (median)": lambda t: f"{t.median:,.{digits}f}",
        "range": lambda t: f"{t.lowest:,.{digits}f} to {t.highest:,.{digits}f}",
    }


def print_columns(title: str, rows: dict[str, Any], columns: Columns) -> None:
    """Print a table of a row for each name: what each column says of what has that name."""
    print_table(title, ("", *columns), [(name, *(say(row) for say in columns.values())) for name, row in rows.items()])
