"""The benches: turns, medians, tables, records. Whether anything is fast is not tested here."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from small_sets import write_tree
from torch import nn

from alexnet_lib import __main__ as command_line
from alexnet_lib import bench, records
from alexnet_lib.bench import cifar, lrn, model
from alexnet_lib.bench.recording import figures, write
from alexnet_lib.datasets import load_cifar10
from alexnet_lib.errors import SettingError
from alexnet_lib.layers import LocalResponseNorm
from alexnet_lib.model import AlexNet, AlexNetConfig

pytestmark = pytest.mark.usefixtures("one_thread", "no_data_named")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only contestants move."""
    now = [0.0]
    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])
    return now


def test_turns_alternate_the_first_is_a_warm_up_and_the_median_counts(clock: list[float]) -> None:
    order, lengths = [], {"a": iter([9.0, 1.0, 2.0, 4.0]), "b": iter([9.0, 5.0, 5.0, 5.0])}

    def contestant(name: str):  # noqa: ANN202
        def run() -> int:
            order.append(name)
            clock[0] += next(lengths[name])
            return 100

        return run

    timings = bench.take_turns({name: contestant(name) for name in "ab"}, 3)
    assert order == list("abababab")
    assert (timings["a"].median, timings["a"].lowest, timings["a"].highest) == (50.0, 25.0, 100.0)
    assert timings["b"].median == 20.0


def test_a_table_is_aligned(capsys: pytest.CaptureFixture) -> None:
    bench.print_table("title", ("", "speed"), [("a", "1"), ("longer", "1,000")])
    assert capsys.readouterr().out == "title\n        speed\na           1\nlonger  1,000\n"


@pytest.mark.parametrize("words, said", [
    (["cifar", "--rounds", "0"], "--rounds 0: give a whole number of 1 or more"),
    (["cifar", "--batches", "-1"], "--batches -1"),
    (["lrn", "--batch", "0"], "--batch 0"),
    (["lrn", "--device", "cpu", "--dtype", "bfloat16"], "nn.LocalResponseNorm does not have it on a CPU"),
    (["model", "--batches", "32,x"], "--batches '32,x': give whole numbers"),
    (["model", "--dtypes", "float8"], "--dtypes 'float8' is not known; use float32, bfloat16"),
    (["model", "--threads", "0"], "--threads 0"),
])  # fmt: skip
def test_options_that_cannot_be_are_named(words: list[str], said: str, capsys: pytest.CaptureFixture) -> None:
    assert command_line.main(["bench", *words]) == 2
    assert said in capsys.readouterr().err


