"""A run's folder: bound to its settings, held by one process, with checkpoints that survive damage and a full disk."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_cases import hold

from alexnet_lib.errors import DataError, SettingError, TrainingError
from alexnet_lib.training import checkpoints
from alexnet_lib.training import run_folder as folders
from alexnet_lib.training.run_folder import RunFolder, read_log, read_settings

SETTINGS = {"recipe": {"rate": 0.01, "net": {"widths": (1, 2)}}, "data": {"images": 2}, "seed": 0}


def state(step: int) -> dict:
    return {"step": step, "net": {"w": torch.full((3,), float(step))}}


def test_settings_are_written_once_and_compared(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", SETTINGS).held():
        assert read_settings(tmp_path / "run") == json.loads(json.dumps(SETTINGS))
    with RunFolder(tmp_path / "run", SETTINGS).held():
        pass
    other = SETTINGS | {"recipe": {"rate": 0.02, "net": {"widths": (1, 2)}}}
    with (
        pytest.raises(SettingError, match="holds a run with recipe.rate 0.01, not 0.02.*or another --out"),
        RunFolder(tmp_path / "run", other).held(),
    ):
        pass


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("cat")
    (tmp_path / "file").write_text("x")
    for name, message in (("photos", "is not empty and holds no run"), ("file", "is a file: give a folder")):
        with pytest.raises(SettingError, match=message), RunFolder(tmp_path / name, SETTINGS).held():
            pass
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "cat"


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("spawn")
    there, go = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(tmp_path / "run", SETTINGS, there, go))
    holder.start()
    assert there.wait(60)
    monkeypatch.setattr(folders, "PATIENCE", 0.1)
    try:
        with (
            pytest.raises(DataError, match="another process is at work in"),
            RunFolder(tmp_path / "run", SETTINGS).held(),
        ):
            pass
    finally:
        go.set()
        holder.join()
    with RunFolder(tmp_path / "run", SETTINGS).held():
        pass


def test_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, SETTINGS)
    for step in (10, 20, 30):
        assert run.save(state(step))
    assert [path.name for path in run.saved()] == ["step-000000020.pt", "step-000000030.pt"]
    assert run.load()["step"] == 30 and run.load_step(20)["net"]["w"].tolist() == [20.0] * 3


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, SETTINGS)
    for step in (10, 20):
        run.save(state(step))
    last = run.saved()[-1]
    last.write_bytes(last.read_bytes()[:100])
    with pytest.warns(UserWarning, match="step-000000020.pt cannot be read.*step-000000010.pt is used instead"):
        assert run.load()["step"] == 10
    assert not last.exists() and last.with_name("damaged-step-000000020.pt").exists()
    run.saved()[0].write_text("damaged too")
    with pytest.raises(TrainingError, match="no checkpoint of .* can be used: .*step-000000010.pt cannot be read"):
        run.load()


def test_a_checkpoint_of_other_settings_is_not_used(tmp_path: Path) -> None:
    RunFolder(tmp_path, SETTINGS).save(state(10))
    with pytest.raises(TrainingError, match="other settings"):
        RunFolder(tmp_path, SETTINGS | {"seed": 1}).load()


def test_a_full_disk_keeps_what_was_saved_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path, SETTINGS)
    run.save(state(10))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    with pytest.warns(UserWarning, match="No space left.*Training goes on; the last good one is step-000000010.pt"):
        assert not run.save(state(20))
    monkeypatch.undo()
    assert run.load()["step"] == 10 and run.save(state(30))


def test_the_log_is_cut_to_the_checkpoint_and_forgives_a_last_line_cut_short(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, SETTINGS)
    for step in range(1, 6):
        run.append({"event": "step", "step": step, "loss": step / 10})
    with open(run.log, "a") as file:
        file.write('{"event": "step", "st')
    assert [event["step"] for event in read_log(tmp_path)] == [1, 2, 3, 4, 5]
    run.cut_log(3)
    assert [event["step"] for event in read_log(tmp_path)] == [1, 2, 3]
    run.log.write_text('{"event"\n{"event": "step", "step": 2}\n')
    with pytest.raises(DataError, match="line 1: not JSON"):
        read_log(tmp_path)
    with pytest.raises(DataError, match="is not the folder of a run"):
        read_log(tmp_path / "nowhere")


def test_weights_come_with_what_they_are(tmp_path: Path) -> None:
    net = torch.nn.Linear(3, 2)
    path = RunFolder(tmp_path, SETTINGS).save_weights("best", net.state_dict(), {"pass": "3"})
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in load_file(path).items())


@pytest.mark.parametrize("content", ["[]", '{"editor": "vi"}', '{"recipe": {}, "seed": 0}'])
def test_a_settings_file_of_something_else_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    with (
        pytest.raises(DataError, match=r"settings.json says nothing of a recipe, data and seed"),
        RunFolder(tmp_path, SETTINGS).held(),
    ):
        pass
    assert (tmp_path / "settings.json").read_text() == content


def test_only_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    with RunFolder(tmp_path, SETTINGS).held():
        pass
    ours = [
        ".log.jsonl.0123abcd.part",
        ".best.safetensors.a_b2c3d4.part",
        "checkpoints/.step-000000010.pt.01234567.part",
    ]
    others = [".thesis.part", ".thesis.docx.0123abcd.part", "checkpoints/.mine.part"]
    (tmp_path / "checkpoints").mkdir()
    for name in (*ours, *others):
        (tmp_path / name).write_text("x")
    with RunFolder(tmp_path, SETTINGS).held():
        assert [name for name in (*ours, *others) if (tmp_path / name).exists()] == others
