"""Races in processes of their own: errors, kills, Ctrl-C, and going on afterwards."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from race_cases import TINY, workplace, write_leader

from alexnet_lib import records
from alexnet_lib.errors import TrainingError
from alexnet_lib.experiments.relu_vs_tanh import contenders_of
from alexnet_lib.experiments.running.pool import default_jobs, run_units
from alexnet_lib.experiments.running.race import Contender, run_unit

pytestmark = pytest.mark.usefixtures("one_thread", "no_data_named")


def test_jobs_leave_room_on_a_machine_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert (default_jobs("cpu"), default_jobs("cuda")) == (16, 12)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert (default_jobs("cpu"), default_jobs("cuda")) == (2, 1)


def test_an_error_in_a_process_is_raised_and_the_finished_runs_are_kept(tmp_path: Path, cifar_tree: Path) -> None:
    """The second rate finds a damaged checkpoint in its way; the first has been recorded by then."""
    one = contenders_of(replace(TINY, seeds=1, passes=1), 60.0)[0]
    one.rates = [0.003, 0.01]
    place, kept = workplace(cifar_tree, tmp_path), []
    damaged = tmp_path / f"{one.due()[1].label.replace(' ', '_')}.pt"
    damaged.write_text("damaged")
    # Left by another race: it must not judge this one.
    write_leader(tmp_path / f"{one.run}.leader", 0.001)
    with pytest.raises(TrainingError, match=rf"{damaged.name} cannot be read"):
        run_units([one], place, 1, lambda contender, _: kept.append(list(contender.outcomes)), run_unit)
    assert kept == [[(0.003, 0)]]
    assert one.outcomes[0.003, 0]["ended"] == "cap"


def test_a_process_that_is_killed_is_told_from_a_run_that_failed(tmp_path: Path, small_cifar_tree: Path) -> None:
    one = contenders_of(replace(TINY, seeds=1, passes=1), 60.0)[0]

    def kill(*_: Contender) -> None:
        for child in multiprocessing.active_children():
            child.kill()
            child.join()

    with pytest.raises(TrainingError, match="ended from outside, perhaps for want of memory; try fewer --jobs"):
        run_units([one], workplace(small_cifar_tree, tmp_path), 1, kill, run_unit)
    assert len(one.outcomes) == 1


class Race:
    """`experiment relu-vs-tanh` in a process of its own, whose group is a terminal's."""

    def __init__(self, tree: Path, out: Path):
        command = [sys.executable, "-u", "-m", "alexnet_lib", "experiment", "relu-vs-tanh", "--only", "relu,18pct"]
        command += ["--device", "cpu", "--jobs", "1", "--data", str(tree), "--out", str(out)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def read_until(self, text: str) -> None:
        for line in self.process.stdout:
            if text in line:
                return
        raise AssertionError(f"never said {text!r}: {self.process.stderr.read()}")

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err

    def processes(self) -> list[int]:
        """Those of the group that are still there."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(group) == self.process.pid and state != "Z":
                found.append(int(folder.name))
        return found


@pytest.fixture
def start_race(tmp_path: Path, small_cifar_tree: Path) -> Iterator[Callable[[], Race]]:
    """Starts races on the small tree, writing to tmp_path; whatever a failed test leaves of them is ended."""
    started = []

    def start() -> Race:
        started.append(Race(small_cifar_tree, tmp_path))
        return started[-1]

    yield start
    for race in started:
        if race.processes():
            os.killpg(race.process.pid, signal.SIGKILL)
        race.process.communicate()


def wait_for(condition, seconds: float = 60) -> Any:  # noqa: ANN001
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return value


def test_ctrl_c_as_the_processes_start_ends_cleanly(start_race: Callable[[], Race]) -> None:
    """A terminal sends Ctrl-C to the whole group: to workers, too, that are still importing."""
    race = start_race()
    race.read_until("images/s measured")
    wait_for(lambda: len(race.processes()) > 2)  # ours, the tracker of shared things, and a worker
    os.killpg(race.process.pid, signal.SIGINT)
    code, out, err = race.ended()
    assert code == 130 and "the same command goes on from here" in out
    assert "stopped by Ctrl-C" in err and "Traceback" not in err, err
    assert wait_for(lambda: not race.processes())


def test_a_race_that_was_stopped_goes_on_and_leaves_nothing_running_when_killed(
    tmp_path: Path, start_race: Callable[[], Race]
) -> None:
    """Ctrl-C to the first process alone; then the same command, ended by a hard kill of its first process."""
    path = tmp_path / "relu-vs-tanh" / "18pct_2012_0-255_relu_10000-images.json"
    race = start_race()
    wait_for(path.exists)
    race.process.send_signal(signal.SIGINT)
    code, _, err = race.ended()
    assert code == 130 and "Traceback" not in err, err
    finished = records.read(path)["curves"]
    assert finished and not records.read(path)["result"]["complete"]

    race = start_race()
    wait_for(lambda: len(records.read(path)["curves"]) > len(finished))
    race.process.kill()
    assert wait_for(lambda: not race.processes()), "training went on without its race"
    rates = [one["rate"] for one in records.read(path)["curves"]]
    assert [one for one in records.read(path)["curves"] if one in finished] == finished, "a finished run was run again"
    assert len(rates) == len(set(rates))
