"""Nearest images: by the last hidden layer, by pixels, exactly; and how often they are of the query's class.

Section 6.1 and the right of Figure 4 (claim C29). Binary codes are in `binary_codes`. Taught in "Retrieval and binary
codes".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import torch
import torch.nn.functional as F

from ..augment import PixelScale
from ..augment.view_sets import views
from ..errors import DataError, SettingError
from ..network.alexnet import AlexNet
from ..system.files import atomic_path

AT_ONCE = 64  # images that go through the network together; more are no faster on a CPU


@dataclass(frozen=True)
class Neighbours:
    """What a search found, nearest first: distances (queries, k) and the numbers of what was found, int64 alike."""

    distances: np.ndarray
    numbers: np.ndarray


@torch.no_grad()
def features_of(
    net: AlexNet,
    scale: PixelScale,
    images: torch.Tensor,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> torch.Tensor:
    """The last hidden layer's numbers for the central crops of uint8 images (n, 3, H, W), H and W at least the
    network's input size: float32 (n, 4096), on the network's device. The network must be in evaluation mode."""
    if net.training:
        raise SettingError("the network is in training mode, so dropout would change its features: call net.eval()")
    device = next(net.parameters()).device
    pixels = views(images.to(device), net.config.input_size, "centre").flatten(0, 1)
    with autocast():
        return net.features(scale(pixels).contiguous(memory_format=torch.channels_last)).float()


def write_features(
    path: str | os.PathLike,
    net: AlexNet,
    scale: PixelScale,
    batches: Iterable[torch.Tensor],
    count: int,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> np.memmap:
    """Features of `count` images, which come in batches as for `features_of`, in a file of NumPy's format; mapped.

    Written beside and renamed when all of it is there. DataError: more or fewer images than `count`.
    """
    with atomic_path(Path(path)) as temporary:
        done = 0
        stored = np.lib.format.open_memmap(temporary, "w+", np.float32, (count, net.config.hidden[-1]))
        for images in batches:
            if done + len(images) > count:
                raise DataError(f"{path}: there are more than the {count} images that were told")
            stored[done : done + len(images)] = features_of(net, scale, images, autocast).cpu().numpy()
            done += len(images)
        if done != count:
            raise DataError(f"{path}: {done} images came, not {count}")
        stored.flush()
        del stored
    return np.load(path, mmap_mode="r")


def pixels_of(images: torch.Tensor, side: int | None = None) -> np.ndarray:
    """uint8 images (n, 3, H, W) as vectors of their pixels, float32 (n, 3 side side), brought to `side` if given."""
    if side is not None and images.shape[-1] != side:
        images = F.interpolate(images.float(), (side, side), mode="bilinear", antialias=True)
    return images.flatten(1).float().cpu().numpy()


class VectorIndex:
    """Vectors (n, d) to be searched by Euclidean distance, exactly, on the cores; they are kept as float32."""

    def __init__(self, vectors: np.ndarray):
        vectors = _float32(vectors)
        if vectors.ndim != 2 or not len(vectors):
            raise SettingError(f"vectors of shape {vectors.shape}: give (n, length), at least one")
        self.index = faiss.IndexFlatL2(vectors.shape[1])
        self.index.add(vectors)

    def search(self, queries: np.ndarray, k: int) -> Neighbours:
        """The k nearest to each query (q, d)."""
        squared, numbers = self.index.search(_float32(queries), k)
        return Neighbours(np.sqrt(np.maximum(squared, 0)), numbers)


def nearest(
    base: np.ndarray, queries: np.ndarray, k: int, own: Sequence[int] | None = None, device: str = "cpu"
) -> Neighbours:
    """The k nearest of `base` (n, d) to each query (q, d), exactly, by Euclidean distance.

    own: where queries are themselves of the base, their numbers in it; a query then does not find itself. device: a
    CPU searches with faiss, a GPU with torch. SettingError: vectors of other lengths, or k of more than there are.
    """
    base, queries = _float32(base), _float32(queries)
    _check_search(base, queries, k, own)
    most = k if own is None else k + 1
    if torch.device(device).type == "cpu":
        found = VectorIndex(base).search(queries, most)
    else:
        found = _nearest_on(torch.device(device), base, queries, most)
    return found if own is None else without_own(found, own)


def _nearest_on(device: torch.device, base: np.ndarray, queries: np.ndarray, k: int, at_once: int = 1024) -> Neighbours:
    there, parts = torch.from_numpy(base).to(device), []
    for some in torch.from_numpy(queries).split(at_once):
        parts.append(torch.cdist(some.to(device), there).topk(k, largest=False))
    return Neighbours(*(torch.cat([part[i] for part in parts]).cpu().numpy() for i in (0, 1)))


def _float32(vectors: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(vectors, dtype=np.float32)


def _check_search(base: np.ndarray, queries: np.ndarray, k: int, own: Sequence[int] | None) -> None:
    if base.ndim != 2 or queries.ndim != 2 or base.shape[1] != queries.shape[1]:
        raise SettingError(f"cannot look for queries {queries.shape} in {base.shape}: both are (count, length)")
    if own is not None and len(own) != len(queries):
        raise SettingError(f"{len(queries)} queries, and the own numbers of {len(own)}")
    there = len(base) - (own is not None)
    if not 1 <= k <= there:
        raise SettingError(f"k={k}: give 1 to {there}, as many as there are to find")


def without_own(found: Neighbours, own: Sequence[int]) -> Neighbours:
    """One neighbour less of each query: itself, or where it is not among them (copies of it are), the last."""
    keep = found.numbers != np.asarray(own)[:, None]
    keep[keep.all(axis=1), -1] = False
    shape = (len(keep), -1)
    return Neighbours(found.distances[keep].reshape(shape), found.numbers[keep].reshape(shape))


def precision_at(found: Neighbours, base_labels: np.ndarray, query_labels: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """By query and k: the share of the k nearest that are of the query's class, (queries, len(ks))."""
    if max(ks) > found.numbers.shape[1]:
        raise SettingError(f"precision at {max(ks)} needs as many neighbours; {found.numbers.shape[1]} were looked for")
    same = np.asarray(base_labels)[found.numbers] == np.asarray(query_labels)[:, None]
    return np.stack([same[:, :k].mean(axis=1) for k in ks], axis=1)


def chance(base_labels: np.ndarray, query_labels: np.ndarray, own: bool = False) -> float:
    """The share that images drawn at random would have of the query's class. own: the queries are of the base."""
    base, queries = np.asarray(base_labels), np.asarray(query_labels)
    same = sum(int((base == label).sum() - own) for label in queries)
    return same / (len(queries) * (len(base) - own))
