"""The bench of whole training: one change a rung, the same update on all, counts by hand, a whole small run."""

from __future__ import annotations

import itertools
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from training_cases import SMALL, small, training

from alexnet_lib import records
from alexnet_lib.__main__ import main
from alexnet_lib.bench import frame, ladder, roofline, train, train_report
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import AlexNetLibError
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.description import Description
from alexnet_lib.network.lrn import LocalResponseNorm
from alexnet_lib.system import devices, timing
from alexnet_lib.training.optimizer import PaperSGD
from alexnet_lib.training.recipes import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
QUICK = ("rate=0.01", "weight_decay=0.1")  # so that a wrong update shows in the next loss


@pytest.fixture
def makes(prepared: Path) -> ladder.Batches:
    return ladder.Batches(PreparedImages(prepared, "train"), small(*QUICK), 3, CPU)


@pytest.fixture(scope="module")
def paper() -> Description:
    return AlexNet(AlexNetConfig.paper(), seed=0).describe()


def source(prepared: Path) -> Path:
    return prepared.parent / "source" / "train"


@pytest.mark.parametrize("normed, held", [(True, True), (False, True), (True, False)])
def test_each_rung_is_the_one_before_with_one_thing_changed(normed: bool, held: bool) -> None:
    rungs = ladder.ladder(tuple(reversed(ladder.EXTRAS)), normed=normed, held=held)
    assert rungs[0] == ladder.Rung(ladder.NAIVE, ladder.Step(), "files")
    for before, after in itertools.pairwise(rungs):
        old, new = ({"feed": rung.feed, **asdict(rung.step)} for rung in (before, after))
        assert sum(old[name] != new[name] for name in old) == 1, after.name
    assert len({rung.name for rung in rungs}) == len(rungs) == 10 - (not normed) - (not held)
    assert [rung.name[2:] for rung in rungs[-4:]] == [name for name, _ in ladder.EXTRAS.values()], "in their own order"
    assert rungs[-1].feed == ("held" if held else "mapped")


def test_a_gpu_has_all_extras_and_a_cpu_those_that_are_asked_for() -> None:
    gpu = torch.device("cuda")
    assert ladder.extras_of(None, gpu) == tuple(ladder.EXTRAS) and ladder.extras_of(None, CPU) == ("bfloat16",)
    assert ladder.extras_of("compiled, bfloat16", CPU) == ("compiled", "bfloat16")
    assert ladder.extras_of("graphs", gpu) == ("graphs",) and ladder.extras_of("", CPU) == ()


@pytest.mark.parametrize("extras", [(), ("bfloat16",)])
def test_every_rung_computes_the_same_update(extras: tuple[str, ...], makes: ladder.Batches) -> None:
    rungs = ladder.ladder(extras)
    trainers = {rung.name: ladder.Trainer(rung.step, makes.recipe, 6, CPU) for rung in rungs}
    found = ladder.check(trainers, makes.at_hand())
    losses = [found[rung.name].losses for rung in rungs]
    assert losses[0][0] - losses[0][-1] > 0.01, "updates that change nothing would be alike whatever they are"
    for before, after in itertools.pairwise(losses):
        assert after == pytest.approx(before, rel=1e-2 if "bfloat16" in extras else 1e-5)
    assert 0 < found[rungs[-1].name].apart < (0.2 if extras else 1e-3)


def test_a_step_that_computes_something_else_is_refused(makes: ladder.Batches) -> None:
    first = ladder.Trainer(ladder.Step(), makes.recipe, 6, CPU)
    wrong = ladder.Trainer(ladder.Step(), makes.recipe, 6, CPU)
    wrong.optimizer.param_groups[0]["weight_decay"] = 0.0
    with pytest.raises(AlexNetLibError, match="'wrong' does not compute the same"):
        ladder.check({"first": first, "wrong": wrong}, makes.at_hand())


