"""Binary codes: packed and unpacked, searched as a plain loop would, and made by autoencoders that learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.binary_codes import Autoencoder, HammingIndex, fit_autoencoder, hyperplane_codes, pack


def bits(count: int, length: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (count, length)).astype(bool)


def unpacked(codes: np.ndarray) -> np.ndarray:
    return np.unpackbits(codes, axis=1).astype(bool)


@pytest.mark.parametrize("length", [8, 64, 256])
def test_codes_round_trip(length: int) -> None:
    codes = bits(17, length)
    packed = pack(codes)
    assert packed.shape == (17, length // 8) and packed.dtype == np.uint8
    assert np.array_equal(unpacked(packed), codes)


@pytest.mark.parametrize("shape", [(3, 12), (8,), (2, 0)])
def test_bits_that_make_no_bytes(shape: tuple) -> None:
    with pytest.raises(SettingError, match="a multiple of 8"):
        pack(np.zeros(shape))


def test_hamming_search_is_that_of_a_plain_loop() -> None:
    base, queries = bits(200), bits(20, seed=1)
    found = HammingIndex(pack(base)).search(pack(queries), 9)
    for query, distances, numbers in zip(queries, found.distances, found.numbers, strict=True):
        far = (base != query).sum(axis=1)
        assert distances.tolist() == sorted(far)[:9] and far[numbers].tolist() == distances.tolist()
        assert len(set(numbers)) == 9


def test_a_code_of_the_base_does_not_find_itself() -> None:
    codes = pack(bits(50))
    found = HammingIndex(codes).search(codes[[4, 9]], 6, own=[4, 9])
    assert 4 not in found.numbers[0] and 9 not in found.numbers[1] and found.numbers.shape == (2, 6)


def test_ties_favour_no_class() -> None:
    """Codes all alike, the classes one after the other: in their own order the first class alone would be found."""
    codes, labels = np.zeros((1000, 4), dtype=np.uint8), np.repeat(np.arange(10), 100)
    found = HammingIndex(codes).search(codes[:1], 200)
    shares = np.bincount(labels[found.numbers[0]], minlength=10) / 200
    assert shares.max() < 0.2 and shares.min() > 0.03


def test_searches_that_cannot_be() -> None:
    index = HammingIndex(pack(bits(5)))
    with pytest.raises(SettingError, match="give 1 to 5"):
        index.search(pack(bits(1)), 6)
    with pytest.raises(SettingError, match="codes of 64 bits"):
        index.search(pack(bits(1, 32)), 1)
    with pytest.raises(SettingError, match="at least one"):
        HammingIndex(np.zeros((0, 8), dtype=np.uint8))


def clustered(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors of length 40 around eight points, and which."""
    generator = torch.Generator().manual_seed(7)
    centres = 3 * torch.randn(8, 40, generator=generator)
    generator.manual_seed(seed)
    labels = torch.randint(8, (count,), generator=generator)
    return centres[labels] + torch.randn(count, 40, generator=generator), labels


def test_an_autoencoder_learns_codes_that_keep_neighbours() -> None:
    vectors, labels = clustered(600)
    told = []
    fitted = fit_autoencoder(vectors, 32, passes=12, hidden=64, report=lambda number, loss: told.append((number, loss)))
    assert [loss for _, loss in told] == fitted.losses and [number for number, _ in told] == list(range(1, 13))
    assert fitted.losses[0] > 0.4 > fitted.losses[-1], "the mean alone gives 1"
    codes = fitted.net.codes(vectors)
    found = HammingIndex(codes).search(codes, 5, own=range(600))
    assert (labels.numpy()[found.numbers] == labels.numpy()[:, None]).mean() > 0.9, "chance is an eighth"


def test_the_same_seed_gives_the_same_codes() -> None:
    vectors, _ = clustered(200)
    one, other = (fit_autoencoder(vectors, 16, passes=2, hidden=16, seed=3).net for _ in range(2))
    assert np.array_equal(one.codes(vectors), other.codes(vectors, at_once=50))
    assert not np.array_equal(one.codes(vectors), fit_autoencoder(vectors, 16, passes=2, hidden=16).net.codes(vectors))


def test_the_decoder_sees_rounded_numbers_and_the_encoder_learns_all_the_same() -> None:
    vectors, _ = clustered(10)
    net = Autoencoder.of(vectors, 8, hidden=16)
    made, soft = net(vectors)
    assert torch.allclose(made, net.decoder(2 * soft.round() - 1), atol=1e-6)
    made.sum().backward()
    assert all(float(weight.grad.abs().max()) > 0 for weight in net.encoder.parameters())
    assert np.array_equal(unpacked(net.codes(vectors)), (soft > 0.5).numpy())


def test_what_an_autoencoder_cannot_be_made_for() -> None:
    with pytest.raises(SettingError, match="a multiple of 8"):
        Autoencoder(10, 12)
    with pytest.raises(SettingError, match="all vectors are alike"):
        Autoencoder.of(torch.ones(5, 10), 8)


def test_planes_keep_angles() -> None:
    """Two vectors are on different sides of a drawn plane with a chance of their angle over 180 degrees."""
    centre = torch.zeros(1, 2)
    for degrees in (30, 90, 150):
        turn = torch.tensor(degrees).deg2rad()
        pair = torch.stack([torch.tensor([1.0, 0.0]), torch.stack([turn.cos(), turn.sin()])])
        first, second = unpacked(hyperplane_codes(pair, 4096, like=centre))
        assert (first != second).mean() == pytest.approx(degrees / 180, abs=0.03)
