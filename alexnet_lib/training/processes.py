"""Several processes that train one network, each on its rows of every batch: torchrun's, joined by torch.distributed.

    torchrun --nproc-per-node 4 -m alexnet_lib train …

Gradients are averaged (DistributedDataParallel; NCCL between GPUs, gloo between CPUs). One process needs none of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import SettingError, TrainingError, first_line
from ..network.alexnet import AlexNet
from ..network.config import AlexNetConfig
from ..system.torchrun import join_processes
from .seeds import Share
from .tally import Tally
from .topk import TopKErrors

Value = TypeVar("Value")


class Group:
    """This process among those that train together; on its own unless `join` made it."""

    def __init__(self, rank: int = 0, size: int = 1):
        self.rank, self.size = rank, size

    @property
    def first(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        return Share(self.rank, self.size)

    @property
    def sees_outputs(self) -> bool:
        """Whether this process has the network's outputs, and counts errors by them."""
        return True

    def make_net(self, config: AlexNetConfig, classes: int, seed: int) -> AlexNet:
        """What this process holds of the network: all of it."""
        return AlexNet(config, classes, seed=seed)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
        """What to call backward on: the mean cross-entropy of this process's images."""
        return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)

    def for_validation(self, net: nn.Module) -> nn.Module:
        """The network that this process shows its validation images."""
        return net

    def whole(self, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor] | None:
        """The whole network's tensors out of each process's, where the run's files are written; all must ask."""
        return state

    def own(self, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """This process's part of the whole network's tensors."""
        return state

    def wrap(self, net: nn.Module) -> nn.Module:
        """The network that averages its gradients over all processes in the backward pass."""
        if self.size == 1:
            return net
        device = next(net.parameters()).device
        with self.partner_errors("the first exchange"):
            return DistributedDataParallel(net, device_ids=[device] if device.type == "cuda" else None)

    def sum(self, tally: Tally) -> Tally:
        """A tally of what all processes counted; the batches are counted once, their loss is the mean."""
        if self.size == 1:
            return tally
        whole = Tally(tally.sums.device)
        # The mean loss of equal shares is the batch's loss: so loss and batches are divided by the processes.
        whole.sums = tally.sums / torch.tensor([self.size, 1, 1, self.size], device=tally.sums.device)
        whole.first_bad = tally.first_bad.clone()
        with self.partner_errors("the counting of errors"):
            dist.all_reduce(whole.sums)
            dist.all_reduce(whole.first_bad, dist.ReduceOp.MIN)
        return whole

    def add(self, counted: TopKErrors) -> TopKErrors:
        """The errors that all processes counted."""
        if self.size == 1:
            return counted
        parts: list[TopKErrors | None] = [None] * self.size
        with self.partner_errors("validation"):
            dist.all_gather_object(parts, counted)
        return sum(parts[1:], parts[0])

    def any(self, here: bool) -> bool:
        """Whether it is so in any of the processes; all must ask."""
        if self.size == 1:
            return here
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        asked = torch.tensor(int(here), device=device)
        with self.partner_errors("the run"):
            dist.all_reduce(asked, dist.ReduceOp.MAX)
        return bool(asked)

    def same_for_all(self, value: Value) -> Value:
        """The first process's value, in all of them."""
        if self.size == 1:
            return value
        told = [value]
        with self.partner_errors("the start"):
            dist.broadcast_object_list(told)
        return told[0]

    @contextmanager
    def partner_errors(self, doing: str) -> Iterator[None]:
        """TrainingError, saying what was being done, where another process is gone or does not answer in time."""
        if self.size == 1:
            yield
            return
        try:
            yield
        except dist.DistError as error:
            raise _gone(doing, error) from error
        except RuntimeError as error:
            if not any(word in str(error).lower() for word in ("gloo", "connection", "timed out", "nccl", "peer")):
                raise
            raise _gone(doing, error) from error


def _gone(doing: str, error: BaseException) -> TrainingError:
    return TrainingError(
        f"another process stopped answering during {doing} ({first_line(error)}); look at its output for the reason, "
        "then give the same command again: the run goes on from its last checkpoint"
    )


@contextmanager
def join(
    device: str, timeout: float = 120.0, make_group: Callable[[int, int], Group] = Group
) -> Iterator[tuple[Group, torch.device]]:
    """Join the processes that torchrun started, for as long as the block lasts: this one's place, and its device.

    make_group: of this process's rank and how many there are; `columns.ColumnPair` where each has a column of the
    network instead of a copy of it.

    device: "auto" (a GPU for each process where there are as many, else the CPU), "cpu" or "cuda". Without torchrun:
    one process, on the device that `devices.pick_device` names. SettingError: more processes than GPUs on "cuda".
    TrainingError: the others do not come.
    """
    from ..system.devices import pick_device

    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        yield Group(), pick_device(device)
        return
    here, size = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ["WORLD_SIZE"])
    local, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", size)), torch.cuda.device_count()
    if device == "cuda" and local > gpus:
        raise SettingError(f"{local} processes on a machine with {gpus} GPU(s): give --nproc-per-node {max(gpus, 1)}")
    if device not in ("auto", "cpu", "cuda"):
        raise SettingError(f"--device {device}: with torchrun give auto, cpu or cuda; each process takes its own")
    own = torch.device("cuda", here) if device != "cpu" and local <= gpus else torch.device("cpu")
    if own.type == "cuda":
        torch.cuda.set_device(own)
    try:
        join_processes("nccl" if own.type == "cuda" else "gloo", timeout)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"the processes did not find each other ({first_line(error)}): start them with torchrun"
        ) from error
    try:
        yield make_group(dist.get_rank(), dist.get_world_size()), own
    finally:
        dist.destroy_process_group()
