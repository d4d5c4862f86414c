"""Views against loops over pixels, and the ten against torchvision's."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from alexnet_lib.augment import ten_views, view_list, views
from alexnet_lib.augment.view_sets import SETS
from alexnet_lib.errors import SettingError

IMAGES = torch.randint(0, 256, (2, 3, 11, 14), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("which", [*SETS, "dense"])
def test_views_are_those_of_a_plain_loop(which: str) -> None:
    size, cut = 7, views(IMAGES, 7, which, grid=3)
    chosen = view_list(11, 14, size, which, grid=3)
    assert cut.shape == (2, len(chosen), 3, size, size) and cut.dtype == torch.uint8
    for number, view in enumerate(chosen):
        for row in range(size):
            for column in range(size):
                r = view.top + (size - 1 - row if view.upside_down else row)
                c = view.left + (size - 1 - column if view.mirrored else column)
                assert torch.equal(cut[:, number, :, row, column], IMAGES[:, :, r, c])


def test_the_ten_are_corners_and_centre_then_their_reflections() -> None:
    expected = [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]
    listed = view_list(256, 256, 224)
    assert [(view.top, view.left) for view in listed] == expected * 2
    assert [view.mirrored for view in listed] == [False] * 5 + [True] * 5
    assert not any(view.upside_down for view in listed)


def test_the_ten_are_torchvisions() -> None:
    theirs = torch.stack([torch.stack(v2.TenCrop(8)(image)) for image in IMAGES[:, :, :10]])
    order = [0, 1, 2, 3, 4, 6, 5, 8, 7, 9]  # they mirror first and cut then
    assert torch.equal(ten_views(IMAGES[:, :, :10], 8), theirs[:, order])


@pytest.mark.parametrize(
    "which, count",
    [
        ("centre", 1),
        ("centre, reflected", 2),
        ("five", 5),
        ("ten", 10),
        ("eight", 8),
        ("eighteen", 18),
        ("ten, upside down too", 20),
        ("thirty-six", 36),
        ("dense", 50),
    ],
)
def test_no_view_is_there_twice(which: str, count: int) -> None:
    listed = view_list(256, 256, 224, which)
    assert len(listed) == len(set(listed)) == count
    assert all(0 <= view.top <= 32 and 0 <= view.left <= 32 for view in listed)


def test_a_full_grid_holds_every_place_once() -> None:
    listed = view_list(10, 10, 7, "dense", grid=4)
    assert {view[:2] for view in listed} == {(i, j) for i in range(4) for j in range(4)} and len(listed) == 32
    assert view_list(10, 10, 7, "dense", grid=1)[0][:2] == view_list(10, 10, 7, "centre")[0][:2]


def test_types_are_kept() -> None:
    assert ten_views(IMAGES.double() / 3, 4).dtype == torch.float64
    assert ten_views(IMAGES[:0], 4).shape == (0, 10, 3, 4, 4)


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(SettingError, match="12 pixels does not fit into images of 11 x 14"):
        ten_views(IMAGES, 12)
    with pytest.raises(SettingError, match="views 'eleven'"):
        views(IMAGES, 4, "eleven")
    with pytest.raises(SettingError, match="no place"):
        views(IMAGES, 4, "dense", grid=0)
    with pytest.raises(SettingError, match="N, C, H, W"):
        ten_views(IMAGES[0], 4)
