"""`two-gpus`: train a few steps in two processes, count what crosses, and compare with the single network."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

import torch
import torch.distributed as dist
import torch.nn.functional as F

from ..errors import SettingError, TrainingError, check_counts, check_seed
from ..network.alexnet import AlexNet
from ..network.config import VARIANTS
from ..network.description import Description
from ..network.dropout import seed_dropout
from ..network.traffic import Traffic, expected_traffic
from ..network.two_gpu import join_columns
from ..network.two_processes import START, AlexNetColumn, join_pair, own_device
from ..system.devices import describe_device, keep_freed_memory
from ..training.optimizer import PaperSGD

TOLERANCE = 1e-10


def run(args: argparse.Namespace) -> int:
    """Run one of the two processes to its end; process 0 prints."""
    check_counts(args, "batch", "steps")
    check_seed(args.seed, 40)  # it is multiplied by a million
    if args.config not in VARIANTS:
        raise SettingError(f"--config {args.config!r} is not known; use one of {', '.join(VARIANTS)}")
    rank = join_pair(args.backend, args.timeout)
    try:
        device = own_device(dist.get_backend())
        if device.type == "cpu":
            keep_freed_memory()
        else:
            torch.cuda.set_device(device)  # all_gather_object sends from the current GPU
        net = AlexNetColumn(VARIANTS[args.config](), seed=args.seed).to(device)
        if rank == 0:
            print(f"two processes over {dist.get_backend()}, {describe_device(device)}; {args.config}, {START}")
        _train(net, args, device)
        if args.check:
            _check(net, args)
    finally:
        dist.destroy_process_group()
    return 0


def _batch(args: argparse.Namespace, size: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Drawn pixels, spread as photographs' are about their mean, and labels: the same in both processes."""
    generator = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
    images = 64 * torch.randn((args.batch, 3, size, size), generator=generator)
    return images, torch.randint(1000, (args.batch,), generator=generator)


def _train(net: AlexNetColumn, args: argparse.Namespace, device: torch.device) -> None:
    optimizer = PaperSGD(net.parameters(), rate=args.rate)
    net.drop_as(args.seed)
    for step in range(args.steps):
        images, labels = (part.to(device) for part in _batch(args, net.config.input_size, step))
        net.traffic.clear()
        began = time.perf_counter()
        loss = net.loss(images, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if net.rank == 0:
            seconds = time.perf_counter() - began
            print(f"step {step}: loss {loss.item():.4f}, {args.batch / seconds:,.0f} images/s", flush=True)
    counted = _both(net.traffic)
    if net.rank == 0:
        _print_traffic(counted, net.describe(), args.batch)


def _both(traffic: Traffic) -> Traffic:
    """What both processes counted, joined, in each of them."""
    counts: list[Traffic | None] = [None, None]
    dist.all_gather_object(counts, traffic)
    return counts[0].joined(counts[1])


def _print_traffic(counted: Traffic, described: Description, batch: int) -> None:
    expected = expected_traffic(described, batch)
    print(f"bytes that crossed in one step of {batch} images:")
    for layer, which, direction, count in counted.rows():
        print(f"  {layer:6} {which:8} {direction}  {count:>12,}")
    print(f"  in all {counted.total:,}; by arithmetic {expected.total:,}; {counted.total // batch:,} an image")
    if counted.bytes != expected.bytes:
        raise TrainingError("the bytes counted are not those of the arithmetic")


def worst_of(ours: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> float:
    """The largest difference, as part of the largest number of its tensor; not a number where any difference is not."""
    parts = []
    for name, value in wanted.items():
        largest = value.abs().max().clamp_min(torch.finfo(value.dtype).tiny)
        parts.append((ours[name] - value).abs().max() / largest)
    return float(torch.stack(parts).max())  # Python's max would pass over what is not a number


def _check(net: AlexNetColumn, args: argparse.Namespace) -> None:
    """Outputs and gradients in float64, dropout included, against the network on one device."""
    single = AlexNet(net.config, seed=args.seed).double()
    net.load_single(single.state_dict())
    net.double().cpu() if dist.get_backend() == "gloo" else net.double()
    device = next(net.parameters()).device
    images, labels = _batch(args, net.config.input_size, args.steps)
    net.drop_as(args.seed)
    net.zero_grad(set_to_none=True)
    loss = net.loss(images.double().to(device), labels.to(device))
    loss.backward()
    mine = {name: parameter.grad.cpu() for name, parameter in net.column.named_parameters()}
    columns: list[dict | None] = [None, None]
    dist.all_gather_object(columns, mine)
    if net.rank:
        return
    single.to(device)
    seed_dropout(single, args.seed)
    alone = F.cross_entropy(single(images.double().to(device)), labels.to(device))
    alone.backward()
    joined = join_columns(*columns)
    worst = worst_of(joined, {name: p.grad.cpu() for name, p in single.named_parameters()})
    difference = abs(loss.item() - alone.item())
    print(
        f"against one device, in float64: loss differs by {difference:.1e}, "
        f"gradients by at most {worst:.1e} of the largest"
    )
    if not (difference < TOLERANCE and worst < TOLERANCE):
        raise TrainingError(f"the two processes do not equal the single network within {TOLERANCE:g}")
