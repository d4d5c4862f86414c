"""What the trained networks answer to each validation image: off the centre, when they are wrong, and how sure they are
(claim C28), with the networks that `ablations` trains.

A seed is another network. Its softmax of every image, by the centre view and by ten, stays beside the record; of the
first one also the convolutional layers, so that what they answer to can be shown without training. Small: three
classes, two passes. Full: `python -m alexnet_lib experiment predictions --full`. Taught in "Predictions".
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import imagenet_tiny
from ..datasets import data_root
from ..imagenet_reader import PreparedImages
from ..predictions import calibration, confusions, first_mistakes, off_centre, sense_of
from ..training.evaluation import VIEWS_AT_ONCE, probabilities
from ..wordnet import nouns
from .ablations import EXPERIMENT as ABLATIONS
from .imagenet_runs import final_net
from .imagenet_study import Job, Study, small
from .net_measures import Measures, in_batches

NAME = "predictions"
SUMMARY = "each validation image's labels: off the centre, when wrong, how sure, on Tiny ImageNet (C28)"
PREDICTIONS = "predictions"
VIEWS = ("centre", "ten")
SIDE = 64  # of the published images, in whose pixels the boxes are
AT_ONCE = VIEWS_AT_ONCE // 10  # images of ten views each
CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")
STUDY = Study(
    NAME, ("C28",), {"paper": ()}, small(), replace(ABLATIONS.on_cpu, seeds=3), replace(ABLATIONS.on_gpu, seeds=3)
)


def run_from(args: argparse.Namespace) -> list[Path]:
    """Train the networks that are not there, ask them, write the record after each seed."""
    tiny = data_root(args.data) / imagenet_tiny.FOLDER
    return Measures(STUDY, PREDICTIONS, {"views": list(VIEWS)}, lambda job, seed: answered(job, seed, tiny), result_of,
                    said, kept_of_all=True).run_from(args)  # fmt: skip


@torch.no_grad()
def answered(job: Job, seed: int, tiny: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """One network's answers, measured, and those tensors that stay beside the record."""
    one, place = job.known[0], job.place(job.known[0].run)
    net = final_net(one.recipe, place, seed, len(job.images.classes))
    scale, val = one.recipe.make_scale(job.images).to(job.device), PreparedImages(job.folder, "val")
    softmax = {which: torch.cat([probabilities([net], [scale], some.to(job.device), one.recipe.net.input_size, which)
                                 for some in in_batches(val, AT_ONCE)]).cpu() for which in VIEWS}  # fmt: skip
    boxes = np.array(imagenet_tiny.read_boxes(tiny, [Path(name).name for name in val.names]))
    outcome = measured({which: each.numpy() for which, each in softmax.items()}, val.labels.numpy(),
                       off_centre(boxes, SIDE), list(val.classes))  # fmt: skip
    kept = {f"softmax-{which}": each.half() for which, each in softmax.items()}
    if seed == 0:
        kept |= {"labels": val.labels, "boxes": torch.from_numpy(boxes).to(torch.int16)}
        kept |= {f"{layer}.{what}": getattr(net.get_submodule(layer), what).detach().half().cpu()
                 for layer in CONVOLUTIONS for what in ("weight", "bias")}  # fmt: skip
        outcome["names"] = [Path(name).name for name in val.names]
    return outcome, kept


def measured(
    softmax: dict[str, np.ndarray], labels: np.ndarray, off: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Of one network, by views: errors on and off the centre (None: no such image), calibration; and where the
    likeliest wrong labels of the centre view lie in the tree of nouns."""
    outcome: dict[str, Any] = {"off_centre_images": int(off.sum()), "images": len(labels)}
    for which, rows in softmax.items():
        wrong = rows.argmax(axis=1) != labels
        outcome[which] = {
            "error": float(wrong.mean()),
            "error_off_centre": float(wrong[off].mean()) if off.any() else None,
            "error_on_centre": float(wrong[~off].mean()) if (~off).any() else None,
            "calibration_error": calibration(rows, labels).error,
        }
    table = confusions(first_mistakes(softmax["centre"], labels), labels, len(classes))
    found = sense_of(table, nouns().steps(classes))
    return outcome | {"confusions": table.tolist(), "distance": found.distance, "distance_by_chance": found.by_chance,
                      "p": found.p}  # fmt: skip


def result_of(outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By seed, what `measured` found; and the test of all networks' mistakes together."""
    by_view = {which: {name: [one[which][name] for one in outcomes] for name in outcomes[0][which]} for which in VIEWS}
    return {
        **by_view, "images": outcomes[0]["images"], "off_centre_images": outcomes[0]["off_centre_images"],
        "distance": [one["distance"] for one in outcomes], "p": [one["p"] for one in outcomes],
        "distance_by_chance": outcomes[0]["distance_by_chance"], "names": outcomes[0].get("names", []),
        "confusions": np.sum([one["confusions"] for one in outcomes], axis=0).tolist(),
    }  # fmt: skip


def said(outcome: dict[str, Any]) -> str:
    """One line about a seed."""
    centre, ten = outcome["centre"], outcome["ten"]
    errors = (centre["error_on_centre"], centre["error_off_centre"])
    on, off = ("none" if error is None else f"{error:.1%}" for error in errors)
    return (f"top-1 error {centre['error']:.1%}, by ten views {ten['error']:.1%}; objects on the centre {on}, off it "
            f"{off}; likeliest wrong labels {outcome['distance']:.1f} steps off, by chance "
            f"{outcome['distance_by_chance']:.1f} (p {outcome['p']:.3f})")  # fmt: skip
