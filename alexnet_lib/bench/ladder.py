"""The speed ladder: training from the naive loop to the fastest there is, one thing changed a rung.

A rung is a step (how a batch changes the weights) and a feed (where batches come from). Every rung computes the same
update, which `check` tries on one batch; only digits and speed may differ. Taught in "Full training".

The extra rungs are all there on a GPU. On a CPU bfloat16 is, which without instructions of its own is slower there;
torch.compile needs a compiler and its time before it begins, and is measured where asked for; of cuDNN and CUDA graphs
there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from ..data.imagenet.reader import PreparedImages
from ..errors import AlexNetLibError, SettingError
from ..network.alexnet import AlexNet
from ..network.lrn import LocalResponseNorm
from ..system.devices import autocast
from ..training.feed import Batch, Feed
from ..training.optimizer import parameter_groups
from ..training.recipes import Recipe
from ..training.seeds import Order, Share
from .loaders import held_place, their_loader
from .model import FrameworkNorm

NAIVE = "the naive loop: image files, nn.LocalResponseNorm, SGD weight by weight"
EXTRAS: dict[str, tuple[str, dict[str, object]]] = {
    "cudnn": ("cuDNN tries its algorithms", {"tuned": True}),
    "bfloat16": ("autocast to bfloat16", {"dtype": "bfloat16"}),
    "compiled": ("torch.compile", {"compiled": "default"}),
    "graphs": ("CUDA graphs (torch.compile's reduce-overhead)", {"compiled": "reduce-overhead"}),
}
ON_GPUS = ("cudnn", "graphs")
WATCHED = ("conv1.weight", "fc8.weight")  # moved by all of the backward pass, and by the least of it
# Relative, of a loss and of how far weights move: what may come of rounding. At the paper's starting weights so little
# of the gradient reaches conv1 that orders of summing change it by a hundredth, and bfloat16 by a quarter; TF32 is
# between the two.
TOLERANCE = {"float32": (1e-3, 0.1), "bfloat16": (0.01, 0.5)}


@dataclass(frozen=True)
class Step:
    """How a batch changes the weights. tuned: cuDNN measures its algorithms; compiled: "", or torch.compile's mode."""

    norm: str = "framework"
    channels_last: bool = False
    fused: bool = False
    tuned: bool = False
    dtype: str = "float32"
    compiled: str = ""


@dataclass(frozen=True)
class Rung:
    """One way to train. feed: "files" (decoded and transformed image by image), "mapped" or "held" (`Feed`'s)."""

    name: str
    step: Step = Step()
    feed: str = "files"


def ladder(extras: Collection[str] = (), *, normed: bool = True, held: bool = True) -> list[Rung]:
    """The rungs, each the one before with one thing changed; `extras`, names in EXTRAS, come last.

    normed=False: the recipe's network has no response normalisation, so there is none to replace. held=False: the
    images do not fit into memory, so they stay in their files.
    """
    rungs = [Rung(NAIVE)]

    def then(name: str, feed: str | None = None, **change: object) -> None:
        last = rungs[-1]
        rungs.append(Rung(f"+ {name}", replace(last.step, **change), feed or last.feed))

    if normed:
        then("our response normalisation", norm="ours")
    then("channels last in memory", channels_last=True)
    then("prepared bytes, mapped; whole batches augmented", "mapped")
    if held:
        then("all bytes held beforehand", "held")
    then("the update in one pass over the weights", fused=True)
    for name, (added, change) in EXTRAS.items():
        if name in extras:
            then(added, **change)
    return rungs


def extras_of(text: str | None, device: torch.device) -> tuple[str, ...]:
    """Which extra rungs "a,b" asks for ("": none); without, all on a GPU and bfloat16 on a CPU. SettingError: an
    unknown one."""
    if text is None:
        return tuple(EXTRAS) if device.type == "cuda" else ("bfloat16",)
    asked = tuple(name.strip() for name in text.split(",") if name.strip())
    if wrong := [name for name in asked if name not in EXTRAS]:
        raise SettingError(f"--extra {wrong[0]}: there are {', '.join(EXTRAS)}")
    if device.type == "cpu" and (wrong := [name for name in asked if name in ON_GPUS]):
        raise SettingError(f"--extra {wrong[0]} is for GPUs, and this is measured on a CPU")
    return asked


