"""Colour PCA against NumPy, lighting against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alexnet_lib.augment import ColorPCA, PCALighting
from alexnet_lib.errors import SettingError


def coloured(n: int = 5, height: int = 9, width: int = 11, seed: int = 0) -> torch.Tensor:
    """Bytes whose channels go together, as those of photographs do."""
    generator = torch.Generator().manual_seed(seed)
    bright = torch.rand(n, 1, height, width, generator=generator) * 200
    own = torch.rand(n, 3, height, width, generator=generator) * torch.tensor([50.0, 20.0, 35.0])[:, None, None]
    return (bright + own).to(torch.uint8)


PCA = ColorPCA.fit(coloured())
SCALES = [("deviation", None), ("deviation", "0-1"), ("eigenvalue", "0-255"), ("eigenvalue", "0-1")]


def test_the_axes_are_those_of_numpy() -> None:
    pixels = coloured().permute(1, 0, 2, 3).reshape(3, -1).numpy().astype(np.float64)
    covariance = np.cov(pixels, bias=True)
    assert np.allclose(PCA.covariance, covariance, rtol=1e-12)
    values, vectors = np.linalg.eigh(covariance)
    assert np.allclose(PCA.eigenvalues, values[::-1])
    for ours, theirs in zip(PCA.eigenvectors.T, vectors.T[::-1], strict=True):
        assert abs(float(ours @ torch.from_numpy(theirs.copy()))) == pytest.approx(1)
        assert ours[ours.abs().argmax()] > 0
    assert torch.allclose(PCA.deviations**2, PCA.eigenvalues)
    assert torch.allclose(PCA.on_scale("0-1") * 255**2, PCA.eigenvalues)


def test_a_fit_in_blocks_and_in_any_memory_order_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet_lib.augment.color_pca.BLOCK", 150)
    again = ColorPCA.fit(coloured().contiguous(memory_format=torch.channels_last))
    assert torch.equal(again.covariance, PCA.covariance), "sums of whole numbers are exact"


def test_a_covariance_of_the_other_pixel_scale_is_the_same_pca() -> None:
    other = ColorPCA.from_covariance(PCA.covariance / 255**2, "0-1")
    assert torch.allclose(other.eigenvalues, PCA.eigenvalues, rtol=1e-12)
    assert torch.allclose(other.eigenvectors, PCA.eigenvectors, atol=1e-9)


def test_grey_pictures_in_colour_have_one_axis() -> None:
    grey = coloured()[:, :1].expand(-1, 3, -1, -1)
    pca = ColorPCA.fit(grey)
    assert torch.allclose(pca.eigenvectors[:, 0], torch.full((3,), 3**-0.5, dtype=torch.float64))
    assert pca.eigenvalues[1:].max() < 1e-9 * pca.eigenvalues[0]


@pytest.mark.parametrize("scale, pixel_scale", SCALES)
@pytest.mark.parametrize("divide", [1.0, 1.1])
def test_lighting_is_that_of_a_plain_loop(scale: str, pixel_scale: str | None, divide: float) -> None:
    """One pixel at a time, on the pixel scale that is named, and back to 0-255."""
    images, mean = coloured(3, 4, 5, seed=1), torch.tensor([120.0, 110.0, 100.0])[:, None, None]
    lighting = PCALighting(PCA, 0.1, scale, pixel_scale, divide)
    lit = lighting(images, torch.Generator().manual_seed(4), mean=mean)
    assert lit.dtype == torch.float32 and lit.shape == images.shape
    alphas = (torch.randn(3, 3, generator=torch.Generator().manual_seed(4)) * 0.1).tolist()
    top = 1.0 if pixel_scale == "0-1" else 255.0
    values = [value * (top / 255) ** 2 for value in PCA.eigenvalues.tolist()]
    for i in range(3):
        shift = [0.0, 0.0, 0.0]
        for axis in range(3):
            strength = values[axis] ** 0.5 if scale == "deviation" else values[axis]
            for channel in range(3):
                shift[channel] += PCA.eigenvectors[channel, axis].item() * alphas[i][axis] * strength
        for channel in range(3):
            for row in range(4):
                for column in range(5):
                    pixel = images[i, channel, row, column].item() / 255 * top + shift[channel]
                    wanted = (pixel * 255 / top - mean[channel].item()) / divide
                    assert lit[i, channel, row, column].item() == pytest.approx(wanted, rel=1e-5, abs=1e-3)


def test_the_spread_of_what_is_added_is_a_tenth_of_the_pixels_own() -> None:
    shifts = PCALighting(PCA).shifts(PCALighting(PCA).draw(200_000, torch.Generator().manual_seed(0)))
    assert torch.allclose(shifts.double().T.cov(), PCA.covariance / 100, rtol=0.02)
    assert shifts.mean(0).abs().max() < 0.05


def test_the_same_words_have_strengths_far_apart() -> None:
    first = {pair: PCALighting(PCA, 0.1, *pair).strengths[0].item() for pair in SCALES}
    value = PCA.eigenvalues[0].item()
    wanted = (value**0.5, value**0.5, value, value / 255)
    assert list(first.values()) == pytest.approx(wanted)


def test_an_image_is_lit_as_a_whole_and_each_by_its_own_draw() -> None:
    images = coloured(4)
    lit = PCALighting(PCA)(images, torch.Generator().manual_seed(0))
    added = (lit - images).flatten(2)
    assert (added.amax(2) - added.amin(2)).max() < 1e-4, "not one colour for all pixels of an image"
    assert len({tuple(shift) for shift in added[:, :, 0].tolist()}) == 4
    again = PCALighting(PCA)(images, torch.Generator().manual_seed(0))
    assert torch.equal(lit, again)
    assert not torch.equal(lit, PCALighting(PCA)(images, torch.Generator().manual_seed(1)))


def test_memory_order_is_kept_and_alphas_may_be_given() -> None:
    images = coloured(2).contiguous(memory_format=torch.channels_last)
    lit = PCALighting(PCA)(images, alphas=torch.zeros(2, 3))
    assert lit.is_contiguous(memory_format=torch.channels_last) and torch.equal(lit, images.float())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_adds_the_same() -> None:
    images, mean = coloured(6), torch.full((3, 1, 1), 100.0)
    for divide in (1.0, 1.1):
        lighting = PCALighting(PCA, divide=divide)
        here = lighting(images, torch.Generator().manual_seed(2), mean=mean)
        there = lighting(images.cuda(), torch.Generator().manual_seed(2), mean=mean)
        assert there.is_cuda and torch.allclose(there.cpu(), here, rtol=1e-6, atol=1e-4)
    assert torch.allclose(ColorPCA.fit(images.cuda()).covariance, PCA.fit(images).covariance, rtol=1e-12)


@pytest.mark.parametrize(
    "images, says",
    [
        (coloured().float() / 255, "give bytes"),
        (coloured()[:, :1], "red, green and blue"),
        (coloured()[0], "red, green and blue"),
        (coloured()[:0], "no images"),
    ],
)
def test_what_is_no_batch_of_colour_bytes_is_refused(images: torch.Tensor, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        ColorPCA.fit(images)
    with pytest.raises(SettingError, match=says):
        PCALighting(PCA)(images)


@pytest.mark.parametrize(
    "covariance, says",
    [
        (torch.eye(2), "3 x 3"),
        (torch.eye(3) * float("nan"), "3 x 3 finite"),
        (torch.eye(3) + torch.eye(3).roll(1, 0), "not symmetric"),
        (-torch.eye(3), "below zero"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance: torch.Tensor, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        ColorPCA.from_covariance(covariance)


def test_settings_that_say_too_little_or_nothing_are_refused() -> None:
    with pytest.raises(SettingError, match="scale 'variance'"):
        PCALighting(PCA, scale="variance")
    with pytest.raises(SettingError, match="give pixel_scale"):
        PCALighting(PCA, scale="eigenvalue")
    with pytest.raises(SettingError, match="pixel scale '0-100'"):
        PCALighting(PCA, scale="eigenvalue", pixel_scale="0-100")
    with pytest.raises(SettingError, match="pixel scale"):
        ColorPCA.from_covariance(torch.eye(3), "bytes")
    with pytest.raises(SettingError, match="deviation -0.1"):
        PCALighting(PCA, -0.1)
    with pytest.raises(SettingError, match="divide 0"):
        PCALighting(PCA, divide=0)
    with pytest.raises(SettingError, match="give the mean"):
        PCALighting(PCA, divide=1.1)(coloured())
    with pytest.raises(SettingError, match="three for each of 5"):
        PCALighting(PCA)(coloured(), alphas=torch.zeros(1, 3))
