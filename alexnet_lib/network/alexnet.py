"""AlexNet and its relatives, from one configuration (sections 3 and 4.2, Figure 2).

Taught in "The whole architecture". The network on two devices is in two_gpu.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import nn

from ..errors import SettingError
from .config import CONVOLUTIONS, LAYERS, AlexNetConfig
from .description import Description, LayerRow
from .dropout import Dropout
from .geometry import ReceptiveField, Window
from .lrn import LocalResponseNorm, SpatialResponseNorm
from .nonlinearities import NONLINEARITIES, Activation

# Kernel size, stride and padding of each convolution; conv1's padding is the configuration's.
KERNELS = {"conv1": (11, 4), "conv2": (5, 1), "conv3": (3, 1), "conv4": (3, 1), "conv5": (3, 1), "conv6": (3, 1)}


class GroupedLinear(nn.Module):
    """A fully connected layer whose units see only their own group's inputs: (N, F) to (N, units)."""

    def __init__(self, features: int, units: int, groups: int):
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(units, features // groups))
        self.bias = nn.Parameter(torch.empty(units))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.weight.unflatten(0, (self.groups, -1))
        parts = torch.einsum("ngi,goi->ngo", x.unflatten(1, (self.groups, -1)), weights)
        return parts.flatten(1) + self.bias

    def reset_parameters(self) -> None:
        """PyTorch's own start for a fully connected layer with as many inputs."""
        bound = self.weight.shape[1] ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1] * self.groups} to {len(self.weight)}, groups={self.groups}"


class AlexNet(nn.Sequential):
    """The network: images (N, 3, S, S), the mean already subtracted, to logits (N, num_classes).

    The paper's recipe leaves pixels on their 0-255 scale. Layers bear the names conv1 … conv5, fc6, fc7, fc8 with act,
    norm, pool, drop and the same digit (act5b after a conv6); so do the entries of the state dict. part=(i, 2) builds
    the i-th column alone (what one GPU holds; `two_gpu` joins them). `seed` draws the starting weights, the same on
    every device. SettingError for images of another size, number of channels or type.
    """

    def __init__(
        self,
        config: AlexNetConfig | None = None,
        num_classes: int = 1000,
        *,
        seed: int | None = None,
        part: tuple[int, int] = (0, 1),
    ):
        super().__init__()
        self.config = config = config or AlexNetConfig.paper()
        if num_classes < 1:
            raise SettingError(f"num_classes={num_classes}: give 1 or more")
        self.num_classes = num_classes
        builder = _Builder(config, num_classes, part)
        for name, layer in builder.build():
            if name in self._modules:
                raise SettingError(f"blocks: {name} would be there twice; name a step once in a block")
            self.add_module(name, layer)
        self._rows = builder.rows
        if part == (0, 1):
            self.initialize(seed)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) for images (N, 3, S, S)."""
        self.check_images(images)
        return super().forward(images)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The last hidden layer, fc7 after its nonlinearity and before dropout: (N, 4096)."""
        self.check_images(images)
        x = images
        for name, layer in self.named_children():
            x = layer(x)
            if name == "act7":
                return x
        raise AssertionError("there is no act7")

    def __getitem__(self, index: int | slice) -> nn.Module:
        """A layer by its place, or for a slice those layers as a plain nn.Sequential that shares their weights."""
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        return super().__getitem__(index)

    def check_images(self, images: torch.Tensor) -> None:
        """Raise SettingError unless these are floating-point images (N, 3, S, S) of the configuration's size."""
        size = self.config.input_size
        if tuple(images.shape[1:]) != (3, size, size) or images.ndim != 4:
            raise SettingError(
                f"images of shape {tuple(images.shape)}: this network ({self.config.name}) takes (N, 3, {size}, {size})"
            )
        if not images.is_floating_point():
            raise SettingError(f"images are {images.dtype}: convert them with .float() and subtract the mean first")

    def describe(self) -> Description:
        """The table of layers: shapes, weights, multiply-adds, receptive fields, and the GPUs they live on."""
        return Description(self.config, tuple(self._rows), self.num_classes)

    def weighted_layers(self) -> dict[str, nn.Module]:
        """The layers with weights, by name, in order."""
        return {name: self.get_submodule(name) for name in self.config.layers}

    @torch.no_grad()
    def initialize(self, seed: int | None = None) -> None:
        """Draw the starting weights as the configuration says (section 5); normalisation layers start at their own."""
        generator = torch.Generator()
        generator.seed() if seed is None else generator.manual_seed(seed)
        for name, layer in self.weighted_layers().items():
            place = LAYERS.index("conv5" if name == "conv6" else name)
            if self.config.deviations is None:
                # PyTorch's own rule draws from the global generator.
                with torch.random.fork_rng(devices=[]):
                    torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))
                    layer.reset_parameters()
                continue
            draw = torch.randn(layer.weight.shape, generator=generator)
            layer.weight.copy_(draw.mul_(self.config.deviations[place]))
            layer.bias.fill_(self.config.biases[place])


def described(config: AlexNetConfig, classes: int = 1000) -> Description:
    """The table of a network's layers. One column knows them all, and few weights or none are drawn for it."""
    return AlexNet(config, classes, part=(0, config.columns)).describe()


