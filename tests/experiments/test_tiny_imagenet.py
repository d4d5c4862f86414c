"""Reading the full recipe's record: the largest complete run comes first."""

from __future__ import annotations

from pathlib import Path

from ledger_cases import put

from alexnet_lib.experiments.tiny_imagenet import EXPERIMENT, NAME, recorded

GPU, CPU = (size.name for size in EXPERIMENT.sizes)


def test_the_largest_complete_run_is_read(tmp_path: Path) -> None:
    assert recorded(tmp_path) is None
    for size, complete, shown in ((CPU, True, CPU), (GPU, False, CPU), (GPU, True, GPU)):
        put(tmp_path, NAME, f"{size}_paper", {"complete": complete, "seeds": [0]}, [0], claims=["C21"])
        assert recorded(tmp_path).key == f"{NAME}/{shown}_paper"
