"""Figures of kernels: where each is drawn, and that the marks are those of the numbers."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from chapter_cells import Chapter, Shown
from ledger_cases import put
from safetensors.torch import save_file

from alexnet_lib.errors import RecordError
from alexnet_lib.experiments import kernels as read
from alexnet_lib.figures.kernels import (
    GAP,
    draw_chance,
    draw_columns,
    draw_gabor,
    draw_kernels,
    draw_measures,
    mosaic,
)
from alexnet_lib.measures.gabor import Gabor
from alexnet_lib.measures.kernels import dealt, kernel_table, specialisation


def test_a_mosaic_has_each_kernel_in_its_place_and_the_second_column_below() -> None:
    kernels = torch.randn(96, 3, 11, 11, generator=torch.Generator().manual_seed(0))
    picture = mosaic(kernels, columns=2)
    step = 11 + GAP
    assert picture.shape == (6 * step + GAP, 16 * step - GAP, 4)
    for number in (0, 15, 16, 47, 48, 95):
        column, place = divmod(number, 48)
        top, left = column * (3 * step + 2 * GAP) + place // 16 * step, place % 16 * step
        drawn = picture[top : top + 11, left : left + 11]
        expected = 0.5 + 0.5 * (kernels[number] / kernels[number].abs().max()).permute(1, 2, 0).numpy()
        assert np.allclose(drawn[..., :3], expected) and (drawn[..., 3] == 1).all(), number
    assert picture[..., 3].sum() == 96 * 121, "what is between kernels is transparent"
    assert mosaic(kernels[:1], 1).shape == (11, 11, 4)


def test_each_kind_is_marked_as_often_as_it_is_there() -> None:
    opponent = (0.8, -0.6, 0.0)
    kinds = {
        "oriented": Gabor(60, 0.25, 0, 3, 3, 0, 0, 1, 1, opponent),
        "coloured blob": Gabor(0, 0, 0, 2.5, 2.5, 0, 0, 1, 1, opponent),
    }
    kernels = torch.stack([kinds[name].kernel(11, 11) for name in ("oriented", "coloured blob", "oriented")])
    table = kernel_table(kernels)
    fig = draw_measures(table)
    marks = {each.get_label(): each.get_offsets().data for each in fig.axes[0].collections}
    assert {name: len(each) for name, each in marks.items()} == {"oriented": 2, "coloured blob": 1}
    assert marks["oriented"][:, 0] == pytest.approx([0.25, 0.25], abs=1e-3)
    plt.close(fig)


def test_the_columns_means_are_drawn() -> None:
    shares = [[0.1] * 5 + [0.6] * 5, [0.5] * 5 + [0.3] * 5]
    fig = draw_columns({"paper": shares}, {"paper": "two columns"})
    assert [line.get_ydata()[0] for line in fig.axes[0].lines] == pytest.approx([0.1, 0.6, 0.5, 0.3])
    plt.close(fig)
    found = specialisation(shares)
    fig = draw_chance(found, dealt(shares))
    assert fig.axes[0].lines[0].get_xdata()[0] == pytest.approx(100 * found.size)
    assert sum(bar.get_height() for bar in fig.axes[0].patches) == 10_000
    plt.close(fig)


def test_several_sets_and_a_gabor_can_be_drawn() -> None:
    kernels = torch.randn(8, 3, 5, 5)
    fig = draw_kernels({"one": kernels, "two": kernels}, (1, 2), per_row=4)
    assert [ax.get_title() for ax in fig.axes] == ["one", "two"]
    assert fig.axes[1].images[0].get_array().shape[0] == 2 * 7 + GAP
    plt.close(fig)
    fig = draw_gabor(Gabor(30, 0.2, 0, 2, 3, 0, 0, 1, 1, (0.6, 0.6, 0.5)))
    ring = fig.axes[1].lines[0]
    assert np.degrees(ring.get_xdata()[ring.get_ydata().argmax()]) == pytest.approx(30)
    plt.close(fig)


def put_runs(root: Path, kinds: list[list[str]], shares: list[list[float]], variant: str = "paper") -> None:
    """Write a record of `kernels`: by seed, each kernel's kind and colour share."""
    runs = [
        {"seed": seed, "pilot": False, "kernels": {"kind": kind, "colour_share": share}}
        for seed, (kind, share) in enumerate(zip(kinds, shares, strict=True))
    ]
    result = {"complete": True, "seeds": list(range(len(kinds))), "test_error": [0.5] * len(kinds)}
    put(root, "kernels", f"10-classes-64-pixels-20-passes_{variant}", result, result["seeds"], curves=runs)


def test_records_of_kernels_are_read(tmp_path: Path) -> None:
    assert read.variants(tmp_path) == {}
    grey_first = [0.1, 0.15, 0.2, 0.12, 0.8, 0.7, 0.9, 0.75]
    coloured_first = [0.7, 0.8, 0.75, 0.9, 0.1, 0.2, 0.15, 0.12]
    put_runs(
        tmp_path,
        [["oriented", "grey blob"] * 4, ["neither"] * 8, ["neither"] * 8],
        [grey_first, coloured_first, [0.5] * 8],
    )
    put_runs(tmp_path, [["coloured blob"] * 4], [[0.9] * 4], "late")
    found = read.variants(tmp_path)
    assert list(found) == ["paper", "late"]
    shown, first = Shown(), found["paper"]
    Chapter(
        "kernels",
        nb=shown,
        np=np,
        read=read,
        results=found,
        paper=first,
        control=read.tables(first)[1],
        data=None,
        specialisation=specialisation,
    ).run("def kind_row", "def column_row")
    kinds, columns = shown.tables
    assert kinds[0][1:] == ["50%", "0%", "50%", "0%", "0.47"] and kinds[-1][1:] == [*["0%"] * 3, "100%", "0.47"]
    assert [row[0][-6:] for row in kinds[:-1]] == ["seed 0", "seed 1", "seed 2", "seed 0"]
    (two, *_, runs), (late, *_) = (row[1:] for row in columns)
    assert re.fullmatch(r"\+64\.5 \(p 0\.0[23]\d?\), -64\.5 \(p 0\.0[23]\d?\), \+0\.0 \(p 1\)", two), (
        "two of the 70 ways to deal eight kernels are as far apart"
    )
    assert runs == "2 of 3 (9% to 99%)" and late == "+0.0 (p 1)"
    with pytest.raises(RecordError, match="_paper_seed-0_conv1.safetensors is missing"):
        read.kept_kernels(found["paper"], root=tmp_path)
    weights = torch.randn(4, 3, 11, 11).half()
    path = tmp_path / "kernels" / "10-classes-64-pixels-20-passes_paper_seed-0_conv1.safetensors"
    save_file({"conv1.weight": weights, "pass-10": weights + 1, "pass-2": weights.clone()}, str(path))
    kept = read.kept_kernels(found["paper"], root=tmp_path)
    assert torch.equal(kept["conv1.weight"], weights.float()) and list(read.moments(kept)) == [2, 10]
