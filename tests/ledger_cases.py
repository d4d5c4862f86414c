"""Records made up for the tests of the ledger, written as the experiments write theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alexnet_lib import records

LRN = ("lrn-cifar10", "5-passes")  # an experiment of claim C06, and one of its parts
SAME = [0.30, 0.31, 0.32]  # test errors by seed, of what others are compared with


def put(
    root: Path, experiment: str, run: str, result: dict[str, Any], seeds: list[int], *, claims: list[str] | None = None,
    curves: list | None = None, configuration: dict[str, Any] | None = None, images: int = 5_000,
    stand_in: bool = False, test_images: int = 1_000_000,
) -> None:  # fmt: skip
    """Write one record under `root`; of so many test images that they add no chance of their own, unless given."""
    data = {"name": "CIFAR-10", "source": "files", "checksum": "sha256:00", "images": images, "stand_in": stand_in,
            "test_images": test_images}  # fmt: skip
    record = {
        "experiment": experiment, "run": run, "claims": claims or ["C06"], "configuration": configuration or {},
        "dataset": data, "seeds": seeds, "seconds": 1.0, "curves": curves or [], "result": result,
        **records.circumstances("some CPU", f"python -m alexnet_lib experiment {experiment}"),
    }  # fmt: skip
    records.write(record, root)


def put_variants(
    root: Path, experiment: str, part: str, errors: dict[str, list[float]], *,
    training: dict[str, list[float]] | None = None, views: dict[str, list[float]] | None = None,
    watched: dict[str, list[list[float]]] | None = None, complete: bool = True, images: int = 5_000,
    stand_in: bool = False, classes: int = 10, test_images: int = 1_000_000,
) -> None:  # fmt: skip
    """Write a record a variant: its test errors by seed, training errors (0 unless given), curves of four passes.

    The training error of the first passes is the test error. watched: by variant and seed, test errors pass by pass.
    """
    for name, values in errors.items():
        seeds = list(range(len(values)))
        curves = []
        for seed, error in enumerate(values):
            curve: dict[str, Any] = {"passes": [1.0, 2.0, 3.0, 4.0], "pass_error": [error] * 4}
            if watched:
                curve |= {"watched_test_error": watched[name][seed], "watched_training_loss": [1.0, 0.6, 0.4, 0.3]}
            curves.append({"seed": seed, "pilot": False, "diverged_at": None, "curve": curve})
        result = {
            "complete": complete, "seeds": seeds, "rate": 0.01, "test_error": values,
            "training_error": (training or {}).get(name, [0.0] * len(values)),
        } | ({"views_error": views} if views else {})  # fmt: skip
        settings = {"terms": {"stages": [3, 1]}, "classes": [str(n) for n in range(classes)]}
        put(root, experiment, f"{part}_{name}", result, seeds, curves=curves, configuration=settings, images=images,
            stand_in=stand_in, test_images=test_images)  # fmt: skip


def put_kernels(root: Path, kinds: list[list[str]], shares: list[list[float]], variant: str = "paper") -> None:
    """Write a record of `kernels`: by seed, each kernel's kind and colour share."""
    curves = [{"seed": seed, "pilot": False, "kernels": {"kind": kind, "colour_share": share}}
              for seed, (kind, share) in enumerate(zip(kinds, shares, strict=True))]  # fmt: skip
    result = {"complete": True, "seeds": list(range(len(kinds))), "test_error": SAME[: len(kinds)]}
    put(root, "kernels", f"10-classes-64-pixels-20-passes_{variant}", result, result["seeds"], claims=["C26", "C27"],
        curves=curves)  # fmt: skip


def put_retrieval(root: Path, precision: dict[str, list[float]], pixel_rank: float = 0.3) -> None:
    """Write a record of `binary-codes`: precision at ten by method and seed."""
    seeds = list(range(len(next(iter(precision.values())))))
    result = {"complete": True, "seeds": seeds, "precision": {name: {"10": each} for name, each in precision.items()},
              "pixel_rank": [pixel_rank] * len(seeds)}  # fmt: skip
    put(root, "binary-codes", "10-classes-64-pixels-20-passes_retrieval", result, seeds, claims=["C29", "C30"])


def put_predictions(
    root: Path, off: list[float], on: list[float], confusions: list[list[int]],
    classes: tuple[str, ...] | list[str] = ("n01440764", "n01443537", "n02002724", "n02002556"),
) -> None:  # fmt: skip
    """Write a record of `predictions`: errors off and on the centre by seed, and all seeds' likeliest wrong labels."""
    seeds = list(range(len(off)))
    result = {"complete": True, "seeds": seeds, "confusions": confusions,
              "centre": {"error_off_centre": off, "error_on_centre": on}}  # fmt: skip
    put(root, "predictions", "10-classes-64-pixels-20-passes_predictions", result, seeds, claims=["C28"],
        configuration={"classes": list(classes)})  # fmt: skip


def put_race(root: Path, nonlinearity: str, passes: list[float | None], architecture: str = "80sec") -> None:
    """Write a contender's record: by seed, passes to 25% training error; None where 40 passes were not enough."""
    curves = []
    for seed, taken in enumerate(passes):
        curve = {"passes": [taken or 40.0], "pass_error": [0.25 if taken else 0.3]}
        curves.append({"rate": 0.01, "seed": seed, "target_passes": taken, "curve": curve})
    result = {"complete": True, "sweep_done": True, "best_rate": 0.01}
    put(root, "relu-vs-tanh", f"{architecture}_2012_0-255_{nonlinearity}", result, list(range(len(passes))),
        curves=curves, configuration={"settings": {"passes": 40}}, claims=["C01", "C02"])  # fmt: skip
