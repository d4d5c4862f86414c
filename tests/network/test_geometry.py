"""Windows, against PyTorch's own layers and against sliding them by hand."""

from fractions import Fraction
from itertools import accumulate

import pytest
import torch
from torch import nn

from alexnet_lib.errors import SettingError
from alexnet_lib.network.geometry import FIRST_LAYERS, ReceptiveField, Window


@pytest.mark.parametrize("image", range(11, 40))
@pytest.mark.parametrize("size, stride, padding", [(3, 2, 0), (2, 2, 0), (2, 2, 1), (5, 1, 2), (11, 4, 2), (3, 2, 1)])
def test_outputs_are_those_of_pytorch(image, size, stride, padding):
    x = torch.zeros(1, 1, image, image)
    floor = nn.Conv2d(1, 1, size, stride, padding)(x).shape[-1]
    assert Window(size, stride, padding).outputs(image) == floor
    if padding <= size // 2:
        ceil = nn.MaxPool2d(size, stride, padding, ceil_mode=True)(x).shape[-1]
        assert Window(size, stride, padding, "ceil, starting inside").outputs(image) == ceil


def test_the_2012_rounding_lets_the_last_window_start_outside_where_pytorch_does_not():
    assert Window(2, 3, 1, "ceil").outputs(4) == 3  # windows at -1, 2 and 5, the last wholly outside
    assert Window(2, 3, 1, "ceil, starting inside").outputs(4) == 2


def test_spans_follow_the_definition():
    window = Window(3, 2, padding=1, end_padding=0)
    assert window.spans(6) == [(-1, 2), (1, 4), (3, 6)]
    assert window.steps(6) == 2
    assert (window.overhang(6), window.unseen(6)) == (0, 0)
    assert Window(3, 2).unseen(6) == 1
    assert Window(3, 2, rounding="ceil").overhang(6) == 1


def test_overlapping_windows_see_every_second_pixel_twice():
    assert Window(3, 2).times_seen(7) == [1, 1, 2, 1, 2, 1, 1]
    assert Window(2, 2).times_seen(7) == [1, 1, 1, 1, 1, 1, 0]


def test_the_first_layer_is_55_wide_for_all_but_the_bare_formula():
    got = {name: window.outputs(image) for name, image, window in FIRST_LAYERS}
    assert got.pop("the formula, floor") == 54
    assert set(got.values()) == {55}
    assert Window(11, 4).steps(224) == Fraction(213, 4)
    assert Window(11, 4, rounding="ceil").overhang(224) == 3


def test_the_2012_rounding_is_three_zeros_at_right_and_bottom():
    ceil, padded = Window(11, 4, rounding="ceil"), Window(11, 4, end_padding=3)
    assert ceil.spans(224) == padded.spans(224)


def test_receptive_fields_are_what_a_gradient_reaches():
    windows = [Window(5, 2, padding=1), Window(3, 2), Window(3, 1, padding=1)]
    image = torch.zeros(1, 1, 41, 41, requires_grad=True)
    x = image
    fields = accumulate(windows, ReceptiveField.through, initial=ReceptiveField())
    assert next(fields) == ReceptiveField(1, 1, 0)
    for window, field in zip(windows, fields, strict=True):
        layer = nn.Conv2d(1, 1, window.size, window.stride, window.padding, bias=False)
        nn.init.ones_(layer.weight)
        x = layer(x)
        unit = x.shape[-1] // 2
        (reached,) = torch.autograd.grad(x[0, 0, unit, unit], image, retain_graph=True)
        rows = reached[0, 0].abs().sum(1).nonzero().flatten()
        assert int(rows[0]) == field.start + unit * field.jump
        assert len(rows) == field.size
    assert ReceptiveField().through(Window(11, 4)) == ReceptiveField(11, 4, 0)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: Window(0), "size 0"),
        (lambda: Window(3, 0), "moved by 0"),
        (lambda: Window(3, 1, -1), "negative"),
        (lambda: Window(3, rounding="nearest"), "'nearest' is not known"),
        (lambda: Window(11, 4).outputs(10), "a window of 11 does not fit into 10 pixels"),
    ],
)
def test_windows_that_cannot_be_are_refused(make, said):
    with pytest.raises(SettingError, match=said):
        make()
