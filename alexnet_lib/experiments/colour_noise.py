"""Scales that change the colours of training batches: the paper's lighting, and jitter (section 4.1).

Each wraps a scale and is called as it is. What is drawn hangs on the run's seed and on the batch's own bytes, not on
what was drawn before: a run that is stopped and resumed goes on with the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..augment import ColorPCA, PCALighting, PixelScale, centre
from ..colour_jitter import ColourJitter

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
    jitter: ColourJitter
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
    return JitteredScale(scale, ColourJitter(), seed)
