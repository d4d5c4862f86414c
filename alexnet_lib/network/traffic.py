"""What crosses between the two GPUs: counted as it crosses, and by arithmetic (section 3.2). Taught in "Two GPUs"."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ..errors import SettingError
from .config import AlexNetConfig
from .description import Description

FORWARD, BACKWARD = "forward", "backward"


@dataclass
class Traffic:
    """Bytes that crossed, by layer that asked for them, pass and direction ("0 to 1" or "1 to 0")."""

    bytes: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def add(self, layer: str, which: str, source: int, tensor: torch.Tensor) -> None:
        """Count a tensor that leaves GPU `source` for the other."""
        key = (layer, which, f"{source} to {1 - source}")
        self.bytes[key] = self.bytes.get(key, 0) + tensor.numel() * tensor.element_size()

    def clear(self) -> None:
        """Begin to count from zero."""
        self.bytes.clear()

    @property
    def total(self) -> int:
        """All bytes, both directions, both passes."""
        return sum(self.bytes.values())

    def rows(self) -> list[tuple[str, str, str, int]]:
        """(layer, pass, direction, bytes), in order of layers, forward first."""
        rows = [(*key, count) for key, count in self.bytes.items()]
        return sorted(rows, key=lambda row: (row[1] != FORWARD, row[0][-1], row[0], row[2]))

    def joined(self, other: Traffic) -> Traffic:
        """Both counts in one."""
        keys = {**self.bytes, **other.bytes}
        return Traffic({key: self.bytes.get(key, 0) + other.bytes.get(key, 0) for key in keys})


def expected_traffic(described: Description, batch: int, *, training: bool = True, bytes_each: int = 4) -> Traffic:
    """What must cross for `batch` images, from the shapes alone.

    A layer that sees both columns needs, on each GPU, the other GPU's half of its inputs; fc8 lives on the first GPU,
    so only the second sends. While training, a gradient of the same size goes the other way for each.
    """
    traffic = Traffic()
    config: AlexNetConfig = described.config
    if config.columns > 2:
        raise SettingError(f"columns={config.columns}: what crosses is known for two columns on two GPUs only")
    shapes = {}
    outputs = 0
    for row in described.rows:
        shapes[row.name] = outputs
        outputs = row.outputs
    for row in described.layers:
        if not row.exchanges:
            continue
        half = shapes[row.name] // config.columns * batch * bytes_each
        for receiver in (0,) if row.name == "fc8" else (0, 1):
            sender = 1 - receiver
            traffic.bytes[row.name, FORWARD, f"{sender} to {receiver}"] = half
            if training:
                traffic.bytes[row.name, BACKWARD, f"{receiver} to {sender}"] = half
    return traffic
