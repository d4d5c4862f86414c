"""A slow AlexNet out of plain operations, to hold the library's to; and the nets that several test files share.

Nothing of the library's model is used: each variant is written out from the paper or its source, group by group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import VARIANTS, AlexNetConfig
from alexnet_lib.network.dropout import Dropout

State = Mapping[str, torch.Tensor]
Masks = tuple[torch.Tensor, torch.Tensor] | None

# A hundredth of the work: maps of 23-11-5-2; conv1's last window hangs over by 3 as at 224; a column of 8 for LRN's 5.
SMALL = {"widths": (16, 32, 24, 24, 32), "hidden": (40, 24), "input_size": 96}
CLASSES = 10


def small(name: str = "paper", **changes: Any) -> AlexNetConfig:
    """A variant with few kernels and small images."""
    own = {"sixth_conv": {"sixth": 16}, "caffe": {"input_size": 99}}
    return replace(VARIANTS[name](), **{**SMALL, **own.get(name, {}), **changes})


def shapes_only(config: AlexNetConfig, classes: int = 1000) -> AlexNet:
    """A net of any size whose tensors have shapes but no numbers: it costs neither memory nor time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AlexNet, "initialize", lambda self, seed: None)
        return AlexNet(config, classes).to("meta")


def images(config: AlexNetConfig, count: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Pixels about their mean, as far from it as photographs' are."""
    shape = (count, 3, config.input_size, config.input_size)
    return 60 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def lively(net: AlexNet, seed: int = 1) -> AlexNet:
    """The net in float64 with weights large enough that every layer's output matters, biases of both signs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in net.double().named_parameters():
            spread = parameter[0].numel() ** -0.5 if name.endswith("weight") and parameter.ndim > 1 else 0.3
            parameter.copy_(2 * spread * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return net


def masks_of(net: AlexNet) -> tuple[torch.Tensor, torch.Tensor]:
    """What the two dropout layers let through of two images' ones, the next time they are asked."""
    drops = [layer for layer in net.modules() if isinstance(layer, Dropout)]
    sizes = (net.fc7.weight.shape[1], net.fc8.weight.shape[1])
    if net.config.dropout_first:
        sizes = (net.fc6.weight.shape[1], net.fc7.weight.shape[1])
    return tuple(drop(torch.ones(2, size, dtype=torch.float64)) for drop, size in zip(drops, sizes, strict=True))


def lrn(x: torch.Tensor, k: float, alpha: float, columns: int) -> torch.Tensor:
    """Section 3.3's formula with n = 5 and beta = 0.75: who counts as whose neighbour is a matrix of zeros and ones."""
    number = torch.arange(x.shape[1])
    near = (number[:, None] - number[None]).abs() <= 2
    same = (number[:, None] * columns // len(number)) == (number[None] * columns // len(number))
    sums = torch.einsum("ij,njhw->nihw", (near & same).to(x), x * x)
    return x / (k + alpha * sums) ** 0.75


def spatial(x: torch.Tensor, k: float, alpha: float) -> torch.Tensor:
    """The same over 5 x 5 places of one map."""
    ones = torch.ones(x.shape[1], 1, 5, 5, dtype=x.dtype)
    return x / (k + alpha / 25 * F.conv2d(x * x, ones, padding=2, groups=x.shape[1])) ** 0.75


def conv(x: torch.Tensor, state: State, name: str, columns: int, stride: int = 1) -> torch.Tensor:
    """Each column's kernels over its own maps; kernels of 3 and 5 see zeros around the image."""
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    padding = 0 if stride > 1 else weight.shape[-1] // 2
    x = F.pad(x, (padding,) * 4)
    own = zip(x.chunk(columns, 1), weight.chunk(columns), bias.chunk(columns), strict=True)
    return torch.cat([F.conv2d(part, w, b, stride) for part, w, b in own], 1)


def full(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def pool(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 3, 2)


def hidden(x: torch.Tensor, state: State, masks: Masks) -> torch.Tensor:
    """Section 4.2: dropped while training, halved otherwise."""
    x = F.relu(full(x.flatten(1), state, "fc6"))
    x = x * masks[0] if masks else x / 2
    x = F.relu(full(x, state, "fc7"))
    return full(x * masks[1] if masks else x / 2, state, "fc8")


def text(x: torch.Tensor, state: State, columns: int) -> torch.Tensor:
    """The five convolutions as sections 3.1 to 3.5 say, over an image with 3 more zeros at right and bottom."""
    x = pool(lrn(F.relu(conv(F.pad(x, (0, 3, 0, 3)), state, "conv1", 1, 4)), 2, 1e-4, columns))
    x = pool(lrn(F.relu(conv(x, state, "conv2", columns)), 2, 1e-4, columns))
    x = F.relu(conv(x, state, "conv3", 1))
    x = F.relu(conv(x, state, "conv4", columns))
    return pool(F.relu(conv(x, state, "conv5", columns)))


def paper(x: torch.Tensor, state: State, masks: Masks) -> torch.Tensor:
    return hidden(text(x, state, 2), state, masks)


def one_gpu_half(x: torch.Tensor, state: State, masks: Masks) -> torch.Tensor:
    return hidden(text(x, state, 1), state, masks)


def sixth_conv(x: torch.Tensor, state: State, masks: Masks) -> torch.Tensor:
    return hidden(F.relu(conv(text(x, state, 2), state, "conv6", 2)), state, masks)


def code2012(x: torch.Tensor, state: State, masks: Masks) -> torch.Tensor:
    """layers-145.cfg: the first norm on signed numbers, ReLU after the pooling, alpha over 5, a norm in the plane."""
    x = F.relu(pool(lrn(conv(F.pad(x, (0, 3, 0, 3)), state, "conv1", 1, 4), 2, 2e-5, 2)))
    x = lrn(F.relu(conv(x, state, "conv2", 2)), 2, 2e-5, 2)
    x = pool(spatial(x, 2, 1e-4))
    x = F.relu(conv(x, state, "conv3", 1))
    x = F.relu(conv(x, state, "conv4", 2))
    return hidden(F.relu(pool(conv(x, state, "conv5", 2))), state, masks)


def caffe(x: torch.Tensor, state: State, masks: Masks) -> torch.Tensor:
    """bvlc_alexnet: nothing padded, LRN over all kernels with k = 1 and alpha over 5; dropout scales while training."""
    x = pool(lrn(F.relu(conv(x, state, "conv1", 1, 4)), 1, 2e-5, 1))
    x = pool(lrn(F.relu(conv(x, state, "conv2", 2)), 1, 2e-5, 1))
    x = F.relu(conv(x, state, "conv3", 1))
    x = F.relu(conv(x, state, "conv4", 2))
    x = pool(F.relu(conv(x, state, "conv5", 2))).flatten(1)
    for name, mask in zip(("fc6", "fc7"), masks or (1, 1), strict=True):
        x = F.relu(full(x, state, name)) * mask
    return full(x, state, "fc8")


def torchvision(x: torch.Tensor, state: State, masks: Masks) -> torch.Tensor:
    """torchvision.models.alexnet: two zeros around the image, no norm, dropout before the layers."""
    x = pool(F.relu(conv(F.pad(x, (2, 2, 2, 2)), state, "conv1", 1, 4)))
    x = pool(F.relu(conv(x, state, "conv2", 1)))
    for name in ("conv3", "conv4", "conv5"):
        x = F.relu(conv(x, state, name, 1))
    x = pool(x).flatten(1)
    for name, mask in zip(("fc6", "fc7"), masks or (1, 1), strict=True):
        x = F.relu(full(x * mask, state, name))
    return full(x, state, "fc8")


REFERENCES: dict[str, Callable[[torch.Tensor, State, Masks], torch.Tensor]] = {
    "paper": paper,
    "code2012": code2012,
    "caffe": caffe,
    "torchvision": torchvision,
    "one_gpu_half": one_gpu_half,
    "sixth_conv": sixth_conv,
}


def gap(ours: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest difference, as part of the largest number wanted; shapes must agree, and no number may be missing."""
    assert ours.shape == wanted.shape
    ours, wanted = ours.detach(), wanted.detach()
    assert bool(wanted.isfinite().all()) and float(wanted.abs().max()) > 0
    worst = float((ours - wanted).abs().max() / wanted.abs().max())
    assert worst == worst, "not a number"
    return worst
