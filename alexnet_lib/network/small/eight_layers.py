"""The paper's eight layers in small, for CIFAR-10: to see what its starting biases of 1 do (section 5, claim C20).

Five convolutions and three fully connected layers with the poolings where the paper has them. A layer's starting
deviation is the paper's times the root of (the paper's inputs of a unit / its own), so that signals grow or fade from
layer to layer as they do in the paper's network. Taught in "Details of learning".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ...errors import SettingError
from ..config import LAYERS, AlexNetConfig
from .with_dropout import check_sizes

STARTS = {"text": AlexNetConfig.paper(), "code2012": AlexNetConfig.code2012()}
# Inputs of one unit in the paper's network on two GPUs, conv1 to fc8.
PAPERS_INPUTS = (363, 1200, 2304, 1728, 1728, 9216, 4096, 4096)
BIASES = STARTS["text"].biases
# Kernel size of each convolution, and whether the paper pools after it.
CONVOLUTIONS = ((5, True), (5, True), (3, False), (3, False), (3, True))


@dataclass(frozen=True)
class EightLayersConfig:
    """What such a network is. Pixels are expected on the scale 0-255, minus the mean image.

    bias: the starting bias where the paper has 1 (conv2, conv4, conv5, fc6, fc7); 0 elsewhere. start: deviations of
    the paper's text (0.01) or of the 2012 code (0.03 in conv3 to conv5). image_size: side of the images, 8 or more.
    maps, hidden: kernels of the convolutions, units of the hidden layers. SettingError for what cannot be.
    """

    bias: float = 1.0
    start: str = "text"
    classes: int = 10
    image_size: int = 24
    maps: tuple[int, ...] = (32, 64, 96, 96, 64)
    hidden: tuple[int, int] = (256, 256)

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise SettingError(f"start {self.start!r} is not known; use one of {', '.join(STARTS)}")
        check_sizes(self.maps, "five", self.hidden, self.classes, self.image_size)

    def build(self, seed: int | None = None) -> EightLayers:
        """The network, with starting weights drawn from the seed."""
        return EightLayers(self, seed=seed)


class EightLayers(nn.Module):
    """images (N, 3, S, S), 0-255 minus the mean, to logits (N, classes). ReLU after every layer but the last."""

    recipe = "code2012"  # for PaperSGD: biases at twice the rate and without decay

    def __init__(self, config: EightLayersConfig = EightLayersConfig(), *, seed: int | None = None):  # noqa: B008
        super().__init__()
        self.config = c = config
        layers: list[nn.Module] = []
        channels, side = 3, c.image_size
        for maps, (kernel, pooled) in zip(c.maps, CONVOLUTIONS, strict=True):
            layers += [nn.Conv2d(channels, maps, kernel, padding=kernel // 2), nn.ReLU()]
            if pooled:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
                side = -(-(side - 3) // 2) + 1
            channels = maps
        layers.append(nn.Flatten())
        features = channels * side**2
        for units in c.hidden:
            layers += [nn.Linear(features, units), nn.ReLU()]
            features = units
        self.layers = nn.Sequential(*layers, nn.Linear(features, c.classes))
        self.initialize(seed)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)

    def weighted_layers(self) -> dict[str, nn.Module]:
        """conv1 to conv5, fc6, fc7, fc8."""
        found = [layer for layer in self.layers if isinstance(layer, nn.Conv2d | nn.Linear)]
        return dict(zip(LAYERS, found, strict=True))

    @torch.no_grad()
    def initialize(self, seed: int | None = None) -> None:
        """Draw the starting weights; a seed draws the same for every bias."""
        generator = torch.Generator()
        generator.seed() if seed is None else generator.manual_seed(seed)
        deviations = STARTS[self.config.start].deviations
        for layer, deviation, inputs, bias in zip(
            self.weighted_layers().values(), deviations, PAPERS_INPUTS, BIASES, strict=True
        ):
            scaled = deviation * (inputs / layer.weight[0].numel()) ** 0.5
            layer.weight.copy_(scaled * torch.randn(layer.weight.shape, generator=generator))
            layer.bias.fill_(self.config.bias * bias)

    @torch.no_grad()
    def live_shares(self, images: torch.Tensor) -> dict[str, float]:
        """For each layer before a ReLU, the share of its inputs (over units, places, images) that are above 0."""
        names = {layer: name for name, layer in self.weighted_layers().items()}
        x, shares = images, {}
        for layer in self.layers:
            x = layer(x)
            if layer in names and names[layer] != "fc8":
                shares[names[layer]] = float((x > 0).float().mean())
        return shares

    @torch.no_grad()
    def outputs(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """What each layer with weights puts out before its nonlinearity, in order of depth."""
        names = {layer: name for name, layer in self.weighted_layers().items()}
        x, kept = images, {}
        for layer in self.layers:
            x = layer(x)
            if layer in names:
                kept[names[layer]] = x
        return kept
