"""The command line's `data` part: `fetch` downloads, `show` says what is there, `prepare-imagenet` prepares."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

NAMES = ("cifar10", "tiny-imagenet")  # of download.ARCHIVES, which is imported on running


def add_data_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds `data fetch NAME`, `data show` and `data prepare-imagenet`; each sets `run(args) -> exit code`."""
    about = "fetch the data, show what is there, or prepare ImageNet"
    commands = subparsers.add_parser("data", help=about, description=about).add_subparsers(
        title="commands", required=True, metavar="{fetch,show,prepare-imagenet}")
    about = ("download a data set from its publisher, once (CIFAR-10: 170 MB; Tiny ImageNet: 248 MB); does nothing if "
             "it is there")
    fetch = commands.add_parser("fetch", help=about, description=about)
    fetch.add_argument("name", choices=NAMES, help="the data set: cifar10, which the chapters use, or tiny-imagenet, "
                       "which the experiments with the whole network train on")
    fetch.set_defaults(run=run_fetch)
    about = ("show the data that would be used: CIFAR-10 or the drawn stand-in, photographs, Tiny ImageNet, and "
             "prepared images")
    show = commands.add_parser("show", help=about, description=about)
    show.set_defaults(run=run_show)
    for command in (fetch, show):
        where = "the data's folder (default: ALEXNET_DATA, else data/downloads)"
        command.add_argument("--data", metavar="DIR", help=where)
    _add_prepare_parser(commands)


def _add_prepare_parser(commands: argparse._SubParsersAction) -> None:
    about = ("bring ImageNet's images to one size and take their statistics, once; stopped at any moment, the same "
             "command goes on")
    prepare = commands.add_parser("prepare-imagenet", help=about, description=about)
    prepare.add_argument("src", metavar="SRC", help="folder with train/<class>/ and val/<class>/ (or Tiny ImageNet's "
                         "layout, or only <class>/), or with the publisher's tar files")
    prepare.add_argument("dst", metavar="DST", help="folder to prepare into: new, or begun by this command")
    prepare.add_argument("--format", default="raw", metavar="F", help="raw: bytes, 252 GB for the training images of "
                         "ILSVRC-2012; jpeg: about a seventh of that, a little altered (default: raw)")
    prepare.add_argument("--quality", type=int, default=95, metavar="Q", help="of --format jpeg (default: 95)")
    prepare.add_argument("--side", type=int, default=256, metavar="N", help="pixels, shorter side (default: 256)")
    prepare.add_argument("--resample", default="bilinear", metavar="R", help="bilinear or bicubic, antialiased "
                         "(default: bilinear)")
    prepare.add_argument("--val-labels", metavar="FILE", help="which validation image is of which class, where no "
                         "folders say so: Kaggle's LOC_val_solution.csv, Caffe's val.txt or lines NAME CLASS")
    prepare.add_argument("--classes", type=_classes, metavar="N|NAMES", help="for a smaller set: so many classes, "
                         "spread evenly over all, or these (names with commas between)")
    prepare.add_argument("--per-class", type=int, metavar="N", help="at most so many training images of each class")
    prepare.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")
    prepare.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be decoded")
    prepare.set_defaults(run=run_prepare)


def _classes(text: str) -> int | list[str]:
    return int(text) if text.isdecimal() else [name.strip() for name in text.split(",")]


def run_fetch(args: argparse.Namespace) -> int:
    """Download `args.name` into the data root; 0 when it is there."""
    # Imported on running, so that the command line's help does not wait for torch.
    from alexnet_lib.datasets import data_root
    from alexnet_lib.download import ARCHIVES, fetch

    fetch(ARCHIVES[args.name], data_root(args.data))
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print what is at this data root, and how to get what is missing: both splits of CIFAR-10 as `load_cifar10` gives
    them, photographs, Tiny ImageNet, and folders that prepare-imagenet made."""
    from alexnet_lib.datasets import SPLITS, data_root, find_data, how_to_get, load_cifar10

    root, found = data_root(args.data), find_data(args.data)
    print(f"data root: {root}")
    for split in SPLITS:
        images = load_cifar10(split, args.data)
        print(f"{images.label}\n  source: {images.source}\n  {images.checksum}")
    if found is None:
        print(how_to_get(root))
    print(_photographs(root))
    for line in _prepared(root):
        print(line)
    print(_tiny(root))
    return 0


def _photographs(root: Path) -> str:
    from alexnet_lib.photographs import FOLDERS, SHIPPED, photographs_folder, photographs_in

    folder = photographs_folder(root)
    if folder is None:
        return (f"no photographs in {root} ({', '.join(FOLDERS)}): chapters take windows of the {len(SHIPPED)} that "
                "scikit-image installs")
    return f"photographs, {len(photographs_in(folder)):,} images\n  source: {folder.relative_to(root)}"


def _tiny(root: Path) -> str:
    from alexnet_lib.imagenet_tiny import FOLDER, describe_tiny, find_tiny, how_to_get_tiny

    if not (root / FOLDER).exists():
        return how_to_get_tiny(root)
    return f"{describe_tiny(find_tiny(root / FOLDER))}\n  source: {FOLDER}"


def _prepared(root: Path) -> Iterator[str]:
    """A line for each prepared set that lies in the data root itself."""
    from alexnet_lib.imagenet_reader import PreparedImages
    from alexnet_lib.imagenet_store import INDEX, STATISTICS

    for folder in (path.parent for path in sorted(root.glob(f"*/{STATISTICS}")) if path.with_name(INDEX).is_file()):
        train = PreparedImages(folder)
        counts = " and ".join(f"{len(PreparedImages(folder, split)):,} {split}" for split in train.index["splits"])
        yield (f"prepared images, {counts}, of {len(train.classes):,} classes, {train.side} x {train.side} pixels, "
               f"{train.format}\n  source: {folder.name}")


def run_prepare(args: argparse.Namespace) -> int:
    """Prepare `args.src` into `args.dst` and print what came of it; 0 when the set is complete."""
    from alexnet_lib.imagenet_prepare import prepare

    index = prepare(args.src, args.dst, side=args.side, format=args.format, quality=args.quality,
                    resample=args.resample, jobs=args.jobs, skip_bad=args.skip_bad, val_labels=args.val_labels,
                    classes=args.classes, per_class=args.per_class)
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
        print(f"  left out: {image['name']}: {image['reason']}")
