"""The command line of every command; kept from importing PyTorch, so that --help is quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from ..bench import DTYPES
from ..errors import check_counts
from .data import run_fetch, run_prepare, run_show, run_verify

NAMES = ("cifar10", "tiny-imagenet")  # of fetch.ARCHIVES, which is imported on running


def place(text: str) -> Path:
    """A path, where ~ is a home folder however the option is written: a shell leaves it in --option=~/x as it is."""
    if not text:  # pathlib takes it for the folder that one is in
        raise argparse.ArgumentTypeError("the path is empty; is a variable of the shell not set?")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


def seconds(text: str) -> float:
    """A time to wait, as far as the system can count it."""
    try:
        if 0 < (number := float(text)) <= 1e6:
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text}: give seconds, above 0 and at most 1000000")


def weights(text: str) -> str:
    """The name of published weights, or a path."""
    return text if text == "torchvision" else str(place(text))


def _option(*words: str, **how: object) -> argparse.ArgumentParser:
    """A parser of this one option: a parent for the commands that have it."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(*words, **how)
    return parent


DEVICE = _option("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
DATA = _option(
    "--data", type=place, metavar="DIR", help="the data's folder (default: ALEXNET_DATA, else data/downloads)"
)
PREPARED = _option("--data", required=True, type=place, metavar="DIR", help="a folder that data prepare-imagenet made")
SIDE = _option("--side", type=int, default=256, metavar="N", help="pixels, shorter side (default: 256)")
QUALITY = _option("--quality", type=int, default=95, metavar="Q", help="of --format jpeg (default: 95)")
THREADS = _option("--threads", type=int, metavar="N", help="CPU threads for PyTorch (default: its own choice)")
ROUNDS = _option("--rounds", type=int, default=5, metavar="N", help="turns that count (default: 5)")
RECORD = _option("--out", type=place, metavar="DIR", help="write a record into DIR/bench")
TIMED = (DEVICE, THREADS, ROUNDS)


def parser() -> argparse.ArgumentParser:
    """The whole command line; every command sets `run`, from the parsed arguments to an exit code."""
    top = argparse.ArgumentParser(
        prog="python -m alexnet_lib", description="The library beside the runnable edition of the AlexNet paper."
    )
    names = "{data,train,evaluate,search,inspect,experiment,two-gpus,bench}"
    commands = top.add_subparsers(title="commands", required=True, metavar=names)
    add_data_parser(commands)
    _add_train_parser(commands)
    _add_evaluate_parser(commands)
    _add_search_parser(commands)
    _add_inspect_parser(commands)
    _add_experiment_parser(commands)
    _add_two_gpus_parser(commands)
    add_bench_parser(commands)
    return top


def _command(
    commands: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], int],
    about: str,
    *shared: argparse.ArgumentParser,
    line: str | None = None,
) -> Callable[..., argparse.Action]:
    """A command with the options of `shared`; its `add_argument`. line: for the list of commands, else `about`."""
    command = commands.add_parser(name, help=line or about, description=about, parents=shared)
    command.set_defaults(run=run)
    return command.add_argument


def _later(module: str, function: str = "run") -> Callable[[argparse.Namespace], int]:
    """A function of a module that is imported on running, so that --help does not wait for torch."""
    return lambda args: getattr(import_module(module, __package__), function)(args)


def _add_search_parser(commands: argparse._SubParsersAction) -> None:
    about = "the photographs of a folder that are nearest to yours, by the features of a trained network"
    add = _command(commands, "search", _later(".search"), about, DEVICE)
    add("images", nargs="+", type=place, metavar="IMAGE", help="photographs to look for")
    add("--index", required=True, type=place, metavar="FOLDER", help="photographs to look among")
    add(
        "--weights",
        type=weights,
        default="torchvision",
        metavar="W",
        help="a run of train, a .safetensors file in one, or torchvision (the default; 233 MB, fetched once)",
    )
    add(
        "--codes",
        type=int,
        metavar="BITS",
        help="search by binary codes of so many bits, learned from the folder's photographs",
    )
    add("--k", type=int, default=8, metavar="N", help="neighbours (default: 8)")
    add("--out", default="neighbours.png", type=place, metavar="FILE", help="the sheet (default: neighbours.png)")
    add("--store", type=place, metavar="DIR", help="for the index (default: FOLDER/.alexnet-index)")
    add("--rebuild", action="store_true", help="make the index anew, whatever is there")


