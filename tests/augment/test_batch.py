"""The whole training batch against plain loops, and against torchvision's transforms image by image."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from alexnet_lib.augment import AugmentBatch, ColorPCA, PCALighting, PixelScale, random_crop_reflect
from alexnet_lib.augment.transforms import Augment, Lighting, MinusMean, RandomCropReflect
from alexnet_lib.errors import SettingError

IMAGES = torch.randint(0, 256, (6, 3, 9, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SCALE = PixelScale.fit(IMAGES)
LIGHTING = PCALighting(ColorPCA.fit(IMAGES), divide=1.1)
BATCH = AugmentBatch(5, SCALE, LIGHTING)
VARIANTS = [
    BATCH,
    replace(BATCH, lighting=None),
    replace(BATCH, reflect=False, lighting=PCALighting(ColorPCA.fit(IMAGES))),
    replace(BATCH, scale=replace(SCALE, deviation=60.0)),
    replace(BATCH, mean_at="crop"),
    replace(BATCH, padding=2),
]


def slow(augment: AugmentBatch, images: torch.Tensor, seed: int) -> torch.Tensor:
    """The same draws in the same order, then one pixel at a time in Python's numbers."""
    generator, (n, _, height, width), size = torch.Generator().manual_seed(seed), images.shape, augment.size
    room = 2 * augment.padding - size + 1
    tops = torch.randint(height + room, (n,), generator=generator).tolist()
    lefts = torch.randint(width + room, (n,), generator=generator).tolist()
    mirrored = (torch.rand(n, generator=generator) < 0.5).tolist() if augment.reflect else [False] * n
    shifts, divide = [[0.0] * 3] * n, augment.scale.deviation
    if augment.lighting:
        pca, divide = augment.lighting.pca, divide * augment.lighting.divide
        alphas = torch.randn(n, 3, generator=generator).double() * 0.1
        shifts = [(pca.eigenvectors @ (a * pca.eigenvalues.sqrt())).tolist() for a in alphas]
    mean, out = augment.scale.mean, torch.zeros(n, 3, size, size)
    down, right = (mean.shape[1] - size) // 2, (mean.shape[2] - size) // 2
    for i in range(n):
        for r in range(size):
            for c in range(size):
                row, column = tops[i] + r, lefts[i] + (size - 1 - c if mirrored[i] else c)
                y, x = row - augment.padding, column - augment.padding
                inside = 0 <= y < height and 0 <= x < width
                for channel in range(3):
                    pixel = images[i, channel, y, x].item() if inside else 0
                    at = (row, column) if augment.mean_at == "crop" else (down + r, right + c)
                    out[i, channel, r, c] = (pixel - mean[channel, *at].item() + shifts[i][channel]) / divide
    return out


@pytest.mark.parametrize("augment", VARIANTS)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_batch_is_that_of_a_plain_loop(augment: AugmentBatch, order: torch.memory_format) -> None:
    images = IMAGES.contiguous(memory_format=order)
    made = augment(images, torch.Generator().manual_seed(7))
    assert made.dtype == torch.float32 and made.is_contiguous(memory_format=order)
    assert torch.allclose(made, slow(augment, IMAGES, 7), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("augment", VARIANTS)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_all_at_once_is_image_after_image(augment: AugmentBatch, order: torch.memory_format) -> None:
    """What runs on a GPU, run here: the same numbers to the last bit."""
    images = IMAGES.contiguous(memory_format=order)
    draws = augment.draw(6, 9, 12, torch.Generator().manual_seed(1))
    for one in (augment, replace(augment, dtype=torch.bfloat16)):
        by_image = one.apply(images, draws)
        assert torch.equal(one.apply(images, draws, out=torch.full_like(by_image, 7.0)), by_image)
        padded = torch.nn.functional.pad(images, (one.padding,) * 4)
        shifts = one.lighting.shifts(draws.alphas) if one.lighting else torch.zeros(6, 3)
        if order == torch.channels_last:
            padded = padded.contiguous(memory_format=order)
        at_once = one._at_once(padded, draws, shifts)
        assert at_once.dtype == one.dtype and torch.equal(at_once, by_image)
        assert at_once.is_contiguous(memory_format=order)


@pytest.mark.parametrize("augment", VARIANTS)
def test_one_image_at_a_time_gives_the_batchs_bits(augment: AugmentBatch) -> None:
    draws = augment.draw(6, 9, 12, torch.Generator().manual_seed(3))
    batch, one = augment.apply(IMAGES, draws), Augment(augment)
    for number, image in enumerate(IMAGES):
        assert torch.equal(one.transform(image, {"draws": draws.of(number)}), batch[number])


def test_the_chain_of_transforms_gives_the_batchs_bits() -> None:
    draws = BATCH.draw(6, 9, 12, torch.Generator().manual_seed(3))
    batch = BATCH.apply(IMAGES, draws)
    crop, less, light = RandomCropReflect(5), MinusMean(SCALE), Lighting(LIGHTING)
    for number, image in enumerate(IMAGES):
        drawn = zip(("top", "left", "mirrored"), (value[number].item() for value in draws[:3]), strict=True)
        lit = less.transform(crop.transform(image, dict(drawn)), {})
        assert torch.equal(light.transform(lit, {"alphas": draws.of(number).alphas}), batch[number])


def test_a_chain_and_the_whole_draw_alike_from_one_generator() -> None:
    generators = [torch.Generator().manual_seed(5) for _ in range(3)]
    shared = generators[0]
    chain = v2.Compose([RandomCropReflect(5, generator=shared), MinusMean(SCALE), Lighting(LIGHTING, shared)])
    whole = Augment(BATCH, generators[1])
    for image in IMAGES:
        made = chain(image)
        assert torch.equal(made, whole(image))
        assert torch.equal(made, BATCH(image[None], generators[2])[0])


def test_they_work_in_a_data_loader_with_labels_and_workers() -> None:
    chain = v2.Compose([RandomCropReflect(5), MinusMean(SCALE), Lighting(LIGHTING)])
    data = [(image, number) for number, image in enumerate(IMAGES)]

    loader = DataLoader(data, 3, num_workers=2, collate_fn=lambda pairs: _stacked([chain(*pair) for pair in pairs]))
    torch.manual_seed(0)
    batches = list(loader)
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(6))
    made = torch.cat([images for images, _ in batches])
    assert made.shape == (6, 3, 5, 5) and made.dtype == torch.float32
    assert len({tuple(image.flatten().tolist()) for image in made}) == 6


