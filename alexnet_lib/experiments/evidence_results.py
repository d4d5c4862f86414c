"""What the registered study says: each of its questions as an effect, with one interval from seeds and test images.

Effects are positive where they go the paper's way. All questions are tests of one study, so their p-values are
corrected together (Holm), for as many as were registered, whether or not all have been run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import records
from ..measures.effects import Effect, Sample, Spread, compared, holm, paired, spread_of
from . import evidence
from .results import broken
from .running.tiny_runs import Kept

Run = Mapping[str, Any]
NETS = 5  # that Table 2 averages
FIRST_SEEDS = 3  # of the base, recorded when the plan was registered
LEARNED_LOSS = 2.5  # nats, evaluated on training images: C17 counts passes until there; guessing has 3.9
EARLY_LOSS = 3.5  # nats, of a pass as it was trained: C20 counts passes until there


def passes_until(curve: Mapping[str, list[float]], name: str, level: float) -> float:
    """Passes until a curve's number first comes down to a level, between two passes on a straight line; all of them if
    it never does."""
    passes, values = curve["passes"], curve[name]
    for number, value in enumerate(values):
        if value <= level:
            if not number:
                return float(passes[0])
            above = values[number - 1]
            return passes[number - 1] + (above - level) / (above - value) * (passes[number] - passes[number - 1])
    return float(passes[-1])


# What is compared, of one run.
NUMBERS: dict[str, Callable[[Run], float]] = {
    "test error": lambda run: run["test_error"],
    "test less training error": lambda run: run["test_error"] - run["training_error"],
    "training error": lambda run: run["training_error"],
    f"passes to an evaluated training loss of {LEARNED_LOSS}": lambda run: math.log(
        passes_until(run["curve"], "seen_loss", LEARNED_LOSS)
    ),
    f"passes to a training loss of {EARLY_LOSS}": lambda run: math.log(passes_until(run["curve"], "loss", EARLY_LOSS)),
}
ERROR, GAP, TRAINED, LEARNING, EARLY = NUMBERS
ON_IMAGES = (ERROR, GAP)  # counted on test images; the others on training images, the same for all
FACTORS = (LEARNING, EARLY)  # told as how many times, not as points
VIEWS, AVERAGE = "ten views", "average"


@dataclass(frozen=True)
class Question:
    """One registered question. claim: "C05"; or where it is asked: "Q15", "section 5". what: is tested, in words.
    tested, without: the variants with it and without it. number: what is compared, one of NUMBERS, VIEWS or AVERAGE; of
    AVERAGE and VIEWS both are the base. paper: the paper's own effect, a share, or the log of a factor; None where it
    gives none. more: the paper says that the number is larger with what is tested, not smaller."""

    claim: str
    what: str
    tested: str
    without: str
    number: str = ERROR
    paper: float | None = None
    more: bool = False

    @property
    def short(self) -> str:
        """For a figure: claim, what is tested, and of what number unless it is the test error itself."""
        return f"{self.claim}: {self.what}{' (gap)' if self.number == GAP else ''}"


QUESTIONS: dict[str, Question] = {
    "halves": Question("C03", "two columns of whole width, against one of half", "paper", "one-gpu-half", paper=0.017),
    "lrn": Question("C05", "response normalisation", "paper", "no-lrn", paper=0.014),
    "lrn-constant": Question("C05", "response normalisation, against its constant factor", "paper", "lrn-constant"),
    "pooling": Question("C07", "pooling windows that overlap", "paper", "pool-2-2", paper=0.004),
    "pooling-gap": Question("C08", "pooling windows that overlap", "paper", "pool-2-2", GAP),
    "conv3": Question("C10", "conv3", "paper", "no-conv3", paper=0.02),
    "conv4": Question("C10", "conv4", "paper", "no-conv4", paper=0.02),
    "conv5": Question("C10", "conv5", "paper", "no-conv5", paper=0.02),
    "crops-gap": Question("C12", "crops and reflections", "paper", "no-crops", GAP),
    "views": Question("C13", "ten views, against the centre alone", "paper", "paper", VIEWS, paper=0.015),
    "lighting": Question("C14", "PCA lighting", "paper", "no-lighting", paper=0.01),
    "dropout-gap": Question("C16", "dropout's masks, against its halving alone", "paper", "halving", GAP),
    "dropout-time": Question("C17", "dropout's masks", "paper", "halving", LEARNING, paper=math.log(2), more=True),
    "decay": Question("C19", "a decay of the paper's dose", "decay-0.02", "decay-0", TRAINED),
    "biases": Question("C20", "biases of 1", "paper", "biases-0", EARLY),
    "average": Question("C23", "five networks averaged, against one", "paper", "paper", AVERAGE, paper=0.026),
    "meet": Question("Q15", "columns that meet where the paper's do, against never", "paper", "never-meet"),
    "meet-always": Question("Q15", "columns that meet at every layer, against the paper's", "always-meet", "paper"),
    "start": Question("section 5", "the 2012 code's starting weights, against the text's", "paper", "start-text"),
}


@dataclass(frozen=True)
class Answer:
    """What the records say of a question. effect: None where there is one seed of each and no spread to lean on. p: by
    Holm, among all questions. broken: variants of which a run diverged or learned nothing. records: those compared."""

    question: Question
    effect: Effect | None
    p: float | None
    broken: tuple[str, ...]
    records: tuple[dict[str, Any], ...]

    @property
    def detectable(self) -> float | None:
        """The smallest effect that this test sees in four of five tries, among all the study's."""
        return self.effect.detectable(len(QUESTIONS)) if self.effect else None