class Trainer:
    """A network and its optimiser, that train as a Step says. Two of the same recipe begin with the same weights."""

    def __init__(self, step: Step, recipe: Recipe, classes: int, device: torch.device):
        self.step, self.recipe, self.device = step, recipe, device
        self.order = torch.channels_last if step.channels_last else torch.contiguous_format
        net = AlexNet(recipe.net, classes, seed=0)
        if step.norm == "framework":
            use_framework_norm(net)
        self.net = net.to(device, memory_format=self.order)
        self.model = torch.compile(self.net, mode=step.compiled) if step.compiled else self.net
        self.optimizer = recipe.make_optimizer(self.net) if step.fused else plain_sgd(self.net, recipe)

    def __call__(self, batch: Batch) -> torch.Tensor:
        """One update on a batch that is on the device; its loss from before it."""
        torch.backends.cudnn.benchmark = self.step.tuned
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.device, self.step.dtype):
            logits = self.model(batch.pixels.contiguous(memory_format=self.order))
        loss = F.cross_entropy(logits.float(), batch.labels, label_smoothing=self.recipe.smoothing)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def use_framework_norm(net: AlexNet) -> None:
    """Put the framework's response normalisation in the place of ours; the formula stays."""
    for name, layer in list(net.named_children()):
        if isinstance(layer, LocalResponseNorm):
            setattr(net, name, FrameworkNorm(layer))


def plain_sgd(net: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """torch's SGD with one operation a weight; at a constant rate it makes the paper's update."""
    groups = parameter_groups(net, recipe.groups, recipe.rate, recipe.weight_decay, recipe.momentum)
    return torch.optim.SGD(groups, recipe.rate, recipe.momentum, foreach=False, fused=False)


@dataclass(frozen=True)
class Check:
    """What a few updates gave: their losses, and how far off the weights moved, as a share of the first's movement."""

    losses: list[float]
    apart: float


def check(trainers: Mapping[str, Trainer], batch: Batch, steps: int = 3) -> dict[str, Check]:
    """A few updates of each on that batch, by name, without dropout's chance; the first is what the others must equal.

    The trainers go on from there. AlexNetLibError names one whose losses or weights differ by more than TOLERANCE.
    """
    found: dict[str, Check] = {}
    right: dict[str, torch.Tensor] = {}
    for name, trainer in trainers.items():
        before = {layer: trainer.net.get_parameter(layer).detach().clone() for layer in WATCHED}
        trainer.net.eval()
        losses = [float(trainer(batch)) for _ in range(steps)]
        trainer.net.train()
        moved = {layer: trainer.net.get_parameter(layer).detach() - before[layer] for layer in WATCHED}
        right = right or moved
        apart = max(float((moved[layer] - right[layer]).norm() / right[layer].norm()) for layer in WATCHED)
        found[name] = Check(losses, apart)
        first, (of_losses, of_weights) = next(iter(found.values())).losses, TOLERANCE[trainer.step.dtype]
        differ = max(abs(loss - other) / abs(other) for loss, other in zip(losses, first, strict=True))
        if not (differ <= of_losses and apart <= of_weights):
            raise AlexNetLibError(
                f"{name!r} does not compute the same: losses {losses}, not {first}; weights off by "
                f"{apart:.2g} of their movement. Its speed cannot be compared"
            )
    return found


class Batches:
    """Makes as many batches as a turn takes, and none that it does not; other images in each turn."""

    def __init__(self, images: PreparedImages, recipe: Recipe, count: int, device: torch.device):
        self.images, self.recipe, self.count, self.device = images, recipe, count, device
        self.passes, self.feeds = 0, {}

    def of_files(self, loader: DataLoader) -> Iterator[Batch]:
        """One pass of a loader that has that many batches, brought to the device."""
        for pixels, labels in loader:
            yield Batch(pixels.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True))

    def of_feed(self, feed: Feed) -> Iterator[Batch]:
        """The ends of as many passes as it takes: a pass then stops by itself, with nothing made in vain."""
        scale = self.recipe.make_scale(self.images).to(self.device)
        augment = self.recipe.make_augmentation(scale, self.images.color_pca, 1)
        wanted, steps = self.count, feed.order.steps
        while wanted:
            yield from feed.batches(self.passes, augment, max(0, steps - wanted))
            wanted -= min(steps, wanted)
            self.passes += 1

    def feed(self, place: str) -> Feed:
        """The one feed that holds the images there."""
        if place not in self.feeds:
            order = Order(len(self.images), self.recipe.batch, 0)
            self.feeds[place] = Feed(self.images, order, Share(), self.device, place)
        return self.feeds[place]

    def at_hand(self) -> Batch:
        """One batch, for a step that is not to wait for others."""
        (batch,) = (few := Batches(self.images, self.recipe, 1, self.device)).of_feed(few.feed("mapped"))
        return batch

    def source(self, feed: str, source: Path | None, workers: int) -> Callable[[], Iterator[Batch]]:
        """What makes a turn's batches for a rung's feed."""
        if feed == "files":
            loader = their_loader(source, self.images, self.recipe, workers, self.count)
            return lambda: self.of_files(loader)
        place = self.feed("mapped" if feed == "mapped" else held_place(self.images, self.device))
        return lambda: self.of_feed(place)
