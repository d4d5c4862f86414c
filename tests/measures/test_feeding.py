"""Batches made ahead by a thread: their order, their errors, the thread's end; and times that a made case fixes."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.feeding import WAYS, time_ways, timeline
from alexnet_lib.system import timing
from alexnet_lib.system.ahead import ahead

MAKE, STEP = 0.02, 0.05


def workers() -> int:
    return sum(thread.name == "batches ahead" for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 3])
def test_batches_come_in_their_order_and_the_thread_ends(depth: int) -> None:
    assert list(ahead(range(50), depth)) == list(range(50))
    assert list(ahead([], depth)) == []
    assert list(ahead([None, 0], depth)) == [None, 0], "items that count as false are items"
    assert workers() == 0


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_is_made_than_depth_says(depth: int) -> None:
    made = []
    batches = ahead((made.append(n) or n for n in itertools.count()), depth)
    assert next(batches) == 0
    deadline = time.monotonic() + 5
    while len(made) < depth + 1 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert len(made) == depth + 1
    batches.close()
    assert workers() == 0


def test_an_error_comes_where_it_would_have_come() -> None:
    def breaks():
        yield 1
        yield 2
        raise ValueError("the third cannot be made")

    taken = []
    with pytest.raises(ValueError, match="the third cannot be made"):
        for batch in ahead(breaks()):
            taken.append(batch)
    assert taken == [1, 2] and workers() == 0


def test_a_step_that_fails_leaves_no_thread() -> None:
    with pytest.raises(ZeroDivisionError):
        for batch in ahead(itertools.count()):
            1 / (batch - 3)
    assert workers() == 0


def test_depth_steps_and_rounds_must_be_there() -> None:
    with pytest.raises(SettingError, match="depth 0"):
        ahead([], 0)
    with pytest.raises(SettingError, match="steps 0"):
        time_ways(lambda: 1, lambda batch: None, steps=0)


def test_work_that_leaves_the_cores_free_is_hidden() -> None:
    """Steps and batches that only wait: one after the other they take the sum, side by side the longer of the two."""
    seconds = time_ways(lambda: time.sleep(MAKE), lambda batch: time.sleep(STEP), steps=6, rounds=2)
    assert tuple(seconds) == WAYS
    assert STEP <= seconds["without"] < seconds["behind the step"] < seconds["before the step"]
    assert seconds["before the step"] >= MAKE + STEP
    # The first batch has no step to hide behind: 1/6 of MAKE a step is left.
    added = seconds["before the step"] - seconds["without"]
    assert 0.3 < (seconds["before the step"] - seconds["behind the step"]) / added < 1


def test_times_come_from_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only the work moves: making takes 2, a step 5; nothing runs at the same time here."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def moves(seconds: float):
        def work(*batch: object) -> None:
            now[0] += seconds

        return work

    seconds = time_ways(moves(2), moves(5), steps=4, rounds=3)
    assert seconds == pytest.approx({"without": 5, "before the step": 7, "behind the step": 7})


@pytest.mark.parametrize("behind", [False, True])
def test_a_timeline_tells_what_ran_when(behind: bool) -> None:
    spans = timeline(lambda: time.sleep(MAKE), lambda batch: time.sleep(STEP), steps=3, behind=behind)
    assert sorted((span.what, span.number) for span in spans) == [(w, n) for w in ("make", "step") for n in range(3)]
    by_name = {(span.what, span.number): span for span in spans}
    for number in range(3):
        made, used = by_name["make", number], by_name["step", number]
        assert made.stop - made.start >= MAKE * 0.9 and used.stop - used.start >= STEP * 0.9
        assert used.start >= made.stop
    overlaps = by_name["make", 1].start < by_name["step", 0].stop
    assert overlaps == behind
