"""Following a run from pass to pass as the network is, not as dropout makes it while it trains; and reading it off.

The error that training counts is that of thinned networks, so it cannot be compared between rates of dropout. Here the
network is put into evaluation after every pass. Used for claims C16 and C17 (section 4.2) in "Dropout".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ...augment import centre
from ...data.image_set import ImageSet
from ...training.fit import EVALUATION_BATCH
from .pixels import Scale
from .pool import stop_if_asked

# What a watched run's curve holds beside `passes`, `pass_error` and `loss`, all of centre crops, in evaluation.
WATCHED = ("watched_training_error", "watched_training_loss", "watched_test_error", "watched_test_loss")
Course = tuple[Sequence[float], Sequence[float]]


def watching(
    net: nn.Module, train: ImageSet, judged: ImageSet, count: int, scale: Scale, device: str
) -> Callable[[dict[str, float]], None]:
    """An `on_point` for `fit` that writes WATCHED into each point: on `count` images of each set, drawn by class.

    They are kept with the point in the run's checkpoint. Nothing in training depends on them.
    """
    watched = [_centres(images, count, net.config.image_size) for images in (train, judged)]

    def look(point: dict[str, float]) -> None:
        stop_if_asked()
        values = [value for images in watched for value in error_and_loss(net, images, scale, device)]
        point.update(zip(WATCHED, values, strict=True))

    return look


def _centres(images: ImageSet, count: int, side: int) -> ImageSet:
    some = images.subset(count) if count < len(images) else images
    return replace(some, images=centre(some.images, side, side))


@torch.no_grad()
def error_and_loss(net: nn.Module, images: ImageSet, scale: Scale, device: str = "cpu") -> tuple[float, float]:
    """The share of images put into a wrong class, and the mean loss in nats, in evaluation; the net's mode is kept."""
    training = net.training
    net.eval()
    wrong, loss = 0, 0.0
    scale = scale.to(torch.device(device))
    batches = zip(images.images.split(EVALUATION_BATCH), images.labels.split(EVALUATION_BATCH), strict=True)
    for some, wanted in batches:
        logits, wanted = net(scale(some.to(device))), wanted.to(device)
        wrong += int((logits.argmax(1) != wanted).sum())
        loss += float(F.cross_entropy(logits, wanted, reduction="sum"))
    net.train(training)
    return wrong / len(images), loss / len(images)


def passes_until(course: Course, level: float) -> float | None:
    """Passes when the values first are at or under the level, straight between two points; None if never.

    course: passes and values, point by point. A value at or under it at the first point counts as that point's.
    """
    before = None
    for passes, value in zip(*course, strict=True):
        if value <= level:
            if before is None:
                return passes
            return before[0] + (passes - before[0]) * (before[1] - level) / (before[1] - value)
        before = passes, value
    return None


def passes_to_settle(course: Course, within: float) -> float:
    """Passes when the values first come within `within` of the lowest that the run ever has."""
    found = passes_until(course, min(course[1]) + within)
    assert found is not None
    return found


def courses(record: Mapping[str, Any], key: str) -> dict[int, Course]:
    """From the record of a watched variant, by seed: passes, and the values of one of WATCHED."""
    runs = [one for one in record["curves"] if not one["pilot"] and one["diverged_at"] is None]
    return {one["seed"]: (one["curve"]["passes"], one["curve"][key]) for one in runs}


def keys_in(points: Iterable[Mapping[str, float]]) -> list[str]:
    """Which of WATCHED the points of a curve hold: all, or none."""
    points = list(points)
    return [key for key in WATCHED if points and all(key in point for point in points)]
