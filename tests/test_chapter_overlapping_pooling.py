"""What the chapter "Overlapping pooling" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from chapter_cells import Chapter

from alexnet_lib import notebook as nb
from alexnet_lib import pooling_measures as measure
from alexnet_lib.geometry import Window
from alexnet_lib.pooling import COMPARED, average_pool, max_pool, routes

OVERLAPPING, TOUCHING = Window(3, 2), Window(2, 2)
run_cells = Chapter("overlapping_pooling", Window=Window, overlapping=OVERLAPPING, touching=TOUCHING).run


def test_the_row_by_hand_is_what_both_poolings_give(capsys, book_style) -> None:
    row = run_cells("row = torch.tensor([1.0")["row"]
    for window, told in ((OVERLAPPING, "3/2: [4.0, 3.0, 5.0]"), (TOUCHING, "2/2: [4.0, 2.0, 3.0]")):
        pooled = F.max_pool1d(row[None], window.size, window.stride)[0]
        assert f"{window.size}/{window.stride}: {pooled.tolist()}" == told
    assert "times seen [1, 1, 2, 1, 2, 1, 1]" in capsys.readouterr().out


@pytest.mark.parametrize("side", [13, 27])
def test_the_gradient_sent_back_by_hand_is_the_librarys(side: int) -> None:
    send_back = run_cells("def send_back")["send_back"]
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)).requires_grad_()
    out = max_pool(x, OVERLAPPING)
    winner = x.detach().unfold(2, 3, 2).unfold(3, 3, 2).flatten(4).max(-1).indices
    sent = torch.randn_like(out)
    (wanted,) = torch.autograd.grad(out, x, sent)
    torch.testing.assert_close(send_back(sent, winner, x.shape), wanted, rtol=0, atol=1e-6)


def test_the_sizes_of_the_maps_are_those_of_the_network() -> None:
    from alexnet_lib.model import AlexNetConfig

    assert AlexNetConfig.paper().pooling == (3, 2)
    rows = {name: [sizes, unseen] for name, sizes, unseen in run_cells("sizes_through(55")["rows"]}
    assert rows["3/2, floor"] == rows["3/2, ceil"] == ["55 - 27 - 13 - 6", "[0, 0, 0]"]
    assert rows["2/2, floor"] == ["55 - 27 - 13 - 6", "[1, 1, 1]"]
    assert rows["2/2, ceil"] == ["55 - 28 - 14 - 7", "[0, 0, 0]"]


def test_the_order_of_relu_and_max_makes_no_difference(capsys) -> None:
    same = run_cells("signed = torch.randn")["same"]
    assert same == [True, True]


def test_poolings_of_other_windows_are_the_librarys_where_the_windows_fit() -> None:
    first = torch.rand(8, 2, 55, 55, generator=torch.Generator().manual_seed(0))
    cell = run_cells("def pooled_by", first=first, measure=measure, changes=lambda _: [0, 0, 0], lost=lambda _: 0,
                     photographs=type("Named", (), {"name": "noise"}))  # fmt: skip
    for size in (1, 2, 3):
        window = Window(size, 2, (size - 1) // 2)
        for kind, ours in ((F.max_pool2d, max_pool), (F.avg_pool2d, average_pool)):
            wanted = ours(first, window)[:, :, :27, :27]
            inside = slice(1, 26)  # at the edge the framework's average counts the padding
            got = cell["pooled_by"](size, kind)(first)
            torch.testing.assert_close(got[..., inside, inside], wanted[..., inside, inside])


def test_the_solutions_gradient_is_the_librarys_and_its_wrong_neighbours_are_told_apart(capsys) -> None:
    cell = run_cells("row = torch.tensor([1.0", "def gradient_of_row")
    x, sent = torch.tensor([0.0, 1, 9, 2, 3]), torch.tensor([1.0, 2])
    tall = x.repeat(3, 1)[None, None].requires_grad_()  # three equal rows: the first of equals wins
    (wanted,) = torch.autograd.grad(max_pool(tall, OVERLAPPING), tall, sent[None, None, None])
    assert cell["gradient_of_row"](x, sent).tolist() == wanted[0, 0, 0].tolist() == [0, 0, 3, 0, 0]
    assert "Right: 3 of 3" in capsys.readouterr().out
    cases = [(row, torch.arange(1.0, (len(row) - 1) // 2 + 1)) for row in cell["rows"]]
    for wrong in (cell["assigned"], cell["spread"]):
        assert not nb.check(wrong, cell["reference"], cases)


def test_the_solutions_counts_are_what_routes_could_reach() -> None:
    seen = run_cells("def seen_in_square")["seen_in_square"](OVERLAPPING)
    assert int((seen == 4).sum()) == 25 and int(seen.sum()) == 36 * 9
    assert (routes(torch.randn(1, 1, 13, 13), OVERLAPPING)[0, 0] <= seen).all()


def test_the_blurred_maximum_is_between_smallest_and_largest_and_of_the_same_size() -> None:
    changes = lambda pool: [0, 0, float(pool is COMPARED["max 2/2"])]  # noqa: E731
    cell = run_cells("def blurred_max", COMPARED=COMPARED, changes=changes, lost=lambda _: 0)
    x = torch.full((1, 2, 55, 55), 3.0)
    blurred = cell["blurred_max"](x)
    assert blurred.shape == COMPARED["max 3/2"](x).shape
    assert (blurred[..., 1:-1, 1:-1] - 3).abs().max() < 1e-6
