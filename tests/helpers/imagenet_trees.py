"""Small trees of drawn images in ImageNet's layouts, tar files of them, and slow plain references for what is made."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision import transforms

from alexnet_lib.data.imagenet.sources import Source

CLASSES = ("n01440764", "n01443537", "n02084071")


def drawn(seed: int, width: int, height: int) -> Image.Image:
    """A picture of smooth colours under a little noise, other ones for each seed."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40.0
    waves = [np.sin(x * random.uniform(0.2, 2) + y * random.uniform(-2, 2) + c) for c in range(3)]
    pixels = 127 + 90 * np.stack(waves, -1) + random.normal(0, 12, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def counts(source: Source) -> dict[str, list[int]]:
    """Images found by split and class."""
    return {
        split: [sum(entry.label == label for entry in entries) for label in range(len(source.classes))]
        for split, entries in source.splits.items()
    }


def write_folders(root: Path, train: int = 3, val: int = 2) -> Path:
    """train/<wnid>/ and val/<wnid>/, every image of another size, some smaller than what is asked for."""
    for split, count in (("train", train), ("val", val)):
        for c, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                image = drawn(100 * c + i + len(split), 40 + 13 * i + 5 * c, 61 - 7 * i + 3 * c)
                (root / split / name / f"{name}_{i}.JPEG").write_bytes(encoded(image, quality=90))
    return root


def write_tiny(root: Path) -> Path:
    """Tiny ImageNet's layout, with its other order in wnids.txt and its words.txt."""
    write_folders(root / "made")
    rows = []
    for name in CLASSES:
        (root / "train" / name).mkdir(parents=True)
        (root / "made" / "train" / name).rename(root / "train" / name / "images")
        (root / "train" / name / f"{name}_boxes.txt").write_text("a.JPEG 1 2 3 4\n")
        for path in sorted((root / "made" / "val" / name).iterdir()):
            (root / "val" / "images").mkdir(parents=True, exist_ok=True)
            path.rename(root / "val" / "images" / path.name)
            rows.append(f"{path.name}\t{name}\t0\t32\t44\t62")
    (root / "val" / "val_annotations.txt").write_text("\n".join(reversed(rows)) + "\n")
    (root / "wnids.txt").write_text("\n".join(reversed(CLASSES)))
    (root / "words.txt").write_text(f"{CLASSES[0]}\ttench, Tinca tinca\nn09999999\tentity\n{CLASSES[2]}\tdog\n")
    return root


def write_tars(root: Path, folders: Path) -> Path:
    """The publisher's two tar files of a tree of folders, and val_labels.txt beside them."""
    root.mkdir(exist_ok=True)
    rows = []
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as outer:
        for name in reversed(CLASSES):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar:
                for path in sorted((folders / "train" / name).iterdir()):
                    add(tar, path.name, path.read_bytes())
            add(outer, f"{name}.tar", inner.getvalue())
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as tar:
        for path in sorted((folders / "val").glob("*/*"), key=lambda path: path.name[::-1]):
            add(tar, path.name, path.read_bytes())
            rows.append(f"{path.stem} {path.parent.name}\n")
    (root / "val_labels.txt").write_text("".join(rows))
    return root


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def slowly(path: Path, side: int) -> np.ndarray:
    """uint8 (side, side, 3) by torchvision's transforms, as a plain script would have it."""
    with Image.open(path) as image:
        steps = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(side)])
        return np.asarray(steps(image.convert("RGB")))


def contents(folder: Path) -> dict[str, str]:
    """Checksum of every file of a folder, hidden ones too, by its name."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
