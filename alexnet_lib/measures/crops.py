"""How alike the crops of an image are, how many examples they amount to, and what further views of a test image buy.

Images are uint8 (N, 3, H, W) unless said. Section 4.1 of the paper (claims C11 to C13, C32). Taught in "Crops,
reflections and ten views".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..augment import PixelScale, centre
from ..augment.view_sets import view_list, views
from ..errors import SettingError

Answer = Callable[[torch.Tensor], torch.Tensor]
OVER = ("softmax", "logits")
VIEW_BATCH = 1_000
IMAGES_AT_ONCE = 100  # all views of these are in memory, as bytes


def offsets(side: int, size: int) -> int:
    """How many places a window of `size` has along `side` pixels. SettingError if it does not fit."""
    if not 1 <= size <= side:
        raise SettingError(f"a crop of {size} pixels does not fit into {side}")
    return side - size + 1


def crops_of(image: torch.Tensor, size: int, step: int = 1, reflect: bool = True) -> torch.Tensor:
    """All crops of one image (3, H, W) at every `step`-th offset, then their mirror images: (V, 3, size, size).

    Row by row, from the upper left. SettingError if a crop does not fit.
    """
    offsets(min(image.shape[1:]), size)
    windows = image.unfold(1, size, step).unfold(2, size, step)  # (3, rows, columns, S, S), nothing copied
    crops = windows.permute(1, 2, 0, 3, 4).flatten(0, 1)
    return torch.cat([crops, crops.flip(3)]) if reflect else crops


def likeness(one: torch.Tensor, other: torch.Tensor) -> float:
    """How alike the n-th of `one` and the n-th of `other` are, beyond what all have in common: both (N, ...).

    1 if each pair is equal, about 0 if a pair is as unlike as two different images. The correlation over all N pairs
    and all numbers, of each set around its own mean over N, number by number. SettingError: sets of different shapes,
    or fewer than two pairs.
    """
    if one.shape != other.shape or len(one) < 2:
        raise SettingError(f"likeness needs two sets of one shape, 2 or more: {tuple(one.shape)}, {tuple(other.shape)}")
    a, b = (part.double().flatten(1) for part in (one, other))
    a, b = a - a.mean(0), b - b.mean(0)
    return float((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt())


def likeness_by_shift(
    images: torch.Tensor, size: int, shifts: Sequence[int], answer: Answer | None = None
) -> list[float]:
    """For each shift, in pixels, how alike two crops are that lie so far apart: the mean of apart across and down.

    Both lie around the middle of the image. `answer` turns crops (N, 3, size, size) into what is compared, such as a
    network's outputs; without it, the pixels are. SettingError for a shift that leaves the image.
    """
    answer = answer or (lambda crops: crops)
    found = []
    for shift in shifts:
        pairs = []
        for down, across in ((0, shift), (shift, 0)):
            first, second = (_window(images, size, k * down, k * across, down, across) for k in (0, 1))
            pairs.append(likeness(answer(first), answer(second)))
        found.append(sum(pairs) / 2)
    return found


def _window(images: torch.Tensor, size: int, top: int, left: int, down: int, across: int) -> torch.Tensor:
    """The crop at (top, left) of the central region that holds two crops `down` and `across` apart."""
    rooms = [side - size - apart for side, apart in zip(images.shape[2:], (down, across), strict=True)]
    if min(rooms) < 0:
        raise SettingError(f"two crops of {size}, {max(down, across)} apart, do not fit into {tuple(images.shape[2:])}")
    top, left = top + rooms[0] // 2, left + rooms[1] // 2
    return images[..., top : top + size, left : left + size]


def cosines(vectors: torch.Tensor) -> torch.Tensor:
    """The Gram matrix of V vectors (V, ...), each brought to length 1: (V, V), in float64."""
    flat = vectors.double().flatten(1)
    unit = flat / flat.norm(dim=1, keepdim=True)
    return unit @ unit.T


def effective_number(vectors: torch.Tensor) -> float:
    """How many of V examples (V, ...) are independent in effect: 1 if all are alike, V if none has to do with another.

    The participation ratio of the Gram matrix's eigenvalues, (their sum)^2 / (sum of their squares), each example at
    length 1: V^2 / the sum of all squared cosines. Take from the examples what all images have in common beforehand.
    """
    return len(vectors) ** 2 / float(cosines(vectors).square().sum())


@torch.no_grad()
def view_logits(
    net: nn.Module, cut: torch.Tensor, scale: PixelScale, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """The answers of a network, in evaluation mode, to each view: uint8 (N, V, 3, S, S) to (N, V, classes)."""
    training = net.training
    net.to(device).eval()
    scale = scale.to(torch.device(device))
    flat = [net(scale(some.to(device))).cpu() for some in cut.flatten(0, 1).split(VIEW_BATCH)]
    net.train(training)
    return torch.cat(flat).unflatten(0, cut.shape[:2])


def averaged(logits: torch.Tensor, over: str = "softmax") -> torch.Tensor:
    """One answer from the answers to V views, (..., V, classes) to probabilities (..., classes).

    over: "softmax", the mean of the probabilities (the paper, section 4.1); "logits", the softmax of the mean logit,
    which is their geometric mean, normalised. SettingError for another word.
    """
    if over not in OVER:
        raise SettingError(f"over={over!r} is not known; use one of {', '.join(OVER)}")
    if over == "logits":
        return logits.mean(-2).softmax(-1)
    return logits.softmax(-1).mean(-2)


def wrong(logits: torch.Tensor, labels: torch.Tensor, over: str = "softmax") -> torch.Tensor:
    """Whether each image is put into a wrong class by its averaged views: (N, V, classes), (N,) to bool (N,)."""
    return averaged(logits, over).argmax(-1) != labels


def views_error(
    net: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    size: int,
    which: str,
    scale: PixelScale,
    device: torch.device | str = "cpu",
) -> float:
    """The share of uint8 images (N, 3, H, W) put into a wrong class by the mean softmax over a set of views.

    which: a name that `view_sets.view_list` knows; size: the views' side.
    """
    missed = [
        wrong(view_logits(net, views(some, size, which), scale, device), wanted)
        for some, wanted in zip(images.split(IMAGES_AT_ONCE), labels.split(IMAGES_AT_ONCE), strict=True)
    ]
    return float(torch.cat(missed).double().mean())


@dataclass(frozen=True)
class ViewError:
    """The error with some views, and how much lower it is than with the first set: shares, over the same images.

    standard_error: of `gain`, over images: those that both get right or wrong alike count nothing.
    """

    views: int
    error: float
    gain: float
    standard_error: float

    def __str__(self) -> str:
        """In points: "+1.30 ± 0.42"."""
        return f"{100 * self.gain:+.2f} ± {100 * self.standard_error:.2f}"


def view_error(views: int, wrongs: torch.Tensor, first: torch.Tensor) -> ViewError:
    """From what share of draws each image (N,) is wrong, with these views and with the first set."""
    gains = first.double() - wrongs.double()
    return ViewError(
        views, float(wrongs.double().mean()), float(gains.mean()), float(gains.std() / math.sqrt(len(gains)))
    )


def error_by_number(
    logits: torch.Tensor,
    labels: torch.Tensor,
    counts: Sequence[int],
    *,
    draws: int = 20,
    seed: int = 0,
    over: str = "softmax",
) -> list[ViewError]:
    """The error when k of the V views (N, V, classes), drawn anew `draws` times, are averaged, for each k in `counts`.

    The gains are over the first of `counts`. All images share a draw. SettingError for a count outside 1 to V.
    """
    total, generator = logits.shape[1], torch.Generator().manual_seed(seed)
    if not counts or min(counts) < 1 or max(counts) > total:
        raise SettingError(f"counts {list(counts)}: 1 to {total} of the {total} views can be averaged")
    orders = [torch.randperm(total, generator=generator) for _ in range(draws)]
    missed = [
        torch.stack([wrong(logits[:, order[:count]], labels, over) for order in orders]).double().mean(0)
        for count in counts
    ]
    return [view_error(count, some, missed[0]) for count, some in zip(counts, missed, strict=True)]


ALL = "thirty-six"  # the set of views that holds every other fixed one


def part_of(logits: torch.Tensor, side: int, size: int, which: str) -> torch.Tensor:
    """Of the answers (N, 36, classes) to all fixed views, those to another set of them, in its order."""
    everything = view_list(side, side, size, ALL)
    return logits[:, [everything.index(view) for view in view_list(side, side, size, which)]]


def errors_by_set(
    logits: torch.Tensor,
    labels: torch.Tensor,
    side: int,
    size: int,
    sets: Iterable[str],
    against: torch.Tensor | None = None,
) -> dict[str, ViewError]:
    """{set: its error, and its gain over one view of the centre}, from the answers to all fixed views (N, 36, classes).

    against: another thing to count gains from: for each image, from 0 to 1, how often it is wrong.
    """
    first = wrong(part_of(logits, side, size, "centre"), labels) if against is None else against
    parts = {which: part_of(logits, side, size, which) for which in sets}
    return {which: view_error(part.shape[1], wrong(part, labels), first) for which, part in parts.items()}


@torch.no_grad()
def mean_at_corners(
    net: nn.Module, images: torch.Tensor, mean: torch.Tensor, deviation: float, size: int
) -> tuple[float, float]:
    """Subtracting the mean image at a corner crop's own place instead of its centre: what differs, over four corners.

    Returns how far the two means are apart (rms, grey levels), and what share of a net's answers changes.
    """
    apart, changed = [], []
    for top, left, *_ in view_list(*images.shape[2:], size, "five")[:4]:
        means = mean[:, top : top + size, left : left + size], centre(mean, size, size)
        apart.append(float((means[0] - means[1]).square().mean().sqrt()))
        crops = images[..., top : top + size, left : left + size]
        own, middle = (net(PixelScale(one, deviation)(crops)).argmax(1) for one in means)
        changed.append(float((own != middle).double().mean()))
    return sum(apart) / 4, sum(changed) / 4
