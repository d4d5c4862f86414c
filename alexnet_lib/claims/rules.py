"""The rules of all claims, by id: what is compared, and what may not be concluded.

The registered study (`experiments.evidence`) has one thing of the whole network changed at a time; on CIFAR-10 small
networks stand in for it. Every effect is what a thing does: positive where it goes the paper's way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from ..experiments import augmentation_cifar10, evidence, learning_cifar10, lighting_cifar10, lrn_cifar10, mean_cifar10
from ..experiments import dropout_cifar10 as dropout
from ..experiments import flagship as whole
from ..experiments import pooling_cifar10 as pooling
from ..experiments import pretraining as before
from ..experiments.evidence_results import EARLY_LOSS
from ..experiments.learning_cifar10 import early_error, training_error
from ..experiments.results import Numbers, gap, test_error
from ..experiments.running.comparison_runs import Part
from . import computed, others, passes, seen
from .judging import Test, all_of, asked, gain_of_views, with_and_without
from .others import not_tested
from .verdicts import Finding

Rule = Callable[[Path | None], Finding]
TWO_POINTS = 0.02  # the paper's figure for C06, 13% less 11%

CODES, PREDICTIONS = "binary-codes", "predictions"
TINY = "Tiny ImageNet is a small part of ImageNet, in small photographs: the paper's figure for ImageNet is not tested."
SMALL = "A small network on small photographs: it says nothing of the effect's size on ImageNet."
RELEASED = "The paper's figures are those of released networks, which trained for 160 passes and more."


def small_nets(
    module: ModuleType,
    parts: tuple[Part, ...],
    tested: str,
    without: str,
    what: str,
    numbers: Numbers = test_error,
    limits: str = SMALL,
    paper: float | None = None,
    same_data: bool = False,
    decides: bool = True,
) -> Test:
    """CIFAR-10: how much lower the numbers of variant `tested` are than those of `without`, in the first part that has
    both."""
    measure = with_and_without(module.NAME, [part.name for part in parts], tested, without, numbers)
    return Test(what, module.NAME, measure, limits, paper=paper, same_data=same_data, decides=decides)


def views(module: ModuleType, parts: tuple[Part, ...]) -> Test:
    names = [part.name for part in parts]
    return Test(f"{TEN}, small networks", module.NAME, gain_of_views(module.NAME, names, "both"), SMALL, paper=0.015)


def biases(start: str, what: str, decides: bool = True) -> Test:
    both = (*learning_cifar10.BIASES_LONG, *learning_cifar10.BIASES_SHORT)
    parts = tuple(part for part in both if part.name.endswith(f"-{start}"))
    return small_nets(learning_cifar10, parts, "bias-1", "bias-0", what, early_error, decides=decides)


AUGMENTED = (augmentation_cifar10.FEW_LONG, augmentation_cifar10.FEW_SHORT)
ALL_AUGMENTED = (augmentation_cifar10.LONG, augmentation_cifar10.SHORT, *AUGMENTED)
DECAYS = (learning_cifar10.DECAY_LONG, learning_cifar10.DECAY_SHORT)
TEN = "test error: ten views instead of the centre alone"
GAP = "test less training error"
IMAGENET = "on ImageNet itself"
TOO_LARGE = "It is too large for the machines that this book was made on. One command trains the network on yours:"
WITH_IMAGENET = "python -m alexnet_lib train --data DIR --recipe paper --out RUN"
NORMS = lrn_cifar10.RECORDED

NETWORK: dict[str, tuple[Rule, ...]] = {
    "C01": passes.FASTER,
    "C02": passes.EVERYWHERE,
    "C03": (asked("halves", "test error: two columns instead of one with half the kernels", TINY),),
    "C04": (others.two_gpus_in_time,),
    "C05": (
        asked("lrn", "test error: with the normalisation instead of without", TINY),
        asked(
            "lrn-constant",
            "test error: with the normalisation instead of its constant factor",
            "Whether it does more than make numbers smaller.",
            decides=False,
        ),
    ),
    "C06": (
        small_nets(
            lrn_cifar10,
            NORMS,
            "lrn-sum",
            "none",
            "test error: the formula of the text instead of no norm",
            limits=RELEASED,
            paper=TWO_POINTS,
            same_data=True,
        ),
        small_nets(
            lrn_cifar10,
            NORMS,
            "lrn-9",
            "none",
            "test error: the norm of the released 11% file, alone",
            limits=RELEASED,
            paper=TWO_POINTS,
            same_data=True,
            decides=False,
        ),
        small_nets(
            lrn_cifar10,
            NORMS,
            "released-11",
            "none",
            "test error: the whole 11% file instead of the 13% file",
            limits="They differ in more than the norm.",
            paper=TWO_POINTS,
            same_data=True,
            decides=False,
        ),
    ),
    "C07": (
        asked("pooling", "test error: windows of 3 moved by 2 instead of windows of 2", TINY),
        small_nets(
            pooling,
            (pooling.LONG, pooling.SHORT),
            "max-3-2",
            "max-2-2",
            "test error: windows of 3 moved by 2 instead of windows of 2, small networks",
            paper=0.004,
        ),
    ),
    "C08": (
        asked("pooling-gap", f"{GAP}: windows of 3 moved by 2 instead of windows of 2", TINY),
        small_nets(
            pooling,
            (pooling.FEW_LONG, pooling.FEW_SHORT),
            "max-3-2",
            "max-2-2",
            f"{GAP}: windows of 3 moved by 2 instead of windows of 2, small networks",
            gap,
            f"{SMALL} Both learn all images by heart, so the gap is the test error over again.",
            decides=False,
        ),
    ),
    "C09": (computed.sums, computed.layers),
    "C10": (
        all_of(
            "test error: with a middle layer instead of without",
            [asked(name, f"{name}:", "") for name in ("conv3", "conv4")],
            evidence.NAME,
            TINY,
        ),
        asked("conv5", "test error: with conv5 instead of without", TINY, decides=False),
        computed.shares,
    ),
}
AGAINST_OVERFITTING: dict[str, tuple[Rule, ...]] = {
    "C11": (computed.crops,),
    "C12": (
        asked("crops-gap", f"{GAP}: with crops and reflections instead of without", TINY),
        small_nets(
            augmentation_cifar10,
            AUGMENTED,
            "both",
            "neither",
            f"{GAP}: with crops and reflections instead of without, small networks",
            gap,
            f"{SMALL} With so few images it overfits more than with all of them.",
        ),
    ),
    "C13": (asked("views", TEN, TINY), views(augmentation_cifar10, ALL_AUGMENTED)),
    "C14": (
        asked("lighting", "test error: with the lighting of the 2012 code instead of without", TINY),
        small_nets(
            lighting_cifar10,
            (lighting_cifar10.LONG, lighting_cifar10.SHORT),
            "deviation",
            "none",
            "test error: with the lighting of the 2012 code instead of without, small networks",
            paper=0.01,
        ),
    ),
    "C15": (
        not_tested(
            "batches made by a CPU while a GPU trains",
            "No GPU was to be had. Where there is one, the chapter measures live what hides behind a step.",
        ),
        others.augmenting_speed,
    ),
    "C16": (
        asked("dropout-gap", f"{GAP}: with dropout's masks instead of its halving alone", TINY),
        small_nets(
            dropout,
            (dropout.FEW_LONG, dropout.FEW_SHORT),
            "rate-0.5",
            "none",
            f"{GAP}: with dropout instead of without, small networks",
            gap,
        ),
    ),
    "C17": passes.LONGER,
    "C18": (computed.halved,),
    "C31": (
        small_nets(
            mean_cifar10,
            (mean_cifar10.LONG, mean_cifar10.SHORT),
            "pixel",
            "none",
            "test error: the mean of each pixel subtracted instead of none",
            limits="It shows that the step counts, not that nothing else would help.",
        ),
        *(
            small_nets(
                mean_cifar10,
                (mean_cifar10.LONG, mean_cifar10.SHORT),
                "pixel",
                other,
                f"test error: the mean of each pixel instead of {told}",
                decides=False,
            )
            for other, told in (("channel", "a mean of each colour"), ("number", "one mean for all"))
        ),
    ),
    "C32": (others.worth_by_seed,),
}
TRAINING: dict[str, tuple[Rule, ...]] = {
    "C19": (
        asked(
            "decay",
            "training error: with a decay of the paper's dose instead of none",
            "A dose is rate times decay times updates: 1.4 in the paper's training, about 1.2 here, by a decay 40 "
            "times as strong in a hundredth of the updates. What it does says little of 0.0005 in a long run.",
        ),
        small_nets(
            learning_cifar10,
            DECAYS,
            "decay-0.0005",
            "decay-0",
            "training error: with a decay of 0.0005 instead of none, small networks",
            training_error,
            f"{SMALL} In a short training that decay hardly moves a weight.",
            decides=False,
        ),
    ),
    "C20": (
        asked("biases", f"passes to a training loss of {EARLY_LOSS:g} nats, biases of 0 over biases of 1", TINY),
        biases("text", "training error of the second pass: biases of 1 instead of 0; weights as in the text"),
        biases("code2012", "the same with weights as in the 2012 code", False),
    ),
    "C21": (
        all_of(
            "test error: with a drop of the rate instead of going on as long without",
            [Test(f"drop {n}:", whole.NAME, others.of_drop(n), "") for n in (1, 2, 3)],
            whole.NAME,
            "One run: how much another would differ is not known.",
        ),
        others.learned,
    ),
    "C22": (not_tested(IMAGENET, TOO_LARGE, WITH_IMAGENET), others.error_on_tiny),
    "C23": (
        asked("average", "test error by ten views: five networks averaged instead of one", TINY),
        not_tested(IMAGENET, TOO_LARGE, WITH_IMAGENET),
    ),
    "C24": (
        Test(
            "test error: a sixth convolutional layer and other photographs first, instead of neither",
            before.NAME,
            others.pretrained("tuned-sixth", "paper"),
            TINY,
            paper=0.017,
        ),
        Test(
            "other photographs first, with six layers",
            before.NAME,
            others.pretrained("tuned-sixth", "sixth"),
            "",
            decides=False,
        ),
        Test(
            "other photographs first, with five layers",
            before.NAME,
            others.pretrained("tuned-paper", "paper"),
            "",
            decides=False,
        ),
        Test(
            "a sixth layer, without other photographs",
            before.NAME,
            others.pretrained("sixth", "paper"),
            "",
            decides=False,
        ),
        not_tested(IMAGENET, TOO_LARGE, WITH_IMAGENET),
    ),
    "C25": (not_tested(IMAGENET),),
}
LEARNED: dict[str, tuple[Rule, ...]] = {
    "C26": (
        Test(
            "share of a first-layer kernel that one Gabor has, more than of noise as smooth and as coloured",
            seen.kernel_fits.NAME,
            seen.more_like_gabors,
            seen.OUR_IMAGES,
        ),
    ),
    "C27": (seen.specialised("paper", True), seen.specialised("always-meet", False)),
    "C28": (
        all_of(
            "errors off the centre, and which wrong labels are likeliest",
            [
                Test(
                    "error on photographs whose middle lies off the object, under that of guessing:",
                    PREDICTIONS,
                    seen.off_under_guess,
                    "Off: the middle is outside the box that Tiny ImageNet gives of the object.",
                ),
                seen.sensible,
            ],
            PREDICTIONS,
            "",
        ),
        seen.cost_of_off,
    ),
    "C29": (
        Test(
            "share of the ten nearest that are of the query's class: by features instead of pixels",
            CODES,
            seen.more_found("features", "pixels"),
            TINY,
        ),
        seen.far_in_pixels,
    ),
    "C30": (
        Test(
            "share of the ten nearest that are of the query's class: by 256 bits of features instead of 256 of pixels",
            CODES,
            seen.more_found("features, 256 bits", "pixels, 256 bits"),
            TINY,
        ),
        Test(
            "the same: by 256 bits of features instead of the features themselves",
            CODES,
            seen.more_found("features, 256 bits", "features"),
            "What the codes cost.",
            decides=False,
        ),
        seen.planes,
        others.searching_speed,
    ),
}
_ALL = NETWORK | AGAINST_OVERFITTING | TRAINING | LEARNED
RULES: dict[str, tuple[Rule, ...]] = {name: _ALL[name] for name in sorted(_ALL)}
