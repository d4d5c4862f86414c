"""The one set-up call, the progress bar that leaves nothing behind, and stored figures under nbval."""

from __future__ import annotations

import os
import random
import re

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from nbval.plugin import get_sanitize_patterns

from alexnet_lib import ROOT
from alexnet_lib import notebook as nb
from alexnet_lib.data import cifar10
from alexnet_lib.errors import DataError, SettingError
from alexnet_lib.notebook import origin


@pytest.fixture(autouse=True)
def settings_restored(monkeypatch):
    """What `setup` sets for the whole process goes back after each test."""
    for name in ("ALEXNET_DEVICE", "ALEXNET_THREADS", "ALEXNET_DATA", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with mpl.rc_context():
        yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)
    origin.set_live_data(None)


@pytest.fixture
def real_data(tree, monkeypatch, closed_to_the_reader):
    """A small tree of images stands for the reader's CIFAR-10."""
    monkeypatch.setenv("ALEXNET_DATA", str(tree))
    monkeypatch.setenv("ALEXNET_DEVICE", "cpu")
    return tree


@pytest.fixture
def no_data(tmp_path, monkeypatch, closed_to_the_reader):
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path))
    monkeypatch.setenv("ALEXNET_DEVICE", "cpu")
    drawn = cifar10.draw_stand_in
    monkeypatch.setattr(cifar10, "draw_stand_in", lambda split: drawn(split, n=20))
    return tmp_path


def test_first_line_names_data_device_threads_and_seed(real_data, capsys):
    session = nb.setup("relu_vs_tanh", threads=1, seed=5)
    line = capsys.readouterr().out
    assert re.fullmatch(r"[^/\n]*: 20 training and 10 test images · CPU, 1 thread · seed 5\n", line), line
    assert str(real_data) not in line and session.name in line
    assert len(session.train) == 20 and len(session.test) == 10 and not session.stand_in
    assert session.data_label in line and session.device == torch.device("cpu")
    assert session.train is session.train


def test_stand_in_is_announced_with_how_to_get_the_real_thing(no_data, capsys):
    session = nb.setup("relu_vs_tanh", threads=2)
    line = capsys.readouterr().out
    assert line.startswith(f"DRAWN STAND-IN, not CIFAR-10 (no data found at {no_data}; to get it: ")
    assert "python -m alexnet_lib data fetch cifar10, or set ALEXNET_DATA" in line and line.count("\n") == 1
    assert line.endswith("20 training and 20 test images · CPU, 2 threads · seed 0\n")
    assert session.stand_in and origin.describe("live") == ("live · drawn stand-in, not CIFAR-10", True)


def test_live_figures_name_the_sessions_data(real_data):
    session = nb.setup("relu_vs_tanh")
    assert origin.describe("live", 2) == (f"live · 2 seeds · {session.name}", False)


def test_chapter_without_data_loads_none(monkeypatch, capsys):
    monkeypatch.setattr(cifar10, "load_cifar10", lambda split: pytest.fail("loaded data"))
    monkeypatch.setenv("ALEXNET_DEVICE", "cpu")
    session = nb.setup("layers", data=None, threads=1)
    assert capsys.readouterr().out == "no data set · CPU, 1 thread · seed 0\n"
    assert not session.stand_in and origin.describe("live") == ("live", False)
    with pytest.raises(SettingError, match="data='cifar10'"):
        _ = session.train


def test_a_seed_gives_the_same_numbers_again_and_another_seed_others():
    def numbers(seed):
        nb.setup("x", seed=seed, data=None)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert numbers(3) == numbers(3)
    assert all(a != b for a, b in zip(numbers(3), numbers(4), strict=True))


def test_deterministic_algorithms_threads_and_style_are_set(monkeypatch):
    monkeypatch.setenv("ALEXNET_THREADS", "1")
    session = nb.setup("x", data=None)
    assert torch.are_deterministic_algorithms_enabled() and os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert session.threads == torch.get_num_threads() == 1
    assert mpl.rcParams["axes.facecolor"] == "none" and mpl.rcParams["svg.fonttype"] == "path"
    monkeypatch.delenv("ALEXNET_THREADS")
    assert nb.setup("x", data=None).threads == torch.get_num_threads() >= 1, "a smaller number is not remembered"


