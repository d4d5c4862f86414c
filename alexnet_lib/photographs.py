"""A few photographs at the paper's resolution, prepared as section 2 says, for chapters that look and do not train.

Pixels are whole numbers 0 to 255, uint8 (N, 3, side, side): the shorter side brought to `side`, the central square cut
out. Used by "The whole architecture" and others that need real images of that size.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from .datasets import ImageSet, content_checksum, data_root, draw_stand_in
from .errors import DataError

FOLDERS = ("imagenet-samples-256", "imagenet/val", "imagenet/train", "photographs")
SUFFIXES = (".jpg", ".jpeg", ".png")
STAND_IN_NAME = "DRAWN STAND-IN, not photographs"
SIDE = 256


def load_photographs(
    count: int = 64, side: int = SIDE, data: str | os.PathLike | None = None, *, seed: int = 0, stand_in: bool = True
) -> ImageSet:
    """`count` photographs, uint8 (count, 3, side, side), chosen by `seed` among all that are there.

    Looked for under `data_root(data)`: imagenet-samples-256, imagenet/val, imagenet/train (folders of classes), or
    photographs (your own, in any folders). Where there is none, drawn images enlarged from 32 pixels, and named so.
    The label of an image is that of its folder. DataError: fewer photographs than asked for, one that cannot be
    decoded, none and stand_in=False.
    """
    if count < 1 or side < 1:
        raise DataError(f"cannot take {count} photographs of {side} pixels: both must be 1 or more")
    root = data_root(data)
    folder = next((root / name for name in FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        if stand_in:
            return _enlarged(count, side, seed)
        raise DataError(f"no photographs at {root}: make a folder {root / 'photographs'} and put images into it")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(files) < count:
        raise DataError(f"{folder} holds {len(files)} images, {count} were asked for")
    order = np.random.RandomState(seed).permutation(len(files))[:count]  # a stream that NumPy has frozen
    chosen = [files[i] for i in order]
    classes = tuple(sorted({path.parent.name for path in chosen}))
    images = torch.stack([read_photograph(path, side) for path in chosen])
    labels = torch.tensor([classes.index(path.parent.name) for path in chosen])
    checksum = content_checksum(images, labels)
    return ImageSet(
        images, labels, classes, f"photographs ({folder.name})", "test", f"files of {folder.name}", checksum
    )


def read_photograph(path: Path, side: int = SIDE) -> torch.Tensor:
    """One image file as RGB uint8 (3, side, side): shorter side to `side`, then the centre (section 2)."""
    try:
        with Image.open(path) as image:
            image = image.convert("RGB")
            scale = side / min(image.size)
            if scale != 1:
                image = image.resize(
                    [max(side, round(length * scale)) for length in image.size], Image.Resampling.BICUBIC
                )
            left, top = ((length - side) // 2 for length in image.size)
            pixels = np.array(image.crop((left, top, left + side, top + side)))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be decoded as an image ({error}): replace or delete it") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _enlarged(count: int, side: int, seed: int) -> ImageSet:
    small = draw_stand_in("test", count, seed)
    wide = F.interpolate(small.images.float(), size=(side, side), mode="bicubic", align_corners=False)
    images = wide.round().clamp(0, 255).to(torch.uint8)
    checksum = content_checksum(images, small.labels)
    source = f"{small.source}, enlarged"
    return ImageSet(images, small.labels, small.classes, STAND_IN_NAME, "test", source, checksum, stand_in=True)
