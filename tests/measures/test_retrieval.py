"""Retrieval held to plain loops: exact neighbours, a query's own image left out, precision and chance, features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet_lib.augment import PixelScale
from alexnet_lib.errors import DataError, SettingError
from alexnet_lib.measures import retrieval
from alexnet_lib.measures.retrieval import Neighbours, chance, nearest, precision_at
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig

SMALL = AlexNetConfig(widths=(10, 10, 8, 8, 8), hidden=(16, 12), input_size=64)


def vectors(count: int, length: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, length)).astype(np.float32)


def by_loop(base: np.ndarray, query: np.ndarray, skipped: int | None = None) -> list[tuple[float, int]]:
    """All distances to one query with their numbers, nearest first."""
    far = [(float(np.sqrt(((one.astype(float) - query) ** 2).sum())), i) for i, one in enumerate(base)]
    return sorted(one for one in far if one[1] != skipped)


@pytest.mark.parametrize("search", ["faiss", "torch"])
def test_the_nearest_are_those_of_a_plain_loop(search: str) -> None:
    base, queries = vectors(300), vectors(40, seed=1)
    found = (
        nearest(base, queries, 7)
        if search == "faiss"
        else retrieval._nearest_on(torch.device("cpu"), base, queries, 7, at_once=16)
    )
    for query, distances, numbers in zip(queries, found.distances, found.numbers, strict=True):
        expected = by_loop(base, query)[:7]
        assert numbers.tolist() == [number for _, number in expected]
        assert distances == pytest.approx([far for far, _ in expected], rel=1e-4)


def test_a_query_of_the_base_does_not_find_itself() -> None:
    base = vectors(60)
    own = [3, 59, 0]
    found = nearest(base, base[own], 5, own=own)
    for number, numbers in zip(own, found.numbers, strict=True):
        assert numbers.tolist() == [other for _, other in by_loop(base, base[number], skipped=number)[:5]]


def test_copies_of_a_query_are_found_and_the_query_is_not() -> None:
    base = np.concatenate([np.repeat(vectors(1), 6, axis=0), vectors(20, seed=2)])
    found = nearest(base, base[[5]], 5, own=[5])
    assert sorted(found.numbers[0]) == [0, 1, 2, 3, 4] and found.distances[0] == pytest.approx(0, abs=1e-3)
    lost = retrieval.without_own(Neighbours(np.zeros((1, 3)), np.array([[7, 8, 9]])), [5])
    assert lost.numbers.tolist() == [[7, 8]]


@pytest.mark.parametrize(
    ("base", "queries", "k", "own", "said"),
    [
        (vectors(5), vectors(2, length=19), 1, None, "cannot look for queries (2, 19) in (5, 20)"),
        (vectors(5), vectors(2), 6, None, "give 1 to 5"),
        (vectors(5), vectors(2), 5, [0, 1], "give 1 to 4"),
        (vectors(5), vectors(2), 0, None, "give 1 to 5"),
        (vectors(5), vectors(2), 1, [0], "2 queries, and the own numbers of 1"),
    ],
)
def test_searches_that_cannot_be(base: np.ndarray, queries: np.ndarray, k: int, own: list | None, said: str) -> None:
    with pytest.raises(SettingError) as raised:
        nearest(base, queries, k, own)
    assert said in str(raised.value)


def test_precision_counts_the_querys_class_among_the_first() -> None:
    found = Neighbours(np.zeros((2, 4)), np.array([[0, 1, 2, 3], [3, 2, 1, 0]]))
    base, queries = np.array([5, 5, 6, 7]), np.array([5, 6])
    assert precision_at(found, base, queries, (1, 2, 4)).tolist() == [[1, 1, 0.5], [0, 0.5, 0.25]]
    with pytest.raises(SettingError, match="precision at 5 needs as many"):
        precision_at(found, base, queries, (5,))


def test_chance_is_what_shuffled_neighbours_get() -> None:
    generator = np.random.default_rng(0)
    base = generator.integers(0, 4, 400)
    drawn = np.stack([generator.permutation(400)[:50] for _ in range(400)])
    found = Neighbours(np.zeros_like(drawn, dtype=float), drawn)
    assert precision_at(found, base, base, (50,)).mean() == pytest.approx(chance(base, base), abs=0.01)
    assert chance(np.array([0, 0, 1]), np.array([0, 0, 1]), own=True) == pytest.approx(2 / 6)


@pytest.fixture(scope="module")
def net() -> AlexNet:
    return AlexNet(SMALL, 5, seed=0).eval()


SCALE = PixelScale(torch.full((3, 64, 64), 120.0), torch.tensor(1.0))


def test_features_are_the_last_hidden_layers_of_the_centre(net: AlexNet) -> None:
    images = torch.randint(256, (6, 3, 72, 72), dtype=torch.uint8)
    found = retrieval.features_of(net, SCALE, images)
    expected = net.features(SCALE(images[..., 4:68, 4:68]))
    assert found.shape == (6, 12) and torch.allclose(found, expected, atol=1e-5)
    with pytest.raises(SettingError, match=r"net\.eval\(\)"):
        retrieval.features_of(AlexNet(SMALL, 5, seed=0), SCALE, images)


def test_features_go_to_a_mapped_file(net: AlexNet, tmp_path: Path) -> None:
    images = torch.randint(256, (10, 3, 64, 64), dtype=torch.uint8)
    path = tmp_path / "features.npy"
    stored = retrieval.write_features(path, net, SCALE, images.split(4), 10)
    assert isinstance(stored, np.memmap) and stored.dtype == np.float32
    assert np.allclose(stored, retrieval.features_of(net, SCALE, images).numpy(), atol=1e-5)
    for count, said in ((9, "more than the 9"), (11, "10 images came, not 11")):
        with pytest.raises(DataError, match=said):
            retrieval.write_features(tmp_path / "other.npy", net, SCALE, images.split(4), count)
    assert [file.name for file in tmp_path.iterdir()] == ["features.npy"]


def test_pixels_are_vectors_of_bytes_or_of_smaller_images() -> None:
    images = torch.randint(256, (2, 3, 8, 8), dtype=torch.uint8)
    assert np.array_equal(retrieval.pixels_of(images), images.reshape(2, -1).numpy())
    small = retrieval.pixels_of(images, 4)
    assert small.shape == (2, 48) and small[0, 0] == pytest.approx(float(images[0, 0, :3, :3].float().mean()), abs=40)
