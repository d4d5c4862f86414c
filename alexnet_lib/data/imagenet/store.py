"""The files of a prepared set, and writing one shard of it: what a worker process does, without PyTorch.

    index.json                 settings, classes, counts, shards and notes with checksums, statistics; written last
    statistics.safetensors     mean_image, mean, deviation, covariance, eigenvalues, eigenvectors, pixel_sums
    train/00000.raw            images one after another, uint8 (side, side, 3) each, rows of RGB; or 00000.jpegs
    train/00000.json           names and labels of its images, checksum, (JPEG) where each begins, what was left out
    val/...                    the same
    unfinished/                while it is being made: plan.json, and the sums of the shards that are done

A file has its name only when it is whole. A shard's .json comes after all else of it, and so says that it is done. What
is written is only forced onto the disk at the end, as doing so shard by shard can take longer than the decoding: where
the machine was started anew in between, checksums are compared before a shard is believed.
Channels last because the decoder gives them so, and a batch is PyTorch's channels_last format without a copy.
"""

from __future__ import annotations

import io
import json
import math
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from safetensors.numpy import save

from ...errors import DataError
from ...system.files import atomic_path, json_object, naming
from .decode import BadImage, square
from .pixel_statistics import PixelSums, Statistics
from .sources import Entry, fingerprint, odd_class, read_bytes

KIND = "alexnet_lib prepared images"
VERSION = 1  # of these files; another version is refused
INDEX, STATISTICS, UNFINISHED = "index.json", "statistics.safetensors", "unfinished"
DAMAGED = "its checksum is not the index's"
ENDINGS = {"raw": ".raw", "jpeg": ".jpegs"}
SMALL = ("mean", "deviation", "covariance", "eigenvalues", "eigenvectors")  # of the statistics, in the index too
NOTED = {"images", "bytes", "crc32", "names", "labels", "exif_turned", "bad", "source_fingerprint"}  # in every note


@dataclass(frozen=True)
class Settings:
    """What the stored bytes depend on besides the source. quality: of stored JPEGs, None for raw."""

    side: int
    resample: str
    format: str
    quality: int | None
    images_per_shard: int


