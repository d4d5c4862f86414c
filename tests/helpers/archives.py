"""Small files in the publishers' forms, for the tests: CIFAR-10's batches as Python 2 pickled them, Tiny ImageNet's
folders, and archives of both."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from alexnet_lib.data.cifar10_files import CIFAR10_CLASSES


def write_batches(folder: Path, images: np.ndarray, labels: list[int]) -> Path:
    """`images` (N, 3, 32, 32) uint8 as the five training batches in order, and the first five as the test batch."""
    folder.mkdir(parents=True)
    names = [f"data_batch_{i}" for i in range(1, 6)]
    parts = zip(np.array_split(images, 5), np.array_split(np.asarray(labels), 5), strict=True)
    for name, (pixels, numbers) in [*zip(names, parts, strict=True), ("test_batch", (images[:5], np.arange(5)))]:
        content = {"batch_label": name, "labels": numbers.tolist(), "data": pixels.reshape(len(pixels), -1)}
        (folder / name).write_bytes(pickled(content))
    (folder / "batches.meta").write_bytes(pickled({"label_names": list(CIFAR10_CLASSES)}))
    return folder


def pickled(content: dict) -> bytes:
    """`content` as Python 2 and NumPy 1 pickled it (protocol 2): strings of bytes, arrays by numpy.core.multiarray."""
    return b"\x80\x02" + _opcodes(content) + b"."


def _opcodes(value: dict | list | str | int | np.ndarray) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_opcodes(key) + _opcodes(item) for key, item in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_opcodes, value)) + b"e"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode()
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + _opcodes("b") + b"\x87R"
    kind = b"cnumpy\ndtype\n" + _opcodes("u1") + b"K\x00K\x01\x87R(K\x03" + _opcodes("|") + b"NNN"
    kind += _opcodes(-1) + _opcodes(-1) + b"K\x00tb"
    shape = b"(" + b"".join(map(_opcodes, value.shape)) + b"t"
    return made + b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", value.nbytes) + value.tobytes() + b"tb"


def archive_of(folder: Path, **more: bytes | tarfile.TarInfo) -> bytes:
    """A .tar.gz of `folder` under its own name; `more` adds members: name=bytes, or a TarInfo such as a link's."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder, folder.name)
        for name, content in more.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def tiny_files(image: bytes, classes: int = 200) -> dict[str, bytes]:
    """Tiny ImageNet's files below its folder, with two training images and one validation image of each class."""
    wnids = [f"n{1_440_764 + 7 * i:08}" for i in range(classes)]
    files = {"wnids.txt": "\n".join(reversed(wnids)).encode(), "words.txt": f"{wnids[0]}\ttench\n".encode()}
    rows = [f"val_{i}.JPEG\t{name}\t0\t0\t62\t62\n" for i, name in enumerate(wnids)]
    files["val/val_annotations.txt"] = "".join(rows).encode()
    for i, name in enumerate(wnids):
        files[f"train/{name}/{name}_boxes.txt"] = f"{name}_0.JPEG\t0\t0\t62\t62\n".encode()
        files |= {f"train/{name}/images/{name}_{n}.JPEG": image for n in range(2)}
        files |= {f"val/images/val_{i}.JPEG": image, f"test/images/test_{i}.JPEG": image}
    return files


def zip_of(files: dict[str, bytes], folder: str, *more: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    """A .zip of `files` in `folder`, which has a member of its own; `more` adds members, by names as they are."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{folder}/", b"")
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)
        for name, content in more:
            archive.writestr(name, content)
    return packed.getvalue()
