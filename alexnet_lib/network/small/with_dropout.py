"""A small CIFAR-10 network that ends as the paper's does: two hidden fully connected layers, with dropout on them.

Section 4.2: dropout stands after the first two fully connected layers, whose output it thins; torchvision's AlexNet has
it before them. Three convolutions with overlapping max pooling lie beneath. Taught in "Dropout".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ...errors import SettingError
from ..dropout import Dropout

PLACES = ("after", "before")
DEVIATION = 64.0  # about that of CIFAR-10's pixels, so that the first layer sees numbers of its weights' rule


@dataclass(frozen=True)
class DropoutNetConfig:
    """What such a network is. Pixels are expected on the scale 0-255, minus the mean image.

    rate, kind: of `dropout.Dropout`; at a rate of 0 there is none. place: "after" the hidden layers, as in the paper,
    or "before" them, as in torchvision. image_size: side of the images, 8 or more. maps: kernels of the three
    convolutions; hidden: units of the two hidden layers. SettingError for what cannot be.
    """

    rate: float = 0.5
    kind: str = "2012"
    place: str = "after"
    classes: int = 10
    image_size: int = 24
    maps: tuple[int, int, int] = (32, 32, 64)
    hidden: tuple[int, int] = (512, 512)

    def __post_init__(self) -> None:
        Dropout(self.rate, self.kind)
        if self.place not in PLACES:
            raise SettingError(
                f"place {self.place!r} is not known; dropout stands 'after' or 'before' the hidden layers"
            )
        check_sizes(self.maps, "three", self.hidden, self.classes, self.image_size)

    def build(self, seed: int | None = None) -> DropoutNet:
        """The network, with starting weights drawn from the seed."""
        return DropoutNet(self, seed=seed)


def check_sizes(
    maps: tuple[int, ...], convolutions: str, hidden: tuple[int, ...], classes: int, image_size: int
) -> None:
    """SettingError unless a network of `convolutions` ("three" or "five"), three poolings and two hidden layers can be
    built with these widths, for images of this side."""
    if len(maps) != {"three": 3, "five": 5}[convolutions] or len(hidden) != 2 or min(*maps, *hidden, classes) < 1:
        raise SettingError(
            f"{convolutions} numbers of maps and two of hidden units are needed, and classes; all 1 or more"
        )
    if image_size < 8:
        raise SettingError(f"image_size {image_size} is too small to be pooled three times; take 8 or more")


class DropoutNet(nn.Module):
    """conv 5x5 - ReLU - max pool 3/2, three times; two hidden layers with ReLU and dropout; one more layer.

    images (N, 3, S, S), 0-255 minus the mean, to logits (N, classes). `features` gives what the first fully connected
    layer takes; `head` is the rest, which `dropout_ensemble.DroppedStack.of` can read.
    """

    def __init__(self, config: DropoutNetConfig = DropoutNetConfig(), *, seed: int | None = None):  # noqa: B008
        super().__init__()
        self.config = c = config
        body: list[nn.Module] = []
        channels, side = 3, c.image_size
        for maps in c.maps:
            body += [nn.Conv2d(channels, maps, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
            channels, side = maps, -(-(side - 3) // 2) + 1
        self.body = nn.Sequential(*body, nn.Flatten())
        self.head = nn.Sequential(*self._head(channels * side**2))
        self.initialize(seed)

    def _head(self, inputs: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for units in self.config.hidden:
            full = [nn.Linear(inputs, units), nn.ReLU()]
            drop = [Dropout(self.config.rate, self.config.kind)] if self.config.rate else []
            layers += full + drop if self.config.place == "after" else drop + full
            inputs = units
        return [*layers, nn.Linear(inputs, self.config.classes)]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The last pooling layer's outputs, (N, inputs of the first fully connected layer)."""
        return self.body(images / DEVIATION)

    @torch.no_grad()
    def initialize(self, seed: int | None = None) -> None:
        """He's starting weights (1 / sqrt(fan in) in the last layer), biases 0; the same for every dropout."""
        generator = torch.Generator()
        generator.seed() if seed is None else generator.manual_seed(seed)
        layers = [layer for layer in self.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        for layer in layers:
            gain = 1.0 if layer is layers[-1] else 2.0**0.5
            deviation = gain / layer.weight[0].numel() ** 0.5
            layer.weight.copy_(deviation * torch.randn(layer.weight.shape, generator=generator))
            layer.bias.zero_()

    def parameter_groups(self, rate: float, decay: float) -> list[dict]:
        """For PaperSGD: decay on weights, none on biases, as the 2012 code has it."""
        biases = [p for name, p in self.named_parameters() if name.endswith("bias")]
        taken = {id(p) for p in biases}
        return [
            {"params": [p for p in self.parameters() if id(p) not in taken], "lr": rate, "weight_decay": decay},
            {"params": biases, "lr": rate, "weight_decay": 0.0},
        ]

    @torch.no_grad()
    def hidden(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The two hidden layers' outputs after ReLU, (N, units) each, in evaluation, without dropout's factor."""
        training = self.training
        self.eval()
        h, kept = self.features(images), []
        for layer in self.head:
            h = layer(h)
            if isinstance(layer, nn.ReLU):
                kept.append(h)
        self.train(training)
        return kept

    @torch.no_grad()
    def logits_from(self, layer: int, activations: torch.Tensor) -> torch.Tensor:
        """What the network, in evaluation, makes of the outputs (N, units) of hidden layer 0 or 1: logits."""
        training = self.training
        self.eval()
        relus = [place for place, each in enumerate(self.head) if isinstance(each, nn.ReLU)]
        logits = self.head[relus[layer] + 1 :](activations)
        self.train(training)
        return logits
