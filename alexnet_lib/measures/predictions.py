"""What a network's answers are worth: the labels it thinks most likely, whether its probabilities are shares of hits,
whether its mistakes are near misses, and whether it needs the object in the middle.

Probabilities are a softmax's, (N, classes). Paper section 6.1 and the left of Figure 4. Taught in "Predictions".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import SettingError

DRAWS = 10_000  # renamings of the classes


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """As float64. SettingError: not a row an image, or rows that do not add up to 1."""
    rows = np.asarray(probabilities, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(labels) or not len(rows):
        raise SettingError(f"probabilities {rows.shape} for {len(labels)} labels: give a row of classes for each label")
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1, atol=1e-3):
        raise SettingError("probabilities must be 0 or more and add up to 1 in every row: give the softmax")
    return rows


def top_labels(probabilities: np.ndarray, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """The k likeliest labels of each image and their probabilities, (N, k) each, likeliest first."""
    if not 1 <= k <= probabilities.shape[1]:
        raise SettingError(f"the first {k} of {probabilities.shape[1]} labels: give 1 to {probabilities.shape[1]}")
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(probabilities, order, axis=1)


@dataclass(frozen=True)
class Calibration:
    """By bins of equal width, from 0 to 1, of the likeliest label's probability: how many images, their mean
    probability and the share that is right (nan where there is none). error: the mean distance of the two, by images
    (expected calibration error)."""

    counts: np.ndarray
    confidence: np.ndarray
    right: np.ndarray

    @property
    def error(self) -> float:
        apart = np.abs(np.nan_to_num(self.confidence) - np.nan_to_num(self.right))
        return float((self.counts * apart).sum() / self.counts.sum())


def calibration(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> Calibration:
    """How far the likeliest label's probability is the share of images on which it is right (Guo et al., 2017)."""
    rows = _checked(probabilities, labels)
    if bins < 1:
        raise SettingError(f"{bins} bins: give 1 or more")
    sure, hit = rows.max(axis=1), rows.argmax(axis=1) == labels
    place = np.minimum((sure * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Calibration(
            counts,
            np.bincount(place, weights=sure, minlength=bins) / counts,
            np.bincount(place, weights=hit, minlength=bins) / counts,
        )


def first_mistakes(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each image the likeliest label that is wrong: the first guess where that is wrong, else the second."""
    others = _checked(probabilities, labels).copy()
    others[np.arange(len(labels)), labels] = -1
    return others.argmax(axis=1)


@dataclass(frozen=True)
class Sense:
    """How far off in kind the likeliest wrong labels are. distance: the mean distance from the true label.
    by_chance: the mean of the same when the classes' places in the tree are dealt anew. p: in what share of such
    dealings it is as small or smaller."""

    distance: float
    by_chance: float
    p: float


def confusions(mistakes: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How often each label (column) was the likeliest wrong one for images of each class (row)."""
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (labels, mistakes), 1)
    return table


def sense_of(tables: np.ndarray, distances: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Sense:
    """Whether confusions go to labels that are near in kind, by a permutation test (Mantel's).

    tables: `confusions` (classes, classes), or one for each of several networks, which are added up: the classes are
    dealt anew for all at once, for what is tested is the classes, not the networks. distances: between the classes.
    Dealing the classes keeps that some are mistaken often and others seldom.
    """
    table = np.asarray(tables, dtype=np.float64)
    table = table.sum(axis=0) if table.ndim == 3 else table
    if table.shape != distances.shape or table.shape[0] != table.shape[1] or not table.sum():
        raise SettingError(f"confusions {table.shape} and distances {distances.shape}: give both for the same classes")
    found = (table * distances).sum() / table.sum()
    generator = np.random.default_rng(seed)
    dealt = np.empty(draws)
    for draw in range(draws):
        new = generator.permutation(len(table))
        dealt[draw] = (table * distances[np.ix_(new, new)]).sum() / table.sum()
    as_small = int((dealt <= found + 1e-12).sum())
    return Sense(float(found), float(dealt.mean()), (1 + as_small) / (1 + draws))


def off_centre(boxes: np.ndarray | Sequence[Sequence[float]], side: int) -> np.ndarray:
    """Whether the middle of an image of `side` pixels lies outside the object's box: bool (N,).

    boxes: left, top, right, bottom, in pixels, the last ones belonging to the box, as Tiny ImageNet gives them.
    """
    rows, middle = np.asarray(boxes, dtype=np.float64), (side - 1) / 2
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise SettingError(f"boxes {rows.shape}: give left, top, right and bottom of each")
    left, top, right, bottom = rows.T
    return ~((left <= middle) & (middle <= right) & (top <= middle) & (middle <= bottom))
