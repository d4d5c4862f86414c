"""The drawn stand-in: the same everywhere, balanced, labelled as drawn, and neither trivial nor hopeless."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alexnet_lib.data import stand_in
from alexnet_lib.data.cifar10 import draw_stand_in
from alexnet_lib.data.cifar10_files import CIFAR10_CLASSES
from alexnet_lib.errors import DataError


@pytest.mark.parametrize(
    ("split", "n", "seed", "digits"),
    [
        ("train", 64, 0, "2b5802145db4d2ef"),
        ("test", 64, 0, "425ee9a845755237"),
        ("train", 250, 1, "4e1b05570d4f5aa1"),
    ],
)
def test_every_machine_draws_these_pixels(split, n, seed, digits):
    assert draw_stand_in(split, n, seed).checksum.startswith(f"sha256:{digits}")


def test_fewer_images_are_the_first_of_more_and_splits_and_seeds_differ():
    many, few = stand_in.draw("train", 410)[0], stand_in.draw("train", 30)[0]
    assert np.array_equal(many[:30], few)
    assert not np.array_equal(many[:30], many[200:230])  # each sheet of 200 has a stream of its own
    for other in (stand_in.draw("test", 30), stand_in.draw("train", 30, seed=1)):
        assert not (other[0] == few).all(axis=(1, 2, 3)).any()


def test_split_sizes_classes_and_label():
    test = draw_stand_in("test")
    assert test.images.shape == (2000, 3, 32, 32) and test.images.dtype == torch.uint8
    assert test.labels.bincount().tolist() == [200] * 10 and test.labels.dtype == torch.int64
    assert stand_in.COUNTS == {"train": 10_000, "test": 2_000}
    assert test.label == "DRAWN STAND-IN, not CIFAR-10, 2,000 drawn test images"
    assert test.stand_in and test.provenance()["stand_in"] is True and test.source == "drawn from seed 0"
    assert all(name.startswith("drawn ") for name in test.classes) and not set(test.classes) & set(CIFAR10_CLASSES)
    assert draw_stand_in("train", 1).label == "DRAWN STAND-IN, not CIFAR-10, 1 drawn training images"


POINTS = {  # inside, then outside; the second number grows downwards
    "disc": ([(0, 0), (0.8, 0), (-0.55, 0.55)], [(0.9, 0), (0.7, 0.7)]),
    "ring": ([(0.7, 0), (0, -0.8), (-0.5, 0.5)], [(0, 0), (0.4, 0), (0.7, 0.7)]),
    "square": ([(0, 0), (0.7, 0.7), (-0.7, 0.7)], [(0.8, 0), (0, -0.8)]),
    "triangle": ([(0, 0), (0, -0.8), (0.7, 0.5), (-0.7, 0.5)], [(0.5, -0.5), (-0.5, -0.5), (0, 0.7)]),
    "cross": ([(0, 0), (0.8, 0), (-0.8, 0), (0, 0.8), (0, -0.8)], [(0.4, 0.4), (-0.4, 0.4), (0.95, 0)]),
    "star": ([(0, 0), (0, 0.8), (0.8, 0.25), (0.5, -0.7)], [(0, -0.6), (0.5, 0.6), (0.6, -0.2)]),
    "crescent": ([(-0.7, 0), (0, 0.8), (0, -0.8)], [(0.2, 0), (0.6, 0), (-0.9, 0.3)]),
    "arrow": ([(0, -0.8), (0, 0.8), (0.7, -0.05)], [(0.5, 0.5), (0.6, -0.6), (0.3, 0.2)]),
    "letter T": ([(-0.7, -0.6), (0.7, -0.6), (0, 0.8)], [(0.5, 0), (-0.5, 0.5), (0, -0.95)]),
    "S-curve": (
        [(0, -0.8), (-0.4, -0.4), (-0.1, 0), (0.1, 0), (0.4, 0.4), (0, 0.8)],
        [(0.4, -0.2), (-0.4, 0.2), (0, 0.4)],
    ),
}


@pytest.mark.parametrize("shape", stand_in.SHAPES)
def test_shapes_cover_the_points_they_should(shape):
    field = stand_in._SHAPE_FIELDS[stand_in.SHAPES.index(shape)]
    inside, outside = (np.array(points, np.float32).T for points in POINTS[shape])
    assert (field(*inside) > 0).all() and (field(*outside) < 0).all(), (field(*inside), field(*outside))


def test_colour_and_brightness_say_next_to_nothing_of_the_class():
    images = draw_stand_in("train", 4000)
    means = images.images.float().mean(dim=(2, 3))
    each = torch.stack([means[images.labels == c].mean(dim=0) for c in range(10)])
    assert each.std(dim=0).max() < 0.15 * means.std(dim=0).min()


def test_nearest_neighbour_on_pixels_is_far_from_solving_it():
    train, test = draw_stand_in("train", 1000), draw_stand_in("test", 200)
    a, b = (s.images.flatten(1).float() for s in (test, train))
    wrong = (train.labels[torch.cdist(a, b).argmin(dim=1)] != test.labels).float().mean()
    assert 0.75 < wrong < 0.95


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match="split 'valid' is not known"):
        draw_stand_in("valid")
    for n, seed in ((0, 0), (-3, 0), (5, -1), (5, 2**32)):
        with pytest.raises(DataError, match=f"cannot draw {n} images from seed {seed}: .*n from 1, seed from 0"):
            draw_stand_in("train", n, seed)
