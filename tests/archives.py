"""Small files in the publisher's form, for the tests: batches as Python 2 pickled them, and an archive of them."""

from __future__ import annotations

import io
import struct
import tarfile
from pathlib import Path

import numpy as np

from alexnet_lib.image_sources import CIFAR10_CLASSES


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
