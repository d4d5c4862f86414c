"""Counting errors as ILSVRC does: top-1 and top-5, over one batch or many.

Paper section 2: an answer is wrong in the top-5 sense if the right label is not among the five that the network thinks
most probable. Taught in "The data".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from ..errors import SettingError, TrainingError


def topk_errors(logits: torch.Tensor, labels: torch.Tensor, ks: Iterable[int] = (1, 5)) -> dict[int, float]:
    """The share of images (0 to 1) whose label is not among the k highest logits, for each k: {1: 0.4, 5: 0.2}.

    logits: (N, classes) on any device, of any floating type; any scores that rise with probability do (softmax,
    averages over views). labels: (N,) whole numbers, 0 to classes - 1. Ties count against the network: an image is
    right only if fewer than k other classes score as high as its label or higher, so that a network which gives every
    class the same is always wrong, and the order of classes decides nothing. SettingError: shapes, labels or ks that
    do not fit, no image at all. TrainingError: a logit that is not a number.
    """
    counted = TopKErrors(tuple(ks))
    counted.add(logits, labels)
    return counted.shares


@dataclass
class TopKErrors:
    """Errors counted batch by batch, as whole numbers: the sum over batches is exactly that of one large batch.

    images: how many were counted; wrong: how many of them were wrong, for each k. Counts of several processes are
    added with +.

    >>> counted = TopKErrors()
    >>> for images, labels in batches:
    ...     counted.add(net(images), labels)
    >>> counted.shares[5]
    """

    ks: tuple[int, ...] = (1, 5)
    images: int = 0
    wrong: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ks = tuple(self.ks)
        if not self.ks or any(isinstance(k, bool) or not isinstance(k, int) or k < 1 for k in self.ks):
            raise SettingError(f"ks={self.ks!r}: give one or more whole numbers, each at least 1")
        self.wrong = {k: self.wrong.get(k, 0) for k in self.ks}

    def add(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Count one batch: logits (N, classes), labels (N,); raises as `topk_errors`, and then counts nothing of it."""
        self._check(logits, labels)
        if not len(labels):
            return
        logits, labels = logits.detach(), labels.to(logits.device, torch.int64)
        classes = logits.shape[1]
        inside = (labels >= 0) & (labels < classes)
        own = logits.gather(1, labels.clamp(0, classes - 1)[:, None])
        rivals = (logits >= own).sum(1) - 1  # of the other classes; a tie is one
        counts = [logits.isnan().any(1).sum(), (~inside).sum(), *((rivals >= k).sum() for k in self.ks)]
        not_numbers, outside, *wrong = torch.stack(counts).tolist()  # all at once: one wait for a GPU a batch
        if outside:
            raise SettingError(
                f"{outside} of {len(labels)} labels are not in 0 to {classes - 1}, the classes there are"
            )
        if not_numbers:
            raise TrainingError(f"{not_numbers} of {len(labels)} images have logits that are not numbers (NaN)")
        self.images += len(labels)
        for k, count in zip(self.ks, wrong, strict=True):
            self.wrong[k] += count

    def _check(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise SettingError(
                f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)}: wanted (N, classes) and (N,)"
            )
        if not logits.is_floating_point():
            raise SettingError(f"logits of type {logits.dtype}: wanted floating-point scores")
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise SettingError(f"labels of type {labels.dtype}: wanted whole numbers")
        if max(self.ks) > logits.shape[1]:
            raise SettingError(f"k = {max(self.ks)} is more than the {logits.shape[1]} classes there are")

    @property
    def shares(self) -> dict[int, float]:
        """{k: the share of images that are wrong}. SettingError if none was counted."""
        if not self.images:
            raise SettingError("no image was counted, so there is no share of wrong ones")
        return {k: count / self.images for k, count in self.wrong.items()}

    def __add__(self, other: TopKErrors) -> TopKErrors:
        if set(other.ks) != set(self.ks):
            raise SettingError(f"counts of ks {self.ks} and {other.ks} cannot be added")
        return TopKErrors(self.ks, self.images + other.images, {k: self.wrong[k] + other.wrong[k] for k in self.ks})


@dataclass(frozen=True)
class Guessing:
    """What a network scores that gives every image the same answer, and so has learned nothing from the pixels.

    loss: in nats, the entropy of the training labels: of n classes with equally many images, ln n. error: a share, of
    the commonest label among the `images` that are judged: 1 - 1/n. Taught in "Full training".
    """

    loss: float
    error: float
    images: int

    @classmethod
    def of(cls, trained: torch.Tensor, judged: torch.Tensor) -> Guessing:
        """trained, judged: the labels of the training images and of those judged, int64 (N,)."""
        shares = torch.bincount(trained).double() / len(trained)
        commonest = int(torch.bincount(judged).max()) / len(judged)
        return cls(float(torch.special.entr(shares).sum()), 1 - commonest, len(judged))

    def is_error(self, error: float) -> bool:
        """Whether a share of wrong answers is no better than that, by three deviations of what so many images give."""
        return error > self.error - 3 * math.sqrt(self.error * (1 - self.error) / self.images)

    def is_pass(self, loss: float, error: float) -> bool:
        """Whether a pass with this mean training loss and this error has learned nothing: the loss must not be lower by
        one per cent either."""
        return loss > 0.99 * self.loss and self.is_error(error)
