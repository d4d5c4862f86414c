"""The command line of every command; kept from importing PyTorch, so that --help is quick."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import check_counts
from .bench_parser import add_bench_parser
from .data import run_fetch, run_prepare, run_show

COMMANDS = "{data,train,evaluate,search,inspect,experiment,two-gpus,bench}"


def parser() -> argparse.ArgumentParser:
    """The whole command line; every command sets `run`, from the parsed arguments to an exit code."""
    top = argparse.ArgumentParser(
        prog="python -m alexnet_lib", description="The library beside the runnable edition of the AlexNet paper."
    )
    commands = top.add_subparsers(title="commands", required=True, metavar=COMMANDS)
    add_data_parser(commands)
    add_train_parser(commands)
    add_evaluate_parser(commands)
    add_search_parser(commands)
    add_inspect_parser(commands)
    add_experiment_parser(commands)
    add_two_gpus_parser(commands)
    add_bench_parser(commands)
    return top


def add_search_parser(commands: argparse._SubParsersAction) -> None:
    """`search IMAGE … --index FOLDER`: photographs like a reader's own."""
    about = "the photographs of a folder that are nearest to yours, by the features of a trained network"
    command = commands.add_parser("search", help=about, description=about)
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="photographs to look for")
    command.add_argument("--index", required=True, type=Path, metavar="FOLDER", help="photographs to look among")
    command.add_argument("--weights", default="torchvision", metavar="W", help="a run of train, a .safetensors file in "
                         "one, or torchvision (the default; 233 MB, fetched once)")  # fmt: skip
    command.add_argument("--codes", type=int, metavar="BITS", help="search by binary codes of so many bits, learned "
                         "from the folder's photographs")  # fmt: skip
    command.add_argument("--k", type=int, default=8, metavar="N", help="neighbours (default: 8)")
    command.add_argument("--out", default="neighbours.png", metavar="FILE", help="the sheet (default: neighbours.png)")
    command.add_argument("--store", type=Path, metavar="DIR", help="for the index (default: FOLDER/.alexnet-index)")
    command.add_argument("--rebuild", action="store_true", help="make the index anew, whatever is there")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    command.set_defaults(run=_search)


def _search(args: argparse.Namespace) -> int:
    # Imported on running, so that the command line's help does not wait for torch.
    from .search import run

    return run(args)


def add_inspect_parser(commands: argparse._SubParsersAction) -> None:
    """`inspect WEIGHTS [IMAGE …] --out FOLDER`: kernels, and what answers rest on."""
    about = "a trained network's first-layer kernels, and what it sees in your photographs and where"
    command = commands.add_parser("inspect", help=about, description=about)
    command.add_argument("weights", metavar="WEIGHTS", help="a run of train, a .safetensors file in one, or "
                         "torchvision (233 MB, fetched once)")  # fmt: skip
    command.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="photographs to show it")
    command.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="for kernels.png, kernels.csv and a "
                         "picture for each photograph, which replace files of the same names")  # fmt: skip
    command.add_argument("--layer", default="act5", metavar="L", help="whose maps show the evidence (default: act5)")
    command.add_argument("--occlude", type=int, metavar="PIXELS", help="side of the square that is hidden (default: a "
                         "quarter of what the network sees)")  # fmt: skip
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    command.set_defaults(run=_inspect)


def _inspect(args: argparse.Namespace) -> int:
    from .inspect_net import run

    return run(args)


def add_experiment_parser(commands: argparse._SubParsersAction) -> None:
    """`experiment NAME`: run an experiment and write its records."""
    about = "run an experiment of the book and write its records; `experiment list` names them"
    command = commands.add_parser("experiment", help=about, description=about)
    command.add_argument("name", help="the experiment's name, or list")
    command.add_argument("--full", action="store_true", help="the full-size run that the book's records come from")
    command.add_argument("--out", type=Path, metavar="DIR", help="where the records go (default: data/recorded)")
    command.add_argument("--data", metavar="DIR", help="the data's folder (default: ALEXNET_DATA, else data/downloads)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    command.add_argument("--jobs", type=int, metavar="N", help="training runs at a time (default: by the device)")
    command.add_argument("--seeds", type=int, metavar="N", help="seeds at the best rate (default: by the size)")
    command.add_argument("--only", metavar="A,B", help="only these parts of the experiment, by name")
    command.add_argument("--dtype", default="auto", help="of evidence, flagship and pretraining: float32 or bfloat16 "
                         "(default: as recorded so far, else the quicker one here)")  # fmt: skip
    command.set_defaults(run=run_experiment)


def add_two_gpus_parser(commands: argparse._SubParsersAction) -> None:
    """`two-gpus`: the split network as two processes, to be started by torchrun."""
    start = "torchrun --nproc-per-node 2 -m alexnet_lib two-gpus"
    about = f"train the network split over two processes and count what crosses; start with: {start}"
    command = commands.add_parser("two-gpus", help=about, description=about)
    command.add_argument("--batch", type=int, default=32, metavar="N", help="images a step (default: 32)")
    command.add_argument("--steps", type=int, default=3, metavar="N", help="training steps (default: 3)")
    command.add_argument("--rate", type=float, default=0.01, help="learning rate (default: 0.01)")
    command.add_argument(
        "--config", default="paper", metavar="NAME", help="paper, code2012 or sixth_conv (default: paper)"
    )
    command.add_argument("--seed", type=int, default=0, help="of weights, images and masks (default: 0)")
    command.add_argument("--check", action="store_true", help="compare with one device, in float64")
    command.add_argument("--backend", choices=("nccl", "gloo"), help="default: nccl with two GPUs, else gloo")
    command.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="seconds to wait for the other process"
    )
    command.set_defaults(run=run_two_gpus)


