"""Poolings against plain loops and the framework's; what is measured of them, on cases known beforehand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from alexnet_lib.errors import SettingError
from alexnet_lib.figures import overlapping_pooling as figures
from alexnet_lib.measures import pooling as measures
from alexnet_lib.network import pooling
from alexnet_lib.network.geometry import ROUNDINGS, Window

CEIL = "ceil, starting inside"
WINDOWS = [
    (Window(3, 2), {}),
    (Window(2, 2), {}),
    (Window(2, 3), {}),
    (Window(3, 2, rounding=CEIL), {"ceil_mode": True}),
    (Window(3, 2, padding=1), {"padding": 1}),
    (Window(3, 2, padding=1, rounding=CEIL), {"padding": 1, "ceil_mode": True}),
]
every_window = pytest.mark.parametrize(("window", "same"), WINDOWS, ids=[str(n) for n in range(len(WINDOWS))])
every_size = pytest.mark.parametrize("size", [(7, 9), (8, 6), (10, 10)])


def maps(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def by_loop(x: torch.Tensor, window: Window, keep) -> torch.Tensor:
    """`keep` of every window's pixels inside the map, by plain loops: (H, W) to (H', W')."""
    rows, columns = (window.spans(side) for side in x.shape)
    return torch.stack(
        [torch.stack([keep(x[max(0, a) : b, max(0, c) : d].flatten()) for c, d in columns]) for a, b in rows]
    )


@every_window
@every_size
def test_max_pooling_is_the_frameworks_in_outputs_and_gradients(window: Window, same: dict, size) -> None:
    x = maps(*size).requires_grad_()
    ours, theirs = pooling.max_pool(x, window), F.max_pool2d(x, window.size, window.stride, **same)
    assert torch.equal(ours, theirs)
    sent = torch.randn_like(ours)
    for got, wanted in zip(*(torch.autograd.grad(out, x, sent) for out in (ours, theirs)), strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-14)


@every_window
@every_size
def test_average_pooling_is_the_frameworks(window: Window, same: dict, size) -> None:
    x = maps(*size)
    wanted = F.avg_pool2d(x, window.size, window.stride, count_include_pad=False, **same)
    torch.testing.assert_close(pooling.average_pool(x, window), wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("padding", [0, 1])
def test_every_pooling_is_a_plain_loop(rounding: str, padding: int) -> None:
    window = Window(3, 2, padding, rounding)
    x = maps(8, 11)
    for ours, keep in (
        (pooling.max_pool(x, window), torch.max),
        (pooling.average_pool(x, window), torch.mean),
        (pooling.soft_pool(x, window, 1.7), lambda seen: (1.7 * seen).exp().mean().log() / 1.7),
    ):
        torch.testing.assert_close(ours[1, 2], by_loop(x[1, 2], window, keep), rtol=0, atol=1e-13)


@every_window
def test_gradients_are_those_of_small_differences(window: Window, same: dict) -> None:
    x = maps(7, 6)[:1, :2].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pooling.max_pool(x, window), x)
    for sharpness in (0.7, 4.0, -1.0):
        t = torch.full((2,), sharpness, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x, t: pooling.soft_pool(x, window, t), (x, t))


@pytest.mark.parametrize(("ties", "sent"), [("first", [1, 0, 0]), ("all", [1, 1, 1]), ("shared", [1 / 3] * 3)])
def test_ties_are_settled_as_asked(ties: str, sent: list[float]) -> None:
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 1] = 5
    assert pooling.routes(x, Window(3, 2), ties)[0, 0, 1].tolist() == pytest.approx(sent)


def test_a_pixel_that_wins_in_four_windows_gets_four_gradients() -> None:
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    assert pooling.routes(x, Window(3, 2))[0, 0, 2, 2] == 4
    assert pooling.routes(x, Window(2, 2)).max() == 1


def test_soft_pooling_goes_from_the_average_to_the_maximum() -> None:
    x, window = maps(7, 7), Window(3, 2)
    average, largest = pooling.average_pool(x, window), pooling.max_pool(x, window)
    torch.testing.assert_close(pooling.soft_pool(x, window, 0.0), average, rtol=0, atol=1e-14)
    torch.testing.assert_close(pooling.soft_pool(x, window, 1e5), largest, rtol=0, atol=1e-3)
    torch.testing.assert_close(pooling.soft_pool(x, window, -1e5), -pooling.max_pool(-x, window), rtol=0, atol=1e-3)
    rising = torch.stack([pooling.soft_pool(x, window, t) for t in (0.0, 1e-6, 0.1, 1.0, 10.0, 100.0)])
    assert (rising.diff(dim=0) > 0).all()


