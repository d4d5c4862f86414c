"""A training batch in one go: crop, reflect, subtract the mean, add the lighting (sections 2 and 4.1).

Pixels stay bytes until the last step; then each image is converted once, while it is still in the processor's cache.
Taught in "Crops, reflections and ten views" and "Lighting by principal components".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..errors import SettingError
from ..system.devices import sent
from .color_pca import PCALighting, add_shift, bytes_in_color
from .crops import PixelScale, centre, cut_windows, draw_windows

DTYPES = (torch.float32, torch.bfloat16)


class Draws(NamedTuple):
    """What was drawn for N images: tops, lefts int64 (N,), mirrored bool (N,), alphas float32 (N, 3), on the CPU."""

    tops: torch.Tensor
    lefts: torch.Tensor
    mirrored: torch.Tensor
    alphas: torch.Tensor

    def of(self, number: int) -> Draws:
        """The draws of one image, as a batch of one."""
        return Draws(*(drawn[number : number + 1] for drawn in self))


@dataclass(frozen=True, eq=False)
class AugmentBatch:
    """uint8 (N, 3, H, W) to what the network is trained on, (N, 3, size, size), on the device that holds the batch.

    ((crop, perhaps mirrored) - mean + lighting) / (scale.deviation x lighting.divide). Without lighting, nothing is
    added. mean_at: "centre" subtracts the centre of the mean image, whatever the crop, and never mirrored, as the code
    of 2012 does; "crop" subtracts the mean image at the crop's own place, mirrored with it, as Caffe does. padding:
    zero pixels put around first (with "crop", the mean image must have the padded size). dtype: float32 or bfloat16;
    arithmetic is in float32. The crops of a seed are those of `random_crop_reflect`; alphas are drawn after them.
    """

    size: int
    scale: PixelScale
    lighting: PCALighting | None = None
    reflect: bool = True
    padding: int = 0
    mean_at: str = "centre"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.mean_at not in ("centre", "crop"):
            raise SettingError(f"mean_at {self.mean_at!r} is not known; use centre or crop")
        if self.dtype not in DTYPES:
            raise SettingError(f"{self.dtype} is not an output of augmentation; use float32 or bfloat16")
        if self.padding < 0:
            raise SettingError(f"padding {self.padding}: give 0 or more pixels")
        if self.mean_at == "centre":
            centre(self.scale.mean, self.size, self.size)  # an error now rather than at the first batch

    @property
    def divide(self) -> float:
        return self.scale.deviation * (self.lighting.divide if self.lighting else 1.0)

    def draw(self, n: int, height: int, width: int, generator: torch.Generator | None = None) -> Draws:
        """Draw for n images of that size. `generator` must live on the CPU: one seed, the same draws on any device."""
        padded = (height + 2 * self.padding, width + 2 * self.padding)
        windows = draw_windows(n, *padded, self.size, self.reflect, generator)
        return Draws(*windows, self.lighting.draw(n, generator) if self.lighting else torch.zeros(n, 3))

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Draw and apply. The output has the memory order of the input (contiguous or channels last)."""
        bytes_in_color(images)
        return self.apply(images, self.draw(len(images), *images.shape[-2:], generator), out)

    def apply(self, images: torch.Tensor, draws: Draws, out: torch.Tensor | None = None) -> torch.Tensor:
        """The same for draws that are given.

        out: a batch that is no longer needed, or memory pinned for a GPU, to write into (the system hands over
        a new batch of 77 MB page by page, which takes time). SettingError: not bytes in colour, a mean image of
        another size, an `out` that is not what would be made anew.
        """
        if self.padding:
            images = F.pad(bytes_in_color(images), (self.padding,) * 4)
        height, width = bytes_in_color(images).shape[-2:]
        if self.mean_at == "crop" and self.scale.mean.shape[-2:] != (height, width):
            raise SettingError(
                f"the mean image is {tuple(self.scale.mean.shape[-2:])}, the images {height} x {width}: "
                'mean_at="crop" needs them alike'
            )
        if self.lighting:
            shifts = self.lighting.shifts(draws.alphas)
        else:
            shifts = torch.zeros(len(images), 3)
        if images.device.type == "cpu":
            return self._one_by_one(images, draws, shifts, self._batch(images, out))
        made = self._at_once(images, draws, shifts)
        return made if out is None else self._batch(images, out).copy_(made)

    def _batch(self, images: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
        """`out` if it fits, or an empty batch like it: in the images' memory order and on their device."""
        order = torch.channels_last if _channels_last(images) else torch.contiguous_format
        wanted = torch.empty(
            (len(images), 3, self.size, self.size), dtype=self.dtype, device=images.device, memory_format=order
        )
        if out is None:
            return wanted
        for what in ("shape", "dtype", "device"):
            if (has := getattr(out, what)) != (should := getattr(wanted, what)):
                raise SettingError(f"out has {what} {has}: give {should}")
        if not out.is_contiguous(memory_format=order):
            raise SettingError(f"out lies otherwise in memory than the images: give torch.empty(..., {order})")
        return out

    def _at_once(self, images: torch.Tensor, draws: Draws, shifts: torch.Tensor) -> torch.Tensor:
        """All images in one operation after another, as a GPU wants it."""
        windows = draws[:3]
        pixels = cut_windows(images, self.size, *windows).to(torch.float32)
        mean = sent(self.scale.mean, images.device)
        if self.mean_at == "centre":
            pixels -= centre(mean, self.size, self.size)
        else:
            pixels -= cut_windows(mean.expand(len(images), -1, -1, -1), self.size, *windows)
        add_shift(pixels, sent(shifts, images.device)[:, :, None, None], self.divide)
        order = torch.channels_last if _channels_last(images) else torch.contiguous_format
        return pixels.to(self.dtype).contiguous(memory_format=order)

    def _one_by_one(
        self, images: torch.Tensor, draws: Draws, shifts: torch.Tensor, batch: torch.Tensor
    ) -> torch.Tensor:
        """Image after image through all steps into `batch`: 600 KB stay in a CPU's cache, a batch would not.

        Each image is three planes (3, rows, columns), or where the channels come last one plane of (1, rows,
        3 columns): rows that are copied, converted and added to as they lie in memory.
        """
        last, size = _channels_last(images), self.size
        source = images.permute(0, 2, 3, 1) if last else images
        mean = self._laid_out(self.scale.mean, last)
        if self.mean_at == "centre":
            mean = _plane(_window(mean, last, *_middle(mean, last, size), size, False).contiguous(), last)
        out = batch.permute(0, 2, 3, 1) if last else batch
        shifts = shifts.repeat(1, size)[:, None, None, :] if last else shifts[:, :, None, None]
        work = None if self.dtype == torch.float32 else torch.empty(_plane(out[0], last).shape)
        places = zip(draws.tops.tolist(), draws.lefts.tolist(), draws.mirrored.tolist(), strict=True)
        for number, (top, left, mirrored) in enumerate(places):
            lit = _plane(out[number], last)
            pixels = lit if work is None else work
            pixels.copy_(_plane(_window(source[number], last, top, left, size, mirrored), last))
            if self.mean_at == "crop":
                pixels.sub_(_plane(_window(mean, last, top, left, size, mirrored), last))
            else:
                pixels.sub_(mean)
            if self.lighting or self.divide != 1:
                add_shift(pixels, shifts[number], self.divide, out=lit)
            elif work is not None:
                lit.copy_(work)
        return batch

    def _laid_out(self, mean: torch.Tensor, last: bool) -> torch.Tensor:
        mean = mean.to("cpu", torch.float32)
        return (mean.permute(1, 2, 0) if last else mean).contiguous()


def _channels_last(images: torch.Tensor) -> bool:
    return images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()


def _window(image: torch.Tensor, last: bool, top: int, left: int, size: int, mirrored: bool) -> torch.Tensor:
    """A window of an image (H, W, 3) with `last`, else (3, H, W)."""
    if last:
        window = image[top : top + size, left : left + size]
        return window.flip(1) if mirrored else window
    window = image[:, top : top + size, left : left + size]
    return window.flip(2) if mirrored else window


def _plane(image: torch.Tensor, last: bool) -> torch.Tensor:
    """(H, W, 3) as (1, H, 3 W), without a copy; (3, H, W) as it is."""
    return image.flatten(1)[None] if last else image


def _middle(image: torch.Tensor, last: bool, size: int) -> tuple[int, int]:
    height, width = image.shape[:2] if last else image.shape[1:]
    return (height - size) // 2, (width - size) // 2
