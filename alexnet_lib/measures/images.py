"""What real images have in common: how alike near pixels are, how alike places are, and their mean image in four kinds.

Images are uint8 or float (N, C, H, W), RGB where colour matters, on the 0-255 scale. Section 1 of the paper speaks of
"stationarity of statistics and locality of pixel dependencies"; section 2 subtracts the mean; section 3.3 sets its
response normalisation apart from local contrast normalisation (Jarrett et al., 2009). Taught in "The data" (Q9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..augment import PixelScale, pixel_statistics
from ..errors import SettingError

AXES = {"vertical": 2, "horizontal": 3}
AROUND = ("set", "image")
MEANS = ("pixel", "channel", "number", "none")
EDGES = ("horizontal", "rising", "vertical", "falling")
_GREY = (0.299, 0.587, 0.114)


def correlation_by_distance(
    images: torch.Tensor, distances: Sequence[int], axis: str = "horizontal", around: str = "set"
) -> torch.Tensor:
    """Pearson's correlation of two pixels of one channel that are so many pixels apart: float64 (distances,).

    Over all such pairs of all images, each channel by itself, then averaged over the channels. around: "set" measures
    from the channel's mean over the set, so that bright and dark images correlate at any distance; "image" first
    subtracts from each image its own mean of the channel: what is left is within the image, and becomes negative far
    away because an image's pixels then add up to 0. SettingError: an unknown axis or kind, a distance that does not
    fit, pixels that do not vary.
    """
    if axis not in AXES or around not in AROUND:
        raise SettingError(f"axis {axis!r}, around {around!r}: use one of {', '.join(AXES)}; of {', '.join(AROUND)}")
    dim = AXES[axis]
    length = images.shape[dim]
    wrong = [distance for distance in distances if not 0 <= distance < length]
    if wrong:
        raise SettingError(f"distance {wrong[0]} does not fit into {length} pixels")
    pixels = images.to(torch.float32)
    pixels = pixels - pixels.mean((2, 3) if around == "image" else (0, 2, 3), keepdim=True)  # small numbers sum exactly
    found = []
    for distance in distances:
        left, right = pixels.narrow(dim, 0, length - distance), pixels.narrow(dim, distance, length - distance)
        found.append(torch.stack([_pearson(left[:, c], right[:, c]) for c in range(pixels.shape[1])]).mean())
    return torch.stack(found) if found else torch.empty(0, dtype=torch.float64)


def _pearson(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    (spread_x, covariance), (_, spread_y) = torch.cov(torch.stack([x.flatten(), y.flatten()]).double())
    if min(float(spread_x), float(spread_y)) <= 1e-9:
        raise SettingError("a channel does not vary, so there is no correlation")
    return covariance / (spread_x * spread_y).sqrt()


@dataclass(frozen=True)
class PatchStatistics:
    """Statistics of the patches at each place of the images, over all images: rows and columns of patches first.

    mean, deviation: (rows, columns), grey levels; the deviation is that of the pixels inside one patch, root of the
    mean square over the images. edges: (rows, columns, 4), the mean square of the gradient (grey levels a pixel,
    squared) of edges that run as in EDGES: horizontal, rising (/), vertical, falling (\\); the images' outermost pixels
    are left out of it.
    """

    mean: torch.Tensor
    deviation: torch.Tensor
    edges: torch.Tensor

    @property
    def edge_shares(self) -> torch.Tensor:
        """(rows, columns, 4): `edges` as shares of each place's own sum; NaN where a place has no edge at all."""
        return self.edges / self.edges.sum(-1, keepdim=True)


def patch_statistics(images: torch.Tensor, side: int) -> PatchStatistics:
    """The statistics of patches of `side` pixels at each place of RGB or grey images, tiled from the upper left.

    What does not fill a patch at the right and lower ends is left out. SettingError: patches that do not fit.
    """
    if not 2 <= side <= min(images.shape[-2:]):
        raise SettingError(f"patches of {side} pixels do not fit into {tuple(images.shape[-2:])}, or are under 2")
    total = None
    for block in images.split(256):
        bright = grey(block)
        means = F.avg_pool2d(bright, side)
        variance = (F.avg_pool2d(bright.square(), side) - means.square()).clamp(min=0)
        # Without the rim: differences there are one-sided, hence larger, and would show as edges along it.
        inside = F.pad(torch.ones_like(bright[:1, :, 1:-1, 1:-1]), (1, 1, 1, 1))
        edges = F.avg_pool2d(edge_energy(bright) * inside, side) / F.avg_pool2d(inside, side)
        sums = torch.cat([means, variance, edges], dim=1).sum(0)
        total = sums if total is None else total + sums
    mean, variance, *edges = total / len(images)
    return PatchStatistics(*(x.float() for x in (mean, variance.sqrt(), torch.stack(edges, -1))))


def grey(images: torch.Tensor) -> torch.Tensor:
    """Brightness of RGB images, 0.299 R + 0.587 G + 0.114 B: float64 (N, 1, H, W); grey ones as they are."""
    if images.shape[1] == 1:
        return images.to(torch.float64)
    weights = torch.tensor(_GREY, dtype=torch.float64, device=images.device)
    return torch.einsum("nchw,c->nhw", images.to(torch.float64), weights)[:, None]


def edge_energy(bright: torch.Tensor) -> torch.Tensor:
    """The squared gradient of (N, 1, H, W), sorted by how the edge runs: (N, 4, H, W), in the order of EDGES.

    Each pixel's energy goes wholly to the nearest of the four directions. At the rims differences are one-sided.
    """
    down, across = torch.gradient(bright, dim=(2, 3))
    energy = down.square() + across.square()
    # An edge runs at right angles to its gradient; rows count downwards, so a rising edge has down and across alike.
    angle = torch.atan2(down, across)
    place = torch.round(angle / (torch.pi / 4)).long() % 4  # 0: gradient across, so the edge is vertical
    kinds = (2, 1, 0, 3)  # where 0, 45, 90, 135 degrees (downwards) stand in EDGES
    return torch.cat([torch.where(place == kinds.index(kind), energy, 0) for kind in range(4)], dim=1)


def mean_image(images: torch.Tensor, kind: str = "pixel") -> torch.Tensor:
    """The mean to subtract, float32 (C, H, W), of uint8 images (N, C, H, W), in one of four kinds.

    "pixel": a mean for each place and channel, the paper's; "channel": one for each channel; "number": one for all;
    "none": zeros. SettingError for another kind.
    """
    if kind not in MEANS:
        raise SettingError(f"a mean per {kind!r} is not known; use one of {', '.join(MEANS)}")
    mean, _ = pixel_statistics(images)
    dims = {"pixel": None, "channel": (1, 2), "number": (0, 1, 2)}
    if kind == "none":
        return torch.zeros_like(mean)
    over = dims[kind]
    return mean if over is None else mean.double().mean(over, keepdim=True).float().expand_as(mean).contiguous()


def scale_by_mean(images: torch.Tensor, kind: str) -> PixelScale:
    """A PixelScale that subtracts the mean of that kind and divides by nothing."""
    return PixelScale(mean_image(images, kind))


WINDOW = 9


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
