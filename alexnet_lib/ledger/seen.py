"""Rules about what the network learned (section 6.1): the first layer's kernels (Figure 3; C26, C27), and what its
last hidden layer finds (Figure 4; C29, C30)."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

from ..experiments.binary_codes import NAME as CODES
from ..experiments.binary_codes import RETRIEVAL
from ..experiments.comparison_results import difference
from ..experiments.kernel_results import apart, kinds, tables
from .findings import Finding, Verdict, about, command_of, keys_of, of_cases
from .paired import Measured, missing, on_tiny

KERNELS = "kernels"
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
        single=len(both) == 1,
    )  # fmt: skip


def specialised(root: Path | None = None) -> Finding:
    """C27: whether one column's kernels are greyer than the other's, by a permutation test over all seeds."""
    what = "how much more of their energy is colour in one column's kernels than in the other's"
    found = on_tiny(KERNELS, ("paper",), root)
    if not found:
        return missing(what, KERNELS)
    one = apart(found["paper"])
    seeds = len(one.differences)
    verdict = Verdict.IN_DIRECTION if one.p < CHANCE and seeds > 1 else Verdict.UNDECIDED
    records = [found["paper"].record]
    return Finding(
        what, verdict,
        f"Kernels dealt to the columns at random give {100 * one.by_chance:.1f} points, and as much as here in "
        f"{one.p:.2%} of dealings. {OUR_IMAGES}",
        f"{100 * one.size:.1f} points, the mean of {seeds} seed(s), p = {one.p:.4f}", about(records),
        keys_of(records), KERNELS, command_of(KERNELS), single=seeds == 1,
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
        keys_of([record]), CODES, command_of(CODES), decides=False, single=len(ranks) == 1,
    )  # fmt: skip