def _stacked(pairs: list[tuple[torch.Tensor, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([image for image, _ in pairs]), torch.tensor([label for _, label in pairs])


def test_the_crops_of_a_seed_are_those_of_random_crop_reflect() -> None:
    plain = AugmentBatch(5, PixelScale(torch.zeros(3, 9, 12)), LIGHTING)
    draws = plain.draw(6, 9, 12, torch.Generator().manual_seed(2))
    crops = random_crop_reflect(IMAGES, 5, generator=torch.Generator().manual_seed(2))
    dark = AugmentBatch(5, PixelScale(torch.zeros(3, 9, 12))).apply(IMAGES, draws)
    assert torch.equal(dark, crops.float())


def test_with_nothing_random_it_is_the_pixel_scale() -> None:
    whole = AugmentBatch(9, PixelScale(SCALE.mean[:, :, 1:10], 50.0), reflect=False)
    images = IMAGES[:, :, :, 1:10]
    assert torch.allclose(whole(images), whole.scale(images), rtol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("augment", VARIANTS)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_gpu_makes_the_same_batch(augment: AugmentBatch, order: torch.memory_format) -> None:
    images = IMAGES.contiguous(memory_format=order)
    here = augment(images, torch.Generator().manual_seed(4))
    there = augment(images.cuda(), torch.Generator().manual_seed(4))
    assert there.is_cuda and there.is_contiguous(memory_format=order)
    assert torch.allclose(there.cpu(), here, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_memory_that_is_given_is_written_to(order: torch.memory_format) -> None:
    images = IMAGES.contiguous(memory_format=order)
    memory = torch.empty(6, 3, 5, 5).contiguous(memory_format=order)
    made = BATCH(images, torch.Generator().manual_seed(7), out=memory)
    assert made is memory and torch.equal(made, BATCH(images, torch.Generator().manual_seed(7)))


@pytest.mark.parametrize(
    "out, says",
    [
        (torch.empty(5, 3, 5, 5), "shape"),
        (torch.empty(6, 3, 5, 5, dtype=torch.bfloat16), "dtype"),
        (torch.empty(6, 3, 5, 5, device="meta"), "device"),
        (torch.empty(6, 3, 5, 5, memory_format=torch.channels_last), "otherwise in memory"),
    ],
)
def test_memory_that_does_not_fit_is_refused(out: torch.Tensor, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        BATCH(IMAGES, out=out)


def test_what_cannot_be_augmented_is_refused() -> None:
    for images, says in (
        (IMAGES.float(), "give bytes"),
        (IMAGES[:, :1], "red, green and blue"),
        (IMAGES[:0], "no images"),
        (IMAGES[:, :, :4], "does not fit into images of 4 x 12"),
    ):
        with pytest.raises(SettingError, match=says):
            BATCH(images)
    with pytest.raises(SettingError, match="mean_at 'corner'"):
        replace(BATCH, mean_at="corner")
    with pytest.raises(SettingError, match="float16"):
        replace(BATCH, dtype=torch.float16)
    with pytest.raises(SettingError, match="padding -1"):
        replace(BATCH, padding=-1)
    with pytest.raises(SettingError, match="does not fit into 9 x 12"):
        replace(BATCH, size=10)
    with pytest.raises(SettingError, match="needs them alike"):
        replace(BATCH, mean_at="crop", padding=1)(IMAGES)


def test_what_is_no_image_is_refused_by_the_transforms() -> None:
    crop = RandomCropReflect(5)
    with pytest.raises(SettingError, match="RandomCropReflect was given torch.float32"):
        crop(IMAGES[0].float())
    with pytest.raises(SettingError, match=r"given torch.uint8 \(1, 9, 12\)"):
        crop(IMAGES[0, :1])
    with pytest.raises(SettingError, match="no image"):
        crop(IMAGES)
    with pytest.raises(SettingError, match="does not fit"):
        RandomCropReflect(10)(IMAGES[0])
    with pytest.raises(SettingError, match="put MinusMean first"):
        Lighting(LIGHTING)(IMAGES[0])
    with pytest.raises(SettingError, match="only subtracts"):
        MinusMean(PixelScale(SCALE.mean, 2.0))
    assert Lighting(PCALighting(LIGHTING.pca))(IMAGES[0]).dtype == torch.float32