def test_steps_are_made_of_what_their_fields_say(makes: ladder.Batches) -> None:
    naive = ladder.Trainer(ladder.Step(), makes.recipe, 6, CPU)
    fast = ladder.Trainer(ladder.ladder()[-1].step, makes.recipe, 6, CPU)
    kinds = [[type(layer) for layer in trainer.net.modules()] for trainer in (naive, fast)]
    assert nn.LocalResponseNorm in kinds[0] and LocalResponseNorm not in kinds[0]
    assert LocalResponseNorm in kinds[1] and nn.LocalResponseNorm not in kinds[1]
    assert type(naive.optimizer) is torch.optim.SGD and naive.optimizer.param_groups[0]["foreach"] is False
    assert type(fast.optimizer) is PaperSGD and fast.optimizer.fused
    assert naive.net.conv2.weight.is_contiguous()
    assert fast.net.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    seen = []
    half = ladder.Trainer(ladder.Step(dtype="bfloat16"), makes.recipe, 6, CPU)
    half.net.fc8.register_forward_hook(lambda *given: seen.append(given[-1].dtype))
    half(makes.at_hand())
    assert seen == [torch.bfloat16] and half.net.fc8.weight.dtype == torch.float32


def test_the_compilers_mode_is_the_rungs(makes: ladder.Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch, "compile", lambda net, mode: (asked.append(mode), net)[1])
    for rung in ladder.ladder(ladder.EXTRAS)[-3:]:
        ladder.Trainer(rung.step, makes.recipe, 6, CPU)
    assert asked == ["default", "reduce-overhead"]


@pytest.mark.parametrize("feed", ["files", "mapped", "held"])
def test_a_turn_takes_its_batches_and_leaves_nothing_running(feed: str, prepared: Path, makes: ladder.Batches) -> None:
    turn = makes.source(feed, source(prepared), workers=0)
    turns = [list(turn()) for _ in range(2)]
    assert [len(batches) for batches in turns] == [3, 3]
    assert not [thread for thread in threading.enumerate() if thread.name == "batches ahead"]
    assert not torch.equal(turns[0][0].pixels, turns[1][0].pixels), "each turn has other images"
    for batch in itertools.chain(*turns):
        assert batch.pixels.shape == (12, 3, 64, 64) and batch.pixels.dtype == torch.float32
        assert abs(batch.pixels.mean()) < 30 and batch.labels.max() < 6


def test_a_turn_may_be_longer_than_a_pass(makes: ladder.Batches) -> None:
    makes.count = 9  # a pass has 4
    assert len(list(makes.of_feed(makes.feed("mapped")))) == 9 and makes.passes == 3


def test_a_turn_is_as_many_updates_as_batches() -> None:
    seen, batch = [], ladder.Batch(torch.zeros(4, 3, 2, 2), torch.zeros(4, dtype=torch.int64))
    assert frame.each(seen.append, lambda: iter([batch] * 3), 4)() == 12 and len(seen) == 3
    assert frame.each(seen.append, lambda: [batch] * 5, 4)() == 20 and len(seen) == 8


def test_the_last_rung_is_what_the_train_command_does(prepared: Path, tmp_path: Path) -> None:
    recipe = small(*QUICK, "net.dropout=0")
    run = training(prepared, tmp_path / "run", recipe)
    run.take_up()
    trainer = ladder.Trainer(ladder.ladder()[-1].step, recipe, 6, CPU)
    makes = ladder.Batches(PreparedImages(prepared, "train"), recipe, 4, CPU)
    for batch in makes.of_feed(makes.feed("memory")):
        run.one_step(batch)
        trainer(batch)
    for name, weights in run.net.state_dict().items():
        assert torch.equal(weights, trainer.net.state_dict()[name]), name


def test_operations_of_the_papers_network(paper: Description) -> None:
    assert paper.multiply_adds == 724_406_816
    # Three times forward, but for the gradient by the images, which nobody asks for.
    assert roofline.operations_an_image(paper) == 2 * (3 * 724_406_816 - 105_415_200) == 4_135_610_496


def test_bytes_of_layers_counted_by_hand(paper: Description) -> None:
    work = {part.name: part for part in roofline.work(paper, 128)}
    assert all(part.bytes > 0 for part in work.values())
    assert {name for name, part in work.items() if part.operations} == {row.name for row in paper.layers}
    # fc7: 4,096 numbers in and out; forward reads and writes them, backward reads both and writes the gradient by one.
    weights = 4096 * 4096 + 4096
    assert work["fc7"].bytes == 4 * (128 * 5 * 4096 + 3 * weights)
    # conv1: images in, no gradient by them, and so its weights are not read a second time.
    images, maps, weights = 3 * 224**2, 96 * 55**2, 96 * 3 * 11**2 + 96
    assert work["conv1"].bytes == 4 * (128 * 2 * (images + maps) + 2 * weights)
    assert work["pool1"].bytes == 4 * 128 * 2 * (maps + 96 * 27**2), "pooling does not need its input again"
    assert work["norm1"].bytes == 4 * 128 * 5 * maps
    assert work["update"].bytes == 5 * 4 * paper.learned
    assert work["crop, mean, lighting"].bytes == 128 * images * (1 + 4)
    half = {part.name: part for part in roofline.work(paper, 128, "bfloat16")}
    assert half["fc7"].bytes * 2 == work["fc7"].bytes and half["fc7"].operations == work["fc7"].operations
    assert half["update"].bytes == (5 * 4 + 2 * (4 + 2)) * paper.learned, "with the copies of autocast"


