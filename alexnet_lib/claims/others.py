"""Rules of claims that are no difference between two variants: speed, averages of networks, what images are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import records as recorded
from ..experiments import augmentation_cifar10 as augmentation
from ..experiments import evidence, flagship, pretraining, tiny_imagenet
from ..experiments.chance import mean_and_spread
from ..experiments.evidence_results import ERROR, runs_of, sample
from ..experiments.running.tiny_runs import Kept
from ..measures.binary_codes import EXACT, code_name
from ..measures.crops import offsets
from ..measures.effects import by_images, compared, spread_of
from .judging import Measured, missing
from .verdicts import Finding, Verdict, about, about_seeds, command_of, keys_of, of_cases

LEARNED = 0.75  # a network has learned if it makes less than this share of the errors of guessing: a line of ours
INDEPENDENT = 0.1  # crops depend on each other if they are worth less than this share of as many images: likewise
TWO, ONE = "the paper's on two GPUs", "one GPU, half the kernels"


def not_tested(what: str, why: str = "", command: str = "") -> Callable[[Path | None], Finding]:
    """A rule for what cannot be tested here; `why` may be left to the claim's note. command: for who can test it."""
    return lambda root=None: Finding(what, Verdict.NOT_TESTED, why, command=command)


def two_gpus_in_time(root: Path | None = None) -> Finding:
    """C04: a training step of the network on two GPUs beside that of the smaller one on one, by `bench model`."""
    what, experiment = "images a second in training: the paper's on two GPUs over the smaller one on one", "bench model"
    record = recorded.load("bench", "model_cuda", root)
    speeds = [step["images_per_second"] for step in record["result"]["steps"]] if record else []
    pairs = [(speed[TWO], speed[ONE]) for speed in speeds if {TWO, ONE} <= set(speed)]
    if not pairs:
        return replace(missing(what, experiment), why="It needs two GPUs.")
    two, one = pairs[0]
    surely, perhaps = two["lowest"] / one["highest"], two["highest"] / one["lowest"]
    verdict = Verdict.IN_DIRECTION if surely > 1 else Verdict.DIFFERS if perhaps < 1 else Verdict.TOO_WEAK
    return Finding(
        what,
        verdict,
        f"From {surely:.2f} to {perhaps:.2f} times over {record['configuration']['rounds']} rounds. "
        "These are not the GPUs of 2012, nor is their link.",
        f"{two['median'] / one['median']:.2f} times",
        record["device"],
        keys_of([record]),
        experiment,
        command_of(experiment),
    )


def augmenting_speed(root: Path | None = None) -> Finding:
    """C15, beside the claim: how fast a CPU augments."""
    what, experiment = "images that a CPU crops, reflects and lights in a second", "bench augment"
    record = recorded.load("bench", "augment_cpu", root)
    if not record:
        return missing(what, experiment, decides=False)
    speed = record["result"]["images_per_second"]["ours"]
    return Finding(
        what,
        Verdict.NOT_TESTED,
        "A speed alone does not show that the work hides behind a GPU's training step.",
        f"{speed['median']:,.0f} ({speed['lowest']:,.0f} to {speed['highest']:,.0f})",
        f"{record['device']}, median of {record['configuration']['rounds']} rounds",
        keys_of([record]),
        experiment,
        command_of(experiment),
        decides=False,
    )


def searching_speed(root: Path | None = None) -> Finding:
    """C30, beside the claim: how fast codes are searched, and how much shorter they are."""
    what, experiment = "time of a query by 256 bits, over that by exact distances of 4,096 numbers", "bench retrieval"
    record = recorded.load("bench", "retrieval_cpu", root)
    if not record:
        return missing(what, experiment, decides=False)
    result = record["result"]
    code, exact = (result["queries_per_second"][name]["median"] for name in (code_name(256), EXACT))
    return Finding(
        what,
        Verdict.NOT_TESTED,
        "Fast they are; whether what they find is as good, a speed does not say.",
        f"1/{code / exact:,.0f} ({1000 / code:.2f} ms), with 1/{result['bytes_exact'] // result['bytes']['256']} of "
        "the bytes",
        f"{record['device']}, {result['searched']:,} drawn codes",
        keys_of([record]),
        experiment,
        command_of(experiment),
        decides=False,
    )


