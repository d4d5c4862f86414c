"""What the retrieval chapter reads and draws: tables from records, neighbours framed where they are of the class."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from ledger_cases import put
from safetensors.torch import save_file

from alexnet_lib import records
from alexnet_lib.errors import RecordError
from alexnet_lib.experiments import binary_codes as read
from alexnet_lib.experiments.binary_codes import BITS as CODES
from alexnet_lib.figures.retrieval import draw_neighbours, draw_trade
from alexnet_lib.measures.binary_codes import BITS, EXACT, code_name


def test_precision_is_read_by_method_and_chance_is_last(tmp_path: Path) -> None:
    assert read.recorded(tmp_path) == {} and read.precision_rows({})[0][0] == "not yet run" and read.keys({}) == []
    result = {
        "complete": True, "seeds": [0, 1], "chance": 0.1, "bytes": {"features": 16384, "features, 64 bits": 8},
        "precision": {"features": {"1": [0.5, 0.6], "10": [0.4, 0.4]},
                      "features, 64 bits": {"1": [0.4, 0.4], "10": [0.3, 0.3]},
                      "features, 64 bits by planes": {"1": [0.4, 0.4], "10": [0.3, 0.3]}},
    }  # fmt: skip
    run = "10-classes-64-pixels-20-passes_retrieval"
    put(tmp_path, "binary-codes", run, result, [0, 1], claims=["C29"])
    record = read.recorded(tmp_path)
    rows = read.precision_rows(record)
    assert rows[0] == ["features", "16,384", "55.0 ± 7.1 (2 seeds)", "40.0 ± 0.0 (2 seeds)"]
    assert [row[0] for row in rows] == ["features", "features, 64 bits", "chance"], "planes have a table of their own"
    assert rows[-1] == ["chance", "-", "10.0", "10.0"] and read.keys(record) == [f"binary-codes/{run}"]
    with pytest.raises(RecordError, match="_retrieval_seed-0.safetensors is missing"):
        read.kept(record, tmp_path)
    save_file({"labels-val": torch.arange(3)}, str(tmp_path / "binary-codes" / f"{run}_seed-0.safetensors"))
    assert read.kept(record, tmp_path)["labels-val"].tolist() == [0, 1, 2]


def test_drawn_planes_stand_beside_the_autoencoder_with_what_chance_can_do(tmp_path: Path) -> None:
    names = [f"{of}, {bits} bits{how}" for of in ("features", "pixels") for bits in CODES for how in ("", " by planes")]
    precision = {name: {"10": [0.40, 0.42, 0.44]} for name in names}
    precision["features, 64 bits"]["10"] = [0.38, 0.39, 0.43]
    result = {"complete": True, "seeds": [0, 1, 2], "precision": precision}
    run = "10-classes-64-pixels-20-passes_retrieval"
    put(tmp_path, "binary-codes", run, result, [0, 1, 2], claims=["C30"], test_images=500)
    rows = read.plane_rows(read.recorded(tmp_path))
    assert [row[0] for row in rows] == [name for name in names if not name.endswith("planes")]
    assert rows[0][1:3] == ["40.0", "42.0"] and rows[0][3].startswith("-2.00 points (")
    effect = read.found_more(read.recorded(tmp_path), "features, 64 bits", "features, 64 bits by planes")
    by_queries = (0.40 * 0.60 / 500 + 0.42 * 0.58 / 500) ** 0.5
    assert effect.bound and effect.image_error == pytest.approx(by_queries) and effect.error > by_queries
    assert read.plane_rows({})[0][0] == "not yet run"
    precision |= {name: {"10": by_k["10"][:1]} for name, by_k in precision.items()}
    put(tmp_path, "binary-codes", run, result | {"seeds": [0]}, [0], claims=["C30"], test_images=500)
    assert read.plane_rows(read.recorded(tmp_path))[0][3] == "1 seed: cannot tell"


def test_speeds_are_told_beside_exact_distances(tmp_path: Path) -> None:
    speeds = {**{code_name(bits): {"median": 2000.0} for bits in BITS}, EXACT: {"median": 4.0}}
    result = {"queries_per_second": speeds, "bytes": {str(bits): bits // 8 for bits in BITS}, "bytes_exact": 16384}
    put(tmp_path, "bench", "retrieval_cpu", result, [0], claims=["C30"])
    rows = read.speed_rows(records.load("bench", "retrieval_cpu", tmp_path))
    assert rows[0] == [code_name(64), "8", "0.5", "500"] and rows[-1] == [EXACT, "16,384", "250", "1"]
    assert read.speed_rows({})[0][0] == "not yet run"


def test_neighbours_of_the_querys_class_are_framed() -> None:
    images = torch.randint(256, (3, 3, 8, 8), dtype=torch.uint8)
    found = {"features": (images, ["cat", "dog", "cat"]), "pixels": (images[:2], ["dog", "dog"])}
    fig = draw_neighbours(images[0], "cat", found)
    framed = [ax.spines["top"].get_visible() for ax in fig.axes]
    assert framed == [False, True, False, True, False, False, False, False]
    assert [ax.get_title() for ax in fig.axes] == ["query: cat", "cat", "dog", "cat", "query: cat", "dog", "dog", ""]
    assert [ax.get_ylabel() for ax in fig.axes[::4]] == ["features", "pixels"]
    plt.close(fig)


def test_the_trade_is_drawn_in_order_of_size() -> None:
    fig = draw_trade({"codes": [(32, 0.5), (8, 0.4)], "exact": [(4096, 0.6)]}, 0.1)
    assert all(line.get_markevery() == 1 for line in fig.axes[0].lines[:2]), "a line of one point is its mark alone"
    (codes, exact, chance) = fig.axes[0].lines
    assert codes.get_xdata().tolist() == [8, 32] and codes.get_ydata().tolist() == [40, 50]
    assert exact.get_xdata().tolist() == [4096] and chance.get_ydata()[0] == 10
    plt.close(fig)
