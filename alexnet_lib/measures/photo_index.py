"""An index of a folder of photographs by a network's features, kept on the disk and brought up to date when asked.

Used by `python -m alexnet_lib search`. Taught in "Retrieval and binary codes" (question Q46).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.imagenet.decode import BadImage, content_of, photograph
from ..data.listing import SUFFIXES, LeftOut, images_under, is_regular, why_no_file
from ..errors import DataError, SettingError, first_line, printable
from ..system.ahead import ahead
from ..system.files import UNREADABLE, atomic_path, is_drawing, write_text
from ..system.locks import only_one
from .binary_codes import Autoencoder, HammingIndex, fit_autoencoder
from .retrieval import AT_ONCE, Neighbours, VectorIndex, features_of
from .trained import FeatureNet

STORE, CONTENT = ".alexnet-index", "index.json"
KIND = "alexnet_lib photograph index"
VERSION = 2  # of how photographs are read; features of another are made anew
OURS = re.compile(r"(features|codes-\d+)-[0-9a-f]{16}\.(npy|pt)|\..*\.part")
WRITTEN_EVERY = 4096  # photographs
FEWEST = 64  # photographs from which codes are learned: fewer say nothing about others
PASSES = 30


@dataclass(frozen=True)
class Photo:
    """A file of the folder as it was when it was indexed; broken: why it could not be used, or ""; notes: what was done
    to it, such as turning it."""

    path: str
    size: int
    changed: int
    broken: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Photo:
        """Out of an index. TypeError or KeyError: it is none of ours."""
        made = cls(**entry | {"notes": tuple(entry["notes"])})
        kinds = (str, int, int, str, tuple)
        if not all(map(isinstance, astuple(made), kinds)) or not all(isinstance(note, str) for note in made.notes):
            raise TypeError(f"{made} is no photograph's entry")
        return made

    @property
    def unread(self) -> Photo:
        """The file alone, as the folder lists it."""
        return replace(self, broken="", notes=())


def decoded(path: Path, side: int) -> tuple[torch.Tensor, tuple[str, ...]]:
    """A reader's photograph, uint8 (3, side, side), and what was done to it (`decode.photograph`). BadImage says why it
    cannot be used."""
    content = content_of(path)
    if is_drawing(content):
        raise BadImage("drawn by this library, no photograph")
    image, notes = photograph(content, side)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1), notes


def store_of(folder: Path, store: Path | None) -> Path:
    """Where the index of a folder is kept: where it was said, or in the folder itself."""
    return store or folder / STORE


def photos_of(folder: Path, store: Path | None, left: LeftOut) -> list[Photo]:
    """The image files under a folder, sorted by path, but for the index's own. DataError: no folder, one that cannot be
    read, or none in it."""
    store = store_of(folder, store)
    if not folder.is_dir():
        raise DataError(f"--index {folder}: there is no such folder")
    found = []
    try:
        for entry in images_under(folder, left, without=store):
            size, changed = (entry.stat().st_size, entry.stat().st_mtime_ns) if os.path.exists(entry) else (0, 0)
            found.append(Photo(str(Path(entry).relative_to(folder)), size, changed))
    except OSError as error:
        raise DataError(f"--index {folder} cannot be read ({error.strerror}): mend its permissions") from error
    if not found:
        more = f"; {left.line()}" if left else ""
        raise DataError(f"--index {folder} holds no image ({', '.join(SUFFIXES)}){more}")
    return sorted(found, key=lambda photo: photo.path)


Known = tuple[Photo, np.ndarray | None]  # and its features, None where it is broken


class PhotoIndex:
    """The photographs of a folder and their features, row by row. `brought_up_to_date` makes one."""

    def __init__(self, folder: Path, files: _Files, net: FeatureNet, photos: list[Photo], features: np.ndarray):
        self.folder, self.files, self.net = folder, files, net
        self.photos = [photo for photo in photos if not photo.broken]
        self.broken = [photo for photo in photos if photo.broken]
        self.features = features

    @property
    def digest(self) -> str:
        """Of the photographs and the network: what codes are bound to."""
        return digest_of(self.net, self.photos)

    @classmethod
    def brought_up_to_date(
        cls,
        folder: Path,
        net: FeatureNet,
        *,
        store: Path | None = None,
        rebuild: bool = False,
        photos: list[Photo] | None = None,
        report: Callable[[int, int], None] = lambda done, of: None,
    ) -> PhotoIndex:
        """The index of a folder, in `store` (default: .alexnet-index in it): made, or what has changed done anew.

        photos: as `photos_of` has listed them just now; None: they are listed here. report: told how many of the
        photographs that had to be read are. SettingError: it was made with other weights and `rebuild` is not given.
        DataError: no photograph that can be used, or a store that cannot be written.
        """
        folder, store = Path(folder), store_of(folder, store)
        if photos is None:
            photos = photos_of(folder, store, LeftOut())
        try:
            store.mkdir(parents=True, exist_ok=True)
            with only_one(store):
                files = _Files.of(store, rebuild)
                before = _Kept() if rebuild else _read(files, net)
                return cls._made(folder, files, net, photos, before, report)
        except BrokenPipeError:  # not the folder's fault: nobody reads what is printed
            raise
        except OSError as error:
            why = first_line(error)
            raise DataError(f"the index cannot be written to {store} ({why}): give --store DIR") from error

    @classmethod
    def _made(cls, folder, files, net, photos, before, report) -> PhotoIndex:
        known = {one.unread: (one, row) for one, row in before.rows()}
        new = [photo for photo in photos if photo not in known]
        done = 0
        for some in _parts(new, WRITTEN_EVERY):
            # Written in parts: an index that is stopped goes on with what it has.
            known |= _features(folder, net, some, lambda read, earlier=done: report(earlier + read, len(new)))
            done += len(some)
            before = _write(files, net, [known[photo] for photo in photos if photo in known])
        if len(photos) < len(before.photos):
            before = _write(files, net, [known[photo] for photo in photos])
        index = cls(folder, files, net, before.photos, before.features)
        if not index.photos:
            first = index.broken[0]
            raise DataError(
                f"none of the {len(photos)} images in {folder} can be used; the first: {first.path}: {first.broken}"
            )
        return index

    def search(self, features: np.ndarray, k: int) -> Neighbours:
        """The k nearest photographs by features (q, 4096), or all there are, by Euclidean distance."""
        return VectorIndex(self.features).search(features, min(k, len(self.photos)))

    def coded(self, bits: int, report: Callable[[int, float], None] = lambda number, loss: None) -> CodedIndex:
        """The photographs by binary codes, of an autoencoder trained on their features, kept in the store.

        SettingError: fewer than 64 photographs, or bits that are no multiple of 8.
        """
        if len(self.photos) < FEWEST:
            raise SettingError(
                f"--codes {bits}: {len(self.photos)} photographs are too few to learn codes from; "
                f"from {FEWEST} on it can be tried"
            )
        path = self.files.store / f"codes-{bits}-{self.digest[:16]}.pt"
        vectors, net = torch.from_numpy(np.array(self.features)), Autoencoder(self.features.shape[1], bits)
        if not _loaded(net, path):
            net = fit_autoencoder(vectors, bits, passes=PASSES, report=report).net
            with self.files.replacing(f"codes-{bits}", path.name), atomic_path(path) as temporary:
                torch.save(net.state_dict(), temporary)
        return CodedIndex(net.eval(), net.codes(vectors))


def _loaded(net: Autoencoder, path: Path) -> bool:
    """Whether a file gave the network its weights; one that is damaged gives none, and they are learned anew."""
    try:
        state = torch.load(path, weights_only=True)
        net.load_state_dict(state)
        return all(bool(values.isfinite().all()) for values in state.values())
    except (*UNREADABLE, EOFError, RuntimeError, pickle.UnpicklingError):
        return False


class CodedIndex:
    """Photographs by their binary codes."""

    def __init__(self, net: Autoencoder, codes: np.ndarray):
        self.net, self.codes, self.index = net, codes, HammingIndex(codes)

    def search(self, features: np.ndarray, k: int) -> Neighbours:
        """The k nearest by the codes of features (q, 4096), in bits that differ."""
        codes = self.net.codes(torch.from_numpy(np.array(features)))
        return self.index.search(codes, min(k, len(self.codes)))


def digest_of(net: FeatureNet, photos: Sequence[Photo]) -> str:
    """Of a network and files: sha256, hexadecimal."""
    told = json.dumps([net.digest, [asdict(photo) for photo in photos]])
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def _is_list(files: Any) -> bool:
    """Whether this lists names by what they are of."""
    return isinstance(files, dict) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in files.values()
    )


@dataclass
class _Files:
    """The files that the index keeps in its store, by what each is: only those are ever replaced or removed. Their list
    stands in CONTENT, and a file's name there before the file is written."""

    store: Path
    content: dict[str, Any]

    @classmethod
    def of(cls, store: Path, rebuild: bool) -> _Files:
        """DataError: the folder holds other things and no index; or a damaged one, which is not to be made anew."""
        path, new = store / CONTENT, {"kind": KIND, "files": {}}
        there = sorted(one.name for one in store.iterdir() if one != path)
        foreign = [name for name in there if not OURS.fullmatch(name)]
        try:
            content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        except (ValueError, RecursionError) as error:
            if not (foreign or rebuild):
                raise _damaged(store, error) from error
            content = None
        if isinstance(content, dict) and {"weights", "features", "photos"} <= set(content):
            content = new | {"files": {"features": [str(content["features"])]}} | content  # of earlier versions too
        if isinstance(content, dict) and content.get("kind") == KIND:
            return cls(store, content if _is_list(content.get("files")) else content | {"files": {}})
        if content is not None or foreign:
            held = CONTENT if content is not None else foreign[0]
            raise DataError(
                f"{store} holds {held}, which is of no index of photographs: give --store DIR, a new folder"
            )
        return cls(store, new)

    def keep(self, **content: Any) -> None:
        self.content |= content
        write_text(self.store / CONTENT, json.dumps(self.content, indent=1) + "\n")

    @contextmanager
    def replacing(self, what: str, name: str) -> Iterator[None]:
        """Inside, the file of that name is written, which takes the place of the others of its kind."""
        before = [one for one in self.content["files"].get(what, []) if one != name]
        self.keep(files=self.content["files"] | {what: [*before, name]})
        yield
        for old in before:
            if OURS.fullmatch(old):
                (self.store / old).unlink(missing_ok=True)
        self.keep(files=self.content["files"] | {what: [name]})


