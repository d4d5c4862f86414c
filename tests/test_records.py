"""Records: complete or refused, whole or not there."""

from __future__ import annotations

import copy
import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import JSON, edited
from hypothesis import given
from hypothesis import strategies as st

from alexnet_lib import records
from alexnet_lib.errors import RecordError

RECORDED = sorted(records.recorded_root().glob("*/*.json"))


def complete() -> dict[str, Any]:
    return {
        "experiment": "relu-vs-tanh",
        "run": "one",
        "claims": ["C01"],
        **records.circumstances("some CPU", "python -m alexnet_lib experiment relu-vs-tanh"),
        "configuration": {"rate": 0.1},
        "dataset": {
            "name": "CIFAR-10",
            "source": "files",
            "checksum": "sha256:00",
            "images": 50_000,
            "stand_in": False,
        },
        "seeds": [0],
        "seconds": 12.5,
        "curves": [{"passes": [1.0], "error": [1 / 3], "seconds": 12.5}],
        "result": {"passes": 9.5},
    }


def test_a_complete_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = records.write(complete(), tmp_path)
    assert path == tmp_path / "relu-vs-tanh" / "one.json"
    expected = complete() | {"curves": [{"passes": [1.0], "error": [0.333333], "seconds": 12.5}]}
    assert records.read(path) == expected
    assert records.load("relu-vs-tanh", "one", tmp_path) == expected
    assert records.load("relu-vs-tanh", root=tmp_path) == {"one": expected}


def test_nothing_recorded_yet_is_empty(tmp_path: Path) -> None:
    assert records.load("relu-vs-tanh", root=tmp_path) == {}
    assert records.load("relu-vs-tanh", "one", tmp_path) == {}


