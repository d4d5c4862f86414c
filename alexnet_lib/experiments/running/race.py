"""Races to a training error: for each contender a learning-rate sweep, then several seeds at the best rate.

A race is a comparison that stops at a target. A rate is the best when its sweep run met the target in the fewest
passes, or, where none did, when it came lowest. A best rate at the edge of its grid extends the grid, so that a winner
always has a slower neighbour on both sides.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...augment import PixelScale
from ...errors import TrainingError
from ...network.small.four_layers import SmallNet, SmallNetConfig
from ...training.fit import TrainResult, TrainSettings, error_rate, fit
from .machine import Variant
from .on_cifar10 import Workplace, image_set
from .pool import STOPPED, Stopped, stop_if_asked

SWEEP_SEED = 0
THRESHOLDS = (0.50, 0.45, 0.40, 0.35, 0.30, 0.25)
MOST_EXTENSIONS = 3
RATE_STEP = math.sqrt(10)
# A run whose error is still that of guessing after so many passes is given up: it is at a rate too low or too high.
STUCK_AFTER, STUCK_ERROR = 6, 0.88
# So is one that after this many passes lies this far behind the leader of its sweep at the same pass.
BEHIND_AFTER, BEHIND_BY = 8, 0.05


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

    @property
    def turn(self) -> int:
        """Every contender's sweep comes before any other seed."""
        return self.seed


@dataclass
class Contender(Variant):
    """One entry of the race, and the outcomes it has so far: {(rate, seed): outcome}."""

    net: SmallNetConfig
    settings: TrainSettings
    rates: list[float]
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
        return Unit(self.run, self.net, replace(self.settings, rate=rate), seed)

    def keep(self, outcome: dict[str, Any]) -> None:
        """As `Variant`; a rate beyond the grid was an extension of it."""
        rate = outcome["rate"]
        self.outcomes[rate, outcome["seed"]] = outcome
        if rate not in self.rates:
            self.rates.append(rate)
            self.extensions += 1

    def kept(self) -> list[dict[str, Any]]:
        return [self.outcomes[key] for key in sorted(self.outcomes)]

    def configuration(self) -> dict[str, Any]:
        settings = asdict(self.settings)
        settings.pop("rate")
        if settings["reflect"]:  # a later field: records made before it still fit
            del settings["reflect"]
        return {"net": asdict(self.net), "settings": settings}

    def wanted(self) -> dict[str, Any]:
        return {"rates": sorted(self.rates), **super().wanted()}

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

    def result(self) -> dict[str, Any]:
        """Per threshold the passes of each seed at the best rate, and the sweep's figures."""
        target = self.settings.target_error
        runs = self.runs()
        reached = [o["target_passes"] for o in runs if o["target_passes"] is not None]
        return {
            "target_error": target,
            "best_rate": self.best_rate(),
            "seeds_run": len(runs),
            "seeds_wanted": self.seeds,
            "sweep_done": self.sweep_done(),
            "complete": not self.due(),
            "target_passes": [o["target_passes"] for o in runs],
            "median_passes": statistics.median(reached) if len(reached) == len(runs) else None,
            "lowest_error": [_finite(lowest_error(o)) for o in runs],
            "test_error": [o["test_error"] for o in runs],
            "passes_to": {f"{t:.2f}": [passes_to(o, t) for o in runs] for t in THRESHOLDS if t >= target},
            "sweep": [_sweep_row(rate, self.outcomes[rate, SWEEP_SEED]) for rate in self.swept()],
        }


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


def run_unit(unit: Unit, place: Workplace) -> dict[str, Any]:
    """Train one unit and say how it went; a run that another rate has beaten ends as "abandoned"."""
    train, test = (image_set(split, place.data, place.images) for split in ("train", "test"))
    scale = PixelScale.fit(train.images, unit.net.pixels)
    net = SmallNet(unit.net, seed=unit.seed)
    checkpoint = place.checkpoints / f"{unit.label.replace(' ', '_')}.pt"
    diverged_at, began = None, time.perf_counter()
    try:
        result = fit(
            net,
            train.images,
            train.labels,
            unit.settings,
            scale,
            seed=unit.seed,
            device=place.device,
            label=unit.label,
            checkpoint=checkpoint,
            on_point=_referee(unit, place.leader_of(unit.run)),
        )
        if result.ended in ("target", "cap"):
            result.test_error = error_rate(net, test.images, test.labels, scale, place.device)
    except Stopped:
        return STOPPED
    except TrainingError as error:
        if error.step is None:
            raise
        diverged_at, result = error.step, TrainResult(ended="diverged", seconds=time.perf_counter() - began)
    checkpoint.unlink(missing_ok=True)
    return outcome_of(unit, result, diverged_at, place)


def _referee(unit: Unit, leader: Path) -> Callable[[dict[str, float]], bool]:
    """Says, at each point of a sweep's run, whether to give it up; ends any run when the race is stopped."""

    def give_up(point: dict[str, float]) -> bool:
        stop_if_asked()
        if unit.seed != SWEEP_SEED:
            return False
        if point["passes"] >= STUCK_AFTER and point["pass_error"] > STUCK_ERROR:
            return True
        return leader.exists() and cannot_win(point, json.loads(leader.read_text(encoding="utf-8")))

    return give_up


def cannot_win(point: dict[str, float], leader: dict[str, Any]) -> bool:
    """Whether a sweep's run at `point` has used more passes than its leader needed, or has fallen far behind it.

    leader: target_passes, and its course as the lists passes and pass_error.
    """
    if point["passes"] > leader["target_passes"]:
        return True
    course = dict(zip(leader["passes"], leader["pass_error"], strict=True))
    ahead = course.get(point["passes"], point["pass_error"])
    return point["passes"] >= BEHIND_AFTER and point["pass_error"] > ahead + BEHIND_BY


def outcome_of(unit: Unit, result: TrainResult, diverged_at: int | None, place: Workplace) -> dict[str, Any]:
    """The outcome as a record keeps it."""
    return {
        "rate": unit.settings.rate,
        "seed": unit.seed,
        "ended": result.ended,
        "target_passes": result.target_passes,
        "test_error": result.test_error,
        "diverged_at": diverged_at,
        "seconds": result.seconds,
        "threads": place.threads,
        "curve": {key: [point[key] for point in result.curve] for key in ("passes", "pass_error", "loss")},
    }
