"""What the chapter "Crops, reflections and ten views" builds by hand, held to the library: its own cells run here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from chapter_cells import Chapter

from alexnet_lib import notebook as nb
from alexnet_lib.augment import random_crop_reflect, ten_views
from alexnet_lib.measures import crops as measure
from alexnet_lib.measures.crops import distinct_crops, offsets

CHAPTER = Chapter("crops_and_views", measure=measure, offsets=offsets, distinct_crops=distinct_crops)
run_cells = CHAPTER.run
FEW = SimpleNamespace(images=torch.randint(0, 256, (128, 3, 32, 32), dtype=torch.uint8))


def test_the_crops_by_hand_are_those_of_the_library(capsys) -> None:
    crops = run_cells("square = torch.arange(25)")["crops"]
    assert torch.equal(torch.stack(crops), measure.crops_of(torch.arange(25).view(1, 5, 5), 3))
    assert "18 crops" in capsys.readouterr().out


@pytest.mark.parametrize("size", [1, 24, 32])
def test_the_loop_draws_and_cuts_as_the_library(size: int) -> None:
    loop = run_cells("def one_by_one", session=SimpleNamespace(train=FEW))["one_by_one"]
    one, other = (f(FEW.images, size, generator=torch.Generator().manual_seed(5)) for f in (loop, random_crop_reflect))
    assert torch.equal(one, other)


def test_every_crop_is_drawn_equally_often(capsys) -> None:
    run_cells("square = torch.arange(25)", "many = square.expand", random_crop_reflect=random_crop_reflect)
    assert "18 kinds" in capsys.readouterr().out


def test_the_hand_count_of_independent_examples(capsys) -> None:
    run_cells("pair = torch.tensor")
    assert capsys.readouterr().out.split("\n")[:2] == ["two of cosine 0.8: 1.22", "six at right angles: 6.0"]
    assert 1.22 == pytest.approx(4 / (1.8**2 + 0.2**2), abs=0.01), "and the eigenvalues that the text gives"


def test_the_hand_averages_of_probabilities_and_logits() -> None:
    sure = torch.tensor([[[2.0, 0.0], [2.0, 0.0], [0.0, 9.0]]])
    assert float(measure.averaged(sure)[0, 0]) == pytest.approx(0.59, abs=0.005)
    assert float(measure.averaged(sure, "logits")[0, 0]) == pytest.approx(0.16, abs=0.005)


def test_the_answers_to_counting(capsys) -> None:
    run_cells("dot = torch.zeros")
    assert capsys.readouterr().out == "1800 162 49858\nDistinct(drawn=18, different=9)\n"
    assert any(
        "49{,}858" in text and "picture that another crop gives too: 9" in text for text in CHAPTER.sources("markdown")
    )


def test_the_solutions_ten_views_are_the_librarys_and_wrong_orders_are_told_apart(capsys) -> None:
    cell = run_cells("def my_ten_views", ten_views=ten_views)
    assert "Right: 3 of 3" in capsys.readouterr().out
    for image, size in cell["cases"]:
        assert torch.equal(cell["my_ten_views"](image, size), ten_views(image[None], size)[0])
    for wrong in (cell["of_reflected_image"], cell["upside_down"]):
        assert not nb.check(wrong, cell["my_ten_views"], cell["cases"])
    image, size = cell["cases"][0]
    pictures = {tuple(view.flatten().tolist()) for view in ten_views(image[None], size)[0]}
    assert pictures == {tuple(view.flatten().tolist()) for view in cell["of_reflected_image"](image, size)}
