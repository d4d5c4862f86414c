"""A few photographs at the paper's resolution, prepared as section 2 says, for chapters that look and do not train.

The shorter side is brought to `side`, and the central square cut out. Used by "The whole architecture" and others.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..errors import DataError
from .image_set import ImageSet, content_checksum, data_root
from .imagenet.decode import BadImage, check_narrow, content_of, photograph
from .listing import SUFFIXES, LeftOut, images_under

OWN = "photographs"  # a reader's; the others are data sets, whose pixels stay as they are stored
FOLDERS = ("imagenet-samples-256", "imagenet/val", "imagenet/train", OWN)
# The colour photographs of everyday things among the files that scikit-image installs.
SHIPPED = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
SIDE = 256


def load_photographs(
    count: int = 64, side: int = SIDE, data: str | os.PathLike | None = None, *, seed: int = 0, shipped: bool = True
) -> ImageSet:
    """`count` photographs, uint8 (count, 3, side, side), chosen by `seed` among all in the first of FOLDERS there is.

    A folder of fewer photographs than asked for gives all of them and then windows cut out of them, and the name says
    so; where `data_root(data)` has no folder, the few that scikit-image installs are used like that. The label of an
    image is that of its folder (of its file, for scikit-image's). DataError: a photograph that cannot be decoded, a
    folder without any, no folder and shipped=False.
    """
    if count < 1 or side < 1:
        raise DataError(f"cannot take {count} photographs of {side} pixels: both must be 1 or more")
    root = data_root(data)
    folder = photographs_folder(root)
    if folder is None and not shipped:
        raise DataError(f"no photographs at {root}: make a folder {root / 'photographs'} and put images into it")
    if folder:
        files, called, source = photographs_in(folder, LeftOut()), f"({folder.name})", f"files of {folder.name}"
    else:
        import skimage  # a second to import, and only needed here

        files = [Path(skimage.data_dir) / name for name in SHIPPED]
        called, source = "from scikit-image", "image files of the package scikit-image"
    if not files:
        raise DataError(f"{folder} holds no image ({', '.join(SUFFIXES)}): put some into it, or remove it")
    random = np.random.RandomState(seed)  # a stream that NumPy has frozen
    order = random.permutation(len(files))[:count]
    own = folder is not None and folder.name == OWN
    images, done = [], Counter()
    for i in order:
        image, notes = _open(files[i], own, side)
        images.append(_square(image, side))
        done.update(notes)
    name = "".join([f"photographs {called}", *(f", {count:,} {note}" for note, count in done.items())])
    if len(files) < count:
        opened = [_open(files[i], own)[0] for i in order]
        images += _windows(opened, count - len(files), side, random)
        name = f"windows of {len(files)} {name}"
    names = [files[i].parent.name if folder else files[i].stem for i in order]
    classes = tuple(sorted(set(names)))
    labels = torch.tensor([classes.index(names[i % len(order)]) for i in range(count)])
    images = torch.stack(images)
    return ImageSet(images, labels, classes, name, "test", source, content_checksum(images, labels))


def photographs_folder(root: Path) -> Path | None:
    """The folder of this data root that `load_photographs` would take from; None where there is none of FOLDERS."""
    return next((root / name for name in FOLDERS if (root / name).is_dir()), None)


def photographs_in(folder: Path, left: LeftOut) -> list[Path]:
    """Its image files, at any depth, in the order of their names. DataError: it cannot be read."""
    try:
        return sorted(map(Path, images_under(folder, left)))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}): mend its permissions") from error


def read_photograph(path: Path, side: int = SIDE) -> torch.Tensor:
    """One image file as RGB uint8 (3, side, side): shorter side to `side`, then the centre (section 2)."""
    return _square(_open(path, own=True, side=side)[0], side)


def _square(image: Image.Image, side: int) -> torch.Tensor:
    scale = side / min(image.size)
    if scale != 1:
        image = image.resize([max(side, round(length * scale)) for length in image.size], Image.Resampling.BICUBIC)
    left, top = ((length - side) // 2 for length in image.size)
    return _bytes_of(image.crop((left, top, left + side, top + side)))


def open_photograph(path: Path) -> Image.Image:
    """A reader's image file in RGB, upright and on white as `decode.photograph` says. DataError names a file that is
    damaged."""
    return _open(path, own=True)[0]


def _open(path: Path, own: bool, side: int = 1) -> tuple[Image.Image, tuple[str, ...]]:
    try:
        image, notes = photograph(content_of(path), own=own)
        check_narrow(image, side)
        return image, notes
    except BadImage as error:
        raise DataError(f"{path} cannot be decoded as an image ({error}): replace or delete it") from error


def _bytes_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _windows(opened: list[Image.Image], count: int, side: int, random: np.random.RandomState) -> list[torch.Tensor]:
    """`count` squares, of each image in turn, at random places and of any length from `side` to the shorter side."""
    windows = []
    for i in range(count):
        image = opened[i % len(opened)]
        length = random.randint(min(side, *image.size), min(image.size) + 1)
        left, top = (random.randint(total - length + 1) for total in image.size)
        box = (left, top, left + length, top + length)
        windows.append(_bytes_of(image.resize((side, side), Image.Resampling.BICUBIC, box)))
    return windows
