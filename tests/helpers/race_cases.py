"""Contenders, outcomes and workplaces made by hand, for the tests of experiments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alexnet_lib.experiments.relu_vs_tanh import CONDITIONS, Plan
from alexnet_lib.experiments.running.on_cifar10 import Workplace
from alexnet_lib.experiments.running.race import Contender
from alexnet_lib.network.small.four_layers import SmallNetConfig
from alexnet_lib.training.fit import TrainSettings

TINY = Plan(("relu",), ("18pct",), CONDITIONS[:1], seeds=2, passes=2, images=None)


def workplace(tree: Path, folder: Path) -> Workplace:
    """Where a test's runs are made: on one thread, with the images of `tree`, kept in `folder`."""
    return Workplace(checkpoints=folder, device="cpu", threads=1, data=str(tree))


def contender(rates: tuple[float, ...] = (0.003, 0.01, 0.001), seeds: int = 1) -> Contender:
    return Contender("a", seeds, SmallNetConfig(), TrainSettings(rate=1.0, passes=20, target_error=0.25), list(rates))


def outcome(
    rate: float, reached: float | None, lowest: float = 0.3, seed: int = 0, ended: str = "", diverged: int | None = None
) -> dict[str, Any]:
    ended = ended or ("cap" if reached is None else "target")
    curve = {"passes": [0.5, 1.0, reached or 20.0], "pass_error": [0.8, 0.6, lowest], "loss": [2.0, 1.5, 1.0]}
    if diverged is not None:
        ended, curve = "diverged", {"passes": [], "pass_error": [], "loss": []}
    return {
        "rate": rate,
        "seed": seed,
        "ended": ended,
        "target_passes": reached,
        "test_error": 0.3,
        "seconds": 1.0,
        "diverged_at": diverged,
        "threads": 1,
        "curve": curve,
    }


def with_outcomes(of: Contender, *outcomes: dict[str, Any]) -> Contender:
    for one in outcomes:
        of.outcomes[one["rate"], one["seed"]] = one
    return of


def due(of: Contender) -> list[tuple[float, int]]:
    return [(unit.settings.rate, unit.seed) for unit in of.due()]


def write_leader(path: Path, target_passes: float) -> None:
    path.write_text(json.dumps({"target_passes": target_passes, "passes": [], "pass_error": []}))
