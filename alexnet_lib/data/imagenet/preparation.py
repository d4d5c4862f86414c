"""Preparing ImageNet once: all images decoded, brought to one size, stored, and their statistics taken, in one pass."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import PIL
from PIL import features
from safetensors.numpy import load_file

from ...errors import DataError, SettingError
from ...system.files import FULL, clear_left_overs, naming, write_text
from ...system.locks import only_one
from ...system.progress import progress
from . import store
from .decode import RESAMPLES
from .pixel_statistics import PixelSums, add_totals, statistics
from .sources import Source, find_source, fingerprint, part_of
from .store import ENDINGS, INDEX, SMALL, STATISTICS, UNFINISHED, Settings, Shard, kind_of, read_json
from .workers import cores, write_shards

PLAN = f"{UNFINISHED}/plan.json"
PATIENCE = 5.0  # seconds until another process at work is an error


def prepare(
    src: str | os.PathLike | Source,
    dst: str | os.PathLike,
    *,
    side: int = 256,
    format: str = "raw",
    quality: int = 95,
    resample: str = "bilinear",
    jobs: int | None = None,
    skip_bad: bool = False,
    val_labels: str | os.PathLike | None = None,
    images_per_shard: int | None = None,
    classes: int | Sequence[str] | None = None,
    per_class: int | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """Prepare the images of `src` into the folder `dst`, and return what dst/index.json then holds (paper, section 2).

    src: a folder (`val_labels`: see `sources.find_source`; `classes`, `per_class`: see `sources.part_of`), or a
    Source, in any splits. side, resample ("bilinear" or "bicubic"): see `decode.square`. format: "raw", bytes, side x
    side x 3 an image; or "jpeg" with this `quality`, no longer quite the same pixels. The statistics are of the pixels
    of "train" before that. Stopped or killed at any moment, the same call goes on after the last finished shard, to the
    same bytes, whatever `jobs` (processes; default: all cores). `images_per_shard`: default by the number of images.
    say: told in a line what lies among the images and is none.

    DataError: nothing to read, or not the layout expected; images that cannot be decoded, all named, after the pass
    (`skip_bad=True` leaves them out instead); dst holds something else, or was begun from another source, with other
    settings or versions; a single class, or names of classes that no file can hold; another process is at work in dst;
    the disk is full. SettingError: an option out of range.
    """
    _check(side, format, quality, resample, jobs, images_per_shard)  # before a source of a million files is listed
    source = src if isinstance(src, Source) else part_of(find_source(src, val_labels), classes, per_class)
    if source.left_out:
        say(source.left_out.line())
    if len(source.classes) < 2:
        raise DataError(f"{source.folder} holds one class, {source.classes[0]}: a network needs two to tell apart")
    target = _target(Path(dst), source.folder)
    per_shard = images_per_shard or shard_size(max(len(entries) for entries in source.splits.values()))
    settings = Settings(side, resample, format, quality if format == "jpeg" else None, per_shard)
    with only_one(target, PATIENCE) as lock:
        job = _Preparation(source, target, settings)
        if (target / INDEX).is_file():
            return job.finished()
        try:
            job.run(job.begin(), jobs or cores(), lock)
            return job.finish(skip_bad)
        except BrokenPipeError:  # not the folder's fault: nobody reads what is printed
            raise
        except OSError as error:
            raise DataError(job.stopped_by(error)) from error


def shard_size(images: int) -> int:
    """Images a shard: a power of two from 32 to 512 that gives 64 shards or more where there are enough images.

    So many processes are busy to the end, and what a shard costs besides its images does not show.
    """
    return min(512, max(32, 2 ** (images // 64).bit_length() // 2))


def _check(side: int, format: str, quality: int, resample: str, jobs: int | None, per_shard: int | None) -> None:
    if format not in ENDINGS:
        raise SettingError(f"--format {format}: use {' or '.join(ENDINGS)}")
    if resample not in RESAMPLES:
        raise SettingError(f"--resample {resample}: use {' or '.join(RESAMPLES)}")
    for name, value, least, most in (
        ("side", side, 1, 4096),
        ("quality", quality, 1, 100),
        ("jobs", jobs, 1, 4096),
        ("images-per-shard", per_shard, 1, 65_536),
    ):
        if value is not None and not least <= value <= most:
            raise SettingError(f"--{name} {value}: give a whole number from {least} to {most:,}")


def _target(target: Path, source: Path) -> Path:
    if target.resolve() == source.resolve() or source.resolve() in target.resolve().parents:
        raise DataError(f"{target} lies in the source {source}: give a folder outside it")
    if target.is_dir() and not _is_ours(target):
        raise DataError(f"{target} is not empty, and holds no prepared images: give a folder of its own")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{target} cannot be made ({error.strerror}): give another folder") from error
    return target


def _is_ours(target: Path) -> bool:
    """Whether a folder is empty, or was begun by this command: its index or plan says so. One that was killed before
    its plan was written holds at most the plan's folder with a part of it."""
    plan = target / PLAN
    for path in (target / INDEX, plan):
        if path.is_file():
            return kind_of(path) == store.KIND
    begun = re.compile(rf"\.{re.escape(plan.name)}\.[0-9a-z_]{{8}}\.part")
    return all(
        path.is_dir() if path == plan.parent else path.parent == plan.parent and begun.fullmatch(path.name)
        for path in target.rglob("*")
    )


