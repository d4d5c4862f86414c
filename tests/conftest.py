"""What the tests share: the built book, and the counts printed at the end."""

from __future__ import annotations

import importlib.util
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from built_pages import ROOT, Build, build_book
from hypothesis import settings
from small_sets import write_tree

# The same examples in every run; `pytest --hypothesis-profile=long` looks for new ones, for some minutes a test.
settings.register_profile("book", derandomize=True, database=None, deadline=timedelta(seconds=5))
settings.register_profile("long", database=None, deadline=timedelta(seconds=1), max_examples=100_000)
settings.load_profile("book")


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    """A browser for one file of tests; it must end with it, since nbval's kernels need the event loop to themselves."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed: pip install -r requirements.txt")
    from page_checks import browser, chromium

    if chromium() is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def built_book(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The book, built from nothing in a folder of its own: the reader's _build stays as it is."""
    return build_book(ROOT / "book", tmp_path_factory.mktemp("book"))


@pytest.fixture
def closed_to_the_reader(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test neither sees the reader's data, nor writes the reader's caches, nor opens the network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("ALEXNET_DATA", raising=False)

    def no_network(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"loading data opened {args[0]}")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A data root whose one folder `photos` is a tree of the ten classes: 2 training and 1 test image a class."""
    write_tree(tmp_path / "root" / "photos", train=2, test=1)
    return tmp_path / "root"


def kind(nodeid: str) -> str:
    if ".ipynb::" in nodeid:
        return "notebook cells"
    return "book and pages" if nodeid.startswith("tests/book/") else "library"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = {
        outcome: Counter(kind(report.nodeid) for report in terminalreporter.getreports(outcome))
        for outcome in ("passed", "failed", "error", "skipped")
    }
    terminalreporter.section("counts")
    for group in ("library", "notebook cells", "book and pages"):
        line = ", ".join(f"{count[group]} {outcome}" for outcome, count in counts.items() if count[group])
        terminalreporter.write_line(f"{group}: {line or 'none run'}")


@pytest.fixture
def book_style() -> Iterator[None]:
    """Figures drawn in the book's style, without a screen, and none left open."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from alexnet_lib.notebook import origin, style

    with mpl.rc_context():
        mpl.use("agg")
        style.use_style()
        origin.set_live_data(None)
        yield
        plt.close("all")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread, so that sums come in one order and small nets do not wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_data_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALEXNET_DATA is not set."""
    monkeypatch.delenv("ALEXNET_DATA", raising=False)


@pytest.fixture(scope="session")
def cifar_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Part of CIFAR-10 by its shape: 260 training and 20 test images of its ten classes, as PNG files."""
    return write_tree(tmp_path_factory.mktemp("tree"), train=26, test=2)


@pytest.fixture(scope="session")
def tree_of_300(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 training and 20 test images of the ten classes: what the tests of comparisons train on."""
    return write_tree(tmp_path_factory.mktemp("tree"), train=30, test=2)


@pytest.fixture
def no_data_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALEXNET_DATA", raising=False)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set as `data prepare-imagenet` leaves it, its images beside it in `source`; not to be changed."""
    from training_cases import write_set

    return write_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one pass: six classes, ten kernels in two columns."""
    from training_cases import words

    from alexnet_lib.__main__ import main

    out = tmp_path_factory.mktemp("run") / "run"
    assert main(words(prepared, out, "--passes", "1")) == 0
    return out


@pytest.fixture(scope="module")
def net(trained: Path) -> Any:
    """That run's network as `search` and `inspect` load it, on the CPU."""
    import torch

    from alexnet_lib.measures.trained import load_feature_net

    return load_feature_net(str(trained), torch.device("cpu"))


@pytest.fixture(scope="session")
def small_cifar_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """140 training images: one step a pass, and 20 passes a run."""
    return write_tree(tmp_path_factory.mktemp("tree"), train=14, test=1)
