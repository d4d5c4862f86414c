"""Contrast normalisation, against plain loops and on images whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.images import global_contrast, local_contrast, subtract_local_mean


def drawn(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def slow_local(image: torch.Tensor, window: int, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """One image (C, H, W) after the subtraction and after the division, by loops over places and neighbours."""
    channels, height, width = image.shape
    x, half = image.double(), window // 2

    def mean_around(values: torch.Tensor, row: int, column: int) -> float:
        total = weights = 0.0
        for r in range(max(0, row - half), min(height, row + half + 1)):
            for c in range(max(0, column - half), min(width, column + half + 1)):
                w = math.exp(-((r - row) ** 2 + (c - column) ** 2) / (2 * sigma**2))
                total += w * float(values[:, r, c].mean())
                weights += w
        return total / weights

    places = [(r, c) for r in range(height) for c in range(width)]
    v, s = torch.empty_like(x), torch.empty(height, width, dtype=torch.float64)
    for r, c in places:
        v[:, r, c] = x[:, r, c] - mean_around(x, r, c)
    for r, c in places:
        s[r, c] = mean_around(v.square(), r, c) ** 0.5
    return v, v / s.clamp(min=float(s.mean()))


@pytest.mark.parametrize(("window", "sigma"), [(5, 1.5), (9, None)])
def test_the_local_one_is_that_of_a_plain_loop(window: int, sigma: float | None) -> None:
    images = drawn(2, 3, 8, 11)
    for i, image in enumerate(images):
        subtracted, divided = slow_local(image, window, sigma or window / 4)
        ours = [some[i].double() for some in (subtract_local_mean(images, window, sigma),
                                              local_contrast(images, window, sigma))]  # fmt: skip
        torch.testing.assert_close(ours[0], subtracted, rtol=0, atol=1e-3)
        torch.testing.assert_close(ours[1], divided, rtol=0, atol=1e-4)


def test_the_global_one_has_mean_0_and_deviation_1_in_every_image() -> None:
    images = drawn(4, 3, 8, 8)
    images[1] //= 16
    out = global_contrast(images)
    assert out.mean((1, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(out.square().mean((1, 2, 3)), torch.ones(4))
    twice = global_contrast(3.0 * images + 20)
    torch.testing.assert_close(twice, out, rtol=0, atol=1e-5)


def test_a_plain_image_becomes_0_up_to_the_rim() -> None:
    plain = torch.full((1, 3, 12, 12), 137, dtype=torch.uint8)
    for out in (global_contrast(plain), subtract_local_mean(plain), local_contrast(plain)):
        assert out.abs().max() < 1e-3


def test_a_shadow_over_one_half_goes_away_locally_and_stays_globally() -> None:
    texture = 20 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    light = torch.ones(1, 1, 64, 64)
    light[..., 32:] = 0.25
    shaded = light * (texture + 120)
    lit, dark = ((..., slice(8, 56), slice(start, start + 16)) for start in (8, 40))
    whole, local = global_contrast(shaded), local_contrast(shaded)
    assert whole[lit].mean() - whole[dark].mean() > 1.5  # the dark half is as dark as before
    assert (local[lit].mean() - local[dark].mean()).abs() < 0.1
    contrasts = [float(out[dark].std() / out[lit].std()) for out in (shaded, whole, local)]
    assert contrasts[0] == pytest.approx(contrasts[1]) and contrasts[2] > 1.25 * contrasts[1]


def test_places_with_less_contrast_than_the_images_mean_are_not_blown_up() -> None:
    image = torch.zeros(1, 1, 40, 40)
    image[..., 20:] = 100 * torch.randn(40, 20, generator=torch.Generator().manual_seed(0))
    image[..., :20] = 0.1 * torch.randn(40, 20, generator=torch.Generator().manual_seed(1))
    assert local_contrast(image)[..., :10].std() < 0.01


def test_colours_keep_their_differences() -> None:
    images = drawn(1, 3, 9, 9).float()
    out = subtract_local_mean(images)
    torch.testing.assert_close(out[:, 0] - out[:, 2], images[:, 0] - images[:, 2], rtol=0, atol=1e-3)


@pytest.mark.parametrize(("window", "sigma"), [(4, None), (1, None), (5, 0.0), (5, -1.0)])
def test_wrong_windows_are_refused(window: int, sigma: float | None) -> None:
    for normalise in (subtract_local_mean, local_contrast):
        with pytest.raises(SettingError, match="must be odd"):
            normalise(drawn(1, 1, 8, 8), window, sigma)
    with pytest.raises(SettingError, match="floor 0"):
        global_contrast(drawn(1, 1, 8, 8), floor=0)