def learned(root: Path | None = None) -> Finding:
    """C21, beside the claim: the paper's full recipe on Tiny ImageNet ends well below the errors of guessing."""
    what, experiment = "test error at the recipe's end, one view of the centre", "tiny-imagenet"
    result = tiny_imagenet.recorded(root)
    if result is None:
        return missing(what, experiment, decides=False)
    line = LEARNED * (1 - 1 / len(result.record["configuration"]["classes"]))
    below = [error < line for error in result.test_error.values()]
    return Finding(
        what,
        of_cases(below),
        f"{sum(below)} of {len(below)} seed(s) ended under {line:.0%}, {LEARNED:.0%} of the errors of guessing. Other "
        "recipes would too: it shows that this one works, not that it takes this one.",
        f"{mean_and_spread(result.test_error.values())} per cent",
        about([result.record]),
        (result.key,),
        experiment,
        command_of(experiment),
        decides=False,
    )


def error_on_tiny(root: Path | None = None) -> Finding:
    """C22, beside the claim: the same figure, which has no earlier results of its own to be better than."""
    why = "Not a test of the claim: no earlier methods stand beside it, on these images and at this size."
    found = learned(root)
    return found if found.verdict is Verdict.NOT_RUN else replace(found, verdict=Verdict.NOT_TESTED, why=why)


def of_drop(number: int) -> Callable[[Path | None], Measured | None]:
    """A `measure`, C21: what the n-th drop of the rate does to the test error, beside going on as long without it.

    One run of each, so that only the test images tell what is chance.
    """

    def measure(root: Path | None) -> Measured | None:
        size = flagship.WHOLE.name
        main, other = (recorded.load(flagship.NAME, f"{size}_{name}", root) for name in ("paper", f"drop-{number}"))
        if not main or not other:
            return None
        kept = Kept.read(main, 0, root).wrong
        ended = kept.get(f"stage-{number + 1}", kept["centre"]).numpy()
        without = Kept.read(other, 0, root).wrong["centre"].numpy()
        return Measured(by_images(ended, without), (main, other), data=about_seeds((main, other)))

    return measure


def pretrained(tested: str, without: str) -> Callable[[Path | None], Measured | None]:
    """A `measure`, C24: the test error of one of `pretraining`'s networks beside another's, or the study's own."""

    def measure(root: Path | None) -> Measured | None:
        both = [_of_study(name, root) for name in (tested, without)]
        if not all(both):
            return None
        samples = [sample(one, ERROR, root or recorded.recorded_root()) for one in both]
        return Measured(compared(*samples, spread_of(samples)), tuple(both), data=about_seeds(both))

    return measure


def _of_study(name: str, root: Path | None) -> dict[str, Any]:
    """The record of a variant of `pretraining`, or of the study's base; {} where it has no seed yet."""
    experiment = evidence if name == "paper" else pretraining
    found = recorded.load(experiment.NAME, f"{evidence.FULL.name}_{name}", root)
    return found if found and runs_of(found) else {}


def worth_by_seed(root: Path | None = None) -> Finding:
    """C32: how many images as they are do as well as 5,000 with crops and reflections."""
    what = f"images as they are that do as well as {augmentation.FEW:,} with crops and reflections"
    found = augmentation.few_and_more(root)
    if found is None:
        return missing(what, augmentation.NAME)
    few, plain = found
    made = augmentation.FEW * 2 * offsets(32, augmentation.NET.image_size) ** 2
    errors = few["both"].test_error
    seeds = [seed for seed in errors if all(seed in one.test_error for one in plain.values())]
    worth = [
        augmentation.images_worth({n: one.test_error[seed] for n, one in plain.items()}, errors[seed]) for seed in seeds
    ]
    told = [f"{each:,.0f}" if each else "outside what was trained on" for each in worth]
    less = [bool(each) and each < INDEPENDENT * made for each in worth]
    records = [one.record for one in (few["both"], *plain.values())]
    known = len(seeds) > 1 and (any(less) or None not in worth)
    verdict = of_cases(less) if known else Verdict.TOO_WEAK
    return Finding(
        what,
        verdict,
        f"Under {INDEPENDENT:.0%} of the {made:,} different crops that can be made of them, from "
        f"{sum(less)} of {len(seeds)} seed(s); that line is ours.",
        "; ".join(told) + ", seed by seed",
        about(records),
        keys_of(records),
        augmentation.NAME,
        command_of(augmentation.NAME),
    )
