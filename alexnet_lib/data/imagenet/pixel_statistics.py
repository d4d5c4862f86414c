"""Mean image, means, deviations and colour PCA of all training pixels, from sums of whole numbers.

Whole numbers add up to the same total in any order, so that the statistics depend neither on how many processes shared
the work nor on where a run was stopped and resumed. All are on the 0-255 scale. Paper sections 2 (mean) and 4.1 (PCA).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # red, green, blue
MOST_IN_16_BITS = 65_535 // 255  # so many bytes fit into a sum of 16 bits
BLOCK = 2**16  # pixels at a time: so many products of two bytes just fit into a sum of 32 bits


class PixelSums:
    """Sums over images of `side` x `side`: of each pixel (3, side, side), and of products of a pixel's channels (6,).

    `add` works in 16 bits where that holds the numbers, and carries on before anything can overflow: sums are exact.
    """

    def __init__(self, side: int):
        self.side, self.images = side, 0
        self._planes = np.empty((3, min(side * side, BLOCK)), np.uint16)
        self._product = np.empty(min(side * side, BLOCK), np.uint16)
        self._sum16 = np.zeros((3, side * side), np.uint16)
        self._sum64 = np.zeros((3, side * side), np.int64)
        self._products = [0] * len(PAIRS)

    def add(self, channels: Sequence[bytes]) -> None:
        """One image: its red, its green and its blue, each side x side bytes, row by row."""
        flat = [np.frombuffer(channel, np.uint8) for channel in channels]
        for first in range(0, len(flat[0]), BLOCK):
            sums = self._sum16[:, first : first + BLOCK]
            planes, product = self._planes[:, : sums.shape[1]], self._product[: sums.shape[1]]
            for plane, channel in zip(planes, flat, strict=True):
                plane[:] = channel[first : first + BLOCK]
            sums += planes
            for pair, (a, b) in enumerate(PAIRS):
                np.multiply(planes[a], planes[b], out=product)
                self._products[pair] += int(np.add.reduce(product, dtype=np.uint32))
        self.images += 1
        if self.images % MOST_IN_16_BITS == 0:
            self._carry()

    def _carry(self) -> None:
        self._sum64 += self._sum16
        self._sum16[:] = 0

    def totals(self) -> dict[str, np.ndarray]:
        """images: int64 (); pixels: int64 (3, side, side); products: int64 (6,), in the order of PAIRS."""
        self._carry()
        pixels = self._sum64.reshape(3, self.side, self.side).copy()
        return {"images": np.array(self.images), "pixels": pixels, "products": np.array(self._products, np.int64)}


@dataclass(frozen=True)
class Statistics:
    """What training needs to know of its pixels, on the 0-255 scale.

    mean_image: float32 (3, side, side).   mean, deviation: float64 (3,), of each channel over all pixels.
    deviation_around_mean_image: of all pixels of all channels, each around the mean image's (PixelScale's "unit").
    covariance: float64 (3, 3), divided by the number of pixels.   eigenvalues: (3,), largest first: variances, in
    grey levels squared; their roots are the deviations along the axes.   eigenvectors: (3, 3), one a column, in the
    order of the eigenvalues, each with its largest component positive.
    """

    images: int
    mean_image: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    deviation_around_mean_image: float
    covariance: np.ndarray
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray


def statistics(totals: dict[str, np.ndarray]) -> Statistics:
    """From the sums over all training images, as `PixelSums.totals` gives them."""
    images, pixels = int(totals["images"]), totals["pixels"]
    n = images * pixels[0].size
    sums = [int(plane.sum()) for plane in pixels]
    covariance = np.empty((3, 3))
    for (a, b), total in zip(PAIRS, totals["products"], strict=True):
        covariance[a, b] = covariance[b, a] = float(Fraction(n * int(total) - sums[a] * sums[b], n * n))
    squares = sum(int(totals["products"][PAIRS.index((c, c))]) for c in range(3))
    # Python's whole numbers, because the squares of sums over a million images do not fit into 64 bits.
    of_means = sum(value * value for value in pixels.ravel().tolist())
    around = Fraction(images * squares - of_means, images * images * pixels.size)
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    eigenvalues, eigenvectors = eigenvalues[::-1].clip(min=0), eigenvectors[:, ::-1]
    largest = np.abs(eigenvectors).argmax(axis=0)
    return Statistics(
        images=images,
        mean_image=(pixels / images).astype(np.float32),
        mean=np.array([total / n for total in sums]),
        deviation=np.sqrt(np.diag(covariance)),
        deviation_around_mean_image=float(around) ** 0.5,
        covariance=covariance,
        eigenvalues=eigenvalues,
        eigenvectors=eigenvectors * np.sign(eigenvectors[largest, np.arange(3)]),
    )


def add_totals(total: dict[str, np.ndarray], more: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add `more` to the sums in `total`, in place; that `total`."""
    for name, sums in total.items():
        sums += more[name]
    return total
