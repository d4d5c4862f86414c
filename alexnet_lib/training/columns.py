"""The paper's split of one network over two GPUs as two processes that train together (section 3.2).

    torchrun --nproc-per-node 2 -m alexnet_lib train … --columns-apart

Each process holds one column, with its momentum, and sees every image of every batch; only activations and their
gradients travel, before the layers that exchange. A run's files are the whole network's: what two processes began, one
can go on with. Taught in "Two GPUs" and "Full training".
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import nn

from ..network.alexnet import AlexNet
from ..network.config import AlexNetConfig
from ..network.two_gpu import column_of, join_columns
from ..network.two_processes import AlexNetColumn
from .processes import Group
from .seeds import Share
from .tally import Tally
from .topk import TopKErrors


class ColumnPair(Group):
    """This process and the one that has the other column; `processes.join` made them."""

    def __init__(self, rank: int, size: int) -> None:
        super().__init__(rank, size)
        self.pair: AlexNetColumn | None = None

    @property
    def share(self) -> Share:
        """Both see all images."""
        return Share()

    @property
    def sees_outputs(self) -> bool:
        """The 1000 classes are on the first GPU."""
        return self.first

    def make_net(self, config: AlexNetConfig, classes: int, seed: int) -> AlexNet:
        """This process's column. SettingError: a network that does not fall into two columns."""
        self.pair = AlexNetColumn(config, classes, seed=seed)
        return self.pair.column

    def wrap(self, net: nn.Module) -> nn.Module:
        """Column and exchange: logits on the first process, on the second a zero to call backward on."""
        return self.pair

    def loss(self, logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
        return super().loss(logits, labels, smoothing) if self.first else logits

    def for_validation(self, net: nn.Module) -> nn.Module:
        """The network whose logits both processes get, so that both count the same errors."""
        return _BothSee(self, net)

    def sum(self, tally: Tally) -> Tally:
        """What the first process counted, in both."""
        whole = Tally(tally.sums.device)
        whole.sums, whole.first_bad = tally.sums.clone(), tally.first_bad.clone()
        with self.partner_errors("the counting of errors"):
            dist.broadcast(whole.sums, 0)
            dist.broadcast(whole.first_bad, 0)
        return whole

    def add(self, counted: TopKErrors) -> TopKErrors:
        return counted

    def whole(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor] | None:
        """Tensors of both columns as the whole network's, on the CPU, in the first process; None in the second."""
        mine = {name: value.detach().cpu() for name, value in state.items()}
        both: list[dict | None] | None = [None, None] if self.first else None
        with self.partner_errors("the gathering of the network"):
            dist.gather_object(mine, both)
        return join_columns(*both) if self.first else None

    def own(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """This column's part of the whole network's tensors."""
        return column_of(state, self.rank)


class _BothSee(nn.Module):
    def __init__(self, group: ColumnPair, column: AlexNet):
        super().__init__()
        self.group, self.classes = group, column.num_classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        group = self.group
        out = group.pair(images).float()
        logits = out.contiguous() if group.first else out.new_zeros(len(images), self.classes)
        with group.partner_errors("validation"):
            dist.broadcast(logits, 0)
        return logits
