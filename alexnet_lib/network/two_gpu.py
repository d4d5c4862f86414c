"""The network on two devices (section 3.2): two columns that talk only where the paper's GPUs do.

Taught in "Two GPUs". The same split as two processes is in two_processes.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..errors import SettingError
from ..system.devices import pick_device
from .alexnet import AlexNet
from .config import AlexNetConfig
from .description import Description
from .dropout import seed_dropout
from .traffic import BACKWARD, FORWARD, Traffic

COLUMNS = 2


def check_splits(config: AlexNetConfig) -> None:
    """Raise SettingError unless this network can be split over two devices without further exchange."""
    if config.columns != COLUMNS:
        raise SettingError(
            f"the network {config.name!r} has columns={config.columns}; two devices need a network of two columns"
        )
    if config.norm == "lrn" and not config.lrn.within_columns:
        raise SettingError(
            f"the network {config.name!r} normalises across both columns, which the GPUs do not exchange for; "
            "use lrn with within_columns=True"
        )


def column_of(state: Mapping[str, torch.Tensor], index: int) -> dict[str, torch.Tensor]:
    """The entries of a whole network's state dict that belong to one column: its half of the kernels or units."""
    own = {}
    for name, value in state.items():
        if name.startswith("fc8."):
            if index == 0:
                own[name] = value
        else:
            own[name] = value.chunk(COLUMNS)[index] if value.ndim else value
    return own


def join_columns(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inverse of `column_of`: tensors of both columns as those of one network, on the first column's device."""
    return {
        name: torch.cat([value, second[name].to(value.device)]) if name in second and value.ndim else value
        for name, value in first.items()
    }


class _Cross(torch.autograd.Function):
    """Carry activations to the other device, and their gradient back; count both."""

    @staticmethod
    def forward(ctx, x, layer, source, device, traffic):  # noqa: ANN001, ANN205, PLR0913 - torch's signature
        ctx.layer, ctx.source, ctx.home, ctx.traffic = layer, source, x.device, traffic
        traffic.add(layer, FORWARD, source, x)
        return x.to(device) if x.device != device else x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):  # noqa: ANN001, ANN205 - torch's signature
        ctx.traffic.add(ctx.layer, BACKWARD, 1 - ctx.source, gradient)
        return gradient.to(ctx.home), None, None, None, None


class TwoGPUAlexNet(nn.Module):
    """The network of `config` on two devices: images (N, 3, S, S) to logits (N, num_classes) on the first.

    devices: any two, also twice the same. Each holds half of the kernels and units of every layer, and sees all N
    images; activations cross before the layers of config.exchange only. `traffic` counts the bytes that cross.
    Its state dict is that of the single-device AlexNet, which it equals in outputs and gradients.
    SettingError: a network without two columns, one whose LRN reaches across them, a device that is not there.
    """

    def __init__(
        self,
        config: AlexNetConfig | None = None,
        devices: tuple[Any, Any] = ("cpu", "cpu"),
        num_classes: int = 1000,
        *,
        seed: int | None = None,
    ):
        super().__init__()
        config = config or AlexNetConfig.paper()
        check_splits(config)
        if len(devices) != COLUMNS:
            raise SettingError(f"devices {devices!r}: name two, such as ('cuda:0', 'cuda:1') or ('cpu', 'cpu')")
        self.config, self.num_classes = config, num_classes
        # On "meta" nothing is computed, which is enough to count what crosses.
        homes = [torch.device("meta") if str(d) == "meta" else pick_device(str(d)) for d in devices]
        self.traffic = Traffic()
        self.columns = nn.ModuleList(AlexNet(config, num_classes, part=(i, COLUMNS)) for i in range(COLUMNS))
        self._meets = {row.name for row in self.describe().layers if row.exchanges}
        self.load_single(AlexNet(config, num_classes, seed=seed).state_dict())
        for column, device in zip(self.columns, homes, strict=True):
            column.to(device)

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """Where the two columns are now, wherever they were moved."""
        return tuple(next(column.parameters()).device for column in self.columns)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) on the first device, for images (N, 3, S, S) on any."""
        return self._run(images, until="fc8")[0]

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The last hidden layer (N, 4096), on the first device; this crossing is not counted."""
        first, second = self._run(images, until="act7")
        return torch.cat([first, second.to(first.device)], 1)

    def _run(self, images: torch.Tensor, until: str) -> list[torch.Tensor]:
        self.columns[0].check_images(images)
        x = [images.to(device) for device in self.devices]
        for name, _ in self.columns[0].named_children():
            if name in self._meets:
                x = self._exchange(x, name)
            layers = [column.get_submodule(name) for column in self.columns if hasattr(column, name)]
            x = [layer(own) for layer, own in zip(layers, x, strict=False)]
            if name == until:
                break
        return x

    def _exchange(self, x: list[torch.Tensor], layer: str) -> list[torch.Tensor]:
        to_first = _Cross.apply(x[1], layer, 1, self.devices[0], self.traffic)
        if layer == "fc8":
            return [torch.cat([x[0], to_first], 1)]
        to_second = _Cross.apply(x[0], layer, 0, self.devices[1], self.traffic)
        return [torch.cat([x[0], to_first], 1), torch.cat([to_second, x[1]], 1)]

    def describe(self) -> Description:
        """The table of layers, with the GPUs they live on."""
        return self.columns[0].describe()

    def drop_as(self, seed: int | None) -> None:
        """Draw dropout masks from `seed`, as `dropout.seed_dropout` does for the single network."""
        for column in self.columns:
            seed_dropout(column, seed)

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, torch.Tensor]:
        """The single-device network's state dict, on the first device; arguments as torch.nn.Module.state_dict."""
        joined = join_columns(*(column.state_dict(keep_vars=keep_vars) for column in self.columns))
        destination = {} if destination is None else destination
        destination.update({prefix + name: value for name, value in joined.items()})
        return destination

    def load_state_dict(self, state: Mapping[str, torch.Tensor], *args: Any, **kwargs: Any) -> None:
        """Load the single-device network's state dict; arguments as torch.nn.Module.load_state_dict."""
        for index, column in enumerate(self.columns):
            column.load_state_dict(column_of(state, index), *args, **kwargs)

    def load_single(self, state: Mapping[str, torch.Tensor]) -> None:
        """Load the single-device network's state dict."""
        self.load_state_dict(state)

    def single_gradients(self) -> dict[str, torch.Tensor]:
        """The gradients, by the single-device network's names and shapes, on the first device."""
        own = [{n: p.grad for n, p in column.named_parameters() if p.grad is not None} for column in self.columns]
        return join_columns(*own)
