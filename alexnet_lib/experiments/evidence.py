"""The registered study: which parts of the paper's recipe matter, with tests strong enough to see it (claims C03, C05,
C07, C08, C10, C12 to C14, C16, C17, C19, C20, C23; questions Q15, Q40, Q43, Q47). `kernel_fits` measures its kernels.

The plan, with why each number in it is what it is, is the book's page "The study, as registered". Here is the same for
the machine: the data, the base recipe, what each variant changes, its seeds, and the order of the queue.

    python -m alexnet_lib experiment evidence --full --jobs 2 --out data/recorded

goes on wherever it was stopped, from the records alone. A run that was under way goes on from its last step if its
folder is still there.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.imagenet.sources import Source, find_source, part_of
from ..errors import DataError
from ..training.recipes import START_2012
from .running.study_queue import Entry, Plan, run_queue
from .running.tiny_runs import TEST, TRAIN, TUNE

NAME = "evidence"
SUMMARY = "the registered study: a dozen parts of the recipe, one at a time, on 13,750 test images (C03, C05, C07 ...)"
CLAIMS = ("C03", "C05", "C07", "C08", "C10", "C12", "C13", "C14", "C16", "C17", "C19", "C20", "C23")
REGISTERED = "2026-11-26"  # of the plan; a plan that is changed later has another date
RATES = (0.005, 0.01, 0.02)

# What every variant has: the paper's network in every respect but its widths, at 96 pixels.
BASE = (
    START_2012,
    "lighting=deviation",
    "net.input_size=96",
    "net.widths=96,128,192,192,128",
    "net.hidden=1024,1024",
    "batch=64",
    "passes=45",
    "schedule=by hand",
    "drops=30,40",
)
PILOT = (12, (8, 11))  # passes, and after which of them the rate drops: the schedule in small


@dataclass(frozen=True)
class Variant:
    """One thing changed: changes to the base recipe, how many seeds, in words. answers: keep each image's softmax."""

    changes: tuple[str, ...]
    seeds: int
    label: str
    answers: bool = False


# In the order of the queue: those that the paper gives a figure for stand first.
VARIANTS = {
    "paper": Variant((), 10, "the paper's network and recipe", answers=True),
    "no-lrn": Variant(("net.norm=none",), 6, "no response normalisation (3.3)"),
    "one-gpu-half": Variant(("net.widths=48,64,96,96,128", "net.columns=1"), 6, "one column, half the kernels (3.2)"),
    "no-conv3": Variant(("net.left_out=conv3",), 6, "without conv3 (7)"),
    "no-conv4": Variant(("net.left_out=conv4",), 6, "without conv4 (7)"),
    "no-lighting": Variant(("lighting=none",), 6, "no PCA lighting (4.1)"),
    "pool-2-2": Variant(("net.pooling=2,2",), 6, "pooling of 2 moved by 2 (3.4)"),
    "halving": Variant(("net.dropout_kind=halving",), 6, "dropout's halving without its masks (4.2)"),
    "lrn-constant": Variant(("net.lrn.alpha=0",), 3, "response normalisation replaced by its constant (3.3)"),
    "no-conv5": Variant(("net.left_out=conv5",), 3, "without conv5 (7)"),
    "no-crops": Variant(("crops=false", "reflect=false"), 3, "no crops, no reflections (4.1)"),
    "decay-0": Variant(("weight_decay=0",), 3, "no weight decay (5)"),
    "decay-0.005": Variant(("weight_decay=0.005",), 3, "ten times the weight decay (5)"),
    "decay-0.02": Variant(("weight_decay=0.02",), 3, "forty times the weight decay: the paper's dose (5)"),
    "biases-0": Variant(("net.biases=0,0,0,0,0,0,0,0",), 3, "all biases 0 at the start (5)"),
    "start-text": Variant(
        ("net.deviations=0.01,0.01,0.01,0.01,0.01,0.01,0.01,0.01",), 3, "all weights N(0, 0.01) at the start (5)"
    ),
    "never-meet": Variant(("net.exchange=fc8",), 3, "columns that never meet before the last layer (3.2)"),
    "always-meet": Variant(
        ("net.exchange=conv2,conv3,conv4,conv5,fc6,fc7,fc8",), 3, "columns that meet at every layer (3.2)"
    ),
}
LABELS = {name: variant.label for name, variant in VARIANTS.items()}


@dataclass(frozen=True)
class Size:
    """How much of Tiny ImageNet: classes, spread over the 200; of each, in the order of their names, images to learn
    from (0: all) and then to tune by; the rest, and its validation images, are to test on. side: pixels that images are
    brought to. changes: to the base recipe. pilot: of a rate, passes and drops."""

    name: str
    classes: int
    trained: int
    tuned: int
    side: int = 108
    changes: tuple[str, ...] = ()
    pilot: tuple[int, tuple[int, ...]] = PILOT
    most_seeds: int = 10


FULL = Size("50-classes-96-pixels", 50, 250, 25)
SMALL = Size(
    "small", 3, 200, 25, changes=("batch=20", "passes=8", "drops=6", "net.hidden=64,64"), pilot=(3, (2,)), most_seeds=1
)


def split_source(folder: Path, size: Size, others: bool = False) -> Source:
    """The images of a part of Tiny ImageNet by split. others: of three times as many classes, none of them those.
    DataError: a class has too few."""
    whole = find_source(folder)
    chosen = part_of(whole, size.classes).classes
    if others:
        chosen = [name for name in whole.classes if name not in chosen][: 3 * size.classes]
    source = part_of(whole, chosen)
    splits = {TRAIN: [], TUNE: [], TEST: list(source.splits.get("val", ()))}
    for label, name in enumerate(source.classes):
        own = [entry for entry in source.splits["train"] if entry.label == label]
        trained = size.trained or len(own) - size.tuned
        if trained < 1 or len(own) < trained + size.tuned:
            raise DataError(f"{folder}: class {name} has {len(own)} training images, {trained + size.tuned} are needed")
        for split, some in (
            (TRAIN, own[:trained]),
            (TUNE, own[trained : trained + size.tuned]),
            (TEST, own[trained + size.tuned :]),
        ):
            splits[split] += some
    splits[TEST].sort(key=lambda entry: (entry.label, entry.name))
    return replace(source, splits=splits)


def plan(size: Size) -> Plan:
    """The study at a size, for the queue."""
    entries = tuple(
        Entry(
            name,
            (*BASE, *size.changes, *variant.changes),
            min(variant.seeds, size.most_seeds),
            RATES,
            size.pilot,
            variant.answers,
            first=min(3, size.most_seeds) if name == "paper" else 1,
        )
        for name, variant in VARIANTS.items()
    )
    sources = {"own": lambda folder: split_source(folder, size)}
    return Plan(NAME, CLAIMS, size.name, REGISTERED, sources, size.side, entries)


def run_from(args: argparse.Namespace) -> list[Path]:
    """The command line's entry: `args` has full, out, data, device, jobs, seeds and only."""
    return run_queue(plan(FULL if args.full else SMALL), args)
