"""The principal components of colours, and images shifted along them: the paper's lighting (section 4.1).

Everything here is on the 0-255 scale unless it says otherwise. Taught in "Lighting by principal components".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..errors import SettingError

PIXEL_SCALES = {"0-255": 255.0, "0-1": 1.0}
BLOCK = 1 << 20  # pixels that are converted to float64 at a time


def bytes_in_color(images: torch.Tensor) -> torch.Tensor:
    """The images, if they are uint8 (N, 3, H, W) with N of 1 or more; else SettingError says what to do."""
    if images.dtype != torch.uint8:
        raise SettingError(f"images are {images.dtype}: give bytes (uint8, 0 to 255), before any scaling")
    if images.ndim != 4 or images.shape[1] != 3:
        raise SettingError(f"images are {tuple(images.shape)}: give red, green and blue, (N, 3, H, W)")
    if not images.numel():
        raise SettingError("there are no images: give at least one")
    return images


@dataclass(frozen=True, eq=False)
class ColorPCA:
    """Where the colours of a set of pixels spread, on the 0-255 scale.

    covariance: float64 (3, 3), in grey levels squared, divided by the number of pixels.
    eigenvalues: float64 (3,), largest first: the variance along each axis; `deviations` are their roots, grey levels.
    eigenvectors: float64 (3, 3), one a column in that order, of length 1, the largest component positive.
    """

    covariance: torch.Tensor
    eigenvalues: torch.Tensor
    eigenvectors: torch.Tensor

    @classmethod
    def fit(cls, images: torch.Tensor) -> ColorPCA:
        """Of all pixels of uint8 images (N, 3, H, W), around their mean colour; exact sums, whatever their number.

        Raises SettingError for images that are not bytes, not in colour, or none.
        """
        count, total, products = 0, torch.zeros(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
        images = bytes_in_color(images)
        # Whole numbers below 2^53 stay exact in float64: enough for 10^11 pixels, all of ImageNet's.
        for block in images.split(max(1, BLOCK // images[0, 0].numel())):
            pixels = block.permute(1, 0, 2, 3).flatten(1).to(torch.float64)
            count += pixels.shape[1]
            total += pixels.sum(1).cpu()
            products += (pixels @ pixels.T).cpu()
        mean = total / count
        return cls.from_covariance(products / count - torch.outer(mean, mean))

    @classmethod
    def from_covariance(cls, covariance: torch.Tensor, pixel_scale: str = "0-255") -> ColorPCA:
        """From the covariance (3, 3) of red, green and blue on that pixel scale, "0-255" or "0-1".

        Raises SettingError if it is no covariance: not (3, 3), not symmetric, not finite, with a negative variance.
        """
        covariance = torch.as_tensor(covariance, dtype=torch.float64, device="cpu")
        if covariance.shape != (3, 3) or not torch.isfinite(covariance).all():
            raise SettingError(f"the covariance is {tuple(covariance.shape)}: give 3 x 3 finite numbers")
        covariance = covariance * (255 / _known_scale(pixel_scale)) ** 2
        largest = covariance.abs().max().item()
        if (covariance - covariance.T).abs().max() > 1e-9 * largest:
            raise SettingError("the covariance is not symmetric: give cov(red, green) twice, the same")
        values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
        if values[0] < -1e-9 * largest:
            raise SettingError(
                f"a variance would be {values[0]:.3g}, below zero: this is not the covariance of colours"
            )
        values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
        signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
        return cls(covariance, values, vectors * signs)

    @property
    def deviations(self) -> torch.Tensor:
        """Standard deviations along the axes, float64 (3,), in grey levels of 0-255."""
        return self.eigenvalues.sqrt()

    def on_scale(self, pixel_scale: str) -> torch.Tensor:
        """The eigenvalues (3,) that the same pixels have on "0-255" or "0-1": the unit is a pixel squared."""
        return self.eigenvalues * (_known_scale(pixel_scale) / 255) ** 2


def _known_scale(pixel_scale: str) -> float:
    if pixel_scale not in PIXEL_SCALES:
        raise SettingError(f"pixel scale {pixel_scale!r} is not known; use {' or '.join(PIXEL_SCALES)}")
    return PIXEL_SCALES[pixel_scale]


class PCALighting:
    """Adds to each image one colour, drawn along the principal components of the training set's colours (section 4.1).

    The colour is sum_i p_i alpha_i s_i over the three axes p_i, with alpha_i ~ N(0, deviation), drawn once an image.
    What s_i is decides the strength:
    scale="deviation": the root of the eigenvalue, as the code of 2012 has it. The pixel scale does not matter.
    scale="eigenvalue": the eigenvalue, as the paper's text has it. Its unit is a pixel squared, so `pixel_scale` must
    say on which scale it is measured and added: "0-1" (common ports), or "0-255" (grey levels in the hundreds).
    divide: what the lit image less its mean is divided by: 1, or 1.1 as the code of 2012 does in training.
    Shifts come in grey levels of 0-255 whichever scale was chosen. SettingError: an unknown scale; deviation below 0.
    """

    def __init__(
        self,
        pca: ColorPCA,
        deviation: float = 0.1,
        scale: str = "deviation",
        pixel_scale: str | None = None,
        divide: float = 1.0,
    ):
        if scale not in ("deviation", "eigenvalue"):
            raise SettingError(f"scale {scale!r} is not known; use deviation or eigenvalue")
        if scale == "eigenvalue" and pixel_scale is None:
            raise SettingError('scale="eigenvalue" depends on the pixel scale: give pixel_scale="0-255" or "0-1"')
        if not (math.isfinite(deviation) and deviation >= 0) or not (math.isfinite(divide) and divide > 0):
            raise SettingError(f"deviation {deviation} and divide {divide}: give 0 or more, and more than 0")
        self.pca, self.deviation, self.scale, self.pixel_scale = pca, deviation, scale, pixel_scale
        self.divide = divide
        # What one unit of alpha adds along each axis, in grey levels of 0-255.
        top = None if pixel_scale is None else _known_scale(pixel_scale)
        self.strengths = pca.deviations if scale == "deviation" else pca.on_scale(pixel_scale) * (255 / top)

    def draw(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """alpha for n images, float32 (n, 3). `generator` must live on the CPU."""
        return torch.randn(n, 3, generator=generator) * self.deviation

    def shifts(self, alphas: torch.Tensor) -> torch.Tensor:
        """The colours that alphas (n, 3) stand for: float32 (n, 3), red, green and blue, in grey levels of 0-255."""
        axes = self.pca.eigenvectors * self.strengths
        # Summed one image at a time, so that an image's shift does not hang on the batch it is in.
        return (alphas.to("cpu", torch.float64)[:, None, :] * axes).sum(-1).to(torch.float32)

    def __call__(
        self,
        images: torch.Tensor,
        generator: torch.Generator | None = None,
        *,
        mean: torch.Tensor | None = None,
        alphas: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(images - mean + shift) / divide, float32 of the shape, memory order and device of uint8 (N, 3, H, W).

        mean: what broadcasts to (3, H, W), on the 0-255 scale; without it, nothing is subtracted. `alphas` (N, 3) are
        drawn from `generator` unless given. Values may leave 0-255, as they may in 2012's code: nothing is clipped.
        Raises SettingError for images that are not bytes in colour, and for divide without a mean: black would stay
        where it is and white would darken.
        """
        bytes_in_color(images)
        if mean is None and self.divide != 1:
            raise SettingError(f"divide {self.divide} is meant for pixels less their mean: give the mean")
        alphas = self.draw(len(images), generator) if alphas is None else alphas
        if alphas.shape != (len(images), 3):
            raise SettingError(f"alphas are {tuple(alphas.shape)}: give three for each of {len(images)} images")
        lit = images.to(torch.float32)
        if mean is not None:
            lit -= mean.to(lit.device)
        return add_shift(lit, self.shifts(alphas)[:, :, None, None].to(lit.device), self.divide)


def add_shift(
    pixels: torch.Tensor, shift: torch.Tensor, divide: float, out: torch.Tensor | None = None
) -> torch.Tensor:
    """(pixels + shift) / divide in one pass, into `pixels` itself unless `out` says otherwise."""
    return torch.add(shift / divide, pixels, alpha=1 / divide, out=pixels if out is None else out)
