"""Several networks that differ in nothing but their seed, averaged (claim C23; Table 2): how the error falls with each.

The networks are those of the experiment ablations' first variant, five of them; their softmax outputs are averaged, as
section 6 describes. Full: `python -m alexnet_lib experiment ensemble --full`. Taught in "Results and ablations".
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import records
from ..data.imagenet.reader import PreparedImages
from ..system.devices import describe_device, pick_device
from ..training.evaluation import count_errors
from .ablations import EXPERIMENT as ABLATIONS
from .running.study import Job, Study, small
from .running.study_runs import final_net, outcome_of

NAME = "ensemble"
SUMMARY = "the softmax of one to five networks averaged, on Tiny ImageNet (C23)"
NETS = 5
STUDY = Study(
    NAME,
    ("C23",),
    {"paper": ()},
    replace(small(), seeds=2),
    replace(ABLATIONS.on_cpu, seeds=NETS),
    replace(ABLATIONS.on_gpu, seeds=NETS),
)
AVERAGE = "average"


def run_from(args: argparse.Namespace) -> list[Path]:
    """Train the networks that are not there yet, then write the record of their averages; `args` as of all."""
    size = STUDY.size(args.full, pick_device(args.device))
    job = Job.begin(
        STUDY,
        size,
        list(STUDY.variants),
        out=args.out,
        data=args.data,
        device=args.device,
        seeds=args.seeds,
        jobs=args.jobs,
    )
    written, seeds = job.train(), args.seeds or size.seeds
    before = records.load(NAME, f"{size.name}_{AVERAGE}", job.call.out)
    if before and len(before["seeds"]) >= seeds:
        return written
    return [*written, records.write(average(job, seeds), job.call.out)]


def average(job: Job, seeds: int) -> dict[str, Any]:
    """The record of the first 1, 2, ... `seeds` networks averaged; trains again those whose weights are gone."""
    one, began = job.known[0], time.monotonic()
    for seed in range(seeds):
        outcome_of(one.recipe, one.place, seed)
    nets = [final_net(one.recipe, one.place, seed, len(job.images.classes)) for seed in range(seeds)]
    val, scale = PreparedImages(job.folder, "val"), one.recipe.make_scale(job.images)
    found: dict[str, dict[str, list[float | None]]] = {"top1": {}, "top5": {}}
    for which in ("centre", "ten"):
        shares = [
            count_errors(nets[:n], val, [scale] * n, one.recipe.net.input_size, which=which, device=job.device).shares
            for n in range(1, seeds + 1)
        ]
        found["top1"][which] = [each[1] for each in shares]
        found["top5"][which] = [each.get(5) for each in shares]
    return {
        "experiment": NAME,
        "run": f"{job.size.name}_{AVERAGE}",
        "claims": list(STUDY.claims),
        **records.circumstances(describe_device(job.device), job.call.command),
        "configuration": one.configuration(),
        "dataset": one.dataset,
        "seeds": list(range(seeds)),
        "seconds": time.monotonic() - began,
        "curves": [],
        "result": {"complete": True, "networks": list(range(1, seeds + 1)), **found},
    }
