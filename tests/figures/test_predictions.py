"""Figures of "Predictions": marks, bars and maps are those of the numbers, and lie over the pixels they are of."""

from __future__ import annotations

import io
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from alexnet_lib.errors import SettingError
from alexnet_lib.figures.predictions import (
    LONGEST,
    draw_answer,
    draw_confusions,
    draw_evidence,
    draw_patches,
    draw_top_labels,
    grid_extent,
)
from alexnet_lib.measures.evidence import Patch, activation_maps, occlusion_map
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.notebook.style import PALETTE, settings

IMAGE = torch.randint(256, (3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS, SHARES = ["goldfish", "tench", "stingray"], [0.7, 0.2, 0.004]


def test_confusions_are_shares_of_their_row() -> None:
    fig = draw_confusions(np.array([[0, 3, 1], [2, 0, 2], [0, 5, 0]]), ["a", "b", "c"])
    ax = fig.axes[0]
    assert [text.get_text() for text in ax.texts] == ["75", "25", "50", "50", "0", "100"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    assert np.allclose(ax.images[0].get_array().sum(axis=1), 100)


def test_patches_are_cut_where_the_kernel_answered() -> None:
    images = torch.randint(256, (2, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    first, second = [Patch(1, 2.0, 3, 9, 5, 11), Patch(0, 1.0, 0, 4, 16, 20)], [Patch(0, 1.0, 0, 6, 0, 6)]
    fig = draw_patches(images, {4: first, 7: second})
    drawn = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert len(fig.axes) == 4 and len(drawn) == 3
    assert np.array_equal(drawn[0], images[1, :, 3:9, 5:11].permute(1, 2, 0))
    assert np.array_equal(drawn[1], images[0, :, 0:4, 16:20].permute(1, 2, 0))
    assert [ax.get_ylabel() for ax in fig.axes] == ["kernel 4", "", "kernel 7", ""]


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    """The book's, whose layout keeps text inside the figure; and no figure stays open."""
    with plt.rc_context(settings()):
        yield
    plt.close("all")


def bars(ax: plt.Axes) -> list[tuple[float, str, str]]:
    """(length, colour, hatch) of each bar, from the top."""
    return [(bar.get_width(), to_hex(bar.get_facecolor()), bar.get_hatch() or "") for bar in ax.patches]


def bold(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_fontweight() == "bold"]


def test_the_true_labels_bar_differs_in_colour_hatch_and_weight() -> None:
    left, right = draw_top_labels(IMAGE, LABELS, SHARES, true="tench", title="a fish").axes
    lengths, colours, hatches = zip(*bars(right), strict=True)
    assert lengths == pytest.approx((70, 20, 0.4))
    assert colours == (PALETTE["blue"], PALETTE["orange"], PALETTE["blue"]) and hatches == ("", "//", "")
    assert bold(right) == ["tench", "20%"]
    assert [text.get_text() for text in right.texts] == ["goldfish", "70%", "tench", "20%", "stingray", "<1%"]
    assert left.get_title() == "a fish" and (left.images[0].get_array() == IMAGE.permute(1, 2, 0).numpy()).all()
    top_first = [bar.get_y() for bar in right.patches]
    assert top_first == sorted(top_first) and right.yaxis_inverted()


def test_a_true_label_that_is_none_of_them_is_named() -> None:
    ax = draw_top_labels(IMAGE, LABELS, SHARES, true="snail").axes[1]
    assert bold(ax) == ["true label: snail"] and {colour for _, colour, _ in bars(ax)} == {PALETTE["blue"]}
    note, last = ax.texts[-1].get_position()[1], ax.patches[-1]
    assert note > last.get_y() + last.get_height() and note < ax.get_ylim()[0], "under the bars and inside"
    assert bold(draw_top_labels(IMAGE, LABELS, SHARES).axes[1]) == []


def test_what_is_nearly_nothing_or_nearly_all_is_not_rounded_to_it() -> None:
    ax = draw_top_labels(IMAGE, ["a", "b"], [0.997, 0.003]).axes[1]
    assert [text.get_text() for text in ax.texts] == ["a", ">99%", "b", "<1%"]


def test_a_photograph_that_is_not_here_is_said_to_be_missing() -> None:
    left = draw_top_labels(None, LABELS, SHARES).axes[0]
    assert not left.images and "not here" in left.texts[0].get_text()


def test_long_labels_are_cut_and_labels_need_a_share_each() -> None:
    told = draw_top_labels(IMAGE, ["fish " * 20], [1.0]).axes[1].texts[0].get_text()
    assert len(told) <= LONGEST and told.startswith("fish fish") and told.endswith("…")
    for labels, shares in ((LABELS, [0.5]), ([], [])):
        with pytest.raises(SettingError, match="give one for each label"):
            draw_top_labels(IMAGE, labels, shares)


@pytest.mark.parametrize("title", ["", "a title"])
def test_text_stays_inside_the_figure(title: str) -> None:
    longest = "hammerhead shark, among many wide words, man-eater"
    fig = draw_top_labels(IMAGE, [longest, *LABELS, "x"], [1, *SHARES, 0], true=longest, title=title)
    fig.draw_without_rendering()
    for ax in fig.axes:
        for text in filter(lambda text: text.get_text().strip(), (*ax.texts, ax.title, ax.xaxis.label)):
            box = text.get_window_extent()
            assert box.y0 >= 0 and box.y1 <= fig.bbox.y1 and box.x1 <= fig.bbox.x1, text.get_text()


def test_a_grids_entries_lie_in_the_middle_of_what_they_were_made_from() -> None:
    assert grid_extent((3, 3), 0, 10, 10) == (0, 30, 30, 0), "squares that touch fill the image"
    left, right, bottom, top = grid_extent((2, 4), 5, 20, 6)
    assert (left, right, top, bottom) == (12, 36, 12, 24)
    assert left + 6 / 2 == 5 + 20 / 2, "the middle of the first"


class Spot(torch.nn.Module):
    """Sure of class 0 by the brightness of one pixel."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.stack([20 * pixels[:, 0, 30, 12], torch.zeros(len(pixels))], dim=1)


def test_an_occlusion_map_lies_where_its_squares_were() -> None:
    found = occlusion_map(Spot(), torch.ones(1, 3, 48, 48), 0, size=9, stride=3)
    extent = grid_extent(found.shape, 0, 9, 3)
    row, column = (float(places.float().mean()) for places in (found < 0.6).nonzero().T)
    x, y = extent[0] + 3 * (column + 0.5), extent[3] + 3 * (row + 0.5)
    assert abs(x - 12.5) <= 3 and abs(y - 30.5) <= 3
    ax = draw_evidence(IMAGE, {"hidden": found}, {"hidden": extent}).axes[1]
    assert tuple(ax.images[1].get_extent()) == extent and ax.get_xlim() == (0, 48) and ax.get_ylim() == (48, 0)


def test_a_layers_map_lies_where_its_fields_are() -> None:
    net = AlexNet(AlexNetConfig(widths=(8,) * 5, hidden=(8, 8), columns=1, norm="none", input_size=96), 3, seed=0)
    field, pixels = net.eval().describe()["conv1"].field, torch.zeros(1, 3, 96, 96)
    pixels[..., 60:62, 20:22] = 1
    maps = (activation_maps(net, pixels, "conv1") - activation_maps(net, 0 * pixels, "conv1")).abs().sum(dim=1)[0]
    left, _, _, top = grid_extent(maps.shape, field.start, field.size, field.jump)
    rows, columns = (maps > 0).nonzero().T
    assert abs(left + field.jump * (columns.float().mean() + 0.5) - 21) <= field.jump
    assert abs(top + field.jump * (rows.float().mean() + 0.5) - 61) <= field.jump


def test_each_map_has_its_title_its_values_and_a_bar_and_covers_the_image_unless_told() -> None:
    maps = {"one": torch.rand(4, 4), "two": torch.rand(5, 3)}
    axes = draw_evidence(IMAGE, maps).axes
    assert [ax.get_title() for ax in axes[:3]] == ["the image", "one", "two"]
    assert len(axes) == 5, "with a bar of colours for each map"
    for ax, values in zip(axes[1:3], maps.values(), strict=True):
        assert torch.equal(torch.from_numpy(ax.images[1].get_array().data), values)
        assert tuple(ax.images[1].get_extent()) == (0, 48, 48, 0)
        assert (ax.images[0].get_array()[..., 0] == ax.images[0].get_array()[..., 2]).all(), "the photograph is grey"


def test_an_answer_is_labels_over_maps() -> None:
    fig = draw_answer(IMAGE, LABELS, SHARES, {"one": torch.rand(4, 4), "two": torch.rand(4, 4)}, title="mine.jpg")
    above, below = fig.subfigs
    assert above.axes[0].get_title() == "mine.jpg" and len(above.axes[1].patches) == 3
    assert "goldfish" in below._suptitle.get_text(), "of which label the maps are"
    assert [ax.get_title() for ax in below.axes[:2]] == ["one", "two"]


def test_dollar_signs_in_labels_and_file_names_are_drawn_as_they_are() -> None:
    odd = [r"a $\frac{1$", "$5 to $x_", "$_$"]
    fig = draw_answer(IMAGE, odd, SHARES, {"one": torch.rand(4, 4)}, title=r"$\mine$.jpg")
    fig.savefig(io.BytesIO())
    draw_top_labels(IMAGE, odd, SHARES, true="$^", title="$_").savefig(io.BytesIO())


@pytest.mark.parametrize("values", [torch.zeros(4, 4), 0.74 + 0.26 * torch.rand(4, 4)])
def test_a_map_of_a_fixed_scale_keeps_it(values: torch.Tensor) -> None:
    fig = draw_evidence(IMAGE, {"evidence": values, "other": values}, limits={"evidence": (0, 1)})
    assert fig.axes[1].images[1].get_clim() == (0, 1)
    assert fig.axes[2].images[1].get_clim() != (0, 1)