def test_fewer_threads_where_they_are_quicker_and_the_first_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(nb, "_PHYSICAL_CORES", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(nb, "free_threads", lambda most: 1)
    assert nb.setup("x", data=None).threads == torch.get_num_threads() == 1
    assert "CPU, 1 thread (of 2: other programs hold the cores) · seed 0" in capsys.readouterr().out
    monkeypatch.setattr(nb, "free_threads", lambda most: most)
    nb.setup("x", data=None)
    assert "CPU, 2 threads · seed 0" in capsys.readouterr().out
    monkeypatch.setenv("ALEXNET_THREADS", "2")
    monkeypatch.setattr(nb, "free_threads", lambda most: pytest.fail("it measured, although it was told"))
    nb.setup("x", data=None)


@pytest.mark.parametrize("given", ["0", "two", "-1", "1.5"])
def test_wrong_thread_counts_are_refused(given, monkeypatch):
    monkeypatch.setenv("ALEXNET_THREADS", given)
    with pytest.raises(SettingError, match="thread"):
        nb.setup("x", data=None)


def test_wrong_settings_are_refused(monkeypatch, tmp_path):
    with pytest.raises(SettingError, match="data='mnist' is not known"):
        nb.setup("x", data="mnist")
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere"):
        nb.setup("x")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("ALEXNET_DEVICE", "cuda")
    with pytest.raises(SettingError, match="cuda"):
        nb.setup("x", data=None)


def run_notebook(*cells: str, live: bool = False) -> list[list]:
    """The stored outputs of cells run by nbclient; `live` asks as JupyterLab does, able to answer input()."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(book, timeout=120, kernel_name="python3")
    with client.setup_kernel():
        client.kc.allow_stdin = live
        for index, cell in enumerate(book.cells):
            client.execute_cell(cell, index)
    return [cell.outputs for cell in book.cells]


BAR = (
    "from alexnet_lib.system.progress import progress\nfor i in progress(range(3), desc='passes', mininterval=0): pass"
)


def test_progress_leaves_no_output_where_nobody_watches():
    bar, counted = run_notebook(BAR, "bar = progress(total=2)\nbar.update(2)\nbar.close()")
    assert bar == [] and counted == []


def test_progress_shows_in_a_live_notebook_and_empties_itself():
    log = "import alexnet_lib.system.progress as p\nseen = []\nput = p._Display._put\n"
    log += "p._Display._put = lambda self, bundle: (seen.append(bundle), put(self, bundle))[1]"
    outputs = run_notebook(log, BAR, "print(any('passes: 100%' in str(b) for b in seen), seen[-1])", live=True)
    assert [output.data for output in outputs[1]] == [{}], "an emptied display, nothing to see"
    assert outputs[2][0].text == "True {}\n"


def test_a_bar_that_is_switched_off_shows_nothing_in_a_live_notebook_either():
    off = "from alexnet_lib.system.progress import progress\nwith progress(total=2, disable=True) as bar: bar.update(2)"
    assert run_notebook(off, live=True) == [[]]


def test_progress_counts_through_whatever_is_shown():
    assert list(nb.progress(iter("abc"), total=3)) == ["a", "b", "c"]


def sanitised(text: str) -> str:
    rules = (ROOT / "tests" / "nbval_sanitize.cfg").read_text(encoding="utf-8")
    for regex, replace in get_sanitize_patterns(rules):
        text = re.sub(regex, replace, text)
    return text


def test_stored_figures_survive_another_matplotlib_but_not_another_text():
    from alexnet_lib.notebook.slider_figure import slider

    def page(stretch: float, alt: str) -> str:
        def draw(value):
            import matplotlib.pyplot as plt

            fig, ax = plt.subplots()
            ax.plot([0, stretch], [0, value])
            return fig

        return slider.bundle(draw, [1, 2], label="slope", alt=alt)["text/html"]

    nb.setup("x", data=None)
    one, redrawn = page(1.0, "a line that rises"), page(1.5, "a line that rises")
    assert one != redrawn and sanitised(one) == sanitised(redrawn)
    assert sanitised(one) != sanitised(page(1.0, "a line that falls"))
    assert len(sanitised(one)) < 6000 and "a line that rises" in sanitised(one)


def test_stored_tables_survive_another_look_but_not_another_number():
    from alexnet_lib.notebook.inline import table

    one = table.bundle([["ReLU", 4.2]], header=["", "passes"])["text/html"]
    restyled = one.replace("<style>", "<style>.new{color:red}").replace("text-align:right", "text-align:left")
    assert one != restyled and sanitised(one) == sanitised(restyled)
    assert sanitised(one) != sanitised(one.replace("4.2", "4.3"))
    assert 'style="' not in sanitised(one) and sanitised(one).count("<LOOK>") == 1
