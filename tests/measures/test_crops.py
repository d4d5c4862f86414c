"""Crops counted, compared and averaged: against plain loops, eigenvalues, and cases whose answer is known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from small_sets import linear_net, separable
from torch import nn

from alexnet_lib.augment import PixelScale
from alexnet_lib.augment.view_sets import view_list, views
from alexnet_lib.errors import SettingError
from alexnet_lib.measures import crops as measure

pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_the_papers_2048_and_the_released_codes_2178() -> None:
    assert (256 - 224) ** 2 * 2 == 2048
    assert measure.offsets(256, 224) ** 2 * 2 == 2178
    with pytest.raises(SettingError, match="a crop of 9 pixels does not fit into 8"):
        measure.offsets(8, 9)


def test_crops_are_those_of_a_loop() -> None:
    image = noise(3, 7, 9)
    for step in (1, 2):
        windows = [image[:, t : t + 4, u : u + 4] for t in range(0, 4, step) for u in range(0, 6, step)]
        crops = measure.crops_of(image, 4, step)
        assert torch.equal(crops, torch.stack([*windows, *(window.flip(2) for window in windows)]))
        assert torch.equal(measure.crops_of(image, 4, step, reflect=False), torch.stack(windows))
    with pytest.raises(SettingError, match="does not fit"):
        measure.crops_of(image, 8)


def test_likeness_is_1_for_equals_0_for_strangers_and_root_of_shares_between() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(400, 30, generator=generator) for _ in range(2))
    assert measure.likeness(one, one) == pytest.approx(1)
    assert measure.likeness(one, -one) == pytest.approx(-1)
    assert measure.likeness(one + 5, one * 3 - torch.arange(30.0)) == pytest.approx(1), "means and scale do not count"
    assert abs(measure.likeness(one, other)) < 0.03
    assert measure.likeness(one, one + other) == pytest.approx(math.sqrt(0.5), abs=0.03)
    with pytest.raises(SettingError, match="two sets of one shape"):
        measure.likeness(one, other[1:])


def test_likeness_against_a_shift_falls_as_a_known_field_does() -> None:
    """White noise averaged over 3 x 3 has a correlation of 1, 2/3, 1/3, 0 along a row or a column."""
    field = torch.randn(300, 3, 14, 14, generator=torch.Generator().manual_seed(1))
    smooth = nn.functional.avg_pool2d(field, 3, 1)
    got = measure.likeness_by_shift(smooth, 8, [0, 1, 2, 3, 4])
    assert got == pytest.approx([1, 2 / 3, 1 / 3, 0, 0], abs=0.03)
    halved = measure.likeness_by_shift(smooth, 8, [0, 1], answer=lambda crops: crops[..., ::4, ::4])
    assert halved == pytest.approx([1, 2 / 3], abs=0.06)
    with pytest.raises(SettingError, match="5 apart, do not fit"):
        measure.likeness_by_shift(smooth, 8, [5])


def test_likeness_against_a_shift_is_that_of_two_windows_around_the_middle() -> None:
    images = noise(20, 3, 8, 8).float()
    across = measure.likeness(images[..., 1:7, 0:6], images[..., 1:7, 2:8])
    down = measure.likeness(images[..., 0:6, 1:7], images[..., 2:8, 1:7])
    assert measure.likeness_by_shift(images, 6, [2]) == [pytest.approx((across + down) / 2)]


def test_the_effective_number_is_that_of_the_eigenvalues() -> None:
    vectors = torch.randn(12, 5, 3, generator=torch.Generator().manual_seed(2))
    flat = vectors.double().flatten(1)
    eigenvalues = torch.linalg.eigvalsh((gram := flat / flat.norm(dim=1, keepdim=True)) @ gram.T)
    wanted = float(eigenvalues.sum() ** 2 / eigenvalues.square().sum())
    assert measure.effective_number(vectors) == pytest.approx(wanted)


def test_effective_numbers_of_known_cases() -> None:
    apart = torch.eye(6)
    assert measure.effective_number(apart) == pytest.approx(6)
    assert measure.effective_number(apart[[0] * 5]) == pytest.approx(1)
    assert measure.effective_number(apart[[0, 0, 0, 1, 1, 1]]) == pytest.approx(2)
    r, count = 0.5, 9  # all pairs correlate by r
    gram = torch.full((count, count), r).fill_diagonal_(1)
    vectors = torch.linalg.cholesky(gram.double())
    assert measure.effective_number(vectors) == pytest.approx(count / (1 + (count - 1) * r**2))


def test_answers_to_views_are_those_to_each_view_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = separable(10)
    views = torch.stack([images, images.flip(3), images.flip(2)], 1)
    net, scale = nn.Sequential(linear_net(), nn.Dropout(0.5)), PixelScale.fit(images)
    net.train()
    monkeypatch.setattr(measure, "VIEW_BATCH", 7)
    got = measure.view_logits(net, views, scale)
    assert net.training and got.shape == (10, 3, 4)
    net.eval()
    for image, view in itertools.product(range(10), range(3)):
        torch.testing.assert_close(got[image, view], net(scale(views[image, view][None]))[0].detach())


def test_averages_by_hand() -> None:
    """Two views, one sure of the first class, one somewhat for the second: means of both kinds, and a vote changed."""
    logits = torch.tensor([[[4.0, 0.0], [0.0, 3.0]]])
    sure, less = 1 / (1 + math.exp(-4)), 1 / (1 + math.exp(3))
    torch.testing.assert_close(measure.averaged(logits)[0, 0], torch.tensor((sure + less) / 2))
    torch.testing.assert_close(measure.averaged(logits, "logits")[0, 0], torch.tensor(1 / (1 + math.exp(-0.5))))
    geometric = math.sqrt(sure * less) / (math.sqrt(sure * less) + math.sqrt((1 - sure) * (1 - less)))
    torch.testing.assert_close(measure.averaged(logits, "logits")[0, 0], torch.tensor(geometric))
    apart = torch.tensor([[[9.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])  # .9999, .27, .27 against a mean logit of 3, 0.67
    assert measure.wrong(apart, torch.tensor([1])).tolist() == [True]
    outvoted = torch.tensor([[[2.0, 0.0], [2.0, 0.0], [0.0, 9.0]]])  # .88, .88, 0 against a mean logit of 1.3, 3
    assert measure.wrong(outvoted, torch.tensor([0])).tolist() == [False]
    assert measure.wrong(outvoted, torch.tensor([0]), "logits").tolist() == [True]
    with pytest.raises(SettingError, match="over='votes'"):
        measure.averaged(logits, "votes")


def test_errors_by_number_of_views_are_those_of_a_loop() -> None:
    generator = torch.Generator().manual_seed(4)
    logits, labels = torch.randn(60, 6, 3, generator=generator), torch.arange(60) % 3
    draws = torch.Generator().manual_seed(5)
    orders = [torch.randperm(6, generator=draws).tolist() for _ in range(4)]
    found = measure.error_by_number(logits, labels, [1, 2, 6], draws=4, seed=5)
    shares = {}
    for count in (1, 2, 6):
        shares[count] = [
            sum(
                int(torch.stack([logits[n, v].softmax(0) for v in order[:count]]).mean(0).argmax()) != int(labels[n])
                for order in orders
            )
            / 4
            for n in range(60)
        ]
    for one, count in zip(found, (1, 2, 6), strict=True):
        gains = [a - b for a, b in zip(shares[1], shares[count], strict=True)]
        mean = sum(gains) / 60
        spread = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / 59 / 60)
        assert (one.views, one.error, one.gain) == (count, pytest.approx(sum(shares[count]) / 60), pytest.approx(mean))
        assert one.standard_error == pytest.approx(spread)
    assert str(measure.ViewError(10, 0.3, 0.013, 0.0042)) == "+1.30 ± 0.42"


def test_views_of_independent_errors_average_out_and_equal_views_buy_nothing() -> None:
    generator = torch.Generator().manual_seed(6)
    labels = torch.randint(4, (500,), generator=generator)
    right = 2.0 * nn.functional.one_hot(labels, 4)
    noisy = right[:, None] + 2 * torch.randn(500, 16, 4, generator=generator)
    errors = [one.error for one in measure.error_by_number(noisy, labels, [1, 4, 16])]
    assert errors[0] > errors[1] + 0.1 > errors[2] + 0.1
    same = measure.error_by_number(noisy[:, :1].expand(-1, 16, -1), labels, [1, 16])
    assert (same[1].gain, same[1].standard_error) == (0, 0)
    with pytest.raises(SettingError, match="1 to 16 of the 16 views"):
        measure.error_by_number(noisy, labels, [1, 17])


def test_errors_of_sets_are_those_of_their_own_views() -> None:
    images, labels = separable(40, classes=10, size=32)
    torch.manual_seed(0)
    net, scale = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 10)).eval(), PixelScale.fit(images, "unit")
    logits = measure.view_logits(net, views(images, 24, "thirty-six"), scale)
    sets = ("centre", "ten", "eight", "thirty-six")
    found = measure.errors_by_set(logits, labels, 32, 24, sets)
    for which in sets:
        own = measure.wrong(measure.view_logits(net, views(images, 24, which), scale), labels)
        assert found[which].error == pytest.approx(float(own.double().mean()))
        assert found[which].views == len(view_list(32, 32, 24, which))
        assert found[which].gain == pytest.approx(found["centre"].error - found[which].error)
    loop = [sum(int(logits[n, v].argmax()) != int(labels[n]) for v in range(36)) / 36 for n in range(40)]
    other = measure.errors_by_set(logits, labels, 32, 24, ["ten"], against=torch.tensor(loop))["ten"]
    assert other.gain == pytest.approx(sum(loop) / 40 - found["ten"].error)


def test_a_mean_that_is_flat_is_the_same_at_every_corner_and_a_slope_is_not() -> None:
    images, _ = separable(30, classes=10, size=32)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 10))
    assert measure.mean_at_corners(net, images, torch.full((3, 32, 32), 90.0), 60.0, 24) == (0, 0)
    slope = torch.arange(32.0).expand(3, 32, 32)  # 4 columns from the centre, one grey level each
    apart, changed = measure.mean_at_corners(net, images, slope, 60.0, 24)
    assert apart == pytest.approx(4) and 0 <= changed <= 1
