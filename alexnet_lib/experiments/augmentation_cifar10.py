"""Crops and reflections on CIFAR-10 (claims C12, C13; section 4.1): both, one of them, neither; one view and ten.

Three parts. 5,000 images, which the network can learn by heart: how far test and training error come apart (C12). More
images as they are, for as many steps: how many real ones the augmented 5,000 are worth (C32). All training images, as
the paper trained. Crops of 24 out of 32 pixels, as the 2012 code has them for CIFAR-10; the test error is measured with
the centre, with its reflection too, and with ten views (C13). Small: in the chapter "Crops, reflections and ten views".
Full: `run_from` behind `python -m alexnet_lib experiment augmentation-cifar10 --full`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from ..network.small.locally_connected import ConvLocalConfig
from .results import VariantResult, results_of
from .running.comparison import Terms
from .running.comparison_runs import Change, Comparison, Part

NAME = "augmentation-cifar10"
SUMMARY = "CIFAR-10 overfitting without crops and reflections, and test error with ten views (C12, C13)"
NET = ConvLocalConfig()
VIEWS = ("centre, reflected", "ten")
LABELS = {
    "both": "crops and reflections",
    "crops": "crops only",
    "reflections": "reflections only",
    "neither": "neither",
}
_DONE = {"both": True, "crops": "crops", "reflections": "reflections", "neither": False}
VARIANTS = {name: Change(NET, {"augmented": done}) for name, done in _DONE.items()}
FEW, MORE = 5_000, (10_000, 20_000, 50_000)
_RATES, _ONE = (0.0003, 0.001, 0.003), (0.003,)


def _more(stages: tuple[float, ...], pilot: float = 0) -> dict[str, Change]:
    """Larger sets without augmentation, trained for as many steps as FEW images are in `stages`; 50,000 is all."""
    changes = {}
    for images in MORE:
        fewer = tuple(passes * FEW / images for passes in stages)
        terms = {"images": None if images == 50_000 else images, "stages": fewer, "pilot": pilot * FEW / images}
        changes[str(images)] = Change(NET, terms)
    return changes


_SHORT_STAGES, _LONG_STAGES = (32, 4, 4), (200, 20, 20)
FEW_SHORT = Part("5000-images-40-passes", Terms(FEW, stages=_SHORT_STAGES, rates=_ONE, views=VIEWS), VARIANTS, seeds=3)
MORE_SHORT = Part("more-images-40-passes", Terms(augmented=False, rates=_ONE, views=VIEWS), _more(_SHORT_STAGES), 3)
SHORT = Part("10-passes", Terms(stages=(8, 1, 1), rates=_ONE, views=VIEWS), VARIANTS, seeds=2)
FEW_LONG = Part(
    "5000-images-240-passes", Terms(FEW, stages=_LONG_STAGES, rates=_RATES, pilot=60, views=VIEWS), VARIANTS, seeds=5
)
MORE_LONG = Part(
    "more-images-240-passes", Terms(augmented=False, rates=_RATES, views=VIEWS), _more(_LONG_STAGES, 60), seeds=5
)
LONG = Part("160-passes", Terms(rates=_RATES, pilot=20, views=VIEWS), VARIANTS, seeds=5)
SMALL = Part("small", Terms(images=1_000, stages=(20,), rates=_ONE, views=VIEWS), VARIANTS, seeds=1)
EXPERIMENT = Comparison(
    NAME,
    ("C12", "C13", "C32"),
    small=(SMALL,),
    on_cpu=(FEW_SHORT, MORE_SHORT, SHORT),
    on_gpu=(LONG, FEW_LONG, MORE_LONG),
)
run_from = EXPERIMENT.run_from


def images_worth(errors: Mapping[int, float], error: float) -> float | None:
    """How many images, trained on as they are, would give this test error: {images: error}, straight in log images.

    None where the errors do not reach it between the smallest and the largest set.
    """
    sizes = sorted(errors)
    for few, many in zip(sizes, sizes[1:], strict=False):
        worse, better = errors[few], errors[many]
        if worse >= error >= better and worse > better:
            share = (worse - error) / (worse - better)
            return math.exp(math.log(few) + share * (math.log(many) - math.log(few)))
    return None


def few_and_more(root: Path | None = None) -> tuple[dict[str, VariantResult], dict[int, VariantResult]] | None:
    """The longest complete records of FEW images by variant, and of those as they are by number; None if some lack."""
    for passes in ("240", "40"):
        few = results_of(NAME, [f"{FEW}-images-{passes}-passes"], LABELS, root)
        more = results_of(NAME, [f"more-images-{passes}-passes"], map(str, MORE), root)
        if {"both", "neither"} <= set(few) and len(more) == len(MORE):
            return few, {FEW: few["neither"]} | {size: more[str(size)] for size in MORE}
    return None
