"""Gabor functions fitted to kernels: whether a kernel is oriented, and its angle, frequency and phase (Figure 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import least_squares

from ..errors import SettingError

ORIENTATIONS = 36  # gratings are shown at so many, 5 degrees apart
FREQUENCIES = 25  # and at so many frequencies, from 0 to half a cycle a pixel
_PADDED = 64  # side of the spectrum in which a fit looks for where to begin


def check_kernels(kernels: torch.Tensor) -> None:
    """Raise SettingError unless these are first-layer kernels, (n, 3, height, width), none of them all zeros."""
    if kernels.ndim != 4 or kernels.shape[1] != 3 or not len(kernels):
        raise SettingError(f"kernels of shape {tuple(kernels.shape)}: give (n, 3, height, width)")
    if not torch.isfinite(kernels).all():
        raise SettingError("kernels hold numbers that are not finite")
    if not (empty := kernels.flatten(1).abs().amax(dim=1).gt(0)).all():
        raise SettingError(f"kernel {int(empty.logical_not().nonzero()[0])} is all zeros, so it has no kind")


@dataclass(frozen=True)
class Plane:
    """A kernel as one colour times one pattern, the two that leave least of it.

    colour: (3,), of length 1, its largest part positive. pattern: (height, width). share: of the kernel's energy.
    """

    colour: np.ndarray
    pattern: np.ndarray
    share: float


def plane_of(kernel: torch.Tensor) -> Plane:
    """The plane of one kernel (3, height, width), by its singular values."""
    matrix = kernel.double().flatten(1).numpy()
    colours, strengths, patterns = np.linalg.svd(matrix, full_matrices=False)
    colour, pattern = colours[:, 0], strengths[0] * patterns[0].reshape(kernel.shape[1:])
    sign = np.sign(colour[np.abs(colour).argmax()])
    return Plane(sign * colour, sign * pattern, float(strengths[0] ** 2 / (strengths**2).sum()))


@dataclass(frozen=True)
class Gabor:
    """A grating under a Gaussian hill, in pixels and degrees.

    orientation: of its stripes, 0 to 180, 0 lying and 90 upright, counter-clockwise as one sees it. frequency: cycles
    a pixel, 0 to 0.5. phase: degrees, -180 to 180, of the wave at the hill's top. across, along: the hill's standard
    deviations across the stripes and along them. x, y: its top, from the kernel's centre, x to the right and y down.
    amplitude: at the top. fit: the share of the whole kernel's energy that it has, 0 to 1, with `colour` (3,).
    """

    orientation: float
    frequency: float
    phase: float
    across: float
    along: float
    x: float
    y: float
    amplitude: float
    fit: float
    colour: tuple[float, float, float]

    @property
    def colour_share(self) -> float:
        """The share of its energy that is not grey, as of `colour_share`."""
        return 1 - sum(self.colour) ** 2 / 3

    def drawn(self, height: int, width: int) -> np.ndarray:
        """Its pattern on a grid, (height, width)."""
        wave = math.radians(90 - self.orientation)
        cosine, sine = _pair((self.x, self.y, wave, self.frequency, self.across, self.along), *_grid(height, width))
        phase = math.radians(self.phase)
        return self.amplitude * (math.cos(phase) * cosine - math.sin(phase) * sine)

    def kernel(self, height: int, width: int) -> torch.Tensor:
        """As a kernel in its colour, float32 (3, height, width)."""
        return torch.from_numpy(np.multiply.outer(np.array(self.colour), self.drawn(height, width))).float()


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)


def _pair(shape: Sequence[float], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hill times a cosine, and times a sine; shape: x, y, direction of the wave in radians (y down), frequency,
    deviations across and along the stripes."""
    x0, y0, wave, frequency, across, along = shape
    u = (x - x0) * math.cos(wave) + (y - y0) * math.sin(wave)
    v = (y - y0) * math.cos(wave) - (x - x0) * math.sin(wave)
    hill = np.exp(-(u**2) / (2 * across**2) - v**2 / (2 * along**2))
    turn = 2 * math.pi * frequency * u
    return hill * np.cos(turn), hill * np.sin(turn)


def _explained(shape: Sequence[float], pattern: np.ndarray, grid: tuple) -> tuple[np.ndarray, np.ndarray]:
    """How much of the cosine and the sine fits best, and what that leaves of the pattern."""
    basis = np.stack([part.ravel() for part in _pair(shape, *grid)], axis=1)
    # A wave of frequency 0 has no sine; the least-norm solution then leaves it out.
    parts = np.linalg.lstsq(basis, pattern.ravel(), rcond=1e-9)[0]
    return parts, pattern.ravel() - basis @ parts


