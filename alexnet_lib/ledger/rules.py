"""The rules of all claims, by id: what is compared, which sign the paper gives it, and what may not be concluded.

On Tiny ImageNet the whole network has one thing changed (`ablations`); on CIFAR-10 small networks stand in for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from ..experiments import augmentation_cifar10, learning_cifar10, lighting_cifar10, lrn_cifar10, mean_cifar10
from ..experiments import dropout_cifar10 as dropout
from ..experiments import pooling_cifar10 as pooling
from ..experiments.comparison_runs import Part
from ..experiments.learning_results import early_error, test_error, training_error
from . import computed, others, passes, seen
from .findings import Finding
from .others import not_tested
from .paired import Effect, Numbers, all_of, gain_of_views, gap, less

Rule = Callable[[Path | None], Finding]
TWO_POINTS = -0.02  # the paper's figure for C06, 11% less 13%

CODES, PREDICTIONS = "binary-codes", "predictions"
TINY = "Tiny ImageNet is a small part of ImageNet, in small photographs: the paper's figure for ImageNet is not tested."
SMALL = "A small network on small photographs: it says nothing of the effect's size on ImageNet."
RELEASED = "The paper's figures are those of released networks, which trained for 160 passes and more."


def ablation(variant: str, what: str, numbers: Numbers = test_error, limits: str = TINY) -> Effect:
    """Tiny ImageNet: the numbers with that one thing changed less those of the paper's network; more is expected."""
    measure = less("ablations", (), variant, "paper", numbers)
    return Effect(what, "ablations", measure, +1, limits)


def small_nets(
    module: ModuleType, parts: tuple[Part, ...], one: str, other: str, what: str, sign: int,
    numbers: Numbers = test_error, limits: str = SMALL, paper: float | None = None, decides: bool = True,
) -> Effect:  # fmt: skip
    """CIFAR-10: the numbers of variant `one` less those of `other`, in the first part that has both."""
    measure = less(module.NAME, [part.name for part in parts], one, other, numbers)
    return Effect(what, module.NAME, measure, sign, limits, paper=paper, decides=decides)


def views(module: ModuleType, parts: tuple[Part, ...]) -> Effect:
    names = [part.name for part in parts]
    return Effect(TEN, module.NAME, gain_of_views(module.NAME, names, "both"), +1, SMALL)


def biases(start: str, what: str, decides: bool = True) -> Effect:
    both = (*learning_cifar10.BIASES_LONG, *learning_cifar10.BIASES_SHORT)
    parts = tuple(part for part in both if part.name.endswith(f"-{start}"))
    return small_nets(learning_cifar10, parts, "bias-1", "bias-0", what, -1, early_error, decides=decides)


AUGMENTED = (augmentation_cifar10.FEW_LONG, augmentation_cifar10.FEW_SHORT)
ALL_AUGMENTED = (augmentation_cifar10.LONG, augmentation_cifar10.SHORT, *AUGMENTED)
DECAYS = (learning_cifar10.DECAY_LONG, learning_cifar10.DECAY_SHORT)
TEN = "test error with one view of the centre, less that with ten"
GAP = "test less training error"
IMAGENET = "on ImageNet itself"
TOO_LARGE = "It is too large for the machines that this book was made on. One command trains the network on yours:"
WITH_IMAGENET = "python -m alexnet_lib train --data DIR --recipe paper --out RUN"

