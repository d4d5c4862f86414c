"""`bench lrn`: local response normalisation beside the framework's, and beside merely copying its tensors."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from ..errors import SettingError, check_counts
from ..measures.lrn import kept_for_backward
from ..network.lrn import LocalResponseNorm
from ..system.devices import describe_device, keep_freed_memory, pick_device
from ..system.timing import Timing, synchronise, take_turns
from . import print_table
from .recording import figures, write

# What conv1 and conv2 put out, in the order that training uses and in PyTorch's own.
SHAPES = ((96, 55, 55), (256, 27, 27))
ORDERS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
FRAMEWORK = {"alpha": 5e-4, "beta": 0.75, "k": 2.0}  # its alpha is divided by n = 5: the paper's sum


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
        synchronise(x.device)
        return len(x)

    return run


def _copying(x: torch.Tensor, gradient: torch.Tensor) -> Callable[[], int]:
    """The least any such layer moves: forward reads one tensor and writes one, backward reads two and writes one."""

    def run() -> int:
        torch.empty_like(x).copy_(x)
        torch.add(x, gradient)
        synchronise(x.device)
        return len(x)

    return run


def run(args: argparse.Namespace) -> int:
    """Measure and print a table for each shape."""
    check_counts(args, "rounds", "threads", "batch")
    results, began = [], time.perf_counter()
    device = pick_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    if device.type == "cpu":
        keep_freed_memory()
    batch = args.batch or (32 if device.type == "cpu" else 128)
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[args.dtype]
    if dtype == torch.bfloat16 and device.type == "cpu":
        raise SettingError("--dtype bfloat16: nn.LocalResponseNorm does not have it on a CPU; use float32, or a GPU")
    print(
        f"{describe_device(device)}; {str(dtype).removeprefix('torch.')}; forward and backward, median of {args.rounds}"
    )
    for shape, (order, form) in itertools.product(SHAPES, ORDERS.items()):
        generator = torch.Generator().manual_seed(0)
        x, gradient = (torch.randn((batch, *shape), generator=generator) for _ in range(2))
        x, gradient = (t.to(device, dtype).contiguous(memory_format=form) for t in (x.relu_(), gradient))
        kept = {
            "ours": kept_for_backward(LocalResponseNorm(), x),
            "framework": kept_for_backward(nn.LocalResponseNorm(5, **FRAMEWORK), x),
        }
        timings = take_turns(contestants(x, gradient, args.compile), args.rounds)
        report((batch, *shape), order, timings, kept)
        speeds = {"images_per_second": figures(timings), "kept_bytes": kept}
        results.append({"shape": [batch, *shape], "order": order, **speeds})
    if args.out:
        about = {"device": device, "rounds": args.rounds, "seconds": time.perf_counter() - began, "out": args.out}
        print(f"recorded in {write('lrn', {'dtype': args.dtype, 'shapes': results}, words=sys.argv[3:], **about)}")
    return 0


def report(shape: tuple[int, ...], order: str, timings: dict[str, Timing], kept: dict[str, int]) -> None:
    """Print milliseconds, how many times the framework's speed, how many times a copy's time, and what is kept."""
    rows = []
    for name, timing in timings.items():
        memory = f"{kept[name] / 2**20:,.1f}" if name in kept else ""
        rows.append(
            (
                name,
                f"{1000 * shape[0] / timing.median:,.2f}",
                f"{timing.median / timings['framework'].median:.2f}",
                f"{timings['copy'].median / timing.median:.2f}",
                memory,
            )
        )
    header = ("", "ms", "times as fast as the framework", "times a copy's time", "MiB kept besides the input")
    print_table(f"activations {shape}, {order}", header, rows)
