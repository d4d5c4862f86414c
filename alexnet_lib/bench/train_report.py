"""What `bench train` found: printed, and as a record keeps it. Taught in "Full training"."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..system.timing import Timing
from . import roofline
from .frame import figures, print_columns, speeds
from .ladder import Rung

if TYPE_CHECKING:
    from .train import Bench

COMMAND, EXAMPLE_FILES = "the train command, from stored images", "torchvision's alexnet, its example's loader"


def alone_name(rung: str) -> str:
    """What the step of that rung is called where it is measured without its feed."""
    return f"the step alone, {rung}"


def example_name(dtype: str) -> str:
    """What torchvision's network is called on a batch that is there already, computing in that type."""
    return f"torchvision's alexnet, a batch at hand, {dtype}"


@dataclass(frozen=True)
class Measured:
    """One rung's figures: whole training, its step alone, and what its layers' roofline allows, in images a second."""

    rung: Rung
    whole: Timing
    alone: Timing
    allowed: float

    @property
    def share(self) -> float:
        """Of the roofline."""
        return self.whole.median / self.allowed


def peaks(timings: dict[str, Timing], dtypes: list[str]) -> dict[str, roofline.Peak]:
    """What the device was seen to reach, by type."""
    return {dtype: roofline.Peak(timings[f"product, {dtype}"].median, timings["copy"].median) for dtype in dtypes}


def judged(bench: Bench, timings: dict[str, Timing]) -> list[Measured]:
    """The rungs with their figures, in order."""
    allowed = {
        dtype: roofline.allowed(bench.parts[dtype], bench.recipe.batch, peak)
        for dtype, peak in peaks(timings, bench.dtypes).items()
    }
    return [
        Measured(
            rung, timings[rung.name], timings[alone_name(bench.first_of_step[rung.step])], allowed[rung.step.dtype]
        )
        for rung in bench.rungs
    ]


def recorded(bench: Bench, timings: dict[str, Timing]) -> dict[str, Any]:
    """What a record says of a run; `projected_hours` is no measurement."""
    reached = peaks(timings, bench.dtypes)
    layers = {
        dtype: [asdict(part) | {"bound": part.bound(reached[dtype])} for part in parts]
        for dtype, parts in bench.parts.items()
    }
    rungs = [
        {
            "name": one.rung.name,
            "feed": one.rung.feed,
            **asdict(one.rung.step),
            "images_per_second": figures({"": one.whole})[""],
            "step_alone": figures({"": one.alone})[""],
            "roofline": one.allowed,
            "share_of_roofline": one.share,
            "projected_hours": roofline.hours(one.whole.median),
        }
        for one in judged(bench, timings)
    ]
    return {
        "batch": bench.recipe.batch,
        "size": bench.recipe.net.input_size,
        "classes": bench.classes,
        "dtype": bench.dtype,
        "workers": bench.workers,
        "rungs": rungs,
        "left_out": bench.left_out,
        "beside": figures(beside_it(bench, timings)),
        "checks": {name: asdict(one) for name, one in bench.checks.items()},
        "operations_an_image": roofline.operations_an_image(bench.described),
        "peaks": {dtype: asdict(peak) for dtype, peak in reached.items()},
        "layers": layers,
        "projected": {"images": roofline.IMAGENET, "passes": roofline.PASSES},
    }


def report(bench: Bench, timings: dict[str, Timing]) -> None:
    """Print the ladder, what is beside it, the layers' counts, and the projections."""
    rungs = judged(bench, timings)
    _ladder(rungs)
    _beside(bench, rungs, timings)
    for dtype, peak in peaks(timings, bench.dtypes).items():
        _layers(bench, dtype, peak)
    apart = max(one.apart for one in bench.checks.values())
    print(
        f"all rungs compute the same: the weights' movement differs by at most {apart:.1g} of it (losses: "
        f"{', '.join(f'{loss:.4f}' for loss in next(iter(bench.checks.values())).losses)})"
    )


def _ladder(rungs: list[Measured]) -> None:
    found = {one.rung.name: one for one in rungs}
    before = {after.rung.name: one.whole.median for one, after in itertools.pairwise(rungs)}
    columns = speeds(1) | {
        "times the rung before": lambda t: f"{t.median / before[t.name]:.2f}" if t.name in before else "",
        "times the first": lambda t: f"{t.median / rungs[0].whole.median:.2f}",
        "its step alone": lambda t: f"{found[t.name].alone.median:,.1f}",
        "of the roofline": lambda t: f"{found[t.name].share:.1%}",
        "hours (projection)": _hours,
    }
    title = "whole training, from stored images to updated weights"
    print_columns(title, {name: one.whole for name, one in found.items()}, columns)
    print(
        f"projection: {roofline.PASSES} passes over {roofline.IMAGENET:,} images at that speed; nothing was run so long"
    )


def _hours(timing: Timing) -> str:
    return f"{roofline.hours(timing.median):,.1f}"


def _beside(bench: Bench, rungs: list[Measured], timings: dict[str, Timing]) -> None:
    best = {
        dtype: max((one for one in rungs if one.rung.step.dtype == dtype), key=lambda one: one.whole.median)
        for dtype in bench.dtypes
    }
    ours = {example_name(dtype): one for dtype, one in best.items()}
    columns = speeds(1) | {
        "the best rung's times": lambda t: f"{ours.get(t.name, best[bench.dtype]).whole.median / t.median:.2f}",
        "hours (projection)": _hours,
    }
    told = "; ".join(f"in {dtype}: {one.rung.name}" for dtype, one in best.items())
    title = f"beside it, {bench.dtype} unless another is named; the best rungs are, {told}"
    print_columns(title, beside_it(bench, timings), columns)


def beside_it(bench: Bench, timings: dict[str, Timing]) -> dict[str, Timing]:
    """What was measured beside the ladder."""
    names = COMMAND, *map(example_name, bench.dtypes), EXAMPLE_FILES
    return {name: timings[name] for name in names if name in timings}


def _layers(bench: Bench, dtype: str, peak: roofline.Peak) -> None:
    batch, parts = bench.recipe.batch, bench.parts[dtype]
    whole = sum(part.seconds(peak) for part in parts)
    total = roofline.Work("sum", sum(part.operations for part in parts), sum(part.bytes for part in parts))
    columns = {
        "MFLOP": lambda part: f"{part.operations / batch / 1e6:,.1f}",
        "MB": lambda part: f"{part.bytes / batch / 1e6:,.3f}",
        "operations a byte": lambda part: f"{part.operations / part.bytes:,.1f}",
        "bound by": lambda part: part.bound(peak) if part is not total else "",
        "share of the least time": lambda part: f"{part.seconds(peak) / whole:.1%}" if part is not total else "100%",
    }
    print_columns(
        f"counts of a training step in {dtype}, an image of a batch of {batch}; measured peaks: "
        f"{peak.operations / 1e9:,.0f} GFLOP/s, {peak.bytes / 1e9:,.1f} GB/s, balance {peak.balance:,.1f} operations "
        f"a byte; allowed {roofline.allowed(parts, batch, peak):,.1f} images/s",
        {part.name: part for part in [*parts, total]},
        columns,
    )
