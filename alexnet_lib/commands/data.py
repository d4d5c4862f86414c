"""The command line's `data` part: `fetch` downloads, `show` says what is there, `prepare-imagenet` prepares, `verify`
compares what was prepared with its checksums."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ..errors import printable


def run_fetch(args: argparse.Namespace) -> int:
    """Download `args.name` into the data root; 0 when it is there."""
    # Imported on running, so that the command line's help does not wait for torch.
    from ..data.fetch import ARCHIVES, fetch
    from ..data.image_set import data_root

    fetch(ARCHIVES[args.name], data_root(args.data))
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print what is at this data root, and how to get what is missing: both splits of CIFAR-10 as `load_cifar10` gives
    them, photographs, Tiny ImageNet, and folders that prepare-imagenet made."""
    from ..data.cifar10 import SPLITS, find_data, how_to_get, load_cifar10
    from ..data.cifar10_files import ImageTree
    from ..data.image_set import data_root

    root, found = data_root(args.data), find_data(args.data)
    print(f"data root: {root}")
    for split in SPLITS:
        images = load_cifar10(split, args.data)
        print(f"{images.label}\n  source: {images.source}\n  {images.checksum}")
    if found is None:
        print(how_to_get(root))
    if isinstance(found, ImageTree) and found.left_out:
        print(f"  {found.left_out.line()}")
    print(_photographs(root))
    for line in _prepared(root):
        print(line)
    print(_tiny(root))
    return 0


def _photographs(root: Path) -> str:
    from ..data.listing import LeftOut
    from ..data.photographs import FOLDERS, SHIPPED, photographs_folder, photographs_in

    folder = photographs_folder(root)
    if folder is None:
        return (
            f"no photographs in {root} ({', '.join(FOLDERS)}): chapters take windows of the {len(SHIPPED)} that "
            "scikit-image installs"
        )
    left = LeftOut()
    told = f"photographs, {len(photographs_in(folder, left)):,} images\n  source: {folder.relative_to(root)}"
    return told + (f"\n  {left.line()}" if left else "")


def _tiny(root: Path) -> str:
    from ..data.tiny_imagenet import FOLDER, describe_tiny, find_tiny, how_to_get_tiny

    if not (root / FOLDER).exists():
        return how_to_get_tiny(root)
    return f"{describe_tiny(find_tiny(root / FOLDER))}\n  source: {FOLDER}"


def _prepared(root: Path) -> Iterator[str]:
    """A line for each prepared set that lies in the data root itself."""
    from ..data.imagenet.reader import PreparedImages
    from ..data.imagenet.store import INDEX, STATISTICS

    for folder in (path.parent for path in sorted(root.glob(f"*/{STATISTICS}")) if path.with_name(INDEX).is_file()):
        train = PreparedImages(folder)
        counts = " and ".join(f"{len(PreparedImages(folder, split)):,} {split}" for split in train.index["splits"])
        yield (
            f"prepared images, {counts}, of {len(train.classes):,} classes, {train.side} x {train.side} pixels, "
            f"{train.format}\n  source: {folder.name}"
        )


def run_prepare(args: argparse.Namespace) -> int:
    """Prepare `args.src` into `args.dst` and print what came of it; 0 when the set is complete."""
    from ..data.imagenet.preparation import prepare

    index = prepare(
        args.src,
        args.dst,
        side=args.side,
        format=args.format,
        quality=args.quality,
        resample=args.resample,
        jobs=args.jobs,
        skip_bad=args.skip_bad,
        val_labels=args.val_labels,
        classes=args.classes,
        per_class=args.per_class,
        say=partial(print, flush=True),
    )
    print(f"prepared in {args.dst}: {len(index['classes']):,} classes, {args.side} x {args.side} pixels, {args.format}")
    for split, summary in index["splits"].items():
        _print_split(split, summary, [entry[split] for entry in index["classes"]])
    found = index["statistics"]
    for name in ("mean", "deviation", "eigenvalues"):
        print(f"{name} (0-255): {', '.join(f'{value:.3f}' for value in found[name])}")
    print(f"images of each class, checksums and all else: {args.dst}/index.json")
    return 0


def _print_split(split: str, summary: dict, by_class: list[int]) -> None:
    least, most = min(by_class), max(by_class)
    span = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    print(f"{split}: {summary['images']:,} images, {span} a class, {summary['bytes'] / 1e9:,.3f} GB")
    if summary["exif_turned"]:
        print(f"  {summary['exif_turned']:,} ask in their EXIF to be turned, and are not (as in 2012)")
    for image in summary["skipped"]:
        print(f"  left out: {printable(image['name'])}: {image['reason']}")


def run_verify(args: argparse.Namespace) -> int:
    """Read all of a prepared set; 0 where every file of it is as it was prepared, else DataError names one."""
    from ..data.imagenet.reader import PreparedImages
    from ..data.imagenet.store import read_index

    for split in read_index(args.folder)["splits"]:
        images = PreparedImages(args.folder, split)
        images.verify()
        print(f"{split}: {len(images):,} images of {len(images.classes):,} classes, as they were prepared")
    return 0
