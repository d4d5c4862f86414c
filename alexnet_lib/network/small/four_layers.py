"""The small CIFAR-10 networks of the 2012 code's family, with any nonlinearity in them.

The paper's Figure 1 (section 3.1) used "a four-layer convolutional network" that it does not describe further. The
networks the author released for CIFAR-10 at that time are the nearest thing known; `80sec` is one of them
(layers-80sec.cfg of cuda-convnet), `18pct` is the same body without the hidden fully connected layer, and `deep` is
ours, to see what more layers change. Taught in the chapter "ReLU against tanh".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from ...errors import SettingError
from ..nonlinearities import NONLINEARITIES, Activation

# Each block: kernels, kernel size, pooling after it. Then the widths of the hidden fully connected layers.
ARCHITECTURES: dict[str, tuple[tuple[tuple[int, int, str | None], ...], tuple[int, ...]]] = {
    "80sec": (((32, 5, "max"), (32, 5, "avg"), (64, 5, "avg")), (64,)),
    "18pct": (((32, 5, "max"), (32, 5, "avg"), (64, 5, "avg")), ()),
    "deep": (((32, 3, None), (32, 3, "max"), (48, 3, None), (48, 3, "avg"), (64, 3, None), (64, 3, "avg")), (64,)),
}
STARTS = ("2012", "today")
PIXELS = ("0-255", "unit")
# The released file's deviations for its first convolution, its other convolutions, and its fully connected layers.
DEVIATIONS_2012 = (1e-4, 0.01, 0.1)


@dataclass(frozen=True)
class SmallNetConfig:
    """What a small network is: its layers, its nonlinearity, its starting weights and the pixels it expects.

    `start="2012"` draws weights from N(0, s) with the released file's s (1e-4, .01, .01, .1, .1), made for pixels
    0-255 minus the mean; `start="today"` is He's or Glorot's rule, made for pixels of unit variance. When `pixels` is
    the other scale, the first layer's weights are scaled by `deviation` (the pixels' deviation on the 0-255 scale) so
    that the network computes the same function at the start: then only the learning differs.
    """

    architecture: str = "80sec"
    nonlinearity: str = "relu"
    start: str = "2012"
    pixels: str = "0-255"
    classes: int = 10
    image_size: int = 32
    deviation: float = 64.0

    def __post_init__(self) -> None:
        for field, allowed in (
            ("architecture", ARCHITECTURES),
            ("nonlinearity", NONLINEARITIES),
            ("start", STARTS),
            ("pixels", PIXELS),
        ):
            if getattr(self, field) not in allowed:
                raise SettingError(f"{field} {getattr(self, field)!r} is not known; use one of {', '.join(allowed)}")

    def build(self, seed: int | None = None) -> SmallNet:
        """The network, with starting weights drawn from the seed."""
        return SmallNet(self, seed=seed)


class SmallNet(nn.Module):
    """A small convolutional network: images (N, 3, H, W), already normalised, to logits (N, classes).

    As in the released file, the first pooling comes before the nonlinearity (for a rising function the order makes no
    difference) and the others after it; windows are 3 x 3 at stride 2, and the last window may hang over the edge.
    """

    def __init__(self, config: SmallNetConfig = SmallNetConfig(), *, seed: int | None = None):  # noqa: B008
        super().__init__()
        self.config = config
        blocks, hidden = ARCHITECTURES[config.architecture]
        nonlinearity = NONLINEARITIES[config.nonlinearity]
        layers: list[nn.Module] = []
        channels, size = 3, config.image_size
        for width, kernel, pool in blocks:
            layers.append(nn.Conv2d(channels, width, kernel, padding=kernel // 2))
            activation = Activation(nonlinearity, width, 2)
            pooling = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}[pool](3, 2, ceil_mode=True) if pool else None
            order = (pooling, activation) if pool == "max" else (activation, pooling)
            layers += [layer for layer in order if layer is not None]
            channels, size = width, -(-(size - 3) // 2) + 1 if pool else size
        layers.append(nn.Flatten())
        features = channels * size * size
        for width in hidden:
            layers += [nn.Linear(features, width), Activation(nonlinearity, width, 1)]
            features = width
        layers.append(nn.Linear(features, config.classes))
        self.layers = nn.Sequential(*layers)
        self.initialize(seed)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)

    def weighted_layers(self) -> list[nn.Module]:
        """The convolutions and fully connected layers, in order."""
        return [layer for layer in self.layers if isinstance(layer, nn.Conv2d | nn.Linear)]

    def initialize(self, seed: int | None = None) -> None:
        """Draw the starting weights by `config.start`; biases are 0. Same seed, same weights, on every device."""
        generator = torch.Generator()
        generator.seed() if seed is None else generator.manual_seed(seed)
        for index, layer in enumerate(self.weighted_layers()):
            deviation = self._starting_deviation(index, layer)
            with torch.no_grad():
                draw = torch.randn(layer.weight.shape, generator=generator)
                layer.weight.copy_(draw * deviation)
                layer.bias.zero_()

    def _starting_deviation(self, index: int, layer: nn.Module) -> float:
        home = "0-255" if self.config.start == "2012" else "unit"
        if self.config.start == "2012":
            first, convolution, full = DEVIATIONS_2012
            deviation = first if index == 0 else convolution if isinstance(layer, nn.Conv2d) else full
        else:
            fan_in = layer.weight[0].numel()
            last = index == len(self.weighted_layers()) - 1
            gain = 1.0 if last else NONLINEARITIES[self.config.nonlinearity].gain
            deviation = gain / fan_in**0.5
        if index == 0 and self.config.pixels != home:
            return deviation * self.config.deviation if home == "0-255" else deviation / self.config.deviation
        return deviation


def activations_by_layer(net: SmallNet, images: torch.Tensor) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Run images (N, 3, H, W) through the net and keep, for each nonlinearity, its input and its output.

    Returns (name, input, output) in order of depth, and last the logits, which no nonlinearity follows, as both. The
    tensors still belong to the graph, so after a backward pass on the loss `output.grad` holds the gradient (they are
    made to retain it).
    """
    kept = []
    x = images
    weights = iter(layer_names(net))
    name = ""
    for layer in net.layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            name = next(weights)
        if isinstance(layer, Activation):
            before = layer.norm(x)
            before.retain_grad()
            x = layer.function(before)
            x.retain_grad()
            kept.append((name, before, x))
        else:
            x = layer(x)
    kept.append((name, x, x))
    x.retain_grad()
    return kept


def layer_names(net: SmallNet) -> Iterable[str]:
    """conv1, conv2, …, then fc followed by its width."""
    convolutions = 0
    for layer in net.weighted_layers():
        if isinstance(layer, nn.Conv2d):
            convolutions += 1
            yield f"conv{convolutions}"
        else:
            yield f"fc{layer.out_features}"
