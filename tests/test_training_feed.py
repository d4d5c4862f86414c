"""Order, streams and batches: every image once a pass, the same draws from any step, shares that make up the whole."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from training_cases import small, write_set

from alexnet_lib.augment import AugmentBatch
from alexnet_lib.errors import SettingError
from alexnet_lib.imagenet_reader import PreparedImages
from alexnet_lib.training.feed import Feed, load_all, validation_batches
from alexnet_lib.training.streams import Order, Share, generator, seed_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedImages:
    return PreparedImages(write_set(tmp_path_factory.mktemp("set")), "train")


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


def test_a_batch_is_what_its_numbers_and_draws_make(prepared: PreparedImages) -> None:
    order, augmentation = Order(len(prepared), 12, seed=5), augment(prepared)
    feed = Feed(prepared, order, Share(), CPU)
    for step, batch in enumerate(feed.batches(2, augmentation)):
        numbers = order.numbers(2)[step]
        drawn = augmentation.draw(12, prepared.side, prepared.side, generator(5, "augment", 2 * order.steps + step))
        mean = prepared.mean_image[:, 4:68, 4:68]
        for row, number in enumerate(numbers.tolist()):
            image = prepared.images([number])[0].float()
            top, left = int(drawn.tops[row]), int(drawn.lefts[row])
            window = image[:, top : top + 64, left : left + 64]
            window = window.flip(2) if drawn.mirrored[row] else window
            shift = augmentation.lighting.shifts(drawn.alphas[row : row + 1])[0]
            assert torch.allclose(batch.pixels[row], window - mean + shift[:, None, None], atol=1e-3)
            assert batch.labels[row] == prepared.labels[number]
    assert step == order.steps - 1


def test_a_pass_taken_up_in_its_middle_goes_on_the_same(prepared: PreparedImages) -> None:
    feed = Feed(prepared, Order(len(prepared), 12, seed=0), Share(), CPU)
    whole = [batch.pixels for batch in feed.batches(1, augment(prepared))]
    rest = [batch.pixels for batch in feed.batches(1, augment(prepared), first=2)]
    assert len(rest) == len(whole) - 2 and all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


def test_shares_make_up_the_batch(prepared: PreparedImages) -> None:
    order = Order(len(prepared), 12, seed=0)
    whole = next(iter(Feed(prepared, order, Share(), CPU).batches(0, augment(prepared))))
    parts = [next(iter(Feed(prepared, order, Share(i, 3), CPU).batches(0, augment(prepared)))) for i in range(3)]
    assert torch.equal(torch.cat([part.pixels for part in parts]), whole.pixels)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
    with pytest.raises(SettingError, match="12 images cannot be shared equally by 5 processes.*multiple of 5"):
        Feed(prepared, order, Share(0, 5), CPU)


def test_images_in_memory_give_the_same_batches(prepared: PreparedImages) -> None:
    order = Order(len(prepared), 12, seed=0)
    mapped, held = (Feed(prepared, order, Share(), CPU, place) for place in ("auto", "memory"))
    assert (mapped.place, held.place) == ("mapped", "memory") and held.held.shape == (len(prepared), 72, 72, 3)
    for a, b in zip(mapped.batches(0, augment(prepared)), held.batches(0, augment(prepared)), strict=True):
        assert torch.equal(a.pixels, b.pixels)
    assert torch.equal(load_all(prepared, None).permute(0, 3, 1, 2), prepared.images(range(len(prepared))))
    with pytest.raises(SettingError, match="feed 'disk' is not known; use one of auto, mapped, memory, device"):
        Feed(prepared, order, Share(), CPU, "disk")


def test_leaving_a_pass_early_ends_its_thread(prepared: PreparedImages) -> None:
    import threading

    feed = Feed(prepared, Order(len(prepared), 12, seed=0), Share(), CPU)
    batches = feed.batches(0, augment(prepared))
    assert len(list(islice(batches, 2))) == 2
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "batches ahead"]


def test_validation_images_are_shared_without_one_left_out(prepared: PreparedImages) -> None:
    seen = []
    for rank in range(3):
        for pixels, labels in validation_batches(prepared, Share(rank, 3), CPU, 5):
            assert pixels.dtype == torch.uint8 and len(pixels) == len(labels) <= 5
            seen += labels.tolist()
    assert sorted(seen) == sorted(prepared.labels.tolist())
