"""The search for near-duplicates: planted ones are found, and every distance is that of a plain loop."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.near_duplicates import nearest, thumbnails


def drawn(n: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return (255 * F.interpolate(coarse, size=size, mode="bilinear")).to(torch.uint8)


def slow_nearest(queries: torch.Tensor, others: torch.Tensor, mirror: bool, itself: bool) -> list[tuple[int, float]]:
    found = []
    looks = [thumbnails(queries), thumbnails(queries.flip(3))][: 1 + mirror]
    for i in range(len(queries)):
        best = min(
            (float((look[i] - other).double().square().mean().sqrt()), j)
            for j, other in enumerate(thumbnails(others))
            for look in looks
            if itself or j != i
        )
        found.append((best[1], best[0]))
    return found


@pytest.mark.parametrize("mirror", [True, False])
def test_the_nearest_is_that_of_a_plain_loop(mirror: bool) -> None:
    queries, others = drawn(17), drawn(40, seed=1)
    got = nearest(queries, others, mirror=mirror, block=5)
    wanted = slow_nearest(queries, others, mirror, itself=True)
    assert got.index.tolist() == [index for index, _ in wanted]
    assert got.distance.tolist() == pytest.approx([distance for _, distance in wanted], abs=1e-3)
    assert mirror or not got.mirrored.any()


def test_within_one_set_no_image_is_its_own_nearest() -> None:
    images = drawn(23)
    got = nearest(images, block=4, mirror=False)
    wanted = slow_nearest(images, images, mirror=False, itself=False)
    assert got.index.tolist() == [index for index, _ in wanted]
    assert (got.index != torch.arange(23)).all()


def test_planted_duplicates_come_first() -> None:
    others = drawn(300, seed=1)
    queries = drawn(50)
    noise = torch.randint(-4, 5, others[7].shape, generator=torch.Generator().manual_seed(2))
    queries[3] = others[120]
    queries[11] = others[45].flip(2)
    queries[30] = (others[7].int() + noise).clamp(0, 255).to(torch.uint8)
    got = nearest(queries, others)
    assert set(got.closest(3).tolist()) == {3, 11, 30}
    assert got.index[[3, 11, 30]].tolist() == [120, 45, 7]
    assert got.mirrored[[3, 11, 30]].tolist() == [False, True, False]
    assert got.distance[[3, 11]].tolist() == [0.0, 0.0] and 0 < got.distance[30] < 4
    assert got.within(4) == 3 and got.within(0) == 2


def test_two_equal_images_find_each_other() -> None:
    images = drawn(30)
    images[20] = images[4]
    got = nearest(images)
    assert got.index[4] == 20 and got.index[20] == 4 and set(got.closest(2).tolist()) == {4, 20}


def test_thumbnails_are_averages_of_squares() -> None:
    images = drawn(5)
    wanted = images.float().unflatten(3, (8, 2)).unflatten(2, (8, 2)).mean((3, 5)).flatten(1)
    torch.testing.assert_close(thumbnails(images, 8), wanted)
    torch.testing.assert_close(thumbnails(images, 16), images.float().flatten(1))
    with pytest.raises(SettingError, match="do not divide images of 16 x 16"):
        thumbnails(images, 5)


def test_nothing_to_search_is_refused() -> None:
    with pytest.raises(SettingError, match="nothing to search"):
        nearest(drawn(3), drawn(3, size=8))
    with pytest.raises(SettingError, match="nothing to search"):
        nearest(drawn(1))
