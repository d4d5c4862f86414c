"""Rules about what the network learned (section 6.1): the first layer's kernels (Figure 3; C26, C27), and what it
answers and finds (Figure 4; C28 to C30)."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from .. import records as recorded
from ..data.wordnet import nouns
from ..experiments import binary_codes, evidence, kernel_fits
from ..experiments import predictions as read
from ..experiments.binary_codes import BITS, found_more, method
from ..experiments.binary_codes import NAME as CODES
from ..measures.effects import Sample, error_sample, paired, told, under
from ..measures.kernels import specialisation
from ..measures.predictions import sense_of
from .judging import Measured, missing
from .verdicts import Finding, Verdict, about, command_of, keys_of

PREDICTIONS = "predictions"
CHANCE = 0.05
FITTED = 0.5  # of a kernel's energy, for the figure beside C26: a line of ours
OUR_IMAGES = "Our photographs are smaller and fewer than the paper's."


def fits(variant: str, root: Path | None) -> dict[str, Any]:
    """The record of a variant's measured kernels, {} where there is none."""
    return recorded.load(kernel_fits.NAME, f"{evidence.FULL.name}_{variant}", root)


def more_like_gabors(root: Path | None) -> Measured | None:
    """A `measure`, C26: how much more of a kernel a Gabor has than of noise as smooth and as coloured, by seed."""
    record = fits("paper", root)
    if not record:
        return None
    result = record["result"]
    effect = paired(
        Sample(tuple(-fit for fit in result["mean_fit"])), Sample(tuple(-fit for fit in result["mean_fit_of_noise"]))
    )
    shares = {
        which: statistics.mean(fit > FITTED for run in record["curves"] for fit in run[which]["fit"])
        for which in ("kernels", "noise")
    }
    means = {
        which: statistics.mean(result[name])
        for which, name in (("kernels", "mean_fit"), ("noise", "mean_fit_of_noise"))
    }
    figure = (
        f"a Gabor has {means['kernels']:.0%} of a kernel, and {means['noise']:.0%} of noise; over half of it in "
        f"{shares['kernels']:.0%} and {shares['noise']:.0%}"
    )
    return Measured(effect, (record,), figure)


def specialised(variant: str, decides: bool) -> Callable[[Path | None], Finding]:
    """A rule, C27: whether one column's kernels are greyer than the other's, by a permutation test over all runs, and
    in how many runs it can be seen; the paper says that it is so in every one."""
    what = "how much more of their energy is colour in one column's kernels than in the other's" + (
        "" if variant == "paper" else f", {evidence.LABELS[variant]}"
    )

    def rule(root: Path | None = None) -> Finding:
        record = fits(variant, root)
        if not record or len(record["seeds"]) < 2:
            return missing(what, kernel_fits.NAME, decides)
        shares = [run["kernels"]["colour_share"] for run in record["curves"]]
        one, runs = specialisation(shares), [specialisation([each]).p for each in shares]
        beyond = sum(p < CHANCE for p in runs)
        low, high = stats.binomtest(beyond, len(runs)).proportion_ci()
        verdict = Verdict.IN_DIRECTION if one.p < CHANCE else Verdict.TOO_WEAK
        return Finding(
            what,
            verdict,
            f"Kernels dealt to the columns at random give {100 * one.by_chance:.1f} points, and as much as here, over "
            f"all runs, in {one.p:.2%} of dealings. By itself {beyond} of {len(runs)} runs is beyond chance: of all "
            f"such runs that is {low:.0%} to {high:.0%} (95%); few kernels cannot show it in each. {OUR_IMAGES}",
            f"{100 * one.size:.1f} points, the mean of {len(runs)} seeds, p = {one.p:.4f}",
            about([record]),
            keys_of([record]),
            kernel_fits.NAME,
            command_of(kernel_fits.NAME),
            decides,
        )

    return rule


def more_found(one: str, other: str) -> Callable[[Path | None], Measured | None]:
    """A `measure`: precision at ten by one method of search less that by another, by seed."""

    def measure(root: Path | None) -> Measured | None:
        record = binary_codes.recorded(root)
        if not record:
            return None
        return Measured(found_more(record, one, other), (record,))

    return measure


