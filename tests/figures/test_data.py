"""Figures of the chapter on data: what is drawn is what was given."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from alexnet_lib.figures import data as draw
from alexnet_lib.notebook.svg import inline_svg


@pytest.fixture(autouse=True)
def closed() -> None:
    yield
    plt.close("all")


def images(n: int, size: int = 24) -> torch.Tensor:
    return torch.randint(256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_pictures_stand_in_rows_and_empty_places_stay_empty() -> None:
    given = images(5)
    fig = draw.draw_pictures(given, list("abcde"), columns=3)
    drawn = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert len(fig.axes) == 6 and len(drawn) == 5
    assert all(np.array_equal(a, g.permute(1, 2, 0)) for a, g in zip(drawn, given, strict=True))
    assert [ax.get_title() for ax in fig.axes] == [*"abcde", ""]
    assert [ax.spines["left"].get_visible() for ax in fig.axes] == [True] * 5 + [False]


def test_rows_have_names_and_colours_are_cut_off_not_wrapped() -> None:
    bright = images(2).float() + 300
    given = torch.cat([images(2), bright[:1], bright[:1] - 900])
    fig = draw.draw_pictures(given, ["a", "b"], columns=2, names=["as it is", "bright"])
    shown = [ax.images[0].get_array() for ax in fig.axes]
    assert np.array_equal(shown[0], given[0].permute(1, 2, 0)) and (shown[2] == 255).all() and (shown[3] == 0).all()
    assert [ax.get_title() for ax in fig.axes] == ["a", "b", "", ""]
    assert [ax.get_ylabel() for ax in fig.axes] == ["as it is", "", "bright", ""]


def test_dollar_signs_in_names_are_drawn_as_they_are() -> None:
    fig = draw.draw_pictures(images(1), [r"a $\frac{1$"], columns=1, names=["$5 to $x_"])
    fig.savefig(io.BytesIO())
    (ax,) = fig.axes
    assert not ax.title.get_parse_math() and not ax.yaxis.label.get_parse_math()


def test_what_is_kept_is_as_it_was_and_the_rest_is_darker() -> None:
    photo = torch.full((3, 20, 36), 200, dtype=torch.uint8)
    fig = draw.draw_kept({"a": photo}, kept=20, crop=16)
    shown = np.asarray(fig.axes[0].images[0].get_array())
    assert (shown[:, 8:28] == 200).all() and (shown[:, :8] == 70).all() and (shown[:, 28:] == 70).all()
    assert fig.axes[0].patches[0].get_bbox().bounds == (10, 2, 16, 16)


def test_pairs_are_neighbours_at_that_distance() -> None:
    ramp = (10 * torch.arange(24)).repeat(4, 3, 24, 1).to(torch.uint8)
    fig = draw.draw_pairs(ramp, ramp.flip(3), distance=3)
    line = fig.axes[0].lines[0]
    assert len(line.get_xdata()) == draw.PAIRS and (line.get_ydata() - line.get_xdata() == 30).all()
    assert fig.axes[0].get_title() == "photographs: correlation 1.00"
    assert fig.axes[0].get_ylabel() == "the pixel 3 to the right"


def test_places_carry_their_numbers_on_one_scale() -> None:
    fig = draw.draw_places({"a": torch.tensor([[1.0, 2]]), "b": torch.tensor([[3.0, 9]])}, "grey levels")
    assert [text.get_text() for ax in fig.axes[:2] for text in ax.texts] == ["1", "2", "3", "9"]
    assert [ax.images[0].get_clim() for ax in fig.axes[:2]] == [(1, 9), (1, 9)]
    assert fig.axes[2].get_ylabel() == "grey levels"
    assert fig.axes[1].texts[1].get_color() != fig.axes[0].texts[0].get_color()
    assert "fill:#111111" in inline_svg([fig], "two maps").body.replace(" ", ""), "dark on a bright cell of any page"


def test_four_maps_or_pictures_stand_in_two_columns() -> None:
    maps = draw.draw_places({name: torch.arange(4.0).view(2, 2) for name in "abcd"}, "grey levels")
    pictures = draw.draw_contrast(dict(zip("abcd", images(4), strict=True)))
    for fig in (maps, pictures):
        assert fig.axes[0].get_gridspec().get_geometry() == (2, 2)
        assert [ax.get_title() for ax in fig.axes[:4]] == [*"abcd"]
    three = draw.draw_contrast(dict(zip("abc", images(3), strict=True)))
    assert [len(ax.images) for ax in three.axes] == [1, 1, 1, 0]


def test_normalised_pictures_have_middle_grey_for_zero() -> None:
    normalised = torch.zeros(1, 3, 8, 8)
    normalised[..., :2, :] = 5.0
    fig = draw.draw_contrast({"as it is": images(1)[0], "normalised": normalised[0]})
    shown = np.asarray(fig.axes[1].images[0].get_array())
    assert (shown[2:] == 127).all() and (shown[:2] > 200).all()
    assert np.array_equal(fig.axes[0].images[0].get_array(), images(1)[0].permute(1, 2, 0))
