"""`search`: the photographs of a folder that are nearest to a reader's own, by a trained network's features.

Question Q46. Taught in "Retrieval and binary codes".
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.listing import LeftOut
from ..data.photographs import open_photograph
from ..errors import SettingError, check_counts, printable
from ..measures.photo_index import Photo, PhotoIndex, photos_of, read_queries, some_readable
from ..measures.retrieval import Neighbours, features_of
from ..measures.trained import FeatureNet, load_feature_net
from ..system.devices import describe_device, keep_freed_memory, pick_device
from ..system.progress import progress
from .outputs import check_free, save

SHOWN_SIDE = 1.25  # inches of a photograph on the sheet
MOST_QUERIES, MOST_NEIGHBOURS = 40, 12  # rows and columns of a sheet


@dataclass(frozen=True)
class Found:
    """The neighbours of one query: the photographs' paths in the folder and how far each is, nearest first."""

    query: Path
    paths: list[str]
    distances: list[float]


def run(args: argparse.Namespace) -> int:
    """Index the folder or bring its index up to date, look for each image, print, and draw the sheet."""
    check_counts(args, "k")
    if args.codes is not None and (args.codes < 8 or args.codes % 8):
        raise SettingError(f"--codes {args.codes}: give a multiple of 8, such as 64, 128 or 256")
    sheet = Path(args.out)
    check_free(sheet)
    device = pick_device(args.device)
    if device.type == "cpu":
        keep_freed_memory()
    some_readable(args.images)  # before weights are loaded, or even fetched
    left = LeftOut()
    photos = photos_of(args.index, args.store, left)
    net = load_feature_net(args.weights, device)
    index = indexed(args, net, photos)
    print(f"{len(index.photos):,} photographs in {index.folder}, by {net.name}; {describe_device(device)}")
    if net.doubt:
        print(net.doubt)
    if left:
        print(left.line())
    for photo in index.broken:
        print(f"left out: {printable(photo.path)}: {photo.broken}")
    for note, count in Counter(note for photo in index.photos for note in photo.notes).items():
        print(f"{note}: {count:,} photographs")
    queries, images = read_queries(args.images, net.side)
    features = features_of(net.net, net.scale, images).cpu().numpy()
    found = look_for(index, queries, features, args.k, args.codes)
    for one in found:
        print_found(one, "bits" if args.codes else "")
    write_sheet(sheet, found, index.folder, "bits" if args.codes else "")
    fewer = [
        f"the first {most} {what}"
        for what, most, there in (
            ("images", MOST_QUERIES, len(found)),
            ("neighbours of each", MOST_NEIGHBOURS, max(len(one.paths) for one in found)),
        )
        if there > most
    ]
    print(f"drawn in {sheet}" + (f" ({', '.join(fewer)})" if fewer else ""))
    return 0


def indexed(args: argparse.Namespace, net: FeatureNet, photos: list[Photo]) -> PhotoIndex:
    """The index of the folder, with a bar while photographs are read."""
    with progress(total=None, desc="photographs") as bar:

        def report(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        return PhotoIndex.brought_up_to_date(
            args.index, net, store=args.store, rebuild=args.rebuild, photos=photos, report=report
        )


def look_for(index: PhotoIndex, queries: Sequence[Path], features: np.ndarray, k: int, bits: int | None) -> list[Found]:
    """The k nearest of each query, (q, 4096) its features; a query that is a photograph of the folder is left out of
    its own."""
    searched = index
    if bits:
        with progress(total=None, desc=f"learning codes of {bits} bits") as bar:
            searched = index.coded(bits, report=lambda number, loss: bar.update())
    neighbours: Neighbours = searched.search(features, k + 1)
    places = {(index.folder / photo.path).resolve(): number for number, photo in enumerate(index.photos)}
    found = []
    for query, distances, numbers in zip(queries, neighbours.distances, neighbours.numbers, strict=True):
        own = places.get(query.resolve())
        kept = [(index.photos[n].path, float(far)) for n, far in zip(numbers, distances, strict=True) if n != own][:k]
        found.append(Found(query, [path for path, _ in kept], [far for _, far in kept]))
    return found


def print_found(one: Found, unit: str) -> None:
    """A line a neighbour: its rank, its distance, its path."""
    print(printable(one.query))
    for rank, (path, far) in enumerate(zip(one.paths, one.distances, strict=True), 1):
        print(f"  {rank:3d}  {told(far, unit):>9}  {printable(path)}")


def told(distance: float, unit: str) -> str:
    """A distance in words: "12 bits", or a number."""
    return f"{distance:.0f} {unit}" if unit else f"{distance:.4g}"


def write_sheet(path: Path, found: Sequence[Found], folder: Path, unit: str) -> None:
    """A row a query: the query, then its neighbours with their distances. DataError: it cannot be written."""
    from matplotlib.figure import Figure

    shown = found[:MOST_QUERIES]
    columns = 1 + min(MOST_NEIGHBOURS, max(len(one.paths) for one in shown))
    fig = Figure(figsize=(SHOWN_SIDE * columns, 1.2 * SHOWN_SIDE * len(shown)), layout="tight")
    axes = fig.subplots(len(shown), columns, squeeze=False)
    for row, one in zip(axes, shown, strict=True):
        files = [one.query, *(folder / neighbour for neighbour in one.paths)]
        titles = ["query", *(told(far, unit) for far in one.distances)]
        for ax in row:
            ax.set_axis_off()
        for ax, file, title in zip(row, files, titles, strict=False):
            image = open_photograph(file)
            image.thumbnail((256, 256))
            ax.imshow(image)
            ax.set_title(title, fontsize=7)
    save(fig, path, dpi=110)
