"""What a first layer's kernels are, in numbers: colour, the best Gabor, orientation, and what sets two columns apart.

Kernels are (n, 3, height, width), colours red, green, blue. Section 6.1 and Figure 3 (claims C26, C27). Taught in
"First-layer kernels".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import torch

from ..errors import SettingError
from ..system.progress import progress
from .gabor import Gabor, Tuning, check_kernels, fit_gabor, tuning_of

GREY_CHANCE = 2 / 3  # the colour share of noise: two of three directions of colour space are not grey
SELECTIVE = 0.5  # orientation selectivity of what counts as oriented: a hill three times as long as broad has it
COLOURED = 0.5  # colour share from which it counts as coloured: likewise
KINDS = ("oriented", "coloured blob", "grey blob", "neither")


def colour_share(kernels: torch.Tensor) -> torch.Tensor:
    """The share of each kernel's energy that is not grey, (n,): 0 where its three colours are equal.

    A kernel answers an image with what it has of grey and what it has of differences between colours; energies, sums
    of squares, of the two add up. Noise has 2/3.
    """
    check_kernels(kernels)
    kernels = kernels.double()
    grey = 3 * kernels.mean(dim=1).pow(2).sum(dim=(1, 2))
    return (1 - grey / kernels.pow(2).sum(dim=(1, 2, 3))).clamp(min=0)  # rounding may leave a little under 0


@dataclass(frozen=True)
class KernelMeasures:
    """What one kernel is: the colour share of all of it, its Gabor, the Gabor's tuning, and its kind, one of KINDS."""

    colour: float
    gabor: Gabor
    tuning: Tuning
    kind: str


def measure(kernels: torch.Tensor, line: float) -> list[KernelMeasures]:
    """Measure kernels (n, 3, height, width). line: the least fit that counts as a pattern, as of `noise_line`.

    A kernel whose Gabor has less of it is "neither". One whose Gabor is selective for orientation is "oriented"; what
    is left is a blob, coloured or grey. Tuning and colour are the Gabor's, without the noise that was there at first.
    Shows a bar.
    """
    shares = colour_share(kernels).tolist()
    found = []
    for kernel, share in zip(progress(kernels, desc="kernels"), shares, strict=True):
        gabor = fit_gabor(kernel)
        tuning = tuning_of(gabor.drawn(*kernel.shape[1:]))
        found.append(KernelMeasures(share, gabor, tuning, _kind(gabor, tuning, line)))
    return found


def _kind(gabor: Gabor, tuning: Tuning, line: float) -> str:
    if gabor.fit < line:
        return "neither"
    if tuning.selectivity >= SELECTIVE:
        return "oriented"
    return "coloured blob" if gabor.colour_share >= COLOURED else "grey blob"


@cache
def noise_fits(height: int, width: int, count: int = 100, seed: int = 0) -> tuple[float, ...]:
    """The fits of so many kernels of white noise: with eight numbers to choose, a Gabor has some of any."""
    noise = torch.randn((count, 3, height, width), generator=torch.Generator().manual_seed(seed))
    return tuple(fit_gabor(kernel).fit for kernel in progress(noise, desc="kernels of noise"))


def noise_line(height: int, width: int, count: int = 100, quantile: float = 0.99, seed: int = 0) -> float:
    """The fit that only 1 - quantile of so many kernels of white noise reach (`noise_fits`).

    An easy line: noise as smooth as trained kernels is nearly always above it (`noise_as_smooth`).
    """
    return float(np.quantile(noise_fits(height, width, count, seed), quantile))


