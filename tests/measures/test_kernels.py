"""Measures of first-layer kernels: drawn kernels whose measures are known, and noise, which has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.gabor import Gabor, fit_gabor, plane_of, tuning_of
from alexnet_lib.measures.kernels import (
    GREY_CHANCE,
    colour_share,
    measure,
    noise_as_smooth,
    noise_fits,
    noise_line,
    specialisation,
)

GREY = (3**-0.5,) * 3
PURPLE, OPPONENT = (0.8, 0.0, 0.6), (0.8, -0.6, 0.0)


def gabor(orientation: float = 30, frequency: float = 0.2, phase: float = 40, **more) -> Gabor:
    settings = {"across": 2.0, "along": 2.6, "x": 0.6, "y": -0.9, "amplitude": 0.3, "fit": 1.0, "colour": PURPLE}
    return Gabor(orientation, frequency, phase, **{**settings, **more})


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn((count, 3, 11, 11), generator=torch.Generator().manual_seed(seed))


def turned(one: float, other: float, whole: float) -> float:
    """How far apart two angles are on a circle of `whole` degrees."""
    return abs((one - other + whole / 2) % whole - whole / 2)


@pytest.mark.parametrize("orientation", [0, 7, 45, 90, 133, 179])
@pytest.mark.parametrize(("frequency", "phase"), [(0.12, -130), (0.2, 40), (0.33, 90)])
def test_the_fit_recovers_a_drawn_gabor(orientation: float, frequency: float, phase: float) -> None:
    drawn = gabor(orientation, frequency, phase)
    found = fit_gabor(drawn.kernel(11, 11))
    assert turned(found.orientation, orientation, 180) < 0.05
    assert found.frequency == pytest.approx(frequency, abs=1e-4)
    # A phase is told from one end of the wave; the other end tells it with the other sign.
    assert min(turned(found.phase, phase, 360), turned(found.phase, -phase, 360)) < 0.1
    for name in ("across", "along", "x", "y", "amplitude"):
        assert getattr(found, name) == pytest.approx(getattr(drawn, name), abs=2e-3), name
    assert found.colour == pytest.approx(PURPLE, abs=1e-5) and found.fit > 0.99999
    assert torch.allclose(found.kernel(11, 11), drawn.kernel(11, 11), atol=1e-4)


def test_the_fit_holds_under_noise_and_says_how_much_is_left() -> None:
    drawn = gabor(120, 0.18)
    clean = drawn.kernel(11, 11)
    kernel = clean + 0.5 * clean.std() * noise(1)[0]
    found = fit_gabor(kernel)
    assert turned(found.orientation, 120, 180) < 3 and found.frequency == pytest.approx(0.18, abs=0.01)
    share = 1 - float((kernel - clean).pow(2).sum() / kernel.pow(2).sum())
    assert share - 0.02 < found.fit < share + 0.08, "a fit has the drawn kernel's energy, and a little of the noise"


def test_the_fit_is_the_energy_that_its_kernel_takes_away() -> None:
    kernel = noise(1, seed=3)[0]
    found = fit_gabor(kernel)
    left = (kernel - found.kernel(11, 11)).double().pow(2).sum() / kernel.double().pow(2).sum()
    assert found.fit == pytest.approx(1 - float(left), abs=1e-5)


def test_angles_are_as_one_sees_them() -> None:
    upright = torch.zeros(3, 11, 11)
    upright[:, :, 5] = 1
    assert turned(fit_gabor(upright).orientation, 90, 180) < 0.1
    assert turned(fit_gabor(upright.transpose(1, 2)).orientation, 0, 180) < 0.1
    rising = torch.eye(11).flip(1).expand(3, 11, 11)  # from the lower left to the upper right
    assert turned(fit_gabor(rising).orientation, 45, 180) < 0.1
    assert tuning_of(plane_of(rising).pattern).orientation == pytest.approx(45, abs=1)


def test_colour_shares() -> None:
    grey = torch.randn(11, 11).expand(1, 3, 11, 11)
    assert colour_share(grey) == pytest.approx(0, abs=1e-12)
    red = torch.zeros(1, 3, 11, 11)
    red[:, 0] = torch.randn(11, 11)
    assert colour_share(red) == pytest.approx(2 / 3)
    opponent = red.clone()
    opponent[:, 1] = -red[:, 0]
    assert colour_share(opponent) == pytest.approx(1)
    assert colour_share(7 * grey + opponent) == pytest.approx(
        float(opponent.pow(2).sum() / (7 * grey + opponent).pow(2).sum()), abs=1e-6
    ), "grey and colour are at right angles"
    assert float(colour_share(noise(400)).mean()) == pytest.approx(GREY_CHANCE, abs=0.01)
    assert gabor(colour=GREY).colour_share == pytest.approx(0)
    assert gabor().colour_share == pytest.approx(float(colour_share(gabor().kernel(11, 11)[None])))


def test_a_plane_has_the_best_rank_one_share() -> None:
    kernel = noise(1, seed=5)[0].double()
    plane = plane_of(kernel)
    left = kernel - torch.from_numpy(np.multiply.outer(plane.colour, plane.pattern))
    assert plane.share == pytest.approx(1 - float(left.pow(2).sum() / kernel.pow(2).sum()))
    assert np.linalg.norm(plane.colour) == pytest.approx(1) and plane.colour[np.abs(plane.colour).argmax()] > 0


def test_tuning_of_a_grating_and_of_a_blob() -> None:
    found = tuning_of(gabor(60, 0.25, across=3, along=3).drawn(11, 11))
    assert found.orientation == pytest.approx(60, abs=1) and found.frequency == pytest.approx(0.25, abs=0.02)
    assert found.selectivity > 0.6
    # A hill of deviation s has one of deviation 1 / (2 pi s) for its spectrum: half as high 1.177 of those away.
    width = math.sqrt(2 * math.log(2)) / (2 * math.pi * 3)
    wide = tuning_of(gabor(60, 0.25, across=3, along=3, x=0, y=0).drawn(41, 41))
    assert wide.octaves == pytest.approx(math.log2((0.25 + width) / (0.25 - width)), abs=0.05)
    blob = tuning_of(gabor(60, 0, 0, across=2.5, along=2.5, x=0, y=0).drawn(11, 11))
    assert blob.frequency == 0 and blob.selectivity < 0.01 and blob.octaves is None
    for times in (2, 3):
        hill = tuning_of(gabor(60, 0, 0, across=1.5, along=1.5 * times, x=0, y=0).drawn(41, 41))
        assert hill.selectivity == pytest.approx((times - 1) / (times + 1), abs=0.015)
        assert hill.orientation == pytest.approx(60, abs=0.01)


def test_kinds() -> None:
    blob = {"across": 2.5, "along": 2.5}
    kernels = torch.stack(
        [
            gabor(60, 0.25, across=3, along=3).kernel(11, 11),
            gabor(60, 0, 0, colour=OPPONENT, **blob).kernel(11, 11),
            gabor(60, 0, 0, colour=GREY, **blob).kernel(11, 11),
            noise(1)[0],
        ]
    )
    found = measure(kernels, line=0.2)
    assert [one.kind for one in found] == ["oriented", "coloured blob", "grey blob", "neither"]
    assert found[2].colour == pytest.approx(0, abs=1e-6)


def test_noise_is_rarely_more_than_the_line() -> None:
    line = noise_line(11, 11, count=60, quantile=0.9)
    over = [one.kind != "neither" for one in measure(noise(60, seed=9), line)]
    assert 0.02 < line < 0.2 and sum(over) <= 15, "about 6 are expected"


def rings_of(pattern: np.ndarray) -> np.ndarray:
    """The energy of a pattern at each distance from frequency 0, in steps of one cycle in its width."""
    turns = np.fft.fftfreq(11) * 11
    distance = np.hypot(*np.meshgrid(turns, turns)).round().astype(int)
    return np.bincount(distance.ravel(), (np.abs(np.fft.fft2(pattern)) ** 2).ravel())


def test_noise_as_smooth_has_the_kernels_spectrum_and_colours_and_no_orientation() -> None:
    kernel = gabor(60, 0.2, colour=PURPLE).kernel(11, 11)
    drawn = noise_as_smooth(kernel.expand(400, 3, 11, 11), seed=1)
    assert torch.equal(drawn, noise_as_smooth(kernel.expand(400, 3, 11, 11), seed=1))
    assert drawn.pow(2).sum(dim=(1, 2, 3)).numpy() == pytest.approx(float(kernel.pow(2).sum()), rel=1e-4)
    assert colour_share(drawn) == pytest.approx(float(colour_share(kernel[None])), abs=1e-4)
    planes = [plane_of(one) for one in drawn]
    assert np.mean([plane.colour for plane in planes], axis=0) == pytest.approx(PURPLE, abs=1e-3)
    energy = np.mean([rings_of(plane.pattern) for plane in planes], axis=0)
    assert energy == pytest.approx(rings_of(plane_of(kernel).pattern), abs=0.05 * energy.sum())
    angles = np.radians(2 * np.array([tuning_of(plane.pattern).orientation for plane in planes]))
    assert abs(np.exp(1j * angles).mean()) < 0.15, "no orientation is more frequent than another"


def test_the_control_is_harder_than_white_noise_and_easier_than_a_gabor() -> None:
    kernels = torch.stack([gabor(angle, 0.15, angle).kernel(11, 11) for angle in range(0, 180, 15)])
    fits = [one.gabor.fit for one in measure(noise_as_smooth(kernels), line=0.1)]
    assert max(noise_fits(11, 11, count=12)) < 0.2 < np.mean(fits) < 0.95


@pytest.mark.parametrize(
    ("kernels", "said"),
    [
        (torch.ones(4, 1, 11, 11), "(n, 3, height, width)"),
        (torch.ones(3, 11, 11), "(n, 3, height, width)"),
        (torch.cat([torch.ones(1, 3, 5, 5), torch.zeros(1, 3, 5, 5)]), "kernel 1 is all zeros"),
        (torch.full((1, 3, 5, 5), math.nan), "not finite"),
    ],
)
def test_kernels_that_cannot_be_measured(kernels: torch.Tensor, said: str) -> None:
    with pytest.raises(SettingError) as raised:
        colour_share(kernels)
    assert said in str(raised.value)


def test_columns_that_differ_are_found_whichever_is_coloured() -> None:
    generator = np.random.default_rng(0)
    grey, coloured = generator.uniform(0, 0.3, 48), generator.uniform(0.3, 0.9, 48)
    one = specialisation([[*grey, *coloured], [*coloured, *grey]], draws=2000)
    assert one.p == 1 / 2001 and one.differences[0] > 0.3 and one.differences[1] == pytest.approx(-one.differences[0])
    assert one.size == pytest.approx(one.differences[0]) and one.by_chance < 0.1


def test_the_permutation_test_is_exact_on_a_case_counted_by_hand() -> None:
    """Four kernels, 0, 0, 1, 1: of the 6 dealings 2 are as far apart."""
    found = specialisation([[0, 0, 1, 1]], draws=60_000)
    assert found.size == 1 and found.p == pytest.approx(2 / 6, abs=0.01)
    assert found.by_chance == pytest.approx(2 / 6, abs=0.01)


@pytest.mark.parametrize("seeds", [1, 3])
def test_random_columns_are_found_different_as_often_as_they_may_be(seeds: int) -> None:
    generator = np.random.default_rng(1)
    found = [specialisation(generator.beta(1, 2, (seeds, 96)), draws=400, seed=trial).p for trial in range(400)]
    for level in (0.05, 0.2, 0.5):
        spread = 4 * math.sqrt(level * (1 - level) / 400)
        assert abs(np.mean(np.array(found) <= level) - level) < spread, level


@pytest.mark.parametrize("shares", [[], [[0.1, 0.2, 0.3]], [[]]])
def test_shares_that_have_no_two_columns(shares: list) -> None:
    with pytest.raises(SettingError, match="even number"):
        specialisation(shares)