NETWORK: dict[str, tuple[Rule, ...]] = {
    "C01": passes.FASTER,
    "C02": passes.EVERYWHERE,
    "C03": (ablation("one-gpu-half", "test error of one GPU with half the kernels, less that of the whole network"),),
    "C04": (others.two_gpus_in_time,),
    "C05": (ablation("no-lrn", "test error without the normalisation, less that with it"),),
    "C06": (
        small_nets(
            lrn_cifar10, (lrn_cifar10.LONG, lrn_cifar10.SHORT), "lrn-sum", "none",
            "test error with the formula of the text, less that without", -1, limits=RELEASED, paper=TWO_POINTS,
        ),
        small_nets(
            lrn_cifar10, (lrn_cifar10.LONG, lrn_cifar10.SHORT), "lrn-average", "none",
            "the same with the formula of the released files", -1, limits=RELEASED, paper=TWO_POINTS,
            decides=False,
        ),
    ),
    "C07": (
        ablation("pool-2-2", "test error with windows of 2 moved by 2, less that with windows of 3"),
        small_nets(
            pooling, (pooling.LONG, pooling.SHORT), "max-2-2", "max-3-2",
            "test error with windows of 2 moved by 2, less that with windows of 3", +1,
        ),
    ),
    "C08": (
        ablation("pool-2-2", f"{GAP}, with windows of 2 moved by 2, less that with windows of 3", gap),
        small_nets(
            pooling, (pooling.FEW_LONG, pooling.FEW_SHORT), "max-2-2", "max-3-2",
            f"{GAP}, with windows of 2 moved by 2, less that with windows of 3", +1, gap,
            f"{SMALL} Where both learn all images by heart, the gap is the test error over again.",
        ),
    ),
    "C09": (computed.sums, computed.layers),
    "C10": (
        all_of("test error without a middle layer, less that with all",
               [ablation(f"no-{name}", f"without {name}", limits="") for name in ("conv3", "conv4")], TINY),
        computed.shares,
    ),
}  # fmt: skip
AGAINST_OVERFITTING: dict[str, tuple[Rule, ...]] = {
    "C11": (computed.crops,),
    "C12": (
        ablation("no-crops", f"{GAP}, without crops and reflections, less that with both", gap),
        small_nets(
            augmentation_cifar10, AUGMENTED, "neither", "both",
            f"{GAP}, without crops and reflections, less that with both", +1, gap,
            f"{SMALL} With so few images it overfits more than with all of them.",
        ),
    ),
    "C13": (
        Effect(TEN, "tiny-imagenet", gain_of_views("tiny-imagenet", (), "paper"), +1, TINY),
        views(augmentation_cifar10, ALL_AUGMENTED),
    ),
    "C14": (
        ablation("no-lighting", "test error without the lighting, less that with it"),
        small_nets(
            lighting_cifar10, (lighting_cifar10.LONG, lighting_cifar10.SHORT), "deviation", "none",
            "test error with the lighting of the 2012 code, less that without", -1,
        ),
    ),
    "C15": (
        not_tested("batches made by a CPU while a GPU trains",
                   "No GPU was to be had. Where there is one, the chapter measures live what hides behind a step."),
        others.augmenting_speed,
    ),
    "C16": (
        ablation("no-dropout", f"{GAP}, without dropout, less that with it", gap),
        small_nets(
            dropout, (dropout.FEW_LONG, dropout.FEW_SHORT), "none", "rate-0.5",
            f"{GAP}, without dropout, less that with it", +1, gap,
        ),
    ),
    "C17": passes.LONGER,
    "C18": (computed.halved,),
    "C31": (
        small_nets(
            mean_cifar10, (mean_cifar10.LONG, mean_cifar10.SHORT), "none", "pixel",
            "test error with no mean subtracted, less that with the mean of each pixel", +1,
            limits="It shows that the step counts, not that nothing else would help.",
        ),
        *(
            small_nets(
                mean_cifar10, (mean_cifar10.LONG, mean_cifar10.SHORT), other, "pixel",
                f"test error with {told}, less that with the mean of each pixel", +1, decides=False,
            )
            for other, told in (("channel", "a mean of each colour"), ("number", "one mean for all"))
        ),
    ),
    "C32": (others.worth_by_seed,),
}  # fmt: skip
TRAINING: dict[str, tuple[Rule, ...]] = {
    "C19": (
        ablation("no-decay", "training error without decay, less that with 0.0005", training_error),
        small_nets(
            learning_cifar10, DECAYS, "decay-0.0005", "decay-0",
            "training error with a decay of 0.0005, less that without", -1, training_error,
            f"{SMALL} In a short training that decay hardly moves a weight.",
        ),
    ),
    "C20": (
        ablation("biases-0", "training error of the second pass with biases 0, less that with ones", early_error),
        biases("text", "training error of the second pass with biases 1, less that with 0; weights as in the text"),
        biases("code2012", "the same with weights as in the 2012 code", False),
    ),
    "C21": (others.learned,),
    "C22": (not_tested(IMAGENET, TOO_LARGE, WITH_IMAGENET), others.error_on_tiny),
    "C23": (not_tested(IMAGENET, TOO_LARGE, WITH_IMAGENET), others.AVERAGED),
    "C24": (
        not_tested(IMAGENET, TOO_LARGE, WITH_IMAGENET),
        Effect("test error with a sixth convolutional layer, less that without", "sixth-conv",
               less("sixth-conv", (), "sixth-conv", "paper"), -1,
               "Without the training on 15 million photographs before, which the claim is about.", decides=False),
    ),
    "C25": (not_tested(IMAGENET),),
}  # fmt: skip
LEARNED: dict[str, tuple[Rule, ...]] = {
    "C26": (seen.selective,),
    "C27": (seen.specialised,),
    "C28": (
        Effect("error on photographs whose middle lies off the object, less that of guessing", PREDICTIONS,
               seen.off_less_guess, -1, "Off: the middle is outside the box that Tiny ImageNet gives of the object."),
        seen.sensible,
        Effect("error on photographs whose middle lies off the object, less that on the others", PREDICTIONS,
               seen.off_less_on, +1, "What being off the middle costs.", decides=False),
    ),
    "C29": (
        Effect("share of the ten nearest that are of the query's class, by features, less that by pixels", CODES,
               seen.more_found("features", "pixels"), +1, TINY),
        seen.far_in_pixels,
    ),
    "C30": (
        Effect("share of the ten nearest that are of the query's class, by 256 bits made of features, less that by 256 "
               "bits made of pixels", CODES, seen.more_found("features, 256 bits", "pixels, 256 bits"), +1, TINY),
        Effect("the same by 256 bits made of features, less that by the features themselves", CODES,
               seen.more_found("features, 256 bits", "features"), -1, "What the codes cost.", decides=False),
        others.searching_speed,
    ),
}
_ALL = NETWORK | AGAINST_OVERFITTING | TRAINING | LEARNED
RULES: dict[str, tuple[Rule, ...]] = {name: _ALL[name] for name in sorted(_ALL)}
