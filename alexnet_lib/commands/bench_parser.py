"""The command line of `bench`; kept from importing PyTorch, so that --help is quick."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..bench import DTYPES


def add_bench_parser(commands: argparse._SubParsersAction) -> None:
    """`bench WHAT`: measure speed and print a table."""
    about = "measure speed, side by side with what others use"
    bench = commands.add_parser("bench", help=about, description=about)
    names = "{augment,cifar,feed,lrn,model,prepare,retrieval,train}"
    kinds = bench.add_subparsers(title="what to measure", required=True, metavar=names)
    about = "crops, reflections, mean and lighting of a batch, beside torchvision's transforms image by image"
    augment = _kind(kinds, "augment", about)
    augment.add_argument("--batch", type=int, default=128, metavar="N", help="images a batch (default: 128)")
    about = "images a second of the CIFAR-10 input pipeline, of torchvision's, and of a training step"
    cifar = _kind(kinds, "cifar", about)
    cifar.add_argument("--data", metavar="DIR", help="the data's folder (default: ALEXNET_DATA, else data/downloads)")
    cifar.add_argument("--batches", type=int, default=40, metavar="N", help="batches of 128 a turn (default: 40)")
    about = "training batches of a prepared set, by where its images are held, beside torchvision's loader"
    feed = _kind(kinds, "feed", about)
    _prepared_options(feed, "class folders of image files, for torchvision's loader", "torchvision's loader")
    feed.add_argument("--batches", type=int, default=20, metavar="N", help="batches a turn (default: 20)")
    feed.add_argument("--steps", type=int, default=2, metavar="N", help="training steps a turn (default: 2)")
    about = "local response normalisation beside the framework's, and beside copying its tensors"
    lrn = _kind(kinds, "lrn", about)
    lrn.add_argument("--batch", type=int, metavar="N", help="images a batch (default: 32 on a CPU, 128 on a GPU)")
    lrn.add_argument("--dtype", choices=DTYPES, default="float32", help="of the activations (default: float32)")
    lrn.add_argument("--compile", action="store_true", help="measure both under torch.compile too")
    about = "training steps of AlexNet and its variants, beside torchvision's"
    model = _kind(kinds, "model", about)
    model.add_argument("--batches", metavar="N,N", help="batch sizes (default: 32 on a CPU, 128 on a GPU)")
    model.add_argument("--dtypes", metavar="A,B", default=",".join(DTYPES), help="float32, bfloat16 (default: both)")
    model.add_argument("--only", metavar="A,B", help="only the networks whose name holds one of these words")
    model.add_argument("--compile", action="store_true", help="measure all under torch.compile too")
    about = "preparing images as ImageNet's are, beside a plain script of Pillow and torchvision"
    prepare = kinds.add_parser("prepare", help=about, description=about)
    prepare.add_argument("source", metavar="SRC", help="folder of images, as data prepare-imagenet takes it")
    prepare.add_argument("--side", type=int, default=256, metavar="N", help="pixels, shorter side (default: 256)")
    prepare.add_argument("--format", choices=("raw", "jpeg"), default="raw", help="of what is stored (default: raw)")
    prepare.add_argument("--quality", type=int, default=95, metavar="Q", help="of --format jpeg (default: 95)")
    prepare.add_argument("--jobs", type=int, metavar="N", help="our processes (default: one a core)")
    prepare.add_argument("--copies", type=int, default=1, metavar="N", help="times each image is taken (default: 1)")
    prepare.add_argument("--limit", type=int, metavar="N", help="different images at most (default: all)")
    prepare.add_argument("--rounds", type=int, default=5, metavar="N", help="turns that count (default: 5)")
    prepare.add_argument("--work", type=Path, metavar="DIR", help="where both write (default: /dev/shm, in memory)")
    prepare.add_argument("--out", type=Path, metavar="DIR", help="write a record into DIR/bench")
    # The plain script is one process on one core; ours has no use for PyTorch.
    prepare.set_defaults(run=_run, bench="prepare", device="cpu", threads=1)
    about = "features beside the bare network, and searches by short codes beside exact distances"
    retrieval = _kind(kinds, "retrieval", about)
    retrieval.add_argument("--images", type=int, default=128, metavar="N", help="images a turn (default: 128)")
    retrieval.add_argument("--count", type=int, default=100_000, metavar="N", help="searched (default: 100,000)")
    retrieval.add_argument("--queries", type=int, default=200, metavar="N", help="by code, a turn (default: 200)")
    about = "whole training by a ladder of changes, from the naive loop to the fastest, and its share of the roofline"
    train = _kind(kinds, "train", about)
    _prepared_options(train, "the image files it was prepared from, for the naive rungs", "the naive rungs' loader")
    train.add_argument("--batches", type=int, metavar="N", help="batches a turn (default: 2 on a CPU, 50 on a GPU)")
    train.add_argument("--steps", type=int, metavar="N", help="updates a turn, of a step alone (default: 1, 50)")
    train.add_argument("--extra", metavar="A,B", help="cudnn, bfloat16, compiled, graphs (default: all on a GPU, "
                       "bfloat16 on a CPU)")  # fmt: skip


def _prepared_options(kind: argparse.ArgumentParser, source: str, loader: str) -> None:
    """The options of a bench that works on a prepared set; `source` is for --source's help, `loader` for --workers'."""
    kind.add_argument("prepared", metavar="DIR", help="a folder that data prepare-imagenet made")
    kind.add_argument("--source", metavar="SRC", help=source)
    kind.add_argument("--workers", type=int, metavar="N", help=f"of {loader} (default: one a core)")
    kind.add_argument("--batch", type=int, metavar="N", help="images a batch (default: 128)")
    kind.add_argument("--set", action="append", metavar="FIELD=VALUE", help="of the paper's recipe, as of train")


def _kind(kinds: argparse._SubParsersAction, name: str, about: str) -> argparse.ArgumentParser:
    """The parser of one bench, with the options that all have."""
    kind = kinds.add_parser(name, help=about, description=about)
    kind.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    kind.add_argument("--threads", type=int, metavar="N", help="CPU threads for PyTorch (default: its own choice)")
    kind.add_argument("--rounds", type=int, default=5, metavar="N", help="turns that count (default: 5)")
    if name != "cifar":  # which no claim needs
        kind.add_argument("--out", type=Path, metavar="DIR", help="write a record into DIR/bench")
    kind.set_defaults(run=_run, bench=name)
    return kind


def _run(args: argparse.Namespace) -> int:
    # Imported on running, so that the command line's help does not wait for torch.
    from importlib import import_module

    return import_module(f"..bench.{args.bench}", __package__).run(args)
