"""Contrast normalisation of images: global, by an image's own mean and deviation; local, by those around a place.

Section 3.3 of the paper sets its response normalisation apart from the local contrast normalisation of Jarrett et al.
(2009), which this is. Images are uint8 or float (N, C, H, W). Taught in "The data" (Q9).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .errors import SettingError

WINDOW = 9


def global_contrast(images: torch.Tensor, floor: float = 1.0) -> torch.Tensor:
    """Each image minus its own mean, divided by its own deviation, over all pixels and channels: float32 (N, C, H, W).

    floor: the smallest number divided by, in the pixels' unit, so that a plain image becomes 0 and not noise.
    SettingError: a floor of 0 or less.
    """
    if not floor > 0:
        raise SettingError(f"floor {floor}: must be above 0, for a plain image has no deviation to divide by")
    pixels = images.to(torch.float32)
    pixels = pixels - pixels.mean((1, 2, 3), keepdim=True)
    return pixels / pixels.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=floor)


def subtract_local_mean(images: torch.Tensor, window: int = WINDOW, sigma: float | None = None) -> torch.Tensor:
    """Each pixel minus the mean of its neighbourhood, weighted by a Gaussian, over all channels: float32 (N, C, H, W).

    The mean is one number a place, the same for all channels, as Jarrett et al. write it; colours keep their
    differences. Near the rim the weights of what lies inside the image are scaled up to 1, so that a plain image
    becomes 0 everywhere. sigma: in pixels, a quarter of the window if not given; their paper names the window, 9 x 9,
    and not sigma. SettingError: a window that is even or below 3, a sigma of 0 or less.
    """
    return _subtracted(images.to(torch.float32), *_kernel(images, window, sigma))


def local_contrast(
    images: torch.Tensor, window: int = WINDOW, sigma: float | None = None, floor: float = 0.1
) -> torch.Tensor:
    """`subtract_local_mean`, then divided by the deviation of the same neighbourhood: float32 (N, C, H, W).

    As Jarrett et al. (2009), section 2: v = x - local mean; y = v / max(c, s), where s is the root of the Gaussian
    mean of v squared over neighbourhood and channels, and c the mean of s over the image. A place with less contrast
    than its image's average is so divided by c, and not blown up to noise. floor: the smallest c, in the pixels'
    unit, so that a plain image becomes 0 and not rounding errors.
    """
    kernel, inside = _kernel(images, window, sigma)
    v = _subtracted(images.to(torch.float32), kernel, inside)
    s = _weighted(v.square().mean(1, keepdim=True), kernel, inside).clamp(min=0).sqrt()
    c = s.mean((1, 2, 3), keepdim=True).clamp(min=floor)
    return v / torch.maximum(s, c)


def _subtracted(pixels: torch.Tensor, kernel: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    return pixels - _weighted(pixels.mean(1, keepdim=True), kernel, inside)


def _kernel(images: torch.Tensor, window: int, sigma: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The Gaussian along one side, (window,), and its weights' sum inside the image at each place, (1, 1, H, W)."""
    sigma = window / 4 if sigma is None else sigma
    if window < 3 or window % 2 == 0 or not sigma > 0:
        raise SettingError(f"window {window}, sigma {sigma}: the window must be odd and 3 or more, sigma above 0")
    steps = torch.arange(window, dtype=torch.float32, device=images.device) - window // 2
    kernel = torch.exp(-steps.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    plain = torch.ones(1, 1, *images.shape[-2:], device=images.device)
    return kernel, _blurred(plain, kernel)


def _weighted(plane: torch.Tensor, kernel: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    return _blurred(plane, kernel) / inside


def _blurred(plane: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) under the Gaussian of both sides; it is a product of one for rows and one for columns."""
    half = len(kernel) // 2
    rows = F.conv2d(plane, kernel[None, None, :, None], padding=(half, 0))
    return F.conv2d(rows, kernel[None, None, None, :], padding=(0, half))
