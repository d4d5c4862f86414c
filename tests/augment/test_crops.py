"""Crops and reflections against a plain loop, pixel scaling against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alexnet_lib.augment import PixelScale, centre, pixel_statistics, random_crop_reflect
from alexnet_lib.errors import SettingError


def bytes_of(n: int, height: int = 10, width: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=generator)


def slow_crops(images: torch.Tensor, size: int, padding: int, reflect: bool, seed: int) -> torch.Tensor:
    """The same draws in the same order, then one image and one pixel at a time."""
    generator = torch.Generator().manual_seed(seed)
    n, channels, height, width = images.shape
    tops = torch.randint(height + 2 * padding - size + 1, (n,), generator=generator).tolist()
    lefts = torch.randint(width + 2 * padding - size + 1, (n,), generator=generator).tolist()
    mirrored = (torch.rand(n, generator=generator) < 0.5).tolist() if reflect else [False] * n
    out = torch.zeros(n, channels, size, size, dtype=images.dtype)
    for i in range(n):
        for r in range(size):
            for c in range(size):
                row = tops[i] + r - padding
                column = lefts[i] + (size - 1 - c if mirrored[i] else c) - padding
                if 0 <= row < height and 0 <= column < width:
                    out[i, :, r, c] = images[i, :, row, column]
    return out


@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("reflect", [True, False])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_crops_are_those_of_a_plain_loop(padding: int, reflect: bool, order: torch.memory_format) -> None:
    images = bytes_of(12)
    generator = torch.Generator().manual_seed(5)
    crops = random_crop_reflect(
        images.contiguous(memory_format=order), 7, padding=padding, reflect=reflect, generator=generator
    )
    assert crops.dtype == torch.uint8
    assert torch.equal(crops, slow_crops(images, 7, padding, reflect, seed=5))
    assert crops.is_contiguous(memory_format=torch.channels_last)


def test_floats_stay_floats() -> None:
    crops = random_crop_reflect(bytes_of(2).double() / 3, 4)
    assert crops.dtype == torch.float64 and crops.shape == (2, 3, 4, 4)


def test_every_offset_is_reached_and_none_is_favoured() -> None:
    """An image whose pixels are numbered tells where each window came from: 5 x 7 places, 200 draws each."""
    n, places = 200 * 35, torch.arange(10 * 12).reshape(1, 1, 10, 12)
    crops = random_crop_reflect(places.expand(n, 1, -1, -1), 6, reflect=False, generator=torch.manual_seed(0))
    first = crops[:, 0, 0, 0]
    counts = torch.zeros(5, 7)
    counts.index_put_((first // 12, first % 12), torch.ones(n), accumulate=True)
    assert counts.sum() == n and counts.min() > 0, "an offset is never drawn"
    chi_square = ((counts - 200).square() / 200).sum()
    assert chi_square < 65.2, "34 degrees of freedom: 1 in 1000"
    assert counts[-1, -1] > 140, "the last offset on both sides"


def test_half_of_the_images_are_reflected() -> None:
    images = torch.arange(4).reshape(1, 1, 1, 4).expand(4000, 3, 4, 4)
    crops = random_crop_reflect(images, 4, generator=torch.manual_seed(1))
    mirrored = (crops[:, 0, 0, 0] == 3).float().mean().item()
    assert mirrored == pytest.approx(0.5, abs=0.03), "four deviations of 4000 coins"
    assert torch.equal(crops[:, :, 0].sort(-1).values, images[:, :, 0]), "a pixel was lost"


def test_the_same_seed_draws_the_same_crops() -> None:
    images = bytes_of(50)
    one, again, other = (
        random_crop_reflect(images, 5, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.mark.parametrize("size, padding", [(11, 0), (13, 1), (0, 0), (-2, 0)])
def test_a_crop_that_does_not_fit_is_refused(size: int, padding: int) -> None:
    side = f"{10 + 2 * padding} x {12 + 2 * padding}"
    with pytest.raises(SettingError, match=f"a crop of {size} pixels does not fit into images of {side}"):
        random_crop_reflect(bytes_of(2), size, padding=padding)


def test_mean_image_and_deviation_are_numpys_in_float64() -> None:
    images = bytes_of(5000, 6, 6)  # more than one block of the sum
    exact = images.numpy().astype(np.float64)
    mean, deviation = pixel_statistics(images)
    np.testing.assert_allclose(mean.numpy(), exact.mean(0), rtol=1e-6)
    assert deviation == pytest.approx(np.sqrt(((exact - exact.mean()) ** 2).mean()), rel=2e-3)
    assert deviation == pytest.approx(np.sqrt(((exact - exact.mean(0)) ** 2).mean()), rel=1e-9)


def test_unit_pixels_have_mean_0_and_deviation_1() -> None:
    images = bytes_of(400) // 2 + torch.arange(3, dtype=torch.uint8).reshape(1, 3, 1, 1) * 40
    scaled = PixelScale.fit(images, "unit")(images)
    assert scaled.dtype == torch.float32
    assert scaled.std().item() == pytest.approx(1, abs=1e-3)
    assert scaled.mean(0).abs().max().item() < 1e-5


def test_the_papers_pixels_keep_their_0_to_255_scale() -> None:
    images = bytes_of(100)
    scale = PixelScale.fit(images)
    assert scale.deviation == 1.0
    np.testing.assert_allclose(scale(images).numpy(), images.numpy() - images.numpy().mean(0), atol=1e-4)


def test_scaling_keeps_the_memory_order_and_the_bytes() -> None:
    images = bytes_of(4).contiguous(memory_format=torch.channels_last)
    before = images.clone()
    scaled = PixelScale.fit(images, "unit")(images)
    assert scaled.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)


def test_crops_lose_the_centre_of_the_mean_image() -> None:
    mean = torch.arange(3 * 8 * 8, dtype=torch.float32).reshape(3, 8, 8)
    scaled = PixelScale(mean)(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    assert torch.equal(scaled[0], -mean[:, 2:6, 2:6])
    assert torch.equal(centre(mean, 2, 8)[1], mean[1, 3:5])
    assert torch.equal(centre(mean, 5, 5)[0, :, 0], mean[0, 1:6, 1])


def test_images_larger_than_the_mean_image_are_refused() -> None:
    with pytest.raises(SettingError, match="a window of 9 x 9 pixels does not fit into 8 x 8"):
        PixelScale(torch.zeros(3, 8, 8))(torch.zeros(1, 3, 9, 9, dtype=torch.uint8))


def test_an_unknown_pixel_scale_names_the_choices() -> None:
    with pytest.raises(SettingError, match="pixels '0-1' is not known; use 0-255 or unit"):
        PixelScale.fit(bytes_of(2), "0-1")
