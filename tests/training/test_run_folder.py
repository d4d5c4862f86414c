"""A run's folder: bound to its settings, held by one process, with checkpoints that survive damage and a full disk."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
import torch
from hostile import JSON, edited
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from training_cases import hold, small

from alexnet_lib.errors import DataError, SettingError, TrainingError
from alexnet_lib.training import checkpoints
from alexnet_lib.training import run_folder as folders
from alexnet_lib.training.recipes import Recipe
from alexnet_lib.training.run_folder import RunFolder, read_log, read_settings, recipe_in

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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "cannot be read .it is a list"),
        (b"\xff\xfe\x00", "cannot be read .*codec can't decode"),
        (b'{"recipe": {}, "data": {}, "seed": NaN}', "cannot be read .NaN is no number"),
        (b'{"editor": "vi"}', "says nothing of a recipe, data and seed"),
        (b'{"recipe": {}, "seed": 0}', "says nothing of a recipe, data and seed"),
        (b'{"recipe": {}, "data": [], "seed": 0}', "says nothing of a recipe, data and seed"),
    ],
)
def test_a_settings_file_of_something_else_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    with (
        pytest.raises(DataError, match=f"settings.json {said}.*: .* is not the folder of a run"),
        RunFolder(tmp_path, SETTINGS).held(),
    ):
        pass
    assert (tmp_path / "settings.json").read_bytes() == content


def test_a_run_is_bound_to_its_pixels_and_an_older_one_from_now_on(tmp_path: Path) -> None:
    ours, others = (SETTINGS | {"pixels": {"format": name, "checksum": name * 2}} for name in ("raw", "jpeg"))
    older = RunFolder(tmp_path, SETTINGS)
    with older.held():
        older.save(state(10))
    with pytest.warns(UserWarning, match="did not keep which pixels .* taken to be these"):
        with RunFolder(tmp_path, ours).held():
            pass
    with RunFolder(tmp_path, ours).held():
        assert RunFolder(tmp_path, ours).load()["step"] == 10
    with (
        pytest.raises(
            SettingError, match="holds a run with pixels.format raw, not jpeg: give the same settings and im"
        ),
        RunFolder(tmp_path, others).held(),
    ):
        pass


@pytest.mark.parametrize(
    ("place", "said"),
    [("file/run", "Not a directory"), ("x" * 300, "File name too long"), ("/proc/none/run", "No such file")],
)
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "file").write_text("x")
    folder = tmp_path / place
    with (
        pytest.raises(
            SettingError, match=rf"--out {folder} cannot be made or written \({said}.*give a folder that can"
        ),
        RunFolder(folder, SETTINGS).held(),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folders, "write_text", denied)
    with pytest.raises(SettingError, match="Permission denied"), RunFolder(tmp_path / "run", SETTINGS).held():
        pass


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"step": 2, "name": "\xe9"}', "not JSON .*codec can't decode"),
        (b'{"event": "step"}', "no event with a step"),
        (b'{"step": "2"}', "no event with a step"),
        (b"[]", "no event with a step"),
    ],
)
@pytest.mark.parametrize("last", [b"", b'{"step": 3, "seen_loss": NaN}\n'], ids=["at the end", "within"])
def test_a_line_of_the_log_that_is_no_event_is_named(tmp_path: Path, line: bytes, said: str, last: bytes) -> None:
    (tmp_path / "log.jsonl").write_bytes(b'{"step": 1}\n' + line + b"\n" + last)
    if not last and said.startswith("not JSON"):  # it may have been cut short
        assert [event["step"] for event in read_log(tmp_path)] == [1]
        return
    with pytest.raises(DataError, match=f"log.jsonl, line 2: {said}.*take that line out"):
        read_log(tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mean": torch.zeros(8, 8)}, r"a mean image of \(8, 8\)"),
        ({"mean": torch.full((3, 8, 8), torch.nan)}, r"a mean image of \(3, 8, 8\)"),
        ({"deviation": torch.tensor(0.0)}, ".* a deviation of 0.0"),
        ({"deviation": torch.zeros(3)}, "only one element tensors"),
        ({"mean": None}, "'mean' is missing"),
    ],
)
def test_a_mean_image_that_training_did_not_write_is_named(tmp_path: Path, changed: dict, said: str) -> None:
    found = {"mean": torch.zeros(3, 8, 8), "deviation": torch.tensor(1.0)} | changed
    save_file({name: value for name, value in found.items() if value is not None}, tmp_path / "pixels.safetensors")
    with pytest.raises(DataError, match=rf"pixels.safetensors cannot be read \({said}"):
        folders.read_scale(tmp_path)


def test_a_checkpoint_that_cannot_be_used_gives_way_to_the_one_before(tmp_path: Path) -> None:
    run, used = RunFolder(tmp_path, SETTINGS), []
    for step in (10, 20):
        run.save(state(step))

    def use(found: dict) -> None:
        used.append(found["step"])
        if found["step"] == 20:
            torch.nn.Linear(3, 1).load_state_dict(found["net"])

    with pytest.warns(UserWarning, match=r"step-000000020.pt does not fit its run \(Missing key.*000010.pt is used"):
        assert run.load(use)["step"] == 10 and used == [20, 10]
    run.saved()[0].rename(run.checkpoints / "step-000000030.pt")
    with pytest.raises(TrainingError, match=r"step-000000030.pt does not fit its run \(it is of step 10\)"):
        run.load()


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


WHOLE = {"recipe": small().plain(), "data": {"images": 2, "classes": ["a", "b"], "side": 72}, "seed": 0}


@given(content=st.binary(max_size=100) | (JSON | edited(WHOLE)).map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_settings_or_are_refused_by_name(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "settings.json"
    path.write_bytes(content)
    try:
        assert isinstance(recipe_in(path.parent), Recipe)
    except (DataError, SettingError) as error:
        assert str(path) in str(error)


EVENT = {"event": "pass", "step": 3, "pass": 1, "train_loss": 1.5, "rate": 0.01}


@given(lines=st.lists(st.binary(max_size=40) | (JSON | edited(EVENT)).map(lambda value: json.dumps(value).encode())))
def test_any_bytes_are_a_log_or_are_refused_by_name(
    lines: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "log.jsonl"
    path.write_bytes(b"\n".join(lines))
    try:
        assert all(isinstance(event["step"], int) for event in read_log(path.parent))
    except DataError as error:
        assert str(path) in str(error)
