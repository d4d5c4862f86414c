"""Table 2's last rows in small (claim C24; section 6): a sixth convolutional layer, and training on other photographs
first.

The paper's networks of 39.0% and 36.7% had a sixth convolutional layer over the last pooling layer, were trained on
15 million photographs of 22,000 classes, and then on those of the competition. Here the study's network, with and
without such a layer, learns the 150 classes of Tiny ImageNet that the study `evidence` does not use, and then its 50:
same images, same test images, so that its networks are what these are compared with. The sixth layer's kernels are not
described in the paper; 128 of 3 x 3, as many as conv5 has, are our reading.

    python -m alexnet_lib experiment pretraining --full --jobs 2 --out data/recorded
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from .evidence import BASE, FULL, PILOT, RATES, REGISTERED, SMALL, Size, split_source
from .running.study_queue import Entry, Plan, run_queue

NAME = "pretraining"
SUMMARY = "a sixth convolutional layer, and learning 150 other classes first, on the study's images (C24)"
CLAIMS = ("C24",)
SIXTH = ("net.sixth=128",)
BEFORE = ("passes=25", "drops=17,22")  # on the other classes: as many updates as three runs of the study
AFTER = ("rate=0.005", "passes=20", "drops=13,18")  # on the study's own
AFTER_RATES, AFTER_PILOT = (0.002, 0.005, 0.01), (6, (4, 5))
LABELS = {
    "others-paper": "the paper's network on 150 other classes",
    "others-sixth": "the same with a sixth convolutional layer",
    "tuned-paper": "the paper's network, trained on other classes first",
    "sixth": "a sixth convolutional layer",
    "tuned-sixth": "a sixth convolutional layer, trained on other classes first",
}


def plan(size: Size) -> Plan:
    """The experiment at a size, for the queue."""
    before, after, alone, pilot, after_pilot, whole = BEFORE, AFTER, (), PILOT, AFTER_PILOT, replace(size, trained=0)
    if size is not FULL:
        before, after, alone, pilot, after_pilot, whole = *(size.changes,) * 3, size.pilot, size.pilot, size

    def of_others(name: str, changes: tuple[str, ...]) -> Entry:
        return Entry(name, (*BASE, *before, *changes), 1, (0.01,), images="others", weights=True)

    def tuned(name: str, changes: tuple[str, ...], start: str) -> Entry:
        seeds = min(3, size.most_seeds)
        return Entry(name, (*BASE, *after, *changes), seeds, AFTER_RATES, after_pilot, answers=True, after=start)

    sources = {
        "own": lambda folder: split_source(folder, size),
        "others": lambda folder: split_source(folder, whole, others=True),
    }
    sixth = Entry("sixth", (*BASE, *alone, *SIXTH), min(3, size.most_seeds), RATES, pilot, answers=True)
    entries = (
        of_others("others-paper", ()),
        of_others("others-sixth", SIXTH),
        sixth,
        tuned("tuned-paper", (), "others-paper"),
        tuned("tuned-sixth", SIXTH, "others-sixth"),
    )
    return Plan(NAME, CLAIMS, size.name, REGISTERED, sources, size.side, entries)


def run_from(args: argparse.Namespace) -> list[Path]:
    """The command line's entry: `args` has full, out, data, device, jobs, seeds, only and dtype."""
    return run_queue(plan(FULL if args.full else SMALL), args)
