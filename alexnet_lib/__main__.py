"""The command line: python -m alexnet_lib {data,train,evaluate,search,inspect,experiment,two-gpus,bench} …"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .bench import add_bench_parser, check_counts
from .data_commands import add_data_parser
from .errors import AlexNetLibError
from .training.cli import add_evaluate_parser, add_train_parser

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
    from .search_command import run

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
    from .inspect_command import run

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
    from .two_gpus_command import run

    return run(args)


def run_experiment(args: argparse.Namespace) -> int:
    """Run the named experiment; 0 when all of it is recorded."""
    from . import experiments

    if args.name == "list":
        for name in experiments.names():
            print(f"{name}: {experiments.get(name).SUMMARY}")
        return 0
    check_counts(args, "jobs", "seeds")
    written = experiments.get(args.name).run_from(args)
    for path in written:
        print(f"recorded {path}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Parse, run, and turn the errors a reader can mend into one line and exit code 2."""
    args = parser().parse_args(argv)
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except AlexNetLibError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain once more at its end
        return 141


if __name__ == "__main__":
    sys.exit(main())
