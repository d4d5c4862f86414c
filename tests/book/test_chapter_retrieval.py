"""What the chapter "Retrieval and binary codes" works out by hand, held to the library by running the cells."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from chapter_cells import Chapter
from ledger_cases import put

from alexnet_lib import notebook as nb
from alexnet_lib import records
from alexnet_lib.experiments import binary_codes as read
from alexnet_lib.measures.binary_codes import BITS, EXACT, HammingIndex, code_name, fit_autoencoder, pack
from alexnet_lib.measures.retrieval import chance, nearest, precision_at

CHAPTER = Chapter("retrieval", np=np, torch=torch)


def test_three_points_by_hand(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("three = np.array")
    said = capsys.readouterr().out.splitlines()
    assert said == ["from a: b at 5 c at 6", "by bits: c at 1 b at 2"]
    text = next(cell for cell in CHAPTER.sources("markdown") if "small enough to check by hand" in cell)
    assert "2 from $a$ to $b$, 1 to $c$" in text


def test_the_code_passes_gradients_through_its_rounding() -> None:
    coder = CHAPTER.run("class Coder")["Coder"](6, 3)
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    coder(x).sum().backward()
    assert coder.encoder.weight.grad.abs().sum() > 0, "as if nothing had been rounded"
    with torch.no_grad():
        bits = coder.encoder(x).sigmoid().round()
        assert torch.allclose(coder(x), coder.decoder(2 * bits - 1), atol=1e-6), "yet what is decoded are bits"


@pytest.mark.usefixtures("book_style")
def test_codes_of_features_and_of_pixels_stand_beside_random_planes() -> None:
    shown = []
    book = SimpleNamespace(lines=nb.lines, show=lambda fig, **named: shown.append(fig))
    generator = torch.Generator().manual_seed(0)
    labels = np.arange(100) % 4
    base, pixels = (torch.randn(100, 8, generator=generator) + torch.tensor(labels)[:, None] for _ in range(2))
    methods = {"features": nearest(base.numpy(), base.numpy(), 10), "pixels": nearest(pixels.numpy(), base.numpy(), 10)}
    made = CHAPTER.run(
        "def codes_of",
        "lines[f",
        nb=book,
        base=base,
        asked=base,
        train=None,
        val=None,
        all_pixels=lambda images: pixels.numpy(),
        labels=labels,
        wanted=labels,
        methods=methods,
        few=None,
        fit_autoencoder=fit_autoencoder,
        HammingIndex=HammingIndex,
        precision_at=precision_at,
        chance=chance,
    )
    names = ["autoencoder", "planes"]
    drawn = [text.get_text() for text in shown[0].legends[0].get_texts()]
    assert drawn == [
        *(f"features: {one}" for one in names),
        "features themselves",
        *(f"pixels: {one}" for one in names),
        "pixels themselves",
    ]
    *lines, level = shown[0].axes[0].lines
    assert all(line.get_markevery() == 1 for line in lines), "a line of one point is its mark alone"
    assert [list(line.get_xdata()) for line in lines[:3]] == [[2, 8, 32], [2, 8, 32], [32]]
    assert level.get_ydata()[0] == 25 and all(0 <= share <= 100 for line in lines for share in line.get_ydata())
    assert lines[2].get_ydata()[0] == 100 * precision_at(methods["features"], labels, labels, [10]).mean()
    stored, asked = made["codes_of"]("planes", 64, base, base[:5])
    assert stored.shape == (100, 8) and np.array_equal(asked, stored[:5])


def test_the_control_is_beside_the_autoencoder_in_what_is_recorded(capsys: pytest.CaptureFixture) -> None:
    _, rows, _ = tables_of()
    assert [row[0].split(",")[0] for row in rows] == ["features"] * 3 + ["pixels"] * 3
    worse = sum(row[3].startswith("-") for row in rows[:3])
    assert f"features: random planes find more than the autoencoder at {worse} of 3 lengths" in capsys.readouterr().out
    said = "on features our autoencoder does not beat them" in CHAPTER.sources("markdown")[-1]
    assert said == (worse == 3), "the summary says what the record says"


def tables_of() -> list[list]:
    """The rows of the three tables of what is recorded: precision, the control, speeds."""
    tables: list[list] = []
    book = SimpleNamespace(table=lambda rows, **named: tables.append(rows))
    CHAPTER.run("mean_and_spread(by_k", "read.found_more", "timed, rows = records.load", nb=book, ks=(1, 5, 10, 50))
    return tables


def put_precision(root: Path, precision: dict[str, dict[str, list[float]]], seeds: list[int]) -> None:
    sizes = {name: 4096 * 4 if name in ("features", "pixels") else 8 for name in precision}
    result = {"complete": True, "seeds": seeds, "chance": 0.1, "bytes": sizes, "precision": precision}
    put(
        root,
        "binary-codes",
        "10-classes-64-pixels-20-passes_retrieval",
        result,
        seeds,
        claims=["C29", "C30"],
        test_images=500,
    )


def test_without_records_the_tables_have_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`nb.table` then says "not yet run"."""
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    assert tables_of() == [[], [], []]


def test_what_is_recorded_is_read_by_method_and_chance_is_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    coded = [
        f"{of}, {bits} bits{how}" for of in ("features", "pixels") for bits in read.BITS for how in ("", " by planes")
    ]
    precision = {name: {k: [0.40, 0.42, 0.44] for k in ("1", "5", "10", "50")} for name in ("features", *coded)}
    precision["features"] = {"1": [0.5, 0.6, 0.7], "5": [0.4] * 3, "10": [0.4] * 3, "50": [0.4] * 3}
    precision["features, 64 bits"]["10"] = [0.38, 0.39, 0.43]
    put_precision(tmp_path, precision, [0, 1, 2])
    speeds = {**{code_name(bits): {"median": 2000.0} for bits in BITS}, EXACT: {"median": 4.0}}
    result = {"queries_per_second": speeds, "bytes": {str(bits): bits // 8 for bits in BITS}, "bytes_exact": 16384}
    put(tmp_path, "bench", "retrieval_cpu", result, [0], claims=["C30"])
    found, control, fast = tables_of()
    assert found[0] == ["features", 16384, "60.0 ± 10.0 (3 seeds)", *["40.0 ± 0.0 (3 seeds)"] * 3]
    learned = [name for name in coded if not name.endswith("planes")]
    assert [row[0] for row in found] == ["features", *learned, "chance"], "planes have a table of their own"
    assert found[-1] == ["chance", "-", *["10.0"] * 4]
    assert [row[0] for row in control] == learned
    assert control[0][1:3] == ["40.0", "42.0"] and control[0][3].startswith("-2.00 points (")
    assert fast[0] == [code_name(64), 8, "0.5", "500"] and fast[-1] == [EXACT, 16384, "250", "1"]
    one_seed = {name: {k: each[:1] for k, each in by_k.items()} for name, by_k in precision.items()}
    put_precision(tmp_path, one_seed, [0])
    assert tables_of()[1][0][3] == "1 seed: cannot tell"


def test_the_bytes_of_imagenet(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("images = 1_281_167")
    assert capsys.readouterr().out == "features 21.0 GB, codes 41 MB\n6,244 bits an image\n"


def test_the_hamming_distance_counts_bits() -> None:
    class Checker:
        def check(self, *given, **named) -> None: ...

    hamming = CHAPTER.run("def hamming", nb=Checker())["hamming"]
    bits = np.random.default_rng(0).integers(0, 2, (2, 64)).astype(bool)
    assert hamming(*pack(bits)) == int((bits[0] != bits[1]).sum())
