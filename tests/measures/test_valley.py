"""The two-weight valley: paths against PaperSGD and against the exact solution."""

from __future__ import annotations

import math

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.valley import Valley, path, steps_of
from alexnet_lib.training.optimizer import PaperSGD

VALLEY = Valley((1.0, 25.0), (2.0, -1.0))


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.0), (0.9, 0.3), (0.5, 2.0)])
def test_a_path_is_papersgds_and_the_matrix_powers(momentum: float, decay: float) -> None:
    steps, rate = 40, 0.02
    places = path(VALLEY, (1.0, 3.0), rate, momentum, decay, steps)
    w = torch.nn.Parameter(torch.tensor([1.0, 3.0], dtype=torch.float64))
    optimizer = PaperSGD([w], rate, momentum, decay)
    for place in places[:-1]:
        torch.testing.assert_close(w.detach(), place, rtol=0, atol=1e-12)
        optimizer.zero_grad()
        VALLEY.loss(w).backward()
        torch.testing.assert_close(w.grad, VALLEY.gradient(w.detach()), rtol=0, atol=1e-12)
        optimizer.step()
    rest = VALLEY.rest(decay)
    for axis, curvature in enumerate(VALLEY.curvatures):
        k = rate * (curvature + decay)
        matrix = torch.tensor([[1 - k, momentum], [-k, momentum]], dtype=torch.float64)
        start = torch.stack([places[0, axis] - rest[axis], torch.zeros((), dtype=torch.float64)])
        exact = torch.linalg.matrix_power(matrix, steps) @ start + torch.stack([rest[axis], 0 * rest[axis]])
        assert float(places[-1, axis]) == pytest.approx(float(exact[0]), abs=1e-10)


def test_decay_moves_the_rest_towards_zero_most_where_the_valley_is_flat() -> None:
    rest = VALLEY.rest(1.0)
    assert rest.tolist() == pytest.approx([2.0 / 2, -25 / 26])
    assert path(VALLEY, (0.0, 0.0), 0.05, 0.5, 1.0, 400)[-1].tolist() == pytest.approx(rest.tolist(), abs=1e-9)
    assert float(VALLEY.loss(rest)) > 0 == float(VALLEY.loss(VALLEY.rest(0.0)))


def test_a_valley_needs_two_curvatures_above_zero() -> None:
    for wrong in ((1.0, 0.0), (1.0,), (1.0, 2.0, 3.0), (-1.0, 1.0)):
        with pytest.raises(SettingError, match="curvatures above 0"):
            Valley(wrong)
    assert math.isclose(float(Valley().loss(torch.tensor([1.0, 2.0]))), 0.5 + 50)


def test_an_optimiser_goes_the_path_and_torchs_leaves_it_after_a_drop() -> None:
    places = path(Valley(), (-3.0, 1.0), 0.03, steps=12)
    for kind in (PaperSGD, torch.optim.SGD):
        torch.testing.assert_close(steps_of(kind, [0.03] * 12), places, rtol=0, atol=1e-12)
    papers, torchs = (steps_of(kind, [0.03] * 5 + [0.003]) for kind in (PaperSGD, torch.optim.SGD))
    assert torch.equal(papers[:6].round(decimals=9), torchs[:6].round(decimals=9))
    velocity, gradient = papers[5] - papers[4], Valley().gradient(papers[5])
    torch.testing.assert_close(papers[6] - papers[5], 0.9 * velocity - 0.003 * gradient)
    torch.testing.assert_close(torchs[6] - torchs[5], 0.09 * velocity - 0.003 * gradient)
