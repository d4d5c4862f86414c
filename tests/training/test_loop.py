"""Training runs: killed and resumed to the same losses, stopped, diverging; and their weights evaluated."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_cases import losses, photograph, small, training, words

from alexnet_lib import ROOT
from alexnet_lib.__main__ import main
from alexnet_lib.augment.view_sets import ten_views
from alexnet_lib.commands import train as command
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import TrainingError
from alexnet_lib.training.evaluation import count_errors, load_weights, probabilities
from alexnet_lib.training.loop import Cadence, Training
from alexnet_lib.training.recipes import named
from alexnet_lib.training.report import Report
from alexnet_lib.training.run_folder import RunFolder, has_learned, read_log, read_settings
from alexnet_lib.training.topk import TopKErrors

pytestmark = pytest.mark.usefixtures("one_thread")
KILLS = 20
HELPERS = ROOT / "tests" / "helpers"


def plain(event: dict) -> dict:
    """An event without what hangs on the machine's speed."""
    return {key: value for key, value in event.items() if key not in ("seconds", "images_per_second")}


def test_a_run_killed_twenty_times_has_the_losses_of_one_that_was_not(prepared: Path, tmp_path: Path) -> None:
    assert main(words(prepared, tmp_path / "whole", "--passes", "12")) == 0
    command = words(prepared, tmp_path / "killed", "--passes", "12", "--save-every", "1")
    done = subprocess.run(
        [sys.executable, HELPERS / "kill_often.py", str(KILLS), *command], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == KILLS
    ours, wanted = read_log(tmp_path / "killed"), read_log(tmp_path / "whole")
    assert len(losses(wanted)) == 48 and [plain(event) for event in ours] == [plain(event) for event in wanted]
    a, b = (load_weights(tmp_path / name)[0].state_dict() for name in ("killed", "whole"))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_stopped_in_a_pass_goes_on_with_the_same_sums(prepared: Path, tmp_path: Path) -> None:
    whole = training(prepared, tmp_path / "whole", cadence=Cadence(log=3))
    whole.run()
    halted = training(prepared, tmp_path / "halted", cadence=Cadence(log=3))
    halted.should_stop = lambda: halted.step == 6  # two steps into the second pass
    assert halted.run() == "stopped" and halted.step == 6
    again = training(prepared, tmp_path / "halted", cadence=Cadence(log=3))
    again.take_up()
    assert again.step == 6
    assert again.run() == "passes"
    a, b = ([plain(event) for event in read_log(tmp_path / name)] for name in ("whole", "halted"))
    assert a == b


@pytest.mark.parametrize("changes", [("batch=40",), ()], ids=["a pass of one step", "at the end of a pass"])
def test_a_run_stops_between_two_passes_too(prepared: Path, tmp_path: Path, changes: tuple[str, ...]) -> None:
    whole = training(prepared, tmp_path / "whole", small(*changes))
    whole.run()
    halted = training(prepared, tmp_path / "halted", small(*changes))
    halted.should_stop = lambda: halted.step == halted.steps
    assert halted.run() == "stopped" and halted.step == halted.steps == (1 if changes else 4)
    assert training(prepared, tmp_path / "halted", small(*changes)).run() == "passes"
    a, b = ([plain(event) for event in read_log(tmp_path / name)] for name in ("whole", "halted"))
    assert a == b


@pytest.mark.parametrize("which", ["centre", "ten"])
def test_a_run_stopped_within_its_validation_makes_it_again(prepared: Path, tmp_path: Path, which: str) -> None:
    whole = training(prepared, tmp_path / "whole")
    whole.run()
    halted, now = training(prepared, tmp_path / "halted"), [""]

    def validate(views: str) -> TopKErrors | None:
        now[0] = views
        return Training.validate(halted, views)

    halted.validate = validate
    halted.should_stop = lambda: (now[0], halted.number) == (which, 1 if which == "centre" else 3)
    assert halted.run() == "stopped" and halted.step == halted.steps * halted.number
    log = tmp_path / "halted" / "log.jsonl"
    assert read_log(log.parent)[-1]["event"] == "step"  # the pass has no line, for it was not judged
    # As where a run is killed after the line of the pass is written, and before its state is.
    log.write_text(
        log.read_text() + json.dumps(read_log(tmp_path / "whole")[4 * halted.number + halted.number - 1]) + "\n"
    )
    assert training(prepared, tmp_path / "halted").run() == "passes"
    a, b = ([plain(event) for event in read_log(tmp_path / name)] for name in ("whole", "halted"))
    assert a == b


def test_the_seed_decides(prepared: Path, tmp_path: Path) -> None:
    runs = {name: training(prepared, tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))}
    for run in runs.values():
        run.run()
    a, b, c = (losses(read_log(tmp_path / name)) for name in runs)
    assert a == b != c


