"""Dropout as the paper has it and as frameworks have it (section 4.2), with masks that can be drawn again.

Taught in "Dropout"; the repeatable masks serve "Two GPUs", where a network and its split must drop the same
units to be compared.
"""

from __future__ import annotations

import torch
from torch import nn

from ..errors import SettingError

KINDS = ("2012", "inverted", "halving")


class Dropout(nn.Module):
    """Set each unit to zero with probability `rate` while training; (N, F) to the same shape.

    kind="2012": what is left stays as it is, and evaluation multiplies everything by 1 - rate (section 4.2).
    kind="inverted": training divides what is left by 1 - rate, and evaluation changes nothing (today's frameworks).
    kind="halving": nothing is ever dropped, and training multiplies by 1 - rate as "2012" does in evaluation: dropout
    less its noise, for comparison.
    part=(i, m): this module holds the i-th of m equal parts of the layer's units. With a seed (`seed_dropout`) the
    mask of the whole layer is drawn and this part cut out of it, so that parts on several devices fit together.
    Raises SettingError for a rate outside [0, 1) and an unknown kind.
    """

    def __init__(self, rate: float = 0.5, kind: str = "2012", part: tuple[int, int] = (0, 1)):
        super().__init__()
        if not 0 <= rate < 1:
            raise SettingError(f"dropout rate {rate} is outside 0 <= rate < 1; the paper uses 0.5")
        if kind not in KINDS:
            raise SettingError(f"dropout kind {kind!r} is not known; use one of {', '.join(KINDS)}")
        self.rate, self.kind, self.part = rate, kind, part
        self._seed: int | None = None
        self._rows: tuple[int, int] | None = None
        self._generator: torch.Generator | None = None

    def draw_from(self, seed: int | None, rows: tuple[int, int] | None = None) -> None:
        """Draw the masks to come from this seed, from its beginning; None goes back to torch's own generator.

        rows=(first, whole): what comes are the rows from `first` on of a batch of `whole`, which other processes share;
        the mask is drawn for all of them, and these rows are cut out of it.
        """
        self._seed, self._rows, self._generator = seed, rows, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.kind == "halving":
            return x if self.kind == "inverted" else x * (1 - self.rate)
        kept = x * self._mask(x)
        return kept if self.kind == "2012" else kept / (1 - self.rate)

    def _mask(self, x: torch.Tensor) -> torch.Tensor:
        if self._seed is None:
            return torch.empty_like(x).bernoulli_(1 - self.rate)
        if self._generator is None:  # on the CPU, so that parts on unlike devices draw the same numbers
            self._generator = torch.Generator().manual_seed(self._seed)
        index, parts = self.part
        first, rows = self._rows or (0, len(x))
        whole = torch.rand((rows, x.shape[1] * parts), generator=self._generator)[first : first + len(x)]
        return (whole.chunk(parts, 1)[index] >= self.rate).to(x)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}, kind={self.kind}" + (f", part={self.part}" if self.part != (0, 1) else "")


def seed_dropout(net: nn.Module, seed: int | None, rows: tuple[int, int] | None = None) -> None:
    """Let every Dropout of `net` draw its masks from `seed`, each from a stream of its own; None undoes it.

    rows: as of `Dropout.draw_from`, where the batch is shared by several processes.

    Layers are told apart by their place among the network's dropout layers of the same part, so two networks with the
    same dropout layers, or a network and its two columns, drop the same units from here on.
    """
    places: dict[tuple[int, int], int] = {}
    for layer in net.modules():
        if isinstance(layer, Dropout):
            place = places[layer.part] = places.get(layer.part, -1) + 1
            layer.draw_from(None if seed is None else seed * 1_000_003 + place, rows)
