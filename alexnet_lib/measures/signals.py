"""Looking inside a network: how strong signals and gradients are at each depth, and which units no longer learn.

Before any training (`forward_signals`; "The whole architecture", sections 3.5, 4.2, 5): the loss that stays at ln(1000)
is a network whose outputs hardly depend on the image. While it trains: "ReLU against tanh" (section
3.1; questions Q4, Q6, Q7). Images are float (N, 3, S, S), on the scale the network is to be trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import SettingError
from ..network.alexnet import AlexNet
from ..network.dropout import Dropout
from ..network.nonlinearities import NONLINEARITIES
from ..network.small.four_layers import SmallNet, activations_by_layer

SMALL_SLOPE = 0.05


@dataclass(frozen=True)
class LayerProfile:
    """What one nonlinearity of a network does with a set of images.

    input_rms, output_rms: root mean square before and after it. slope_small: share of all its inputs at which the
    slope is under 5% of the steepest (for tanh: saturated, |input| over 2.18; for ReLU: every input at or under 0).
    dead: share of its kernels (or fully connected units) whose slope is that small at every place of every image.
    gradient_rms: of the derivative of one image's loss by the input.
    """

    name: str
    input_rms: float
    output_rms: float
    slope_small: float
    dead: float
    gradient_rms: float


def depth_profile(net: SmallNet, images: torch.Tensor, labels: torch.Tensor) -> list[LayerProfile]:
    """Measure every nonlinearity of `net`, and the logits last, on normalised images (N, 3, H, W) and labels (N,).

    The network is left in its mode; its weights' gradients are cleared. The logits' profile has slope 1 throughout.
    """
    kept = activations_by_layer(net, images)
    # The sum, not the mean, so that a gradient is that of one image's loss, whatever N.
    F.cross_entropy(kept[-1][2], labels, reduction="sum").backward()
    profiles = [_profile(net, *layer) for layer in kept[:-1]]
    name, logits, _ = kept[-1]
    strength = rms(logits)
    profiles.append(LayerProfile(name, strength, strength, 0.0, 0.0, rms(logits.grad)))
    net.zero_grad(set_to_none=True)
    return profiles


def _profile(net: SmallNet, name: str, before: torch.Tensor, after: torch.Tensor) -> LayerProfile:
    slopes = NONLINEARITIES[net.config.nonlinearity].derivative(before.detach()).abs()
    steepest = steepest_slope(net.config.nonlinearity)
    small = slopes < SMALL_SLOPE * steepest
    return LayerProfile(
        name,
        rms(before),
        rms(after),
        float(small.float().mean()),
        dead_share(small),
        rms(before.grad),
    )


def dead_share(small: torch.Tensor) -> float:
    """The share of kernels or units, the second axis of a boolean (N, C, ...), that are True throughout."""
    return float(small.transpose(0, 1).flatten(1).all(1).float().mean())


def steepest_slope(nonlinearity: str) -> float:
    """The largest slope of a nonlinearity in size, found on a fine grid."""
    grid = torch.linspace(-6, 6, 4801)
    return float(NONLINEARITIES[nonlinearity].derivative(grid).abs().max())


def rms(x: torch.Tensor) -> float:
    """Root mean square of all entries."""
    return float(x.detach().double().square().mean().sqrt())


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
