"""What was recorded of comparisons and races, for the book: errors, passes, differences, or "not yet run".

Shares are 0 to 1; effects are positive where the thing that is tested does good (`measures.effects`).
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import records
from ..measures.effects import Effect, Sample, compared, paired, told
from ..records import NOT_RUN
from .chance import TWO_SIDED, apart_error, mean_and_spread
from .running.machine import at_guessing
from .running.race import passes_to


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
        """The test error by seed with a set of views (`view_sets.SETS`); {} where none was recorded."""
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


def keys_of(results: Mapping[str, VariantResult] | Iterable[RaceResult | None]) -> list[str]:
    """The records behind some results, as figures and tables name them; those not yet run are left out."""
    results = results.values() if isinstance(results, Mapping) else results
    return [result.key for result in results if result is not None]


def by_images(one: VariantResult, other: VariantResult) -> float:
    """How far apart the test errors of two alike networks can be by the drawn test images alone (95%).

    As if each had images of its own: an upper limit, as a record does not hold which images each one is wrong on.
    """
    means = [statistics.mean(result.test_error.values()) for result in (one, other)]
    return TWO_SIDED * apart_error(*means, min(result.record["dataset"]["test_images"] for result in (one, other)))


@dataclass(frozen=True)
class RaceResult:
    """One contender's record: its best rate, its runs there, and how many passes they took."""

    record: dict[str, Any]

    @property
    def key(self) -> str:
        """experiment/run, as figures and tables name the record that stands behind them."""
        return records.key(self.record)

    @property
    def best_rate(self) -> float:
        return self.record["result"]["best_rate"]

    @property
    def cap(self) -> float:
        return self.record["configuration"]["settings"]["passes"]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The training runs at the best rate, by seed; each has curve: passes, pass_error, loss."""
        return [o for o in self.record["curves"] if o["rate"] == self.best_rate]

    def passes(self, threshold: float) -> list[float | None]:
        """For each seed the passes until the training error was at or under `threshold`, None if it never was."""
        return [passes_to(outcome, threshold) for outcome in self.runs]

    def typical(self, threshold: float) -> float | None:
        """The median over seeds, or None where a seed never came there."""
        passes = self.passes(threshold)
        return None if None in passes else statistics.median(passes)

    @property
    def curves(self) -> list[tuple[list[float], list[float]]]:
        """For each seed at the best rate: passes, and the training error of the last whole pass at each."""
        return [(o["curve"]["passes"], o["curve"]["pass_error"]) for o in self.runs]

    def text(self, threshold: float) -> str:
        """For a table: "9.8 (9.5 to 10.0; 3 seeds)", or that it was not met within the cap."""
        passes = self.passes(threshold)
        met = [p for p in passes if p is not None]
        if len(met) < len(passes):
            return f"not within {self.cap:g} ({len(met)} of {_seeds(len(passes))} did)"
        if len(met) == 1:
            return f"{met[0]:.1f} (1 seed)"
        return f"{statistics.median(met):.1f} ({min(met):.1f} to {max(met):.1f}; {_seeds(len(met))})"


def _seeds(count: int) -> str:
    return f"{count} seed" + "s" * (count != 1)


def result_of(
    experiment: str,
    nonlinearity: str,
    start: str = "2012",
    pixels: str = "0-255",
    architecture: str = "80sec",
    root: Path | None = None,
    images: int | None = None,
) -> RaceResult | None:
    """The recorded result of one contender, or None where it is not yet run (or its sweep is not through).

    images: how many training images it had (None: all).
    """
    some = f"_{images}-images" if images else ""
    record = records.load(experiment, f"{architecture}_{start}_{pixels}_{nonlinearity}{some}", root)
    if not record or not record["result"]["sweep_done"]:
        return None
    return RaceResult(record)


@dataclass(frozen=True)
class Ratio:
    """How many times as many passes the slow one takes: of the medians, with the range over all pairs of seeds.

    With `at_least`, some seed of the slow one did not get there within its cap, and the cap stands for it.
    """

    middle: float
    lowest: float
    highest: float
    at_least: bool = False

    def __str__(self) -> str:
        if self.at_least:
            return f"over {self.middle:.1f}"
        return f"{self.middle:.1f} ({self.lowest:.1f} to {self.highest:.1f})"


def ratio(slow: RaceResult | None, fast: RaceResult | None, threshold: float) -> Ratio | None:
    """Passes of `slow` over those of `fast` to a training error; None where one is missing or the fast one failed."""
    if slow is None or fast is None or fast.typical(threshold) is None:
        return None
    taken = [slow.cap if p is None else p for p in slow.passes(threshold)]
    pairs = [s / f for s, f in itertools.product(taken, fast.passes(threshold))]
    middle = statistics.median(taken) / fast.typical(threshold)
    return Ratio(middle, min(pairs), max(pairs), at_least=slow.typical(threshold) is None)
