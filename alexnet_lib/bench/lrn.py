"""`bench lrn`: local response normalisation beside the framework's, and beside merely copying its tensors."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable

import torch
from torch import nn

from ..errors import SettingError
from ..measures.lrn import kept_for_backward
from ..network.lrn import LocalResponseNorm
from ..system.devices import DTYPES
from ..system.timing import Timing, take_turns
from .frame import Comparison, figures, print_columns

# What conv1 and conv2 put out, in the order that training uses and in PyTorch's own.
SHAPES = ((96, 55, 55), (256, 27, 27))
ORDERS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
# its alpha is divided by n = 5: the paper's sum
FRAMEWORK = {"alpha": 5e-4, "beta": 0.75, "k": 2.0}


def contestants(x: torch.Tensor, gradient: torch.Tensor, compiled: bool) -> dict[str, Callable[[], int]]:
    """Each runs forward and backward once on activations (N, C, H, W) and returns N."""
    layers: dict[str, nn.Module] = {
        "ours": LocalResponseNorm(),
        "ours, two columns": LocalResponseNorm(columns=2),
        "framework": nn.LocalResponseNorm(5, **FRAMEWORK),
    }
    if compiled:
        layers["ours, compiled"] = torch.compile(LocalResponseNorm())
        layers["framework, compiled"] = torch.compile(nn.LocalResponseNorm(5, **FRAMEWORK))
    runs = {name: _forward_and_backward(layer, x, gradient) for name, layer in layers.items()}
    runs["copy"] = _copying(x, gradient)
    return runs


def _forward_and_backward(layer: nn.Module, x: torch.Tensor, gradient: torch.Tensor) -> Callable[[], int]:
    x = x.detach().requires_grad_()

    def run() -> int:
        torch.autograd.grad(layer(x), x, gradient)
        return len(x)

    return run


def _copying(x: torch.Tensor, gradient: torch.Tensor) -> Callable[[], int]:
    """The least any such layer moves: forward reads one tensor and writes one, backward reads two and writes one."""

    def run() -> int:
        torch.empty_like(x).copy_(x)
        torch.add(x, gradient)
        return len(x)

    return run


def run(args: argparse.Namespace) -> int:
    """Measure and print a table for each shape."""
    bench, results = Comparison(args), []
    if args.dtype == "bfloat16" and not bench.gpu:
        raise SettingError("--dtype bfloat16: nn.LocalResponseNorm does not have it on a CPU; use float32, or a GPU")
    batch = args.batch or (128 if bench.gpu else 32)
    bench.announce(f"{args.dtype}; forward and backward, ")
    for shape, (order, form) in itertools.product(SHAPES, ORDERS.items()):
        generator = torch.Generator().manual_seed(0)
        x, gradient = (torch.randn((batch, *shape), generator=generator) for _ in range(2))
        x, gradient = (t.to(bench.device, DTYPES[args.dtype], memory_format=form) for t in (x.relu_(), gradient))
        kept = {
            "ours": kept_for_backward(LocalResponseNorm(), x),
            "framework": kept_for_backward(nn.LocalResponseNorm(5, **FRAMEWORK), x),
        }
        timings = take_turns(contestants(x, gradient, args.compile), args.rounds)
        report((batch, *shape), order, timings, kept)
        measured = {"images_per_second": figures(timings), "kept_bytes": kept}
        results.append({"shape": [batch, *shape], "order": order, **measured})
    return bench.record({"dtype": args.dtype, "shapes": results})


def report(shape: tuple[int, ...], order: str, timings: dict[str, Timing], kept: dict[str, int]) -> None:
    """Print milliseconds, how many times the framework's speed, how many times a copy's time, and what is kept."""
    columns = {
        "ms": lambda t: f"{1000 * shape[0] / t.median:,.2f}",
        "times as fast as the framework": lambda t: f"{t.median / timings['framework'].median:.2f}",
        "times a copy's time": lambda t: f"{timings['copy'].median / t.median:.2f}",
        "MiB kept besides the input": lambda t: f"{kept[t.name] / 2**20:,.1f}" if t.name in kept else "",
    }
    print_columns(f"activations {shape}, {order}", timings, columns)