def test_training_learns(prepared: Path, tmp_path: Path) -> None:
    recipe = small(
        "passes=30",
        "schedule=constant",
        "lighting=none",
        "net.dropout=0",
        "net.norm=none",
        "net.widths=16,32,32,32,32",
        "net.hidden=64,64",
    )
    recipe = replace(recipe, net=replace(recipe.net, deviations=None, biases=(0.0,) * 8))
    training(prepared, tmp_path / "run", recipe).run()
    passes = [event for event in read_log(tmp_path / "run") if event["event"] == "pass"]
    assert min(event["train_error"] for event in passes[-5:]) < 0.5 < 0.75 < passes[0]["train_error"]
    assert min(event["val_top1"] for event in passes) <= 0.5


BLIND = ("net.biases=0,0,0,0,0,0,0,0", "net.deviations=0.001,0.001,0.001,0.001,0.001,0.001,0.001,0.001")


def test_a_plateau_waits_for_a_run_that_has_not_begun_to_learn(prepared: Path, tmp_path: Path) -> None:
    run = training(prepared, tmp_path / "run", small(*BLIND, "passes=6", "patience=1"))
    for _ in range(2):
        run.take_up()
        run._one_pass()
        run = training(prepared, tmp_path / "run", small(*BLIND, "passes=6", "patience=1"))  # as after a stop
    assert run.run() == "passes" and not run.learned
    passes = [event for event in read_log(tmp_path / "run") if event["event"] == "pass"]
    assert [event["decision"] for event in passes] == ["go on"] * 5 + [passes[-1]["decision"]]
    assert {event["rate"] for event in passes} == {0.01}
    assert all(event["guessing"] == pytest.approx(5 / 6) for event in passes)
    assert not has_learned(tmp_path / "run") and has_learned(tmp_path / "run" / "nothing" / "best.safetensors")