@dataclass
class _Preparation:
    """One run: what is to be done (`plan`, `shards`), and the steps of doing it."""

    source: Source
    target: Path
    settings: Settings

    def __post_init__(self) -> None:
        jpeg = features.version("libjpeg_turbo") or features.version("jpg")
        self.plan = {
            "kind": store.KIND,
            "version": store.VERSION,
            "settings": asdict(self.settings),
            "source": {"layout": self.source.layout, "digest": self.source.digest()},
            "decoder": f"Pillow {PIL.__version__}, libjpeg {jpeg}",
        }
        size = self.settings.images_per_shard
        self.shards = [
            Shard(self.source.folder, self.target, split, number, entries[first : first + size], self.settings)
            for split, entries in self.source.splits.items()
            for number, first in enumerate(range(0, len(entries), size))
        ]
        self.images = sum(len(shard.entries) for shard in self.shards)

    def begin(self) -> list[Shard]:
        """The shards to be written. Checks that those that are done were begun with this plan, and writes the plan."""
        plan, now, verify = self.target / PLAN, store.boot(), False
        if plan.is_file():
            begun = read_json(plan, self.target)
            with naming(plan, store.again(self.target)):
                self._compare(begun)
            verify = begun.get("boot") != now
        clear_left_overs(self.target, f"{re.escape(INDEX)}|{re.escape(STATISTICS)}")
        clear_left_overs(plan.parent, r"plan\.json|[\w-]+-\d{5}\.safetensors")
        for split in self.source.splits:
            clear_left_overs(self.target / split, r"\d{5}\.(json|raw|jpegs)")
        waiting = []
        for shard in self.shards:
            note = shard.done(verify)
            if note and not note["bad"]:  # images that could not be used may have been mended
                self._check_unchanged(shard, note)
            else:
                waiting.append(shard)
        for shard in waiting:
            shard.note.unlink(missing_ok=True)
        needed = sum(len(shard.entries) for shard in waiting) * self.settings.side**2 * 3
        free = shutil.disk_usage(self.target).free
        if self.settings.format == "raw" and needed > free:
            raise DataError(
                f"{self.target} needs {needed / 1e9:,.1f} GB more, and its disk has {free / 1e9:,.1f} GB free: make "
                "room, give a folder on another disk, or take --format jpeg (about a seventh)"
            )
        write_text(plan, json.dumps(self.plan | {"boot": now}, indent=1))
        return waiting

    def run(self, waiting: Sequence[Shard], jobs: int, lock: int) -> None:
        """Write these shards; the processes that do share `lock`."""
        done = self.images - sum(len(shard.entries) for shard in waiting)
        with progress(total=self.images, initial=done, desc="preparing", unit="image") as bar:
            for images in write_shards(waiting, jobs, lock):
                bar.update(images)

    def _check_unchanged(self, shard: Shard, note: dict) -> None:
        if note["source_fingerprint"] != fingerprint(shard.entries):
            first, last = shard.entries[0].name, shard.entries[-1].name
            raise DataError(
                f"{self.source.folder}: an image from {first} to {last} has changed since {self.target} was prepared "
                "from it: give another folder to prepare into, or delete that one"
            )

    def _compare(self, begun: dict) -> None:
        """DataError, saying what differs, unless `begun` is this plan."""
        if any(begun.get(key) != self.plan[key] for key in ("kind", "version")):
            differs = f"in another version of the format ({begun.get('version')}; this library writes {store.VERSION})"
        elif begun["settings"] != self.plan["settings"]:
            name = next(key for key, value in self.plan["settings"].items() if begun["settings"].get(key) != value)
            differs = f"with {name} {begun['settings'].get(name)}, not {self.plan['settings'][name]}"
            if name == "images_per_shard":
                differs += " (which depends on the number of images)"
        elif begun["source"] != self.plan["source"]:
            differs = "from another source, or images were added, removed, renamed or labelled anew"
        elif begun["decoder"] != self.plan["decoder"]:
            differs = f"with {begun['decoder']}, not {self.plan['decoder']}, whose pixels may differ"
        else:
            return
        raise DataError(f"{self.target} was begun {differs}: give another folder, or delete that one")

    def finished(self) -> dict[str, Any]:
        """The index of a set that is complete, if it is this one."""
        index = store.read_index(self.target)
        self._compare({**{key: index.get(key) for key in self.plan}, "decoder": self.plan["decoder"]})
        for shard in self.shards:
            with naming(self.target / INDEX, store.again(self.target)):
                stored = index["splits"][shard.split]["shards"][shard.number]
            note = store.read_note(self.target, index, stored)
            self._check_unchanged(shard, note)
            if not shard.file.is_file() or shard.file.stat().st_size != note["bytes"]:
                raise DataError(f"{shard.file} is missing or cut short: delete {self.target} and prepare it anew")
        self._clear_unfinished()
        return index

    def finish(self, skip_bad: bool) -> dict[str, Any]:
        """Check what was left out, add up the statistics, and write the index; only then is the set complete."""
        splits, by_class = {}, {}
        for split in self.source.splits:
            splits[split], by_class[split] = self._summary(split)
        self._check_bad([bad for summary in splits.values() for bad in summary["skipped"]], by_class, skip_bad)
        totals = PixelSums(self.settings.side).totals()
        for shard in self.shards:
            if shard.split == "train":
                add_totals(totals, load_file(shard.sums))
        found = statistics(totals)
        store.write_statistics(self.target / STATISTICS, found, totals["pixels"])
        index = self.plan | {
            "classes": [
                {"name": name, "words": words, **{split: by_class[split][i] for split in splits}}
                for i, (name, words) in enumerate(zip(self.source.classes, self.source.words, strict=True))
            ],
            "splits": splits,
            "statistics": {
                "file": STATISTICS,
                "scale": "0-255",
                "images": found.images,
                **{name: getattr(found, name).tolist() for name in SMALL},
                "deviation_around_mean_image": found.deviation_around_mean_image,
            },
        }
        for path in (path for shard in self.shards for path in (shard.file, shard.note)):
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        write_text(self.target / INDEX, json.dumps(index, indent=1) + "\n")
        self._clear_unfinished()
        return index

    def _clear_unfinished(self) -> None:
        """Remove what was only needed while the set was being made, file by file; what else lies there stays."""
        plan = self.target / PLAN
        for path in (plan, *(shard.sums for shard in self.shards)):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: somebody else's files
            plan.parent.rmdir()

    def _summary(self, split: str) -> tuple[dict[str, Any], list[int]]:
        """What the index says of a split; and its images by class."""
        notes = [(shard, read_json(shard.note, self.target)) for shard in self.shards if shard.split == split]
        labels = Counter(label for _, note in notes for label in note["labels"])
        images, size, turned = (sum(note[key] for _, note in notes) for key in ("images", "bytes", "exif_turned"))
        shards = [
            {
                "file": shard.file.relative_to(self.target).as_posix(),
                **{key: note[key] for key in ("images", "bytes", "crc32")},
                "note_crc32": store.file_crc32(shard.note),
            }
            for shard, note in notes
        ]
        skipped = [bad for _, note in notes for bad in note["bad"]]
        summary = {"images": images, "bytes": size, "exif_turned": turned, "skipped": skipped, "shards": shards}
        return summary, [labels[label] for label in range(len(self.source.classes))]

    def _check_bad(self, bad: Sequence[dict], by_class: dict[str, list[int]], skip_bad: bool) -> None:
        if bad and not skip_bad:
            lines = "\n".join(f"  {image['name']}: {image['reason']}" for image in bad)
            raise DataError(
                f"{len(bad):,} of the {self.images:,} images in {self.source.folder} cannot be used:\n{lines}\n"
                "Replace them and give the same command again (only their shards are done anew), or leave them out "
                "with --skip-bad"
            )
        for split, counts in by_class.items():
            if 0 in counts:
                name = self.source.classes[counts.index(0)]
                raise DataError(f"{self.source.folder}: no {split} image of class {name} can be used")

    def stopped_by(self, error: OSError) -> str:
        done = sum(len(shard.entries) for shard in self.shards if shard.done())
        state = f"{done:,} of {self.images:,} images are prepared; the same command goes on from there"
        if error.errno in (*FULL, errno.EFBIG):
            return f"{self.target}: the disk is full, or a file may not grow ({error.strerror}). Make room: {state}"
        return f"{self.target} cannot be written ({error}). {state}"
