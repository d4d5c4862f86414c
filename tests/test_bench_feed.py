"""The feeding bench: what each side makes, and a whole small run of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_cases import SMALL, small

from alexnet_lib import bench, records
from alexnet_lib.__main__ import main
from alexnet_lib.bench import feed
from alexnet_lib.imagenet_reader import PreparedImages

pytestmark = pytest.mark.usefixtures("one_thread")


def test_ours_goes_on_into_the_next_pass_where_one_is_too_short(prepared: Path) -> None:
    images = PreparedImages(prepared, "train")
    assert feed.fed(images, small(), "mapped", 7, torch.device("cpu"))() == 84  # a pass has 4 batches of 12


def test_their_loader_makes_batches_of_the_same_size_and_scale(prepared: Path) -> None:
    images, recipe = PreparedImages(prepared, "train"), small()
    loader = feed.their_loader(prepared.parent / "source" / "train", images, recipe, workers=0)
    batches = [pixels for pixels, _ in loader]
    assert [tuple(pixels.shape) for pixels in batches] == [(12, 3, 64, 64)] * 4
    # Minus the mean image and lit by a few grey levels: what is left has a mean near 0 and photographs' spread.
    left = torch.cat(batches)
    assert abs(left.mean()) < 8 and 10 < left.std() < 100
    assert feed.theirs(loader, 6, torch.device("cpu"))() == 72


def test_bench_feed_measures_records_and_tells_ratios(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = [word for change in SMALL for word in ("--set", change)]
    words = ["bench", "feed", str(prepared), "--source", str(prepared.parent / "source" / "train"), "--workers", "0",
             "--device", "cpu", "--rounds", "1", "--batches", "2", "--out", str(tmp_path), *changes]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["alexnet_lib", *words])
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "ours, mapped" in said and "ours, memory" in said and f"{feed.THEIRS}, 0 worker(s)" in said
    (record,) = records.load("bench", root=tmp_path).values()
    assert record["run"] == "feed_cpu" and record["result"]["batch"] == 12
    assert set(record["result"]["images_per_second"]) >= {"ours, mapped", feed.STEP}


def test_the_ratio_is_to_the_step(capsys: pytest.CaptureFixture) -> None:
    feed.report({name: bench.Timing(name, v, v, v) for name, v in {"ours, mapped": 500.0, feed.STEP: 100.0}.items()})
    assert capsys.readouterr().out.splitlines()[2].split()[-1] == "5.0"


def test_bad_input_is_named(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["bench", "feed", str(tmp_path), "--device", "cpu"]) == 2
    assert "prepare-imagenet SRC" in capsys.readouterr().err
    assert main(["bench", "feed", str(prepared), "--device", "cpu", "--batches", "0"]) == 2
    assert "--batches 0" in capsys.readouterr().err
