"""What a comparison may do to pixels, by name: their scale, and what is added to them while training only.

A scale is fitted to the training images, uint8 (N, 3, H, W), and turns bytes into what the network sees; a noise wraps
a scale for the training batches, and errors are measured without it. Both are called as `augment.PixelScale` is, and
have its `to(device)`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from ..augment import PixelScale
from ..errors import SettingError
from ..image_statistics import scale_by_mean
from .colour_noise import LIGHTINGS, JitteredScale, LitScale, jittered, lit

Scale = PixelScale
SCALES: dict[str, Callable[[torch.Tensor], Scale]] = {
    "mean image": PixelScale.fit,
    "channel mean": partial(scale_by_mean, kind="channel"),
    "one mean": partial(scale_by_mean, kind="number"),
    "no mean": partial(scale_by_mean, kind="none"),
}
Noisy = Scale | LitScale | JitteredScale
NOISES: dict[str, Callable[[Scale, torch.Tensor, int], Noisy]] = {
    "none": lambda scale, images, seed: scale,
    **{name: partial(lit, name) for name in LIGHTINGS},
    "jitter": jittered,
}


def fitted_scale(name: str, images: torch.Tensor) -> Scale:
    """The scale of that name, fitted to the training images. Raises SettingError for an unknown name."""
    return _known(SCALES, name, "pixels")(images)


def with_noise(name: str, scale: Scale, images: torch.Tensor, seed: int) -> Noisy:
    """The scale that training batches go through. Raises SettingError for an unknown name."""
    return _known(NOISES, name, "noise")(scale, images, seed)


def _known(table: dict[str, Callable], name: str, what: str) -> Callable:
    if name not in table:
        raise SettingError(f"{what} {name!r} is not known; use one of {', '.join(table)}")
    return table[name]
