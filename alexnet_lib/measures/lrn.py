"""What a normalisation keeps in memory, and response normalisation with constants that are learned.

Taught in "Local response normalisation" (section 3.3; questions Q22, Q23). Activations are (N, C, ...).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import SettingError


def bytes_kept(run: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> int:
    """Bytes that autograd keeps between the forward pass of `run` on x and its backward pass, each memory once."""
    return sum(_kept(run, x).values())


def kept_for_backward(layer: nn.Module, x: torch.Tensor) -> int:
    """The same of a layer, besides its input."""
    kept = _kept(layer, x)
    kept.pop(x.untyped_storage().data_ptr(), None)
    return sum(kept.values())


def _kept(run: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> dict[int, int]:
    """The bytes of each memory that is kept, by its address."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = x.detach().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = run(x)
    # The result is alive until here, so that no memory was counted under an address that another tensor had before.
    del result
    return kept


class LearnedResponseNorm(nn.Module):
    """Local response normalisation whose k, alpha and beta are learned: one of each, kept above 0 by an exponential.

    (N, C, ...) to the same shape. It starts from the constants given, the paper's by default. Nobody used it in 2012:
    it is here for question Q22. SettingError for an n that is even, and for constants that are not above 0.
    """

    def __init__(self, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75):
        super().__init__()
        if n < 1 or n % 2 == 0:
            raise SettingError(f"n={n}: the window is centred on a channel, so n must be odd")
        if not all(0 < constant < math.inf for constant in (k, alpha, beta)):
            raise SettingError(f"k={k}, alpha={alpha}, beta={beta}: all must be finite and above 0")
        self.n = n
        self.logs = nn.Parameter(torch.tensor([math.log(k), math.log(alpha), math.log(beta)]))

    @property
    def constants(self) -> tuple[float, float, float]:
        """k, alpha and beta as they are now."""
        return tuple(self.logs.detach().double().exp().tolist())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k, alpha, beta = self.logs.exp()
        ends = [0, 0] * (x.ndim - 2) + [self.n // 2, self.n // 2]
        squares = F.pad(x.square(), ends)
        sums = sum(squares.narrow(1, shift, x.shape[1]) for shift in range(self.n))
        return x * (k + alpha * sums) ** -beta
