"""The one rule by which an effect gives a verdict, for the claims page, the chapters and the study alike.

An effect is what something does: how much better a network is with it than without, so that the paper's way is always
positive. It comes with one interval from seeds and test images (`effects`). Any record whose result has `seeds`,
`test_error` and `training_error` can be compared (`experiments.comparison_results.VariantResult`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..experiments import evidence_results
from ..experiments.results import Numbers, VariantResult, broken, effect_of, results_of, test_error, views_gain
from ..measures.effects import LEVEL, POINTS, TIMES, Effect, Unit, told
from .verdicts import Finding, Verdict, about, about_seeds, command_of, keys_of, place_of

Found = Mapping[str, VariantResult]


@dataclass(frozen=True)
class Measured:
    """What was found in the records: the effect (None: nothing tells what is chance), and more words on it if there are
    any. broken: variants of which a run diverged or learned nothing. tests: of how many tests of one study it is
    one; p: then corrected for that. data: what a Finding says of the records, if not the usual."""

    effect: Effect | None
    records: tuple[dict[str, Any], ...]
    figure: str = ""
    broken: tuple[str, ...] = ()
    tests: int = 1
    p: float | None = None
    data: str = ""


@dataclass(frozen=True)
class Test:
    """A test of a claim: an effect that the paper says to be there, read from records by `measure`.

    measure: of a folder of records (None: the book's); None where they are not there. paper: the paper's effect in its
    unit (a share, or the log of a factor), wherever it was measured. same_data: on the same data as ours. limits: what
    may not be concluded.
    """

    __test__ = False  # pytest would take it for a test

    what: str
    experiment: str
    measure: Callable[[Path | None], Measured | None]
    limits: str
    unit: Unit = POINTS
    paper: float | None = None
    same_data: bool = False
    decides: bool = True

    def __call__(self, root: Path | None = None) -> Finding:
        found = self.measure(root)
        if found is None:
            return missing(self.what, self.experiment, self.decides)
        verdict, why, under = judged(found, self.unit, self.paper, self.same_data)
        effect, could_see, strength = found.effect, "", None
        if effect is not None:
            smallest = effect.detectable(found.tests)
            could_see = f"{self.unit.value(smallest).lstrip('+')} {self.unit.name}"
            strength = smallest / (self.paper or self.unit.large)
        return Finding(
            self.what,
            verdict,
            f"{why} {self.limits}".strip(),
            ": ".join(part for part in (told(effect, self.unit), found.figure) if part),
            found.data or about(found.records),
            keys_of(found.records),
            self.experiment,
            command_of(self.experiment),
            self.decides,
            could_see,
            strength,
            under,
        )


def missing(what: str, experiment: str, decides: bool = True) -> Finding:
    """The finding where the records of an experiment are not there, or not all of those that are compared."""
    command = command_of(experiment)
    why = "" if command else "The experiment is not written yet."
    place = place_of(experiment)
    return Finding(
        what, Verdict.NOT_RUN, why, "", place, experiment=experiment, command=command, decides=decides, strength=None
    )


def judged(
    found: Measured, unit: Unit = POINTS, paper: float | None = None, same_data: bool = False
) -> tuple[Verdict, str, str]:
    """The verdict on an effect, why, and for SMALLER than what.

    Beyond chance (p under 5%, corrected for the other tests of its study), the sign decides. Otherwise an interval that
    ends below the paper's effect, corrected likewise, says that it is smaller here; one that holds both that and
    nothing says nothing.
    """
    effect = found.effect
    if any(one["dataset"]["stand_in"] for one in found.records):
        return Verdict.NOT_TESTED, "The images were drawn: nothing about photographs follows.", ""
    if found.broken:
        names = " and ".join(found.broken)
        return (
            Verdict.BROKEN,
            (
                f"A run of {names} diverged, or ended at guessing: it says nothing of what its change "
                "does to a network that learns."
            ),
            "",
        )
    if effect is None:
        return Verdict.TOO_WEAK, "One seed of each: nothing tells how much of the difference is chance.", ""
    p = effect.p if found.p is None else found.p
    low, high = effect.interval
    theirs = ""
    if paper is not None:
        theirs = f"; the paper's {unit.value(paper)} is {'in' if low <= paper <= high else 'out'}side it"
    corrected = f", corrected for the {found.tests} tests of the study" if found.tests > 1 else ""
    bound = " The images' part in it is an upper limit, as which were wrong was not kept." if effect.bound else ""
    why = f"p = {p:.2g}{corrected}. The 95% interval is {unit.value(low)} to {unit.value(high)}{theirs}.{bound}"
    if p < LEVEL:
        if effect.size < 0:
            return Verdict.DIFFERS, f"The effect goes the other way: {why}", ""
        agrees = same_data and paper is not None and low <= paper <= high
        return (Verdict.AGREES if agrees else Verdict.IN_DIRECTION), why, ""
    most, reference = effect.interval_among(found.tests)[1], unit.large if paper is None else paper
    if most < reference:
        if found.tests > 1:
            why += f" Corrected, it ends at {unit.value(most)}."
        return Verdict.SMALLER, why, f"{unit.value(most).lstrip('+')} {unit.name}"
    return Verdict.TOO_WEAK, why, ""


def asked(name: str, what: str, limits: str, decides: bool = True) -> Test:
    """A question of the registered study, by its name in `evidence_results.QUESTIONS`."""
    question = evidence_results.QUESTIONS[name]

    def measure(root: Path | None) -> Measured | None:
        answer = evidence_results.answers(root).get(name)
        if answer is None:
            return None
        return Measured(
            answer.effect,
            answer.records,
            "",
            answer.broken,
            len(evidence_results.QUESTIONS),
            answer.p,
            about_seeds(answer.records),
        )

    unit = TIMES if question.number in evidence_results.FACTORS else POINTS
    return Test(what, evidence_results.evidence.NAME, measure, limits, unit, question.paper, decides=decides)


def variants(experiment: str, parts: Sequence[str], names: Sequence[str], root: Path | None) -> Found:
    """The records of all of `names` in the part that is shown: {name: result}; {} if it lacks one."""
    found = results_of(experiment, parts, names, root)
    return found if len(found) == len(names) else {}


def with_and_without(
    experiment: str, parts: Sequence[str], tested: str, without: str, numbers: Numbers = test_error
) -> Callable[[Path | None], Measured | None]:
    """A `measure`: how much lower the numbers of variant `tested` are than those of `without`."""

    def measure(root: Path | None) -> Measured | None:
        found = variants(experiment, parts, (tested, without), root)
        if not found:
            return None
        stuck = tuple(name for name, one in found.items() if broken(one.record))
        both = [found[name] for name in (tested, without)]
        effect = None if stuck else effect_of(*both, numbers)
        return Measured(effect, records_of({"": both[0], " ": both[1]}), broken=stuck)

    return measure


def gain_of_views(experiment: str, parts: Sequence[str], name: str, views: str = "ten") -> Callable:
    """A `measure`: by how much several views of the same networks err less than one of the centre."""

    def measure(root: Path | None) -> Measured | None:
        found = variants(experiment, parts, (name,), root)
        if not found or not found[name].views_error(views):
            return None
        return Measured(views_gain(found[name], views), records_of(found))

    return measure


def records_of(found: Found) -> tuple[dict[str, Any], ...]:
    return tuple(result.record for result in found.values())


def all_of(
    what: str, tests: Sequence[Callable[[Path | None], Finding]], experiment: str, limits: str
) -> Callable[[Path | None], Finding]:
    """A rule out of several tests, each of which the claim says: the verdict is that of the one that says least."""
    least = (
        Verdict.NOT_RUN,
        Verdict.NOT_TESTED,
        Verdict.BROKEN,
        Verdict.DIFFERS,
        Verdict.TOO_WEAK,
        Verdict.SMALLER,
        Verdict.IN_DIRECTION,
        Verdict.AGREES,
    )

    def rule(root: Path | None = None) -> Finding:
        found = [test(root) for test in tests]
        first = min(found, key=lambda one: least.index(one.verdict))
        if first.verdict is Verdict.NOT_RUN:
            return missing(what, experiment)
        seen = [one.strength for one in found]
        return Finding(
            what,
            first.verdict,
            " ".join([*(f"{one.what.rstrip(':')}: {one.why}" for one in found), limits]),
            "; ".join(f"{one.what} {one.figure}" for one in found),
            found[0].data,
            tuple(dict.fromkeys(key for one in found for key in one.records)),
            experiment,
            command_of(experiment),
            could_see="; ".join(one.could_see for one in found if one.could_see),
            strength=None if None in seen else max(seen),
            under=first.under,
        )

    return rule
