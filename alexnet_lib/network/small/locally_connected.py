"""The CIFAR-10 network of the 2012 code's family that has locally connected layers, with any norm and pooling in it.

The paper's CIFAR-10 figures for local response normalisation (section 3.3: 13% without, 11% with) are those of two
networks that its author released: layers-conv-local-13pct.cfg and layers-conv-local-11pct.cfg of cuda-convnet. Both
are two convolutions and two locally connected layers. The second file came twice within two minutes (13 March 2012):
revision 3878e8f adds a response norm over 5 maps after each convolution and nothing else; a2a6af8, which stayed, has
norms over 9 maps, the first of them after its pooling, 64 maps in place of 32 in the first locally connected layer, and
another decay of the last. Widths, starting weights, rates and decays here are those of the files. Taught in "Local
response normalisation" and "Overlapping pooling".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ...errors import SettingError
from ..lrn import LocalResponseNorm

# "lrn" is the paper's formula; "lrn average" that of the 11% file's first revision: 5 maps, scale 0.001 divided by 5,
# and 1 as k; "lrn released" that of the file that stayed: 9 maps, divided by 9, after the first pooling.
NORMS = ("none", "lrn", "lrn average", "lrn released", "batch")
# "none" keeps every second unit; "strided convolution" and "learned" are 3 x 3 at stride 2 as "max 3/2" is.
POOLINGS = ("max 3/2", "max 2/2", "average 3/2", "average 2/2", "none", "strided convolution", "learned")
# Deviations of the starting weights in the released files: first convolution, second, locally connected, fully.
DEVIATIONS = (1e-4, 0.01, 0.04, 0.01)


@dataclass(frozen=True)
class ConvLocalConfig:
    """What such a network is. Pixels are expected on the scale 0-255, minus the mean image.

    norm and pooling: one of NORMS, POOLINGS, after both convolutions. image_size: side of the crops, a multiple of 4,
    since only then every pooling gives maps of the same size. maps, local_maps: kernels in a convolution and at a
    place of a locally connected layer; first_local_maps: in the first of those, if others. last_decay: of the last
    layer's weights, if another. SettingError for what is not known or does not fit.
    """

    norm: str = "none"
    pooling: str = "max 3/2"
    classes: int = 10
    image_size: int = 24
    maps: int = 64
    local_maps: int = 32
    first_local_maps: int | None = None
    last_decay: float | None = None

    def __post_init__(self) -> None:
        for field, allowed in (("norm", NORMS), ("pooling", POOLINGS)):
            if getattr(self, field) not in allowed:
                raise SettingError(f"{field} {getattr(self, field)!r} is not known; use one of {', '.join(allowed)}")
        if self.image_size < 4 or self.image_size % 4:
            raise SettingError(f"image_size {self.image_size}: two poolings halve it, so it must be a multiple of 4")
        if min(self.maps, self.local_maps, self.classes) < 1:
            raise SettingError("maps, local_maps and classes must be 1 or more")
        window = 9 if self.norm == "lrn released" else 5
        if "lrn" in self.norm and self.maps < window:
            raise SettingError(f"maps {self.maps}: response normalisation looks at {window} of them")

    def build(self, seed: int | None = None) -> ConvLocalNet:
        """The network, with starting weights drawn from the seed."""
        return ConvLocalNet(self, seed=seed)


class LocallyConnected2d(nn.Module):
    """A convolution that shares nothing: every place has kernels and biases of its own.

    (N, channels, size, size) to (N, maps, S, S) with S = size + 2 padding - kernel + 1. `weight` is (S * S,
    channels * kernel^2, maps): a matrix a place, its rows in the order of torch.nn.functional.unfold; `bias` is
    (maps, S, S). Both start as 0. SettingError where the kernel does not fit.
    """

    def __init__(self, channels: int, maps: int, size: int, kernel: int, padding: int = 0):
        super().__init__()
        self.kernel, self.padding = kernel, padding
        self.side = size + 2 * padding - kernel + 1
        if self.side < 1:
            raise SettingError(f"a kernel of {kernel} does not fit into {size} pixels with {padding} of padding")
        self.weight = nn.Parameter(torch.zeros(self.side**2, channels * kernel**2, maps))
        self.bias = nn.Parameter(torch.zeros(maps, self.side, self.side))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = F.unfold(x, self.kernel, padding=self.padding)  # (N, channels * kernel^2, places)
        if patches.shape[2] != len(self.weight):
            raise SettingError(f"maps of {tuple(x.shape[2:])} do not give {self.side} x {self.side} places")
        sums = torch.bmm(patches.permute(2, 0, 1), self.weight)  # a matrix product for each place
        return sums.permute(1, 2, 0).unflatten(2, (self.side, self.side)) + self.bias

    def extra_repr(self) -> str:
        places, rows, maps = self.weight.shape
        return f"{rows // self.kernel**2}, {maps}, kernel={self.kernel}, padding={self.padding}, places={places}"


class LearnedPooling(nn.Module):
    """A window of 3 x 3 moved by 2 whose weights are learned: for each map alone, or (`across`) from all maps to each.

    (N, maps, S, S) to (N, maps, S / 2, S / 2) for even S: as with "max 3/2", the last window hangs over. Both start
    as the average of the map's own window; across maps, a bias and ReLU follow, as in a convolution layer.
    """

    def __init__(self, maps: int, across: bool):
        super().__init__()
        self.across = across
        self.window = nn.Conv2d(maps, maps, 3, stride=2, bias=across, groups=1 if across else maps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sums = self.window(F.pad(x, (0, 1, 0, 1)))
        return F.relu(sums) if self.across else sums


def norm_of(name: str, maps: int) -> nn.Module:
    """The norm of that name for (N, maps, H, W)."""
    if name == "lrn":
        return LocalResponseNorm()
    if name in ("lrn average", "lrn released"):
        return LocalResponseNorm(n=9 if name == "lrn released" else 5, k=1.0, alpha=0.001, beta=0.75, average=True)
    return nn.BatchNorm2d(maps) if name == "batch" else nn.Identity()


def pooling_of(name: str, maps: int) -> nn.Module:
    """The pooling of that name: (N, maps, S, S) to (N, maps, S / 2, S / 2) for even S."""
    if name in ("strided convolution", "learned"):
        return LearnedPooling(maps, across=name == "strided convolution")
    if name == "none":
        return nn.MaxPool2d(1, 2)
    kind, window = name.split()
    layer = nn.MaxPool2d if kind == "max" else nn.AvgPool2d
    return layer(int(window[0]), 2, ceil_mode=True)


class ConvLocalNet(nn.Module):
    """conv 5x5 - ReLU - norm - pool, twice; two locally connected 3x3 with ReLU; one fully connected layer.

    images (N, 3, S, S), minus the mean, to logits (N, classes). The response norms stand after ReLU and before the
    pooling; of "lrn released" the first stands after the pooling. Batch normalisation stands before ReLU, as is usual.
    """

    def __init__(self, config: ConvLocalConfig = ConvLocalConfig(), *, seed: int | None = None):  # noqa: B008
        super().__init__()
        self.config = c = config
        layers: list[nn.Module] = []
        for channels in (3, c.maps):
            layers.append(nn.Conv2d(channels, c.maps, 5, padding=2))
            after = [nn.ReLU(), norm_of(c.norm, c.maps), pooling_of(c.pooling, c.maps)]
            if c.norm == "batch":
                after[:2] = after[1::-1]
            if c.norm == "lrn released" and channels == 3:
                after[1:] = after[:0:-1]
            layers += after
        side, first = c.image_size // 4, c.first_local_maps or c.local_maps
        layers += [LocallyConnected2d(c.maps, first, side, 3, padding=1), nn.ReLU()]
        layers += [LocallyConnected2d(first, c.local_maps, side, 3, padding=1), nn.ReLU()]
        layers += [nn.Flatten(), nn.Linear(c.local_maps * side**2, c.classes)]
        self.layers = nn.Sequential(*layers)
        self.initialize(seed)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)

    def weighted_layers(self) -> list[nn.Module]:
        """The five layers that the released files have weights for, in order."""
        kinds = nn.Conv2d | LocallyConnected2d | nn.Linear
        return [layer for layer in self.layers if isinstance(layer, kinds)]

    @torch.no_grad()
    def initialize(self, seed: int | None = None) -> None:
        """Draw the starting weights of the released files; biases are 0. A seed draws the same for every norm."""
        generator = torch.Generator()
        generator.seed() if seed is None else generator.manual_seed(seed)
        first, second, local, full = DEVIATIONS
        for layer, deviation in zip(self.weighted_layers(), (first, second, local, local, full), strict=True):
            layer.weight.copy_(deviation * torch.randn(layer.weight.shape, generator=generator))
            layer.bias.zero_()
        for pooling in (layer for layer in self.layers if isinstance(layer, LearnedPooling)):
            self._start_as_average(pooling, generator)

    @staticmethod
    def _start_as_average(pooling: LearnedPooling, generator: torch.Generator) -> None:
        weight = pooling.window.weight
        weight.fill_(1 / 9)
        if pooling.across:
            noise = DEVIATIONS[1] * torch.randn(weight.shape, generator=generator)
            weight.copy_(noise + torch.eye(len(weight))[:, :, None, None] / 9)
            pooling.window.bias.zero_()

    def parameter_groups(self, rate: float, decay: float) -> list[dict]:
        """The released files' rates and decays, for PaperSGD: biases at twice the rate, decay on the last three layers.

        The decay is that of their weights only: neither convolutions, nor biases, nor what a norm or pooling learns.
        """
        *local, last = (layer.weight for layer in self.weighted_layers()[2:])
        own = self.config.last_decay is not None
        decayed, apart = (
            ([*local], [{"params": [last], "weight_decay": self.config.last_decay}]) if own else ([*local, last], [])
        )
        biases = [p for name, p in self.named_parameters() if name.endswith("bias")]
        taken = {id(p) for p in (*local, last, *biases)}
        return [
            *apart,
            {"params": decayed, "weight_decay": decay},
            {"params": biases, "lr": 2 * rate, "weight_decay": 0.0},
            {"params": [p for p in self.parameters() if id(p) not in taken], "weight_decay": 0.0},
        ]
