"""Races to a training error: for each contender a learning-rate sweep, then several seeds at the best rate.

The machinery behind `relu_vs_tanh`: it knows what a contender still has to run, and turns what was run into a record.
A rate is the best when its sweep run met the target in the fewest passes, or, where none did, when it came lowest. A
best rate at the edge of its grid extends the grid, so that a winner always has a slower neighbour on both sides.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from ...network.small.four_layers import SmallNetConfig
from ...training.fit import TrainSettings

SWEEP_SEED = 0
THRESHOLDS = (0.50, 0.45, 0.40, 0.35, 0.30, 0.25)
MOST_EXTENSIONS = 3
RATE_STEP = math.sqrt(10)


@dataclass(frozen=True)
class Unit:
    """One training run: a contender at one rate from one seed."""

    run: str
    net: SmallNetConfig
    settings: TrainSettings
    seed: int

    @property
    def label(self) -> str:
        return f"{self.run} rate {self.settings.rate:g} seed {self.seed}"


@dataclass
class Contender:
    """One entry of the race, and the outcomes it has so far: {(rate, seed): outcome}."""

    run: str
    net: SmallNetConfig
    settings: TrainSettings
    rates: list[float]
    seeds: int
    outcomes: dict[tuple[float, int], dict[str, Any]] = field(default_factory=dict)
    extensions: int = 0

    def due(self, busy: Collection[Unit] = ()) -> list[Unit]:
        """What can start now beside the `busy` units: the sweep until its best rate is an inner one, then other seeds.

        Extends the grid where the best rate lies at its edge. [] when nothing more can start.
        """
        missing = [rate for rate in self.rates if (rate, SWEEP_SEED) not in self.outcomes]
        if not missing:
            missing = self._edge()
            self.rates += missing
            self.extensions += len(missing)
        if missing:
            units = [self._unit(rate, SWEEP_SEED) for rate in missing]
        else:
            best = self.best_rate()
            units = [self._unit(best, seed) for seed in range(self.seeds) if (best, seed) not in self.outcomes]
        return [unit for unit in units if unit not in busy]

    def _unit(self, rate: float, seed: int) -> Unit:
        settings = TrainSettings(**{**asdict(self.settings), "rate": rate})
        return Unit(self.run, self.net, settings, seed)

    def keep(self, unit: Unit, outcome: dict[str, Any]) -> None:
        """Take the outcome of a unit that was due."""
        self.outcomes[unit.settings.rate, unit.seed] = outcome

    def swept(self) -> list[float]:
        """All rates that the sweep has tried, lowest first."""
        return sorted(rate for rate, seed in self.outcomes if seed == SWEEP_SEED)

    def _edge(self) -> list[float]:
        """The rate beyond the edge of the grid at which the best one lies, if it lies at one; else []."""
        tried, best = self.swept(), self.best_rate()
        if self.extensions >= MOST_EXTENSIONS or len(self.rates) == 1:
            return []
        if best == tried[-1]:
            return [tidy_rate(best * RATE_STEP)]
        return [tidy_rate(best / RATE_STEP)] if best == tried[0] else []

    def sweep_done(self) -> bool:
        """True when every rate of the grid was tried and the best is not at its edge (or the grid may not grow)."""
        return all(rate in self.swept() for rate in self.rates) and not self._edge()

    def best_rate(self) -> float:
        """The rate of the best sweep run: fewest passes to the target, else lowest training error."""
        return min(self.swept(), key=lambda rate: merit(self.outcomes[rate, SWEEP_SEED]))

    def leader(self) -> dict[str, Any] | None:
        """The sweep's outcome that met the target in the fewest passes so far, or None: what the others run against."""
        reached = [o for (_, seed), o in self.outcomes.items() if seed == SWEEP_SEED and o["target_passes"] is not None]
        return min(reached, key=merit, default=None)

    def runs(self) -> list[dict[str, Any]]:
        """The outcomes at the best rate, by seed."""
        best = self.best_rate()
        return [self.outcomes[rate, seed] for rate, seed in sorted(self.outcomes) if rate == best]


def merit(outcome: dict[str, Any]) -> tuple[float, float]:
    """Smaller is better: passes to the target, then the lowest training error of a whole pass."""
    passes = outcome["target_passes"]
    return (math.inf if passes is None else passes, lowest_error(outcome))


def lowest_error(outcome: dict[str, Any]) -> float:
    """The lowest training error over a whole pass that a run came to; infinite for one that diverged."""
    if outcome["diverged_at"] is not None or not outcome["curve"]["pass_error"]:
        return math.inf
    return min(outcome["curve"]["pass_error"])


def passes_to(outcome: dict[str, Any], threshold: float) -> float | None:
    """Passes until the training error of the last whole pass was first at or under `threshold`, or None."""
    curve = outcome["curve"]
    for passes, error in zip(curve["passes"], curve["pass_error"], strict=True):
        if passes >= 1 and error <= threshold:
            return passes
    return None


def tidy_rate(rate: float) -> float:
    """The nearest of .001, .003, .01, .03 and so on, so that steps of half a decade stay on one grid."""
    decade, half = divmod(round(2 * math.log10(rate)), 2)
    return float(f"{3 if half else 1}e{decade}")


def summarise(contender: Contender, target: float) -> dict[str, Any]:
    """What a record says came out: per threshold the passes of each seed at the best rate, and the sweep's figures."""
    runs = contender.runs()
    reached = [o["target_passes"] for o in runs if o["target_passes"] is not None]
    return {
        "target_error": target,
        "best_rate": contender.best_rate(),
        "seeds_run": len(runs),
        "seeds_wanted": contender.seeds,
        "sweep_done": contender.sweep_done(),
        "complete": not contender.due(),
        "target_passes": [o["target_passes"] for o in runs],
        "median_passes": statistics.median(reached) if len(reached) == len(runs) else None,
        "lowest_error": [_finite(lowest_error(o)) for o in runs],
        "test_error": [o["test_error"] for o in runs],
        "passes_to": {f"{t:.2f}": [passes_to(o, t) for o in runs] for t in THRESHOLDS if t >= target},
        "sweep": [_sweep_row(rate, contender.outcomes[rate, SWEEP_SEED]) for rate in contender.swept()],
    }


def _sweep_row(rate: float, outcome: dict[str, Any]) -> dict[str, Any]:
    return {
        "rate": rate,
        "ended": outcome["ended"],
        "target_passes": outcome["target_passes"],
        "lowest_error": _finite(lowest_error(outcome)),
        "diverged_at": outcome["diverged_at"],
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
