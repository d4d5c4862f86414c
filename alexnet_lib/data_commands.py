"""The command line's `data` part: `data fetch cifar10` downloads, `data show` says what is there."""

from __future__ import annotations

import argparse


def add_data_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds `data fetch cifar10 [--data DIR]` and `data show [--data DIR]`; each sets `run(args) -> exit code`."""
    about = "fetch the data, or show what is there"
    commands = subparsers.add_parser("data", help=about, description=about).add_subparsers(
        title="commands", required=True, metavar="{fetch,show}")
    about = "download a data set from its publisher (CIFAR-10: 170 MB, once); does nothing if it is there"
    fetch = commands.add_parser("fetch", help=about, description=about)
    fetch.add_argument("name", choices=["cifar10"], help="the data set: cifar10")
    fetch.set_defaults(run=run_fetch)
    about = "show the data that the chapters would use: name, images, checksum, or the drawn stand-in"
    show = commands.add_parser("show", help=about, description=about)
    show.set_defaults(run=run_show)
    for command in (fetch, show):
        where = "the data's folder (default: ALEXNET_DATA, else data/downloads)"
        command.add_argument("--data", metavar="DIR", help=where)


def run_fetch(args: argparse.Namespace) -> int:
    """Download `args.name` into the data root; 0 when it is there."""
    # Imported on running, so that the command line's help does not wait for torch.
    from alexnet_lib.datasets import data_root
    from alexnet_lib.download import fetch_cifar10

    fetch_cifar10(data_root(args.data))
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print what `load_cifar10` gives at this data root, for both splits, and how to get what is missing."""
    from alexnet_lib.datasets import SPLITS, data_root, find_data, how_to_get, load_cifar10

    root, found = data_root(args.data), find_data(args.data)
    print(f"data root: {root}")
    for split in SPLITS:
        images = load_cifar10(split, args.data)
        print(f"{images.label}\n  source: {images.source}\n  {images.checksum}")
    if found is None:
        print(how_to_get(root))
    return 0
