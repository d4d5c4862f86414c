"""One of the two processes that test_two_processes.py starts: `column_process.py WHAT FOLDER`, rank in the environment.

WHAT is "equal", or what happens to process 1: "killed", "silent", "another network" (its own is code2012).
FOLDER takes the results of "equal".
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from reference_alexnet import CLASSES, images, lively, small

from alexnet_lib.errors import AlexNetLibError, TrainingError
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.two_processes import AlexNetColumn, join_pair

CONFIGS: dict[str, AlexNetConfig] = {
    "paper": small(),
    "code2012": small("code2012"),
    "sixth_conv": small("sixth_conv"),
    "never_exchange": small(exchange=("fc8",)),
    "always_exchange": small(exchange=("conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")),
    "batch_norm": small(norm="batch"),
    "dropout before": small(dropout_kind="inverted", dropout_first=True),
}
LABELS = torch.tensor([0, 3, 9])
MASKS = 7


def single(config: AlexNetConfig) -> AlexNet:
    """The network on one device that both processes' columns are cut from."""
    return lively(AlexNet(config, CLASSES, seed=0))


def column(config: AlexNetConfig) -> AlexNetColumn:
    net = AlexNetColumn(config, CLASSES, seed=1).double()
    net.load_single(single(config).state_dict())
    return net


def equal(folder: Path, rank: int) -> None:
    """Every configuration, in both modes: what the test compares goes into a file."""
    results = {}
    for name, config in CONFIGS.items():
        for training in (False, True):
            net = column(config).train(training)
            net.drop_as(MASKS)
            x = images(config, len(LABELS)).requires_grad_()
            out = net(x)
            # The same masks again, for the loss.
            net.drop_as(MASKS)
            net.traffic.clear()
            loss = net.loss(x, LABELS)
            loss.backward()
            counted = dict(net.traffic.bytes)
            net.traffic.clear()
            with torch.no_grad():
                net(x)
            results[name, training] = {
                "out": out.detach(),
                "loss": loss.detach(),
                "gradients": {key: p.grad for key, p in net.column.named_parameters()},
                "of images": x.grad,
                "bytes": counted,
                "bytes without gradients": dict(net.traffic.bytes),
            }
    results["start by seed"] = AlexNetColumn(small(), CLASSES, seed=5).column.state_dict()
    torch.save(results, folder / f"rank{rank}.pt")


def step(rank: int, given: signal.Signals) -> None:
    """A whole training step, and one in which process 1 gets a signal between the forward and the backward pass."""
    net = AlexNetColumn(small(), CLASSES)
    x = images(small(), len(LABELS), dtype=torch.float32)
    net.loss(x, LABELS).backward()
    loss = net.loss(x, LABELS)
    print("between the passes", flush=True)
    if rank == 1:
        os.kill(os.getpid(), given)
    loss.backward()


def meet(folder: Path) -> None:
    """Wait until both processes have come this far: a busy machine can start one much later than the other."""
    (folder / f"here{os.environ['RANK']}").touch()
    began = time.monotonic()
    while not all((folder / f"here{rank}").exists() for rank in range(2)):
        if time.monotonic() - began > 100:
            raise TrainingError("the other process did not start")
        time.sleep(0.05)


def main(what: str, folder: Path) -> int:
    torch.set_num_threads(1)
    try:
        meet(folder)
        rank = join_pair("gloo", timeout=4.0 if what == "silent" else 60.0)
        if what == "equal":
            equal(folder, rank)
        elif what == "another network":
            AlexNetColumn(small("code2012" if rank else "paper"), CLASSES)
        else:
            step(rank, {"killed": signal.SIGKILL, "silent": signal.SIGSTOP}[what])
    except AlexNetLibError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