def run_two_gpus(args: argparse.Namespace) -> int:
    """One of the two processes."""
    from .two_gpus import run

    return run(args)


def run_experiment(args: argparse.Namespace) -> int:
    """Run the named experiment; 0 when all of it is recorded."""
    from .. import experiments

    if args.name == "list":
        for name in experiments.names():
            print(f"{name}: {experiments.get(name).SUMMARY}")
        return 0
    check_counts(args, "jobs", "seeds")
    written = experiments.get(args.name).run_from(args)
    for path in written:
        print(f"recorded {path}")
    return 0


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


def add_train_parser(commands: argparse._SubParsersAction) -> None:
    """`train`: a whole run, or going on with one."""
    about = ("train on a prepared ImageNet (data prepare-imagenet); the same command goes on with a run that was "
             "stopped or killed. Several processes: torchrun --nproc-per-node N -m alexnet_lib train …")  # fmt: skip
    command = commands.add_parser("train", help="train on a prepared ImageNet, or go on with a run", description=about)
    command.add_argument("--data", required=True, metavar="DIR", help="a folder that data prepare-imagenet made")
    command.add_argument("--recipe", default="paper", metavar="R", help="paper, code2012, caffe or modern")
    command.add_argument("--out", required=True, type=Path, metavar="RUN", help="the run's folder: new, or to go on")
    command.add_argument("--batch", type=int, metavar="N", help="images a step, of all processes (default: recipe's)")
    command.add_argument("--rate", type=float, help="learning rate (default: the recipe's)")
    command.add_argument("--passes", type=int, metavar="N", help="passes at most (default: the recipe's)")
    command.add_argument("--set", action="append", metavar="FIELD=VALUE",
                         help="change another field of the recipe, such as lighting=none or net.norm=none")  # fmt: skip
    command.add_argument("--seed", type=int, default=0, help="of weights, order, crops and masks (default: 0)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    command.add_argument("--feed", default="auto", metavar="F", help="where images are held: mapped, memory, device "
                         "(default: on the GPU if they fit, else mapped)")  # fmt: skip
    command.add_argument("--compile", nargs="?", const="default", default="", metavar="MODE",
                         help="torch.compile the network; reduce-overhead: with CUDA graphs")  # fmt: skip
    command.add_argument("--columns-apart", action="store_true", help="the paper's split: two processes, each with a "
                         "column of the network (torchrun --nproc-per-node 2)")  # fmt: skip
    command.add_argument("--log-every", type=int, default=50, metavar="N", help="steps between lines (default: 50)")
    command.add_argument("--save-every", type=int, metavar="N", help="steps between checkpoints (default: 10 minutes)")
    command.add_argument("--keep-every", type=int, metavar="N", help="passes between weights to keep (default: none)")
    command.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds to wait for a process")
    command.set_defaults(run=_train)


def add_evaluate_parser(commands: argparse._SubParsersAction) -> None:
    """`evaluate`: errors of trained weights."""
    about = "top-1 and top-5 errors of a run's best weights, or of several runs averaged, on a prepared set"
    command = commands.add_parser("evaluate", help=about, description=about)
    command.add_argument("weights", metavar="RUN", help="a run's folder, or a .safetensors file in one")
    command.add_argument("--data", required=True, metavar="DIR", help="a folder that data prepare-imagenet made")
    command.add_argument("--split", default="val", help="train or val (default: val)")
    command.add_argument("--ten-views", action="store_true", help="also by the paper's ten views")
    command.add_argument("--average", nargs="+", type=Path, metavar="RUN", help="further runs to average with")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    command.set_defaults(run=_evaluate)


def _train(args: argparse.Namespace) -> int:
    from .train import train

    return train(args)


def _evaluate(args: argparse.Namespace) -> int:
    from .train import evaluate

    return evaluate(args)