@dataclass(frozen=True)
class _Kept:
    """What a store holds."""

    photos: Sequence[Photo] = ()
    features: np.ndarray | None = None

    def rows(self) -> Iterator[Known]:
        """Each photograph with its features, None for a broken one."""
        numbers = itertools.count()
        for photo in self.photos:
            yield photo, None if photo.broken else self.features[next(numbers)]


def _damaged(store: Path, error: Exception) -> DataError:
    return DataError(f"the index in {store} is damaged ({first_line(error)}): --rebuild makes it anew")


def _read(files: _Files, net: FeatureNet) -> _Kept:
    store, content = files.store, files.content
    if "features" not in content or content.get("version") != VERSION:  # new, stopped early, or read otherwise
        return _Kept()
    try:
        made_by = content["weights"]
        photos = [Photo.of(entry) for entry in content["photos"]]
        if not OURS.fullmatch(content["features"]):
            raise ValueError(f"{content['features']!r} is no name of its features")
        features = np.load(store / content["features"], mmap_mode="r")
        other, made_by = made_by["digest"] != net.digest, made_by["name"]
    except UNREADABLE as error:
        raise _damaged(store, error) from error
    if other:
        raise SettingError(
            f"the index in {store} was made with other weights ({made_by}), whose features mean "
            "other things: give those, another --store, or --rebuild"
        )
    wanted = (sum(not photo.broken for photo in photos), net.net.config.hidden[-1])
    if features.shape != wanted or features.dtype != np.float32 or not np.isfinite(features).all():
        raise _damaged(store, ValueError(f"its features are not {wanted[0]:,} rows of {wanted[1]:,} numbers"))
    return _Kept(photos, features)


