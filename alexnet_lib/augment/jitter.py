"""Brightness, contrast and saturation changed at random: what is usual today where the paper shifts colours by PCA.

On whole batches of bytes, on the device that holds them, one draw an image. torchvision's ColorJitter has one draw a
batch, and takes it from PyTorch's own generator: a run that goes on would not draw what it would have drawn. Compared
with the paper's lighting in "Lighting by principal components".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..errors import SettingError
from .color_pca import bytes_in_color

GREY = (0.2989, 0.587, 0.114)  # torchvision's weights of red, green and blue


@dataclass(frozen=True)
class ColorJitter:
    """Multiplies brightness, then contrast, then saturation, each by a factor drawn evenly from 1 - s to 1 + s.

    brightness, contrast, saturation: the s of each, 0 (left as it is) to 1; 0.4 is a common choice. Each step is
    torchvision's (`adjust_brightness` and so on) on floats; there the order is drawn too, here it is this one.
    Raises SettingError for an s outside 0 to 1.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4

    def __post_init__(self) -> None:
        for s in self.ranges:
            if not 0 <= s <= 1:
                raise SettingError(f"jitter of {s}: a factor is drawn from 1 - s to 1 + s, so give 0 to 1")

    @property
    def ranges(self) -> tuple[float, float, float]:
        return self.brightness, self.contrast, self.saturation

    def draw(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """The three factors for n images: float32 (n, 3). `generator` must live on the CPU."""
        return 1 + (2 * torch.rand(n, 3, generator=generator) - 1) * torch.tensor(self.ranges)

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None, *, factors: torch.Tensor | None = None
    ) -> torch.Tensor:
        """uint8 (N, 3, H, W) to float32 of the same shape, still 0 to 255: what leaves that range is cut off."""
        bytes_in_color(images)
        factors = self.draw(len(images), generator) if factors is None else factors
        bright, contrast, saturation = factors.to(images.device).reshape(-1, 3, 1, 1, 1).unbind(1)
        pixels = (images.to(torch.float32) * bright).clamp_(0, 255)
        average = _grey(pixels).mean((2, 3), keepdim=True)
        pixels = torch.lerp(average, pixels, contrast).clamp_(0, 255)
        return torch.lerp(_grey(pixels), pixels, saturation).clamp_(0, 255)


def _grey(pixels: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) to its brightness (N, 1, H, W)."""
    weights = torch.tensor(GREY, device=pixels.device).reshape(1, 3, 1, 1)
    return (pixels * weights).sum(1, keepdim=True)