def test_what_a_peak_allows() -> None:
    parts = [roofline.Work("a", 600, 10), roofline.Work("b", 100, 50)]
    peak = roofline.Peak(operations=100, bytes=10)
    assert peak.balance == 10
    assert [(part.bound(peak), part.seconds(peak)) for part in parts] == [("arithmetic", 6), ("memory", 5)]
    assert roofline.allowed(parts, 22, peak) == 2


def test_peaks_count_what_was_done() -> None:
    assert roofline.product(CPU, "float32", 16)() == 2 * 16**3 and roofline.product(CPU, "bfloat16", 8)() == 2 * 8**3
    assert roofline.copy(CPU, 1000)() == 2 * 4 * 1000


def test_the_projection() -> None:
    assert roofline.hours(60_000) * 60 == pytest.approx(32, abs=0.1)
    assert roofline.hours(1_281_167 * 90 / 3600) == pytest.approx(1)


def tiny_net(num_classes: int) -> nn.Module:
    """In the place of torchvision's alexnet, which takes seconds a batch."""
    return nn.Sequential(nn.Conv2d(3, 4, 11, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))


def test_the_example_is_torchvisions_with_its_own_update_and_transforms() -> None:
    trainer = train.ExampleTrainer(6, CPU, "float32")
    assert type(trainer.net).__name__ == "AlexNet" and trainer.net.classifier[-1].out_features == 6
    (group,) = trainer.optimizer.param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.01, 0.9, 1e-4)
    image = train.example_transform(64)(Image.new("RGB", (90, 80), (124, 116, 104)))
    assert image.shape == (3, 64, 64) and image.abs().max() < 0.01, "the mean colour is brought to 0"


def words(prepared: Path, *more: str) -> list[str]:
    changes = [word for change in SMALL for word in ("--set", change)]
    return ["bench", "train", str(prepared), "--device", "cpu", "--rounds", "1", "--batches", "2", *changes, *more]


def test_bench_train_checks_measures_and_records(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roofline, "product", lambda device, dtype: lambda: 2 * 16**3)
    monkeypatch.setattr(train.torchvision.models, "alexnet", tiny_net)
    given = words(prepared, "--source", str(source(prepared)), "--workers", "0", "--out", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["alexnet_lib", *given])
    assert main(given) == 0
    said = capsys.readouterr().out
    assert "projection: 90 passes over 1,281,167 images" in said and "all rungs compute the same" in said
    assert "left out" not in said
    (record,) = records.load("bench", root=tmp_path).values()
    assert record["run"] == "train_cpu" and record["claims"] == ["C15"]
    assert record["command"].startswith("python -m alexnet_lib bench train DIR --device cpu")
    assert "--source SRC" in record["command"] and str(tmp_path) not in record["command"]
    result = record["result"]
    rungs = ladder.ladder(["bfloat16"])
    assert [rung["name"] for rung in result["rungs"]] == [rung.name for rung in rungs]
    for rung in result["rungs"]:
        assert rung["images_per_second"]["median"] > 0 and rung["step_alone"]["median"] > 0
        share = rung["images_per_second"]["median"] / rung["roofline"]
        assert rung["share_of_roofline"] == pytest.approx(share, rel=1e-4)
    examples = {train_report.example_name(dtype) for dtype in ("float32", "bfloat16")}
    assert set(result["beside"]) == {train_report.COMMAND, train_report.EXAMPLE_FILES} | examples
    assert result["dtype"] in ("float32", "bfloat16") and set(result["peaks"]) == {"float32", "bfloat16"}
    assert set(result["checks"]) == {rung.name for rung in rungs} - {
        "+ prepared bytes, mapped; whole batches augmented",
        "+ all bytes held beforehand",
    }, "the feeds' rungs share a network"
    assert all(part["bytes"] > 0 for part in result["layers"]["float32"])