def _write(files: _Files, net: FeatureNet, known: Sequence[Known]) -> _Kept:
    """The features under a name of their own first, so that a content file never names another's."""
    photos, rows = [photo for photo, _ in known], [row for _, row in known if row is not None]
    features = np.stack(rows) if rows else np.empty((0, net.net.config.hidden[-1]), np.float32)
    name = f"features-{digest_of(net, photos)[:16]}.npy"
    with files.replacing("features", name):
        with atomic_path(files.store / name) as temporary, open(temporary, "wb") as file:
            np.save(file, features)
        weights = {"name": net.name, "digest": net.digest}
        files.keep(version=VERSION, weights=weights, features=name, photos=[asdict(photo) for photo in photos])
    return _Kept(photos, features)


def _features(
    folder: Path, net: FeatureNet, photos: Sequence[Photo], report: Callable[[int], None]
) -> dict[Photo, Known]:
    """By file, what is to be kept of each photograph; decoded by threads, a batch ahead of the network."""

    def read(photo: Photo) -> tuple[Photo, Photo, torch.Tensor | None]:
        try:
            image, notes = decoded(folder / photo.path, net.side)
        except BadImage as error:
            return photo, replace(photo, broken=str(error)), None
        return photo, replace(photo, notes=notes), image

    made: dict[Photo, Known] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for some in ahead(list(pool.map(read, part)) for part in _parts(photos, AT_ONCE)):
            made |= {photo: (known, None) for photo, known, image in some if image is None}
            good = [(photo, known, image) for photo, known, image in some if image is not None]
            if good:
                found = features_of(net.net, net.scale, torch.stack([image for *_, image in good])).cpu().numpy()
                made |= {photo: (known, row) for (photo, known, _), row in zip(good, found, strict=True)}
            report(len(made))
    return made


def _parts(photos: Iterable[Photo], size: int) -> Iterator[list[Photo]]:
    source = iter(photos)
    while some := list(itertools.islice(source, size)):
        yield some


def some_readable(paths: Sequence[Path], what: str = "look for") -> None:
    """DataError where none of these is a file that could be read; nothing is opened."""
    if paths and not any(map(is_regular, paths)):
        raise DataError(f"no image to {what} can be read; the last: {paths[-1]}: {why_no_file(paths[-1])}")


def read_queries(paths: Sequence[Path], side: int, what: str = "look for") -> tuple[list[Path], torch.Tensor]:
    """Those that can be read, with their pixels, uint8 (n, 3, side, side); others are named on the error stream.

    what: cannot be done with those. DataError: none can be read.
    """
    good, images, why = [], [], ""
    for path in paths:
        try:
            image, notes = decoded(path, side)
            images.append(image)
            good.append(path)
            for note in notes:
                print(f"{printable(path)}: {note}", file=sys.stderr)
        except BadImage as error:
            why = f"{printable(path)}: {error}"
            print(f"cannot {what} {why}", file=sys.stderr)
    if not good:
        raise DataError(f"no image to {what} can be read; the last: {why}")
    return good, torch.stack(images)
