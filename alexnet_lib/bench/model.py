"""`bench model`: a training step of AlexNet beside torchvision's, and of its variants, in one run."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable

import torch
import torchvision
from torch import nn

from ..errors import SettingError
from ..network.alexnet import AlexNet
from ..network.config import AlexNetConfig, ablations
from ..network.lrn import LocalResponseNorm
from ..network.two_gpu import TwoGPUAlexNet
from ..system.timing import Timing, take_turns
from ..training.optimizer import PaperSGD
from ..training.speed import trainer
from . import DTYPES
from .frame import Comparison, figures, print_columns, speeds

OURS = "alexnet_lib, the paper's"
Networks = dict[str, Callable[[], nn.Module]]


class FrameworkNorm(nn.Module):
    """The framework's LRN within columns: the formula of one of ours (default: the paper's) from its parts."""

    def __init__(self, ours: LocalResponseNorm | None = None) -> None:
        super().__init__()
        ours = ours or LocalResponseNorm(columns=2)
        alpha = ours.alpha if ours.average else ours.alpha * ours.n
        self.columns = ours.columns
        self.norm = nn.LocalResponseNorm(ours.n, alpha=alpha, beta=ours.beta, k=ours.k)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.reshape(self.columns * len(x), -1, *x.shape[2:])).reshape(x.shape)


def with_framework_norm() -> AlexNet:
    """The paper's network with the framework's normalisation in place of ours."""
    net = AlexNet(AlexNetConfig.paper(), seed=0)
    net.norm1, net.norm2 = FrameworkNorm(), FrameworkNorm()
    return net


def split(device: torch.device) -> TwoGPUAlexNet:
    """The paper's network in two columns: on two GPUs where there are two, else both on `device`."""
    pair = ("cuda:0", "cuda:1") if device.type == "cuda" and torch.cuda.device_count() > 1 else (device, device)
    net = TwoGPUAlexNet(AlexNetConfig.paper(), pair, seed=0)
    for column in net.columns:
        column.to(memory_format=torch.channels_last)
    return net


def networks(device: torch.device) -> Networks:
    """What is measured, by name."""
    two = device.type == "cuda" and torch.cuda.device_count() > 1
    return {
        OURS: lambda: AlexNet(AlexNetConfig.paper(), seed=0),
        "the same with nn.LocalResponseNorm": with_framework_norm,
        "the same without LRN": lambda: AlexNet(ablations()["no_norm"], seed=0),
        "the 2012 code's": lambda: AlexNet(AlexNetConfig.code2012(), seed=0),
        "one GPU, half the kernels": lambda: AlexNet(AlexNetConfig.one_gpu_half(), seed=0),
        "the paper's on two GPUs" if two else "the paper's in two columns, on one device": lambda: split(device),
        "torchvision.models.alexnet": lambda: torchvision.models.alexnet(weights=None),
    }


def stepper(net: nn.Module, batch: int, device: torch.device, dtype: str, compiled: bool) -> Callable[[], int]:
    """A contestant: one training step on a batch that is already there; returns its images."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn((batch, 3, 224, 224), generator=generator).to(device, memory_format=torch.channels_last)
    labels = torch.randint(1000, (batch,), generator=generator).to(device)
    if not isinstance(net, TwoGPUAlexNet):  # which is on its devices already
        net = net.to(device, memory_format=torch.channels_last)
    optimizer = PaperSGD(net.train().parameters(), 1e-6, weight_decay=5e-4)
    return trainer(torch.compile(net) if compiled else net, optimizer, images, labels, 1, dtype)


def chosen(only: str | None, device: torch.device) -> Networks:
    """The networks whose name holds one of the words in "a,b"; all without. SettingError if there is none."""
    words = only.split(",") if only else [""]
    wanted = {name: make for name, make in networks(device).items() if any(word in name for word in words)}
    if not wanted:
        raise SettingError(f"--only {only}: no network's name holds that; there are {'; '.join(networks(device))}")
    return wanted


def measure(
    wanted: Networks, rounds: int, device: torch.device, batch: int, dtype: str, compiled: bool
) -> dict[str, Timing]:
    """Images a second of a training step of every network, in turns."""
    steps = {name: stepper(make(), batch, device, dtype, compiled) for name, make in wanted.items()}
    return take_turns(steps, rounds)


def sizes(text: str) -> list[int]:
    """Batch sizes out of "128,1024". SettingError for anything else."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise SettingError(f"--batches {text!r}: give whole numbers of 1 or more, such as 128,1024")
    return [int(part) for part in parts]


def run(args: argparse.Namespace) -> int:
    """Measure, print a table for each setting, and write a record if --out is given."""
    bench, results = Comparison(args), []
    wanted = chosen(args.only, bench.device)
    batches = sizes(args.batches) if args.batches else [128 if bench.gpu else 32]
    dtypes = [name.strip() for name in args.dtypes.split(",")]
    if wrong := [name for name in dtypes if name not in DTYPES]:
        raise SettingError(f"--dtypes {wrong[0]!r} is not known; use {', '.join(DTYPES)}")
    bench.announce("training steps of images 224 x 224, ")
    for batch, dtype, compiled in itertools.product(batches, dtypes, (False, True) if args.compile else (False,)):
        timings = measure(wanted, args.rounds, bench.device, batch, dtype, compiled)
        report(timings, f"batch {batch}, {dtype}{', compiled' if compiled else ''}")
        setting = {"batch": batch, "dtype": dtype, "compiled": compiled}
        results.append({**setting, "images_per_second": figures(timings)})
    return bench.record({"steps": results}, ["C04"])


def report(timings: dict[str, Timing], title: str) -> None:
    """Print images a second, the range, and the ratio to ours."""
    ours = timings.get(OURS)
    print_columns(title, timings, speeds(1) | {"times ours": lambda t: f"{t.median / ours.median:.2f}" if ours else ""})
