"""What in an image a network's answer rests on: patches that a kernel answers most, occlusion, a map of evidence.

Networks are in evaluation mode; pixels are what the network sees, float (N, 3, S, S), on its device. Section 6.1.
Taught in "Predictions".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..errors import SettingError
from ..network.alexnet import AlexNet

AT_ONCE = 128  # occluded images that go through the network together


@contextmanager
def _kept(net: AlexNet, layer: str) -> Iterator[list[torch.Tensor]]:
    """What a layer puts out while the block runs, in a list; the last is the latest."""
    if layer not in dict(net.named_children()):
        raise SettingError(f"layer {layer!r}: this network has {', '.join(dict(net.named_children()))}")
    seen: list[torch.Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(lambda module, given, made: seen.append(made))
    try:
        yield seen
    finally:
        handle.remove()


@torch.no_grad()
def activation_maps(net: AlexNet, pixels: torch.Tensor, layer: str) -> torch.Tensor:
    """What a layer ("conv1", "act3", "pool5", ...) puts out for pixels (N, 3, S, S). SettingError: no such layer."""
    with _kept(net, layer) as seen:
        net(pixels)
    return seen[-1]


@dataclass(frozen=True)
class Patch:
    """Where an image made a kernel answer most: the image's number, the answer, and the window of pixels behind it,
    cut off where it reaches over the edge: rows top to bottom, columns left to right (ends not included)."""

    image: int
    answer: float
    top: int
    bottom: int
    left: int
    right: int


@torch.no_grad()
def strongest_patches(
    net: AlexNet, batches: Iterable[torch.Tensor], layer: str, kernels: Iterable[int], count: int = 9
) -> dict[int, list[Patch]]:
    """For each of these kernels of a convolutional layer, the images that it answers most, strongest first.

    batches: of pixels, in the order by which images are numbered. An image is there once, with its strongest place.
    """
    field = net.describe()[layer].field
    if field is None:
        raise SettingError(f"layer {layer!r} sees all of the image: it has no patches")
    kernels = list(kernels)
    best: dict[int, list[Patch]] = {kernel: [] for kernel in kernels}
    done = 0
    for pixels in batches:
        maps = activation_maps(net, pixels, layer)[:, kernels]
        answers, places = maps.flatten(2).max(dim=2)
        side = pixels.shape[-1]
        for column, kernel in enumerate(kernels):
            for number in range(len(pixels)):
                row, place = divmod(int(places[number, column]), maps.shape[-1])
                top, left = (field.start + field.jump * at for at in (row, place))
                patch = Patch(
                    done + number,
                    float(answers[number, column]),
                    max(top, 0),
                    min(top + field.size, side),
                    max(left, 0),
                    min(left + field.size, side),
                )
                best[kernel].append(patch)
            best[kernel] = sorted(best[kernel], key=lambda one: -one.answer)[:count]
        done += len(pixels)
    return best


@torch.no_grad()
def occlusion_map(
    net: AlexNet, pixels: torch.Tensor, label: int, size: int, stride: int, fill: float = 0.0
) -> torch.Tensor:
    """The probability of `label` while a square of `size` pixels is `fill` (0: the mean image), its corner moved by
    `stride`: (rows, columns) on the CPU. pixels: one image (1, 3, S, S). SettingError: a square that does not fit."""
    side = pixels.shape[-1]
    if len(pixels) != 1 or not 1 <= size <= side or stride < 1:
        raise SettingError(
            f"occlusion of {tuple(pixels.shape)} by {size} pixels every {stride}: give one image, a "
            f"square of 1 to {side}, and a stride of 1 or more"
        )
    starts = range(0, side - size + 1, stride)
    places = [(top, left) for top in starts for left in starts]
    found = []
    for first in range(0, len(places), AT_ONCE):
        some = places[first : first + AT_ONCE]
        hidden = pixels.repeat(len(some), 1, 1, 1)
        for image, (top, left) in zip(hidden, some, strict=True):
            image[:, top : top + size, left : left + size] = fill
        found.append(net(hidden).float().softmax(1)[:, label])
    return torch.cat(found).reshape(len(starts), len(starts)).cpu()


def evidence_map(net: AlexNet, pixels: torch.Tensor, label: int, layer: str = "act5") -> torch.Tensor:
    """Where the last convolution's maps speak for `label`, (rows, columns) from 0 to 1 on the CPU: Grad-CAM.

    The maps are added with weights, each the mean gradient of the label's logit by that map; what speaks against it is
    cut off. pixels: one image (1, 3, S, S). All 0 where nothing speaks for it.
    """
    if len(pixels) != 1:
        raise SettingError(f"a map of evidence is of one image, not of {len(pixels)}")
    with _kept(net, layer) as seen, torch.enable_grad():
        logit = net(pixels.detach().requires_grad_())[0, label]
        maps = seen[-1]
        (gradient,) = torch.autograd.grad(logit, maps)
    summed = F.relu((gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1)[0]).detach().cpu()
    return summed / summed.max() if summed.max() > 0 else summed