class _Builder:
    """Goes through the network from the image up, making layers and the rows that describe them."""

    def __init__(self, config: AlexNetConfig, classes: int, part: tuple[int, int]):
        self.config, self.classes, self.part = config, classes, part
        self.channels, self.size = 3, config.input_size  # of the whole network, whatever part is made
        self.field: ReceptiveField | None = ReceptiveField()
        self.rows: list[LayerRow] = []

    def build(self) -> Iterator[tuple[str, nn.Module]]:
        for place, name in enumerate(CONVOLUTIONS):
            yield from self._block(name, self.config.widths[place], self.config.blocks[place])
        if self.config.sixth:
            yield from self._block("conv6", self.config.sixth, ("activation",))
        yield "flatten", nn.Flatten()
        self.channels, self.size, self.field = self.channels * self.size**2, 0, None
        for name, units in (("fc6", self.config.hidden[0]), ("fc7", self.config.hidden[1]), ("fc8", self.classes)):
            yield from self._full(name, units)

    def _share(self, width: int) -> int:
        return width // self.part[1]

    def _block(self, name: str, width: int, steps: tuple[str, ...]) -> Iterator[tuple[str, nn.Module]]:
        digit = "5b" if name == "conv6" else name[-1]  # act6 is fc6's
        there = name not in self.config.left_out
        if there:
            yield from self._convolution(name, width)
        for step in steps:
            if step == "pool":
                yield f"pool{digit}", self._pooling(digit)
            elif there and step == "activation":
                yield f"act{digit}", self._activation(digit, 2)
            elif there and step == "spatial norm" and self.config.norm == "lrn":
                yield f"spatial_norm{digit}", self._spatial(digit)
            elif there and step == "norm" and self.config.norm != "none":
                yield f"norm{digit}", self._norm(digit)

    def _convolution(self, name: str, width: int) -> Iterator[tuple[str, nn.Module]]:
        kernel, stride = KERNELS[name]
        before, after = self.config.first_padding if name == "conv1" else (kernel // 2, kernel // 2)
        groups = self.config.groups(name)
        inputs = self.channels // groups
        if before != after:
            yield f"pad{name[-1]}", nn.ZeroPad2d((before, after, before, after))
        layer = nn.utils.skip_init(
            nn.Conv2d,
            # One column sees all channels where columns meet, and else its own.
            self.channels if groups == 1 else self._share(self.channels),
            self._share(width),
            kernel,
            stride,
            before if before == after else 0,
            groups=1 if self.part[1] > 1 else groups,
        )
        window = Window(kernel, stride, before, end_padding=after)
        self.channels, self.size = width, window.outputs(self.size)
        self.field = self.field.through(window)
        self._row(name, "convolution", width * inputs * kernel**2, width, width * self.size**2 * inputs * kernel**2)
        yield name, layer

    def _pooling(self, digit: str) -> nn.Module:
        size, stride = self.config.pooling
        window = Window(size, stride)
        self.size, self.field = window.outputs(self.size), self.field.through(window)
        self._row(f"pool{digit}", f"{self.config.pooling_kind} pooling")
        return (nn.MaxPool2d if self.config.pooling_kind == "max" else nn.AvgPool2d)(size, stride)

    def _activation(self, digit: str, dimensions: int) -> nn.Module:
        nonlinearity = NONLINEARITIES[self.config.activation]
        if nonlinearity.batch_norm:
            self._row(f"act{digit}", "batch norm", self.channels, self.channels)
        return Activation(nonlinearity, self._share(self.channels), dimensions)

    def _norm(self, digit: str) -> nn.Module:
        if self.config.norm == "batch":
            self._row(f"norm{digit}", "batch norm", self.channels, self.channels)
            return nn.BatchNorm2d(self._share(self.channels))
        self._row(f"norm{digit}", "response norm")
        c = self.config.lrn
        columns = self.config.columns if c.within_columns and self.part[1] == 1 else 1
        return LocalResponseNorm(c.n, c.k, c.alpha, c.beta, average=c.average, columns=columns)

    def _spatial(self, digit: str) -> nn.Module:
        self.field = self.field.through(Window(5, 1, 2))
        self._row(f"spatial_norm{digit}", "spatial norm")
        return SpatialResponseNorm(5, self.config.lrn.k, self.config.lrn.alpha, self.config.lrn.beta)

    def _full(self, name: str, units: int) -> Iterator[tuple[str, nn.Module]]:
        last, digit = name == "fc8", name[-1]
        groups = self.config.groups(name)
        inputs, whole = self.channels // groups, self.part[1] == 1
        drop = Dropout(self.config.dropout, self.config.dropout_kind, self.part)
        if self.config.dropout_first and not last:
            yield f"drop{digit}", drop
        features = self.channels if groups == 1 else self._share(self.channels)
        self.channels = units
        self._row(name, "fully connected", units * inputs, units, units * inputs)
        if whole and groups > 1:
            yield name, GroupedLinear(features, units, groups)
        elif not last or self.part[0] == 0:  # all of fc8 lives on the first GPU
            yield name, nn.utils.skip_init(nn.Linear, features, units if last else self._share(units))
        if last:
            return
        yield f"act{digit}", self._activation(digit, 1)
        if not self.config.dropout_first:
            yield f"drop{digit}", drop

    def _row(self, name: str, kind: str, weights: int = 0, biases: int = 0, multiply_adds: int = 0) -> None:
        shape = (self.channels, self.size, self.size) if self.size else (self.channels,)
        meets = name in self.config.layers and name != "conv1" and self.config.groups(name) < self.config.columns
        self.rows.append(LayerRow(name, kind, shape, weights, biases, multiply_adds, self.field, meets))
