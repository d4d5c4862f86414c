"""What a test of a claim can come to: a small fixed set of verdicts, each found by a rule and never typed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .. import records as recorded


class Verdict(StrEnum):
    """How a claim stands; MEANINGS says when each is given."""

    AGREES = "agrees"
    IN_DIRECTION = "agrees in direction"
    SMALLER = "smaller"
    TOO_WEAK = "too weak to tell"
    BROKEN = "broken run"
    DIFFERS = "differs"
    NOT_TESTED = "not tested"
    NOT_RUN = recorded.NOT_RUN


MEANINGS = {
    Verdict.AGREES: "the paper's figure comes out, by arithmetic or within our 95% interval on the data it is about",
    Verdict.IN_DIRECTION: "the effect goes the paper's way by more than chance (95%); its size is another, or was "
    "measured on other data",
    Verdict.SMALLER: "if there is an effect, it is smaller here than the paper's: our 95% interval, corrected for the "
    "other tests of its study, ends below that; and chance may still be all of it (p is not under 5%, corrected too)",
    Verdict.TOO_WEAK: "the test has too few seeds or images. Chance may still be all of it, and that interval does not "
    "rule out an effect as large as the paper's; or there is one seed of each, and nothing tells what chance does; or "
    "of single cases, some go the paper's way and some do not",
    Verdict.BROKEN: "a run diverged, or ended at the error of guessing: it learned nothing that could be compared",
    Verdict.DIFFERS: "another figure comes out, or the effect goes the other way by more than chance (95%)",
    Verdict.NOT_TESTED: "what the test would take cannot be had here",
    Verdict.NOT_RUN: "there is no record yet, or not all of those that the test compares",
}
FOUND = (Verdict.AGREES, Verdict.IN_DIRECTION, Verdict.SMALLER, Verdict.TOO_WEAK, Verdict.BROKEN, Verdict.DIFFERS)


def settled(right: bool) -> Verdict:
    """Of what arithmetic decides: the paper's figure comes out, or another."""
    return Verdict.AGREES if right else Verdict.DIFFERS


def of_cases(going: Sequence[bool]) -> Verdict:
    """Of single cases, each of which goes the paper's way or not: all must, to agree in direction."""
    return Verdict.IN_DIRECTION if all(going) else Verdict.TOO_WEAK if any(going) else Verdict.DIFFERS


@dataclass(frozen=True)
class Finding:
    """What one test of a claim gave.

    what: what was compared. figure: ours, in words, "" where there is none. data: what images, how many, and the seeds.
    why: why the verdict is what it is, and what cannot be concluded. records: the keys of those behind it. experiment,
    command: what makes them, the command "" if it is not written yet. decides: whether it may give the claim its
    verdict, or only stands beside. could_see: in words, the smallest effect that the test would have seen in four of
    five tries, "" where it is no test of an effect; strength: how many times the paper's that is, so that less is more;
    None where even that is not known. under: of SMALLER, in words, than what.
    """

    what: str
    verdict: Verdict
    why: str
    figure: str = ""
    data: str = ""
    records: tuple[str, ...] = ()
    experiment: str = ""
    command: str = ""
    decides: bool = True
    could_see: str = ""
    strength: float | None = 0.0
    under: str = ""

    @property
    def said(self) -> str:
        """The verdict in words: "smaller than 0.6 points"."""
        return f"{self.verdict} than {self.under}" if self.under else str(self.verdict)


@dataclass(frozen=True)
class Judgement:
    """A claim's findings, the test nearest to the paper's own first."""

    claim: str
    findings: tuple[Finding, ...]

    @property
    def deciding(self) -> Finding:
        """Of those that may decide and found something, the one that could have seen the smallest effect; a broken one
        only where there is no other. Where nothing was found, the first that may decide."""
        found = [one for one in self.findings if one.decides and one.verdict in FOUND]
        whole = [one for one in found if one.verdict is not Verdict.BROKEN] or found
        waiting = [one for one in self.findings if one.decides]
        return min(whole or waiting[:1], key=lambda one: math.inf if one.strength is None else one.strength)

    @property
    def verdict(self) -> Verdict:
        return self.deciding.verdict


def about(found: Sequence[dict[str, Any]]) -> str:
    """Of records: the data set, how many training images, passes and seeds; a range where they differ."""
    names = " and ".join(dict.fromkeys(one["dataset"]["name"] for one in found))
    images = [one["dataset"]["images"] for one in found]
    passes = [each for one in found if (each := passes_of(one))]
    seeds = [len(one["result"].get("seeds", one["seeds"])) for one in found]
    told = [names, f"{span(images)} training images"]
    told += [f"{span(passes)} passes"] if passes else []
    return ", ".join([*told, f"{span(seeds)} seed" + "s" * (max(seeds) != 1)])


def passes_of(record: dict[str, Any]) -> float | None:
    """For how many passes a variant trained; None where the record does not say, or it stopped at a target."""
    settings = record["configuration"]
    stages = settings.get("terms", {}).get("stages")
    return sum(stages) if stages else settings.get("recipe", {}).get("passes")


def span(numbers: Sequence[float]) -> str:
    """ "5,000", or "5,000 to 50,000"."""
    low, high = (f"{number:,.6g}" for number in (min(numbers), max(numbers)))
    return low if low == high else f"{low} to {high}"


def keys_of(found: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The keys of records, each once."""
    return tuple(dict.fromkeys(recorded.key(one) for one in found))


def command_of(experiment: str) -> str:
    """The command that records an experiment, "" where it is not written yet; `experiment` may be "bench NAME"."""
    from .. import experiments

    if experiment.startswith("bench "):
        return f"python -m alexnet_lib {experiment} --out data/recorded"
    return f"python -m alexnet_lib experiment {experiment} --full" if experiment in experiments.names() else ""


def place_of(experiment: str) -> str:
    """On what data an experiment is run; "" for a measurement of speed."""
    if experiment.startswith("bench "):
        return ""
    return "CIFAR-10" if experiment.endswith("cifar10") or experiment == "relu-vs-tanh" else "Tiny ImageNet"


def about_seeds(found: Sequence[dict[str, Any]]) -> str:
    """As `about`, with the test images and which record has how many seeds: "paper 10, no-lrn 6 seeds"."""
    first = found[0]["dataset"]
    seeds = ", ".join(f"{one['run'].rpartition('_')[2]} {len(one['result']['seeds'])}" for one in found)
    return (
        f"{first['name']}, {first['images']:,} training and {first['test_images']:,} test images, "
        f"{passes_of(found[0]):g} passes; seeds: {seeds}"
    )
