"""Statistics of images, on made images with known answers and against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from alexnet_lib.augment import PixelScale
from alexnet_lib.errors import SettingError
from alexnet_lib.measures.images import (
    EDGES,
    MEANS,
    correlation_by_distance,
    edge_energy,
    grey,
    local_contrast,
    mean_image,
    patch_statistics,
    scale_by_mean,
    subtract_local_mean,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def pearson(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(np.corrcoef(x.double().flatten().numpy(), y.double().flatten().numpy())[0, 1])


@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_the_correlation_is_numpys_pair_by_pair(axis: str) -> None:
    images = drawn(5, 3, 9, 11)
    images[:, :, :, 1:] = images[:, :, :, 1:] // 2 + images[:, :, :, :-1] // 2
    turned = images if axis == "horizontal" else images.transpose(2, 3)
    for distance in (0, 1, 2, 7):
        width = turned.shape[3] - distance
        wanted = np.mean([pearson(turned[:, c, :, :width], turned[:, c, :, distance:]) for c in range(3)])
        (got,) = correlation_by_distance(images, [distance], axis)
        assert float(got) == pytest.approx(wanted, abs=1e-6)


def test_a_moving_average_has_the_correlation_of_its_overlap() -> None:
    """The mean of m neighbours in a row of independent numbers: 1 - d/m up to d = m, then 0."""
    noise = torch.randn(60, 1, 64, 71, generator=torch.Generator().manual_seed(0))
    images = noise.unfold(3, 8, 1).mean(-1)
    got = correlation_by_distance(images, [0, 2, 4, 8, 16]).tolist()
    assert got == pytest.approx([1, 0.75, 0.5, 0, 0], abs=0.02)
    assert correlation_by_distance(images, [1, 8], "vertical").abs().max() < 0.02


def test_an_images_own_brightness_correlates_at_any_distance_until_it_is_taken_away() -> None:
    generator = torch.Generator().manual_seed(0)
    brightness = 30 * torch.randn(2000, 1, 1, 1, generator=generator)
    images = brightness + 30 * torch.randn(2000, 1, 8, 8, generator=generator)
    far = [float(correlation_by_distance(images, [6], around=around)) for around in ("set", "image")]
    assert far == pytest.approx([0.5, -1 / 63], abs=0.03)  # within an image, 64 numbers that add up to 0


def test_what_cannot_correlate_is_refused() -> None:
    with pytest.raises(SettingError, match="distance 8 does not fit into 8 pixels"):
        correlation_by_distance(drawn(2, 1, 9, 8), [1, 8])
    with pytest.raises(SettingError, match="axis 'up'"):
        correlation_by_distance(drawn(2, 1, 9, 8), [1], "up")
    with pytest.raises(SettingError, match="does not vary"):
        correlation_by_distance(torch.full((2, 1, 8, 8), 7, dtype=torch.uint8), [1])
    assert correlation_by_distance(drawn(2, 1, 9, 8), []).shape == (0,)


def test_patches_have_the_means_and_deviations_of_a_plain_loop() -> None:
    images = drawn(3, 1, 9, 13)
    got = patch_statistics(images, 4)
    assert got.mean.shape == got.deviation.shape == (2, 3) and got.edges.shape == (2, 3, 4)
    for row in range(2):
        for column in range(3):
            patches = images[:, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].double().flatten(1)
            assert float(got.mean[row, column]) == pytest.approx(float(patches.mean()), rel=1e-5)
            variance = float(patches.var(1, correction=0).mean())
            assert float(got.deviation[row, column]) == pytest.approx(variance**0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("edge", "across", "down"),
    [
        ("horizontal", 0, 3),
        ("rising", 2, 2),
        ("vertical", -3, 0),
        ("falling", 2, -2),
        ("vertical", 3, 1),
    ],
)
def test_a_ramp_has_all_its_energy_in_one_direction(edge: str, across: int, down: int) -> None:
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    ramp = (across * columns + down * rows)[None, None].double()
    energy = edge_energy(ramp)[0]
    wanted = torch.zeros(4, 8, 8, dtype=torch.float64)
    wanted[EDGES.index(edge)] = across**2 + down**2
    torch.testing.assert_close(energy, wanted)
    shares = patch_statistics(ramp, 4).edge_shares
    assert shares[..., EDGES.index(edge)].tolist() == [[1, 1], [1, 1]]


def test_the_rim_of_noise_has_no_more_edges_than_its_middle() -> None:
    noise = torch.randn(2000, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    edges = patch_statistics(noise, 4).edges
    assert float(edges.amax() / edges.amin()) < 1.1


def test_a_rising_edge_is_one_that_goes_up_to_the_right() -> None:
    rows, columns = torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij")
    stroke = (rows + columns > 8).double()[None, None]  # its border runs from the lower left to the upper right
    assert int(edge_energy(stroke).sum((0, 2, 3)).argmax()) == EDGES.index("rising")


def test_brightness_weighs_the_channels_and_many_blocks_are_one() -> None:
    images = torch.zeros(1, 3, 2, 2)
    images[0, 0], images[0, 1], images[0, 2] = 100, 10, 1
    assert grey(images)[0, 0, 0, 0].item() == pytest.approx(29.9 + 5.87 + 0.114)
    many = drawn(600, 3, 4, 4)
    parts = [patch_statistics(some, 2).mean * len(some) for some in many.split(100)]
    torch.testing.assert_close(patch_statistics(many, 2).mean, sum(parts) / 600)
    with pytest.raises(SettingError, match="patches of 5 pixels"):
        patch_statistics(many, 5)


def test_the_four_means_are_those_of_numpy() -> None:
    images = drawn(50, 3, 5, 7)
    pixels = images.double().numpy()
    wanted = {
        "pixel": pixels.mean(0),
        "channel": pixels.mean((0, 2, 3))[:, None, None],
        "number": pixels.mean(),
        "none": 0.0,
    }
    assert set(wanted) == set(MEANS)
    for kind, mean in wanted.items():
        got = mean_image(images, kind)
        assert got.shape == (3, 5, 7) and got.dtype == torch.float32
        np.testing.assert_allclose(got.numpy(), np.broadcast_to(mean, (3, 5, 7)), atol=1e-4)
        scaled = scale_by_mean(images, kind)(images)
        np.testing.assert_allclose(scaled.numpy(), pixels - mean, atol=2e-4)
    assert torch.equal(scale_by_mean(images, "pixel")(images), PixelScale.fit(images)(images))
    with pytest.raises(SettingError, match="a mean per 'image' is not known"):
        mean_image(images, "image")


def test_crops_take_the_means_centre() -> None:
    images = drawn(20, 3, 8, 8)
    for kind in MEANS:
        scale = scale_by_mean(images, kind)
        assert torch.equal(scale(images[..., 2:6, 2:6]), scale(images)[..., 2:6, 2:6])


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
        ours = [
            some[i].double()
            for some in (subtract_local_mean(images, window, sigma), local_contrast(images, window, sigma))
        ]
        torch.testing.assert_close(ours[0], subtracted, rtol=0, atol=1e-3)
        torch.testing.assert_close(ours[1], divided, rtol=0, atol=1e-4)


def test_a_plain_image_becomes_0_up_to_the_rim() -> None:
    plain = torch.full((1, 3, 12, 12), 137, dtype=torch.uint8)
    for out in (subtract_local_mean(plain), local_contrast(plain)):
        assert out.abs().max() < 1e-3


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
