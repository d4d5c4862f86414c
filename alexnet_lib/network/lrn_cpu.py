"""Local response normalisation compiled for the CPU: each number is read and written about as often as a copy would.

The formula and gradient of lrn.py, which calls this where it can (`bench lrn` measures it beside a copy). Numba
compiles the loops below once a machine and keeps the result. They go through a tensor in tiles that stay in the
fastest cache. A tile is some lines of numbers that lie side by side: with the channels last, each line is all channels
of a pixel; in a contiguous tensor, each is some pixels of one channel.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

try:
    import numba
except ImportError:
    numba = None

TYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
NUMBERS = 256  # of a tile with the channels last, unless a pixel has more: the best of those tried
PIXELS = 256  # of a tile of a contiguous tensor, which has all channels of them
A_THREAD = 2**15  # numbers that are worth a thread of their own


def usable(x: torch.Tensor) -> bool:
    """True if the compiled loops can work on x: a plain CPU tensor (N, C, ...) that is not empty."""
    plain = type(x) in (torch.Tensor, torch.nn.Parameter) and x.device.type == "cpu" and x.dtype in TYPES
    return plain and x.numel() > 0 and _is_installed()


@functools.cache
def _is_installed() -> bool:
    """Whether Numba is there; says once what it costs if not."""
    if numba is None:
        warnings.warn(
            "local response normalisation runs without its compiled loops, several times slower: Numba is not "
            "installed (pip install numba)",
            stacklevel=2,
        )
    return numba is not None


def _channels_last(x: torch.Tensor) -> bool:
    return (x.ndim == 2 and x.is_contiguous()) or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last))


def forward(x: torch.Tensor, n: int, k: float, alpha: float, beta: float, columns: int) -> torch.Tensor:
    """The normalised activations, like x (N, C, ...)."""
    dense = _dense(x)
    y = torch.empty_like(dense)
    _run((_forward_planes, _forward_rows), (dense, y), n, k, alpha, beta, columns)
    return _like(x, y)


def backward(
    x: torch.Tensor, gradient: torch.Tensor, n: int, k: float, alpha: float, beta: float, columns: int
) -> torch.Tensor:
    """The gradient by x (N, C, ...) from that by the normalised activations."""
    dense = _dense(x)
    given, result = _like(dense, gradient), torch.empty_like(dense)
    _run((_backward_planes, _backward_rows), (dense, given, result), n, k, alpha, beta, columns)
    return _like(x, result)


def _dense(x: torch.Tensor) -> torch.Tensor:
    """x in one of the two orders, half precisions as float32."""
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    return wide if _channels_last(wide) else wide.contiguous()


def _like(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The values in x's type and order."""
    alike = values.dtype == x.dtype and values.stride() == x.stride()
    return values if alike else torch.empty_like(x).copy_(values)