@pytest.mark.parametrize("sharpness", [1e-4, 1e-2, 0.3, 1.0, 10.0])
def test_soft_pooling_loses_no_digits_in_float32(sharpness: float) -> None:
    x = maps(9, 9)
    exact = pooling.soft_pool(x, Window(3, 2), sharpness)
    torch.testing.assert_close(pooling.soft_pool(x.float(), Window(3, 2), sharpness).double(), exact, rtol=0, atol=1e-6)


def test_the_gradient_by_sharpness_at_zero_is_half_the_variance() -> None:
    x, t = maps(3, 3), torch.zeros((), dtype=torch.float64, requires_grad=True)
    pooling.soft_pool(x[:1, :1], Window(3, 1), t).sum().backward()
    assert float(t.grad) == pytest.approx(float(x[0, 0].var(correction=0)) / 2)


def test_a_layer_of_soft_pooling_learns_its_sharpness() -> None:
    x, window = maps(9, 9).float(), Window(3, 2)
    layer = measures.SoftPool(3, window, start=0.5)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.2)
    for _ in range(150):
        optimizer.zero_grad()
        (layer(x) - pooling.soft_pool(x, window, 3.0)).square().mean().backward()
        optimizer.step()
    assert layer.sharpness.tolist() == pytest.approx([3.0] * 3, abs=0.1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pooling.max_pool(torch.zeros(3, 7, 7), Window(3, 2)), "takes (N, C, H, W)"),
        (lambda: pooling.max_pool(torch.zeros(1, 1, 2, 7), Window(3, 2)), "does not fit"),
        (lambda: pooling.max_pool(torch.zeros(1, 1, 7, 7), Window(3, 2), "last"), "'last' is not known"),
        (lambda: pooling.soft_pool(torch.zeros(1, 2, 7, 7), Window(3, 2), torch.ones(3)), "each of 2 maps"),
        (lambda: pooling.average_pool(torch.zeros(1, 1, 4, 4), Window(1, 4, rounding="ceil")), "lies outside"),
        (lambda: measures.first_layer(torch.zeros(1, 3, 224, 224)), "do not fit"),
        (lambda: measures.first_layer(torch.zeros(1, 3, 256, 256), move=40), "moved by 40"),
    ],
)
def test_what_does_not_fit_is_said(call, said: str) -> None:
    with pytest.raises(SettingError) as error:
        call()
    assert said in str(error.value)


def test_what_is_compared_gives_equal_sizes() -> None:
    x = maps(55, 55)
    assert {tuple(pool(x).shape) for pool in pooling.COMPARED.values()} == {(2, 3, 27, 27)}


def noise(count: int = 40, side: int = 55, channels: int = 4) -> torch.Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(1))


def test_the_effective_number_counts_independent_units() -> None:
    independent = noise(400, 16)
    assert measures.effective_number(independent) == pytest.approx(64, rel=0.05)
    assert measures.effective_number(independent[..., :1, :1].expand_as(independent)) == pytest.approx(1)


def test_how_strong_a_map_is_on_the_whole_is_no_likeness() -> None:
    levels = torch.arange(4.0)[:, None, None] * 10
    x = noise()
    assert measures.effective_number(x + levels) == pytest.approx(measures.effective_number(x), rel=1e-4)
    assert measures.change(*(x + levels).split(20)) == pytest.approx(1, abs=0.01)


def test_change_is_0_for_equal_maps_and_1_for_independent_ones() -> None:
    a, b = noise().split(20)
    assert measures.change(a, a) == 0
    assert measures.change(a, b) == pytest.approx(1, abs=0.01)


def test_what_averaging_noise_loses_is_known() -> None:
    """One number for four independent ones keeps a quarter of their variance."""
    train, test = noise(count=60).split(30)
    pool = pooling.COMPARED["average 2/2"]
    rule = measures.rebuilding(pool(train), train)
    assert float(measures.lost(rule, pool(test), test)) == pytest.approx(0.75, abs=0.01)


def test_smooth_maps_are_rebuilt_whole() -> None:
    row = torch.arange(55.0)
    ramps = (row[:, None] * noise(8, 1) + row * noise(8, 1).flip(0)) / 10
    for name in ("average 3/2", "average 2/2", "none"):
        pooled = pooling.COMPARED[name](ramps)
        assert float(measures.lost(measures.rebuilding(pooled, ramps), pooled, ramps)) < 1e-6