def far_in_pixels(root: Path | None = None) -> Finding:
    """C29, beside the claim: how many training images are nearer in pixels than what features find first."""
    what = "share of the training images that are nearer in pixels than the one nearest in features"
    record = binary_codes.recorded(root)
    if not record:
        return missing(what, CODES, decides=False)
    ranks = record["result"]["pixel_rank"]
    return Finding(
        what,
        Verdict.NOT_TESTED,
        "Half would be, if pixels knew nothing of it. The paper sets no line.",
        f"{statistics.mean(ranks):.0%} ({len(ranks)} seed(s))",
        about([record]),
        keys_of([record]),
        CODES,
        command_of(CODES),
        decides=False,
    )


def off_under_guess(root: Path | None) -> Measured | None:
    """A `measure`: how far the centre view's error on photographs off the centre lies under that of guessing."""
    if not (record := read.recorded(root)):
        return None
    wrong = read.wrong_by_seed(record, root=root)[:, read.off(record, root)]
    guess = 1 - 1 / len(record["configuration"]["classes"])
    sample = error_sample(wrong)
    return Measured(
        under(guess, sample),
        (record,),
        figure=f"error {100 * sample.mean:.1f}%, by guessing {100 * guess:.0f}%, on {wrong.shape[1]} photographs",
    )


def cost_of_off(root: Path | None = None) -> Finding:
    """C28, beside the claim: how much more often objects off the centre are missed than others. Nothing follows for the
    claim, which is that they are recognised, not that it costs nothing."""
    what = "error on photographs whose middle lies on the object, instead of off it"
    if not (record := read.recorded(root)):
        return missing(what, PREDICTIONS, decides=False)
    here, away = (statistics.mean(record["result"]["centre"][f"error_{where}_centre"]) for where in ("on", "off"))
    errors = f"{100 * here:.1f}% and {100 * away:.1f}%"
    cost = told(read.cost_of_off(record, root=root))
    return Finding(
        what,
        Verdict.NOT_TESTED,
        "What being off the middle costs; the paper says nothing of it, so there is no verdict.",
        f"{cost}: {errors}" if cost else errors,
        about([record]),
        keys_of([record]),
        PREDICTIONS,
        command_of(PREDICTIONS),
        decides=False,
    )


def planes(root: Path | None = None) -> Finding:
    """C30, beside the claim: bits by planes drawn at random, which nobody trained."""
    what = "share of the ten nearest that are of the query's class: by bits of an autoencoder, and of random planes"
    record = binary_codes.recorded(root)
    if not record:
        return missing(what, CODES, decides=False)
    precision, more, figures = record["result"]["precision"], 0, []
    for bits in BITS:
        learned, drawn = (statistics.mean(precision[method("features", bits, how)]["10"]) for how in ("", "planes"))
        more += learned > drawn
        figures.append(f"{bits} bits {100 * learned:.1f}% and {100 * drawn:.1f}%")
    longest = found_more(record, *(method("features", max(BITS), how) for how in ("", "planes")))
    effect = f"; its effect at {max(BITS)} bits is {told(longest)}" if longest else ""
    could_see = f"{100 * longest.detectable():.2f} points" if longest else ""
    return Finding(
        what,
        Verdict.NOT_TESTED,
        f"The autoencoder finds more than random planes at {more} of {len(BITS)} lengths{effect}. Where it does not, "
        "its training has bought nothing that can be seen here. The paper does not compare the two.",
        "; ".join(figures),
        about([record]),
        keys_of([record]),
        CODES,
        command_of(CODES),
        decides=False,
        could_see=could_see,
    )


def sensible(root: Path | None = None) -> Finding:
    """C28: whether the likeliest wrong labels are nearer to the true one in WordNet than chance."""
    what = "steps in WordNet from the true class to the likeliest wrong label"
    if not (record := read.recorded(root)):
        return missing(what, PREDICTIONS)
    classes, seeds = record["configuration"]["classes"], record["result"]["seeds"]
    found = sense_of(np.array(record["result"]["confusions"]), nouns().steps(classes))
    verdict = Verdict.IN_DIRECTION if found.p < CHANCE and len(seeds) > 1 else Verdict.TOO_WEAK
    return Finding(
        what,
        verdict,
        f"Dealing the {len(classes)} classes' places in WordNet anew gives {found.by_chance:.1f} steps, and as few as "
        f"here in {found.p:.2%} of dealings. {OUR_IMAGES}",
        f"{found.distance:.1f} steps, {len(seeds)} seed(s), p = {found.p:.4f}",
        about([record]),
        keys_of([record]),
        PREDICTIONS,
        command_of(PREDICTIONS),
    )