def _add_inspect_parser(commands: argparse._SubParsersAction) -> None:
    about = "a trained network's first-layer kernels, and what it sees in your photographs and where"
    add = _command(commands, "inspect", _later(".inspect_net"), about, DEVICE)
    add(
        "weights",
        type=weights,
        metavar="WEIGHTS",
        help="a run of train, a .safetensors file in one, or torchvision (233 MB, fetched once)",
    )
    add("images", nargs="*", type=place, metavar="IMAGE", help="photographs to show it")
    add(
        "--out",
        required=True,
        type=place,
        metavar="FOLDER",
        help="for kernels.png, kernels.csv and a picture for each photograph; no file of yours is replaced",
    )
    add("--layer", default="act5", metavar="L", help="whose maps show the evidence (default: act5)")
    add(
        "--occlude",
        type=int,
        metavar="PIXELS",
        help="side of the square that is hidden (default: a quarter of what the network sees)",
    )


def _add_experiment_parser(commands: argparse._SubParsersAction) -> None:
    about = "run an experiment of the book and write its records; `experiment list` names them"
    add = _command(commands, "experiment", run_experiment, about, DATA, DEVICE)
    add("name", help="the experiment's name, or list")
    add("--full", action="store_true", help="the full-size run that the book's records come from")
    add("--out", type=place, metavar="DIR", help="where the records go (default: data/recorded)")
    add("--jobs", type=int, metavar="N", help="training runs at a time (default: by the device)")
    add("--seeds", type=int, metavar="N", help="seeds at the best rate (default: by the size)")
    add("--only", metavar="A,B", help="only these parts of the experiment, by name")
    add(
        "--dtype",
        default="auto",
        help="of evidence, flagship and pretraining: float32 or bfloat16 (default: as "
        "recorded so far, else the quicker one here)",
    )


def run_experiment(args: argparse.Namespace) -> int:
    """Run the named experiment; 0 when all of it is recorded."""
    from .. import experiments

    if args.name == "list":
        for name in experiments.names():
            print(f"{name}: {experiments.get(name).SUMMARY}")
        return 0
    check_counts(args, "jobs", "seeds")
    for path in experiments.get(args.name).run_from(args):
        print(f"recorded {path}")
    return 0


def _add_two_gpus_parser(commands: argparse._SubParsersAction) -> None:
    start = "torchrun --nproc-per-node 2 -m alexnet_lib two-gpus"
    about = f"train the network split over two processes and count what crosses; start with: {start}"
    add = _command(commands, "two-gpus", _later(".two_gpus"), about)
    add("--batch", type=int, default=32, metavar="N", help="images a step (default: 32)")
    add("--steps", type=int, default=3, metavar="N", help="training steps (default: 3)")
    add("--rate", type=float, default=0.01, help="learning rate (default: 0.01)")
    add("--config", default="paper", metavar="NAME", help="paper, code2012 or sixth_conv (default: paper)")
    add("--seed", type=int, default=0, help="of weights, images and masks (default: 0)")
    add("--check", action="store_true", help="compare with one device, in float64")
    add("--backend", choices=("nccl", "gloo"), help="default: nccl with two GPUs, else gloo")
    add("--timeout", type=seconds, default=60.0, metavar="S", help="seconds to wait for the other process")


def add_data_parser(commands: argparse._SubParsersAction) -> None:
    """`data fetch NAME`, `data show`, `data prepare-imagenet` and `data verify`."""
    about = "fetch the data, show what is there, prepare ImageNet, or verify what was prepared"
    kinds = commands.add_parser("data", help=about, description=about).add_subparsers(
        title="commands", required=True, metavar="{fetch,show,prepare-imagenet,verify}"
    )
    about = (
        "download a data set from its publisher, once (CIFAR-10: 170 MB; Tiny ImageNet: 248 MB); does nothing if "
        "it is there"
    )
    add = _command(kinds, "fetch", run_fetch, about, DATA)
    add(
        "name",
        choices=NAMES,
        help="the data set: cifar10, which the chapters use, or tiny-imagenet, which the "
        "experiments with the whole network train on",
    )
    about = (
        "show the data that would be used: CIFAR-10 or the drawn stand-in, photographs, Tiny ImageNet, and "
        "prepared images"
    )
    _command(kinds, "show", run_show, about, DATA)
    about = (
        "bring ImageNet's images to one size and take their statistics, once; stopped at any moment, the same "
        "command goes on"
    )
    add = _command(kinds, "prepare-imagenet", run_prepare, about, SIDE, QUALITY)
    add(
        "src",
        type=place,
        metavar="SRC",
        help="folder with train/<class>/ and val/<class>/ (or Tiny ImageNet's layout, or only "
        "<class>/), or with the publisher's tar files",
    )
    add("dst", type=place, metavar="DST", help="folder to prepare into: new, or begun by this command")
    add(
        "--format",
        default="raw",
        metavar="F",
        help="raw: bytes, 252 GB for the training images of ILSVRC-2012; jpeg: "
        "about a seventh of that, a little altered (default: raw)",
    )
    add("--resample", default="bilinear", metavar="R", help="bilinear or bicubic, antialiased (default: bilinear)")
    add(
        "--val-labels",
        type=place,
        metavar="FILE",
        help="which validation image is of which class, where no folders say so: "
        "Kaggle's LOC_val_solution.csv, Caffe's val.txt or lines NAME CLASS",
    )
    add(
        "--classes",
        type=_classes,
        metavar="N|NAMES",
        help="for a smaller set: so many classes, spread evenly over all, or these (names with commas between)",
    )
    add("--per-class", type=int, metavar="N", help="at most so many training images of each class")
    add("--jobs", type=int, metavar="N", help="processes (default: one a core)")
    add("--skip-bad", action="store_true", help="leave out images that cannot be decoded")
    about = "read all of a prepared set, and compare every file with what was prepared (minutes for ImageNet)"
    _command(kinds, "verify", run_verify, about)(
        "folder", type=place, metavar="FOLDER", help="a folder that data prepare-imagenet made"
    )