def fit_gabor(kernel: torch.Tensor, starts: int = 4) -> Gabor:
    """The Gabor, in one colour, that has most of a kernel's energy; kernel (3, height, width).

    Least squares from several beginnings: the `starts` highest peaks of the pattern's spectrum, each with a narrow and
    a wide hill at the pattern's centre of energy. How much of each phase there is follows from the rest.
    """
    check_kernels(kernel[None])
    plane = plane_of(kernel)
    pattern = plane.pattern / np.linalg.norm(plane.pattern)
    height, width = pattern.shape
    grid = _grid(height, width)
    energy = pattern**2
    centre = [float((axis * energy).sum()) for axis in grid]
    # A hill narrower than a pixel is a dot, and one wider than the kernel a grating without an end.
    low = [-width / 2, -height / 2, -np.inf, 0, 0.7, 0.7]
    high = [width / 2, height / 2, np.inf, 0.5, 2 * width, 2 * height]
    best, least = None, math.inf
    for fx, fy in _peaks(pattern, starts):
        for hill in (min(height, width) / 5, min(height, width) / 2.5):
            frequency = min(max(math.hypot(fx, fy), 1e-3), 0.499)
            begin = [*centre, math.atan2(fy, fx), frequency, hill, hill]
            found = least_squares(
                lambda shape: _explained(shape, pattern, grid)[1],
                begin,
                bounds=(low, high),
                x_scale=[1, 1, 0.3, 0.05, 1, 1],
                max_nfev=60,
            )
            if found.cost < least:
                best, least = found.x, found.cost
    return _named(best, plane, pattern, grid)


def _named(shape: np.ndarray, plane: Plane, pattern: np.ndarray, grid: tuple) -> Gabor:
    (cosine, sine), left = _explained(shape, pattern, grid)
    x, y, wave, frequency, across, along = (float(each) for each in shape)
    # The same grating described from the other end: its wave then points to the right half of the circle.
    if math.cos(wave) < -1e-12 or (abs(math.cos(wave)) <= 1e-12 and math.sin(wave) < 0):
        wave, sine = wave + math.pi, -sine
    strength = float(np.linalg.norm(plane.pattern))
    return Gabor(
        orientation=(90 - math.degrees(wave)) % 180,
        frequency=frequency,
        phase=math.degrees(math.atan2(-sine, cosine)),
        across=across,
        along=along,
        x=x,
        y=y,
        amplitude=strength * math.hypot(cosine, sine),
        fit=plane.share * (1 - float(left @ left)),
        colour=tuple(float(part) for part in plane.colour),
    )


def _peaks(pattern: np.ndarray, count: int) -> list[tuple[float, float]]:
    """The highest local peaks of the amplitude spectrum in one half of it, as (cycles a pixel in x, in y)."""
    spectrum = np.abs(np.fft.fftshift(np.fft.fft2(pattern, (_PADDED, _PADDED))))
    around = [np.roll(spectrum, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    rows, columns = np.nonzero((spectrum >= np.max(around, axis=0))[:, _PADDED // 2 :])
    columns = columns + _PADDED // 2
    order = np.argsort(-spectrum[rows, columns], kind="stable")[:count]
    return [((columns[i] - _PADDED // 2) / _PADDED, (rows[i] - _PADDED // 2) / _PADDED) for i in order]


@dataclass(frozen=True)
class Tuning:
    """How strongly a pattern answers gratings of full contrast.

    amplitudes: (ORIENTATIONS, FREQUENCIES), at the best phase of each. frequency: of the strongest, cycles a pixel.
    orientation: degrees, the mean direction of the spectrum's energy; selectivity: how much of the energy agrees on it,
    1 less the circular variance: 0 where it is spread evenly, 1 on one orientation alone, (r - 1) / (r + 1) for a hill
    r times as long as broad. octaves: how far apart the frequencies are at which the strongest answer is halved, at its
    orientation; None where it is not halved on one of the sides, as with a blob.
    """

    amplitudes: np.ndarray
    frequency: float
    orientation: float
    selectivity: float
    octaves: float | None


def tuning_of(pattern: np.ndarray) -> Tuning:
    """Measure a pattern (height, width), such as `plane_of(kernel).pattern` or a `Gabor.drawn`."""
    x, y = (axis.ravel() for axis in _grid(*pattern.shape))
    orientations = np.arange(ORIENTATIONS) * 180 / ORIENTATIONS
    frequencies = np.linspace(0, 0.5, FREQUENCIES)
    waves = np.radians(90 - orientations)
    turns = 2 * np.pi * (np.multiply.outer(np.cos(waves), x) + np.multiply.outer(np.sin(waves), y))
    amplitudes = np.abs(np.exp(-1j * frequencies[None, :, None] * turns[:, None, :]) @ pattern.ravel())
    best, at = np.unravel_index(amplitudes.argmax(), amplitudes.shape)
    # A ring of the plane of frequencies is as long as its radius.
    energy = (frequencies * amplitudes**2).sum(axis=1)
    mean = (energy * np.exp(2j * np.radians(orientations))).sum() / energy.sum()
    return Tuning(
        amplitudes,
        float(frequencies[at]),
        math.degrees(np.angle(mean)) / 2 % 180,
        float(abs(mean)),
        _octaves(frequencies, amplitudes[best], int(at)),
    )


def _octaves(frequencies: np.ndarray, answers: np.ndarray, at: int) -> float | None:
    half = answers[at] / 2
    below, above = np.nonzero(answers[:at] < half)[0], np.nonzero(answers[at:] < half)[0]
    if not len(below) or not len(above):
        return None
    ends = []
    for inside, outside in ((below[-1] + 1, below[-1]), (at + above[0] - 1, at + above[0])):
        part = (answers[inside] - half) / (answers[inside] - answers[outside])
        ends.append(frequencies[inside] + part * (frequencies[outside] - frequencies[inside]))
    return float(math.log2(ends[1] / ends[0])) if ends[0] > 0 else None
