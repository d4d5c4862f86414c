"""What the chapter "Predictions" reads from the records of `predictions`, and the photographs they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from .. import imagenet_tiny
from ..config import AlexNetConfig
from ..datasets import data_root
from ..errors import DataError
from ..model import AlexNet
from ..origin import NOT_RUN
from ..predictions import off_centre
from ..training.recipes import recipe_of
from ..wordnet import nouns
from .comparison_results import mean_and_spread
from .net_measures import best_recorded, load_kept
from .predictions import CONVOLUTIONS, PREDICTIONS, SIDE, STUDY, VIEWS


def recorded(root: Path | None = None) -> dict[str, Any]:
    """The record at the best size that has one; {} if there is none."""
    return best_recorded(STUDY, PREDICTIONS, root)


def kept(record: Mapping[str, Any], seed: int = 0, root: Path | None = None) -> dict[str, torch.Tensor]:
    """A seed's softmax of each image, by views; of the first seed labels, boxes and the convolutional layers too."""
    return load_kept(record, root, seed)


def softmax(record: Mapping[str, Any], which: str = "centre", root: Path | None = None) -> list[np.ndarray]:
    """By seed, the recorded softmax (images, classes), float64, each row adding up to 1 again after half precision."""
    found = (kept(record, seed, root)[f"softmax-{which}"].double().numpy() for seed in record["seeds"])
    return [rows / rows.sum(axis=1, keepdims=True) for rows in found]


def words(record: Mapping[str, Any]) -> list[str]:
    """The first word of each class."""
    return [nouns()[name].words[0] for name in record["configuration"]["classes"]]


def in_tree_order(record: Mapping[str, Any]) -> list[int]:
    """The classes so that those that are near in WordNet stand near each other: by the ways down to them."""
    tree = nouns()
    down = [[name for name, _ in sorted(tree.above(one).items(), key=lambda pair: -pair[1])]
            for one in record["configuration"]["classes"]]  # fmt: skip
    return sorted(range(len(down)), key=down.__getitem__)


def off_rows(record: Mapping[str, Any]) -> list[list[str]]:
    """For a table, a row a view: top-1 errors in per cent, mean ± spread over seeds, on the centre, off it, of all."""
    if not record:
        return [[NOT_RUN, "-", "-", "-"]]
    return [[{"centre": "centre view", "ten": "ten views"}[which],
             *(mean_and_spread(record["result"][which][name])
               for name in ("error_on_centre", "error_off_centre", "error"))] for which in VIEWS]  # fmt: skip


def changed_rows(record: Mapping[str, Any], root: Path | None = None) -> list[list[str]]:
    """For a table, a row a seed: how many images ten views put right, how many they spoil."""
    if not record:
        return [[NOT_RUN, "-", "-", "-"]]
    labels, rows = kept(record, root=root)["labels"].numpy(), []
    pairs = zip(*(softmax(record, which, root) for which in VIEWS), strict=True)
    for seed, both in zip(record["seeds"], pairs, strict=True):
        one, ten = (each.argmax(axis=1) == labels for each in both)
        rows.append([f"seed {seed}", f"{(ten & ~one).sum()}", f"{(one & ~ten).sum()}", f"{len(labels)}"])
    return rows


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
