"""The paper's recipe whole, on all of Tiny ImageNet (claim C21): the rate is divided by 10 when the
error stops falling, three times at most; and each time a second run goes on at the old rate for as long.

The study's network with 2,048 hidden units, 96 pixels, 200 classes: 475 photographs of each to learn from, 25 to judge
the rate by, and the 10,000 validation images to test on, which nothing was chosen by. Its weights stay in half
precision, for the chapters on kernels, predictions and retrieval.

    python -m alexnet_lib experiment flagship --full --jobs 2 --out data/recorded
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from .evidence import BASE, FULL, REGISTERED, SMALL, Size, split_source
from .running.study_queue import Entry, Plan, run_queue

NAME = "flagship"
SUMMARY = "the paper's recipe whole on all 200 classes of Tiny ImageNet, and without each drop of the rate (C21)"
CLAIMS = ("C21",)
MOST_DROPS = 3
LABELS = {"paper": "the paper's recipe", **{f"drop-{n}": f"going on at the rate before drop {n}" for n in (1, 2, 3)}}
# Besides what the study's runs have: the paper's batch and hidden units in its proportion, and its schedule.
RECIPE = ("net.hidden=2048,2048", "batch=128", "schedule=plateau", "drops=", "passes=90")
WHOLE = replace(FULL, name="200-classes-96-pixels", classes=200)
FEW = replace(SMALL, changes=("batch=20", "net.hidden=64,64", "schedule=plateau", "drops=", "patience=1", "passes=4"))


def plan(size: Size) -> Plan:
    """The experiment at a size, for the queue."""
    changes = (*BASE, *(RECIPE if size is WHOLE else size.changes))
    main = Entry("paper", changes, 1, (0.01,), answers=True, weights=True, branches=True)
    ways = [Entry(f"drop-{n}", changes, 1, (0.01,), branch=n, after="paper") for n in range(1, MOST_DROPS + 1)]
    sources = {"own": lambda folder: split_source(folder, replace(size, trained=0))}
    return Plan(NAME, CLAIMS, size.name, REGISTERED, sources, size.side, (main, *ways))


def run_from(args: argparse.Namespace) -> list[Path]:
    """The command line's entry: `args` has full, out, data, device, jobs, seeds, only and dtype."""
    return run_queue(plan(WHOLE if args.full else FEW), args)
