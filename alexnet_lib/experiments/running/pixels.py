"""What a comparison may do to pixels, by name: their scale, and what is added to them while training only.

A scale is fitted to the training images, uint8 (N, 3, H, W), and turns bytes into what the network sees; a noise wraps
a scale for the training batches, and errors are measured without it. Both are called as `augment.PixelScale` is, and
have its `to(device)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from ...augment import ColorPCA, PCALighting, PixelScale, centre
from ...augment.jitter import ColorJitter
from ...errors import SettingError
from ...measures.images import scale_by_mean

LIGHTINGS = {
    "lighting": {"scale": "deviation"},
    "lighting, divided by 1.1": {"scale": "deviation", "divide": 1.1},
    "lighting, eigenvalue 0-1": {"scale": "eigenvalue", "pixel_scale": "0-1"},
    "lighting, eigenvalue 0-255": {"scale": "eigenvalue", "pixel_scale": "0-255"},
}


@dataclass(frozen=True, eq=False)
class LitScale:
    """Pixels less their mean, plus the lighting; a colour an image, drawn anew whenever the image comes."""

    scale: PixelScale
    lighting: PCALighting
    seed: int

    def to(self, device: torch.device) -> LitScale:
        return LitScale(self.scale.to(device), self.lighting, self.seed)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 3, H, W) to float32 of the same shape, on the scale's own units."""
        mean = centre(self.scale.mean, *images.shape[-2:])
        lit = self.lighting(images, generator_for(images, self.seed), mean=mean)
        return lit if self.scale.deviation == 1 else lit.mul_(1 / self.scale.deviation)


@dataclass(frozen=True, eq=False)
class JitteredScale:
    """Brightness, contrast and saturation changed, then the scale."""

    scale: PixelScale
    jitter: ColorJitter
    seed: int

    def to(self, device: torch.device) -> JitteredScale:
        return JitteredScale(self.scale.to(device), self.jitter, self.seed)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 3, H, W) to float32 of the same shape, on the scale's own units."""
        return self.scale(self.jitter(images, generator_for(images, self.seed)))


def generator_for(images: torch.Tensor, seed: int) -> torch.Generator:
    """A generator that this seed and these bytes determine: other crops of the same images give other numbers."""
    return torch.Generator().manual_seed(seed * 1_000_000_007 + int(images.sum(dtype=torch.int64)))


def lit(name: str, scale: PixelScale, images: torch.Tensor, seed: int) -> LitScale:
    """The lighting of that name in LIGHTINGS, its axes those of the training images uint8 (N, 3, H, W)."""
    return LitScale(scale, PCALighting(ColorPCA.fit(images), **LIGHTINGS[name]), seed)


def jittered(scale: PixelScale, images: torch.Tensor, seed: int) -> JitteredScale:
    """Brightness, contrast and saturation, each by up to 40%."""
    return JitteredScale(scale, ColorJitter(), seed)


Scale = PixelScale
SCALES: dict[str, Callable[[torch.Tensor], Scale]] = {
    "mean image": PixelScale.fit,
    "channel mean": partial(scale_by_mean, kind="channel"),
    "one mean": partial(scale_by_mean, kind="number"),
    "no mean": partial(scale_by_mean, kind="none"),
    "unit variance": partial(PixelScale.fit, pixels="unit"),
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
