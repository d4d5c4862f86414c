"""Reading the records of a race for the book: what came out, in figures and in words, or "not yet run".

Taught in "ReLU against tanh" (section 3.1, Figure 1; claims C01, C02).
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import records
from ..origin import NOT_RUN
from .race import passes_to


@dataclass(frozen=True)
class RaceResult:
    """One contender's record: its best rate, its runs there, and how many passes they took."""

    record: dict[str, Any]

    @property
    def key(self) -> str:
        """experiment/run, as figures and tables name the record that stands behind them."""
        return records.key(self.record)

    @property
    def best_rate(self) -> float:
        return self.record["result"]["best_rate"]

    @property
    def cap(self) -> float:
        return self.record["configuration"]["settings"]["passes"]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The training runs at the best rate, by seed; each has curve: passes, pass_error, loss."""
        return [o for o in self.record["curves"] if o["rate"] == self.best_rate]

    def passes(self, threshold: float) -> list[float | None]:
        """For each seed the passes until the training error was at or under `threshold`, None if it never was."""
        return [passes_to(outcome, threshold) for outcome in self.runs]

    def typical(self, threshold: float) -> float | None:
        """The median over seeds, or None where a seed never came there."""
        passes = self.passes(threshold)
        return None if None in passes else statistics.median(passes)

    @property
    def curves(self) -> list[tuple[list[float], list[float]]]:
        """For each seed at the best rate: passes, and the training error of the last whole pass at each."""
        return [(o["curve"]["passes"], o["curve"]["pass_error"]) for o in self.runs]

    def sweep_rows(self) -> list[list[str]]:
        """For a table, a row a rate: the rate, passes to the target, lowest training error."""
        return [
            [
                f"{row['rate']:g}",
                "-" if row["target_passes"] is None else f"{row['target_passes']:.1f}",
                "diverged" if row["lowest_error"] is None else f"{row['lowest_error']:.1%}",
            ]
            for row in self.record["result"]["sweep"]
        ]

    def text(self, threshold: float) -> str:
        """For a table: "9.8 (9.5 to 10.0; 3 seeds)", or that it was not met within the cap."""
        passes = self.passes(threshold)
        met = [p for p in passes if p is not None]
        if len(met) < len(passes):
            return f"not within {self.cap:g} ({len(met)} of {_seeds(len(passes))} did)"
        if len(met) == 1:
            return f"{met[0]:.1f} (1 seed)"
        return f"{statistics.median(met):.1f} ({min(met):.1f} to {max(met):.1f}; {_seeds(len(met))})"


def _seeds(count: int) -> str:
    return f"{count} seed" + "s" * (count != 1)


def result_of(
    experiment: str, nonlinearity: str, start: str = "2012", pixels: str = "0-255", architecture: str = "80sec",
    root: Path | None = None, images: int | None = None,
) -> RaceResult | None:  # fmt: skip
    """The recorded result of one contender, or None where it is not yet run (or its sweep is not through).

    images: how many training images it had (None: all).
    """
    some = f"_{images}-images" if images else ""
    record = records.load(experiment, f"{architecture}_{start}_{pixels}_{nonlinearity}{some}", root)
    if not record or not record["result"]["sweep_done"]:
        return None
    return RaceResult(record)


def text_of(result: RaceResult | None, threshold: float) -> str:
    """`result.text(threshold)`, or that it is not yet run."""
    return NOT_RUN if result is None else result.text(threshold)


def keys_of(results: Iterable[RaceResult | None]) -> list[str]:
    """The records behind some results, as figures and tables name them."""
    return [result.key for result in results if result is not None]


@dataclass(frozen=True)
class Ratio:
    """How many times as many passes the slow one takes: of the medians, with the range over all pairs of seeds.

    With `at_least`, some seed of the slow one did not get there within its cap, and the cap stands for it.
    """

    middle: float
    lowest: float
    highest: float
    at_least: bool = False

    def __str__(self) -> str:
        if self.at_least:
            return f"over {self.middle:.1f}"
        return f"{self.middle:.1f} ({self.lowest:.1f} to {self.highest:.1f})"


def ratio(slow: RaceResult | None, fast: RaceResult | None, threshold: float) -> Ratio | None:
    """Passes of `slow` over those of `fast` to a training error; None where one is missing or the fast one failed."""
    if slow is None or fast is None or fast.typical(threshold) is None:
        return None
    taken = [slow.cap if p is None else p for p in slow.passes(threshold)]
    pairs = [s / f for s, f in itertools.product(taken, fast.passes(threshold))]
    middle = statistics.median(taken) / fast.typical(threshold)
    return Ratio(middle, min(pairs), max(pairs), at_least=slow.typical(threshold) is None)
