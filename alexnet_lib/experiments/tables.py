"""What the chapter "Results and ablations" reads: the records of the studies on Tiny ImageNet, and the paper's tables.

The registered study's effects (sections 3, 4, 7) and its networks averaged (section 6) are in `evidence_results`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .. import records
from ..measures.effects import Effect
from ..network.alexnet import described
from ..network.config import AlexNetConfig
from ..records import NOT_RUN
from . import evidence, pretraining
from .chance import mean_and_spread
from .evidence_results import FACTORS, QUESTIONS, TRAINED, Answer, averages
from .logs_2012 import BY_NET, LOGGED_EFFECTS, PRINTED
from .results import VariantResult

Found = Mapping[str, VariantResult]
VIEWS = ("centre", "ten")


@dataclass(frozen=True)
class Compared:
    """A question of the study for a figure: in words, the effects of the paper and of the 2012 logs (shares, None where
    they give none), ours (None while it is not run), and the smallest that ours could have seen."""

    label: str
    paper: float | None
    logs: float | None
    ours: Effect | None
    detectable: float | None


def compared_rows(answers: Mapping[str, Answer]) -> list[Compared]:
    """Every question about the test error, answered or not, in the order of the plan."""
    rows = []
    for name, question in QUESTIONS.items():
        if question.number in (*FACTORS, TRAINED):
            continue
        answer = answers.get(name)
        effect, seen = (answer.effect, answer.detectable) if answer else (None, None)
        rows.append(Compared(question.short, question.paper, LOGGED_EFFECTS.get(name), effect, seen))
    return rows


def points(share: float | None) -> str:
    """In points with a sign, "-" for None."""
    return "-" if share is None else f"{100 * share:+z.2f}"


def depth_rows() -> list[list[str]]:
    """For a table (question Q47): without each convolution that can go, the weights it held, and the whole's change."""
    whole = described(AlexNetConfig.paper())
    rows = []
    for name in ("conv2", "conv3", "conv4", "conv5"):
        less = described(replace(AlexNetConfig.paper(), left_out=(name,)))
        share, work = whole[name].learned / whole.learned, whole[name].multiply_adds / whole.multiply_adds
        rows.append([name, f"{share:.2%}", f"{work:.0%}", f"{less.learned / whole.learned - 1:+.1%}"])
    return rows


def in_per_cent(top1: float | None, top5: float | None) -> str:
    """As the paper prints errors: "40.66 / 18.21", with spaces at which no line breaks."""
    return "\u00a0/\u00a0".join("-" if share is None else f"{100 * share:.2f}" for share in (top1, top5))


def printed_rows(table: int) -> list[list[str]]:
    """For a table: the rows of the paper's Table 1 or 2, and the same network in the logs of 2012."""
    rows = []
    for one in PRINTED:
        logged = BY_NET.get(one.net)
        if one.table == table:
            rows.append([one.what, one.errors, in_per_cent(logged.top1, logged.top5) if logged else "-"])
    return rows


# Nearest to the rows of the paper's Tables 1 and 2: experiment, run, networks averaged (1: each by itself).
NEAREST = {
    "one network": (evidence.NAME, "paper", 1),
    "five networks, averaged": (evidence.NAME, "paper", 5),
    "with a sixth convolution": (pretraining.NAME, "sixth", 1),
    "trained on other classes first": (pretraining.NAME, "tuned-paper", 1),
    "both": (pretraining.NAME, "tuned-sixth", 1),
}


def our_rows(root: Path | None = None) -> list[list[str]]:
    """For a table: our networks nearest to Tables 1 and 2, their errors by ten views, top-1 and top-5, of how many
    seeds."""
    rows = []
    for label, (experiment, run, networks) in NEAREST.items():
        record = records.load(experiment, f"{evidence.FULL.name}_{run}", root)
        seeds = record["result"]["seeds"] if record else []
        if len(seeds) < networks:
            rows.append([label, NOT_RUN, NOT_RUN, "-"])
            continue
        if networks == 1:
            both = [record["result"][which]["ten"] for which in ("views_error", "top5_error")]
            told = [mean_and_spread(errors).partition(" (")[0] for errors in both]
        else:
            average = averages(record, root)[networks - 1]
            told = [f"{100 * error:.1f}" for error in (average.top1, average.top5)]
        rows.append([label, *told, str(len(seeds))])
    return rows


def record_keys(root: Path | None = None) -> list[str]:
    """The keys of the records behind `our_rows`."""
    names = dict.fromkeys((experiment, f"{evidence.FULL.name}_{run}") for experiment, run, _ in NEAREST.values())
    return ["/".join(name) for name in names if records.load(*name, root)]
