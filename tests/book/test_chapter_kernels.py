"""What the chapter "First-layer kernels" works out by hand, held to the library by running the cells themselves."""

from __future__ import annotations

import re

import nbformat
import numpy as np
import pytest
import torch
from chapter_cells import Chapter

from alexnet_lib.measures.gabor import tuning_of
from alexnet_lib.measures.kernels import colour_share, noise_fits, specialisation

CHAPTER = Chapter("kernels", np=np)


def test_the_answers_by_hand_are_the_codes(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("upright stripes")
    assert capsys.readouterr().out == "upright stripes: 18\nlying stripes: 0\nan even patch: 0\n"
    text = next(cell for cell in CHAPTER.sources("markdown") if "small enough to check by hand" in cell)
    assert r"3 \cdot (1 + 4 + 1) = 18" in text


def test_the_share_of_colour_is_the_librarys(capsys: pytest.CaptureFixture) -> None:
    share = CHAPTER.run("def share_of_colour")["share_of_colour"]
    assert re.findall(r"\d\.\d+", capsys.readouterr().out) == ["0.667", "0.000", "1.000"]
    kernels = torch.randn(5, 3, 7, 7, dtype=torch.float64)
    assert [share(kernel) for kernel in kernels] == pytest.approx(colour_share(kernels).tolist())


def test_the_selectivity_by_hand_is_the_librarys(capsys: pytest.CaptureFixture) -> None:
    names = CHAPTER.run("for i, angle in enumerate(angles)")
    said = capsys.readouterr().out
    assert "orientation 30.0 degrees" in said and "agrees with the library: True" in said
    assert abs(names["mean"]) == pytest.approx(tuning_of(names["pattern"]).selectivity)


def test_noise_as_smooth_by_hand_is_the_librarys_and_fits_better_than_white(capsys: pytest.CaptureFixture) -> None:
    white = noise_fits(11, 11, count=10)
    names = CHAPTER.run("for i, angle in enumerate(angles)", "noise {much}", "def as_smooth", white=white)
    assert "agrees with the library, up to its sign: True" in capsys.readouterr().out
    assert np.mean(names["fits"]) > 3 * np.mean(white), "white noise is the easier control"
    made = names["as_smooth"](names["pattern"], np.random.default_rng(5))
    assert np.linalg.norm(made) == pytest.approx(np.linalg.norm(names["pattern"]))


def stored(needle: str) -> str:
    """What the one code cell with the needle has printed or shown as text, as it is stored."""
    cells = nbformat.read(CHAPTER.path, as_version=4).cells
    (found,) = [cell for cell in cells if cell.cell_type == "code" and needle in cell.source]
    return "\n".join(out.get("text") or out.get("data", {}).get("text/plain", "") for out in found.outputs)


def test_shares_by_kind_stand_beside_those_of_noise_and_the_words_are_the_stored_numbers() -> None:
    rows = stored("def kind_row(").splitlines()
    first, noise = ([int(part) for part in re.findall(r"(\d+)%", row)] for row in (rows[2], rows[-1]))
    assert rows[-1].startswith("noise as smooth")
    text = next(cell for cell in CHAPTER.sources("markdown") if "The last row is a warning" in cell)
    counts = [int(found) for found in re.findall(r"(\d+) of the 96 kernels", text)]
    assert counts == pytest.approx([0.96 * (row[0] + row[1]) for row in (first, noise)], abs=1)


def test_the_threshold_curve_is_of_trained_kernels_smooth_noise_and_white_noise() -> None:
    said = [line for line in stored("nb.lines(curves").splitlines() if "a Gabor has, on average" in line]
    trained, smooth, white = ([int(mean) for mean in re.findall(r"(\d+)% \(", line)] for line in said)
    assert len(trained) == 3 and min(trained) > smooth[0] > white[0]
    assert max(trained) < 50, "the text says that more than half of a kernel is not in its Gabor"


def test_a_line_of_fits_is_the_share_of_kernels_above_each() -> None:
    above = CHAPTER.run("def above", paper=None)["above"]
    one, other, noise = (
        dict(zip(limits.round(3), share, strict=True))
        for limits, share in map(above, ([0.2, 0.4, 0.6, 0.8], [0.5] * 4, [0.1, 0.1, 0.1, 0.3]))
    )
    assert [one[t] for t in (0, 0.3, 0.5, 0.7, 1)] == [1, 0.75, 0.5, 0.25, 0]
    assert other[0.45] == 1 and other[0.55] == 0 and noise[0.2] == 0.25


def test_the_test_of_columns_tells_the_share_of_runs_with_its_interval() -> None:
    row = next(line for line in stored("def column_row(").splitlines() if "(the paper's)" in line)
    runs = [float(p) for p in re.findall(r"\(p ([\d.]+)\)", row)]
    assert f"{sum(p < 0.05 for p in runs)} of {len(runs)} (" in row
    seen = int(re.search(r"a difference of (\d+) points in four of five tries", stored("draw_chance(")).group(1))
    assert 10 < seen < 18


def test_four_kernels_by_hand(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("dealings are as far apart")
    assert "2 of 6 dealings" in capsys.readouterr().out


def test_the_exact_test_is_what_the_drawn_one_comes_near() -> None:
    names = CHAPTER.run("def exact_p", "dealings are as far apart")
    first, second = [0.1, 0.2, 0.4, 0.3], [0.5, 0.9, 0.8, 0.35]
    exact = names["exact_p"](first, second)
    assert specialisation([[*first, *second]], draws=20_000).p == pytest.approx(exact, abs=0.01)


def test_yellow_against_blue(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("def share_of_colour", "for blue in (-1, -2)")
    assert capsys.readouterr().out.splitlines()[-2:] == ["-1 0.8889", "-2 1.0"]


def test_enlarged_photographs_have_nothing_fine(capsys: pytest.CaptureFixture) -> None:
    """Noise has detail at all frequencies; enlarged four times, almost none above an eighth of a cycle a pixel."""

    class Train:
        def __len__(self) -> int:
            return 100

        def images(self, numbers: range) -> torch.Tensor:
            generator = torch.Generator().manual_seed(0)
            return torch.randint(256, (len(numbers), 3, 32, 32), dtype=torch.uint8, generator=generator)

    finer = CHAPTER.run("def finer_than", train=Train())["finer_than"]
    assert finer(Train().images(range(20)), 0.25) > 0.5
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    limits = {line[1]: (line[-3], line[-1]) for line in said}
    assert limits["0.125"][0].startswith("9") and float(limits["0.125"][1].rstrip("%")) < 15
