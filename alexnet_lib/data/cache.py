"""Decoded images kept in one file a split, so that a data set is decoded once and then loads in a moment.

The file lies in `<data root>/.alexnet_cache/`, or, where that cannot be written, in the user's cache folder. It is
safetensors; its metadata are a version, the fingerprint of the files it was made from, and the checksum, which is
compared with what is read.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..system.files import READ_ONLY, atomic_path
from .image_set import content_checksum

VERSION = "1"
# What one cache file holds: images uint8 (N, 3, S, S), labels int64 (N,), checksum of both.
Cached = tuple[torch.Tensor, torch.Tensor, str]


def cache_paths(root: Path, folder: Path, split: str) -> tuple[Path, Path]:
    """Where the cache of `folder`'s split may lie: under the data root, and in the user's cache folder."""
    folder = folder.resolve()
    user = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "alexnet_lib"
    place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return (
        root / ".alexnet_cache" / f"{folder.name}-{split}.safetensors",
        user / f"{folder.name}-{place}-{split}.safetensors",
    )


def read(root: Path, folder: Path, split: str, fingerprint: str, size: int, classes: int) -> Cached | None:
    """The cached split; None where there is none that was made from these very files, whole, by this version.

    A damaged one is none: pixels or labels of another checksum, images of another size, a label that is no class.
    """
    found = (_read_file(path, fingerprint, size, classes) for path in cache_paths(root, folder, split))
    return next((cached for cached in found if cached is not None), None)


def _read_file(path: Path, fingerprint: str, size: int, classes: int) -> Cached | None:
    try:
        with safe_open(path, framework="pt") as file:
            meta = file.metadata() or {}
            if (meta.get("version"), meta.get("fingerprint")) != (VERSION, fingerprint):
                return None
            images, labels = file.get_tensor("images"), file.get_tensor("labels")
    except (OSError, SafetensorError):
        return None  # absent, cut short or not ours: decoded anew, and then replaced
    if (images.dtype, images.shape, labels.dtype) != (torch.uint8, (*labels.shape, 3, size, size), torch.int64):
        return None
    checksum = content_checksum(images, labels)
    sound = checksum == meta.get("checksum") and bool(((labels >= 0) & (labels < classes)).all())
    return (images, labels, checksum) if sound else None


def write(root: Path, folder: Path, split: str, fingerprint: str, cached: Cached) -> None:
    """Writes the cache file whole or not at all; one warning where no place takes it."""
    images, labels, checksum = cached
    meta = {"version": VERSION, "fingerprint": fingerprint, "checksum": checksum}
    content = save({"images": images, "labels": labels}, meta)
    reasons = []
    for path in cache_paths(root, folder, split):
        try:
            with atomic_path(path) as temporary:
                for old in path.parent.glob(f".{path.name}.*.part"):  # of runs that were killed, an hour ago at least
                    if old.stat().st_mtime < time.time() - 3600:
                        old.unlink(missing_ok=True)
                temporary.write_bytes(content)
            return
        except OSError as error:
            reasons.append(f"{path}: {error.strerror or error}")
            if error.errno not in READ_ONLY:
                break
    warnings.warn(
        f"the decoded {split} images could not be cached ({'; '.join(reasons)}): they stay in memory, and "
        f"are decoded again next time. The cache needs {len(content) / 1e6:.0f} MB.",
        stacklevel=3,
    )
