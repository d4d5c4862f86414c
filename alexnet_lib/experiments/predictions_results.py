"""What the chapter "Predictions" reads from the records of `predictions`, and the photographs they are about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from .. import imagenet_tiny
from ..config import AlexNetConfig
from ..datasets import data_root
from ..effects import Effect, Sample, paired, told, under
from ..errors import DataError
from ..model import AlexNet
from ..origin import NOT_RUN
from ..predictions import off_centre
from ..training.recipes import recipe_of
from ..wordnet import nouns
from .net_measures import load_kept
from .predictions import CONVOLUTIONS, PREDICTIONS, SIDE, STUDY, VIEWS

NAMES = {"centre": "centre view", "ten": "ten views"}


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


def error_sample(wrong: np.ndarray) -> Sample:
    """The errors of bool (seeds, images) as `effects` takes them."""
    return Sample(tuple(wrong.mean(axis=1).tolist()), wrong)


def words(record: Mapping[str, Any]) -> list[str]:
    """The first word of each class."""
    return [nouns()[name].words[0] for name in record["configuration"]["classes"]]


def in_tree_order(record: Mapping[str, Any]) -> list[int]:
    """The classes so that those that are near in WordNet stand near each other: by the ways down to them."""
    tree = nouns()
    down = [[name for name, _ in sorted(tree.above(one).items(), key=lambda pair: -pair[1])]
            for one in record["configuration"]["classes"]]  # fmt: skip
    return sorted(range(len(down)), key=down.__getitem__)


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


def told_error(wrong: np.ndarray) -> str:
    """Of bool (seeds, images): the error in per cent, with its 95% interval by both, "39.4 (34.8 to 44.1)"."""
    mean, effect = f"{100 * wrong.mean():.1f}", under(0.0, error_sample(wrong))
    if effect is None:
        return f"{mean} (1 seed)"
    high, low = (-100 * end for end in effect.interval)
    return f"{mean} ({max(low, 0):.1f} to {min(high, 100):.1f})"


def off_rows(record: Mapping[str, Any], root: Path | None = None) -> list[list[str]]:
    """For a table, a row a view: top-1 errors in per cent on the centre and off it, and how much better the first are;
    each with its 95% interval."""
    if not record:
        return [[NOT_RUN, "-", "-", "-"]]
    away, rows = off(record, root), []
    for which in VIEWS:
        wrong = wrong_by_seed(record, which, root)
        errors = [told_error(wrong[:, group]) for group in (~away, away)]
        rows.append([NAMES[which], *errors, told(cost_of_off(record, which, root)) or "1 seed: cannot tell"])
    return rows


def gain_of_ten(record: Mapping[str, Any], root: Path | None = None) -> str:
    """By how many points ten views err less than one, with the 95% interval; "" without a record or for one seed."""
    if not record:
        return ""
    one, ten = (error_sample(wrong_by_seed(record, which, root)) for which in VIEWS)
    return told(paired(ten, one))


def changed_rows(record: Mapping[str, Any], root: Path | None = None) -> list[list[str]]:
    """For a table, a row a seed: how many images ten views put right, how many they spoil."""
    if not record:
        return [[NOT_RUN, "-", "-", "-"]]
    one, ten = (wrong_by_seed(record, which, root) for which in VIEWS)
    return [[f"seed {seed}", f"{(before & ~after).sum()}", f"{(after & ~before).sum()}", f"{len(before)}"]
            for seed, before, after in zip(record["seeds"], one, ten, strict=True)]  # fmt: skip


def off(record: Mapping[str, Any], root: Path | None = None) -> np.ndarray:
    """Whether the middle of each image lies outside the object's box."""
    return off_centre(kept(record, root=root)["boxes"].numpy(), SIDE)


def photographs(record: Mapping[str, Any], numbers: Sequence[int], data: Path | None = None) -> list[np.ndarray | None]:
    """Those photographs of the record's list, uint8 (64, 64, 3); None for each where Tiny ImageNet is not at hand."""
    folder = data_root(data) / imagenet_tiny.FOLDER / "val" / "images"
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