def _classes(text: str) -> int | list[str]:
    return int(text) if text.isdecimal() else [name.strip() for name in text.split(",")]


def _add_train_parser(commands: argparse._SubParsersAction) -> None:
    about = (
        "train on a prepared ImageNet (data prepare-imagenet); the same command goes on with a run that was "
        "stopped or killed. Several processes: torchrun --nproc-per-node N -m alexnet_lib train …"
    )
    add = _command(
        commands,
        "train",
        _later(".train", "train"),
        about,
        PREPARED,
        DEVICE,
        line="train on a prepared ImageNet, or go on with a run",
    )
    add(
        "--recipe",
        default="paper",
        metavar="R",
        help="paper (the text to the letter: on few images it may begin to learn late or never), code2012 (with the "
        "starting weights of this book's own runs), caffe or modern",
    )
    add("--out", required=True, type=place, metavar="RUN", help="the run's folder: new, or to go on")
    add("--batch", type=int, metavar="N", help="images a step, of all processes (default: recipe's)")
    add("--rate", type=float, help="learning rate (default: the recipe's)")
    add("--passes", type=int, metavar="N", help="passes at most (default: the recipe's)")
    add(
        "--set",
        action="append",
        metavar="FIELD=VALUE",
        help="change another field of the recipe, such as lighting=none or net.norm=none",
    )
    add("--seed", type=int, default=0, help="of weights, order, crops and masks (default: 0)")
    add(
        "--feed",
        default="auto",
        metavar="F",
        help="where images are held: mapped, memory, device (default: on the GPU if they fit, else mapped)",
    )
    add(
        "--compile",
        nargs="?",
        const="default",
        default="",
        metavar="MODE",
        help="torch.compile the network; reduce-overhead: with CUDA graphs",
    )
    add(
        "--columns-apart",
        action="store_true",
        help="the paper's split: two processes, each with a column of the network (torchrun --nproc-per-node 2)",
    )
    add("--log-every", type=int, default=50, metavar="N", help="steps between lines (default: 50)")
    add("--save-every", type=int, metavar="N", help="steps between checkpoints (default: 10 minutes)")
    add("--keep-every", type=int, metavar="N", help="passes between weights to keep (default: none)")
    add("--timeout", type=seconds, default=120.0, metavar="S", help="seconds to wait for a process")


def _add_evaluate_parser(commands: argparse._SubParsersAction) -> None:
    about = "top-1 and top-5 errors of a run's best weights, or of several runs averaged, on a prepared set"
    add = _command(commands, "evaluate", _later(".train", "evaluate"), about, PREPARED, DEVICE)
    add("weights", type=place, metavar="RUN", help="a run's folder, or a .safetensors file in one")
    add("--split", default="val", help="train or val (default: val)")
    add("--ten-views", action="store_true", help="also by the paper's ten views")
    add("--average", nargs="+", type=place, metavar="RUN", help="further runs to average with")


