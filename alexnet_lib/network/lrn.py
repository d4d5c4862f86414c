"""Local response normalisation (section 3.3), written to be read, exact in every precision, and fast.

Taught in "Local response normalisation", where the gradient below is derived and checked.
"""

from __future__ import annotations

import math
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import SettingError

# CPUs and GPUs have kernels of their own (lrn_cpu.py, lrn_gpu.py). A tensor that they cannot take, or a machine without
# Numba, is served a few images at a time, so that the numbers in between stay in the cache: about 1 MiB was best where
# it was tried.
CACHE_NUMBERS = 2**18


def local_response_norm(
    x: torch.Tensor,
    n: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
    *,
    average: bool = False,
    columns: int = 1,
) -> torch.Tensor:
    """Divide every unit by a power of how active its neighbours across the channels are, as section 3.3 writes it.

        b_i = a_i / (k + alpha * sum of a_j^2 over the n channels centred on i, as far as they exist) ** beta

    x: activations (N, C, ...), any floating type, any memory order; the result has its shape, type and order. Half
    precisions are summed and divided in float32. average=True divides alpha by n first, as the 2012 code, Caffe and
    torch.nn.LocalResponseNorm do. columns=2 splits the channels into two blocks whose windows never meet, as on the
    paper's two GPUs. Only `x` itself is kept for the backward pass.
    Raises SettingError for an integer tensor, an n that is even or larger than a column, columns that do not divide
    C, and values of k, alpha or beta that are negative or not finite.
    """
    _check_numbers(n, k, alpha, beta, columns)
    _check_tensor(x, n, columns)
    scaled = alpha / n if average else alpha
    if torch.compiler.is_compiling():
        return _by_slices(x, n, k, scaled, beta, columns)
    return _ResponseNorm.apply(x, n, k, scaled, beta, columns)


class LocalResponseNorm(nn.Module):
    """`local_response_norm` as a layer, with the paper's constants by default; (N, C, ...) to the same shape.

    Not torch.nn.LocalResponseNorm, whose alpha is divided by n: this one does so with average=True only.
    """

    def __init__(
        self,
        n: int = 5,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        *,
        average: bool = False,
        columns: int = 1,
    ):
        super().__init__()
        _check_numbers(n, k, alpha, beta, columns)
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta
        self.average, self.columns = average, columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return local_response_norm(x, self.n, self.k, self.alpha, self.beta, average=self.average, columns=self.columns)

    def extra_repr(self) -> str:
        return (
            f"n={self.n}, k={self.k:g}, alpha={self.alpha:g}, beta={self.beta:g}, "
            f"average={self.average}, columns={self.columns}"
        )


