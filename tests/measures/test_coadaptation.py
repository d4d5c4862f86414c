"""Measures of co-adaptation on made activations whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.coadaptation import (
    correlations,
    error_without_each,
    error_without_some,
    redundancy,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def independent(n: int = 4000, units: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, units, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_correlations_of_copies_opposites_and_mixtures() -> None:
    a, b = independent(4000, 2).unbind(1)
    found = correlations(torch.stack([a, 3 * a + 5, -a, (a + b) / 2**0.5], 1))
    half = 2**-0.5
    wanted = torch.tensor([[1, 1, -1, half], [1, 1, -1, half], [-1, -1, 1, -half], [half, half, -half, 1]])
    torch.testing.assert_close(found.matrix, wanted.double(), atol=0.03, rtol=0)
    assert found.mean == pytest.approx((3 + 3 * half) / 6, abs=0.02)
    assert found.spread == pytest.approx(torch.tensor([1, 1, 1, half, half, half]).std().item(), abs=0.02)


def test_numpys_correlations_are_the_same() -> None:
    import numpy as np

    mixed = independent() @ independent(6, 6, seed=1)
    torch.testing.assert_close(correlations(mixed).matrix, torch.from_numpy(np.corrcoef(mixed.T.numpy())))


def test_units_that_never_change_are_not_live() -> None:
    activations = independent(100, 3).float()
    activations[:, 1] = 0
    quiet = torch.cat([activations, torch.full((100, 1), 1e6), 1e-8 * activations[:, :1]], 1)
    found = correlations(quiet)
    assert found.live.tolist() == [0, 2, 4] and found.units == 5
    assert math.isnan(correlations(torch.ones(5, 4)).mean)


def test_independent_units_come_to_the_floor() -> None:
    found = correlations(independent(500, 60))
    assert found.floor == pytest.approx(math.sqrt(2 / math.pi / 500))
    assert found.mean == pytest.approx(found.floor, rel=0.05)


def test_one_cause_shared_by_all_gives_the_share_of_it() -> None:
    """Each unit is the common cause plus as much of its own: correlations of one half."""
    common, own = independent(20_000, 1, seed=1), independent(20_000, 8, seed=2)
    shared = common + own
    assert correlations(shared).mean == pytest.approx(0.5, abs=0.02)
    # Of a unit of variance 2, seven others tell the common cause up to a variance of 1/8: left are 1 + 1/8 of 2.
    assert redundancy(shared) == pytest.approx(1 - 9 / 16, abs=0.02)


def test_redundancy_at_its_ends() -> None:
    apart = independent(20_000, 8)
    assert redundancy(apart) < 0.005
    copies = torch.cat([apart, 2 * apart + 1], 1)
    assert redundancy(copies) > 0.999


def test_scales_and_offsets_of_units_change_nothing() -> None:
    mixed = independent() @ independent(6, 6, seed=1)
    other = mixed * torch.tensor([1e-3, 2.0, 5, 100, 1, 7]) + torch.arange(6) * 1e3
    assert redundancy(other) == pytest.approx(redundancy(mixed))


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(SettingError, match="three images or more"):
        correlations(torch.ones(2, 5))
    with pytest.raises(SettingError, match=r"must be \(images, units\)"):
        correlations(torch.ones(5, 5, 5))
    with pytest.raises(SettingError, match="7 images are too few to predict 6 live units"):
        redundancy(independent(7, 6))
    assert math.isnan(redundancy(independent(7, 1)))
    with pytest.raises(SettingError, match="share 1"):
        error_without_some(lambda h: h, torch.ones(2, 2), torch.zeros(2), share=1)


def votes(h: torch.Tensor) -> torch.Tensor:
    """Units 0 to 2 vote for class 0 or 1 by their sign; of the others nobody hears."""
    return torch.stack([-h[:, :3].sum(1), h[:, :3].sum(1)], 1)


def test_removing_a_unit_hurts_where_nobody_stands_in() -> None:
    labels = torch.tensor([0, 1] * 50)
    sign = (2.0 * labels - 1)[:, None]
    alone = torch.cat([3 * sign, -sign, -sign, sign], 1)  # one unit outvotes two that are always wrong
    assert votes(alone).argmax(1).equal(labels)
    assert error_without_each(votes, alone, labels).tolist() == [1, 0, 0, 0]
    together = sign.expand(-1, 4)  # three that agree
    assert error_without_each(votes, together, labels).tolist() == [0, 0, 0, 0]
    assert together.abs().min() == 1, "the activations were not touched"


def test_removing_a_part_draws_parts_and_rescales() -> None:
    labels = torch.tensor([0, 1] * 50)
    alone = torch.zeros(100, 4)
    alone[:, 0] = 2.0 * labels - 1  # the answer hangs on one unit: gone in half of the draws
    errors = error_without_some(votes, alone, labels, draws=400, seed=1)
    assert set(errors.tolist()) == {0.0, 0.5}, "without it everything is class 0, right for half"
    assert float((errors > 0).double().mean()) == pytest.approx(0.5, abs=0.08)
    assert torch.equal(errors, error_without_some(votes, alone, labels, draws=400, seed=1))
    assert not torch.equal(errors, error_without_some(votes, alone, labels, draws=400, seed=2))


@pytest.mark.parametrize("rescale, kept", [(True, 4 / 3), (False, 1.0)])
def test_what_is_left_keeps_its_sum_or_its_size(rescale, kept) -> None:
    seen = []
    classify = lambda h: seen.append(h) or h  # noqa: E731
    error_without_some(classify, torch.ones(3, 8), torch.zeros(3), share=0.25, draws=5, rescale=rescale)
    for h in seen:
        assert sorted(h[0].tolist()) == [0.0, 0.0, *[pytest.approx(kept)] * 6]
        assert torch.equal(h[0], h[1]) and torch.equal(h[0], h[2]), "the same units for all images"
