"""Reading the full recipe's record: the largest run comes first, and nothing is made up where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet_lib.experiments import tiny_imagenet
from alexnet_lib.experiments import tiny_imagenet as read
from alexnet_lib.records import NOT_RUN

GPU, CPU = (size.name for size in tiny_imagenet.EXPERIMENT.sizes)
CURVE = {
    "passes": [1, 2, 3, 4, 5], "pass_error": [0.9, 0.8, 0.7, 0.6, 0.6], "loss": [2.3, 2.0, 1.9, 1.2, 1.1],
    "validation_error": [0.8, 0.7, 0.75, 0.5, 0.52], "rate": [0.01, 0.01, 0.01, 0.001, 1e-4],
}  # fmt: skip


def write(root: Path, size: str, seeds: int = 1, top5: float | None = 0.2, complete: bool = True) -> None:
    """A record of so many seeds, all alike."""
    curves = [{"seed": seed, "pilot": False, "curve": CURVE} for seed in range(seeds)]
    errors = [0.5 + 0.02 * seed for seed in range(seeds)]
    views = {"centre": [top5] * seeds, "ten": [top5] * seeds}
    result = {"complete": complete, "seeds": list(range(seeds)), "rate": 0.01,
              "test_error": errors, "training_error": [0.25] * seeds,
              "views_error": {"ten": [0.45] * seeds}, "top5_error": views}  # fmt: skip
    record = {"experiment": "tiny-imagenet", "run": f"{size}_paper", "kind": "measured", "claims": ["C21"],
              "command": "c", "configuration": {}, "seeds": [0], "commit": "c", "date": "d", "device": "d",
              "dataset": dict.fromkeys(("name", "source", "checksum", "images", "stand_in"), "x"), "versions": {},
              "seconds": 1.0, "curves": curves, "result": result}  # fmt: skip
    folder = root / "tiny-imagenet"
    folder.mkdir(exist_ok=True)
    (folder / f"{size}_paper.json").write_text(json.dumps(record))


def test_the_largest_complete_run_is_read(tmp_path: Path) -> None:
    write(tmp_path, CPU)
    assert read.recorded(tmp_path).key == f"tiny-imagenet/{CPU}_paper"
    write(tmp_path, GPU, complete=False)
    assert read.recorded(tmp_path).key == f"tiny-imagenet/{CPU}_paper"
    write(tmp_path, GPU, seeds=3)
    assert read.recorded(tmp_path).key == f"tiny-imagenet/{GPU}_paper"
    assert len(read.curves_of(read.recorded(tmp_path))) == 3


def test_without_a_record_everything_says_so(tmp_path: Path) -> None:
    assert read.recorded(tmp_path) is None and read.curves_of(None) == []
    assert read.stage_rows([])[0][0] == NOT_RUN == read.lengths([]) and read.error_rows(None)[0][1:] == [NOT_RUN] * 2
    assert list(read.courses([]).values()) == [[], []]


def test_drops_part_the_passes_into_stages() -> None:
    assert read.drops_of(CURVE) == [3, 4]
    rows = read.stage_rows([CURVE])
    assert rows == [
        ["0", "0.01", "1 to 3", "1.900", "70.0%"], ["0", "0.001", "4 to 4", "1.200", "50.0%"],
        ["0", "0.0001", "5 to 5", "1.100", "50.0%"],
    ]  # fmt: skip
    assert read.lengths([CURVE]) == "5 passes, 2 drops"
    assert read.courses([CURVE])["validation (centre)"][0][1] == pytest.approx([80, 70, 75, 50, 52])


def test_errors_have_their_spread_and_top5_only_where_it_was_counted(tmp_path: Path) -> None:
    write(tmp_path, CPU, seeds=2)
    rows = {name: rest for name, *rest in read.error_rows(read.recorded(tmp_path))}
    assert rows["validation images, centre view"] == ["51.0 ± 1.4 (2 seeds)", "20.0 ± 0.0 (2 seeds)"]
    assert rows["validation images, ten views"][0].startswith("45.0") and len(rows) == 3
    write(tmp_path, CPU, top5=None)
    assert [row[2] for row in read.error_rows(read.recorded(tmp_path))] == ["-", "-", "-"]
