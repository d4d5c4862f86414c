"""What the chapter "Full training" reads from the records of `bench train` and `bench feed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import records
from ..records import NOT_RUN
from .roofline import Peak


def best_of(what: str, root: Path | None = None) -> dict[str, Any]:
    """The record of `bench what` on a GPU, else on a CPU; {} where neither is there."""
    return next((found for kind in ("cuda", "cpu") if (found := records.load("bench", f"{what}_{kind}", root))), {})


def keys(*found: dict[str, Any]) -> list[str]:
    """The keys of those records that are there."""
    return [records.key(one) for one in found if one]


def machine(record: dict[str, Any]) -> str:
    """The device it was measured on, or that there is none yet."""
    return record["device"] if record else NOT_RUN


def on_gpu(record: dict[str, Any]) -> bool:
    return record["run"].endswith("_cuda")


def peak_of(record: dict[str, Any], dtype: str = "float32") -> Peak | None:
    """The peaks that were measured with a ladder; None without a record."""
    return Peak(**record["result"]["peaks"][dtype]) if record else None


def fastest(record: dict[str, Any]) -> float:
    """Images a second of the fastest rung of a ladder."""
    return max(one["images_per_second"]["median"] for one in record["result"]["rungs"])


def ladder_rows(record: dict[str, Any]) -> list[list[str]]:
    """For a table, a row a rung, then what was measured beside: images/s, times the first rung, images/s of the step on
    a batch at hand, share of the roofline."""
    if not record:
        return [[NOT_RUN, "-", "-", "-", "-"]]
    rungs = record["result"]["rungs"]
    first = rungs[0]["images_per_second"]["median"]

    def speed(timing: dict[str, float]) -> list[str]:
        return [f"{timing['median']:,.1f}", f"{timing['median'] / first:.2f}"]

    rows = [[one["name"], *speed(one["images_per_second"]), f"{one['step_alone']['median']:,.1f}",
             f"{one['share_of_roofline']:.0%}"] for one in rungs]  # fmt: skip
    return rows + [[name, *speed(timing), "-", "-"] for name, timing in record["result"]["beside"].items()]


def feed_rows(record: dict[str, Any]) -> list[list[str]]:
    """For a table, a row a way to make batches: images/s, and their range."""
    if not record:
        return [[NOT_RUN, "-", "-"]]
    speeds = record["result"]["images_per_second"]
    return [[name, f"{t['median']:,.0f}", f"{t['lowest']:,.0f} to {t['highest']:,.0f}"] for name, t in speeds.items()]
