"""Rules about what the network learned (section 6.1): the first layer's kernels (Figure 3; C26, C27), and what it
answers and finds (Figure 4; C28 to C30)."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..experiments.binary_codes import NAME as CODES
from ..experiments.binary_codes import RETRIEVAL
from ..experiments.comparison_results import difference
from ..experiments.kernel_results import apart, apart_by_run, kinds, tables
from ..predictions import sense_of
from ..wordnet import nouns
from .findings import Finding, Verdict, about, command_of, keys_of, of_cases
from .paired import Measured, missing, on_tiny

KERNELS, PREDICTIONS = "kernels", "predictions"
MOST = 0.75  # of the kernels must be of the paper's two kinds, in each run: a line of ours
CHANCE = 0.05
OUR_IMAGES = "Our photographs are smaller and fewer than the paper's."


def selective(root: Path | None = None) -> Finding:
    """C26: how many of the kernels answer one orientation and frequency, or are blobs of colour."""
    what = "kernels of the first layer that are oriented, or blobs of colour"
    found = on_tiny(KERNELS, ("paper",), root)
    if not found:
        return missing(what, KERNELS)
    by_seed = [kinds(table) for table in tables(found["paper"]).values()]
    oriented = [one["oriented"] for one in by_seed]
    both = [one["oriented"] + one["coloured blob"] for one in by_seed]
    sure = of_cases([share >= MOST for share in both]) if len(both) > 1 else Verdict.UNDECIDED
    told = "; ".join(f"{each:.0%} ({part:.0%} oriented)" for each, part in zip(both, oriented, strict=True))
    records = [found["paper"].record]
    return Finding(
        what, sure,
        f"At least {MOST:.0%}, which is the line we drew, in {sum(share >= MOST for share in both)} of {len(both)} "
        f"seed(s). A kernel counts if a Gabor has more of it than of 99% of kernels of noise. {OUR_IMAGES}",
        f"{told}, seed by seed", about(records), keys_of(records), KERNELS, command_of(KERNELS),
        weak=len(both) == 1,
    )  # fmt: skip


def specialised(root: Path | None = None) -> Finding:
    """C27: whether one column's kernels are greyer than the other's, by a permutation test over all seeds and of each:
    the paper says that it is so in every run."""
    what = "how much more of their energy is colour in one column's kernels than in the other's"
    found = on_tiny(KERNELS, ("paper",), root)
    if not found:
        return missing(what, KERNELS)
    one, runs = apart(found["paper"]), [run.p for run in apart_by_run(found["paper"])]
    beyond = sum(p < CHANCE for p in runs)
    sure = one.p < CHANCE and beyond == len(runs) > 1
    records = [found["paper"].record]
    return Finding(
        what, Verdict.IN_DIRECTION if sure else Verdict.UNDECIDED,
        f"Kernels dealt to the columns at random give {100 * one.by_chance:.1f} points, and as much as here, over all "
        f"runs, in {one.p:.2%} of dealings. The paper says it of every run; by themselves {beyond} of {len(runs)} "
        f"run(s) are beyond chance. {OUR_IMAGES}",
        f"{100 * one.size:.1f} points, the mean of {len(runs)} seed(s), p = {one.p:.4f}; by run p = "
        f"{', '.join(f'{p:.2f}' for p in runs)}", about(records),
        keys_of(records), KERNELS, command_of(KERNELS), weak=len(runs) == 1,
    )  # fmt: skip


def more_found(one: str, other: str, k: int = 10) -> Callable[[Path | None], Measured | None]:
    """A `measure`: precision at k by one method of search less that by another, by seed."""

    def measure(root: Path | None) -> Measured | None:
        found = on_tiny(CODES, (RETRIEVAL,), root)
        if not found:
            return None
        result, seeds = found[RETRIEVAL].record["result"], found[RETRIEVAL].seeds
        ours, theirs = (dict(zip(seeds, result["precision"][name][str(k)], strict=True)) for name in (one, other))
        return Measured(difference(ours, theirs), (found[RETRIEVAL].record,))

    return measure


def far_in_pixels(root: Path | None = None) -> Finding:
    """C29, beside the claim: how many training images are nearer in pixels than what features find first."""
    what = "share of the training images that are nearer in pixels than the one nearest in features"
    found = on_tiny(CODES, (RETRIEVAL,), root)
    if not found:
        return missing(what, CODES, decides=False)
    record = found[RETRIEVAL].record
    ranks = record["result"]["pixel_rank"]
    return Finding(
        what, Verdict.NOT_TESTED, "Half would be, if pixels knew nothing of it. The paper sets no line.",
        f"{statistics.mean(ranks):.0%} ({len(ranks)} seed(s))", about([record]),
        keys_of([record]), CODES, command_of(CODES), decides=False, weak=len(ranks) == 1,
    )  # fmt: skip


def _answers(root: Path | None) -> tuple[dict[str, Any], tuple[int, ...]] | None:
    """The record of `predictions` and its seeds; None where it is not there."""
    found = on_tiny(PREDICTIONS, (PREDICTIONS,), root)
    return (found[PREDICTIONS].record, found[PREDICTIONS].seeds) if found else None


def off_less_guess(root: Path | None) -> Measured | None:
    """A `measure`: the centre view's error off the centre less that of guessing, by seed."""
    if (there := _answers(root)) is None:
        return None
    record, seeds = there
    guess = 1 - 1 / len(record["configuration"]["classes"])
    ours = dict(zip(seeds, record["result"]["centre"]["error_off_centre"], strict=True))
    return Measured(difference(ours, dict.fromkeys(seeds, guess)), (record,))


def off_less_on(root: Path | None) -> Measured | None:
    """A `measure`: the centre view's error off the centre less that on it, by seed."""
    if (there := _answers(root)) is None:
        return None
    record, seeds = there
    off, on = (dict(zip(seeds, record["result"]["centre"][f"error_{where}_centre"], strict=True))
               for where in ("off", "on"))  # fmt: skip
    return Measured(difference(off, on), (record,))


def sensible(root: Path | None = None) -> Finding:
    """C28: whether the likeliest wrong labels are nearer to the true one in WordNet than chance."""
    what = "steps in WordNet from the true class to the likeliest wrong label"
    if (there := _answers(root)) is None:
        return missing(what, PREDICTIONS)
    record, seeds = there
    classes = record["configuration"]["classes"]
    found = sense_of(np.array(record["result"]["confusions"]), nouns().steps(classes))
    verdict = Verdict.IN_DIRECTION if found.p < CHANCE and len(seeds) > 1 else Verdict.UNDECIDED
    return Finding(
        what, verdict,
        f"Dealing the {len(classes)} classes' places in WordNet anew gives {found.by_chance:.1f} steps, and as few as "
        f"here in {found.p:.2%} of dealings. {OUR_IMAGES}",
        f"{found.distance:.1f} steps, {len(seeds)} seed(s), p = {found.p:.4f}", about([record]), keys_of([record]),
        PREDICTIONS, command_of(PREDICTIONS), weak=len(seeds) == 1,
    )  # fmt: skip
