"""`bench retrieval`: that what is timed is what it says, and what the command prints and records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet_lib import records
from alexnet_lib.__main__ import main
from alexnet_lib.bench import retrieval
from alexnet_lib.bench.retrieval import BARE, STORED
from alexnet_lib.measures.binary_codes import BITS, EXACT, code_name
from alexnet_lib.network.config import AlexNetConfig

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    small = AlexNetConfig(widths=(10, 10, 8, 8, 8), hidden=(16, 12))
    monkeypatch.setattr(retrieval.AlexNetConfig, "paper", lambda: small)


def test_both_ways_go_through_the_network_for_each_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    features = retrieval.AlexNet.features
    monkeypatch.setattr(
        retrieval.AlexNet, "features", lambda net, images: seen.append(len(images)) or features(net, images)
    )
    ways = retrieval.feature_contestants(70, torch.device("cpu"), tmp_path)
    for name in (STORED, BARE):
        seen.clear()
        assert ways[name]() == 70 == sum(seen), name
    stored = np.load(tmp_path / "features.npy")
    assert stored.shape == (70, 12) and np.isfinite(stored).all() and stored.std() > 0


def test_queries_are_answered_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    search = retrieval.HammingIndex.search
    monkeypatch.setattr(
        retrieval.HammingIndex,
        "search",
        lambda index, queries, k: sizes.append((index.index.ntotal, len(queries), k)) or search(index, queries, k),
    )
    monkeypatch.setattr(retrieval, "LENGTH", 16)
    ways = retrieval.search_contestants(30, 5)
    assert list(ways) == [*map(code_name, BITS), EXACT]
    assert ways[code_name(64)]() == 5 and sizes == [(30, 1, 10)] * 5
    assert ways[EXACT]() == 1


def test_the_command_prints_both_tables_and_records_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(retrieval, "LENGTH", 16)
    words = ["bench", "retrieval", "--images", "3", "--count", "20", "--queries", "2", "--rounds", "1"]
    assert main([*words, "--device", "cpu", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "features of 3 images" in said and "nearest of 20, one query at a time" in said
    result = records.load("bench", "retrieval_cpu", tmp_path)["result"]
    assert set(result["images_per_second"]) == {STORED, BARE}
    assert set(result["queries_per_second"]) == {*map(code_name, BITS), EXACT} and result["bytes"]["256"] == 32


@pytest.mark.parametrize(
    ("words", "said"), [(["--count", "9"], "--count 9: give 10 or more"), (["--queries", "0"], "--queries 0")]
)
def test_settings_that_cannot_be(words: list[str], said: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["bench", "retrieval", *words]) != 0
    assert said in capsys.readouterr().err
