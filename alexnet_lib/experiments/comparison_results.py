"""What a comparison gave, for the book: errors and differences of recorded variants, and a small comparison run live.

Used by "Local response normalisation" and "Overlapping pooling" (sections 3.3, 3.4; claims C06 to C08).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import records
from ..datasets import ImageSet
from ..devices import keep_freed_memory
from ..effects import Effect, Sample, compared, paired, told
from ..origin import NOT_RUN
from ..train import fit
from .comparison import NetConfig, Terms, centre_error, groups_of, settings_of, training_images
from .pixels import Scale, fitted_scale, with_noise
from .watching import watching

AT_GUESSING = 0.02  # so near to the error of guessing, or above it, a network has learned nothing: a line of ours


@dataclass(frozen=True)
class VariantResult:
    """One variant's record. Errors are shares, by seed, on centre crops."""

    record: dict[str, Any]

    @property
    def key(self) -> str:
        """experiment/run, as figures and tables name the record that stands behind them."""
        return records.key(self.record)

    @property
    def seeds(self) -> list[int]:
        return self.record["result"]["seeds"]

    @property
    def rate(self) -> float:
        return self.record["result"]["rate"]

    @property
    def test_error(self) -> dict[int, float]:
        """By seed."""
        return dict(zip(self.seeds, self.record["result"]["test_error"], strict=True))

    @property
    def training_error(self) -> dict[int, float]:
        """By seed, of the training images' centres after training."""
        return dict(zip(self.seeds, self.record["result"]["training_error"], strict=True))

    def views_error(self, which: str) -> dict[int, float]:
        """The test error by seed with a set of views (`views.SETS`); {} where none was recorded."""
        found = self.record["result"].get("views_error", {}).get(which, ())
        return dict(zip(self.seeds, found, strict=True)) if found else {}

    @property
    def gap(self) -> dict[int, float]:
        """Test error less training error, by seed: how much was learned by heart."""
        return {seed: self.test_error[seed] - self.training_error[seed] for seed in self.seeds}

    @property
    def curves(self) -> list[tuple[list[float], list[float]]]:
        """For each seed: passes, and the training error of each pass, as it was counted in training."""
        runs = [one for one in self.record["curves"] if not one["pilot"]]
        return [(one["curve"]["passes"], one["curve"]["pass_error"]) for one in runs]


Numbers = Callable[[VariantResult], Mapping[int, float]]


def test_error(result: VariantResult) -> Mapping[int, float]:
    """By seed, of the test images' centres."""
    return result.test_error


test_error.__test__ = False  # pytest would take it for a test where it is imported


def gap(result: VariantResult) -> Mapping[int, float]:
    """Test error less training error, by seed."""
    return result.gap


ON_TEST_IMAGES = (test_error, gap)  # of the numbers that are compared, those that are counted on test images


def sample_of(result: VariantResult, numbers: Numbers = test_error) -> Sample:
    """A variant's numbers by seed; of errors on test images, how many these are, as such a record has no more."""
    values = tuple(numbers(result).values())
    if numbers not in ON_TEST_IMAGES:
        return Sample(values)
    mean = statistics.mean(result.test_error.values())
    return Sample(values, images=result.record["dataset"]["test_images"], mean_error=mean)


def effect_of(tested: VariantResult, without: VariantResult, numbers: Numbers = test_error) -> Effect | None:
    """How much lower the numbers of `tested` are than those of `without`, with its chance by seeds and images; None
    where there is one seed of each, or a network that learned nothing."""
    if broken(tested.record) or broken(without.record):
        return None
    return compared(sample_of(tested, numbers), sample_of(without, numbers))


def views_gain(result: VariantResult, views: str = "ten") -> Effect | None:
    """By how much several views of the same networks err less than one of the centre; None for one seed."""
    several = Sample(tuple(result.views_error(views).values()), images=sample_of(result).images)
    return paired(several, sample_of(result))


def at_guessing(error: float, classes: int) -> bool:
    """Whether an error is one of a network that has learned nothing."""
    return error > 1 - 1 / classes - AT_GUESSING


def broken(record: Mapping[str, Any]) -> bool:
    """Whether a run of a variant diverged, or ended at the error of guessing (where the record names its classes): it
    has nothing to compare."""
    classes = record["configuration"].get("classes")
    stuck = bool(classes) and any(at_guessing(error, len(classes)) for error in record["result"]["test_error"])
    return bool(record["result"].get("diverged")) or stuck