def test_a_run_that_learns_nothing_says_so_and_what_to_do(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    blind = [word for change in BLIND for word in ("--set", change)]
    command = words(prepared, tmp_path / "run", "--passes", "4", *blind)
    advice = "but it has not begun to learn, and answers no better than by guessing (83.33% wrong): "
    for _ in range(2):  # and once more when the run has ended
        assert main(command) == 0
        out, err = capsys.readouterr()
        assert out.splitlines()[-1].startswith(f"{advice}look whether labels and pixels are right; try another")
    assert main(words(prepared, tmp_path / "text", "--passes", "1")) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith(f"{advice}the text's starting weights may do this")
    for option, value in re.findall(r"(--recipe|--set) (\S+?)[,.]? ", out.splitlines()[-1]):
        named(value) if option == "--recipe" else named("paper", [value])
    run = str(tmp_path / "run")
    assert main(["evaluate", run, "--data", str(prepared), "--device", "cpu"]) == 0
    assert "no better than the same answer for every image, which is wrong on 83.33%" in capsys.readouterr().out
    photo = str(photograph(tmp_path / "photos" / "a.png", 1))
    sheet = str(tmp_path / "sheet.png")
    for look in (["search", photo, "--index", str(tmp_path / "photos"), "--weights", run, "--out", sheet],):
        assert main([*look, "--device", "cpu"]) == 0
        assert f"{run} was never better than guessing while it trained" in capsys.readouterr().out


def test_it_is_told_while_the_run_goes_and_once(tmp_path: Path) -> None:
    told: list[str] = []
    with Report(tmp_path, 10, small("passes=7")) as report:
        report.bar.write = told.append
        for number in range(1, 8):
            event = {"event": "pass", "step": 10 * number, "pass": number, "train_loss": 1.8, "train_error": 0.8}
            event |= {"rate": 0.01, "decision": "go on", "seconds": 1.0} | ({"guessing": 5 / 6} if number < 7 else {})
            report(event)
    assert [line.split(";")[0].split(",")[0] for line in told] == [
        *(f"pass {number} of at most 7" for number in range(1, 6)),
        "after pass 5 it has not begun to learn",
        "pass 6 of at most 7",
        "pass 7 of at most 7",
    ]
    assert ["no better than guessing" in line for line in told] == [True] * 5 + [False, True, False]


def test_a_loss_that_is_no_number_stops_at_its_step(prepared: Path, tmp_path: Path) -> None:
    run = training(prepared, tmp_path / "run", small("rate=1e30"), cadence=Cadence(log=2, save=1))
    with pytest.raises(TrainingError, match=r"not a finite number at step (\d) .*three times lower.*--rate") as raised:
        run.run()
    assert raised.value.step in (1, 2, 3)
    kept = run.folder.load()
    assert kept is None or all(torch.isfinite(value).all() for value in kept["net"].values())


def test_a_request_to_end_saves_the_state(prepared: Path, tmp_path: Path) -> None:
    command = words(prepared, tmp_path / "run", "--passes", "300")
    running = subprocess.Popen(
        [sys.executable, "-m", "alexnet_lib", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    end = time.monotonic() + 120
    while not (tmp_path / "run" / "log.jsonl").exists() and time.monotonic() < end:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 3, err
    assert "the same command goes on from there" in out
    step = int(out.split("stopped at step ")[1].split(";")[0])
    assert (tmp_path / "run" / "checkpoints" / f"step-{step:09}.pt").exists()


def test_a_disk_that_fills_up_ends_the_run_with_what_can_be_done(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = RunFolder.append, []

    def fill(folder: RunFolder, event: dict) -> None:
        written.append(event)
        if len(written) > 6:
            raise OSError(28, "No space left on device")
        write(folder, event)

    monkeypatch.setattr(RunFolder, "append", fill)
    assert main(words(prepared, tmp_path / "run")) == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said and "the same command goes on from step-000000004.pt" in said
    monkeypatch.undo()
    assert main(words(prepared, tmp_path / "run")) == 0
    assert [step for step, _ in losses(read_log(tmp_path / "run"))] == list(range(1, 13))


def test_train_and_evaluate_as_commands(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for seed in ("0", "1"):
        assert main(words(prepared, tmp_path / seed, "--seed", seed, "--keep-every", "2")) == 0
    assert "pass 3 of at most 3; training loss" in capsys.readouterr().out
    assert (tmp_path / "0" / "pass-002.safetensors").exists()
    assert list((tmp_path / "0" / "tensorboard").iterdir())
    best = min(event["val_top1"] for event in read_log(tmp_path / "0") if event["event"] == "pass")
    assert (
        main(
            [
                "evaluate",
                str(tmp_path / "0"),
                "--data",
                str(prepared),
                "--ten-views",
                "--device",
                "cpu",
                "--average",
                str(tmp_path / "1"),
            ]
        )
        == 0
    )
    assert "ten    views: error top-1" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "0"), "--data", str(prepared), "--device", "cpu"]) == 0
    assert f"centre view : error top-1 {best:.2%}" in capsys.readouterr().out


def test_the_average_over_views_and_networks_is_of_softmax_outputs(prepared: Path, tmp_path: Path) -> None:
    nets = [training(prepared, tmp_path / str(seed), seed=seed).net.eval() for seed in (0, 1)]
    images = PreparedImages(prepared, "val")
    scale, pixels = images.pixel_scale(), images.images(range(5))
    ours = probabilities(nets, [scale, scale], pixels, 64, "ten")
    mean = scale.mean[:, 4:68, 4:68]
    wanted = torch.zeros(5, 6)
    with torch.no_grad():
        for net in nets:
            for number, views in enumerate(ten_views(pixels, 64)):
                wanted[number] += net(views.float() - mean).softmax(1).mean(0) / 2
    assert torch.allclose(ours, wanted, atol=1e-6)
    counted = count_errors(nets, images, [scale, scale], 64, which="ten", device=torch.device("cpu"))
    answers = probabilities(nets, [scale, scale], images.images(range(12)), 64, "ten").argmax(1)
    assert counted.images == 12 and counted.wrong[1] >= int((answers != images.labels).sum())


@pytest.mark.parametrize("first, then", [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_run_keeps_the_type_that_auto_chose_when_it_began(
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    first: str,
    then: str,
) -> None:
    """Taken up where the other one is quicker, it goes on in its own; asked for the other, it is refused."""
    run, more = tmp_path / "run", ("--passes", "1", "--set", "dtype=auto")
    monkeypatch.setattr(command, "slowdown", lambda device: 0.5)
    monkeypatch.setattr(command, "pick_dtype", lambda name, device: first)
    assert main(words(prepared, run, *more)) == 0
    assert f"computing in {first}: bfloat16 takes 0.50 times as long as float32 here" in capsys.readouterr().out
    assert read_settings(run)["recipe"]["dtype"] == first
    monkeypatch.setattr(command, "pick_dtype", lambda name, device: then)
    assert main(words(prepared, run, *more)) == 0
    assert f"computing in {first}, as the run was begun" in capsys.readouterr().out
    assert main(words(prepared, run, "--passes", "1", "--set", f"dtype={then}")) == 2
    assert f"holds a run with recipe.dtype {first}, not {then}" in capsys.readouterr().err