def test_what_is_unlearnt_is_what_gradient_descent_leaves() -> None:
    """Held to a run of gradient descent on squared loss, averaged over random labels of mean 0."""
    features = torch.randn(12, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rows = features - features.mean(0)
    step = 1 / torch.linalg.eigvalsh(rows @ rows.T).max()
    labels = torch.randn(12, 4000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    labels -= labels.mean(0)
    weights = torch.zeros(40, 4000, dtype=torch.float64)
    for _ in range(5):
        weights += step * rows.T @ (labels - rows @ weights)
    left = float((labels - rows @ weights).square().sum() / labels.square().sum())
    assert measures.unlearnt(features, [5])[0] == pytest.approx(left, rel=0.03)
    assert measures.unlearnt(features, [0]) == [1.0]


def test_windows_are_told_apart_as_often_as_pairs_come_out_in_order() -> None:
    maps, pool = (noise(2, 15) - 0.5).relu(), pooling.COMPARED["max 3/2"]
    pooled, hit = pool(maps + 0.3 * noise(2, 15)).flatten(), pool(maps).flatten() > 0.9
    pairs = pooled[hit][:, None] > pooled[~hit]
    told = measures.told_apart(pool, maps, noise(2, 15), strong=0.9)
    assert told == pytest.approx(float(pairs.float().mean()), abs=1e-6)
    assert measures.told_apart(pool, maps, torch.zeros_like(maps), strong=0.9) == 1


def test_the_drawn_kernels_are_flat_for_brightness_and_of_unit_norm() -> None:
    kernels = measures.drawn_kernels()
    assert kernels.shape == (16, 1, 11, 11)
    assert kernels.sum((2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(kernels.square().sum((1, 2, 3)), torch.ones(16))


def test_four_pixels_of_the_image_are_one_unit_of_the_first_layer() -> None:
    images = torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8)
    still, moved = measures.first_layer(images), measures.first_layer(images, move=4)
    assert still.shape == (2, 16, 55, 55)
    apart = (still[..., 1:] / still.std() - moved[..., :-1] / moved.std()).abs().max()
    assert float(apart) < 0.1  # but for the mean and spread of each cut-out


@pytest.mark.parametrize("name", [*pooling.COMPARED, "strided convolution"])
def test_a_constant_is_spread_out_as_it_was(name: str) -> None:
    spread = figures.spread_out(torch.full((1, 3, 5, 5), 7.0), name)
    assert spread.shape[2] == (11 if name.endswith("3/2") else 10)
    assert spread.unique().tolist() == [7.0]


def test_the_figures_show_what_they_are_given(book_style) -> None:
    windows = [Window(3, 2), Window(2, 2)]
    row = figures.draw_row(windows, 7)
    assert [ax.get_title() for ax in row.axes] == ["3/2: 3 outputs", "2/2: 3 outputs"]
    assert [text.get_text() for text in row.axes[1].texts][6] == "0"  # the pixel that no window sees
    routes = figures.draw_routes(torch.arange(25.0).reshape(5, 5), windows)
    assert [text.get_text() for text in routes.axes[1].texts] == ["12", "14", "22", "24"]
    soft = figures.draw_soft(torch.arange(9.0), 0.0)
    assert soft.axes[0].get_title() == "pooled: 4.00"
    assert [bar.get_height() for bar in soft.axes[1].patches] == pytest.approx([1 / 9] * 9)
    pictures = torch.randint(0, 256, (2, 3, 31, 31), dtype=torch.uint8)
    assert len(figures.draw_rebuilt(pictures, pooling.COMPARED).axes) == 2 * 6
    shown = figures.draw_window_on(pictures[0, 0], Window(3, 2))
    assert [ax.get_xlabel() for ax in shown.axes] == ["31 x 31 numbers", *["15 x 15 numbers"] * 2]
    strip = figures.draw_shifted(torch.rand(3, 40), 1, {"max 2/2": pooling.COMPARED["max 2/2"]})
    assert [bar.get_height() for bar in strip.axes[1].patches[:15]] and len(strip.axes) == 2
    alone = torch.zeros(3, 40)
    alone[1] = 1
    thinned = figures.draw_shifted(alone, 1, {"none": pooling.COMPARED["none"]})
    assert {bar.get_height() for bar in thinned.axes[1].patches[:15]} == {1.0}  # the middle row is what is kept
