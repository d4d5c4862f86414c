"""Dropout as in 2012 and as today: what is dropped, what is scaled, and masks that can be drawn again."""

import copy

import pytest
import torch
from reference_alexnet import CLASSES, images, small
from torch import nn

from alexnet_lib.errors import SettingError
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.dropout import Dropout, seed_dropout

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(kind="2012", rate=0.5, seed=3, part=(0, 1)):
    layer = Dropout(rate, kind, part)
    layer.draw_from(seed)
    return layer


@pytest.mark.parametrize("kind, kept, evaluated", [("2012", 1.0, 0.75), ("inverted", 1 / 0.75, 1.0)])
def test_what_is_kept_dropped_and_evaluated(kind, kept, evaluated):
    x = torch.full((200, 500), 3.0, dtype=torch.float64)
    layer = Dropout(0.25, kind)
    out = layer(x)
    assert set(out.unique().tolist()) == {0.0, 3 * kept}
    # 100,000 draws: the part dropped is off by a deviation of 0.0014.
    assert float((out == 0).double().mean()) == pytest.approx(0.25, abs=0.007)
    assert float(out.mean()) == pytest.approx(3 * (0.75 if kind == "2012" else 1.0), rel=0.01)
    assert torch.allclose(layer.eval()(x), x * evaluated, rtol=1e-15, atol=0)


@pytest.mark.parametrize("kind", ["2012", "inverted"])
@pytest.mark.parametrize("seed", [None, 3])
def test_the_mean_in_training_is_the_output_in_evaluation(kind, seed):
    x = torch.linspace(-5, 5, 1000, dtype=torch.float64).expand(400, -1)
    layer = seeded(kind, 0.3, seed)
    trained = layer(x).mean(0)
    expected = layer.eval()(x)[0]
    # Each mean of 400 has a deviation of at most 5 * 0.46 / 0.7 / 20.
    assert float((trained - expected).abs().max()) < 5 * 0.165


def test_gradient_passes_where_a_unit_was_kept_and_is_scaled_alike():
    for kind, scale in (("2012", 1.0), ("inverted", 2.0)):
        x = torch.ones(3, 50, requires_grad=True)
        out = Dropout(0.5, kind)(x)
        out.sum().backward()
        assert torch.equal(x.grad, out.detach())
        assert set(x.grad.unique().tolist()) == {0.0, scale}


def test_neighbours_and_images_are_dropped_independently():
    out = Dropout(0.5)(torch.ones(500, 400)).double() - 0.5
    # Products of independent signs of 1/4: a mean over 200,000 has a deviation of 0.0006.
    assert abs(float((out[:, 1:] * out[:, :-1]).mean())) < 0.003
    assert abs(float((out[1:] * out[:-1]).mean())) < 0.003


def test_masks_by_seed_are_drawn_image_by_image_from_torchs_generator():
    generator = torch.Generator().manual_seed(3)
    layer = seeded(rate=0.3)
    for _ in range(2):
        wanted = (torch.rand(4, 10, generator=generator) >= 0.3).double()
        assert torch.equal(layer(torch.ones(4, 10, dtype=torch.float64)), wanted)


def test_a_seed_starts_again_and_none_undoes_it():
    x = torch.ones(4, 100)
    layer = seeded()
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    layer.draw_from(3)
    assert torch.equal(layer(x), first)
    layer.draw_from(4)
    assert not torch.equal(layer(x), first)
    layer.draw_from(None)
    torch.manual_seed(0)
    unseeded = layer(x)
    torch.manual_seed(0)
    assert torch.equal(layer(x), unseeded) and not torch.equal(layer(x), unseeded)


def test_seeded_masks_leave_torchs_own_generator_alone_and_do_not_hear_it():
    before = torch.random.get_rng_state()
    mask = seeded()(torch.ones(4, 100))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(seeded()(torch.ones(4, 100)), mask)


