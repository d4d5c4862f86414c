"""What the chapter "Lighting by principal components" builds by hand, held to the library: its cells are run here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from chapter_cells import Chapter

from alexnet_lib import notebook as nb
from alexnet_lib.augment import ColorPCA, PCALighting
from alexnet_lib.data.image_set import ImageSet


def photographs(n: int = 6, side: int = 24) -> ImageSet:
    """Brightness in common, a little of its own for each channel: as photographs, but drawn."""
    generator = torch.Generator().manual_seed(0)
    bright = 40 + 120 * torch.rand(n, 1, side, side, generator=generator)
    warm = 20 * torch.randn(n, 1, side, side, generator=generator) * torch.tensor([1.0, 0, -1])[:, None, None]
    own = 8 * torch.rand(n, 3, side, side, generator=generator)
    images = (bright + warm + own).clamp(0, 255).byte()
    return ImageSet(images, torch.zeros(n, dtype=torch.int64), ("any",), "drawn", "test", "drawn", "none")


PHOTOS = photographs()
PCA = ColorPCA.fit(PHOTOS.images)
LIGHTING = PCALighting(PCA)
IMAGE = PHOTOS.images[0].float()
chapter = Chapter(
    "pca_lighting",
    session=SimpleNamespace(photographs=PHOTOS),
    photographs=PHOTOS,
    pca=PCA,
    PCALighting=PCALighting,
    lighting=LIGHTING,
    image=IMAGE,
)
run_cells = chapter.run


def test_the_case_by_hand_is_what_the_text_says(capsys) -> None:
    names = run_cells("four = torch.tensor", "alpha, axis = 0.1")
    assert names["covariance"].tolist() == [[125, 100], [100, 125]]
    assert [round(value, 9) for value in names["values"].tolist()] == [25, 225]
    out = capsys.readouterr().out
    assert "adds 1.061" in out and "adds 15.910" in out and "adds 0.062" in out


def test_the_case_by_hand_is_what_the_library_gives_on_bytes() -> None:
    four = torch.tensor([[10, 10, 10], [20, 30, 20], [30, 20, 30], [40, 40, 40]], dtype=torch.uint8)
    pca = ColorPCA.fit(four.T.reshape(1, 3, 2, 2))
    assert torch.allclose(pca.covariance[:2, :2], torch.tensor([[125.0, 100], [100, 125]], dtype=torch.float64))


def test_the_covariance_by_hand_is_the_librarys(capsys) -> None:
    names = run_cells("photographs = session.photographs", "from alexnet_lib.augment import ColorPCA")
    assert torch.allclose(names["covariance"], PCA.covariance, rtol=1e-9)
    out = capsys.readouterr().out
    assert "eigenvalues agree: True" in out and "up to their sign: True" in out


def test_the_four_strengths_are_the_four_readings(book_style) -> None:
    steps = run_cells("def first_step")["steps"]
    value = PCA.eigenvalues[0].item()
    assert steps["deviation", "0-255"] == pytest.approx(0.1 * value**0.5)
    assert steps["deviation", "0-1"] == pytest.approx(0.1 * value**0.5)
    assert steps["eigenvalue", "0-255"] == pytest.approx(0.1 * value)
    assert steps["eigenvalue", "0-1"] == pytest.approx(0.1 * value / 255)


def test_an_added_colour_changes_no_difference_and_light_no_ratio(capsys) -> None:
    run_cells("def edges", F=torch.nn.functional)
    added, light = capsys.readouterr().out.splitlines()
    assert "differences change by up to  0.0 grey levels" in added and added.rstrip().endswith("%")
    assert light.rstrip().endswith("ratios by up to 0%") and "up to  0.0 grey" not in light


def test_kernels_that_sum_to_zero_see_nothing(capsys) -> None:
    run_cells("def edges", "edge = torch.zeros")
    edge, warm = capsys.readouterr().out.splitlines()[-2:]
    assert edge.startswith("edge") and edge.replace("-0.00", "+0.00").count("+0.00") == 2
    assert warm.startswith("warm") and "+0.00" not in warm.replace("-0.00", "+0.00")


def test_the_published_constants_agree_as_deviations(capsys, book_style) -> None:
    names = run_cells("shipped = torch.tensor")
    roots = names["ported"].sqrt() * 255
    assert ((roots - names["shipped"]).abs() / names["shipped"]).max() < 0.15
    assert (names["ported"] * 255 < names["shipped"]).all(), "a step by the variance on 0-1 is the shorter one"


def test_the_division_makes_training_images_smaller(capsys) -> None:
    spread = run_cells("spread = {")["spread"]
    plain = spread["test images"]
    assert spread["lit, divided by 1"] / plain == pytest.approx(1.005, abs=0.02)
    assert spread["lit, divided by 1.1"] / plain == pytest.approx(1.005 / 1.1, abs=0.02)


def test_the_solutions_colour_is_the_librarys_and_its_wrong_neighbours_are_told_apart(capsys) -> None:
    names = run_cells("def colour(")
    alpha = torch.tensor([0.1, -0.2, 0.05])
    ours = names["colour"](PCA.eigenvalues, PCA.eigenvectors, alpha.double())
    assert torch.allclose(ours.float(), LIGHTING.shifts(alpha[None])[0], atol=1e-4)
    assert "Right: 2 of 2" in capsys.readouterr().out
    for wrong, said in (
        (lambda v, p, a: p @ (a * v), "the paper's text, not the code"),
        (lambda v, p, a: p.T @ (a * v.sqrt()), "columns of the matrix, not its rows"),
        (lambda v, p, a: p @ v.sqrt() * a, "belongs to an axis"),
    ):
        hints = [
            (lambda v, p, a: p @ (a * v), "that is the eigenvalue: the paper's text, not the code"),
            (lambda v, p, a: p.T @ (a * v.sqrt()), "the axes are the columns of the matrix, not its rows"),
            (lambda v, p, a: p @ v.sqrt() * a, "each alpha belongs to an axis, not to a colour"),
        ]
        assert not nb.check(wrong, names["reference"], names["cases"], tol=1e-5, hints=hints)
        assert said in capsys.readouterr().out


def test_shifts_of_logarithms_multiply(capsys) -> None:
    pixels = PHOTOS.images.permute(0, 2, 3, 1).reshape(-1, 3).double()
    run_cells("logs = (1 + pixels", pixels=pixels)
    assert "a colour: True" in capsys.readouterr().out
