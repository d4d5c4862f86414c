"""python -m alexnet_lib: what it prints, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from small_sets import write_tree
from training_cases import words

from alexnet_lib import __main__ as command_line
from alexnet_lib import experiments
from alexnet_lib.commands import parsers
from alexnet_lib.experiments import relu_vs_tanh


def alexnet_lib(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """The command as a reader types it, in a process of its own."""
    return subprocess.run([sys.executable, "-m", "alexnet_lib", *words], capture_output=True, text=True, cwd=cwd)


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALEXNET_DATA", raising=False)


def test_help_from_the_shell_names_the_commands(tmp_path: Path) -> None:
    done = alexnet_lib("--help", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("usage: python -m alexnet_lib")
    for command in ("data", "search", "inspect", "experiment", "bench"):
        assert f"    {command} " in done.stdout, f"{command} has no line of its own"


def test_an_error_from_the_shell_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = alexnet_lib("experiment", "relu-vs-tan", "--out", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == "error: there is no experiment called 'relu-vs-tan'; did you mean relu-vs-tanh?\n"
    assert done.stdout == ""


def test_experiment_list_names_each_experiment_and_what_it_measures(capsys: pytest.CaptureFixture) -> None:
    assert command_line.main(["experiment", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == experiments.names()
    assert f"relu-vs-tanh: {relu_vs_tanh.SUMMARY}" in lines


@pytest.mark.parametrize("words", [[], ["nonsense"], ["experiment"], ["experiment", "list", "--jobs", "many"]])
def test_what_cannot_be_parsed_ends_with_2_and_the_usage(words: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(words)
    assert ended.value.code == 2
    assert "usage: python -m alexnet_lib" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, said",
    [
        (["--jobs", "0"], "--jobs 0: give a whole number of 1 or more"),
        (["--jobs", "-3"], "--jobs -3: give a whole number of 1 or more"),
        (["--seeds", "0"], "--seeds 0: give a whole number of 1 or more"),
        (["--only", "nonsense"], "--only: 'nonsense' is not known; use relu, tanh, sigmoid"),
        (["--device", "gpu"], "device 'gpu' is not known; use auto, cpu, cuda or cuda:N"),
        (["--device", "cuda"], "device 'cuda' was asked for, but PyTorch sees 0 CUDA GPU(s) here"),
        (["--data", "/nowhere/at/all"], "the data root /nowhere/at/all, given by --data (or data=), does not exist"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line_and_2(
    options: list[str], said: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command_line.main(["experiment", "relu-vs-tanh", "--out", str(tmp_path), *options]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {said}") and err.count("\n") == 1 and out == ""


@pytest.mark.parametrize("command", [["two-gpus"], ["train", "--data", "d", "--out", "o"]], ids=lambda words: words[0])
@pytest.mark.parametrize("time", ["0", "-1", "nan", "inf", "1e300", "soon"])
def test_a_time_that_cannot_be_waited_is_refused(command: list[str], time: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsers.parser().parse_args([*command, f"--timeout={time}"])
    assert f"--timeout: {time}: give seconds, above 0" in capsys.readouterr().err


def fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def names() -> list[str]:
        raise error

    monkeypatch.setattr(experiments, "names", names)


def test_an_error_that_nobody_foresaw_is_one_line_that_names_a_file_with_its_traceback(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fail(monkeypatch, RuntimeError("Error(s) in it:\n\tthe \udce9 reason\nmore"))
    assert command_line.main(["experiment", "list"]) == 1
    out, err = capsys.readouterr()
    (file,) = tmp_path.iterdir()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("error: RuntimeError: the \\udce9 reason. This was not foreseen") and f"with {file}" in err
    assert "Traceback" in file.read_text() and "in names" in file.read_text()


def test_its_traceback_is_printed_where_no_file_takes_it(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    fail(monkeypatch, RuntimeError("the reason"))
    assert command_line.main(["experiment", "list"]) == 1
    assert "Traceback" in (err := capsys.readouterr().err) and err.endswith("RuntimeError: the reason\n")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_memory_that_is_too_small_is_said_in_one_line(
    error: Exception, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, error)
    assert command_line.main(["experiment", "list"]) == 2
    assert capsys.readouterr().err.startswith(f"error: the memory is too small for this ({type(error).__name__}: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_is_full_or_closed(tmp_path: Path) -> None:
    command = f"{sys.executable} -m alexnet_lib data show --data {tmp_path}"
    full = subprocess.run(f"{command} >/dev/full", shell=True, capture_output=True, text=True)
    assert (
        full.returncode == 2
        and full.stderr.startswith("error: no space is left to write on")
        and full.stderr.count("\n") == 1
    )
    closed = subprocess.run(f"{command} >&-", shell=True, capture_output=True, text=True)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_name_that_is_not_utf8_is_printed_all_the_same(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    done = alexnet_lib("data", "show", "--data", str(folder))
    assert done.returncode == 0 and "caf\\udce9" in done.stdout and done.stderr == ""


EVERY_PATH = [
    ("data", "show", "--data=~{}"),
    ("data", "prepare-imagenet", "~{}/src", "--val-labels=~{}/labels", "~{}/dst"),
    ("data", "verify", "~{}/set"),
    ("train", "--data=~{}", "--out=~{}/run"),
    ("evaluate", "~{}/run", "--data=~{}", "--average", "~{}/other"),
    ("search", "~{}/a.jpg", "--index=~{}", "--weights=~{}/run", "--out=~{}/s.png", "--store=~{}/store"),
    ("inspect", "~{}/run", "~{}/a.jpg", "--out=~{}"),
    ("experiment", "list", "--out=~{}"),
    ("bench", "prepare", "~{}/src", "--work=~{}"),
    ("bench", "feed", "~{}/set", "--source=~{}/src", "--out=~{}"),
]


@pytest.mark.parametrize("words", EVERY_PATH, ids=lambda words: " ".join(words[:2]))
def test_a_home_folder_is_meant_however_the_option_is_written(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = vars(parsers.parser().parse_args([word.format("") for word in words]))
    given = [str(one) for value in found.values() for one in (value if isinstance(value, list) else [value])]
    assert sum(str(tmp_path) in one for one in given) == sum("~" in word for word in words)
    assert not any("~" in one for one in given)
    with pytest.raises(SystemExit, match="2"):
        parsers.parser().parse_args([word.format("nosuchuser") for word in words])
    assert "~nosuchuser" in capsys.readouterr().err.splitlines()[-1]


def test_a_data_folder_of_no_user_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("ALEXNET_DATA", "~nosuchuser/data")
    assert command_line.main(["data", "show"]) == 2
    assert capsys.readouterr().err.startswith("error: ~nosuchuser/data names no data folder: ")


def test_the_drawn_stand_in_is_not_recorded(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    command = ["experiment", "relu-vs-tanh", "--device", "cpu", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert command_line.main(command) == 2
    assert "error: this experiment is recorded on CIFAR-10 only" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_record_that_is_not_json_is_one_line_and_2(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    tree, out = write_tree(tmp_path / "tree", train=13, test=1), tmp_path / "out"
    damaged = out / "relu-vs-tanh" / "80sec_2012_0-255_relu_10000-images.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"experiment": "relu-')
    command = ["experiment", "relu-vs-tanh", "--device", "cpu", "--data", str(tree), "--out", str(out)]
    assert command_line.main(command) == 2
    assert f"error: {damaged} is not JSON" in capsys.readouterr().err
    assert damaged.read_text() == '{"experiment": "relu-', "a damaged record is the reader's to mend"


def test_ctrl_c_ends_with_130_and_no_traceback(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(relu_vs_tanh, "run_from", pressed)
    assert command_line.main(["experiment", "relu-vs-tanh"]) == 130
    assert capsys.readouterr().err == "stopped by Ctrl-C\n"


def test_what_was_recorded_is_listed(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relu_vs_tanh, "run_from", lambda args: [Path("a.json"), Path(f"{args.seeds}.json")])
    assert command_line.main(["experiment", "relu-vs-tanh", "--seeds", "4"]) == 0
    assert capsys.readouterr().out == "recorded a.json\nrecorded 4.json\n"


def test_options_reach_the_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {}
    monkeypatch.setattr(relu_vs_tanh, "run", lambda plan, **options: given.update(plan=plan, **options) or [])
    words = ["experiment", "relu-vs-tanh", "--full", "--seeds", "5", "--only", "elu,today/unit", "--jobs", "3"]
    words += ["--device", "cpu", "--out", str(tmp_path), "--data", "somewhere"]
    assert command_line.main(words) == 0
    plan = given.pop("plan")
    assert (plan.nonlinearities, plan.conditions, plan.seeds) == (("elu",), (("today", "unit"),), 5)
    assert (plan.passes, plan.images) == (60, relu_vs_tanh.SOME_IMAGES)
    assert given == {"out": tmp_path, "data": Path("somewhere"), "device": "cpu", "jobs": 3}


@pytest.mark.parametrize(
    "command",
    [
        "train --data DATA --out=",
        "inspect RUN --out=",
        "search a.jpg --index= --weights RUN",
        "data fetch cifar10 --data=",
    ],
)
def test_an_empty_path_is_not_the_folder_one_is_in(command: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="2"):
        command_line.main(command.split())
    assert "the path is empty; is a variable of the shell not set?" in capsys.readouterr().err


@pytest.mark.parametrize("lines", [0, 2], ids=["at the first line", "while it trains"])
def test_a_reader_that_has_seen_enough_is_no_error(lines: int, prepared: Path, tmp_path: Path) -> None:
    command = words(prepared, tmp_path / "run", "--passes", "50") if lines else ["experiment", "list"]
    run = [sys.executable, "-m", "alexnet_lib", *command]
    running = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    for _ in range(lines):
        assert running.stdout.readline()
    running.stdout.close()
    complaint = running.stderr.read().decode()
    assert running.wait(60) == 141 and complaint == ""
