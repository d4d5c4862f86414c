"""Weight decay and starting biases on CIFAR-10 (claims C19, C20; section 5).

Decay: the network of "Dropout", which ends as the paper's does, trained with crops and reflections and the rate divided
by 10 three times; the question is the training error, which the paper says decay lowers too. In n steps at a rate e,
with momentum 0.9, a decay of d shrinks a weight by exp(-10 e d n): one that mattered over the paper's 900,000 steps can
hardly show in a shorter run, so a larger one stands beside it. Biases: the paper's eight layers in small with the
starting weights of the text or of the 2012 code, biases at 1, Caffe's 0.1 or 0; the question is the training error of
the first passes. Every variant chooses its rate. Small: `live.live_comparison`, in the chapter "Details of learning",
which also reads the records. Full: `run_from` behind `python -m alexnet_lib experiment learning-cifar10 --full`.
"""

from __future__ import annotations

from ..network.small.eight_layers import EightLayersConfig
from ..network.small.with_dropout import DropoutNetConfig
from .results import VariantResult
from .running.comparison import Terms
from .running.comparison_runs import Change, Comparison, Part

NAME = "learning-cifar10"
SUMMARY = "CIFAR-10 training error with weight decay (C19) and its first passes with biases at 1 (C20)"
DECAYS = {"decay-0": 0.0, "decay-0.0005": 0.0005, "decay-0.005": 0.005}
BIASES = {"bias-0": 0.0, "bias-0.1": 0.1, "bias-1": 1.0}
STARTS = ("text", "code2012")
LABELS = {name: f"decay {decay:g}" for name, decay in DECAYS.items()}
LABELS |= {name: f"biases {bias:g}" for name, bias in BIASES.items()}
LABELS |= {
    "decay-0.0005": "decay 0.0005, the paper's",
    "bias-0.1": "biases 0.1, Caffe's",
    "bias-1": "biases 1, the paper's",
}
PAPERS_DECAY, WATCHED = 0.0005, 2_000
_NET = DropoutNetConfig(rate=0.5)
_WITH_DECAY = {name: Change(_NET, {"decay": decay}) for name, decay in DECAYS.items()}


def with_biases(start: str) -> dict[str, EightLayersConfig]:
    """The variants of a part on biases, all from starting weights of that kind; the others are compared with 0."""
    return {name: EightLayersConfig(bias, start) for name, bias in BIASES.items()}


def _decay(name: str, images: int | None, stages: tuple[float, ...], pilot: float, seeds: int) -> Part:
    rates = (0.003, 0.01, 0.03) if pilot else (0.01,)
    return Part(name, Terms(images, True, stages, rates, pilot, decay=0.0, watched=WATCHED), _WITH_DECAY, seeds)


def _biases(name: str, start: str, images: int | None, passes: float, pilot: float, seeds: int) -> Part:
    rates = (0.001, 0.003, 0.01) if pilot else (0.003,)
    return Part(
        f"{name}-{start}",
        Terms(images, True, (passes,), rates, pilot, decay=PAPERS_DECAY, watched=WATCHED),
        with_biases(start),
        seeds,
    )


DECAY_LONG = _decay("decay-160-passes", None, (100, 20, 20, 20), pilot=20, seeds=5)
DECAY_SHORT = _decay("decay-10000-images-40-passes", 10_000, (28, 4, 4, 4), pilot=10, seeds=3)
BIASES_LONG = tuple(_biases("biases-20-passes", start, None, 20, pilot=10, seeds=5) for start in STARTS)
BIASES_SHORT = tuple(_biases("biases-10000-images-20-passes", s, 10_000, 20, pilot=10, seeds=3) for s in STARTS)
SMALL = (
    _decay("small-decay", 2_000, (3, 1, 1, 1), pilot=0, seeds=1),
    *(_biases("small-biases", start, 2_000, 4, pilot=0, seeds=1) for start in STARTS),
)
EXPERIMENT = Comparison(
    NAME, ("C19", "C20"), small=SMALL, on_cpu=(DECAY_SHORT, *BIASES_SHORT), on_gpu=(DECAY_LONG, *BIASES_LONG)
)
run_from = EXPERIMENT.run_from


EARLY = 2  # passes: the paper says "early stages" and no more


def early_error(result: VariantResult) -> dict[int, float]:
    """By seed, the training error of the second pass as it was counted in training; runs that diverged are left out."""
    runs = [one for one in result.record["curves"] if not one["pilot"] and one.get("diverged_at") is None]
    return {one["seed"]: one["curve"]["pass_error"][EARLY - 1] for one in runs}


def training_error(result: VariantResult) -> dict[int, float]:
    """By seed, of the training images' centres after training."""
    return result.training_error