@dataclass(frozen=True)
class Shard:
    """One shard's work: which images go where. The same work gives the same bytes."""

    source: Path
    target: Path
    split: str
    number: int
    entries: Sequence[Entry]
    settings: Settings

    @property
    def stem(self) -> str:
        return f"{self.split}/{self.number:05}"

    @property
    def file(self) -> Path:
        return self.target / f"{self.stem}{ENDINGS[self.settings.format]}"

    @property
    def note(self) -> Path:
        """The .json that says that the shard is done."""
        return self.target / f"{self.stem}.json"

    @property
    def sums(self) -> Path:
        return self.target / UNFINISHED / f"{self.split}-{self.number:05}.safetensors"

    def done(self, verify: bool = False) -> dict | None:
        """The note of this shard where it is done, with its file of the size it says (`verify`: and of that checksum),
        and its sums; else None."""
        try:
            note = json_object(self.note.read_bytes())
            whole = note.keys() >= NOTED and self.file.stat().st_size == note["bytes"]
            if whole and self.split == "train":
                whole = zlib.crc32(self.sums.read_bytes()) == note["sums_crc32"]
            if whole and verify:
                whole = file_crc32(self.file) == note["crc32"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return note if whole else None


def write_shard(shard: Shard) -> int:
    """Decode, store and sum up one shard's images; how many were looked at. OSError: it could not be written.

    An image that cannot be read or decoded is left out, and named in the note with the reason.
    """
    sums = PixelSums(shard.settings.side) if shard.split == "train" else None
    with atomic_path(shard.file, forced=False) as path, open(path, "wb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on files that it reads all the same
        note = _store(shard, file, sums)
    if sums is not None:
        totals = sums.totals()  # four bytes are enough for the sum of any shard's pixels
        content = save(totals | {"pixels": totals["pixels"].astype(np.uint32)})
        note["sums_crc32"] = zlib.crc32(content)
        with atomic_path(shard.sums, forced=False) as path:
            path.write_bytes(content)
    with atomic_path(shard.note, forced=False) as path:
        path.write_text(json.dumps(note), encoding="utf-8")
    return len(shard.entries)


def file_crc32(path: Path) -> int:
    """Of a file's content. It finds damage by accident, and costs a third of what SHA-256 does beside the decoding."""
    crc = 0
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            crc = zlib.crc32(piece, crc)
    return crc


def _store(shard: Shard, file: BinaryIO, sums: PixelSums | None) -> dict:
    names, labels, offsets, bad = [], [], [0], []
    turned, crc, settings = 0, 0, shard.settings
    for entry in shard.entries:
        try:
            image, asks = square(read_bytes(shard.source, entry), settings.side, settings.resample)
        except (BadImage, OSError) as error:
            reason = f"{error}" if isinstance(error, BadImage) else f"cannot be read: {error.strerror or error}"
            bad.append({"name": entry.name, "label": entry.label, "reason": reason})
            continue
        if sums is not None:
            sums.add([image.tobytes("raw", channel) for channel in "RGB"])
        stored = image.tobytes() if settings.format == "raw" else _jpeg(image, settings.quality)
        file.write(stored)
        crc = zlib.crc32(stored, crc)
        names.append(entry.name)
        labels.append(entry.label)
        offsets.append(offsets[-1] + len(stored))
        turned += asks
    note = {"images": len(names), "bytes": offsets[-1], "crc32": crc, "names": names, "labels": labels}
    if settings.format == "jpeg":
        note["offsets"] = offsets
    return note | {"exif_turned": turned, "bad": bad, "source_fingerprint": fingerprint(shard.entries)}


def _jpeg(image: Image.Image, quality: int | None) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def write_statistics(path: Path, found: Statistics, pixel_sums: np.ndarray) -> None:
    """statistics.safetensors: the arrays of `found`, and the exact sums (3, side, side) that its mean image is of."""
    arrays = {name: np.ascontiguousarray(one) for name, one in vars(found).items() if isinstance(one, np.ndarray)}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save({**arrays, "pixel_sums": pixel_sums}))


def boot() -> str:
    """Which start of the machine this is; "" where the system does not say."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.is_file() else ""


def again(folder: Path) -> str:
    """What to do where a prepared set is damaged."""
    return f"copy it again, or delete {folder} and prepare it anew"


def read_json(path: Path, folder: Path) -> dict[str, Any]:
    """A JSON file of the prepared set in `folder`. DataError names one that is not there or not as we write them."""
    with naming(path, again(folder)):
        return json_object(path.read_bytes())


def read_index(folder: Path) -> dict[str, Any]:
    """index.json of a prepared set. DataError: there is none, it is of another version, or its parts do not fit."""
    path = folder / INDEX
    if not path.is_file():
        unfinished = "was not finished" if (folder / UNFINISHED).is_dir() else f"holds no {INDEX}"
        raise DataError(f"{folder} {unfinished}: run python -m alexnet_lib data prepare-imagenet SRC {folder}")
    index = read_json(path, folder)
    if index.get("kind") != KIND:
        raise DataError(f"{path} is not of prepared images: give a folder that prepare-imagenet made")
    if index.get("version") != VERSION:
        version = index.get("version")
        raise DataError(f"{folder} is of format version {version}, this library reads {VERSION}: prepare it anew")
    with naming(path, again(folder)):
        _check_index(index)
    return index


def _check_index(index: dict[str, Any]) -> None:
    """KeyError, TypeError or ValueError says what is missing in an index, or does not fit the rest of it."""
    settings, classes, found = index["settings"], index["classes"], index["statistics"]
    (side,), ending = whole_numbers([settings["side"]], 1), ENDINGS[settings["format"]]
    names = [entry["name"] for entry in classes]
    texts = [settings["resample"], index["source"]["digest"], *names, *(entry["words"] or "" for entry in classes)]
    if odd := [text for text in texts if not isinstance(text, str)]:
        raise ValueError(f"{odd[0]} is no text")
    if odd := odd_class(names):
        raise ValueError(odd)
    for split, summary in index["splits"].items():
        counts = whole_numbers([entry[split] for entry in classes])
        images, sizes, _ = (
            whole_numbers([shard[key] for shard in summary["shards"]]) for key in ("images", "bytes", "crc32")
        )
        for number, shard in enumerate(summary["shards"]):
            if shard["file"] != f"{split}/{number:05}{ending}":
                raise ValueError(f"{split} shard {number} would be {shard['file']}")
        if ending == ".raw" and (sizes != images * side * side * 3).any():
            raise ValueError(f"the bytes of its {split} shards are not of images of side {side}")
        if not summary["images"] == images.sum() == counts.sum():
            raise ValueError(f"the {split} images of its shards and of its classes are not {summary['images']}")
    if found["file"] != STATISTICS or found["images"] != index["splits"]["train"]["images"]:
        raise ValueError("the statistics are of other images")
    if not all(np.isfinite(np.asarray(found[name], float)).all() for name in (*SMALL, "deviation_around_mean_image")):
        raise ValueError("the statistics are not numbers")


def whole_numbers(found: Sequence[int], least: int = 0, most: float = math.inf) -> np.ndarray:
    """Them, int64. ValueError: something else, or one that is not from `least` to `most`."""
    numbers = np.asarray(found)
    if numbers.size and (numbers.ndim != 1 or numbers.dtype.kind != "i"):
        raise ValueError(f"{str(found)[:60]} are not whole numbers")
    if numbers.size and not least <= numbers.min() <= numbers.max() <= most:
        raise ValueError(f"{numbers.min()} to {numbers.max()} are not all from {least} to {most}")
    return numbers.astype(np.int64)


def read_note(folder: Path, index: dict[str, Any], shard: dict[str, Any]) -> dict[str, Any]:
    """The note of one of the index's shards. DataError names it if it is not the one that was written with the shard.

    Sets that were prepared before notes had checksums in the index are compared by counts and ranges alone.
    """
    path = (folder / shard["file"]).with_suffix(".json")
    with naming(path, again(folder)):
        content = path.read_bytes()
        note = json_object(content)
        if shard.get("note_crc32") not in (None, zlib.crc32(content)):
            raise ValueError(DAMAGED)
        if missing := NOTED - note.keys():
            raise KeyError(min(missing))
        if any(note[key] != shard[key] for key in ("images", "bytes", "crc32")):
            raise ValueError("it is of another shard")
        labels = whole_numbers(note["labels"], 0, len(index["classes"]) - 1)
        if not len(labels) == len(note["names"]) == shard["images"]:
            raise ValueError(f"{len(labels)} labels and {len(note['names'])} names for {shard['images']} images")
        if index["settings"]["format"] == "jpeg":
            offsets = whole_numbers(note["offsets"], 0, shard["bytes"])
            ends = len(offsets) == len(labels) + 1 and (offsets[0], offsets[-1]) == (0, shard["bytes"])
            if not ends or (np.diff(offsets) <= 0).any():
                raise ValueError("its offsets are not of the shard")
    return note


def kind_of(path: Path) -> str | None:
    """What a JSON file says it is of; None where it does not. DataError: it is not JSON."""
    with naming(path, "give another folder, or delete that one if it holds a damaged set and nothing else"):
        content = json.loads(path.read_bytes())
    return content.get("kind") if isinstance(content, dict) else None
