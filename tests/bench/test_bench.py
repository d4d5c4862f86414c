"""The benches: turns, medians, tables, records. Whether anything is fast is not tested here."""

from __future__ import annotations

import itertools
import re
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from alexnet_lib import __main__ as command_line
from alexnet_lib import bench, records
from alexnet_lib.bench import augment, cifar, lrn, model
from alexnet_lib.bench.frame import Comparison, figures
from alexnet_lib.commands.parsers import add_bench_parser
from alexnet_lib.errors import SettingError, check_counts
from alexnet_lib.measures.lrn import kept_for_backward
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.lrn import LocalResponseNorm
from alexnet_lib.system import timing

pytestmark = pytest.mark.usefixtures("one_thread", "no_data_named")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only contestants move."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


def test_turns_alternate_the_first_is_a_warm_up_and_the_median_counts(clock: list[float]) -> None:
    order, lengths = [], {"a": iter([9.0, 1.0, 2.0, 4.0]), "b": iter([9.0, 5.0, 5.0, 5.0])}

    def contestant(name: str):  # noqa: ANN202
        def run() -> int:
            order.append(name)
            clock[0] += next(lengths[name])
            return 100

        return run

    timings = timing.take_turns({name: contestant(name) for name in "ab"}, 3)
    assert order == list("abababab")
    assert (timings["a"].median, timings["a"].lowest, timings["a"].highest) == (50.0, 25.0, 100.0)
    assert timings["b"].median == 20.0


def test_a_table_is_aligned(capsys: pytest.CaptureFixture) -> None:
    bench.print_table("title", ("", "speed"), [("a", "1"), ("longer", "1,000")])
    assert capsys.readouterr().out == "title\n        speed\na           1\nlonger  1,000\n"


