"""What the chapter "Results and ablations" reads from the records of the studies on Tiny ImageNet.

Ablations against the paper's network (sections 3, 4, 7), averages of networks and the sixth convolution (section 6):
each at two sizes, one for a GPU and one for two cores, of which either may be recorded, or neither, or one seed of it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import records
from ..config import AlexNetConfig
from ..model import described
from .ablations import EXPERIMENT, LABELS
from .chance import by_images
from .comparison_results import NOT_RUN, Difference, VariantResult, difference, mean_and_spread
from .ensemble import AVERAGE, STUDY
from .imagenet_study import Size, Study
from .logs_2012 import BY_NET, LOGGED_CHANGES, PAPER_CHANGES, PRINTED
from .tiny_imagenet import EXPERIMENT as FULL_RECIPE

Found = Mapping[str, VariantResult]
VIEWS = ("centre", "ten")
SIGNS = {"agrees": "more errors", "differs": "fewer errors", "undecided": "undecided"}


def found(study: Study, size: Size, root: Path | None = None) -> dict[str, VariantResult]:
    """The variants of a study that have at least one seed at that size: {variant: result}."""
    loaded = {name: records.load(study.name, f"{size.name}_{name}", root) for name in study.variants}
    return {name: VariantResult(one) for name, one in loaded.items() if one and one["result"]["seeds"]}


def largest(study: Study, root: Path | None = None) -> Size:
    """The best of a study's sizes at which its first variant is recorded; the least of them where none is."""
    first = next(iter(study.variants))
    return next((size for size in study.sizes if first in found(study, size, root)), study.sizes[-1])


def told_of(size: Size) -> str:
    """A size in words, for the head of a column: "10 classes, 64 pixels"."""
    return size.name.partition("-pixels-")[0].replace("-classes-", " classes, ") + " pixels"


@dataclass(frozen=True)
class Change:
    """One ablation beside the first variant: the difference of their top-1 errors over the seeds that both have.

    paper, logs: the same from the paper and from the logs of 2012, None where they give none. ours: None where it is
    not recorded. by_images: how far from 0 the difference of one pair of networks can be by the drawn validation images
    alone (95%), as if each network had had images of its own.
    """

    name: str
    label: str
    paper: float | None
    logs: float | None
    ours: Difference | None = None
    by_images: float | None = None

    @property
    def sign(self) -> str:
        """More errors, fewer, or undecided: by the 95% interval over seeds, so that one seed never decides."""
        if self.ours is None:
            return NOT_RUN
        return f"{'1 seed: ' if self.ours.seeds == 1 else ''}{SIGNS[self.ours.verdict(+1)]}"

    @property
    def beyond_images(self) -> str:
        """Whether the difference is larger than what the drawn images alone can do to a pair of networks."""
        if self.ours is None or self.by_images is None:
            return "-"
        return "yes" if abs(self.ours.mean) > self.by_images else "no"

    @property
    def verdict(self) -> str:
        """The sign, but undecided where the images alone can do as much, as in the ledger."""
        return SIGNS["undecided"] if self.beyond_images == "no" else self.sign


def changes(size: Size, root: Path | None = None) -> list[Change]:
    """Every ablation but the first variant, recorded or not, in the order of `ablations.LABELS`."""
    results = found(EXPERIMENT, size, root)
    first, *others = LABELS
    rows = []
    for name in others:
        row = Change(name, LABELS[name], PAPER_CHANGES.get(name), LOGGED_CHANGES.get(name))
        if first in results and name in results:
            row = measured(row, results[name], results[first])
        rows.append(row)
    return rows


def measured(row: Change, one: VariantResult, base: VariantResult) -> Change:
    """The row with what the records of its variant and of the first give; as it is where they share no seed."""
    change = difference(one.test_error, base.test_error)
    if change is None:
        return row
    return replace(row, ours=change, by_images=by_images(one, base))


def points(share: float | None) -> str:
    """In points with a sign, "-" for None."""
    return "-" if share is None else f"{100 * share:+z.2f}"


def sized_rows(root: Path | None = None) -> list[list[str]]:
    """For a table: ablation, the paper's change of the top-1 error, the logs', and ours at each size in turn."""
    by_size = [changes(size, root) for size in reversed(EXPERIMENT.sizes)]
    return [
        [same[0].label, points(same[0].paper), points(same[0].logs), *(str(one.ours or NOT_RUN) for one in same)]
        for same in zip(*by_size, strict=True)
    ]