def noise_as_smooth(kernels: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Kernels of noise, as smooth and as coloured as each of these (n, 3, height, width), and with nothing else of it.

    A kernel is up to three colours, each with a pattern. Each pattern is replaced by noise that has as much of every
    spatial frequency, but in all directions alike and at any phase; colours and energies stay.
    """
    check_kernels(kernels)
    height, width = kernels.shape[2:]
    rings = np.hypot(*np.meshgrid(np.fft.fftfreq(width) * width, np.fft.fftfreq(height) * height)).round().astype(int)
    generator, made = np.random.default_rng(seed), []
    for kernel in kernels.double().numpy():
        colours, strengths, patterns = np.linalg.svd(kernel.reshape(3, -1), full_matrices=False)
        drawn = [_in_rings(pattern.reshape(height, width), rings, generator) for pattern in patterns]
        parts = zip(colours.T, strengths, drawn, strict=True)
        made.append(sum(np.multiply.outer(colour, strength * each) for colour, strength, each in parts))
    return torch.from_numpy(np.stack(made)).float()


def _in_rings(pattern: np.ndarray, rings: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Noise of length 1 whose energy in each ring of spatial frequencies is on average the pattern's."""
    energy = np.abs(np.fft.fft2(pattern)) ** 2
    mean = np.bincount(rings.ravel(), energy.ravel()) / np.bincount(rings.ravel())
    noise = np.fft.ifft2(np.fft.fft2(generator.standard_normal(pattern.shape)) * np.sqrt(mean)[rings]).real
    return noise / np.linalg.norm(noise)


def kernel_table(kernels: torch.Tensor, digits: int = 4) -> dict[str, Any]:
    """`measure` as plain lists for a record, an entry a kernel, with the line of noise; `gabors_of` reads it."""
    line = noise_line(*kernels.shape[2:])
    found = measure(kernels.float(), line)
    told = {field.name: [getattr(one.gabor, field.name) for one in found] for field in fields(Gabor)}
    colours = [[round(part, digits) for part in colour] for colour in told.pop("colour")]
    told |= {"colour_share": [one.colour for one in found], "selectivity": [one.tuning.selectivity for one in found]}
    rounded = {name: [float(f"{number:.{digits}g}") for number in numbers] for name, numbers in told.items()}
    return {"line": line, "kind": [one.kind for one in found], "colour": colours, **rounded}


def gabors_of(table: dict[str, Any]) -> list[Gabor]:
    """The Gabors of a `kernel_table`."""
    names = [field.name for field in fields(Gabor)]
    rows = zip(*(table[name] for name in names), strict=True)
    return [Gabor(**dict(zip(names, row, strict=True))) for row in rows]


@dataclass(frozen=True)
class Specialisation:
    """How far two columns' kernels are apart in colour, and how often chance alone would give as much.

    differences: by seed, the second column's mean colour share less the first's. size: the mean of what they are
    without their signs, since which column gets colour is a matter of numbering. by_chance: the mean of that size when
    kernels are dealt to the columns at random. p: the share of such dealings with at least that size.
    """

    differences: tuple[float, ...]
    size: float
    by_chance: float
    p: float


def specialisation(shares: Sequence[Sequence[float]], draws: int = 10_000, seed: int = 0) -> Specialisation:
    """Test whether columns differ. shares: by seed, the colour shares of all kernels, the first column's first.

    A permutation test: in each draw the kernels of every seed are dealt anew to its two columns. SettingError: an odd
    number of kernels, or no seeds.
    """
    chance = dealt(shares, draws, seed)
    differences = [_apart(np.asarray(one, dtype=float)) for one in shares]
    size = float(np.mean(np.abs(differences)))
    # The dealing that happened counts as one of them; and a tie in all digits but the last is a tie.
    reached = 1 + int((chance >= size - 1e-12).sum())
    return Specialisation(tuple(float(one) for one in differences), size, float(chance.mean()), reached / (draws + 1))


def dealt(shares: Sequence[Sequence[float]], draws: int = 10_000, seed: int = 0) -> np.ndarray:
    """The size of the difference in each of `draws` dealings, (draws,); arguments and errors of `specialisation`."""
    if not len(shares) or any(len(one) % 2 or not len(one) for one in shares):
        raise SettingError("specialisation needs the colour shares of an even number of kernels from each seed")
    generator, sizes = np.random.default_rng(seed), np.zeros(draws)
    for one in shares:
        mixed = generator.permuted(np.broadcast_to(np.asarray(one, dtype=float), (draws, len(one))), axis=1)
        sizes += np.abs(_apart(mixed))
    return sizes / len(shares)


def _apart(values: np.ndarray) -> np.ndarray:
    """The mean of the second half less that of the first, along the last axis."""
    half = values.shape[-1] // 2
    return values[..., half:].mean(axis=-1) - values[..., :half].mean(axis=-1)
