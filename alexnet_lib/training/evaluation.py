"""Errors of trained networks on a prepared validation set: by any views, and averaged over several networks.

Paper sections 2 (top-1, top-5), 4.1 (ten views) and 6 (averages of networks). Taught in "Full training" and "Results
and ablations".
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from ..augment import PixelScale
from ..augment.view_sets import view_list, views
from ..data.imagenet.reader import PreparedImages
from ..data.imagenet.sources import odd_class
from ..errors import DataError, SettingError
from ..network.alexnet import AlexNet
from ..network.published_weights import load_weights as fill
from ..system.files import naming
from ..system.progress import progress
from .feed import validation_batches
from .recipes import recipe_of
from .run_folder import EDITED, SETTINGS, read_settings
from .seeds import Share
from .topk import TopKErrors

TAKEN = "give the folder of a run of `train`, or a .safetensors file in one"
SLOW = 2.0  # seconds after which a bar is shown
VIEWS_AT_ONCE = 320  # images or views that go through the network together


@torch.no_grad()
def probabilities(
    nets: Sequence[nn.Module],
    scales: Sequence[PixelScale],
    images: torch.Tensor,
    size: int,
    which: str = "centre",
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> torch.Tensor:
    """The mean softmax (N, classes) over the named views of uint8 images (N, 3, H, W), and over the networks.

    size: side of a view. scales: of each network's pixels. The networks must be in evaluation mode.
    """
    seen = views(images, size, which)
    flat, total = seen.flatten(0, 1), 0.0
    for net, scale in zip(nets, scales, strict=True):
        parts = []
        for some in flat.split(VIEWS_AT_ONCE):
            with autocast():
                logits = net(scale(some).contiguous(memory_format=torch.channels_last))
            parts.append(logits.float().softmax(1))
        total = total + torch.cat(parts).unflatten(0, seen.shape[:2]).mean(1)
    return total / len(nets)


def count_errors(
    nets: Sequence[nn.Module],
    images: PreparedImages,
    scales: Sequence[PixelScale],
    size: int,
    *,
    which: str = "centre",
    device: torch.device,
    share: Share = Share(),  # noqa: B008
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    should_stop: Callable[[], bool] = lambda: False,
) -> TopKErrors:
    """Top-1 and top-5 errors of the networks' average, on this process's share of a validation set.

    With five classes or fewer, top-1 alone. should_stop: asked after each batch; the images after that are left out.
    """
    counted = TopKErrors((1, 5) if len(images.classes) > 5 else (1,))
    scales = [scale.to(device) for scale in scales]
    at_once = max(1, VIEWS_AT_ONCE // len(view_list(images.side, images.side, size, which)))
    # In a terminal, and by the first process: chapters and logs are not to fill with bars.
    quiet = share.rank > 0 or not sys.stderr.isatty()
    with progress(total=len(images), desc="validating", unit="image", delay=SLOW, disable=quiet) as bar:
        for pixels, labels in validation_batches(images, share, device, at_once):
            counted.add(probabilities(nets, scales, pixels, size, which, autocast), labels)
            bar.update(len(labels) * share.size)
            if should_stop():
                break
    return counted


def load_weights(path: Path) -> tuple[AlexNet, dict]:
    """The network of a run's folder (its best weights) or of a .safetensors file in one, and the run's settings.

    DataError: no such file, no run around it, or weights that are not of the run's network.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder; {TAKEN}")
    if path.parent.name == "checkpoints":
        raise DataError(f"{path} is a checkpoint, to go on training from; {TAKEN}, here {path.parent.parent}")
    if path.is_file() and path.suffix != ".safetensors":
        others = "weights that others trained are loaded by alexnet_lib.network.published_weights"
        raise DataError(f"{path} is no weights of a run; {TAKEN} ({others})")
    file = path / "best.safetensors" if path.is_dir() else path
    settings = read_settings(file.parent)
    with naming(file.parent / SETTINGS, EDITED):
        recipe, classes = recipe_of(settings["recipe"]), settings["data"]["classes"]
        if not isinstance(classes, list) or odd_class(classes) or type(settings["data"]["side"]) is not int:
            raise ValueError(f"classes {str(classes)[:60]} of side {settings['data']['side']}")
        net = AlexNet(recipe.net, len(classes), seed=0)
    with naming(file, "these are not the weights of its run"), safe_open(file, "pt") as opened:
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}
    try:
        fill(net, tensors)
    except DataError as error:
        raise DataError(f"{file} cannot be read as weights of its run: {error}") from error
    return net.eval(), settings


def check_classes(settings: dict, images: PreparedImages, where: Path) -> None:
    """SettingError unless a run's classes are the data's, in the same order: the outputs are counted by place."""
    trained, there = settings["data"]["classes"], list(images.classes)
    if trained == there:
        return
    if sorted(trained) == sorted(there):
        how = f"the classes that {where} was trained on in another order"
    else:
        missing = [name for name in trained if name not in there]
        how = f"{len(there)} classes, not the {len(trained)} that {where} was trained on"
        how += f" ({missing[0]} is missing)" if missing else ""
    raise SettingError(f"{images.folder} holds {how}: prepare it from the same class folders")