def test_without_files_the_naive_rungs_are_left_out_and_it_says_so(
    prepared: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train.torchvision.models, "alexnet", tiny_net)
    monkeypatch.setattr(train, "take_turns", lambda contestants, rounds: dict.fromkeys(contestants, rounds))
    monkeypatch.setattr(train, "recorded", lambda *_: {})
    seen = []
    monkeypatch.setattr(train, "report", lambda measured, timings: seen.append((measured, timings)))
    assert main(words(prepared)) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out: ")]
    assert len(said) == 3 and all(line.endswith("no --source names the image files") for line in said)
    ((measured, timings),) = seen
    assert [rung.feed for rung in measured.rungs] == ["mapped", "held", "held", "held"]
    assert train_report.EXAMPLE_FILES not in timings and train_report.example_name("bfloat16") in timings
    monkeypatch.setattr(train, "held_place", lambda images, device: None)
    again = train.Bench(measured.images, measured.recipe, CPU, None, 0, 2, 1, ())
    assert [rung.feed for rung in again.rungs] == ["mapped", "mapped"]
    assert "all bytes held beforehand: they do not fit" in again.left_out


def test_the_report_is_of_medians(makes: ladder.Batches, capsys: pytest.CaptureFixture) -> None:
    measured = train.Bench(makes.images, makes.recipe, CPU, None, 0, 2, 1, ())
    measured.checks = {"one": ladder.Check([1.0, 0.5], 1e-6)}
    speeds = {rung.name: 100.0 * 2**i for i, rung in enumerate(measured.rungs)}
    speeds |= {train_report.alone_name(name): 800.0 for name in measured.first_of_step.values()}
    example = train_report.example_name("float32")
    speeds |= {train_report.COMMAND: 200.0, example: 100.0, "product, float32": 1e9, "copy": 1e8}
    timings = {name: timing.Timing(name, speed, speed / 2, speed * 2) for name, speed in speeds.items()}
    train_report.report(measured, timings)
    lines = capsys.readouterr().out.splitlines()
    first, *rows = [line.split() for line in lines if line.startswith("+ ")]
    assert first[-8:-3] == ["100.0", "50.0", "to", "200.0", "1.00"]
    assert [row[-9:-2] for row in rows] == [
        ["200.0", "100.0", "to", "400.0", "2.00", "2.00", "800.0"],
        ["400.0", "200.0", "to", "800.0", "2.00", "4.00", "800.0"],
    ]
    assert any("of the roofline" in line for line in lines) and any("bound by" in line for line in lines)
    best = train_report.judged(measured, timings)[-1]
    assert best.share == pytest.approx(400 / best.allowed)


def test_the_command_is_measured_in_the_type_that_it_would_take(
    makes: ladder.Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slower, wanted in ((0.6, "bfloat16"), (1.6, "float32")):
        monkeypatch.setattr(devices, "slowdown", lambda device, slower=slower: slower)
        measured = train.Bench(makes.images, makes.recipe, CPU, None, 0, 2, 1, ("bfloat16",))
        assert measured.dtype == wanted
    assert train.Bench(makes.images, makes.recipe, CPU, None, 0, 2, 1, ()).dtype == "float32", "what is not measured"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--extra", "magic"], "--extra magic: there are cudnn, bfloat16, compiled, graphs"),
        (["--extra", "graphs"], "--extra graphs is for GPUs"),
        (["--extra", "bfloat16,cudnn"], "--extra cudnn is for GPUs"),
        (["--batches", "0"], "--batches 0"),
        (["--steps", "-1"], "--steps -1"),
        (["--workers", "-1"], "--workers -1"),
        (["--batch", "100"], "48 images do not fill one batch of 100"),
        (["--set", "dtype=bfloat16"], "--set dtype=bfloat16: the ladder changes the type itself; see --extra"),
        (["--set", "net.input_size=100"], "does not fit into 72 x 72"),
        (["--source", "nowhere"], "--source nowhere is no folder of this set's class folders"),
    ],
)
def test_bad_input_is_named(more: list[str], message: str, prepared: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(words(prepared, *more)) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_was_not_prepared_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(words(tmp_path)) == 2
    assert "prepare-imagenet SRC" in capsys.readouterr().err


def test_a_recipe_without_response_normalisation_has_no_rung_for_it(makes: ladder.Batches) -> None:
    recipe: Recipe = small("net.norm=none")
    measured = train.Bench(makes.images, recipe, CPU, None, 0, 1, 1, ())
    assert not any("normalisation" in reason for reason in measured.left_out)
