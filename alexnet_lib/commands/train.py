"""`train` and `evaluate`: what the command line asks for, checked, and done."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from ..data.imagenet.reader import PreparedImages
from ..errors import DataError, SettingError, TrainingError, check_counts, check_seed, out_of_memory
from ..network.two_gpu import check_splits
from ..system.devices import AUTO, describe_device, keep_freed_memory, pick_device, pick_dtype, slowdown
from ..training.columns import ColumnPair
from ..training.evaluation import check_classes, count_errors, load_weights
from ..training.loop import Cadence, Training, asked_to_stop
from ..training.processes import Group, join
from ..training.recipes import Recipe, changes_of, named
from ..training.report import Report, not_begun
from ..training.run_folder import SETTINGS, RunFolder, read_scale, recipe_in, run_identity
from ..training.topk import Guessing

COMPILE_MODES = ("", "default", "reduce-overhead")


def train(args: argparse.Namespace) -> int:
    """Train, or go on with the run in --out; 0 at its end, 3 where it was asked to stop."""
    recipe = named(args.recipe, changes_of(args.set, batch=args.batch, rate=args.rate, passes=args.passes))
    check_counts(args, "log_every", "save_every", "keep_every")
    check_seed(args.seed)
    if args.compile not in COMPILE_MODES:
        raise SettingError(f"--compile {args.compile!r} is not known; use one of {', '.join(COMPILE_MODES[1:])}")
    if args.columns_apart:
        check_splits(recipe.net)
        if args.compile:
            raise SettingError("--compile does not reach across --columns-apart: give one of them")
        if os.environ.get("WORLD_SIZE") != "2":
            raise SettingError("--columns-apart: the network has two columns, start torchrun --nproc-per-node 2")
    with join(args.device, args.timeout, ColumnPair if args.columns_apart else Group) as (group, device):
        if device.type == "cpu":
            keep_freed_memory()
            if args.compile == "reduce-overhead":
                raise SettingError("--compile reduce-overhead works by CUDA graphs, on a GPU; give --compile alone")
        recipe = settled(recipe, device, args.out, group)
        sets = _sets(Path(args.data), recipe)
        folder = RunFolder(args.out, run_identity(recipe, sets[0], args.seed))
        cadence = Cadence(log=args.log_every, save=args.save_every, keep=args.keep_every)
        # Built before the folder is begun: settings that cannot be built leave nothing behind.
        with _too_large(recipe.batch, device):
            training = Training(recipe, *sets, args.seed, device, folder, group, cadence, args.feed, args.compile)
            with folder.held() if group.first else nullcontext(), asked_to_stop() as asked:
                training.should_stop = lambda: bool(asked)
                return _run(training)


def settled(recipe: Recipe, device: torch.device, folder: Path, group: Group = Group()) -> Recipe:  # noqa: B008
    """The recipe with the type that "auto" comes to: that of the run in the folder, else the quicker one here."""
    if recipe.dtype != AUTO:
        return recipe
    dtype = None
    if group.first:
        if os.path.isfile(folder / SETTINGS):  # False also where a name is too long
            dtype = recipe_in(folder).dtype
            print(f"computing in {dtype}, as the run was begun")
        else:
            dtype = pick_dtype(AUTO, device)
            print(f"computing in {dtype}: bfloat16 takes {slowdown(device):.2f} times as long as float32 here")
        sys.stdout.flush()
    return replace(recipe, dtype=group.same_for_all(dtype))


def _sets(data: Path, recipe: Recipe) -> tuple[PreparedImages, PreparedImages | None]:
    images = PreparedImages(data, "train")
    if len(images.classes) < 2:
        raise DataError(f"{data} holds one class, {images.classes[0]}: a network needs two to tell apart")
    if images.side < recipe.net.input_size:
        raise SettingError(
            f"{data} was prepared with {images.side} pixels, and the network takes crops of {recipe.net.input_size}: "
            f"prepare it with --side {recipe.net.input_size} or more, or give --set net.input_size={images.side}"
        )
    if "val" in images.index["splits"]:
        return images, PreparedImages(data, "val")
    if recipe.schedule == "plateau":
        raise DataError(
            f"{data} has no validation images, and the schedule 'plateau' judges by them: prepare the data with some, "
            "or give --set schedule=cosine"
        )
    return images, None


def _run(training: Training) -> int:
    training.take_up()
    if not training.group.first:
        training.run()
        return 0
    _say(training)
    folder = training.folder.folder
    try:
        with Report(folder, training.steps, training.recipe, training.step) as report:
            training.report = report
            ended = training.run()
    except BrokenPipeError:  # not the folder's fault: nobody reads what is printed
        raise
    except OSError as error:
        kept = training.folder.saved()
        last = f"the same command goes on from {kept[-1].name}" if kept else "there is no checkpoint yet"
        raise TrainingError(f"{folder} cannot be written ({error}): make room; {last}") from error
    if ended == "stopped":
        print(f"stopped at step {training.step:,}; the same command goes on from there")
        return 3
    print(f"ended after pass {training.number}; weights in {folder}/best.safetensors")
    if not training.learned:
        print(f"but {not_begun(training.recipe, training.guessing.error)}")
    return 0


def _say(training: Training) -> None:
    train_images, val = training.train, training.val
    device, group = describe_device(training.device), training.group
    shown = f"{len(train_images):,} training images of {len(train_images.classes):,} classes"
    print(f"{shown}, {len(val) if val else 0:,} to validate; held: {training.source.place}")
    how = f"{group.size} process(es)" if group.share.size == group.size else "one column in each of 2 processes"
    print(
        f"recipe {training.recipe.name}, network {training.recipe.net.name}, batch {training.recipe.batch}, "
        f"{training.steps:,} steps a pass; {how}, {device}"
    )
    if training.step:
        print(f"going on from step {training.step:,} (pass {training.step / training.steps:.2f})")
    sys.stdout.flush()


@contextmanager
def _too_large(batch: int, device: torch.device) -> Iterator[None]:
    """SettingError, naming a batch that should fit, where the GPU's or the computer's memory does not hold a step."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        room = "this computer's memory"
        if device.type == "cuda":
            free, whole = torch.cuda.mem_get_info(device)
            room = f"{device}'s {whole / 1e9:.0f} GB ({free / 1e9:.1f} GB are free of all programs' use)"
        raise SettingError(
            f"a step on {batch} images does not fit into {room}: give --batch {max(1, batch // 2)}, or --feed mapped "
            "if images are held there"
        ) from error


