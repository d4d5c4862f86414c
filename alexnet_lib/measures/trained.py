"""A trained network as something that turns photographs into features: weights, pixels and the size of its images.

Ours, from a run of `train`, or the weights that torchvision publishes. Taught in "Retrieval and binary codes".
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..augment import PixelScale
from ..errors import DataError, SettingError, first_line
from ..network.alexnet import AlexNet
from ..network.config import AlexNetConfig
from ..training.run_folder import has_learned, read_scale

TORCHVISION = "torchvision"
SIDE = 256  # shorter side of the photographs that torchvision's weights were trained on


@dataclass(frozen=True)
class FeatureNet:
    """A network in evaluation mode; scale: from bytes to what it sees; side: of the squares that photographs are
    brought to; digest: of its weights and scale, which tells it from others; name: for people; classes: what its
    outputs are, as the run's data or torchvision names them; learned: whether it was ever better than guessing."""

    net: AlexNet
    scale: Callable[[torch.Tensor], torch.Tensor]
    side: int
    digest: str
    name: str
    classes: tuple[str, ...]
    learned: bool = True

    @property
    def doubt(self) -> str:
        """What is to be said with everything that is shown of it; "" where there is nothing to say."""
        told = "was never better than guessing while it trained, so what is shown of it says nothing of the photographs"
        return "" if self.learned else f"{self.name} {told}"


@dataclass(frozen=True)
class ChannelScale:
    """torchvision's: pixels of 0 to 1, less a mean and divided by a deviation for each colour, (3, 1, 1)."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def to(self, device: torch.device) -> ChannelScale:
        return ChannelScale(self.mean.to(device), self.deviation.to(device))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 3, H, W) to float32 of the same shape."""
        return (images.to(torch.float32) / 255 - self.mean) / self.deviation


def load_feature_net(weights: str, device: torch.device) -> FeatureNet:
    """The network that `weights` names: a run's folder, a .safetensors file in one, or "torchvision".

    torchvision fetches its weights (233 MB) if it has not done so before. DataError: they cannot be had or read.
    """
    if weights == TORCHVISION:
        return _published(device)
    from ..training.evaluation import load_weights

    path = Path(weights)
    try:
        net, settings = load_weights(path)
    except DataError as error:
        raise DataError(f"{error}. Or give {TORCHVISION}, for its published weights") from error
    data = settings["data"]
    ready = _ready(net, read_scale(path), data["side"], str(path), data["classes"], device)
    return replace(ready, learned=has_learned(path))


def _published(device: torch.device) -> FeatureNet:
    import torchvision

    from ..network.published_weights import load_weights

    published = torchvision.models.AlexNet_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir(), "checkpoints", Path(published.url).name)
    if file.is_file():
        _check_published(file)
    try:
        state = published.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise DataError(
            f"torchvision's weights cannot be had ({first_line(error)}): put the file of {published.url} "
            f"into {file.parent}, or give a run's folder"
        ) from error
    net = AlexNet(AlexNetConfig.torchvision(), seed=0)
    load_weights(net, state)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return _ready(net, ChannelScale(mean, deviation), SIDE, TORCHVISION, published.meta["categories"], device)


def _check_published(file: Path) -> None:
    """torchvision compares the hash in the file's name only with what it has just fetched. DataError: it is another."""
    with open(file, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    told = file.stem.rpartition("-")[2]
    if not digest.startswith(told):
        raise DataError(
            f"{file} is not the file that torchvision publishes (its sha256 begins with {digest[: len(told)]}): "
            "delete it, and it is fetched anew"
        )


def _ready(
    net: AlexNet, scale: PixelScale | ChannelScale, side: int, name: str, classes: Sequence[str], device: torch.device
) -> FeatureNet:
    if side < net.config.input_size:
        raise SettingError(f"{name}: photographs of {side} pixels are smaller than the {net.config.input_size} it sees")
    digest = hashlib.sha256(repr((net.config, side)).encode())
    numbers = [*net.state_dict().values(), scale.mean, torch.as_tensor(scale.deviation)]
    for tensor in numbers:
        digest.update(tensor.detach().cpu().contiguous().float().numpy())
    net = net.to(device, memory_format=torch.channels_last).eval()
    return FeatureNet(net, scale.to(device), side, f"sha256:{digest.hexdigest()}", name, tuple(classes))
