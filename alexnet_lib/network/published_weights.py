"""Loading weights that others trained: torchvision's AlexNet, Caffe's, and our own, each into the variant it fits.

Taught in "The whole architecture".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..errors import DataError, SettingError
from .config import VARIANTS, AlexNetConfig

# torchvision numbers its layers by their place in two nn.Sequential.
TORCHVISION = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}
CHANNEL_ORDERS = ("RGB", "BGR")
WRAPPERS = ("module", "_orig_mod")  # DataParallel and DDP, torch.compile


def load_weights(net: nn.Module, state: Mapping[str, Any], *, channel_order: str = "RGB") -> None:
    """Load a state dict into `net` (an AlexNet, or a network that takes its state dicts), all of it or nothing.

    Understood are our own names, which are Caffe's (conv1.weight … fc8.bias; biases of shape (1, 1, 1, N), as old
    Caffe files have them, are flattened), and torchvision's (features.0.weight …), with what DataParallel, DDP and
    torch.compile put before or within them. channel_order="BGR" turns conv1's
    kernels round, as those trained by Caffe on BGR pixels need. Values may be tensors or NumPy arrays.
    Raises DataError naming the first tensor, in the order of the layers, that is missing, too many or misshapen, and
    the variant that the file looks like; or one that holds what is no number.
    """
    if channel_order not in CHANNEL_ORDERS:
        raise SettingError(f"channel_order {channel_order!r} is not known; use RGB, or BGR for weights out of Caffe")
    given = {_our_name(name): _tensor(name, value) for name, value in state.items()}
    if len(given) < len(state):
        raise DataError("the state dict holds a tensor under two names that mean the same one")
    wanted = net.state_dict()
    fitted: dict[str, torch.Tensor] = {}
    for name, own in wanted.items():
        if name not in given:
            raise DataError(f"{name} is missing from the state dict{_advice(given, net)}")
        fitted[name] = _fitted(name, given[name], own, given, net)
    if extra := next((name for name in given if name not in wanted), None):
        raise DataError(
            f"{extra} is in the state dict, but this network ({net.config.name}) has no such tensor"
            f"{_advice(given, net)}"
        )
    if channel_order == "BGR":
        fitted["conv1.weight"] = fitted["conv1.weight"].flip(1)
    net.load_state_dict(fitted)


def _our_name(name: str) -> str:
    name = ".".join(part for part in name.split(".") if part not in WRAPPERS)
    layer, _, kind = name.rpartition(".")
    return f"{TORCHVISION[layer]}.{kind}" if layer in TORCHVISION else name


def _tensor(name: str, value: Any) -> torch.Tensor:
    try:
        tensor = torch.as_tensor(value)
    except (RuntimeError, TypeError, ValueError):
        raise DataError(
            f"{name!r} is a {type(value).__name__}, not a tensor: give the mapping of names to tensors itself "
            '(in a checkpoint often under "state_dict" or "model")'
        ) from None
    if not tensor.is_meta and tensor.is_floating_point() and not tensor.isfinite().all():
        raise DataError(f"{name} holds NaN or infinity: the file is damaged, or the network has diverged")
    return tensor


def _fitted(
    name: str, value: torch.Tensor, own: torch.Tensor, given: Mapping[str, torch.Tensor], net: nn.Module
) -> torch.Tensor:
    if value.shape == own.shape:
        return value
    squeezed = [size for size in value.shape if size != 1]
    if squeezed == [size for size in own.shape if size != 1]:
        return value.reshape(own.shape)
    advice = _advice(given, net)
    if name.startswith("fc8.") and value.ndim and value.shape[1:] == own.shape[1:]:
        advice = f": the file is for {len(value)} classes; make the network with num_classes={len(value)}"
    raise DataError(
        f"{name}: the state dict holds {tuple(value.shape)}, this network ({net.config.name}) has "
        f"{tuple(own.shape)}{advice}"
    )


def _advice(given: Mapping[str, torch.Tensor], net: nn.Module) -> str:
    """Which variant the tensors look like, by the widths of the convolutions and what conv2 sees."""
    fits = [name for name, make in VARIANTS.items() if _looks_like(given, make())]
    if not fits:
        return ": its layers are of none of the known variants"
    if net.config.name in fits:
        return ""
    return f"; it looks like AlexNetConfig.{fits[0]}()"


def _looks_like(given: Mapping[str, torch.Tensor], config: AlexNetConfig) -> bool:
    inputs = (3, *config.widths)
    for place, width in enumerate(config.widths):
        name = f"conv{place + 1}"
        weight = given.get(f"{name}.weight")
        if weight is None or tuple(weight.shape[:2]) != (width, inputs[place] // config.groups(name)):
            return False
    return ("conv6.weight" in given) == bool(config.sixth)
