"""The bench of preparing images: the plain script does the same work, and disagreement is an error, not a speed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from imagenet_trees import write_folders, write_tars

from alexnet_lib import __main__ as command_line
from alexnet_lib.bench import prepare
from alexnet_lib.data.imagenet import preparation
from alexnet_lib.data.imagenet.reader import PreparedImages

pytestmark = pytest.mark.usefixtures("one_thread", "no_data_named")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "source")


def test_the_plain_script_stores_the_same_pixels_and_finds_the_same_statistics(source: Path, tmp_path: Path) -> None:
    links, entries, about = prepare.copies_of(source, 2, None, tmp_path / "links")
    assert len(entries) == 18 and about == "9 training images of source, each 2 times"
    covariance = prepare.plain_script(links, entries, tmp_path / "plain", 24, "raw", 95)
    preparation.prepare(links, tmp_path / "ours", side=24, jobs=1)
    images = PreparedImages(tmp_path / "ours")
    pixels = np.fromfile(tmp_path / "plain" / "images.raw", np.uint8).reshape(18, 24, 24, 3)
    assert np.array_equal(pixels, images.images(range(18)).permute(0, 2, 3, 1).numpy())
    assert np.allclose(covariance, images.index["statistics"]["covariance"], rtol=1e-10)
    assert torch.allclose(torch.load(tmp_path / "plain" / "mean.pt"), images.mean_image.double(), atol=1e-4)


def test_the_plain_script_stores_jpegs_of_the_same_bytes(source: Path, tmp_path: Path) -> None:
    links, entries, _ = prepare.copies_of(source, 1, 4, tmp_path / "links")
    assert [entry.label for entry in entries] == [0, 0, 1, 2], "evenly spread"
    prepare.plain_script(links, entries, tmp_path / "plain", 24, "jpeg", 80)
    preparation.prepare(links, tmp_path / "ours", side=24, jobs=1, format="jpeg", quality=80)
    ours = PreparedImages(tmp_path / "ours").encoded(range(4))
    assert [path.read_bytes() for path in sorted((tmp_path / "plain").glob("*.jpg"))] == [
        bytes(one.tolist()) for one in ours
    ]


def test_the_command_prints_a_table_and_writes_a_record(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["bench", "prepare", str(source), "--rounds", "1", "--side", "24", "--jobs", "1", "--copies", "3"]
    words += ["--work", str(tmp_path), "--out", str(tmp_path / "records")]
    monkeypatch.setattr("sys.argv", ["alexnet_lib", *words])
    assert command_line.main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("9 training images of source, each 3 times, to 24 x 24 as raw, in ")
    assert "alexnet_lib, 1 process(es)" in out and "Pillow + torchvision, a plain loop" in out
    assert not list(tmp_path.glob("bench_prepare_*")), "what was measured on is gone"
    (path,) = (tmp_path / "records" / "bench").iterdir()
    record = json.loads(path.read_text())
    assert record["command"].startswith("python -m alexnet_lib bench prepare SRC --rounds 1 --side 24")
    assert record["run"] == "prepare_source_raw_cpu"
    assert record["dataset"]["images"] == 27 and record["result"]["images_per_second"]["ours"]["median"] > 0


def test_answers_that_differ_are_an_error(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "plain_script", lambda *_: np.ones((3, 3)))
    words = ["bench", "prepare", str(source), "--rounds", "1", "--side", "8", "--jobs", "1", "--work", str(tmp_path)]
    assert command_line.main(words) == 2
    assert "the two covariances differ by" in capsys.readouterr().err


def test_what_cannot_be_measured(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "tars").mkdir()
    tars = write_tars(tmp_path / "tars", source)
    (tars / "ILSVRC2012_img_val.tar").unlink()
    for words, said in (
        ([str(source), "--copies", "0"], "--copies 0: give a whole number of 1 or more"),
        ([str(tmp_path / "nowhere")], "nowhere is not a folder"),
        ([str(tars)], "bench prepare needs a folder of image files"),
    ):
        assert command_line.main(["bench", "prepare", *words]) == 2
        assert said in capsys.readouterr().err
