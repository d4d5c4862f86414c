"""Reading a prepared set: any images by their numbers, as bytes, without loading the whole."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from ...augment import PixelScale
from ...augment.color_pca import ColorPCA
from ...errors import DataError, SettingError
from ...system.files import naming
from ...system.progress import progress
from .store import DAMAGED, INDEX, SMALL, STATISTICS, again, file_crc32, read_index, read_note


class PreparedImages:
    """One split of a folder that `preparation.prepare` made; the shards are mapped into memory, not read.

    len(images); .images(numbers): uint8 (n, 3, side, side); .labels: int64 (N,), an index into .classes (wnids) and
    .words; .names: the source's file names; .side; .format, "raw" or "jpeg". Of the training split's pixels, on the
    0-255 scale: .mean_image float32 (3, side, side), .mean and .deviation float64 (3,), .color_pca (for
    augment's PCALighting), .pixel_scale().

    DataError: not a prepared folder, not finished, of another format version, without this split; or a file is missing,
    damaged or of another set. A shard's checksum is compared when it is first read.
    """

    def __init__(self, folder: str | os.PathLike, split: str = "train"):
        self.folder, self.split = Path(folder), split
        self.index = read_index(self.folder)
        if split not in self.index["splits"]:
            there = ", ".join(self.index["splits"])
            raise DataError(f"{folder} holds no {split} images, only {there}: prepare them from a source with both")
        self.side: int = self.index["settings"]["side"]
        self.format: str = self.index["settings"]["format"]
        self._again = again(self.folder)
        self.classes = tuple(entry["name"] for entry in self.index["classes"])
        self.words = tuple(entry["words"] for entry in self.index["classes"])
        self._shards = self.index["splits"][split]["shards"]
        self._firsts = np.cumsum([0, *(shard["images"] for shard in self._shards)])
        for path, size in ((self.folder / shard["file"], shard["bytes"]) for shard in self._shards):
            found = path.stat().st_size if path.is_file() else None
            if found != size:
                state = "is missing" if found is None else f"has {found:,} bytes, not {size:,}"
                raise DataError(f"{path} {state}: {self._again}")
        self._maps: list[np.ndarray | None] = [None] * len(self._shards)

    def __len__(self) -> int:
        return int(self._firsts[-1])

    @cached_property
    def _notes(self) -> list[dict]:
        return [read_note(self.folder, self.index, shard) for shard in self._shards]

    @cached_property
    def labels(self) -> torch.Tensor:
        labels = torch.tensor([label for note in self._notes for label in note["labels"]], dtype=torch.int64)
        counts = [entry[self.split] for entry in self.index["classes"]]
        if labels.bincount(minlength=len(counts)).tolist() != counts:
            notes = self.folder / self.split / "*.json"
            raise DataError(f"the labels in {notes} are not those that {INDEX} counts: {self._again}")
        return labels

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for note in self._notes for name in note["names"])

    def images(self, numbers: Sequence[int] | torch.Tensor) -> torch.Tensor:
        """These images, uint8 (n, 3, side, side) in channels_last memory order, in the order asked for.

        Raises SettingError for a number that is not in 0 to len - 1.
        """
        pixels = np.empty((len(numbers), self.side, self.side, 3), np.uint8)
        for row, (shard, place) in zip(pixels, self._places(numbers), strict=True):
            if self.format == "raw":
                row[:] = self._map(shard)[place]
                continue
            with naming(self.folder / self._shards[shard]["file"], self._again):
                image = Image.open(io.BytesIO(self._jpeg(shard, place)))
                if image.size != (self.side, self.side):
                    raise ValueError(f"an image of {image.size}, where {INDEX} has side {self.side}")
                row[:] = np.asarray(image)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)

    def encoded(self, numbers: Sequence[int] | torch.Tensor) -> list[torch.Tensor]:
        """The stored JPEG files, a one-dimensional uint8 tensor each, for a decoder of your own (on a GPU, say)."""
        if self.format != "jpeg":
            raise SettingError(f"{self.folder} is stored as {self.format}: prepare it with --format jpeg")
        return [torch.from_numpy(self._jpeg(*place).copy()) for place in self._places(numbers)]

    def shard(self, number: int) -> np.ndarray:
        """All of one raw shard's images, uint8 (n, side, side, 3), read-only and mapped from the file."""
        if self.format != "raw":
            raise SettingError(f"{self.folder} is stored as {self.format}: prepare it with --format raw")
        return self._map(number)

    def _places(self, numbers: Sequence[int] | torch.Tensor) -> list[tuple[int, int]]:
        wanted = np.asarray(numbers, dtype=np.int64).reshape(-1)
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(self):
            first, last = wanted.min(), wanted.max()
            raise SettingError(f"images {first} to {last} were asked for; there are 0 to {len(self) - 1}")
        shards = np.searchsorted(self._firsts, wanted, side="right") - 1
        return list(zip(shards.tolist(), (wanted - self._firsts[shards]).tolist(), strict=True))

    def _map(self, number: int) -> np.ndarray:
        if self._maps[number] is None:
            shard = self._shards[number]
            path = self.folder / shard["file"]
            with naming(path, self._again):
                # As a plain array: indexing a memmap costs several times more a look.
                mapped = np.asarray(np.memmap(path, np.uint8, "r"))
                if zlib.crc32(mapped) != shard["crc32"]:
                    raise ValueError(DAMAGED)
            raw = self.format == "raw"
            self._maps[number] = mapped.reshape(-1, self.side, self.side, 3) if raw else mapped
        return self._maps[number]

    def _jpeg(self, shard: int, place: int) -> np.ndarray:
        first, end = self._notes[shard]["offsets"][place : place + 2]
        return self._map(shard)[first:end]

    @cached_property
    def _statistics(self) -> dict[str, torch.Tensor]:
        path, noted = self.folder / STATISTICS, self.index["statistics"]
        with naming(path, self._again):
            found = load_file(path)
            sums = found["pixel_sums"]
            if sums.shape != (3, self.side, self.side):
                raise ValueError(f"it is of images of {tuple(sums.shape)}, where {INDEX} has side {self.side}")
            alike = torch.equal(found["mean_image"], (sums.double() / noted["images"]).float())
            if not alike or any(found[name].tolist() != noted[name] for name in SMALL):
                raise ValueError(f"it is not of the images of {INDEX}")
        return found

    mean_image = property(lambda self: self._statistics["mean_image"])
    mean = property(lambda self: self._statistics["mean"])
    deviation = property(lambda self: self._statistics["deviation"])

    @cached_property
    def color_pca(self) -> ColorPCA:
        """The axes along which the colours of all training pixels spread, for PCA lighting (section 4.1)."""
        return ColorPCA.from_covariance(self._statistics["covariance"])

    def pixel_scale(self, pixels: str = "0-255") -> PixelScale:
        """Minus the mean image, as the paper; with pixels="unit" also divided by the deviation around it."""
        if pixels not in ("0-255", "unit"):
            raise SettingError(f"pixels {pixels!r} is not known; use 0-255 or unit")
        around = self.index["statistics"]["deviation_around_mean_image"]
        if pixels == "unit" and around <= 0:
            raise SettingError(f"all images of {self.folder} are alike: there is no deviation to divide by")
        return PixelScale(self.mean_image, around if pixels == "unit" else 1.0)

    def verify(self) -> None:
        """Read every file of this split, with a bar (minutes for ImageNet). DataError names the first that differs from
        what was prepared."""
        _ = self.labels, self._statistics
        for shard in progress(self._shards, desc=f"checking {self.split}", unit="shard"):
            with naming(path := self.folder / shard["file"], self._again):
                if file_crc32(path) != shard["crc32"]:
                    raise ValueError(DAMAGED)

    @property
    def stored(self) -> dict[str, Any]:
        """What tells these pixels from others of the same names: how they are stored, and a checksum of all shards'."""
        crcs = {split: [shard["crc32"] for shard in found["shards"]] for split, found in self.index["splits"].items()}
        how = {name: self.index["settings"][name] for name in ("format", "resample", "quality")}
        return how | {"checksum": hashlib.sha256(json.dumps(crcs, sort_keys=True).encode()).hexdigest()[:16]}
