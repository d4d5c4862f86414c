"""What is read from the records of decays and biases, from records that were made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alexnet_lib import records
from alexnet_lib.experiments import learning_cifar10 as experiment
from alexnet_lib.experiments import learning_cifar10 as results
from alexnet_lib.experiments.results import test_error

CPU_RUN = "biases-10000-images-20-passes-text"


def write(
    run: str, passes: dict[int, list[float]], final: list[float], root: Path, diverged: int | None = None
) -> None:
    curves: list[dict[str, Any]] = [
        {"pilot": False, "seed": seed, "diverged_at": diverged if seed == diverged else None,
         "curve": {"passes": list(range(1, len(errors) + 1)), "pass_error": errors, "loss": errors}}
        for seed, errors in passes.items()
    ]  # fmt: skip
    curves.append(curves[0] | {"pilot": True, "curve": {"passes": [1], "pass_error": [0.99], "loss": [9.0]}})
    seeds = list(passes)
    result = {"complete": True, "seeds": seeds, "rate": 0.003, "test_error": final, "training_error": final}
    dataset = {"name": "CIFAR-10", "source": "made", "checksum": "x", "images": 10, "stand_in": False}
    records.write(
        {"experiment": experiment.NAME, "run": run, "claims": ["C20"], "configuration": {}, "dataset": dataset,
         "seeds": seeds, "seconds": 1.0, "curves": curves, "result": result, **records.circumstances("CPU", "c")},
        root,
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(f"{CPU_RUN}_bias-0", {0: [0.9, 0.8], 1: [0.9, 0.9]}, [0.5, 0.6], tmp_path)
    write(f"{CPU_RUN}_bias-1", {0: [0.9, 0.6], 1: [0.9, 0.7]}, [0.5, 0.6], tmp_path)
    return tmp_path


def test_the_early_error_is_the_second_passs_without_the_pilot(root: Path) -> None:
    found = results.biases("text", root)
    assert results.early_error(found["bias-1"]) == {0: 0.6, 1: 0.7}
    assert results.rows_of(found, experiment.BIASES, results.early_error) == [
        ["biases 0", "85.0 ± 7.1 (2 seeds)", "0.003"],
        ["biases 0.1, Caffe's", "not yet run", "-"],
        ["biases 1, the paper's", "65.0 ± 7.1 (2 seeds)", "0.003"],
    ]
    assert results.courses(found)["biases 0"][0] == ([1, 2], [90.0, 80.0])
    assert results.run_names(found, {}) == CPU_RUN


def test_a_run_that_diverged_has_no_early_error(root: Path) -> None:
    write(f"{CPU_RUN}_bias-0", {0: [0.9, 0.8], 1: [0.9]}, [0.5, 1.0], root, diverged=1)
    assert results.early_error(results.biases("text", root)["bias-0"]) == {0: 0.8}


def test_the_longest_run_is_taken_as_soon_as_it_has_as_many_variants(root: Path) -> None:
    write("biases-20-passes-text_bias-0", {0: [0.7, 0.6]}, [0.4], root)
    assert results.run_names(results.biases("text", root)) == CPU_RUN
    write("biases-20-passes-text_bias-1", {0: [0.7, 0.6]}, [0.4], root)
    assert results.run_names(results.biases("text", root)) == "biases-20-passes-text"


def test_what_is_not_recorded_says_so(root: Path) -> None:
    assert results.biases("code2012", root) == {} == results.decays(root)
    assert results.rows_of({}, experiment.DECAYS, results.training_error, test_error)[1] == [
        "decay 0.0005, the paper's", "not yet run", "not yet run", "-",
    ]  # fmt: skip
    assert results.run_names({}) == "not yet run" and results.courses({}) == {}
