"""What a network hears of its images before any training: signals forward, gradients back, the loss at the start.

Taught in "The whole architecture" (sections 3.5, 4.2, 5): the loss that stays at ln(1000) is a network whose outputs
hardly depend on the image. Images are float (N, 3, S, S), on the scale the network is to be trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .dropout import Dropout, seed_dropout
from .errors import SettingError
from .inspect import rms
from .model import AlexNet


@dataclass(frozen=True)
class LayerSignal:
    """What one layer puts out before its nonlinearity, over all units, places and images of a batch.

    spread is the standard deviation of all of it; from_image that part of it which one unit shows from image to image
    (root mean square over the units of their standard deviations). The rest of the spread is between units: it is
    there whatever the image. The variances add up: spread^2 = from_image^2 + (between units)^2.
    """

    name: str
    spread: float
    from_image: float

    @property
    def share(self) -> float:
        """from_image over spread, 0 to 1: a ratio of standard deviations; its square is the share of the variance."""
        return self.from_image / self.spread if self.spread else 0.0


@dataclass(frozen=True)
class FirstStep:
    """The first training step, before its update: the mean loss in nats, the gradient of each layer's weights (rms)."""

    loss: float
    gradients: dict[str, float]


def signal_of(name: str, outputs: torch.Tensor) -> LayerSignal:
    """The LayerSignal of outputs (N, …) for N images; SettingError for fewer than two, which cannot differ."""
    if len(outputs) < 2:
        raise SettingError(f"{len(outputs)} image: what depends on the image shows with two or more")
    # Shifting by one image's outputs first loses no digits where the images hardly differ.
    moved = (outputs - outputs[:1]).double()
    from_image = moved.var(0, correction=0).mean().sqrt()
    return LayerSignal(name, float(outputs.double().std(correction=0)), float(from_image))


@torch.no_grad()
def forward_signals(net: AlexNet, images: torch.Tensor) -> list[LayerSignal]:
    """The signal of every layer with weights, without dropout's chance: as in evaluation, whatever mode `net` is in.

    SettingError: images that do not fit the network, or fewer than two.
    """
    net.check_images(images)
    wanted, signals = net.weighted_layers(), []
    x = images
    for name, layer in net.named_children():
        x = _without_chance(layer, x)
        if name in wanted:
            signals.append(signal_of(name, x))
    return signals


def _without_chance(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, Dropout):
        return x if layer.kind == "inverted" else x * (1 - layer.rate)
    return layer(x)


def first_step(net: AlexNet, images: torch.Tensor, labels: torch.Tensor, *, seed: int = 0) -> FirstStep:
    """The loss of the first training step and its gradients, dropout's masks drawn from `seed`.

    labels: (N,) in 0 … num_classes - 1. The network's mode is put back, its gradients are cleared, no weight changes.
    """
    mode = net.training
    net.train()
    seed_dropout(net, seed)
    loss = F.cross_entropy(net(images), labels)
    layers = net.weighted_layers()
    found = torch.autograd.grad(loss, [layer.weight for layer in layers.values()])
    seed_dropout(net, None)
    net.train(mode)
    gradients = {name: rms(gradient) for name, gradient in zip(layers, found, strict=True)}
    return FirstStep(float(loss.detach()), gradients)


@torch.no_grad()
def inputs_in_training(net: AlexNet, images: torch.Tensor, *, seed: int = 0) -> dict[str, float]:
    """The rms of what enters each layer with weights while training, dropout's masks drawn from `seed`."""
    mode = net.training
    net.train()
    seed_dropout(net, seed)
    net.check_images(images)
    wanted, entering, x = net.weighted_layers(), {}, images
    for name, layer in net.named_children():
        if name in wanted:
            entering[name] = rms(x)
        x = layer(x)
    seed_dropout(net, None)
    net.train(mode)
    return entering