class SpatialResponseNorm(nn.Module):
    """The 2012 code's second norm in layer 2: neighbours in the plane of the same map, not in other maps.

        b = a / (k + alpha / size^2 * sum of a^2 over size x size pixels around it, as far as they exist) ** beta

    (N, C, H, W) to the same shape. Not in the paper. The released layer file names the layer and its size of 5; its
    constants could not be read again for this library, and are taken to be those of the norm before it.
    """

    def __init__(self, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75):
        super().__init__()
        _check_numbers(size, k, alpha, beta, 1)
        self.size, self.k, self.alpha, self.beta = size, k, alpha, beta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = _widened(x)
        # The mean over size x size with the zeros outside counted is the sum over size^2.
        mean = F.avg_pool2d(wide.square(), self.size, stride=1, padding=self.size // 2)
        return (wide * _negative_power(mean * self.alpha + self.k, self.beta)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"size={self.size}, k={self.k:g}, alpha={self.alpha:g}, beta={self.beta:g}"


class _ResponseNorm(torch.autograd.Function):
    """The formula and its gradient. With s_i the bracket, and t_i = g_i a_i / s_i^(beta + 1):

        dL/da_i = g_i / s_i^beta - 2 alpha beta a_i * (sum of t_j over the n channels centred on i)

    s is computed a second time in the backward pass rather than kept: that is less memory, and no slower.
    """

    @staticmethod
    def forward(ctx, x, n, k, alpha, beta, columns):  # noqa: ANN001, ANN205, PLR0913 - torch's signature
        ctx.save_for_backward(x)
        ctx.formula = n, k, alpha, beta, columns
        if kernels := _kernels(x):
            return kernels.forward(x, *ctx.formula)
        y = torch.empty_like(x)
        for some, out in zip(_portions(x), _portions(y), strict=True):
            bracket = _bracket(_widened(some), n, k, alpha, columns)
            torch.mul(some, _negative_power(bracket, beta), out=out)
        return y

    @staticmethod
    def backward(ctx, gradient):  # noqa: ANN001, ANN205 - torch's signature
        (x,) = ctx.saved_tensors
        n, k, alpha, beta, columns = ctx.formula
        if torch.is_grad_enabled():  # someone wants a second derivative: leave it to autograd
            again = torch.autograd.grad(_by_slices(x, *ctx.formula), x, gradient, create_graph=True)
            return *again, None, None, None, None, None
        if kernels := _kernels(x):
            return kernels.backward(x, gradient, *ctx.formula), None, None, None, None, None
        result = torch.empty_like(x)
        portions = zip(_portions(x), _portions(gradient, like=x), _portions(result), strict=True)
        for some, given, out in portions:
            wide = _widened(some)
            bracket = _bracket(wide, n, k, alpha, columns)
            direct = _negative_power(bracket, beta).mul_(given)
            t = torch.div(wide, bracket, out=bracket).mul_(direct)
            direct.addcmul_(_window_sums(t, n, columns), wide, value=-2 * alpha * beta)
            out.copy_(direct)
        return result, None, None, None, None, None


def _kernels(x: torch.Tensor) -> ModuleType | None:
    """The kernels of x's device where they can work on x; a GPU's are imported only for a tensor on a GPU."""
    if x.is_cuda:
        from . import lrn_gpu as kernels
    else:
        from . import lrn_cpu as kernels

    return kernels if kernels.usable(x) else None


def _bracket(wide: torch.Tensor, n: int, k: float, alpha: float, columns: int) -> torch.Tensor:
    return _window_sums(wide.square(), n, columns).mul_(alpha).add_(k)


def _window_sums(values: torch.Tensor, n: int, columns: int) -> torch.Tensor:
    """For every channel the sum over the n channels centred on it: n - 1 shifted additions, which lose no digits."""
    sums = values.clone()
    wanted, blocks = (t.unflatten(1, (columns, -1)) for t in (sums, values))  # views: (N, columns, C / columns, ...)
    for shift in range(1, n // 2 + 1):
        wanted[:, :, shift:] += blocks[:, :, :-shift]
        wanted[:, :, :-shift] += blocks[:, :, shift:]
    return sums


def _negative_power(bracket: torch.Tensor, beta: float) -> torch.Tensor:
    """bracket ** -beta; the paper's 3/4 from square roots alone, which is several times faster than pow."""
    if beta == 0.75:
        root = torch.rsqrt(bracket)
        return root * root.sqrt()
    return torch.rsqrt(bracket) if beta == 0.5 else bracket.pow(-beta)


def _by_slices(x: torch.Tensor, n: int, k: float, alpha: float, beta: float, columns: int) -> torch.Tensor:
    """The same in operations that a compiler can fuse and differentiate by itself."""
    wide = _widened(x).unflatten(1, (columns, -1))
    padding = [0, 0] * (wide.ndim - 3) + [n // 2, n // 2]
    squares = F.pad(wide.square(), padding)
    sums = sum(squares.narrow(2, shift, wide.shape[2]) for shift in range(n))
    return (wide * _negative_power(sums * alpha + k, beta)).flatten(1, 2).to(x.dtype)


def _widened(x: torch.Tensor) -> torch.Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _portions(x: torch.Tensor, like: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
    """A few images at a time on a CPU; elsewhere all at once."""
    if x.device.type != "cpu" or not x.numel():
        return (x,)
    numbers = (x if like is None else like)[0].numel()
    return x.split(max(1, CACHE_NUMBERS // numbers))


def _check_numbers(n: int, k: float, alpha: float, beta: float, columns: int) -> None:
    if n < 1 or n % 2 == 0:
        raise SettingError(f"n={n}: the window is centred on a channel, so n must be odd: 1, 3, 5 (the paper's), …")
    for name, value in (("k", k), ("alpha", alpha), ("beta", beta)):
        if not (math.isfinite(value) and value >= 0):
            raise SettingError(
                f"{name}={value}: it must be a finite number, 0 or more; the paper has k=2, alpha=1e-4, beta=0.75"
            )
    if columns < 1:
        raise SettingError(f"columns={columns}: give 1, or 2 for the paper's two GPUs")


def _check_tensor(x: torch.Tensor, n: int, columns: int) -> None:
    if not x.is_floating_point():
        raise SettingError(
            f"the tensor is {x.dtype}; normalisation needs floating-point activations: call .float() first"
        )
    if x.ndim < 2:
        raise SettingError(f"the tensor has shape {tuple(x.shape)}; it must be (N, C, ...), channels second")
    if x.shape[1] % columns:
        raise SettingError(f"columns={columns} does not divide the {x.shape[1]} channels")
    if n > x.shape[1] // columns:
        raise SettingError(f"n={n} is more than the {x.shape[1] // columns} channels that a window can see")
