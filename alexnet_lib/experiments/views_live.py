"""What "Crops, reflections and ten views" runs live: a net trained with and without, and what is read off its answers.

Claims C12, C13 and C32 in small (section 4.1); at full size: `augmentation_cifar10`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from ..augment import PixelScale, centre
from ..datasets import ImageSet
from ..devices import keep_freed_memory
from ..small_nets import SmallNetConfig
from ..train import TrainSettings, error_rate, fit
from ..view_measures import ViewError, view_error, wrong
from ..views import view_list
from .comparison_results import LiveVariant

ALL = "thirty-six"  # the set of views that holds every other fixed one
RECIPE = TrainSettings(rate=0.01, batch_size=32, passes=24, points=1)


def train_both(
    train: ImageSet, test: ImageSet, *, size: int = 24, recipe: TrainSettings = RECIPE, seed: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, LiveVariant]:  # fmt: skip
    """The same small net twice: from random crops and reflections of `size`, and from the centres as they are.

    Errors are those of centre crops. The networks end on the CPU.
    """
    keep_freed_memory()
    scale = PixelScale.fit(train.images, "unit")
    config = SmallNetConfig(start="today", pixels="unit", image_size=size, classes=len(train.classes))
    runs = {}
    for name, crop in {"crops and reflections": size, "neither": None}.items():
        net = config.build(seed=seed)
        images = train.images if crop else centre(train.images, size, size)
        settings = replace(recipe, crop=crop)
        result = fit(
            net, images, train.labels, settings, scale, seed=seed, device=device, label=name, progress=True
        )  # fmt: skip
        errors = [error_rate(net, centre(x.images, size, size), x.labels, scale, device) for x in (train, test)]
        curve = [point["passes"] for point in result.curve], [point["error"] for point in result.curve]
        runs[name] = LiveVariant(net.cpu().eval(), scale, *errors, result.seconds, curve, result.curve)
    return runs


def part_of(logits: torch.Tensor, side: int, size: int, which: str) -> torch.Tensor:
    """Of the answers (N, 36, classes) to all fixed views, those to another set of them, in its order."""
    everything = view_list(side, side, size, ALL)
    return logits[:, [everything.index(view) for view in view_list(side, side, size, which)]]


def errors_by_set(
    logits: torch.Tensor, labels: torch.Tensor, side: int, size: int, sets: Iterable[str],
    against: torch.Tensor | None = None,
) -> dict[str, ViewError]:  # fmt: skip
    """{set: its error, and its gain over one view of the centre}, from the answers to all fixed views (N, 36, classes).

    against: another thing to count gains from: for each image, from 0 to 1, how often it is wrong.
    """
    first = wrong(part_of(logits, side, size, "centre"), labels) if against is None else against
    parts = {which: part_of(logits, side, size, which) for which in sets}
    return {which: view_error(part.shape[1], wrong(part, labels), first) for which, part in parts.items()}


def wrong_alone(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """By what share of its V views, each alone, an image is put into a wrong class: (N, V, classes) to (N,)."""
    return (logits.argmax(2) != labels[:, None]).double().mean(1)


def batch_jumps(losses: torch.Tensor, shared: int, draws: int = 2000, seed: int = 0) -> float:
    """How much the mean loss of a batch deviates from draw to draw, if `shared` images after another share a view.

    losses: (N, V), of each image under each view; N must be a multiple of `shared`.
    """
    count, views = losses.shape
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(views, (draws, count // shared), generator=generator).repeat_interleave(shared, 1)
    return float(losses[torch.arange(count), drawn].mean(1).std())


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
