"""Crops, reflections and pixel scaling, on whole batches of bytes and on the device that holds them.

Paper section 4.1 (crops and reflections) and section 2 (the mean). Images stay uint8 until the last step: a byte is a
quarter of a float to move. Taught in "Crops, reflections and ten views"; used first in "ReLU against tanh".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..errors import SettingError
from ..system.devices import sent


def random_crop_reflect(
    images: torch.Tensor, size: int, *, padding: int = 0, reflect: bool = True, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Cut a random `size` x `size` window from each image, and mirror each left to right with probability one half.

    images: (N, C, H, W) of any type, kept; `padding` zero pixels are put around first. Every offset is equally
    likely, also the last one on each side: (H + 2 padding - size + 1) squared of them. `generator` must live on the
    CPU, so that one seed gives the same crops on every device. Raises SettingError if the window does not fit.
    """
    if padding:
        images = F.pad(images, (padding,) * 4)
    n, _, height, width = images.shape
    return cut_windows(images, size, *draw_windows(n, height, width, size, reflect, generator))


def draw_windows(
    n: int, height: int, width: int, size: int, reflect: bool = True, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where n windows of `size` x `size` begin: tops, lefts int64 (n,), and which are mirrored, bool (n,); on the CPU.

    Raises SettingError if the window does not fit.
    """
    if not 1 <= size <= min(height, width):
        raise SettingError(f"a crop of {size} pixels does not fit into images of {height} x {width}")
    tops = torch.randint(height - size + 1, (n,), generator=generator)
    lefts = torch.randint(width - size + 1, (n,), generator=generator)
    mirrored = torch.rand(n, generator=generator) < 0.5 if reflect else torch.zeros(n, dtype=torch.bool)
    return tops, lefts, mirrored


def cut_windows(
    images: torch.Tensor, size: int, tops: torch.Tensor, lefts: torch.Tensor, mirrored: torch.Tensor
) -> torch.Tensor:
    """The windows (N, C, size, size) of (N, C, H, W) that begin there, on the images' device, channels last."""
    n = len(images)
    steps = torch.arange(size)
    columns = torch.where(mirrored[:, None], steps.flip(0), steps) + lefts[:, None]
    rows = steps + tops[:, None]
    # One gather with whole pixels as its unit: channels last, so that the C bytes of a pixel move together.
    pixels = images.permute(0, 2, 3, 1)
    places = (torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :])
    cropped = pixels[tuple(sent(place, images.device) for place in places)]
    return cropped.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class PixelScale:
    """From bytes to the numbers a network sees: minus the mean, then divided by one deviation.

    mean: (3, H, W), the training set's mean image on the 0-255 scale; deviation: one number. The paper subtracts the
    mean and does not divide (section 2): deviation 1. `unit` divides by the deviation of all the training pixels.
    """

    mean: torch.Tensor
    deviation: float = 1.0

    @classmethod
    def fit(cls, images: torch.Tensor, pixels: str = "0-255") -> PixelScale:
        """Measure the mean image of uint8 images (N, 3, H, W), and for `pixels="unit"` their deviation too."""
        mean, deviation = pixel_statistics(images)
        if pixels not in ("0-255", "unit"):
            raise SettingError(f"pixels {pixels!r} is not known; use 0-255 or unit")
        return cls(mean, deviation if pixels == "unit" else 1.0)

    def to(self, device: torch.device) -> PixelScale:
        return PixelScale(self.mean.to(device), self.deviation)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 3, H, W) to float32 of the same shape and memory order.

        Where the images are crops of larger ones, the mean image's centre of their size is taken.
        """
        mean = centre(self.mean, *images.shape[-2:])
        scaled = images.to(torch.float32) - mean
        return scaled if self.deviation == 1.0 else scaled.mul_(1 / self.deviation)


def centre(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The central `height` x `width` window of (..., H, W). Raises SettingError if it does not fit."""
    rows, columns = image.shape[-2:]
    if height > rows or width > columns:
        raise SettingError(f"a window of {height} x {width} pixels does not fit into {rows} x {columns}")
    top, left = (rows - height) // 2, (columns - width) // 2
    return image[..., top : top + height, left : left + width]


def pixel_statistics(images: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The mean image (3, H, W) and the deviation of all pixels around it, on the 0-255 scale, of uint8 (N, 3, H, W).

    Summed in float64 in blocks, so that 50,000 images lose no digits and need no float copy of the whole set.
    """
    total = torch.zeros(images.shape[1:], dtype=torch.float64)
    squares = torch.zeros((), dtype=torch.float64)
    for block in images.split(2048):
        pixels = block.to("cpu", torch.float32)
        total += pixels.sum(0, dtype=torch.float64)
        squares += pixels.square().sum(dtype=torch.float64)
    mean = total / len(images)
    variance = squares / images.numel() - mean.square().mean()
    return mean.to(torch.float32), float(variance.clamp(min=0).sqrt())