def test_evaluation_draws_nothing():
    layer, other = seeded(), seeded()
    layer.eval()(torch.ones(4, 100))
    layer.train()
    assert torch.equal(layer(torch.ones(4, 100)), other(torch.ones(4, 100)))


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_fit_together(parts):
    whole = seeded()
    pieces = [seeded(part=(index, parts)) for index in range(parts)]
    for _ in range(3):
        joined = torch.cat([piece(torch.ones(5, 40 // parts)) for piece in pieces], 1)
        assert torch.equal(joined, whole(torch.ones(5, 40)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_precision_changes_neither_the_mask_nor_the_type(dtype):
    out = seeded("inverted")(torch.ones(5, 40, dtype=dtype))
    assert out.dtype == dtype
    assert torch.equal(out.double(), seeded("inverted")(torch.ones(5, 40, dtype=torch.float64)))


@pytest.mark.parametrize("seed", [None, 3])
def test_a_rate_of_0_changes_nothing(seed):
    x = torch.randn(5, 40)
    for kind in ("2012", "inverted"):
        layer = seeded(kind, 0.0, seed)
        assert torch.equal(layer(x), x) and torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_rates_that_cannot_be_are_refused(rate):
    with pytest.raises(SettingError, match=r"outside 0 <= rate < 1; the paper uses 0.5"):
        Dropout(rate)


def test_an_unknown_kind_is_refused():
    with pytest.raises(SettingError, match="dropout kind '2014' is not known; use one of 2012, inverted"):
        Dropout(0.5, "2014")


def test_the_layers_of_a_network_drop_by_streams_of_their_own():
    net = AlexNet(small(hidden=(40, 40)), CLASSES, seed=0)
    seed_dropout(net, 5)
    ones = torch.ones(8, 40)
    six, seven = net.drop6(ones), net.drop7(ones)
    assert not torch.equal(six, seven)
    seed_dropout(net, 6)
    others = net.drop6(ones), net.drop7(ones)
    assert not any(torch.equal(mask, other) for mask in (six, seven) for other in others)
    seed_dropout(net, 5)
    assert torch.equal(net.drop6(ones), six) and torch.equal(net.drop7(ones), seven)
    seed_dropout(net, None)
    assert not torch.equal(net.drop6(ones), six)


def test_two_columns_in_one_module_drop_what_the_whole_network_drops():
    config = small()
    whole = AlexNet(config, CLASSES, seed=0)
    columns = nn.ModuleList(AlexNet(config, CLASSES, part=(index, 2)) for index in range(2))
    seed_dropout(whole, 8)
    seed_dropout(columns, 8)
    for name, units in (("drop6", 40), ("drop7", 24)):
        halves = [column.get_submodule(name)(torch.ones(3, units // 2)) for column in columns]
        assert torch.equal(torch.cat(halves, 1), whole.get_submodule(name)(torch.ones(3, units)))


def test_a_copy_goes_on_where_the_first_is():
    layer = seeded()
    layer(torch.ones(4, 100))
    twin = copy.deepcopy(layer)
    assert torch.equal(layer(torch.ones(4, 100)), twin(torch.ones(4, 100)))


def test_a_network_in_training_is_repeatable_by_seed_and_not_without():
    net = AlexNet(small(), CLASSES, seed=0)
    x = images(net.config, dtype=torch.float32)
    runs = []
    for seed in (1, 1, None):
        seed_dropout(net, seed)
        runs.append(net.features(x))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_rows_of_a_shared_batch_drop_what_the_whole_batch_drops() -> None:
    layer, x = Dropout(0.5), torch.ones(12, 40)
    layer.draw_from(7)
    whole = [layer(x), layer(x)]
    parts = []
    for first in (0, 6):
        layer.draw_from(7, rows=(first, 12))
        parts.append([layer(x[first : first + 6]), layer(x[first : first + 6])])
    for step in range(2):
        assert torch.equal(torch.cat([part[step] for part in parts]), whole[step])