def add_bench_parser(commands: argparse._SubParsersAction) -> None:
    """`bench WHAT`: measure speed and print a table."""
    about = "measure speed, side by side with what others use"
    kinds = commands.add_parser("bench", help=about, description=about).add_subparsers(
        title="what to measure",
        required=True,
        dest="bench",
        metavar="{augment,cifar,feed,lrn,model,prepare,retrieval,train}",
    )
    about = "crops, reflections, mean and lighting of a batch, beside torchvision's transforms image by image"
    add = _bench(kinds, "augment", about, *TIMED, RECORD)
    add("--batch", type=int, default=128, metavar="N", help="images a batch (default: 128)")
    about = "images a second of the CIFAR-10 input pipeline, of torchvision's, and of a training step"
    add = _bench(kinds, "cifar", about, *TIMED, DATA)
    add("--batches", type=int, default=40, metavar="N", help="batches of 128 a turn (default: 40)")
    about = "training batches of a prepared set, by where its images are held, beside torchvision's loader"
    loader = "class folders of image files, for torchvision's loader"
    add = _bench(kinds, "feed", about, *TIMED, _of_prepared(loader, "torchvision's loader"), RECORD)
    add("--batches", type=int, default=20, metavar="N", help="batches a turn (default: 20)")
    add("--steps", type=int, default=2, metavar="N", help="training steps a turn (default: 2)")
    about = "local response normalisation beside the framework's, and beside copying its tensors"
    add = _bench(kinds, "lrn", about, *TIMED, RECORD)
    add("--batch", type=int, metavar="N", help="images a batch (default: 32 on a CPU, 128 on a GPU)")
    add("--dtype", choices=DTYPES, default="float32", help="of the activations (default: float32)")
    add("--compile", action="store_true", help="measure both under torch.compile too")
    about = "training steps of AlexNet and its variants, beside torchvision's"
    add = _bench(kinds, "model", about, *TIMED, RECORD)
    add("--batches", metavar="N,N", help="batch sizes (default: 32 on a CPU, 128 on a GPU)")
    add("--dtypes", metavar="A,B", default=",".join(DTYPES), help="float32, bfloat16 (default: both)")
    add("--only", metavar="A,B", help="only the networks whose name holds one of these words")
    add("--compile", action="store_true", help="measure all under torch.compile too")
    about = "preparing images as ImageNet's are, beside a plain script of Pillow and torchvision"
    add = _bench(kinds, "prepare", about, SIDE, QUALITY, ROUNDS, RECORD)
    add("source", type=place, metavar="SRC", help="folder of images, as data prepare-imagenet takes it")
    add("--format", choices=("raw", "jpeg"), default="raw", help="of what is stored (default: raw)")
    add("--jobs", type=int, metavar="N", help="our processes (default: one a core)")
    add("--copies", type=int, default=1, metavar="N", help="times each image is taken (default: 1)")
    add("--limit", type=int, metavar="N", help="different images at most (default: all)")
    add("--work", type=place, metavar="DIR", help="where both write (default: /dev/shm, in memory)")
    # The plain script is one process on one core; ours has no use for PyTorch.
    kinds.choices["prepare"].set_defaults(device="cpu", threads=1)
    about = "features beside the bare network, and searches by short codes beside exact distances"
    add = _bench(kinds, "retrieval", about, *TIMED, RECORD)
    add("--images", type=int, default=128, metavar="N", help="images a turn (default: 128)")
    add("--count", type=int, default=100_000, metavar="N", help="searched (default: 100,000)")
    add("--queries", type=int, default=200, metavar="N", help="by code, a turn (default: 200)")
    about = "whole training by a ladder of changes, from the naive loop to the fastest, and its share of the roofline"
    files = "the image files it was prepared from, for the naive rungs"
    add = _bench(kinds, "train", about, *TIMED, _of_prepared(files, "the naive rungs' loader"), RECORD)
    add("--batches", type=int, metavar="N", help="batches a turn (default: 2 on a CPU, 50 on a GPU)")
    add("--steps", type=int, metavar="N", help="updates a turn, of a step alone (default: 1, 50)")
    add("--extra", metavar="A,B", help="cudnn, bfloat16, compiled, graphs (default: all on a GPU, bfloat16 on a CPU)")


def _bench(kinds: argparse._SubParsersAction, name: str, about: str, *shared: argparse.ArgumentParser) -> Callable:
    return _command(kinds, name, _later(f"..bench.{name}"), about, *shared)


def _of_prepared(source: str, loader: str) -> argparse.ArgumentParser:
    """What a bench of a prepared set is given; `source` is for --source's help, `loader` for --workers'."""
    parent = _option("prepared", type=place, metavar="DIR", help="a folder that data prepare-imagenet made")
    parent.add_argument("--source", type=place, metavar="SRC", help=source)
    parent.add_argument("--workers", type=int, metavar="N", help=f"of {loader} (default: one a core)")
    parent.add_argument("--batch", type=int, metavar="N", help="images a batch (default: 128)")
    parent.add_argument("--set", action="append", metavar="FIELD=VALUE", help="of the paper's recipe, as of train")
    return parent
