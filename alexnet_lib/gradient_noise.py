"""How noisy the gradient of a batch is, as a share of its size. Taught in "Dropout" (claim C17, question Q36)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .errors import SettingError


def gradients(
    net: nn.Module, weights: Sequence[nn.Parameter], batches: Iterable[tuple[torch.Tensor, torch.Tensor]]
) -> torch.Tensor:
    """The gradient of each batch's mean loss by some weights of the network, as rows: (batches, numbers).

    batches: normalised images (B, 3, H, W) and labels (B,). The network stays in its mode, so that in training each
    batch has dropout masks of its own.
    """
    rows = []
    for images, labels in batches:
        found = torch.autograd.grad(F.cross_entropy(net(images), labels), weights)
        rows.append(torch.cat([gradient.flatten() for gradient in found]))
    return torch.stack(rows)


def noise_to_signal(rows: torch.Tensor) -> float:
    """The variance of a row, summed over its numbers, by the squared length of the mean that the rows scatter about.

    rows: (K, numbers), K >= 2, independent. 0: all alike; 1: a row is as far from the mean as the mean is long; so
    many rows must be averaged until noise and signal are equal. The squared length of the rows' own mean holds a K-th
    of the variance, which is taken away. inf where nothing is left of it: K is too small to see any signal.
    """
    if rows.ndim != 2 or len(rows) < 2:
        raise SettingError(f"rows {tuple(rows.shape)} must be two or more, each a gradient")
    rows = rows.double()
    variance = float(rows.var(0).sum())
    signal = float(rows.mean(0).square().sum()) - variance / len(rows)
    return variance / signal if signal > 0 else float("inf")