def evaluate(args: argparse.Namespace) -> int:
    """Print the errors of a run or of several runs' average on a prepared set; each run sees pixels less the mean image
    that it was trained with, whatever the set's own is."""
    device = pick_device(args.device)
    paths = [Path(args.weights), *(args.average or ())]
    loaded = [(path, *load_weights(path)) for path in paths]
    images = PreparedImages(args.data, args.split)
    for path, _, settings in loaded:
        check_classes(settings, images, path)
    size, *others = {net.config.input_size for _, net, _ in loaded}
    if others:
        sizes = sorted([size, *others])
        raise SettingError(f"networks of {sizes} pixels cannot be shown the same views: average alike ones")
    scales, guessing = [read_scale(path) for path in paths], Guessing.of(images.labels, images.labels)
    nets = [net.to(device, memory_format=torch.channels_last) for _, net, _ in loaded]
    print(f"{len(images):,} {args.split} images of {images.folder}; {', '.join(str(path) for path in paths)}")
    for which in ("centre", "ten") if args.ten_views else ("centre",):
        counted = count_errors(nets, images, scales, size, which=which, device=device)
        shares = ", ".join(f"top-{k} {share:.2%}" for k, share in counted.shares.items())
        print(f"{which:6} view{'s' if which == 'ten' else ' '}: error {shares}")
        if guessing.is_error(counted.shares[1]):
            print(f"no better than the same answer for every image, which is wrong on {guessing.error:.2%}")
    return 0