@pytest.mark.parametrize("field", records.REQUIRED)
def test_each_field_is_asked_for_by_name(field: str, tmp_path: Path) -> None:
    record = complete()
    del record[field]
    with pytest.raises(RecordError, match=f"record: the field '{field}' is missing"):
        records.write(record, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", records.DATASET_REQUIRED)
def test_each_field_of_the_data_set_is_asked_for_by_name(field: str) -> None:
    record = complete()
    del record["dataset"][field]
    with pytest.raises(RecordError, match=f"the data set's '{field}' is missing"):
        records.validate(record)


@pytest.mark.parametrize(
    "field, wrong, kind",
    [
        ("seconds", "12", "str"),
        ("seconds", True, "bool"),
        ("seeds", 3, "int"),
        ("result", [], "list"),
        ("date", None, "NoneType"),
        ("curves", {}, "dict"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(field: str, wrong: object, kind: str) -> None:
    with pytest.raises(RecordError, match=f"the field '{field}' holds a {kind}"):
        records.validate(complete() | {field: wrong})


@pytest.mark.parametrize("field", ["experiment", "run", "command", "commit", "device", "date"])
def test_an_empty_field_is_named(field: str) -> None:
    with pytest.raises(RecordError, match=f"the field '{field}' is empty"):
        records.validate(complete() | {field: " "})


def test_only_measured_runs_are_kept() -> None:
    with pytest.raises(RecordError, match="kind is 'guessed'; only 'measured' runs are kept"):
        records.validate(complete() | {"kind": "guessed"})


def test_a_record_without_seeds_measured_nothing() -> None:
    with pytest.raises(RecordError, match="no seed is recorded, so nothing was measured"):
        records.validate(complete() | {"seeds": []})


def test_something_else_than_an_object_is_no_record() -> None:
    with pytest.raises(RecordError, match="there.json: a record is a JSON object, this is a list"):
        records.validate([], "there.json")


@pytest.mark.parametrize("content", [b"", b"not JSON", b'{"experiment": "relu-vs', b"\xff\xfe"])
def test_a_file_that_is_not_json_is_named_with_what_to_do(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "relu-vs-tanh" / "one.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"one\.json is not JSON .*restore it with git, or delete it and run again"):
        records.load("relu-vs-tanh", root=tmp_path)


def test_a_truncated_record_is_never_read_as_a_shorter_one(tmp_path: Path) -> None:
    path = records.write(complete(), tmp_path)
    whole = path.read_text().rstrip()
    for length in range(0, len(whole), 37):
        path.write_text(whole[:length])
        with pytest.raises(RecordError, match="one.json is not JSON"):
            records.read(path)


def test_an_incomplete_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.json"
    path.write_text(json.dumps({"experiment": "relu-vs-tanh"}))
    with pytest.raises(RecordError, match=r"half\.json, line 1: the field 'run' is missing"):
        records.read(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(RecordError, match=r"folder\.json cannot be read: Is a directory"):
        records.read(tmp_path / "folder.json")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_does_not_have_are_refused(number: float, tmp_path: Path) -> None:
    old = records.write(complete(), tmp_path).read_text()
    with pytest.raises(RecordError, match="record relu-vs-tanh/one cannot be written as JSON: .*not JSON compliant"):
        records.write(complete() | {"result": {"passes": [number]}}, tmp_path)
    assert (tmp_path / "relu-vs-tanh" / "one.json").read_text() == old


def test_objects_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="record relu-vs-tanh/one cannot be written as JSON: .*Path"):
        records.write(complete() | {"result": {"passes": tmp_path}}, tmp_path)


def test_numbers_keep_six_digits_and_whole_numbers_all(tmp_path: Path) -> None:
    numbers = {
        "third": 1 / 3,
        "small": 1.23456789e-7,
        "large": 9_876_543.21,
        "whole": 123_456_789,
        "in": [2 / 3, (0.1,)],
    }
    written = records.read(records.write(complete() | {"result": numbers}, tmp_path))["result"]
    assert written == {
        "third": 0.333333,
        "small": 1.23457e-7,
        "large": 9_876_540.0,
        "whole": 123_456_789,
        "in": [0.666667, [0.1]],
    }


def test_writing_leaves_the_callers_record_alone(tmp_path: Path) -> None:
    record = complete()
    before = copy.deepcopy(record)
    records.write(record, tmp_path)
    assert record == before


def test_a_full_disk_leaves_the_old_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = records.write(complete(), tmp_path)
    old = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        records.write(complete() | {"seeds": [0, 1]}, tmp_path)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path], "a .part was left"


def test_what_a_killed_writer_left_is_not_taken_for_a_record(tmp_path: Path) -> None:
    path = records.write(complete(), tmp_path)
    (path.parent / ".one.json.x1y2.part").write_text('{"experiment": "rel')
    assert list(records.load("relu-vs-tanh", root=tmp_path)) == ["one"]


def test_a_record_says_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALEXNET_COMMIT", raising=False)
    said = records.circumstances("some CPU", "make it")
    assert said["kind"] == "measured" and said["device"] == "some CPU" and said["command"] == "make it"
    assert set(said["versions"]) >= {"alexnet_lib", "python", "torch", "torchvision", "numpy", "cuda"}
    package = Path(records.__file__).parent
    done = subprocess.run(["git", "-C", package, "rev-parse", "HEAD"], capture_output=True, text=True)
    if done.returncode == 0:
        assert said["commit"].removesuffix("+changes") == done.stdout.strip()
    else:
        assert said["commit"].startswith("unknown")


def test_the_commit_can_be_named_where_there_is_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALEXNET_COMMIT", "abc123")
    assert records.current_commit() == "abc123"


def test_every_record_in_the_repository_is_complete() -> None:
    for path in RECORDED:
        record = records.read(path)
        assert (record["experiment"], record["run"]) == (path.parent.name, path.stem), path
        assert record["dataset"]["stand_in"] is False, f"{path} was measured on drawn images"


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all numbers in an object of JSON."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


# What no single run says: a race's is tested beside the race, the others' come from all runs at once.
OF_ALL_RUNS = {
    "relu-vs-tanh": {
        "target_error",
        "seeds_run",
        "seeds_wanted",
        "lowest_error",
        "median_passes",
        "passes_to",
        "sweep",
    },
    "predictions": {"images", "off_centre_images", "distance_by_chance", "confusions"},
    "binary-codes": {"chance", "bytes"},
}
WITH_RUNS = [path for path in RECORDED if json.loads(path.read_text(encoding="utf-8"))["curves"]]


@pytest.mark.parametrize("path", WITH_RUNS, ids=[f"{path.parent.name}/{path.stem}" for path in WITH_RUNS])
def test_no_figure_of_a_record_can_be_changed_by_hand(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    for way in leaves(record["result"]):
        edited = copy.deepcopy(record)
        inner = edited["result"]
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] += 0.01
        if way[0] not in OF_ALL_RUNS.get(record["experiment"], ()):
            with pytest.raises(RecordError, match=r"record: result\..* but its curves give"):
                records.validate(edited)


EDITS = [
    (
        '"test_error": [\n   0.602473,',
        '"test_error": [\n   0.802473,',
        r"line \d+: result\.test_error is \[0\.802473, ",
    ),
    ('"test_error": [\n   0.602473,', '"test_error": [\n   "0.6",', r"line \d+: result\.test_error is \['0\.6', "),
    ('"mean_test_error": 0.605479', '"mean_test_error": NaN', "not JSON .NaN is no number"),
    ('"mean_test_error": 0.605479', '"mean_test_error": 1e999', "not JSON .1e999 is no number"),
    ('"mean_test_error": 0.605479', '"mean_test_error": 0.1, "mean_test_error": 0.2', "'mean_test_error' stands twice"),
    ('"date": "2026-11-27"', '"date": "last week"', "line 22: date 'last week' is none"),
    ('"run": "50', '"run": "../50', "run '../50-classes-96-pixels_paper' is none"),
    ('"kind": "measured",', '"kind": "measured",\n "better": 1,', "line 20: the field 'better' is not one of a record"),
    ('"seconds": 10379.8', '"seconds": -10379.8', "line 230: a run cannot take -10379.8 seconds"),
    ('"seconds": 10379.8', '"seconds": 1', "line 230: seconds is 1, but its curves give 10379.8"),
    ('"0.01": 0.7904', '"0.01": 0.7', "result.rates_tried is "),
]


@pytest.mark.parametrize(("there", "edited", "said"), EDITS)
def test_an_edit_by_hand_is_named_by_file_and_line(there: str, edited: str, said: str, tmp_path: Path) -> None:
    text = (records.recorded_root() / "evidence/50-classes-96-pixels_paper.json").read_text(encoding="utf-8")
    assert there in text
    (tmp_path / "edited.json").write_text(text.replace(there, edited), encoding="utf-8")
    with pytest.raises(RecordError, match=rf"edited\.json.*{said}"):
        records.read(tmp_path / "edited.json")


def test_a_key_that_a_reader_looks_for_and_is_not_there_is_named_with_its_file(tmp_path: Path) -> None:
    record = records.read(records.write(complete(), tmp_path))
    with pytest.raises(RecordError, match=r"one\.json: 'complete' is missing beside 'passes'"):
        record["result"]["complete"]


def read_or_refused(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    try:
        records.read(path)
    except RecordError as error:
        assert str(path) in str(error)


@given(content=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_no_record_in_words_of_ours(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    read_or_refused(content, tmp_path_factory.getbasetemp() / "any.json")


SMALL = (
    RECORDED[0].parent / "10-classes-64-pixels-20-passes_paper.json",
    records.recorded_root() / ("evidence/50-classes-96-pixels_paper.json"),
)


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.parent.name)
@given(data=st.data())
def test_a_record_with_any_part_replaced_is_read_or_refused(
    path: Path, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    content = json.dumps(data.draw(edited(record)), indent=1).encode()
    read_or_refused(content, tmp_path_factory.getbasetemp() / "edited.json")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["experiment", "x", "--full", "--out", "runs/a b", "--jobs", "2"], "experiment x --full --jobs 2"),
        (["experiment", "x", "--data=d", "--out=o"], "experiment x"),
        (["experiment", "x", "--data", "--out", "--full"], "experiment x --full"),
        (["experiment", "x", "--only", "a b"], "experiment x --only 'a b'"),
    ],
)
def test_a_records_command_names_no_folder_of_one_machine(words: list[str], command: str) -> None:
    assert records.command_line(words) == f"python -m alexnet_lib {command}"
