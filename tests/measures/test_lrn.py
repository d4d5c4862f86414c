"""What a norm keeps in memory, counted by hand, and the norm with learned constants."""

from __future__ import annotations

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.lrn import LearnedResponseNorm, bytes_kept
from alexnet_lib.network.lrn import local_response_norm

pytestmark = pytest.mark.usefixtures("one_thread")


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
