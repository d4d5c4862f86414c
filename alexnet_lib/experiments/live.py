"""What chapters train while they are read: comparisons, races, a head, the paper's network on few classes.

Each returns what its figures show. "Full training" shows what happens inside.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from ..augment import PixelScale
from ..data.few_classes import FewClasses, few_classes
from ..data.image_set import ImageSet
from ..data.imagenet.reader import PreparedImages
from ..network.alexnet import AlexNet
from ..network.dropout import Dropout, seed_dropout
from ..network.nonlinearities import NONLINEARITIES
from ..network.small.four_layers import SmallNet, SmallNetConfig
from ..system.devices import keep_freed_memory
from ..system.progress import progress
from ..system.scratch import Scratch
from ..training.evaluation import count_errors
from ..training.fit import TrainResult, TrainSettings, fit, train_step
from ..training.loop import Cadence, Training
from ..training.optimizer import PaperSGD
from ..training.recipes import START_2012, named
from ..training.run_folder import RunFolder, run_identity
from .running.comparison import NetConfig, Terms, centre_error, groups_of, settings_of, training_images
from .running.pixels import Scale, fitted_scale, with_noise
from .running.watching import watching


@dataclass(frozen=True)
class LiveVariant:
    """A variant trained in a chapter: its network, the pixels it expects, errors as shares, seconds of training.

    curve: passes, and the training error of each stretch, several a pass; points: all that is known at each of them.
    """

    net: nn.Module
    scale: Scale
    training_error: float
    test_error: float
    seconds: float
    curve: tuple[list[float], list[float]]
    points: list[dict[str, float]] = field(default_factory=list)


def live_comparison(
    train: ImageSet,
    test: ImageSet,
    variants: Mapping[str, NetConfig],
    *,
    rates: Mapping[str, float] | float = 0.003,
    seeds: Iterable[int] = (0,),
    passes: float = 1.5,
    batch_size: int = 128,
    crop: bool = True,
    terms: Mapping[str, Terms] | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, list[LiveVariant]]:
    """Train each variant from each seed, all alike but for their rates: {variant: [a run a seed]}.

    train: the images to use, all of them; `crop`: random crops and reflections, else the centres; `terms`: those of
    some variants instead, as to augmentation, decay, pixels and what is watched. The errors are those of centre crops,
    in evaluation mode, of `train` and `test`.
    """
    keep_freed_memory()
    runs: dict[str, list[LiveVariant]] = {name: [] for name in variants}
    for name, config in variants.items():
        own = (terms or {}).get(name, Terms(augmented=crop))
        rate = rates if isinstance(rates, float) else rates[name]
        points = 1 if own.watched else 4
        settings = settings_of(own, config, rate=rate, passes=passes, points=points, batch_size=batch_size)
        images = training_images(train, own, config.image_size).images
        scale = fitted_scale(own.pixels, train.images)
        for seed in seeds:
            net = config.build(seed=seed)
            look = watching(net, train, test, own.watched, scale, str(device)) if own.watched else None
            result = fit(
                net,
                images,
                train.labels,
                settings,
                with_noise(own.noise, scale, train.images, seed),
                seed=seed,
                device=device,
                label=f"{name}, seed {seed}",
                progress=True,
                parameters=groups_of(net, settings),
                on_point=look,
            )
            errors = [centre_error(net, some, scale, str(device)) for some in (train, test)]
            curve = [point["passes"] for point in result.curve], [point["error"] for point in result.curve]
            runs[name].append(LiveVariant(net, scale, *errors, result.seconds, curve, result.curve))
    return runs


def small_head(
    inputs: torch.Tensor,
    labels: torch.Tensor,
    hidden: tuple[int, ...] = (7, 7),
    *,
    rate: float = 0.003,
    steps: int = 6000,
    seed: int = 0,
) -> nn.Sequential:
    """Two hidden layers with dropout and a last one, trained on what a network's last pooling layer gives, (N, F).

    So few units that all thinned networks can be run. He's starting weights, the paper's update rule, batches of 128.
    """
    generator, widths = torch.Generator().manual_seed(seed), (inputs.shape[1], *hidden, int(labels.max()) + 1)
    full = [nn.Linear(*pair) for pair in itertools.pairwise(widths)]
    for layer in full:
        draw = torch.randn(layer.weight.shape, generator=generator)
        layer.weight.data.copy_(draw * (2 / layer.in_features) ** 0.5)
        nn.init.zeros_(layer.bias)
    head = nn.Sequential(full[0], nn.ReLU(), Dropout(), full[1], nn.ReLU(), Dropout(), full[2])
    seed_dropout(head, seed)
    optimiser = PaperSGD(head.parameters(), rate, weight_decay=0.0005)
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (128,), generator=generator)
        train_step(head, optimiser, inputs[chosen], labels[chosen])
    seed_dropout(head, None)
    return head


@dataclass(frozen=True)
class LiveRun:
    """A network trained in a chapter: the net, the pixel scale it expects, and how training went."""

    net: SmallNet
    scale: PixelScale
    result: TrainResult

    @property
    def curve(self) -> tuple[list[float], list[float]]:
        """Passes, and the training error of the last whole pass at each."""
        points = self.result.curve
        return [point["passes"] for point in points], [point["pass_error"] for point in points]

    @property
    def error(self) -> float:
        """Training error over the last whole pass."""
        return self.result.curve[-1]["pass_error"]


def live_race(
    train: ImageSet,
    rates: dict[str, float],
    *,
    seeds: Iterable[int] = (0,),
    passes: float = 5,
    start: str = "2012",
    pixels: str = "0-255",
    device: torch.device | str = "cpu",
) -> dict[str, list[LiveRun]]:
    """Train one small network for each nonlinearity and seed, as the chapter does: {nonlinearity: [a run a seed]}.

    train: the images to use, all of them; rates: {nonlinearity: learning rate}.
    """
    keep_freed_memory()
    scale = PixelScale.fit(train.images, pixels)
    deviation = PixelScale.fit(train.images, "unit").deviation
    settings = {name: TrainSettings(rate=rate, passes=passes) for name, rate in rates.items()}
    runs: dict[str, list[LiveRun]] = {name: [] for name in rates}
    for name in rates:
        for seed in seeds:
            config = SmallNetConfig("80sec", name, start, pixels, classes=len(train.classes), deviation=deviation)
            net, label = SmallNet(config, seed=seed), f"{NONLINEARITIES[name].label}, seed {seed}"
            result = fit(
                net,
                train.images,
                train.labels,
                settings[name],
                scale,
                seed=seed,
                device=device,
                label=label,
                progress=True,
            )
            runs[name].append(LiveRun(net, scale, result))
    return runs


RECIPE = ("net.input_size=64", "net.hidden=1024,1024", "batch=32", START_2012, "schedule=by hand")


@dataclass(frozen=True)
class LiveNet:
    """A network that has just been trained, in evaluation mode; its pixels' scale; what it was trained on; its first
    layer's weights before, (96, 3, 11, 11) on the CPU. place: keeps the prepared images as long as this lives."""

    net: AlexNet
    scale: PixelScale
    few: FewClasses
    train: PreparedImages
    val: PreparedImages
    began: torch.Tensor
    place: Scratch

    @property
    def error(self) -> float:
        """The top-1 error on the validation images' centres."""
        device = next(self.net.parameters()).device
        return count_errors([self.net], self.val, [self.scale], 64, device=device).shares[1]


def train_live(
    device: torch.device, *, classes: int = 5, per_class: int = 400, passes: int = 10, seed: int = 0
) -> LiveNet:
    """Train the paper's network with hidden layers of 1,024 on 64-pixel crops, about a minute on two cores; the rate is
    divided by 10 once, two passes before the end. Shows a bar."""
    keep_freed_memory()
    place = Scratch()
    few = few_classes(place.path / "prepared", classes=classes, per_class=per_class)
    train, val = (PreparedImages(few.folder, split) for split in ("train", "val"))
    recipe = named("paper", (*RECIPE, f"passes={passes}", f"drops={max(1, passes - 2)}"))
    folder = RunFolder(place.path / "run", run_identity(recipe, train, seed))
    training = Training(recipe, train, val, seed, device, folder, cadence=Cadence(log=10))
    began = training.net.conv1.weight.detach().cpu().clone()
    with progress(total=training.steps * recipe.passes, desc="training") as bar, folder.held():
        training.report = lambda event: bar.update(event["step"] - bar.n)
        training.run()
    return LiveNet(training.net.eval(), training.scale, few, train, val, began, place)
