"""The rule of most claims: two variants trained from the same seeds, and their difference seed by seed.

It works on any record whose result has `seeds`, `test_error` and `training_error`, shares by seed
(`experiments.comparison_results.VariantResult`): of small networks on CIFAR-10, of the whole one on Tiny ImageNet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import records as recorded
from ..experiments.chance import by_images
from ..experiments.comparison_results import Difference, VariantResult, difference
from ..experiments.learning_results import test_error
from .findings import Finding, Verdict, about, command_of, keys_of, place_of

Numbers = Callable[[VariantResult], Mapping[int, float]]
Found = Mapping[str, VariantResult]


AT_GUESSING = 0.02  # so near to the error of guessing, or above it, a network has learned nothing: a line of ours


@dataclass(frozen=True)
class Unit:
    """How a difference is told: `value` makes words of one number of it, `none` is what no effect is."""

    value: Callable[[float], str]
    none: str
    name: str


POINTS = Unit(lambda share: f"{100 * share:+z.2f}", "0", "points")
TIMES = Unit(lambda log: f"{math.exp(log):.1f}", "1", "times")


@dataclass(frozen=True)
class Measured:
    """What a rule found in the records: the effect (None: they do not hold it), and itself in other words if wanted.

    stuck: variants of which a run ended at guessing: it did not learn, whatever was changed. by_images: how far from 0
    the effect can be by the drawn test images alone (95%), None where it is not counted on such.
    """

    change: Difference | None
    records: tuple[dict[str, Any], ...]
    figure: str = ""
    stuck: tuple[str, ...] = ()
    by_images: float | None = None


@dataclass(frozen=True)
class Effect:
    """A test of a claim: an effect whose sign the paper gives, read from records by `measure`.

    measure: of a folder of records (None: the book's); None where they are not there. sign: the expected one. paper:
    the paper's own figure in the effect's unit (a share, or the log of a factor), where ours is about the same data.
    limits: what may not be concluded.
    """

    what: str
    experiment: str
    measure: Callable[[Path | None], Measured | None]
    sign: int
    limits: str
    unit: Unit = POINTS
    paper: float | None = None
    decides: bool = True

    def __call__(self, root: Path | None = None) -> Finding:
        found = self.measure(root)
        if found is None:
            return missing(self.what, self.experiment, self.decides)
        verdict, why = judged(found, self.sign, self.unit, self.paper)
        figure = found.figure or (told(found.change, self.unit) if found.change else "")
        return Finding(
            self.what, verdict, f"{why} {self.limits}".strip(), figure, about(found.records), keys_of(found.records),
            self.experiment, command_of(self.experiment), self.decides,
            bool(found.stuck) or (found.change is not None and found.change.standard_error is None),
        )  # fmt: skip


def missing(what: str, experiment: str, decides: bool = True) -> Finding:
    """The finding where the records of an experiment are not there, or not all of those that are compared."""
    command = command_of(experiment)
    why = "" if command else "The experiment is not written yet."
    place = place_of(experiment)
    return Finding(what, Verdict.NOT_RUN, why, "", place, experiment=experiment, command=command, decides=decides)


def told(change: Difference, unit: Unit) -> str:
    """The effect with its standard error over seeds, or a factor with its interval: "+2.02 ± 0.24 points"."""
    if unit is TIMES or change.standard_error is None:
        return f"{unit.value(change.mean)} {unit.name}"
    return f"{unit.value(change.mean)} ± {100 * change.standard_error:.2f} {unit.name}"


def judged(found: Measured, sign: int, unit: Unit = POINTS, paper: float | None = None) -> tuple[Verdict, str]:
    """The verdict on an effect, and why: from its 95% interval over seeds, and from what the test images alone can do.

    One seed is never enough; nor are many seeds on few images, which would all be moved alike by other images.
    """
    change = found.change
    if any(one["dataset"]["stand_in"] for one in found.records):
        return Verdict.NOT_TESTED, "The images were drawn: nothing about photographs follows."
    if change is None:
        return Verdict.NOT_TESTED, "The records do not hold what this test needs."
    if found.stuck:
        names = " and ".join(found.stuck)
        return Verdict.UNDECIDED, (f"A run of {names} ended at guessing: it learned nothing, and so says nothing of "
                                   "what its change does to a network that learns.")  # fmt: skip
    if change.standard_error is None:
        return Verdict.UNDECIDED, "One seed: nothing tells how much of the difference is chance."
    low, high = change.interval
    inside = paper is not None and low <= paper <= high
    said = change.verdict(sign)
    span = f"the 95% interval, {unit.value(low)} to {unit.value(high)} {unit.name}"
    theirs = "" if paper is None else f"; the paper's {unit.value(paper)} is {'in' if inside else 'out'}side it"
    if said == "undecided":
        return Verdict.UNDECIDED, f"{unit.none} is inside {span}, so not even the sign is known{theirs}."
    if found.by_images is not None and abs(change.mean) <= found.by_images:
        images = min(one["dataset"]["test_images"] for one in found.records)
        reach = f"{100 * found.by_images:.1f} {unit.name}"
        return Verdict.UNDECIDED, (f"{unit.none} is outside {span}: with these test images, other seeds would give the "
                                   f"same sign. But other images, {images:,} as here, can move it by up to {reach} "
                                   f"(95%, as if each network had its own){theirs}.")  # fmt: skip
    if said == "differs":
        return Verdict.DIFFERS, f"The sign is the opposite one: {unit.none} is outside {span}{theirs}."
    return (Verdict.AGREES if inside else Verdict.IN_DIRECTION), f"{unit.none} is outside {span}{theirs}."


def variants(experiment: str, parts: Sequence[str], names: Sequence[str], root: Path | None) -> Found:
    """The complete records of all of `names` in the first of `parts` that has them: {name: result}, {} if none has."""
    for part in parts:
        found = {name: recorded.load(experiment, f"{part}_{name}", root) for name in names}
        done = {k: VariantResult(one) for k, one in found.items() if one and one["result"]["complete"]}
        if len(done) == len(names):
            return done
    return {}


def on_tiny(experiment: str, names: Sequence[str], root: Path | None) -> Found:
    """The records of all of `names` on Tiny ImageNet, at the size with most images that has them; {} if none has.

    Runs are SIZE_NAME. One seed of each variant is trained first: those that lack seeds count where none is complete.
    """

    def worth(found: Found) -> tuple[bool, int]:
        records = records_of(found)
        return all(one["result"]["complete"] for one in records), records[0]["dataset"]["images"]

    by_size: dict[str, dict[str, VariantResult]] = {}
    for run, record in recorded.load(experiment, root=root).items():
        size, _, name = run.rpartition("_")
        if name in names and record["result"]["seeds"] and not size.startswith("small"):
            by_size.setdefault(size, {})[name] = VariantResult(record)
    whole = [found for found in by_size.values() if len(found) == len(names)]
    return max(whole, key=worth, default={})


def gap(result: VariantResult) -> dict[int, float]:
    """Test error less training error, by seed."""
    return result.gap


ON_TEST_IMAGES = (test_error, gap)  # what is counted on them, of the numbers that rules compare


def less(
    experiment: str, parts: Sequence[str], one: str, other: str, numbers: Numbers = test_error
) -> Callable[[Path | None], Measured | None]:
    """A `measure`: the numbers of variant `one` less those of `other`; without `parts`, on Tiny ImageNet."""

    def measure(root: Path | None) -> Measured | None:
        names = (one, other)
        found = variants(experiment, parts, names, root) if parts else on_tiny(experiment, names, root)
        if not found:
            return None
        change = difference(numbers(found[one]), numbers(found[other]))
        at_guessing = tuple(name for name in names if stuck(found[name]))
        images = by_images(*(found[name] for name in names)) if numbers in ON_TEST_IMAGES else None
        return Measured(change, records_of(found), stuck=at_guessing, by_images=images)

    return measure


def stuck(result: VariantResult) -> bool:
    """Whether a run of a variant ended at the error of guessing; False where the record does not name its classes."""
    classes = result.record["configuration"].get("classes")
    return bool(classes) and max(result.test_error.values()) > 1 - 1 / len(classes) - AT_GUESSING


def gain_of_views(
    experiment: str, parts: Sequence[str], name: str, views: str = "ten"
) -> Callable[[Path | None], Measured | None]:
    """A `measure`: a variant's test error with one view of the centre less that with several."""

    def measure(root: Path | None) -> Measured | None:
        found = variants(experiment, parts, (name,), root) if parts else on_tiny(experiment, (name,), root)
        if not found:
            return None
        gain = difference(found[name].test_error, found[name].views_error(views))
        return Measured(gain, records_of(found), by_images=by_images(found[name], found[name]))

    return measure


def records_of(found: Found) -> tuple[dict[str, Any], ...]:
    return tuple(result.record for result in found.values())


def all_of(what: str, effects: Sequence[Effect], limits: str) -> Callable[[Path | None], Finding]:
    """A rule out of several effects, each of which the claim says: the verdict is that of the one that says least."""
    least = (Verdict.NOT_RUN, Verdict.NOT_TESTED, Verdict.DIFFERS, Verdict.UNDECIDED, Verdict.IN_DIRECTION)

    def rule(root: Path | None = None) -> Finding:
        found = [effect(root) for effect in effects]
        verdict = min((one.verdict for one in found), key=[*least, Verdict.AGREES].index)
        if verdict is Verdict.NOT_RUN:
            return missing(what, effects[0].experiment)
        return Finding(
            what, verdict, " ".join([*(f"{one.what}: {one.why}" for one in found), limits]),
            "; ".join(f"{one.what} {one.figure}" for one in found), found[0].data,
            tuple(dict.fromkeys(key for one in found for key in one.records)), effects[0].experiment, found[0].command,
            weak=any(one.weak for one in found),
        )  # fmt: skip

    return rule
