"""The small network that several chapters train while they run: the paper's, on a few classes of small photographs.

Used by "First-layer kernels", "Predictions" and "Retrieval and binary codes"; "Full training" shows what happens in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .augment import PixelScale
from .devices import keep_freed_memory
from .experiments.imagenet_study import START_2012
from .few_classes import FewClasses, few_classes
from .imagenet_reader import PreparedImages
from .model import AlexNet
from .progress import progress
from .scratch import Scratch
from .training.command import settings_of
from .training.engine import Cadence, Training
from .training.evaluation import count_errors
from .training.folder import RunFolder
from .training.recipes import named

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
    folder = RunFolder(place.path / "run", settings_of(recipe, train, seed))
    training = Training(recipe, train, val, seed, device, folder, cadence=Cadence(log=10))
    began = training.net.conv1.weight.detach().cpu().clone()
    with progress(total=training.steps * recipe.passes, desc="training") as bar, folder.held():
        training.report = lambda event: bar.update(event["step"] - bar.n)
        training.run()
    return LiveNet(training.net.eval(), training.scale, few, train, val, began, place)
