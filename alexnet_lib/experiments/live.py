"""What chapters train while they are read: comparisons, the paper's network on few classes.

Each returns what its figures show. "Full training" shows what happens inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from ..augment import PixelScale
from ..data.few_classes import FewClasses, few_classes
from ..data.image_set import ImageSet
from ..data.imagenet.reader import PreparedImages
from ..network.alexnet import AlexNet
from ..system.progress import progress
from ..system.scratch import Scratch
from ..training.evaluation import count_errors
from ..training.fit import fit
from ..training.loop import Cadence, Training
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
