"""What the trained networks answer to each validation image: off the centre, when they are wrong, and how sure they are
(claim C28), with the networks that `ablations` trains.

A seed is another network. Its softmax of every image, by the centre view and by ten, stays beside the record; of the
first one also the convolutional layers, so that what they answer to can be shown without training. Small: three
classes, two passes. Full: `python -m alexnet_lib experiment predictions --full`. Taught in "Predictions".
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..data import tiny_imagenet
from ..data.image_set import data_root
from ..data.imagenet.reader import PreparedImages
from ..data.wordnet import nouns
from ..errors import DataError
from ..measures.effects import Effect, error_sample, under
from ..measures.predictions import calibration, confusions, first_mistakes, off_centre, sense_of
from ..network.alexnet import AlexNet
from ..network.config import AlexNetConfig
from ..training.evaluation import VIEWS_AT_ONCE, probabilities
from ..training.recipes import recipe_of
from .ablations import EXPERIMENT as ABLATIONS
from .running.net_measures import Measures, in_batches, load_kept
from .running.study import Job, Study, small
from .running.study_runs import final_net

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
    tiny = data_root(args.data) / tiny_imagenet.FOLDER
    return Measures(
        STUDY,
        PREDICTIONS,
        {"views": list(VIEWS)},
        lambda job, seed: answered(job, seed, tiny),
        result_of,
        said,
        kept_of_all=True,
    ).run_from(args)


@torch.no_grad()
def answered(job: Job, seed: int, tiny: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """One network's answers, measured, and those tensors that stay beside the record."""
    one = job.known[0]
    net = final_net(one.recipe, one.place, seed, len(job.images.classes))
    scale, val = one.recipe.make_scale(job.images).to(job.device), PreparedImages(job.folder, "val")
    softmax = {
        which: torch.cat(
            [
                probabilities([net], [scale], some.to(job.device), one.recipe.net.input_size, which)
                for some in in_batches(val, AT_ONCE)
            ]
        ).cpu()
        for which in VIEWS
    }
    boxes = np.array(tiny_imagenet.read_boxes(tiny, [Path(name).name for name in val.names]))
    outcome = measured(
        {which: each.numpy() for which, each in softmax.items()},
        val.labels.numpy(),
        off_centre(boxes, SIDE),
        list(val.classes),
    )
    kept = {f"softmax-{which}": each.half() for which, each in softmax.items()}
    if seed == 0:
        kept |= {"labels": val.labels, "boxes": torch.from_numpy(boxes).to(torch.int16)}
        kept |= {
            f"{layer}.{what}": getattr(net.get_submodule(layer), what).detach().half().cpu()
            for layer in CONVOLUTIONS
            for what in ("weight", "bias")
        }
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
    return outcome | {
        "confusions": table.tolist(),
        "distance": found.distance,
        "distance_by_chance": found.by_chance,
        "p": found.p,
    }


