"""Jitter against torchvision's functions, image by image."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.v2 import functional

from alexnet_lib.augment.jitter import ColorJitter
from alexnet_lib.errors import SettingError

IMAGES = torch.randint(0, 256, (6, 3, 7, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_each_image_is_what_torchvision_makes_of_it(order: torch.memory_format) -> None:
    jitter, seed = ColorJitter(), 3
    made = jitter(IMAGES.contiguous(memory_format=order), torch.Generator().manual_seed(seed))
    factors = jitter.draw(6, torch.Generator().manual_seed(seed))
    assert made.dtype == torch.float32 and len(set(factors[:, 0].tolist())) == 6
    for image, factor, one in zip(IMAGES, factors.tolist(), made, strict=True):
        theirs = functional.adjust_brightness(image / 255, factor[0])
        theirs = functional.adjust_contrast(theirs, factor[1])
        theirs = functional.adjust_saturation(theirs, factor[2]) * 255
        assert torch.allclose(one, theirs, atol=0.02)


def test_factors_are_even_between_their_ends() -> None:
    factors = ColorJitter(0.1, 0.4, 0.0).draw(20_000, torch.Generator().manual_seed(0))
    low, high = factors.amin(0), factors.amax(0)
    assert torch.allclose(low, torch.tensor([0.9, 0.6, 1.0]), atol=1e-3)
    assert torch.allclose(high, torch.tensor([1.1, 1.4, 1.0]), atol=1e-3)
    assert torch.allclose(factors.mean(0), torch.ones(3), atol=0.01)
    assert factors[:, 1].std().item() == pytest.approx(0.8 / 12**0.5, rel=0.03)


def test_without_jitter_bytes_stay_what_they_are() -> None:
    assert torch.allclose(ColorJitter(0, 0, 0)(IMAGES), IMAGES.float(), atol=1e-4)


def test_what_cannot_be_jittered_is_refused() -> None:
    with pytest.raises(SettingError, match="give 0 to 1"):
        ColorJitter(brightness=1.5)
    with pytest.raises(SettingError, match="give bytes"):
        ColorJitter()(IMAGES.float())