def answers(root: Path | None = None) -> dict[str, Answer]:
    """Every question that the records under `root` (None: the book's) can answer so far."""
    folder = Path(root or records.recorded_root()) / evidence.NAME
    known = tuple(
        (path.name, path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(folder.glob("*.*"))
        if path.is_file()
    )
    return _answers(folder.parent, known)


@cache
def _answers(root: Path, known: tuple[tuple[str, int, int], ...]) -> dict[str, Answer]:
    """Read once for the same files."""
    loaded = {name: records.load(evidence.NAME, f"{evidence.FULL.name}_{name}", root) for name in evidence.VARIANTS}
    found = {name: record for name, record in loaded.items() if record and record["result"]["seeds"]}
    spreads = {number: _spread(number, found) for number in NUMBERS}
    given = {}
    for name, question in QUESTIONS.items():
        if {question.tested, question.without} <= set(found):
            given[name] = _answer(question, found, spreads, root)
    corrected = holm({name: one.effect.p for name, one in given.items() if one.effect}, len(QUESTIONS))
    return {name: replace(one, p=corrected.get(name)) for name, one in given.items()}


def runs_of(record: Mapping[str, Any]) -> list[Run]:
    """The seeds' runs of a record that came to their end."""
    return [one for one in record["curves"] if not one["pilot"] and one["ended"] != "diverged"]


def _spread(number: str, found: Mapping[str, dict]) -> Spread | None:
    """Over seeds, within all variants that learned."""
    of = NUMBERS[number]
    return spread_of([Sample(tuple(of(run) for run in runs_of(one))) for one in found.values() if not broken(one)])


def expected(base: Mapping[str, Any], seeds: tuple[int, int], root: Path | None = None) -> Effect | None:
    """No effect on the test error, with the errors that a comparison of so many seeds of the base and of a variant
    should have: what was known when the study was registered, from the base's first three seeds alone.

    By seeds: their spread, taken to be every variant's. By images: as if the variant answered each image as differently
    as another seed of the base does, which is more than is likely. df: as the spread will have in the whole study.
    """
    runs = runs_of(base)[:FIRST_SEEDS]
    if len(runs) < FIRST_SEEDS:
        return None
    wrong = [Kept.read(base, run["seed"], root).wrong["centre"].numpy().astype(np.int8) for run in runs]
    by_seeds = float(np.var([run["test_error"] for run in runs], ddof=1)) * sum(1 / count for count in seeds)
    by_images = float(np.mean([np.var(b - a, ddof=1) for a, b in combinations(wrong, 2)])) / len(wrong[0])
    df = sum(variant.seeds - 1 for variant in evidence.VARIANTS.values())
    errors = math.sqrt(by_seeds), math.sqrt(by_images), math.sqrt(by_seeds + by_images)
    return Effect(0.0, *errors, df, min(seeds))


def sample(record: Mapping[str, Any], number: str, root: Path, views: str = "centre") -> Sample:
    """A variant's numbers by seed, with which images were wrong where they are counted on test images."""
    runs = runs_of(record)
    wrong = None
    if number in ON_IMAGES:
        wrong = np.stack([Kept.read(record, run["seed"], root).wrong[views].numpy() for run in runs])
    if views == "ten":
        return Sample(tuple(run["views_error"]["ten"] for run in runs), wrong)
    return Sample(tuple(NUMBERS[number](run) for run in runs), wrong)


def _answer(question: Question, found: Mapping[str, dict], spreads: Mapping[str, Any], root: Path) -> Answer:
    names = dict.fromkeys((question.tested, question.without))
    behind = tuple(found[name] for name in names)
    stuck = tuple(name for name in names if broken(found[name]))
    if stuck:
        return Answer(question, None, None, stuck, behind)
    tested, without = found[question.tested], found[question.without]
    if question.number == VIEWS:
        effect = paired(sample(tested, ERROR, root, "ten"), sample(tested, ERROR, root))
    elif question.number == AVERAGE:
        effect = averaged(tested, root)
    else:
        both = (sample(one, question.number, root) for one in (tested, without))
        effect = compared(*both, spreads[question.number], less_is_better=not question.more)
    return Answer(question, effect, None, stuck, behind)


@dataclass(frozen=True)
class Average:
    """The errors of the mean softmax of so many networks: the mean over all choices of them, and the lowest and highest
    top-1 among the choices."""

    networks: int
    top1: float
    top5: float
    lowest: float
    highest: float


MOST_AVERAGED = 7  # as in Table 2


def averages(record: Mapping[str, Any], root: Path | None = None) -> list[Average]:
    """Of one network up to MOST_AVERAGED, or as many seeds as are recorded."""
    kept = [Kept.read(record, run["seed"], root) for run in runs_of(record)]
    return averages_of([one.answers for one in kept], kept[0].labels)


def averages_of(answers: Sequence[torch.Tensor], labels: torch.Tensor) -> list[Average]:
    """The same from each network's softmax, (N, classes), and the labels (N,)."""
    found = []
    for nets in range(1, min(len(answers), MOST_AVERAGED) + 1):
        errors = []
        for some in combinations(answers, nets):
            together = sum(some)
            better = (together > together.gather(1, labels[:, None])).sum(1)
            errors.append([float((better >= first).double().mean()) for first in (1, 5)])
        top1, top5 = np.array(errors).T
        found.append(Average(nets, *map(float, (top1.mean(), top5.mean(), top1.min(), top1.max()))))
    return found


def averaged(record: Mapping[str, Any], root: Path, nets: int = NETS) -> Effect | None:
    """By how much the error by ten views of the average of `nets` networks is under that of one: the mean over all
    choices of them. None where fewer than `nets` + 1 seeds are recorded: nothing tells how far choices are apart.

    The error over seeds is the jackknife's: each seed left out in turn.
    """
    kept = [Kept.read(record, run["seed"], root) for run in runs_of(record)]
    if len(kept) <= nets or any(one.answers is None for one in kept):
        return None
    answered, labels = np.stack([one.answers.numpy() for one in kept]), kept[0].labels.numpy()
    alone = np.stack([one.wrong["ten"].numpy() for one in kept])
    chosen = list(combinations(range(len(kept)), nets))
    together = np.stack([answered[list(some)].sum(0).argmax(1) != labels for some in chosen])

    def gain(seeds: list[int]) -> np.ndarray:
        inside = [set(some) <= set(seeds) for some in chosen]
        return alone[seeds].mean(0) - together[inside].mean(0)

    every = list(range(len(kept)))
    each = gain(every)
    left_out = np.array([gain([seed for seed in every if seed != out]).mean() for out in every])
    count = len(kept)
    by_seeds = (count - 1) / count * float(((left_out - left_out.mean()) ** 2).sum())
    by_images = float(np.var(each, ddof=1)) / len(labels)
    error = math.sqrt(by_seeds + by_images)
    parts = by_seeds**2 / (count - 1) + by_images**2 / (len(labels) - 1)
    return Effect(float(each.mean()), math.sqrt(by_seeds), math.sqrt(by_images), error, error**4 / parts, count)
