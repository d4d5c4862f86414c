"""Local response normalisation as one GPU kernel forward and one backward, for tensors that a GPU holds.

The same formula and gradient as lrn.py, which calls this where it can: what moves through memory is then little
more than reading and writing each tensor once (`bench lrn` measures it beside a copy). Written in Triton, which comes
with PyTorch's CUDA builds; its interpreter runs the same code on a CPU, and so do the tests.
"""

from __future__ import annotations

import functools
import os
import shutil
import warnings

import torch

try:
    import triton
    import triton.language as tl
except ImportError:  # a PyTorch without CUDA
    triton = None

TYPES = (torch.float32, torch.bfloat16, torch.float16)


def usable(x: torch.Tensor) -> bool:
    """True if the kernels can work on x: (N, C, ...) on a CUDA device, float32 or less, dense in one of two orders."""
    return x.is_cuda and x.dtype in TYPES and x.numel() > 0 and _order(x) is not None and _can_compile()


@functools.cache
def _can_compile() -> bool:
    """Triton builds its launchers with a C compiler; without it, or without Triton, say once what that costs."""
    if triton is not None and (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return True
    lacking = "Triton is not installed" if triton is None else "there is no C compiler (gcc or clang)"
    warnings.warn(
        f"local response normalisation runs without its GPU kernels, several times slower: {lacking}", stacklevel=2
    )
    return False


def _order(x: torch.Tensor) -> tuple[int, int, int] | None:
    """Strides of image, channel and pixel, or None where the tensor is in no order that the kernels walk."""
    pixels = x[0, 0].numel()
    if x.is_contiguous():
        return x.shape[1] * pixels, pixels, 1
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x.shape[1] * pixels, 1, x.shape[1]
    return None


def forward(x: torch.Tensor, n: int, k: float, alpha: float, beta: float, columns: int) -> torch.Tensor:
    """The normalised activations, like x (N, C, ...)."""
    y = torch.empty_like(x)
    _launch(_forward, x, (x, y), n, k, alpha, beta, columns)
    return y


def backward(
    x: torch.Tensor, gradient: torch.Tensor, n: int, k: float, alpha: float, beta: float, columns: int
) -> torch.Tensor:
    """The gradient by x (N, C, ...) from that by the normalised activations."""
    if gradient.stride() != x.stride():
        gradient = torch.empty_like(x).copy_(gradient)
    result = torch.empty_like(x)
    _launch(_backward, x, (x, gradient, result), n, k, alpha, beta, columns)
    return result


def tile(channels: int, channels_last: bool) -> tuple[int, int]:
    """Channels and pixels that one program works on: whole pixels in channels-last order, runs of pixels otherwise."""
    if channels_last:
        wide = min(256, triton.next_power_of_2(channels))
        return wide, max(1, 2048 // wide)
    return 16, 128


def _launch(kernel, x, tensors, n, k, alpha, beta, columns) -> None:  # noqa: ANN001, PLR0913 - one place, two kernels
    images, channels = x.shape[:2]
    pixels = x[0, 0].numel()
    by_image, by_channel, by_pixel = _order(x)
    wide, long = tile(channels, by_channel == 1)
    grid = (triton.cdiv(pixels, long), triton.cdiv(channels, wide), images)
    numbers = (channels, pixels, channels // columns, by_image, by_channel, by_pixel)
    constants = {"n": n, "roots": beta == 0.75, "wide": wide, "long": long}
    if x.is_cuda:
        with torch.cuda.device(x.device):
            kernel[grid](*tensors, *numbers, k, alpha, beta, **constants)
    else:  # the interpreter
        kernel[grid](*tensors, *numbers, k, alpha, beta, **constants)


if triton is not None:

    @triton.jit
    def _power(bracket, beta, roots: tl.constexpr):  # noqa: ANN001, ANN202 - Triton's own types
        if roots:
            root = tl.rsqrt(bracket)
            return root * tl.sqrt(root)
        return tl.exp(-beta * tl.log(bracket))

    @triton.jit
    def _values(tensor, channel, first, end, some, by_channel):  # noqa: ANN001, ANN202
        there = ((channel >= first) & (channel < end))[:, None] & some
        return tl.load(tensor + channel[:, None] * by_channel, mask=there, other=0.0).to(tl.float32)

    @triton.jit
    def _forward(
        x,
        y,
        channels,
        pixels,
        column,
        by_image,
        by_channel,
        by_pixel,
        k,
        alpha,
        beta,
        n: tl.constexpr,
        roots: tl.constexpr,
        wide: tl.constexpr,
        long: tl.constexpr,
    ):  # noqa: ANN001, ANN202, PLR0913
        channel = tl.program_id(1) * wide + tl.arange(0, wide)
        pixel = tl.program_id(0) * long + tl.arange(0, long)
        place = tl.program_id(2).to(tl.int64) * by_image + pixel[None, :] * by_pixel
        first = channel // column * column
        end = first + column
        some = (pixel < pixels)[None, :] & (channel < channels)[:, None]
        total = tl.zeros((wide, long), tl.float32)
        for i in tl.static_range(n):
            value = _values(x + place, channel + (i - n // 2), first, end, some, by_channel)
            total += value * value
        own = _values(x + place, channel, first, end, some, by_channel)
        result = own * _power(k + alpha * total, beta, roots)
        tl.store(y + place + channel[:, None] * by_channel, result.to(y.dtype.element_ty), mask=some)

    @triton.jit
    def _backward(
        x,
        gradient,
        out,
        channels,
        pixels,
        column,
        by_image,
        by_channel,
        by_pixel,
        k,
        alpha,
        beta,
        n: tl.constexpr,
        roots: tl.constexpr,
        wide: tl.constexpr,
        long: tl.constexpr,
    ):  # noqa: ANN001, ANN202, PLR0913
        channel = tl.program_id(1) * wide + tl.arange(0, wide)
        pixel = tl.program_id(0) * long + tl.arange(0, long)
        place = tl.program_id(2).to(tl.int64) * by_image + pixel[None, :] * by_pixel
        first = channel // column * column
        end = first + column
        some = (pixel < pixels)[None, :] & (channel < channels)[:, None]
        own = _values(x + place, channel, first, end, some, by_channel)
        direct = tl.zeros((wide, long), tl.float32)
        total = tl.zeros((wide, long), tl.float32)
        # The loads of overlapping windows are the same expressions, which the compiler makes one.
        for j in tl.static_range(n):
            squares = tl.zeros((wide, long), tl.float32)
            for i in tl.static_range(n):
                value = _values(x + place, channel + (j + i - 2 * (n // 2)), first, end, some, by_channel)
                squares += value * value
            bracket = k + alpha * squares
            a = _values(x + place, channel + (j - n // 2), first, end, some, by_channel)
            g = _values(gradient + place, channel + (j - n // 2), first, end, some, by_channel)
            passed = g * _power(bracket, beta, roots)
            total += passed * a / bracket
            if j == n // 2:
                direct = passed
        result = direct - 2 * alpha * beta * own * total
        tl.store(out + place + channel[:, None] * by_channel, result.to(out.dtype.element_ty), mask=some)