def detail_rows(size: Size, root: Path | None = None) -> list[list[str]]:
    """For a table: variant, training and test error, their gap, what the images alone can do, beyond it?, the sign."""
    results, by_name = found(EXPERIMENT, size, root), {one.name: one for one in changes(size, root)}
    rows = []
    for name, label in LABELS.items():
        one, change = results.get(name), by_name.get(name)
        told = [mean_and_spread(of.values()) for of in (one.training_error, one.test_error)] if one else [NOT_RUN] * 2
        by_images = f"± {100 * change.by_images:.1f}" if change and change.by_images is not None else "-"
        last = [by_images, change.beyond_images, change.sign] if change else ["-"] * 3
        rows.append([label, *told, *last])
    return rows


def depth_rows() -> list[list[str]]:
    """For a table (question Q47): without each convolution that can go, the weights it held, and the whole's change."""
    whole = described(AlexNetConfig.paper())
    rows = []
    for name in ("conv2", "conv3", "conv4", "conv5"):
        less = described(replace(AlexNetConfig.paper(), left_out=(name,)))
        share, work = whole[name].learned / whole.learned, whole[name].multiply_adds / whole.multiply_adds
        rows.append([name, f"{share:.2%}", f"{work:.0%}", f"{less.learned / whole.learned - 1:+.1%}"])
    return rows


@dataclass(frozen=True)
class Averages:
    """The recorded averages of 1, 2, ... networks: errors as shares, {"centre" or "ten": [by number of networks]}.

    alone: by views, the errors of all the networks one by one. The first average is the first network.
    """

    record: dict[str, Any]
    alone: dict[str, list[float]]

    @property
    def networks(self) -> list[int]:
        return self.record["result"]["networks"]

    def errors(self, views: str, which: str = "top1") -> list[float | None]:
        """By number of networks; None where there are too few classes for a top-5."""
        return self.record["result"][which][views]

    def gain(self, views: str = "ten") -> float:
        """How much lower the error of the average of all is than the networks' mean error."""
        return statistics.mean(self.alone[views]) - self.errors(views)[-1]


def averages(size: Size, root: Path | None = None) -> Averages | None:
    """What the experiment ensemble recorded at a size; None where there is nothing."""
    record = records.load(STUDY.name, f"{size.name}_{AVERAGE}", root)
    singles = found(STUDY, size, root).get(next(iter(STUDY.variants)))
    if not record or singles is None:
        return None
    alone = {"centre": list(singles.test_error.values()), "ten": list(singles.views_error("ten").values())}
    return Averages(record, alone)


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


def our_rows(size_of: int, root: Path | None = None) -> list[list[str]]:
    """For a table: our nearest to the paper's rows at the n-th size of each study (0: the best): what, error, images.

    The full recipe and one network are by ten views, as the paper's are; top-1 only where classes are few.
    """
    recipe, averaged = FULL_RECIPE.sizes[size_of], STUDY.sizes[size_of]
    one = found(FULL_RECIPE, recipe, root).get("paper")
    many = averages(averaged, root)
    rows = [["one network, the paper's recipe, ten views", ten_views(one)]]
    for count, name in ((1, "one network of the ablations, ten views"), (STUDY.on_cpu.seeds, "five such, averaged")):
        if many is None or count not in many.networks:
            rows.append([name, NOT_RUN])
            continue
        at = many.networks.index(count)
        rows.append([name, in_per_cent(*(many.errors("ten", which)[at] for which in ("top1", "top5")))])
    return [[name, error, told_of(recipe)] for name, error in rows]


def ten_views(one: VariantResult | None) -> str:
    """Mean and spread of a variant's ten-view top-1 error, in per cent."""
    return mean_and_spread(one.views_error("ten").values()) if one else NOT_RUN


def record_keys(root: Path | None = None) -> list[str]:
    """The keys of all records behind `our_rows` and `averages`."""
    keys = []
    for study in (FULL_RECIPE, STUDY):
        for size in study.sizes:
            keys += [one.key for one in found(study, size, root).values()]
            if study is STUDY and (many := averages(size, root)):
                keys.append(records.key(many.record))
    return keys
