"""What a comparison gave, for the book: errors and differences of recorded variants, and a small comparison run live.

Used by "Local response normalisation" and "Overlapping pooling" (sections 3.3, 3.4; claims C06 to C08).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import records
from ..datasets import ImageSet
from ..devices import keep_freed_memory
from ..origin import NOT_RUN
from ..train import fit
from .comparison import NetConfig, Terms, centre_error, groups_of, settings_of, training_images
from .pixels import Scale, fitted_scale, with_noise
from .watching import watching

# Student's t for a 95% interval of a mean, by the number of seeds; the last one serves for more of them.
T95 = (math.inf, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


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


@dataclass(frozen=True)
class Difference:
    """How much higher one variant's numbers are than another's, over the seeds both have: mean and standard error."""

    mean: float
    standard_error: float | None
    seeds: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the mean over seeds, by Student's t; endless for one seed."""
        reach = T95[min(self.seeds, len(T95)) - 1]
        reach = math.inf if self.standard_error is None else reach * self.standard_error
        return self.mean - reach, self.mean + reach

    def verdict(self, expected_sign: int) -> str:
        """Is the sign the expected one: "agrees" or "differs", or "undecided" where 0 is inside the 95% interval."""
        low, high = self.interval
        if low <= 0 <= high:
            return "undecided"
        return "agrees" if self.mean * expected_sign > 0 else "differs"

    def __str__(self) -> str:
        """In points: "-0.42 ± 0.15 (3 seeds)"."""
        if self.standard_error is None:
            return f"{100 * self.mean:+z.2f} (1 seed)"
        return f"{100 * self.mean:+z.2f} ± {100 * self.standard_error:.2f} ({self.seeds} seeds)"


def difference(one: Mapping[int, float], other: Mapping[int, float]) -> Difference | None:
    """`one` less `other`, seed by seed; None where they have no seed in common."""
    pairs = [one[seed] - other[seed] for seed in sorted(one) if seed in other]
    if not pairs:
        return None
    error = statistics.stdev(pairs) / math.sqrt(len(pairs)) if len(pairs) > 1 else None
    return Difference(statistics.mean(pairs), error, len(pairs))


def results_of(
    experiment: str, parts: Sequence[str], variants: Iterable[str], root: Path | None = None
) -> dict[str, VariantResult]:
    """The complete records of the first of `parts` that has one of the first variant: {variant: result}.

    {} where none is recorded yet. Parts are given the best first: the long run before the short one.
    """
    names = list(variants)
    for part in parts:
        found = {name: records.load(experiment, f"{part}_{name}", root) for name in names}
        done = {name: VariantResult(one) for name, one in found.items() if one and one["result"]["complete"]}
        if names and names[0] in done:
            return done
    return {}


def mean_and_spread(errors: Iterable[float]) -> str:
    """In per cent, with the sample deviation: "24.1 ± 0.3 (3 seeds)"."""
    errors = list(errors)
    if len(errors) == 1:
        return f"{100 * errors[0]:.1f} (1 seed)"
    return f"{100 * statistics.mean(errors):.1f} ± {100 * statistics.stdev(errors):.1f} ({len(errors)} seeds)"


def rows_of(results: Mapping[str, VariantResult], labels: Mapping[str, str]) -> list[list[str]]:
    """For a table, a row a label: training error, test error, the test error's difference to the first, its rate."""
    first = next(iter(results.values()), None)
    rows = []
    for name, label in labels.items():
        found = results.get(name)
        if found is None:
            rows.append([label, NOT_RUN, NOT_RUN, NOT_RUN, "-"])
            continue
        change = "-" if found is first else str(difference(found.test_error, first.test_error))
        errors = [mean_and_spread(by_seed.values()) for by_seed in (found.training_error, found.test_error)]
        rows.append([label, *errors, change, f"{found.rate:g}"])
    return rows


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
    in evaluation mode, of `train` and `test`. Ctrl-C returns what there is by then.
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
            if result.ended == "stopped":
                return runs
            errors = [centre_error(net, some, scale, str(device)) for some in (train, test)]
            curve = [point["passes"] for point in result.curve], [point["error"] for point in result.curve]
            runs[name].append(LiveVariant(net, scale, *errors, result.seconds, curve, result.curve))
    return runs