def result_of(outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By seed, what `measured` found; and the test of all networks' mistakes together."""
    by_view = {which: {name: [one[which][name] for one in outcomes] for name in outcomes[0][which]} for which in VIEWS}
    return {
        **by_view,
        "images": outcomes[0]["images"],
        "off_centre_images": outcomes[0]["off_centre_images"],
        "distance": [one["distance"] for one in outcomes],
        "p": [one["p"] for one in outcomes],
        "distance_by_chance": outcomes[0]["distance_by_chance"],
        "names": outcomes[0].get("names", []),
        "confusions": np.sum([one["confusions"] for one in outcomes], axis=0).tolist(),
    }


def said(outcome: dict[str, Any]) -> str:
    """One line about a seed."""
    centre, ten = outcome["centre"], outcome["ten"]
    errors = (centre["error_on_centre"], centre["error_off_centre"])
    on, off = ("none" if error is None else f"{error:.1%}" for error in errors)
    return (
        f"top-1 error {centre['error']:.1%}, by ten views {ten['error']:.1%}; objects on the centre {on}, off it "
        f"{off}; likeliest wrong labels {outcome['distance']:.1f} steps off, by chance "
        f"{outcome['distance_by_chance']:.1f} (p {outcome['p']:.3f})"
    )


def recorded(root: Path | None = None) -> dict[str, Any]:
    """The record that is shown; {} if there is none."""
    return STUDY.shown(root).get(PREDICTIONS, {})


def kept(record: Mapping[str, Any], seed: int = 0, root: Path | None = None) -> dict[str, torch.Tensor]:
    """A seed's softmax of each image, by views; of the first seed labels, boxes and the convolutional layers too."""
    return load_kept(record, root, seed)


def softmax(record: Mapping[str, Any], which: str = "centre", root: Path | None = None) -> list[np.ndarray]:
    """By seed, the recorded softmax (images, classes), float64, each row adding up to 1 again after half precision."""
    found = (kept(record, seed, root)[f"softmax-{which}"].double().numpy() for seed in record["seeds"])
    return [rows / rows.sum(axis=1, keepdims=True) for rows in found]


def wrong_by_seed(record: Mapping[str, Any], which: str = "centre", root: Path | None = None) -> np.ndarray:
    """Which images the networks get wrong by such views, bool (seeds, images)."""
    labels = kept(record, root=root)["labels"].numpy()
    return np.stack([each.argmax(axis=1) != labels for each in softmax(record, which, root)])


def words(record: Mapping[str, Any]) -> list[str]:
    """The first word of each class."""
    return [nouns()[name].words[0] for name in record["configuration"]["classes"]]


def cost_of_off(record: Mapping[str, Any], which: str = "centre", root: Path | None = None) -> Effect | None:
    """By how much the networks err less on objects on the centre than on those off it; None for one seed.

    The two groups are of different images, so their variances add up. That a good network is good on both is left out,
    which makes the interval a little too wide.
    """
    wrong, away = wrong_by_seed(record, which, root), off(record, root)
    here, there = (under(0.0, error_sample(wrong[:, group])) for group in (~away, away))
    if here is None or there is None:
        return None
    error = math.hypot(here.error, there.error)
    parts = here.error**4 / here.df + there.error**4 / there.df
    df = error**4 / parts if parts else math.inf
    by_seeds = math.hypot(here.seed_error, there.seed_error)
    by_images = math.hypot(here.image_error, there.image_error)
    return Effect(here.size - there.size, by_seeds, by_images, error, df, here.seeds)


def off(record: Mapping[str, Any], root: Path | None = None) -> np.ndarray:
    """Whether the middle of each image lies outside the object's box."""
    return off_centre(kept(record, root=root)["boxes"].numpy(), SIDE)


def photographs(record: Mapping[str, Any], numbers: Sequence[int], data: Path | None = None) -> list[np.ndarray | None]:
    """Those photographs of the record's list, uint8 (64, 64, 3); None for each where Tiny ImageNet is not at hand."""
    folder = data_root(data) / tiny_imagenet.FOLDER / "val" / "images"
    if not folder.is_dir():
        return [None] * len(numbers)
    found = []
    for number in numbers:
        path = folder / record["result"]["names"][number]
        try:
            found.append(np.asarray(Image.open(path).convert("RGB")))
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error}): get Tiny ImageNet again") from error
    return found


def convolutions(record: Mapping[str, Any], root: Path | None = None) -> AlexNet:
    """A network with the recorded convolutional layers, in evaluation mode; its fully connected layers know nothing."""
    config: AlexNetConfig = recipe_of(record["configuration"]["recipe"]).net
    net, tensors = AlexNet(config, len(record["configuration"]["classes"]), seed=0), kept(record, root=root)
    wanted = {name: one.float() for name, one in tensors.items() if name.split(".")[0] in CONVOLUTIONS}
    net.load_state_dict(wanted, strict=False)
    return net.eval()
