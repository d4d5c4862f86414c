"""Measures of normalised activations on cases counted by hand, and the norm with learned constants."""

from __future__ import annotations

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.figures.local_response_norm import draw_response, response
from alexnet_lib.measures.lrn import LearnedResponseNorm, bytes_kept, relative_change, reordered, uneven
from alexnet_lib.network.lrn import local_response_norm

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_relative_change_is_a_share_of_the_second() -> None:
    assert relative_change(torch.tensor([3.0, 0.0]), torch.tensor([2.0, 0.0])) == pytest.approx(0.5)


def test_places_of_one_strength_are_even() -> None:
    x = torch.tensor([[3.0, 0.0], [4.0, 5.0]])[None, :, None]  # two channels, two places, both of strength 5 / sqrt 2
    assert uneven(x) == pytest.approx(0, abs=1e-7)
    places = torch.tensor([[1.0, 3.0]])[None, :, None]
    assert uneven(places) == pytest.approx(2**0.5 / 2)


def test_swapped_neighbours_are_counted_among_the_active_ones() -> None:
    before = torch.tensor([[1.0, 2.0, 3.0, 0.0, 5.0]])[..., None]
    after = torch.tensor([[2.0, 1.0, 4.0, 0.0, 9.0]])[..., None]
    assert reordered(before, after) == 0.5, "of (1, 2) and (2, 3) one; pairs with a silent unit do not count"
    assert reordered(torch.zeros(1, 3, 1), torch.zeros(1, 3, 1)) == 0


def test_two_neighbours_can_swap_under_the_norm() -> None:
    """The louder of two sees another loud one, the other does not."""
    a = torch.tensor([[0.0, 0.0, 90.0, 100.0, 0.0, 300.0]])[..., None]
    b = local_response_norm(a)
    assert b[0, 2] > b[0, 3] and reordered(a, b) == 1


def test_kept_bytes_are_the_tensors_that_backward_needs() -> None:
    x = torch.randn(4, 8, 5, 5)
    assert bytes_kept(lambda x: x + 1, x) == 0
    assert bytes_kept(torch.exp, x) == x.nbytes, "the result"
    assert bytes_kept(lambda x: x * x, x) == x.nbytes, "its input twice is one memory"
    assert bytes_kept(local_response_norm, x) == x.nbytes
    assert bytes_kept(lambda x: x.exp().sin(), x) == x.nbytes, "the exponential keeps its result, the sine its input"
    assert bytes_kept(lambda x: x.sin().sin(), x) == 2 * x.nbytes


def test_a_learned_norm_starts_as_the_fixed_one() -> None:
    x = (60 * torch.randn(2, 9, 3, 3)).double()
    norm = LearnedResponseNorm(n=3, k=1.5, alpha=2e-4, beta=0.6).double()
    torch.testing.assert_close(norm(x), local_response_norm(x, 3, 1.5, 2e-4, 0.6), rtol=1e-5, atol=1e-5)
    assert norm.constants == pytest.approx((1.5, 2e-4, 0.6), rel=1e-6)


def test_the_learned_constants_have_their_gradients() -> None:
    norm = LearnedResponseNorm(n=3).double()
    x = (40 * torch.randn(2, 5, 2)).double().requires_grad_()

    def run(x: torch.Tensor, logs: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(norm, {"logs": logs}, (x,))

    assert torch.autograd.gradcheck(run, (x, norm.logs))


@pytest.mark.parametrize("wrong", [{"n": 4}, {"k": 0.0}, {"alpha": -1.0}, {"beta": float("nan")}])
def test_constants_that_cannot_be_learned_are_refused(wrong: dict) -> None:
    with pytest.raises(SettingError):
        LearnedResponseNorm(**wrong)


def test_the_drawn_response_is_the_norms_middle_unit() -> None:
    a = torch.full((1, 5), 70.0)
    a[0, 2] = 30.0
    assert response(torch.tensor(30.0), torch.tensor(70.0)) == pytest.approx(local_response_norm(a)[0, 2].item())


@pytest.mark.usefixtures("book_style")
def test_the_drawing_labels_its_axes_and_lines() -> None:
    fig = draw_response(beta=0.5)
    left, right = fig.axes
    assert left.get_xlabel() and left.get_ylabel() and right.get_xlabel()
    assert [len(ax.get_lines()) for ax in fig.axes] == [3, 3]
    assert [t.get_text() for t in left.get_legend().get_texts()] == ["0", "50", "200"]
