"""Feeding from JPEG files by torchvision's own decoder: on the cores, by threads, or on the GPU (nvJPEG).

What `bench feed` compares prepared bytes with: each image is decoded, brought to the prepared size and its centre cut
out, and whole batches are then augmented as for prepared images. torchvision calls these decoders deprecated since
0.29, in favour of TorchCodec's; they are measured because they need nothing more installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms.v2 import functional

from ..data.imagenet.reader import PreparedImages
from ..errors import DataError, first_line
from ..system.ahead import ahead
from ..training.recipes import Recipe
from ..training.seeds import Order
from .loaders import PreparedClasses, taker

PLACES = ("the cores", "the GPU")


def decoded(
    files: PreparedClasses, images: PreparedImages, recipe: Recipe, batches: int, device: torch.device,
    threads: int, place: str,
) -> Callable[[], int]:  # fmt: skip
    """A contestant: makes so many batches on `device`, decoded on a place in PLACES, and returns how many images."""
    order = Order(len(files), recipe.batch, seed=0)
    augment = recipe.make_augmentation(recipe.make_scale(images).to(device), images.color_pca, 1)
    pool = ThreadPoolExecutor(max(1, threads))

    def make_pass(number: int) -> Iterator[torch.Tensor]:
        for numbers in order.numbers(number).tolist():
            paths = [Path(files.samples[i][0]) for i in numbers]
            pixels = read(paths, images.side, device if place == "the GPU" else torch.device("cpu"), pool)
            yield augment(pixels.to(device, memory_format=torch.channels_last))

    return taker(lambda number: ahead(make_pass(number)), batches, recipe.batch)


def read(paths: Sequence[Path], side: int, device: torch.device, pool: ThreadPoolExecutor) -> torch.Tensor:
    """These files' images, decoded and cut on that device: uint8 (n, 3, side, side). DataError: one that is no JPEG."""
    if device.type == "cpu":
        return torch.stack(list(pool.map(lambda path: cut(_decode(path), side), paths)))
    stored = list(pool.map(lambda path: read_file(str(path)), paths))
    try:
        made = decode_jpeg(stored, ImageReadMode.RGB, device=device)
    except RuntimeError as error:
        raise DataError(f"one of {paths[0]} … {paths[-1]} cannot be decoded: {first_line(error)}") from error
    return torch.stack([cut(image, side) for image in made])


def _decode(path: Path) -> torch.Tensor:
    try:
        return decode_jpeg(read_file(str(path)), ImageReadMode.RGB)
    except RuntimeError as error:
        raise DataError(f"{path} cannot be decoded by torchvision: {first_line(error)}") from error


def cut(image: torch.Tensor, side: int) -> torch.Tensor:
    """The shorter side brought to `side`, and the centre: uint8 (3, side, side)."""
    return functional.center_crop(functional.resize(image, [side], antialias=True), [side, side])
