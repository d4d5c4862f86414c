"""`bench train`: whole training, from stored images to updated weights, on every rung of the speed ladder, in one run.

Beside it: torchvision's alexnet trained as PyTorch's example does, in the same types; the `train` command's own step;
what each step reaches on a batch that is there already, and how much of what the machine's peaks allow that is.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.transforms import v2

from ..data.imagenet.reader import PreparedImages
from ..errors import SettingError
from ..system.devices import AUTO, autocast, pick_dtype
from ..system.timing import take_turns
from ..training.feed import Batch
from ..training.loop import Training
from ..training.recipes import Recipe
from ..training.run_folder import RunFolder
from . import roofline
from .frame import OfPrepared, each
from .ladder import Batches, Check, Step, Trainer, check, extras_of, ladder
from .loaders import PreparedClasses, held_place, loader_of
from .train_report import COMMAND, EXAMPLE_FILES, alone_name, example_name, recorded, report


class ExampleTrainer:
    """torchvision's alexnet as pytorch/examples' imagenet trains it, computing in a type of DTYPES; torch's own order
    of memory."""

    def __init__(self, classes: int, device: torch.device, dtype: str):
        self.net = torchvision.models.alexnet(num_classes=classes).to(device).train()
        self.device, self.dtype = device, dtype
        self.optimizer = torch.optim.SGD(self.net.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)

    def __call__(self, batch: Batch) -> None:
        torch.backends.cudnn.benchmark = self.device.type == "cuda"  # as the example has it without a seed
        with autocast(self.device, self.dtype):
            loss = F.cross_entropy(self.net(batch.pixels), batch.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def example_transform(size: int) -> nn.Module:
    """The example's: a crop of random size, brought to `size`; reflected or not; colours of about -2 to 2."""
    return v2.Compose(
        [
            v2.RandomResizedCrop(size),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )


@dataclass
class Bench:
    """What is measured on a machine: the settings, the rungs, and what was found about them."""

    images: PreparedImages
    recipe: Recipe
    device: torch.device
    source: Path | None
    workers: int
    batches: int
    steps: int
    extras: tuple[str, ...]
    left_out: list[str] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.classes = len(self.images.classes)
        self.makes = Batches(self.images, self.recipe, self.batches, self.device)
        fit = held_place(self.images, self.device) is not None
        self.rungs = ladder(self.extras, normed=self.recipe.net.norm == "lrn", held=fit)
        if not fit:
            self.left_out.append("all bytes held beforehand: they do not fit")
        if self.source is None:
            files = [rung for rung in self.rungs if rung.feed == "files"]
            self.left_out += [f"{rung.name}: no --source names the image files" for rung in files]
            del self.rungs[: len(files)]
        self.first_of_step: dict[Step, str] = {}  # the first rung that takes each step: others share its network
        for rung in self.rungs:
            self.first_of_step.setdefault(rung.step, rung.name)
        self.trainers = {step: Trainer(step, self.recipe, self.classes, self.device) for step in self.first_of_step}
        self.described = next(iter(self.trainers.values())).net.describe()
        self.dtypes = list(dict.fromkeys(step.dtype for step in self.trainers))
        self.parts = {dtype: roofline.work(self.described, self.recipe.batch, dtype) for dtype in self.dtypes}
        # The type that `train` takes here with dtype=auto, if it is measured.
        self.dtype = found if (found := pick_dtype(AUTO, self.device)) in self.dtypes else "float32"

    def contestants(self, folder: Path) -> dict[str, Callable[[], int]]:
        """All that takes turns; `folder` for what the command writes. Peaks return operations or bytes, not images."""
        hand = self.makes.at_hand()
        by_name = {name: self.trainers[step] for step, name in self.first_of_step.items()}
        self.checks = check(by_name, hand)
        feeds = dict.fromkeys(rung.feed for rung in self.rungs)
        sources = {feed: self.makes.source(feed, self.source, self.workers) for feed in feeds}
        found = {rung.name: self._turn(self.trainers[rung.step], sources[rung.feed]) for rung in self.rungs}
        found |= {
            alone_name(name): self._turn(trainer, lambda: [hand] * self.steps) for name, trainer in by_name.items()
        }
        found |= self._command(folder) | self._example(hand)
        found |= {f"product, {dtype}": roofline.product(self.device, dtype) for dtype in self.dtypes}
        return found | {"copy": roofline.copy(self.device)}

    def _turn(self, update: Callable[[Batch], object], batches: Callable[[], Iterable[Batch]]) -> Callable[[], int]:
        return each(update, batches, self.recipe.batch)

    def _command(self, folder: Path) -> dict[str, Callable[[], int]]:
        """The engine that `train` runs, in the type that its dtype=auto takes here, with the feed (which holds the
        images once) and compiler of the last rung in that type."""
        last = next(rung for rung in reversed(self.rungs) if rung.step.dtype == self.dtype)
        recipe = replace(self.recipe, dtype=last.step.dtype)
        place = held_place(self.images, self.device) if last.feed == "held" else "mapped"
        log = RunFolder(folder, {"recipe": recipe.plain(), "seed": 0})
        training = Training(recipe, self.images, None, 0, self.device, log, feed="mapped", compiled=last.step.compiled)
        training.take_up()
        feed = self.makes.feed(place)
        return {COMMAND: self._turn(training.one_step, lambda: self.makes.of_feed(feed))}

    def _example(self, hand: Batch) -> dict[str, Callable[[], int]]:
        trainers = {dtype: ExampleTrainer(self.classes, self.device, dtype) for dtype in self.dtypes}
        few = Batch((hand.pixels / 64).contiguous(), hand.labels)  # about the spread of normalised pixels
        found = {
            example_name(dtype): self._turn(trainer, lambda: [few] * self.steps) for dtype, trainer in trainers.items()
        }
        if self.source:
            trainer = trainers[self.dtype]
            folder = PreparedClasses(self.source, self.images, example_transform(self.recipe.net.input_size))
            loader = loader_of(folder, self.recipe.batch, self.workers, self.batches)
            found[EXAMPLE_FILES] = self._turn(trainer, lambda: self.makes.of_files(loader))
        return found


def run(args: argparse.Namespace) -> int:
    """Check that all rungs compute the same, measure them in turns, and print what was found."""
    asked = OfPrepared(args)
    if asked.recipe.dtype != "float32":
        raise SettingError(f"--set dtype={asked.recipe.dtype}: the ladder changes the type itself; see --extra")
    # On a GPU a turn must be long enough to be measured; a CPU takes seconds a batch.
    batches, steps = args.batches or (50 if asked.gpu else 2), args.steps or (50 if asked.gpu else 1)
    extras = extras_of(args.extra, asked.device)
    bench = Bench(asked.images, asked.recipe, asked.device, asked.source, asked.workers, batches, steps, extras)
    asked.announce(f"{bench.classes} classes, ")
    for reason in bench.left_out:
        print(f"left out: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        timings = take_turns(bench.contestants(Path(folder)), args.rounds)
    report(bench, timings)
    return asked.record(recorded(bench, timings))
