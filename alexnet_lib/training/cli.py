"""The command line of `train` and `evaluate`; kept from importing PyTorch, so that --help is quick."""

from __future__ import annotations

import argparse
from pathlib import Path


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
    from .command import train

    return train(args)


def _evaluate(args: argparse.Namespace) -> int:
    from .command import evaluate

    return evaluate(args)
