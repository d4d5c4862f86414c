"""Looking inside a small network: how strong signals and gradients are at each depth, and which units no longer learn.

Taught in "ReLU against tanh" (section 3.1; questions Q4, Q6, Q7).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .nonlinearities import NONLINEARITIES
from .small_nets import SmallNet, activations_by_layer

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
