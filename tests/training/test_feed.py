"""Order, streams and batches: every image once a pass, the same draws from any step, shares that make up the whole."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from training_cases import small

from alexnet_lib.augment import AugmentBatch
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import SettingError
from alexnet_lib.training.feed import Feed, load_all, validation_batches
from alexnet_lib.training.seeds import Order, Share, generator, seed_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(prepared: Path) -> PreparedImages:
    return PreparedImages(prepared, "train")


def augment(images: PreparedImages) -> AugmentBatch:
    return small().make_augmentation(images.pixel_scale(), images.color_pca, 1)


def test_every_image_comes_once_a_pass_and_in_another_order() -> None:
    order = Order(23, 5, seed=1)
    first, second = order.numbers(0), order.numbers(1)
    assert order.steps == 4 and first.shape == (4, 5)
    assert len(set(first.flatten().tolist())) == 20 and set(first.flatten().tolist()) <= set(range(23))
    assert not torch.equal(first, second) and torch.equal(first, Order(23, 5, seed=1).numbers(0))
    assert not torch.equal(first, Order(23, 5, seed=2).numbers(0))
    with pytest.raises(SettingError, match="4 images do not fill one batch of 5"):
        Order(4, 5, seed=0)


def test_streams_differ_by_seed_purpose_and_number() -> None:
    seeds = {seed_of(*which) for which in ((0, "order", 0), (1, "order", 0), (0, "augment", 0), (0, "order", 1))}
    assert len(seeds) == 4 and all(0 <= seed < 2**63 for seed in seeds)


def test_a_batch_is_what_its_numbers_and_draws_make(images: PreparedImages) -> None:
    order, augmentation = Order(len(images), 12, seed=5), augment(images)
    feed = Feed(images, order, Share(), CPU)
    for step, batch in enumerate(feed.batches(2, augmentation)):
        numbers = order.numbers(2)[step]
        drawn = augmentation.draw(12, images.side, images.side, generator(5, "augment", 2 * order.steps + step))
        mean = images.mean_image[:, 4:68, 4:68]
        for row, number in enumerate(numbers.tolist()):
            image = images.images([number])[0].float()
            top, left = int(drawn.tops[row]), int(drawn.lefts[row])
            window = image[:, top : top + 64, left : left + 64]
            window = window.flip(2) if drawn.mirrored[row] else window
            shift = augmentation.lighting.shifts(drawn.alphas[row : row + 1])[0]
            assert torch.allclose(batch.pixels[row], window - mean + shift[:, None, None], atol=1e-3)
            assert batch.labels[row] == images.labels[number]
    assert step == order.steps - 1


def test_a_pass_taken_up_in_its_middle_goes_on_the_same(images: PreparedImages) -> None:
    feed = Feed(images, Order(len(images), 12, seed=0), Share(), CPU)
    whole = [batch.pixels for batch in feed.batches(1, augment(images))]
    rest = [batch.pixels for batch in feed.batches(1, augment(images), first=2)]
    assert len(rest) == len(whole) - 2 and all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


def test_shares_make_up_the_batch(images: PreparedImages) -> None:
    order = Order(len(images), 12, seed=0)
    whole = next(iter(Feed(images, order, Share(), CPU).batches(0, augment(images))))
    parts = [next(iter(Feed(images, order, Share(i, 3), CPU).batches(0, augment(images)))) for i in range(3)]
    assert torch.equal(torch.cat([part.pixels for part in parts]), whole.pixels)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
    with pytest.raises(SettingError, match="12 images cannot be shared equally by 5 processes.*multiple of 5"):
        Feed(images, order, Share(0, 5), CPU)


def test_images_in_memory_give_the_same_batches(images: PreparedImages) -> None:
    order = Order(len(images), 12, seed=0)
    mapped, held = (Feed(images, order, Share(), CPU, place) for place in ("auto", "memory"))
    assert (mapped.place, held.place) == ("mapped", "memory") and held.held.shape == (len(images), 72, 72, 3)
    for a, b in zip(mapped.batches(0, augment(images)), held.batches(0, augment(images)), strict=True):
        assert torch.equal(a.pixels, b.pixels)
    assert torch.equal(load_all(images, None).permute(0, 3, 1, 2), images.images(range(len(images))))
    with pytest.raises(SettingError, match="feed 'disk' is not known; use one of auto, mapped, memory, device"):
        Feed(images, order, Share(), CPU, "disk")


def test_leaving_a_pass_early_ends_its_thread(images: PreparedImages) -> None:
    import threading

    feed = Feed(images, Order(len(images), 12, seed=0), Share(), CPU)
    batches = feed.batches(0, augment(images))
    assert len(list(islice(batches, 2))) == 2
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "batches ahead"]


def test_validation_images_are_shared_without_one_left_out(images: PreparedImages) -> None:
    seen = []
    for rank in range(3):
        for pixels, labels in validation_batches(images, Share(rank, 3), CPU, 5):
            assert pixels.dtype == torch.uint8 and len(pixels) == len(labels) <= 5
            seen += labels.tolist()
    assert sorted(seen) == sorted(images.labels.tolist())
