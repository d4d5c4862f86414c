"""What the chapter "Details of learning" reads from the records of `learning_cifar10` (section 5; claims C19, C20)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import learning_cifar10 as experiment
from .comparison_results import NOT_RUN, Numbers, VariantResult, mean_and_spread, results_of

Found = Mapping[str, VariantResult]
EARLY = 2  # passes: the paper says "early stages" and no more


def decays(root: Path | None = None) -> dict[str, VariantResult]:
    """The decays of the longest run recorded; {} where there is none."""
    return _recorded("decay-", "", experiment.DECAYS, root)


def biases(start: str, root: Path | None = None) -> dict[str, VariantResult]:
    """The biases of the longest run recorded from one of `learning_cifar10.STARTS`; {} where there is none."""
    return _recorded("biases-", f"-{start}", experiment.BIASES, root)


def _recorded(first: str, last: str, variants: Mapping[str, float], root: Path | None) -> dict[str, VariantResult]:
    both = (*experiment.EXPERIMENT.on_gpu, *experiment.EXPERIMENT.on_cpu)
    parts = [part.name for part in both if part.name.startswith(first) and part.name.endswith(last)]
    return results_of(experiment.NAME, parts, variants, root)


def early_error(result: VariantResult) -> dict[int, float]:
    """By seed, the training error of the second pass as it was counted in training; runs that diverged are left out."""
    runs = [one for one in result.record["curves"] if not one["pilot"] and one.get("diverged_at") is None]
    return {one["seed"]: one["curve"]["pass_error"][EARLY - 1] for one in runs}


def training_error(result: VariantResult) -> dict[int, float]:
    """By seed, of the training images' centres after training."""
    return result.training_error


def rows_of(found: Found, names: Mapping[str, object], *numbers: Numbers) -> list[list[str]]:
    """For a table, a row a name: its label, mean and spread of each of the numbers in per cent, the rate it chose."""
    rows = []
    for name in names:
        one = found.get(name)
        told = [mean_and_spread(of(one).values()) if one and of(one) else NOT_RUN for of in numbers]
        rows.append([experiment.LABELS[name], *told, f"{one.rate:g}" if one else "-"])
    return rows


def courses(found: Found) -> dict[str, list[tuple[list[float], list[float]]]]:
    """By label, for each seed: passes, and the training error of each pass in per cent."""
    return {
        experiment.LABELS[name]: [(passes, [100 * error for error in errors]) for passes, errors in one.curves]
        for name, one in found.items()
    }


def run_names(*founds: Found) -> str:
    """Which runs were found: their names, which say images and passes; or that there is none."""
    parts = [one.record["run"].rpartition("_")[0] for found in founds for one in found.values()]
    return ", ".join(dict.fromkeys(parts)) or NOT_RUN