def _run(kernels, tensors, n, k, alpha, beta, columns) -> None:  # noqa: ANN001, PLR0913 - one place, four kernels
    """The kernel for the tensors' order on all of them, a part on each of PyTorch's threads."""
    x, channels = tensors[0], tensors[0].shape[1] // columns
    if last := _channels_last(x):
        arrays = [t.movedim(1, -1).detach().reshape(-1, channels).numpy() for t in tensors]
    else:
        arrays = [t.detach().reshape(x.shape[0] * columns, channels, -1).numpy() for t in tensors]
    number, parts = arrays[0].dtype.type, len(arrays[0])
    rest = (n, number(k), number(alpha), number(beta), *arrays)
    threads = min(torch.get_num_threads(), parts, max(1, x.numel() // A_THREAD))
    if threads == 1:
        kernels[last](0, parts, *rest)
        return
    tile = max(1, NUMBERS // channels) if last else 1  # whole ones, so that sums come out alike with any threads
    ends = [*(parts * i // threads // tile * tile for i in range(threads)), parts]
    list(_pool(threads, os.getpid()).map(lambda first, end: kernels[last](first, end, *rest), ends[:-1], ends[1:]))


@functools.lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads for the loops, which hold no lock of Python's; a forked process has none of its parent's."""
    return ThreadPoolExecutor(threads, "lrn")


if numba is not None:

    def _compiled(function: Callable) -> Callable:
        """Compiled at its first call. Sums within a window may be taken in another order, and roots be estimates, which
        `_powers` makes good."""
        options = {"nogil": True, "error_model": "numpy", "fastmath": {"nsz", "arcp", "contract", "afn", "reassoc"}}
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # there is no folder that can be written to keep it in
            return numba.njit(**options)(function)

    def _inlined(function: Callable) -> Callable:
        """Copied to where it is called, so that `step` is a constant there: only then are the loops vectorised."""
        return numba.njit(inline="always", error_model="numpy")(function)

    @_inlined
    def _five(values, i, step):  # noqa: ANN001, ANN202
        """The sum of five values from the i-th on, `step` apart."""
        return (values[i] + values[i + step]) + (values[i + 2 * step] + values[i + 3 * step]) + values[i + 4 * step]

    @_inlined
    def _root(bracket):  # noqa: ANN001, ANN202
        """bracket ** -1/2. The machine's may be an estimate, so one step of Newton's follows."""
        kind = type(bracket)
        bracket = min(bracket, np.finfo(kind).max)
        root = kind(1) / np.sqrt(bracket)
        return root + kind(0.5) * root * (kind(1) - bracket * root * root)

    @_inlined
    def _sums(values, step, n, out):  # noqa: ANN001, ANN202
        """out[i] = the sum of n values from the i-th on, `step` apart."""
        if n == 5:
            for i in range(len(out)):
                out[i] = _five(values, i, step)
            return
        for i in range(len(out)):
            out[i] = values[i]
        for place in range(1, n):
            for i in range(len(out)):
                out[i] += values[i + place * step]

    @_inlined
    def _powers(squares, step, n, k, alpha, beta, direct):  # noqa: ANN001, ANN202, PLR0913
        """direct[i] = bracket ** -beta, with the bracket of the n squares from the i-th on."""
        if n == 5 and beta == 0.75:
            for i in range(len(direct)):
                root = _root(k + alpha * _five(squares, i, step))
                direct[i] = root * np.sqrt(root)
        else:
            _sums(squares, step, n, direct)
            for i in range(len(direct)):
                direct[i] = (k + alpha * direct[i]) ** -beta

    @_inlined
    def _powers_and_quotients(squares, step, n, k, alpha, beta, direct, over):  # noqa: ANN001, ANN202, PLR0913
        """As _powers, and over[i] = direct[i] / bracket."""
        if n == 5 and beta == 0.75:
            for i in range(len(direct)):
                root = _root(k + alpha * _five(squares, i, step))
                direct[i] = root * np.sqrt(root)
                over[i] = root * np.sqrt(root) * root * root
        else:
            _sums(squares, step, n, direct)
            for i in range(len(direct)):
                bracket = k + alpha * direct[i]
                direct[i] = bracket**-beta
                over[i] = direct[i] / bracket

    @_compiled
    def _forward_rows(first, end, n, k, alpha, beta, x, y):  # noqa: ANN001, ANN202, PLR0913
        channels = x.shape[1]
        at_once, half, wide = max(1, NUMBERS // channels), n // 2, channels + n - 1
        squares = np.zeros(at_once * wide, x.dtype)  # zeros stay around each pixel's channels
        direct = np.empty(at_once * wide - n + 1, x.dtype)
        for pixel in range(first, end, at_once):
            some = min(at_once, end - pixel)
            for row in range(some):
                own, into = x[pixel + row], squares[row * wide + half : row * wide + half + channels]
                for i in range(channels):
                    into[i] = own[i] * own[i]
            _powers(squares, 1, n, k, alpha, beta, direct)
            for row in range(some):
                own, out, by = x[pixel + row], y[pixel + row], direct[row * wide : row * wide + channels]
                for i in range(channels):
                    out[i] = own[i] * by[i]

    @_compiled
    def _backward_rows(first, end, n, k, alpha, beta, x, gradient, out):  # noqa: ANN001, ANN202, PLR0913
        channels = x.shape[1]
        at_once, half, wide = max(1, NUMBERS // channels), n // 2, channels + n - 1
        squares, t = np.zeros(at_once * wide, x.dtype), np.zeros(at_once * wide, x.dtype)
        direct, over = np.empty(at_once * wide - n + 1, x.dtype), np.empty(at_once * wide - n + 1, x.dtype)
        factor = 2 * alpha * beta
        for pixel in range(first, end, at_once):
            some = min(at_once, end - pixel)
            for row in range(some):
                own, into = x[pixel + row], squares[row * wide + half : row * wide + half + channels]
                for i in range(channels):
                    into[i] = own[i] * own[i]
            _powers_and_quotients(squares, 1, n, k, alpha, beta, direct, over)
            for row in range(some):
                own, given = x[pixel + row], gradient[pixel + row]
                by, into = over[row * wide : row * wide + channels], t[row * wide + half : row * wide + half + channels]
                for i in range(channels):
                    into[i] = own[i] * given[i] * by[i]
            _sums(t, 1, n, over)
            for row in range(some):
                own, given, result = x[pixel + row], gradient[pixel + row], out[pixel + row]
                by, sums = direct[row * wide : row * wide + channels], over[row * wide : row * wide + channels]
                for i in range(channels):
                    result[i] = given[i] * by[i] - factor * own[i] * sums[i]

    @_compiled
    def _forward_planes(first, end, n, k, alpha, beta, x, y):  # noqa: ANN001, ANN202, PLR0913
        _, channels, pixels = x.shape
        squares = np.zeros((channels + n - 1) * PIXELS, x.dtype)  # zeros stay before the first and after the last
        direct = np.empty(channels * PIXELS, x.dtype)
        for group in range(first, end):
            for start in range(0, pixels, PIXELS):
                stop = min(start + PIXELS, pixels)
                for channel in range(channels):
                    own, into = x[group, channel, start:stop], squares[(channel + n // 2) * PIXELS :]
                    for i in range(len(own)):
                        into[i] = own[i] * own[i]
                _powers(squares, PIXELS, n, k, alpha, beta, direct)
                for channel in range(channels):
                    own, out = x[group, channel, start:stop], y[group, channel, start:stop]
                    by = direct[channel * PIXELS :]
                    for i in range(len(own)):
                        out[i] = own[i] * by[i]

    @_compiled
    def _backward_planes(first, end, n, k, alpha, beta, x, gradient, out):  # noqa: ANN001, ANN202, PLR0913
        _, channels, pixels = x.shape
        squares = np.zeros((channels + n - 1) * PIXELS, x.dtype)
        t = np.zeros((channels + n - 1) * PIXELS, x.dtype)
        direct, over = np.empty(channels * PIXELS, x.dtype), np.empty(channels * PIXELS, x.dtype)
        factor = 2 * alpha * beta
        for group in range(first, end):
            for start in range(0, pixels, PIXELS):
                stop = min(start + PIXELS, pixels)
                for channel in range(channels):
                    own, into = x[group, channel, start:stop], squares[(channel + n // 2) * PIXELS :]
                    for i in range(len(own)):
                        into[i] = own[i] * own[i]
                _powers_and_quotients(squares, PIXELS, n, k, alpha, beta, direct, over)
                for channel in range(channels):
                    own, given = x[group, channel, start:stop], gradient[group, channel, start:stop]
                    by, into = over[channel * PIXELS :], t[(channel + n // 2) * PIXELS :]
                    for i in range(len(own)):
                        into[i] = own[i] * given[i] * by[i]
                _sums(t, PIXELS, n, over)
                for channel in range(channels):
                    own, given = x[group, channel, start:stop], gradient[group, channel, start:stop]
                    result, by = out[group, channel, start:stop], direct[channel * PIXELS :]
                    sums = over[channel * PIXELS :]
                    for i in range(len(own)):
                        result[i] = given[i] * by[i] - factor * own[i] * sums[i]