def test_bench_cifar_prints_ratios_of_its_own_numbers(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    named = {"ours": 8000.0, "one": 1000.0, "workers": 2000.0, "step": 400.0}
    timings = {name: bench.Timing(name, speed, speed / 2, speed * 2) for name, speed in named.items()}
    cifar.report(timings, bench.Timing("step", 320.0, 300.0, 340.0), 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[-6:] == ["8,000", "4,000", "to", "16,000", "1.0", "5.0%"]
    assert lines[3].split()[-2:] == ["8.0", "40.0%"] and lines[4].split()[-2:] == ["4.0", "20.0%"]
    assert lines[-1] == "the step before freed memory was kept: 320 images/s, 0.80 of the above"


def test_torchvision_gets_the_very_same_images(tmp_path: Path) -> None:
    images = load_cifar10("train", write_tree(tmp_path / "tree", train=3, test=1))
    cifar.write_batches(images, tmp_path)
    published = cifar.PublishedCIFAR10(str(tmp_path))
    assert len(published) == 30 and published.classes == list(images.classes)
    for i in (0, 17):
        picture, label = published[i]
        pixels = torch.tensor(list(picture.tobytes()), dtype=torch.uint8).reshape(32, 32, 3).permute(2, 0, 1)
        assert torch.equal(pixels, images.images[i]) and label == images.labels[i]


def test_bench_cifar_runs_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    tree = write_tree(tmp_path / "tree", train=26, test=1)
    words = ["bench", "cifar", "--data", str(tree), "--device", "cpu", "--batches", "1", "--rounds", "1"]
    assert command_line.main([*words, "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "part of CIFAR-10, 260 training images" in out and out.count("images/s") >= 1
    assert "training step of the network (80sec, ReLU)" in out


def test_what_is_kept_for_backward_is_counted_without_the_input() -> None:
    x = torch.randn(2, 8, 5, 5)
    assert lrn.kept_for_backward(LocalResponseNorm(), x) == 0
    assert lrn.kept_for_backward(nn.Sigmoid(), x) == 2 * 8 * 5 * 5 * 4
    assert lrn.kept_for_backward(nn.Sequential(nn.Sigmoid(), nn.Sigmoid()), x) == 2 * 2 * 8 * 5 * 5 * 4


def test_bench_lrn_measures_the_same_formula_and_records_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(lrn, "SHAPES", ((16, 4, 4),))
    words = ["bench", "lrn", "--device", "cpu", "--batch", "2", "--rounds", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["alexnet_lib", *words])
    assert command_line.main(words) == 0
    out = capsys.readouterr().out
    assert "activations (2, 16, 4, 4)" in out and "times as fast as the framework" in out
    record = records.read(tmp_path / "bench" / "lrn_cpu.json")
    (found,) = record["result"]["shapes"]
    assert found["shape"] == [2, 16, 4, 4] and found["kept_bytes"]["ours"] == 0
    assert set(found["images_per_second"]) == {"ours", "ours, two columns", "framework", "copy"}
    assert record["command"] == "python -m alexnet_lib bench lrn --device cpu --batch 2 --rounds 1"
    x = torch.randn(2, 96, 4, 4) * 30
    framework = nn.LocalResponseNorm(5, **lrn.FRAMEWORK)(x)
    assert torch.allclose(framework, LocalResponseNorm()(x), rtol=1e-5), "the two sides must compute the same"


def test_the_networks_measured_are_what_their_names_say() -> None:
    made = {name: make() for name, make in model.networks(torch.device("cpu")).items()}
    assert list(made)[0] == model.OURS and len(made) == 7
    paper = made[model.OURS]
    images = torch.randn(1, 3, 224, 224) * 60
    with_framework = made["the same with nn.LocalResponseNorm"]
    assert torch.allclose(paper.eval()(images), with_framework.eval()(images), rtol=1e-4, atol=1e-5)
    assert made["the same without LRN"].config.norm == "none"
    assert made["one GPU, half the kernels"].config.widths == (48, 128, 192, 192, 256)
    split = made["the paper's in two columns, on one device"].eval()
    assert torch.allclose(split(images), paper(images), rtol=1e-4, atol=1e-5)


def test_bench_model_reports_and_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    small = {model.OURS: lambda: AlexNet(AlexNetConfig(widths=(12, 12, 12, 12, 12), hidden=(8, 8)), seed=0)}
    monkeypatch.setattr(model, "networks", lambda device: small)
    words = ["bench", "model", "--device", "cpu", "--batches", "2,3", "--rounds", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["alexnet_lib", *words])
    assert command_line.main(words) == 0
    out = capsys.readouterr().out
    assert "batch 2, float32" in out and "batch 3, float32" in out
    steps = json.loads((tmp_path / "bench" / "model_cpu.json").read_text())["result"]["steps"]
    assert [(step["batch"], step["dtype"], step["compiled"]) for step in steps] == [
        (2, "float32", False), (3, "float32", False),
    ]  # fmt: skip
    assert steps[0]["images_per_second"][model.OURS]["median"] > 0


def test_a_record_of_speed_is_complete(tmp_path: Path) -> None:
    timings = {"a": bench.Timing("a", 2.0, 1.0, 3.0)}
    assert figures(timings) == {"a": {"median": 2.0, "lowest": 1.0, "highest": 3.0}}
    about = {"device": torch.device("cpu"), "rounds": 1, "seconds": 1.0, "words": ["--rounds", "1"], "out": tmp_path}
    record = records.read(write("some", {"x": 1}, claims=["C04"], **about))
    assert (record["experiment"], record["run"], record["claims"]) == ("bench", "some_cpu", ["C04"])


def test_check_counts_takes_what_was_not_given() -> None:
    bench.check_counts(Namespace(rounds=1, threads=None), "rounds", "threads")
    with pytest.raises(SettingError, match="--threads 0"):
        bench.check_counts(Namespace(rounds=1, threads=0), "rounds", "threads")
