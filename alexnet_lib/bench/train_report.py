"""What `bench train` found: printed, and as a record keeps it. Taught in "Full training"."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..system.timing import Timing
from . import print_table, roofline
from .ladder import COMMAND, EXAMPLE_FILES, Rung, alone_name
from .recording import figures

if TYPE_CHECKING:
    from .whole import Bench


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
    reached, names, batch = peaks(timings, bench.dtypes), bench.first_of_step, bench.recipe.batch
    parts = {dtype: roofline.work(bench.described, batch, dtype) for dtype in bench.dtypes}
    return [
        Measured(rung, timings[rung.name], timings[alone_name(names[rung.step])],
                 roofline.allowed(parts[rung.step.dtype], batch, reached[rung.step.dtype]))
        for rung in bench.rungs
    ]  # fmt: skip


def recorded(bench: Bench, timings: dict[str, Timing]) -> dict[str, Any]:
    """What a record says of a run; `projected_hours` is no measurement."""
    reached = peaks(timings, bench.dtypes)
    layers = {
        dtype: [asdict(part) | {"bound": part.bound(reached[dtype])}
                for part in roofline.work(bench.described, bench.recipe.batch, dtype)]
        for dtype in bench.dtypes
    }  # fmt: skip
    rungs = [
        {"name": one.rung.name, "feed": one.rung.feed, **asdict(one.rung.step),
         "images_per_second": figures({"": one.whole})[""], "step_alone": figures({"": one.alone})[""],
         "roofline": one.allowed, "share_of_roofline": one.share,
         "projected_hours": roofline.hours(one.whole.median)}
        for one in judged(bench, timings)
    ]  # fmt: skip
    beside = {name: timings[name] for name in beside_it(bench.dtypes) if name in timings}
    return {
        "batch": bench.recipe.batch, "size": bench.recipe.net.input_size, "classes": bench.classes,
        "dtype": bench.dtype, "workers": bench.workers, "rungs": rungs, "left_out": bench.left_out,
        "beside": figures(beside),
        "checks": {name: asdict(one) for name, one in bench.checks.items()},
        "operations_an_image": roofline.operations_an_image(bench.described),
        "peaks": {dtype: asdict(peak) for dtype, peak in reached.items()}, "layers": layers,
        "projected": {"images": roofline.IMAGENET, "passes": roofline.PASSES},
    }  # fmt: skip


def report(bench: Bench, timings: dict[str, Timing]) -> None:
    """Print the ladder, what is beside it, the layers' counts, and the projections."""
    rungs = judged(bench, timings)
    _ladder(rungs)
    _beside(bench, rungs, timings)
    for dtype, peak in peaks(timings, bench.dtypes).items():
        _layers(bench, dtype, peak)
    apart = max(one.apart for one in bench.checks.values())
    print(f"all rungs compute the same: the weights' movement differs by at most {apart:.1g} of it (losses: "
          f"{', '.join(f'{loss:.4f}' for loss in next(iter(bench.checks.values())).losses)})")  # fmt: skip


def _ladder(rungs: list[Measured]) -> None:
    rows, before = [], None
    for one in rungs:
        speed = one.whole.median
        rows.append((
            one.rung.name, f"{speed:,.1f}", f"{one.whole.lowest:,.1f} to {one.whole.highest:,.1f}",
            f"{speed / before:.2f}" if before else "", f"{speed / rungs[0].whole.median:.2f}",
            f"{one.alone.median:,.1f}", f"{one.share:.1%}", f"{roofline.hours(speed):,.1f}",
        ))  # fmt: skip
        before = speed
    header = ("", "images/s (median)", "range", "times the rung before", "times the first", "its step alone",
              "of the roofline", "hours (projection)")  # fmt: skip
    print_table("whole training, from stored images to updated weights", header, rows)
    print(
        f"projection: {roofline.PASSES} passes over {roofline.IMAGENET:,} images at that speed; nothing was run so long"
    )


def beside_it(dtypes: list[str]) -> tuple[str, ...]:
    """What is measured beside the ladder."""
    return COMMAND, *map(example_name, dtypes), EXAMPLE_FILES


def _beside(bench: Bench, rungs: list[Measured], timings: dict[str, Timing]) -> None:
    best = {dtype: max((one for one in rungs if one.rung.step.dtype == dtype), key=lambda one: one.whole.median)
            for dtype in bench.dtypes}  # fmt: skip
    rows = []
    for name in beside_it(bench.dtypes):
        if name in timings:
            t, ours = timings[name], next((best[d] for d in best if name == example_name(d)), best[bench.dtype])
            rows.append((name, f"{t.median:,.1f}", f"{t.lowest:,.1f} to {t.highest:,.1f}",
                         f"{ours.whole.median / t.median:.2f}", f"{roofline.hours(t.median):,.1f}"))  # fmt: skip
    header = ("", "images/s (median)", "range", "the best rung's times", "hours (projection)")
    told = "; ".join(f"in {dtype}: {one.rung.name}" for dtype, one in best.items())
    print_table(f"beside it, {bench.dtype} unless another is named; the best rungs are, {told}", header, rows)


def _layers(bench: Bench, dtype: str, peak: roofline.Peak) -> None:
    batch = bench.recipe.batch
    parts = roofline.work(bench.described, batch, dtype)
    whole = sum(part.seconds(peak) for part in parts)
    rows = [
        (part.name, f"{part.operations / batch / 1e6:,.1f}", f"{part.bytes / batch / 1e6:,.3f}",
         f"{part.operations / part.bytes:,.1f}", part.bound(peak), f"{part.seconds(peak) / whole:.1%}")
        for part in parts
    ]  # fmt: skip
    total = [sum(getattr(part, name) for part in parts) / batch / 1e6 for name in ("operations", "bytes")]
    rows.append(("sum", f"{total[0]:,.1f}", f"{total[1]:,.3f}", f"{total[0] / total[1]:,.1f}", "", "100%"))
    print_table(
        f"counts of a training step in {dtype}, an image of a batch of {batch}; measured peaks: "
        f"{peak.operations / 1e9:,.0f} GFLOP/s, {peak.bytes / 1e9:,.1f} GB/s, balance {peak.balance:,.1f} operations "
        f"a byte; allowed {roofline.allowed(parts, batch, peak):,.1f} images/s",
        ("", "MFLOP", "MB", "operations a byte", "bound by", "share of the least time"), rows,
    )  # fmt: skip
