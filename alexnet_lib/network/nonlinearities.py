"""The functions that units apply to their inputs, with their derivatives; the paper's is ReLU (section 3.1).

Taught in "ReLU against tanh".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Nonlinearity:
    """A function applied to every unit's input, with its derivative for those who want to look at it.

    `gain` is what today's starting weights multiply 1 / sqrt(fan in) by (He for the ReLU kind, 1 for the tanh kind;
    torch.nn.init.calculate_gain explains the idea). With `batch_norm`, the input is batch-normalised first.
    """

    name: str
    label: str
    function: Callable[[torch.Tensor], torch.Tensor]
    derivative: Callable[[torch.Tensor], torch.Tensor]
    gain: float = 1.0
    batch_norm: bool = False


LEAK = 0.01
_HE = 2.0**0.5


def _step(x: torch.Tensor) -> torch.Tensor:
    return (x > 0).to(x.dtype)


def _leaky_step(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 0, torch.ones_like(x), LEAK)


def _tanh_slope(x: torch.Tensor) -> torch.Tensor:
    return 1 - torch.tanh(x) ** 2


def _sigmoid_slope(x: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(x) * torch.sigmoid(-x)


def _abs_tanh(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x).abs()


def _abs_tanh_slope(x: torch.Tensor) -> torch.Tensor:
    return torch.sign(x) * _tanh_slope(x)


def _leaky_relu(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, LEAK)


def _elu_slope(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 0, 1.0, torch.exp(x))


# Functions with names, so that a network that holds one can be pickled.
NONLINEARITIES: dict[str, Nonlinearity] = {
    n.name: n
    for n in (
        Nonlinearity("relu", "ReLU", F.relu, _step, _HE),
        Nonlinearity("tanh", "tanh", torch.tanh, _tanh_slope),
        Nonlinearity("sigmoid", "sigmoid", torch.sigmoid, _sigmoid_slope),
        Nonlinearity("abs_tanh", "|tanh|", _abs_tanh, _abs_tanh_slope),
        Nonlinearity("leaky_relu", "leaky ReLU", _leaky_relu, _leaky_step, _HE),
        Nonlinearity("elu", "eˣ − 1 (ELU)", F.elu, _elu_slope, _HE),
        Nonlinearity("tanh_bn", "batch norm + tanh", torch.tanh, _tanh_slope, batch_norm=True),
        Nonlinearity("relu_bn", "batch norm + ReLU", F.relu, _step, _HE, batch_norm=True),
    )
}


class Activation(nn.Module):
    """Batch normalisation where the nonlinearity asks for it, then the nonlinearity."""

    def __init__(self, nonlinearity: Nonlinearity, channels: int, dimensions: int):
        super().__init__()
        norm = nn.BatchNorm2d if dimensions == 2 else nn.BatchNorm1d
        self.norm = norm(channels) if nonlinearity.batch_norm else nn.Identity()
        self.function = nonlinearity.function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.norm(x))
