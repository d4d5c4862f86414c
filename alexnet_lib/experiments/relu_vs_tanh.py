"""ReLU against tanh (claims C01, C02; section 3.1, Figure 1): passes to 25% training error on CIFAR-10.

The chapter trains four passes with `fit`. Full, as it is recorded: `run` behind
`python -m alexnet_lib experiment relu-vs-tanh --full`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from ..augment import PixelScale
from ..data.image_set import ImageSet
from ..errors import SettingError
from ..network.nonlinearities import NONLINEARITIES
from ..network.small.four_layers import ARCHITECTURES, SmallNet, SmallNetConfig
from ..system.devices import pick_device
from ..training.fit import TrainSettings
from .running.machine import Call
from .running.on_cifar10 import Workplace, dataset_of, images_a_second, real_images
from .running.race import Contender, run_unit

NAME = "relu-vs-tanh"
CLAIMS = ["C01", "C02"]
SUMMARY = "passes to 25% training error on CIFAR-10, each nonlinearity at its own best learning rate (C01, C02)"
TARGET = 0.25
FULL_CAP, SMALL_CAP = 60, 20
SMALL_IMAGES = 10_000
SOME_IMAGES = 20_000  # for what two cores cannot run on all of them
# Half-decade grids around where each pixel scale learns, the likeliest first; a winner at the edge extends them.
GRIDS = {"0-255": (0.003, 0.01, 0.001), "unit": (0.03, 0.01, 0.1)}
# Starting weights and pixel scale; the first is the 2012 code's pair, the second today's, the others separate the two.
CONDITIONS = (("2012", "0-255"), ("today", "unit"), ("2012", "unit"), ("today", "0-255"))


@dataclass(frozen=True)
class Plan:
    """What one call runs: every combination of the lists, `seeds` of each, on `images` training images (None: all)."""

    nonlinearities: tuple[str, ...]
    architectures: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...]
    seeds: int
    passes: int
    images: int | None


def default_plans(full: bool, on_gpu: bool) -> tuple[Plan, ...]:
    """The small run; the full run on a GPU: every nonlinearity, three architectures; on a CPU (hours) the first pair
    on all images, and on some of them every nonlinearity, and two other architectures."""
    pair = ("relu", "tanh")
    if not full:
        return (Plan(pair, ("80sec",), CONDITIONS[:1], 1, SMALL_CAP, SMALL_IMAGES),)
    if on_gpu:
        return (Plan(tuple(NONLINEARITIES), ("80sec", "18pct", "deep"), CONDITIONS, 10, FULL_CAP, None),)
    return (
        Plan(pair, ("80sec",), CONDITIONS, 3, FULL_CAP, None),
        Plan(tuple(NONLINEARITIES), ("80sec",), CONDITIONS[:1], 3, FULL_CAP, SOME_IMAGES),
        Plan(pair, ("18pct", "deep"), CONDITIONS[:2], 3, FULL_CAP, SOME_IMAGES),
    )


def run_from(args: argparse.Namespace) -> list[Path]:
    """The command line's entry: `args` has full, out, data, device, jobs, seeds and only."""
    written = []
    for plan in default_plans(args.full, pick_device(args.device).type == "cuda"):
        if args.seeds:
            plan = replace(plan, seeds=args.seeds)
        if args.only:
            plan = narrowed(plan, args.only.split(","))
        written += run(plan, out=args.out, data=args.data, device=args.device, jobs=args.jobs)
    return written


def narrowed(plan: Plan, wanted: list[str]) -> Plan:
    """The plan cut to the named nonlinearities, architectures and conditions ("2012/0-255"); a kind not named stays.

    Names outside the default plan may be asked for. Raises SettingError for a name that is none of these.
    """
    conditions = {"/".join(condition): condition for condition in CONDITIONS}
    kinds = {"nonlinearities": NONLINEARITIES, "architectures": ARCHITECTURES, "conditions": conditions}
    known = {name: kind for kind, names in kinds.items() for name in names}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SettingError(f"--only: {unknown[0]!r} is not known; use {', '.join(known)}")
    for kind in kinds:
        chosen = tuple(conditions.get(name, name) for name in wanted if known[name] == kind)
        if chosen:
            plan = replace(plan, **{kind: chosen})
    return plan


def contenders_of(plan: Plan, deviation: float, target: float = TARGET) -> list[Contender]:
    """The entries of the race, most telling first; separating starts from pixels is done for ReLU and tanh only."""
    entries = []
    for start, pixels in plan.conditions:
        crossed = (start, pixels) in CONDITIONS[2:]
        for architecture in plan.architectures[:1] if crossed else plan.architectures:
            for nonlinearity in plan.nonlinearities:
                if crossed and nonlinearity not in ("relu", "tanh"):
                    continue
                net = SmallNetConfig(architecture, nonlinearity, start, pixels, deviation=round(deviation, 4))
                name = f"{architecture}_{start}_{pixels}_{nonlinearity}"
                run = name if plan.images is None else f"{name}_{plan.images}-images"
                settings = TrainSettings(rate=1.0, passes=plan.passes, target_error=target)
                entries.append(Contender(run, plan.seeds, net, settings, list(GRIDS[pixels])))
    return entries


def run(
    plan: Plan,
    *,
    out: Path | None = None,
    data: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
    command: str | None = None,
) -> list[Path]:
    """Run the plan, writing a record after every training run; what `out` already holds is not run again.

    Returns the paths of the records it wrote. The stand-in is refused: its figures would say nothing about CIFAR-10.
    Raises SettingError for that and for a folder that cannot be written, RecordError for a record that does not fit.
    """
    call = Call.of(NAME, CLAIMS, out=out, device=device, jobs=jobs, command=command)
    train, test = (real_images(split, data, plan.images) for split in ("train", "test"))
    contenders = contenders_of(plan, PixelScale.fit(train.images, "unit").deviation)
    for contender in contenders:
        contender.dataset = dataset_of(train, test)
    call.take_up(contenders)
    if not call.left(contenders):
        return []
    place = Workplace(
        checkpoints=call.work, device=str(call.device), threads=call.threads, data=data, images=plan.images
    )
    announce(call, plan, contenders, train)
    return call.run(contenders, place, run_unit)


def announce(call: Call, plan: Plan, contenders: list[Contender], train: ImageSet) -> None:
    """Print what will be run, and how long it would take if every run went to its cap."""
    left = [contender for contender in contenders if contender.due()]
    runs = sum(len(set(c.rates) - set(c.swept())) + c.seeds - 1 for c in left)
    settings = TrainSettings(rate=1e-6, passes=1, points=1)
    few = train.images[: 12 * settings.batch_size], train.labels[: 12 * settings.batch_size]
    speed = images_a_second(lambda: SmallNet(seed=0), *few, settings, PixelScale.fit(few[0]), call.device, call.threads)
    minutes = runs * plan.passes * len(train) / speed / call.jobs / 60
    call.announce(
        f"{NAME}: {train.label}",
        f"{len(left)} of {len(contenders)} contenders have runs left: about {runs} of at most {plan.passes} passes",
        f"{speed:,.0f} images/s measured for one run: at most about {minutes:,.0f} minutes, mostly far less",
    )