def results_of(
    experiment: str, parts: Sequence[str], variants: Iterable[str], root: Path | None = None
) -> dict[str, VariantResult]:
    """Those of the variants that are recorded in the part that is shown (`records.shown`): {variant: result}."""
    found = records.shown(experiment, parts, root)
    return {name: VariantResult(found[name]) for name in variants if name in found}


def mean_and_spread(errors: Iterable[float]) -> str:
    """In per cent, with the sample deviation: "24.1 ± 0.3 (3 seeds)"."""
    errors = list(errors)
    if len(errors) == 1:
        return f"{100 * errors[0]:.1f} (1 seed)"
    return f"{100 * statistics.mean(errors):.1f} ± {100 * statistics.stdev(errors):.1f} ({len(errors)} seeds)"


def rows_of(
    results: Mapping[str, VariantResult], labels: Mapping[str, str], than: str | None = None
) -> list[list[str]]:
    """For a table, a row a label: training error, test error, how much better its test error is than that of `than`
    (None: the first label's), and its rate."""
    reference = results.get(next(iter(labels)) if than is None else than)
    rows = []
    for name, label in labels.items():
        found = results.get(name)
        if found is None:
            rows.append([label, NOT_RUN, NOT_RUN, NOT_RUN, "-"])
            continue
        errors = [mean_and_spread(by_seed.values()) for by_seed in (found.training_error, found.test_error)]
        rows.append([label, *errors, better(found, reference), f"{found.rate:g}"])
    return rows


def better(result: VariantResult, than: VariantResult | None, numbers: Numbers = test_error) -> str:
    """By how many points a variant's numbers are lower than another's, with the 95% interval; "-" for its own."""
    if than is None or result is than:
        return "-"
    effect = effect_of(result, than, numbers)
    if effect is None:
        nothing = broken(result.record) or broken(than.record)
        return "learned nothing" if nothing else "1 seed of each: cannot tell"
    return told(effect)


def keys_of(results: Mapping[str, VariantResult]) -> list[str]:
    """The records behind some results, as figures and tables name them."""
    return [result.key for result in results.values()]


@dataclass(frozen=True)
class LiveVariant:
    """A variant trained in a chapter: its network, the pixels it expects, errors as shares, seconds of training.

    curve: passes, and the training error of each stretch, several a pass; points: all that is known at each of them.
    """

    net: nn.Module
    scale: Scale
    training_error: float
    test_error: float
    seconds: float
    curve: tuple[list[float], list[float]]
    points: list[dict[str, float]] = field(default_factory=list)


def live_comparison(
    train: ImageSet,
    test: ImageSet,
    variants: Mapping[str, NetConfig],
    *,
    rates: Mapping[str, float] | float = 0.003,
    seeds: Iterable[int] = (0,),
    passes: float = 1.5,
    crop: bool = True,
    terms: Mapping[str, Terms] | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, list[LiveVariant]]:
    """Train each variant from each seed, all alike but for their rates: {variant: [a run a seed]}.

    train: the images to use, all of them; `crop`: random crops and reflections, else the centres; `terms`: those of
    some variants instead, as to augmentation, decay, pixels and what is watched. The errors are those of centre crops,
    in evaluation mode, of `train` and `test`.
    """
    keep_freed_memory()
    runs: dict[str, list[LiveVariant]] = {name: [] for name in variants}
    for name, config in variants.items():
        own = (terms or {}).get(name, Terms(augmented=crop))
        rate = rates if isinstance(rates, float) else rates[name]
        settings = settings_of(own, config, rate=rate, passes=passes, points=1 if own.watched else 4)
        images = training_images(train, own, config.image_size).images
        scale = fitted_scale(own.pixels, train.images)
        for seed in seeds:
            net = config.build(seed=seed)
            look = watching(net, train, test, own.watched, scale, str(device)) if own.watched else None
            result = fit(
                net, images, train.labels, settings, with_noise(own.noise, scale, train.images, seed), seed=seed,
                device=device, label=f"{name}, seed {seed}", progress=True, parameters=groups_of(net, settings),
                on_point=look,
            )  # fmt: skip
            errors = [centre_error(net, some, scale, str(device)) for some in (train, test)]
            curve = [point["passes"] for point in result.curve], [point["error"] for point in result.curve]
            runs[name].append(LiveVariant(net, scale, *errors, result.seconds, curve, result.curve))
    return runs
