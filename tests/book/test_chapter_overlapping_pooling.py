"""What the chapter "Overlapping pooling" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

import statistics
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from chapter_cells import Chapter

from alexnet_lib import notebook as nb
from alexnet_lib.augment import PixelScale
from alexnet_lib.experiments import evidence
from alexnet_lib.experiments.logs_2012 import BY_NET
from alexnet_lib.figures import overlapping_pooling as draw
from alexnet_lib.measures import pooling as measure
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.geometry import Window
from alexnet_lib.network.pooling import COMPARED, average_pool, max_pool, routes
from alexnet_lib.training.recipes import named

OVERLAPPING, TOUCHING = Window(3, 2), Window(2, 2)
CHAPTER = Chapter("overlapping_pooling", Window=Window, draw=draw, overlapping=OVERLAPPING, touching=TOUCHING)
run_cells = CHAPTER.run
SILENT = SimpleNamespace(**dict.fromkeys(("show", "table", "slider"), lambda *_, **__: None), PALETTE=nb.PALETTE)


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
    from alexnet_lib.network.config import AlexNetConfig

    assert AlexNetConfig.paper().pooling == (3, 2)
    rows = {name: [sizes, unseen] for name, sizes, unseen in run_cells("sizes_through(55")["rows"]}
    assert rows["3/2, floor"] == rows["3/2, ceil"] == ["55 - 27 - 13 - 6", "[0, 0, 0]"]
    assert rows["2/2, floor"] == ["55 - 27 - 13 - 6", "[1, 1, 1]"]
    assert rows["2/2, ceil"] == ["55 - 28 - 14 - 7", "[0, 0, 0]"]


def test_the_papers_maps() -> None:
    through = run_cells("def sizes_through", nb=SILENT)["sizes_through"]
    windows = [Window(11, 4, rounding="ceil"), Window(3, 2), Window(5, 1, 2), Window(3, 2), Window(3, 1, 1)]
    assert through(224, [*windows, Window(3, 1, 1), Window(3, 1, 1), Window(3, 2)]) == [
        55,
        27,
        27,
        13,
        13,
        13,
        13,
        6,
    ]
    without_overlap = [Window(2, 2) if window == Window(3, 2) else window for window in windows]
    assert through(224, without_overlap) == through(224, windows)


def test_the_order_of_relu_and_max_makes_no_difference(capsys) -> None:
    same = run_cells("signed = torch.randn")["same"]
    assert same == [True, True]


def noise(count: int = 40, side: int = 55, channels: int = 4) -> torch.Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(1))


def test_the_busiest_strip_is_around_the_row_that_changes_most() -> None:
    maps = torch.zeros(3, 2, 9, 9)
    maps[1, 1, 5, ::2] = 2
    maps[2, 0, 4, 4] = 100
    maps[0, 0, 3] = 2
    found = run_cells("busy = first", first=maps, COMPARED=COMPARED, nb=SILENT, photographs=None)
    assert torch.equal(found["strip"], maps[1, 1, 4:7])


def rebuilt(first: torch.Tensor) -> dict:
    return run_cells("def lost_across", first=first, measure=measure)


def test_what_maps_of_noise_lose_is_known() -> None:
    """One number for four independent ones keeps a quarter of their variance."""
    train, test = noise(count=60).split(30)
    kernels = measure.across_maps(train)
    assert rebuilt(train)["lost_across"](kernels, test) == pytest.approx(0.75, abs=0.02)


def test_what_is_learned_loses_less_than_the_average_it_starts_from() -> None:
    smooth = F.avg_pool2d(noise(2, 35), 3, 1)[..., :31, :31]
    made, weights = rebuilt(smooth), torch.full((1, 1, 3, 3), 1 / 9, requires_grad=True)
    average = COMPARED["average 3/2"]
    torch.testing.assert_close(made["one_window"](smooth, weights), average(smooth))
    made["learn"](lambda x: made["one_window"](x, weights), [weights], smooth, rate=0.03, steps=10)
    gone = []
    for pooled in (made["one_window"](smooth, weights.detach()), average(smooth)):
        gone.append(float(measure.lost(measure.rebuilding(pooled, smooth), pooled, smooth)))
    assert gone[0] <= gone[1]
    layer = measure.SoftPool(4, OVERLAPPING, start=1.0)
    losses = made["learn"](layer, layer.parameters(), smooth.relu(), rate=0.1, steps=8)
    assert len(losses) == 8 and losses[-1] < losses[0]
    assert layer.sharpness.shape == (4,) and (layer.sharpness < 1).all()  # the average keeps more


def test_the_points_are_the_poolings_in_what_they_change_and_lose(book_style) -> None:
    alike = noise(40, 31, 1).expand(-1, 4, -1, -1) + 0.1 * noise(40, 31)
    given = {"measure": measure, "COMPARED": COMPARED, "changes": lambda _: [0, 0, 0.4], "photographs": None}
    made = run_cells("def lost_across", "points = {name", first=alike, nb=SILENT, **given)
    assert made["fig"].axes[0].collections[0].get_offsets().tolist() == [list(each) for each in made["points"].values()]
    assert [text.get_text() for text in made["fig"].axes[0].texts] == [*COMPARED, "learned", "strided convolution"]
    assert made["strided"] < 0.1, "maps that say the same fit into as many numbers as one of them has"


def test_answers_are_counted_where_they_change() -> None:
    changed = run_cells("def answers_changed", live={}, test=None, mine="", nb=SILENT)["answers_changed"]
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    images[0, :, :, 28] = 200  # enters a cut-out of 24 when it moves from 4 to 5
    bright = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 24 * 24, 2))
    with torch.no_grad():
        bright[1].weight[:] = torch.tensor([[0.0], [1.0]])
        bright[1].bias[:] = torch.tensor([1.0, 0.0])
    scale = PixelScale(torch.zeros(3, 32, 32))
    assert changed(bright, scale, images) == 0.25
    assert changed(bright, scale, images, by=0) == 0


def other_windows(first: torch.Tensor) -> dict:
    """What the cell on other windows defines."""
    return run_cells(
        "def pooled_by",
        first=first,
        measure=measure,
        changes=lambda _: [0, 0, 0],
        lost=lambda _: 0,
        photographs=type("Named", (), {"name": "noise"}),
    )


def test_neighbouring_averages_of_noise_are_alike_by_what_they_share() -> None:
    """3 of 9 pixels are shared by neighbours at 3/2, none at 2/2 nor two places apart."""
    likeness = other_windows(noise(8))["likeness"]
    overlapping, apart = (COMPARED[name](noise()) for name in ("average 3/2", "average 2/2"))
    assert likeness(overlapping) == pytest.approx(1 / 3, abs=0.01)
    assert likeness(overlapping, 2) == pytest.approx(0, abs=0.01)
    assert likeness(apart) == pytest.approx(0, abs=0.01)
    x = noise()
    assert likeness(x + 10 * torch.arange(4.0)[:, None, None]) == pytest.approx(0, abs=0.01), "strength is no likeness"
    dead = torch.cat([x, torch.zeros_like(x[:, :1])], 1)
    assert likeness(dead) == pytest.approx(likeness(x))


def test_poolings_of_other_windows_are_the_librarys_where_the_windows_fit() -> None:
    first = torch.rand(8, 2, 55, 55, generator=torch.Generator().manual_seed(0))
    cell = other_windows(first)
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


def tables_of(needle: str, **given: object) -> list[list[list[str]]]:
    """The rows of the tables that a cell shows."""
    tables: list[list[list[str]]] = []
    run_cells(needle, nb=SimpleNamespace(table=lambda rows, **_: tables.append(rows)), **given)
    return tables


def test_the_recorded_effect_is_that_of_overlap() -> None:
    """Positive where max 3/2 has the lower error; max 2/2 is what all are compared with."""
    named_cells = run_cells("results_of(NAME, runs", nb=SimpleNamespace(table=lambda *_, **__: None))
    tables = tables_of("results_of(NAME, runs")
    assert len(tables) == 2
    for rows, found in zip(tables, named_cells["recorded"].values(), strict=True):
        by_label = {row[0]: row for row in rows}
        assert by_label["max 2/2"][3] == "-"
        means = {name: statistics.mean(one.test_error.values()) for name, one in found.items()}
        better = 100 * (means["max-2-2"] - means["max-3-2"])
        assert by_label["max 3/2"][3].startswith(f"{better:+.2f} points (")


def test_the_quoted_errors_are_the_logs_and_the_difference_is_for_overlap() -> None:
    through = run_cells("def sizes_through", nb=SILENT)["sizes_through"]
    rows = tables_of("3/2 (net 145)", sizes_through=through)[0]
    for row, net in zip(rows, ("145", "147"), strict=False):
        assert row[1:] == [f"{100 * error:.2f}" for error in (BY_NET[net].top1, BY_NET[net].top5)]
    assert rows[2] == ["3/2 is better by (points)", "+0.40", "+0.30"]


def test_the_sizes_that_the_text_gives_are_those_of_the_networks() -> None:
    """At 96 pixels 23, 11, 5 and 2 with either window; at 64 conv3 to conv5 see 3 x 3, and one place is left."""

    def maps(side: int, *changes: str) -> list[int]:
        net = AlexNet(named("paper", (*evidence.BASE, f"net.input_size={side}", *changes)).net, seed=0)
        sides: list[int] = []
        for layer in net.modules():
            if isinstance(layer, torch.nn.MaxPool2d):
                layer.register_forward_hook(lambda _, given, out: sides.extend((given[0].shape[-1], out.shape[-1])))
        with torch.no_grad():
            net.eval()(torch.zeros(1, 3, side, side))
        return sides

    for changes in ((), evidence.VARIANTS["pool-2-2"].changes):
        assert maps(96, *changes) == [23, 11, 11, 5, 5, 2]
        assert maps(64, *changes) == [15, 7, 7, 3, 3, 1]
    text = "\n".join(CHAPTER.sources("markdown"))
    assert "the maps are 23, 11, 5 and 2 wide" in text and "conv3 to conv5 see maps of 3 x 3" in text
