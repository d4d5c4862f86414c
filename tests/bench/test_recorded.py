"""Reading the benches' records for the chapter: a GPU's first, and nothing made up where there is none."""

from __future__ import annotations

import json
from pathlib import Path

from alexnet_lib.bench import recorded as read

TIMING = {"lowest": 90.0, "highest": 110.0}
RESULT = {
    "rungs": [
        {"name": "naive", "images_per_second": {"median": 100.0, **TIMING}, "step_alone": {"median": 150.0},
         "share_of_roofline": 0.25},
        {"name": "+ ours", "images_per_second": {"median": 240.0, **TIMING}, "step_alone": {"median": 260.0},
         "share_of_roofline": 0.6},
    ],
    "beside": {"torchvision's": {"median": 50.0, **TIMING}}, "peaks": {"float32": {"operations": 2e11, "bytes": 1e10}},
    "images_per_second": {"mapped": {"median": 1234.4, **TIMING}},
}  # fmt: skip


def write(root: Path, run: str) -> None:
    dataset = dict.fromkeys(("name", "source", "checksum", "images", "stand_in"), "x")
    record = {"experiment": "bench", "run": run, "kind": "measured", "claims": ["C15"], "command": "c",
              "configuration": {}, "dataset": dataset, "seeds": [0], "commit": "c", "date": "d", "device": f"of {run}",
              "versions": {}, "seconds": 1.0, "curves": [], "result": RESULT}  # fmt: skip
    (root / "bench").mkdir(exist_ok=True)
    (root / "bench" / f"{run}.json").write_text(json.dumps(record))


def test_a_gpus_record_comes_first(tmp_path: Path) -> None:
    assert read.best_of("train", tmp_path) == {}
    write(tmp_path, "train_cpu")
    assert read.machine(found := read.best_of("train", tmp_path)) == "of train_cpu" and not read.on_gpu(found)
    write(tmp_path, "train_cuda")
    found = read.best_of("train", tmp_path)
    assert read.keys(found, {}) == ["bench/train_cuda"] and read.on_gpu(found)


def test_the_ladder_is_told_beside_its_first_rung(tmp_path: Path) -> None:
    write(tmp_path, "train_cpu")
    found = read.best_of("train", tmp_path)
    assert read.ladder_rows(found) == [
        ["naive", "100.0", "1.00", "150.0", "25%"], ["+ ours", "240.0", "2.40", "260.0", "60%"],
        ["torchvision's", "50.0", "0.50", "-", "-"],
    ]  # fmt: skip
    assert read.fastest(found) == 240 and read.peak_of(found).balance == 20
    assert read.feed_rows(found) == [["mapped", "1,234", "90 to 110"]]


def test_without_records_the_tables_say_so() -> None:
    assert read.ladder_rows({})[0][0] == read.feed_rows({})[0][0] == read.machine({}) == "not yet run"
    assert read.peak_of({}) is None and read.keys({}) == []
