"""The split as two processes, one a GPU, under torchrun: `torchrun --nproc-per-node 2 -m alexnet_lib two-gpus`.

Section 3.2; taught in "Two GPUs". Each process holds one column and sees every image; torch.distributed (NCCL between
GPUs, gloo between CPUs) carries activations before the layers that exchange, and their gradients back.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from ..errors import SettingError, TrainingError, first_line
from ..system.torchrun import join_processes
from .alexnet import AlexNet
from .config import AlexNetConfig
from .description import Description
from .dropout import seed_dropout
from .traffic import BACKWARD, FORWARD, Traffic
from .two_gpu import COLUMNS, check_splits, column_of

START = "torchrun --nproc-per-node 2 -m alexnet_lib two-gpus"


def join_pair(backend: str | None = None, timeout: float = 60.0) -> int:
    """Join the other process and return this one's rank, 0 or 1; backend None is NCCL with two GPUs, else gloo.

    A collective that waits longer than `timeout` seconds fails, so a process whose partner is gone does not hang.
    SettingError if torchrun did not start exactly two processes; TrainingError if the other one does not come.
    """
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        raise SettingError(f"this is one half of a pair of processes: start both with {START}") from None
    if size != COLUMNS:
        raise SettingError(f"{size} processes were started, the network has two columns: use --nproc-per-node 2")
    if backend is None:
        backend = "nccl" if torch.cuda.device_count() >= COLUMNS and dist.is_nccl_available() else "gloo"
    try:
        join_processes(backend, timeout)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"the processes did not find each other ({first_line(error)}); {START}") from error
    return rank


def own_device(backend: str) -> torch.device:
    """The GPU of this process where NCCL carries, else the CPU."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if backend == "nccl" else torch.device("cpu")


def swap(
    sent: torch.Tensor | None, like: tuple[int, ...] | None, sample: torch.Tensor, doing: str
) -> torch.Tensor | None:
    """Send a tensor to the other process while receiving one of shape `like` from it; None on either side: nothing.

    Both processes must call it. `sample` gives type and device. TrainingError, saying what was being done, if the
    other process is gone or does not answer in time.
    """
    other = 1 - dist.get_rank()
    count = 0 if like is None else torch.Size(like).numel()
    out = sample.new_empty(count)
    given = sample.new_empty(0) if sent is None else sent.contiguous().view(-1)
    sizes_out, sizes_in = [0, 0], [0, 0]
    sizes_out[other], sizes_in[other] = count, given.numel()
    try:
        dist.all_to_all_single(out, given, sizes_out, sizes_in)
    except RuntimeError as error:
        raise TrainingError(
            f"the process of GPU {other} stopped answering during {doing} ({first_line(error)}); "
            "look at its output for the reason, then start both again"
        ) from error
    return None if like is None else out.view(like)


class _Exchange(torch.autograd.Function):
    """This column's activations together with the other's: (N, C, ...) to (N, 2 C, ...), columns in order."""

    @staticmethod
    def forward(ctx, x, layer, traffic):  # noqa: ANN001, ANN205 - torch's signature
        ctx.layer, ctx.traffic = layer, traffic
        traffic.add(layer, FORWARD, dist.get_rank(), x)
        other = swap(x, x.shape, x, f"the forward pass before {layer}")
        return torch.cat([x, other] if dist.get_rank() == 0 else [other, x], 1)

    @staticmethod
    def backward(ctx, gradient):  # noqa: ANN001, ANN205 - torch's signature
        rank = dist.get_rank()
        parts = gradient.chunk(COLUMNS, 1)
        ctx.traffic.add(ctx.layer, BACKWARD, rank, parts[1 - rank])
        received = swap(parts[1 - rank], parts[rank].shape, gradient, f"the backward pass of {ctx.layer}")
        return parts[rank] + received, None, None


class _ToFirst(torch.autograd.Function):
    """Before fc8: the second process sends its units, the first receives them; gradients go back.

    On the first process (N, F) becomes (N, 2 F); on the second a zero without shape, to call backward on.
    """

    @staticmethod
    def forward(ctx, x, traffic):  # noqa: ANN001, ANN205 - torch's signature
        ctx.traffic, ctx.shape, first = traffic, x.shape, dist.get_rank() == 0
        if not first:
            traffic.add("fc8", FORWARD, 1, x)
        other = swap(None if first else x, x.shape if first else None, x, "the forward pass before fc8")
        ctx.save_for_backward(x.new_empty(0))
        return torch.cat([x, other], 1) if first else x.new_zeros(())

    @staticmethod
    def backward(ctx, gradient):  # noqa: ANN001, ANN205 - torch's signature
        (sample,) = ctx.saved_tensors
        doing = "the backward pass of fc8"
        if dist.get_rank():
            return swap(None, ctx.shape, sample, doing), None
        own, others = gradient.chunk(COLUMNS, 1)
        ctx.traffic.add("fc8", BACKWARD, 0, others)
        swap(others, None, sample, doing)
        return own, None


def _check_same(network: object) -> None:
    """Raise SettingError, in both processes, unless both make the same network."""
    both: list[object] = [None, None]
    try:
        dist.all_gather_object(both, network)
    except RuntimeError as error:
        raise TrainingError(f"the other process is gone ({first_line(error)}); start both again") from error
    if both[0] != both[1]:
        raise SettingError(f"the processes were given two networks, {both[0]} and {both[1]}; give both the same")


class AlexNetColumn(nn.Module):
    """One process's column of the network of `config`; `join_pair` first, then the same calls in both processes.

    images (N, 3, S, S), the same in both, to logits (N, num_classes) in process 0, and in process 1 a zero. Call
    backward in both: on the loss of the logits in process 0, on the zero in process 1 (`loss` does the right one).
    `seed` draws the whole network's starting weights, the same as the single-device AlexNet's.
    """

    def __init__(self, config: AlexNetConfig | None = None, num_classes: int = 1000, *, seed: int | None = 0):
        super().__init__()
        self.config = config = config or AlexNetConfig.paper()
        check_splits(config)
        self.rank, self.traffic = dist.get_rank(), Traffic()
        _check_same((config, num_classes))
        self.column = AlexNet(config, num_classes, part=(self.rank, COLUMNS))
        self._meets = {row.name for row in self.column.describe().layers if row.exchanges}
        self.load_single(AlexNet(config, num_classes, seed=seed).state_dict())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) in process 0, a zero in process 1."""
        self.column.check_images(images)
        x = images
        for name, layer in self.column.named_children():
            if name == "fc8":
                break
            x = layer(_Exchange.apply(x, name, self.traffic) if name in self._meets else x)
        x = _ToFirst.apply(x, self.traffic)
        return self.column.fc8(x) if self.rank == 0 else x

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """What to call backward on in this process: mean cross-entropy for labels (N,) in process 0, else a zero."""
        out = self(images)
        return F.cross_entropy(out, labels) if self.rank == 0 else out

    def describe(self) -> Description:
        """The table of the whole network's layers."""
        return self.column.describe()

    def drop_as(self, seed: int | None) -> None:
        """Draw dropout masks from `seed`, as `dropout.seed_dropout` does for the single network."""
        seed_dropout(self.column, seed)

    def load_single(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take this column's part out of the single-device network's state dict."""
        self.column.load_state_dict(column_of(state, self.rank))
