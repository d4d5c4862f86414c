"""Rules about the first layer's kernels (section 6.1, Figure 3; C26, C27), from the records of `kernels`."""

from __future__ import annotations

from pathlib import Path

from ..experiments.kernel_results import apart, kinds, tables
from .findings import Finding, Verdict, about, command_of, keys_of, of_cases
from .paired import missing, on_tiny

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