def test_the_help_states_the_defaults_that_are_there(capsys: pytest.CaptureFixture) -> None:
    parser = ArgumentParser()
    add_bench_parser(parser.add_subparsers())
    for kind, stated in (("augment", 3), ("cifar", 2), ("lrn", 2), ("model", 2)):
        with pytest.raises(SystemExit):
            parser.parse_args(["bench", kind, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        found = dict(re.findall(r"--(\w+) \S+ [^-]*\(default: (\d+|auto|float32)\)", said))
        args = vars(parser.parse_args(["bench", kind]))
        assert found == {name: str(args[name]) for name in found} and len(found) >= stated, kind
        assert args["bench"] == kind


@pytest.mark.parametrize(
    "words, said",
    [
        (["cifar", "--rounds", "0"], "--rounds 0: give a whole number of 1 or more"),
        (["cifar", "--batches", "-1"], "--batches -1"),
        (["lrn", "--batch", "0"], "--batch 0"),
        (["augment", "--batch", "0"], "--batch 0"),
        (["lrn", "--device", "cpu", "--dtype", "bfloat16"], "nn.LocalResponseNorm does not have it on a CPU"),
        (["model", "--batches", "32,x"], "--batches '32,x': give whole numbers"),
        (["model", "--batches", "32,0"], "--batches '32,0': give whole numbers of 1 or more"),
        (["model", "--dtypes", "float8"], "--dtypes 'float8' is not known; use float32, bfloat16"),
        (["model", "--only", "zzz"], "--only zzz: no network's name holds that"),
        (["model", "--batches", "²"], "--batches '²'"),
        (["model", "--threads", "0"], "--threads 0"),
    ],
)
def test_options_that_cannot_be_are_named(
    words: list[str], said: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, measures in ((augment, "contestants"), (cifar, "stepper"), (lrn, "contestants"), (model, "measure")):
        monkeypatch.setattr(module, measures, lambda *_: pytest.fail("it went on to measure"))
    assert command_line.main(["bench", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_file_where_records_are_to_go_is_named_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lrn, "take_turns", lambda *_, **__: pytest.fail("it was measured"))
    (tmp_path / "file").write_text("mine")
    assert command_line.main(["bench", "lrn", "--device", "cpu", "--out", str(tmp_path / "file")]) == 2
    assert f"--out {tmp_path / 'file' / 'bench'} cannot be made or written (Not a directory)" in capsys.readouterr().err


def test_what_is_kept_for_backward_is_counted_without_the_input() -> None:
    x = torch.randn(2, 8, 5, 5)
    assert kept_for_backward(LocalResponseNorm(), x) == 0
    assert kept_for_backward(nn.Sigmoid(), x) == 2 * 8 * 5 * 5 * 4
    assert kept_for_backward(nn.Sequential(nn.Sigmoid(), nn.Sigmoid()), x) == 2 * 2 * 8 * 5 * 5 * 4


def test_bench_lrn_prints_times_and_ratios_of_its_own_numbers(capsys: pytest.CaptureFixture) -> None:
    named = {"ours": 200.0, "framework": 100.0, "copy": 800.0}
    timings = {name: timing.Timing(name, speed, speed / 2, speed * 2) for name, speed in named.items()}
    lrn.report((32, 4, 5, 5), "contiguous", timings, {"ours": 0, "framework": 3 * 2**20})
    title, header, *rows = capsys.readouterr().out.splitlines()
    assert title == "activations (32, 4, 5, 5), contiguous"
    assert [row.split() for row in rows] == [
        ["ours", "160.00", "2.00", "4.00", "0.0"],
        ["framework", "320.00", "1.00", "8.00", "3.0"],
        ["copy", "40.00", "8.00", "1.00"],
    ]


def test_a_turn_of_lrn_goes_forward_and_backward_and_counts_its_images() -> None:
    gradients = []

    class Doubled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            doubled = 2 * x
            doubled.register_hook(gradients.append)
            return doubled

    x, gradient = torch.randn(3, 16, 2, 2), torch.randn(3, 16, 2, 2)
    assert lrn._forward_and_backward(Doubled(), x, gradient)() == 3
    assert len(gradients) == 1 and torch.equal(gradients[0], gradient)
    assert [turn() for turn in lrn.contestants(x, gradient, compiled=False).values()] == [3, 3, 3, 3]


def test_the_norms_measured_are_what_their_names_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lrn, "_forward_and_backward", lambda layer, x, gradient: layer)
    monkeypatch.setattr(torch, "compile", lambda layer: ("compiled", layer))
    x = torch.randn(1, 8, 2, 2)
    found = lrn.contestants(x, x, compiled=True)
    assert list(found) == ["ours", "ours, two columns", "framework", "ours, compiled", "framework, compiled", "copy"]
    assert (found["ours"].columns, found["ours, two columns"].columns) == (1, 2)
    assert [found[f"{name}, compiled"][0] for name in ("ours", "framework")] == ["compiled", "compiled"]
    assert isinstance(found["framework, compiled"][1], nn.LocalResponseNorm)


def test_bench_lrn_measures_the_same_formula_and_records_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(lrn, "SHAPES", ((16, 4, 4),))
    words = ["bench", "lrn", "--device", "cpu", "--rounds", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["alexnet_lib", *words])
    assert command_line.main(words) == 0
    out = capsys.readouterr().out
    assert "activations (32, 16, 4, 4), channels last" in out and "times as fast as the framework" in out
    record = records.read(tmp_path / "bench" / "lrn_cpu.json")
    assert [found["order"] for found in record["result"]["shapes"]] == ["channels last", "contiguous"]
    for found in record["result"]["shapes"]:
        assert found["shape"] == [32, 16, 4, 4] and found["kept_bytes"]["ours"] == 0
        assert set(found["images_per_second"]) == {"ours", "ours, two columns", "framework", "copy"}
    assert record["command"] == "python -m alexnet_lib bench lrn --device cpu --rounds 1"
    x = torch.randn(2, 96, 4, 4) * 30
    framework = nn.LocalResponseNorm(5, **lrn.FRAMEWORK)(x)
    assert torch.allclose(framework, LocalResponseNorm()(x), rtol=1e-5), "the two sides must compute the same"


def test_the_networks_measured_are_what_their_names_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is built: 61 million weights a network would take seconds."""
    monkeypatch.setattr(model, "AlexNet", lambda config, seed: SimpleNamespace(config=config))
    monkeypatch.setattr(
        model, "TwoGPUAlexNet", lambda config, pair, seed: SimpleNamespace(config=config, pair=pair, columns=[])
    )
    monkeypatch.setattr(model.torchvision.models, "alexnet", lambda weights: "torchvision's")
    cpu = torch.device("cpu")
    made = {name: make() for name, make in model.networks(cpu).items()}
    assert made.pop("torchvision.models.alexnet") == "torchvision's"
    paper = AlexNetConfig.paper()
    assert {name: one.config for name, one in made.items()} == {
        model.OURS: paper,
        "the same with nn.LocalResponseNorm": paper,
        "the same without LRN": replace(paper, name="no_norm", norm="none"),
        "the 2012 code's": AlexNetConfig.code2012(),
        "one GPU, half the kernels": AlexNetConfig.one_gpu_half(),
        "the paper's in two columns, on one device": paper,
    }
    framework = made["the same with nn.LocalResponseNorm"]
    assert isinstance(framework.norm1, model.FrameworkNorm) and isinstance(framework.norm2, model.FrameworkNorm)
    assert made["the paper's in two columns, on one device"].pair == (cpu, cpu)


def test_the_frameworks_norm_stays_within_its_column_too() -> None:
    x = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0)) * 100
    found = model.FrameworkNorm()(x)
    assert torch.allclose(found, LocalResponseNorm(columns=2)(x), rtol=1e-5)
    assert not torch.allclose(found, LocalResponseNorm()(x), rtol=1e-2)


def test_the_networks_compared_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AlexNetConfig, "paper", lambda: AlexNetConfig(widths=(16, 16, 8, 8, 8), hidden=(8, 8)))
    nets = model.networks(torch.device("cpu"))
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 60
    paper, framework, split = (
        nets[name]().eval()(images)
        for name in (model.OURS, "the same with nn.LocalResponseNorm", "the paper's in two columns, on one device")
    )
    assert torch.allclose(framework, paper, rtol=1e-4, atol=1e-6) and torch.allclose(split, paper, rtol=1e-4, atol=1e-6)
    assert paper.std() > 1e-4, "logits that are all alike would say nothing"


def test_a_step_of_a_network_trains_it() -> None:
    net = AlexNet(AlexNetConfig(widths=(4, 4, 4, 4, 4), hidden=(8, 8), norm="none"), seed=0).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    dtypes = []
    net.fc8.register_forward_hook(lambda *seen: dtypes.append(seen[-1].dtype))
    for dtype in ("float32", "bfloat16"):
        assert model.stepper(net, 2, torch.device("cpu"), dtype, compiled=False)() == 2
    assert net.training and dtypes == [torch.float32, torch.bfloat16]
    assert not torch.equal(net.fc8.bias, before["fc8.bias"])


def test_bench_model_prints_ratios_to_ours(capsys: pytest.CaptureFixture) -> None:
    ours, other = timing.Timing(model.OURS, 100.0, 50.0, 200.5), timing.Timing("other", 25.0, 20.0, 30.0)
    model.report({model.OURS: ours, "other": other}, "batch 2")
    title, header, *rows = capsys.readouterr().out.splitlines()
    assert (title, header.split("  ")[-1]) == ("batch 2", "times ours")
    assert [row.split()[-5:] for row in rows] == [
        ["100.0", "50.0", "to", "200.5", "1.00"],
        ["25.0", "20.0", "to", "30.0", "0.25"],
    ]
    model.report({"other": other}, "batch 2")
    assert capsys.readouterr().out.split()[-4:] == ["25.0", "20.0", "to", "30.0"], "there is nothing to compare with"


def test_only_measures_the_networks_whose_names_hold_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "networks", lambda device: {name: lambda: None for name in ("one", "two", "twofold")})
    monkeypatch.setattr(model, "stepper", lambda *settings: settings[1:])
    monkeypatch.setattr(model, "take_turns", lambda steps, rounds: (steps, rounds))
    cpu = torch.device("cpu")
    setting = (8, cpu, "bfloat16", True)
    for only, names in (
        ("two", ["two", "twofold"]),
        ("fold,one", ["one", "twofold"]),
        (None, ["one", "two", "twofold"]),
    ):
        measured = model.measure(model.chosen(only, cpu), 3, cpu, 8, "bfloat16", True)
        assert measured == ({name: setting for name in names}, 3)


@pytest.fixture
def settings_measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """`bench model` measures nothing: this list keeps with what batches, types and compilers it would have."""
    seen = []

    def measure(wanted: dict, rounds: int, device: torch.device, *setting: object) -> dict[str, timing.Timing]:
        seen.append((len(wanted), rounds, *setting))
        return {model.OURS: timing.Timing(model.OURS, 2.0, 1.0, 3.0)}

    monkeypatch.setattr(model, "measure", measure)
    return seen


def test_bench_model_measures_every_setting_asked_for_and_records_it(
    settings_measured: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ["bench", "model", "--device", "cpu", "--batches", "2,3", "--dtypes", "float32,bfloat16", "--compile"]
    words += ["--rounds", "4", "--only", "half,torchvision", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["alexnet_lib", *words])
    assert command_line.main(words) == 0
    wanted = list(itertools.product((2, 3), ("float32", "bfloat16"), (False, True)))
    assert settings_measured == [(2, 4, *setting) for setting in wanted]
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("batch")]
    assert titles == [f"batch {batch}, {dtype}{', compiled' * compiled}" for batch, dtype, compiled in wanted]
    record = records.read(tmp_path / "bench" / "model_cpu.json")
    assert record["result"]["steps"] == [
        {
            "batch": batch,
            "dtype": dtype,
            "compiled": compiled,
            "images_per_second": {model.OURS: {"median": 2.0, "lowest": 1.0, "highest": 3.0}},
        }
        for batch, dtype, compiled in wanted
    ]
    assert record["claims"] == ["C04"] and record["configuration"]["rounds"] == 4
    assert "bench model --device cpu --batches 2,3 " in record["command"]


def test_bench_model_takes_32_images_on_a_cpu(settings_measured: list) -> None:
    assert command_line.main(["bench", "model", "--device", "cpu"]) == 0
    assert settings_measured == [(7, 5, 32, dtype, False) for dtype in ("float32", "bfloat16")]


def test_a_record_of_speed_is_complete(
    clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    timings = {"a": timing.Timing("a", 2.0, 1.0, 3.0)}
    assert figures(timings) == {"a": {"median": 2.0, "lowest": 1.0, "highest": 3.0}}
    monkeypatch.setattr("sys.argv", ["alexnet_lib", "bench", "some", "--rounds", "7"])
    comparison = Comparison(Namespace(bench="some", device="cpu", threads=None, rounds=7, out=tmp_path))
    clock[0] += 1.5
    assert comparison.record({"x": 1}, claims=["C04"]) == 0
    path = tmp_path / "bench" / "some_cpu.json"
    assert capsys.readouterr().out == f"recorded in {path}\n"
    record = records.read(path)
    assert (record["experiment"], record["run"], record["claims"]) == ("bench", "some_cpu", ["C04"])
    assert (record["configuration"], record["seconds"]) == ({"rounds": 7, "threads": 1}, 1.5)
    assert record["result"] == {"x": 1} and record["dataset"]["name"] == "noise"
    assert record["command"] == "python -m alexnet_lib bench some --rounds 7"


def test_without_out_nothing_is_recorded(capsys: pytest.CaptureFixture) -> None:
    assert Comparison(Namespace(bench="some", device="cpu", threads=None, rounds=7, out=None)).record({"x": 1}) == 0
    assert capsys.readouterr().out == ""


def test_a_turn_lasts_until_the_gpus_in_use_have_done_it(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda number: (10, 0, 10)[number])

    def synchronize(number: int) -> None:
        waited.append(number)
        clock[0] += 1

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    assert timing.take_turns({"a": lambda: 100}, 1)["a"].median == 50.0
    assert waited == [0, 2] * 2


def test_check_counts_takes_what_was_not_given() -> None:
    check_counts(Namespace(rounds=1, threads=None), "rounds", "threads")
    with pytest.raises(SettingError, match="--threads 0"):
        check_counts(Namespace(rounds=1, threads=0), "rounds", "threads")
