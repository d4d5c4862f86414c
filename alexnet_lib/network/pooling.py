"""Pooling: what one window of a map keeps of its pixels (section 3.4), and where its gradient goes.

Max, average, and a soft pooling that lies between them, written so that every step can be seen: they hold size^2
numbers for each output. The networks train with the framework's own poolings, which give the same answers and hold
less. Maps are (N, C, H, W) of any floating type; what a window sees outside the map counts as nothing. Taught in
"Overlapping pooling".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from ..errors import SettingError
from .geometry import Window

TIES = {
    "first": "the first of the largest pixels gets the gradient: PyTorch, Caffe",
    "all": "each of them gets all of it: the author's code of 2011, cuda-convnet",
    "shared": "each of them gets an equal part of it",
}
SERIES_BELOW = 0.5  # sharpness times spread, under which soft pooling is computed around the average

Pooling = Callable[[torch.Tensor], torch.Tensor]


def windows_of(x: torch.Tensor, window: Window, fill: float = 0.0) -> torch.Tensor:
    """The pixels of every window, row by row: (N, C, H, W) to (N, C, H', W', size^2), `fill` outside the map.

    SettingError: not four dimensions, a map too small for one window, a window that lies outside it altogether.
    """
    if x.dim() != 4:
        raise SettingError(f"maps of shape {tuple(x.shape)}: pooling takes (N, C, H, W)")
    spans = [window.spans(side) for side in x.shape[2:]]
    for side, places in zip(x.shape[2:], spans, strict=True):
        if outside := [span for span in places if span[0] >= side or span[1] <= 0]:
            raise SettingError(f"the window over pixels {outside[0][0]} to {outside[0][1] - 1} lies outside {side}")
    before = window.padding
    down, right = (max(0, places[-1][1] - side) for side, places in zip(x.shape[2:], spans, strict=True))
    x = F.pad(x, (before, right, before, down), value=fill)
    seen = x.unfold(2, window.size, window.stride).unfold(3, window.size, window.stride)
    return seen[:, :, : len(spans[0]), : len(spans[1])].flatten(4)


def onto_pixels(parts: torch.Tensor, shape: torch.Size, window: Window) -> torch.Tensor:
    """The transpose of `windows_of`: add what every window holds for a pixel, (N, C, H', W', size^2) to `shape`."""
    places = [window.outputs(side) for side in shape[2:]]
    reach = [(count - 1) * window.stride + window.size for count in places]
    columns = parts.permute(0, 1, 4, 2, 3).reshape(len(parts), -1, places[0] * places[1])
    summed = F.fold(columns, reach, window.size, stride=window.stride)
    over = [side + window.padding - length for side, length in zip(shape[2:], reach, strict=True)]
    summed = F.pad(summed, (0, max(0, over[1]), 0, max(0, over[0])))
    return summed[:, :, window.padding :, window.padding :][:, :, : shape[2], : shape[3]]


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, window: Window, ties: str) -> torch.Tensor:
        seen = windows_of(x, window, fill=-torch.inf)
        out, first = seen.max(-1)
        if ties == "first":
            routes = F.one_hot(first, seen.shape[-1]).to(x.dtype)
        else:
            routes = (seen == out[..., None]).to(x.dtype)
        if ties == "shared":
            routes /= routes.sum(-1, keepdim=True)
        ctx.save_for_backward(routes)
        ctx.shape, ctx.window = x.shape, window
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (routes,) = ctx.saved_tensors
        return onto_pixels(routes * gradient[..., None], ctx.shape, ctx.window), None, None


def max_pool(x: torch.Tensor, window: Window, ties: str = "first") -> torch.Tensor:
    """The largest pixel of each window, (N, C, H, W) to (N, C, H', W'); `ties` is one of TIES.

    Each output's gradient goes to its largest pixel; a pixel that is the largest in several windows gets the sum.
    SettingError: as `windows_of`, or an unknown rule for ties.
    """
    if ties not in TIES:
        raise SettingError(f"ties {ties!r} is not known; use one of {', '.join(TIES)}")
    return _MaxPool.apply(x, window, ties)


def routes(x: torch.Tensor, window: Window, ties: str = "first") -> torch.Tensor:
    """For each pixel, by how many outputs of max pooling it is passed on: the gradient of their sum. Shape of x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (counts,) = torch.autograd.grad(max_pool(x, window, ties).sum(), x)
    return counts


def average_pool(x: torch.Tensor, window: Window) -> torch.Tensor:
    """The mean over those pixels of each window that lie in the map: (N, C, H, W) to (N, C, H', W')."""
    inside = windows_of(torch.ones_like(x[:1, :1]), window).sum(-1)
    return windows_of(x, window).sum(-1) / inside


def soft_pool(x: torch.Tensor, window: Window, sharpness: float | torch.Tensor) -> torch.Tensor:
    """log(mean(exp(t x))) / t over each window, for the sharpness t: the average at 0, the maximum towards infinity.

    The gradient goes to a window's pixels in the shares softmax(t x). Below 0 it tends to the minimum. sharpness: a
    number, or a tensor (C,), one for each map; it can be learned. SettingError: as `windows_of`, another shape of it.
    """
    t = torch.as_tensor(sharpness, dtype=x.dtype, device=x.device)
    if t.shape not in (torch.Size(), x.shape[1:2]):
        raise SettingError(f"sharpness of shape {tuple(t.shape)}: one number, or one for each of {x.shape[1]} maps")
    t = t.reshape(-1, 1, 1, 1)
    seen = windows_of(x, window)
    inside = windows_of(torch.ones_like(x[:1, :1]), window)
    count, inside = inside.sum(-1, keepdim=True), inside.bool()
    middle = seen.sum(-1, keepdim=True) / count
    apart = torch.where(inside, seen - middle, 0)
    # Around the average where t is small, since log(mean(exp)) / t would divide rounding errors by t.
    near = (apart.abs().amax(-1, keepdim=True) * t.abs()).detach() < SERIES_BELOW
    bent = torch.expm1((t * apart).clamp(max=1)).sum(-1, keepdim=True) / count
    safe = torch.where(t == 0, 1, t)
    around = torch.where(t == 0, t * apart.square().sum(-1, keepdim=True) / count / 2, torch.log1p(bent) / safe)
    sums = torch.logsumexp((t * apart).masked_fill(~inside, -torch.inf), -1, keepdim=True)
    return (middle + torch.where(near, around, (sums - count.log()) / safe)).squeeze(-1)


def subsample(x: torch.Tensor, stride: int = 2) -> torch.Tensor:
    """Every `stride`-th pixel of every `stride`-th row, and nothing of the others: no pooling at all."""
    return x[:, :, ::stride, ::stride]


# What the chapter compares; on a side of 2 m + 1 pixels each gives m outputs.
COMPARED: dict[str, Pooling] = {
    "max 3/2": lambda x: F.max_pool2d(x, 3, 2),
    "max 2/2": lambda x: F.max_pool2d(x, 2, 2),
    "average 3/2": lambda x: F.avg_pool2d(x, 3, 2),
    "average 2/2": lambda x: F.avg_pool2d(x, 2, 2),
    "none": lambda x: subsample(x[:, :, :-1, :-1]),
}
