"""Local response normalisation against a plain loop in float64, its gradient, its precisions and its errors."""

import math

import pytest
import torch
from torch import nn

from alexnet_lib.errors import SettingError
from alexnet_lib.network import lrn_cpu
from alexnet_lib.network.lrn import LocalResponseNorm, SpatialResponseNorm, local_response_norm


def by_loops(x, n=5, k=2.0, alpha=1e-4, beta=0.75, columns=1):
    """Section 3.3's formula, one unit at a time, in float64."""
    values = x.double()
    result = torch.empty_like(values)
    size = x.shape[1] // columns
    for i in range(x.shape[1]):
        first = i // size * size
        low, high = max(first, i - n // 2), min(first + size - 1, i + n // 2)
        total = sum(values[:, j] ** 2 for j in range(low, high + 1))
        result[:, i] = values[:, i] / (k + alpha * total) ** beta
    return result


def activations(*shape, dtype=torch.float64, seed=0, strength=30.0):
    generator = torch.Generator().manual_seed(seed)
    return (strength * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


@pytest.fixture(autouse=True, params=["compiled for the CPU", "without Numba"])
def way(request, monkeypatch):
    """Both ways to the same numbers."""
    if request.param == "without Numba":
        monkeypatch.setattr(lrn_cpu, "_is_installed", lambda: False)


FORMULAS = (
    {},
    {"n": 1},
    {"n": 3, "k": 1.0, "alpha": 0.01, "beta": 0.5},
    {"n": 9, "alpha": 0.3, "beta": 1.0},
    {"n": 5, "columns": 2, "alpha": 0.02},
    {"n": 7, "columns": 3, "alpha": 0.02, "beta": 0.6},
)


def test_five_numbers_by_hand():
    a = torch.tensor([[1.0, 2.0, 3.0, 0.0, -4.0]])
    b = local_response_norm(a, n=3, k=1.0, alpha=1.0, beta=1.0)
    # Brackets: 1+(1+4), 1+(1+4+9), 1+(4+9+0), 1+(9+0+16), 1+(0+16).
    assert torch.allclose(b, torch.tensor([[1 / 6, 2 / 15, 3 / 14, 0.0, -4 / 17]]), atol=0, rtol=1e-6)


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_agrees_with_the_loop_in_float64(formula):
    x = activations(3, 24, 5, 4)
    assert (local_response_norm(x, **formula) - by_loops(x, **formula)).abs().max() < 1e-12


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_gradient_agrees_with_that_of_the_loop(formula):
    x = activations(2, 24, 3, 2).requires_grad_()
    given = activations(2, 24, 3, 2, seed=1)
    (ours,) = torch.autograd.grad(local_response_norm(x, **formula), x, given)
    (wanted,) = torch.autograd.grad(by_loops(x, **formula), x, given)
    assert (ours - wanted).abs().max() < 1e-11 * wanted.abs().max()


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_gradcheck(formula):
    x = activations(2, 24, 2, strength=2.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: local_response_norm(z, **formula), x)


def test_second_derivatives_are_right():
    x = activations(2, 6, 2, strength=2.0).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda z: local_response_norm(z, alpha=0.1, n=3), x)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 9])
def test_images_taken_in_portions_give_what_they_give_alone(count, monkeypatch):
    x = activations(count, 8, 6, 5).requires_grad_()
    whole = local_response_norm(x)
    (gradient,) = torch.autograd.grad(whole.square().sum(), x)
    monkeypatch.setattr("alexnet_lib.network.lrn.CACHE_NUMBERS", 3 * 8 * 6 * 5)
    portions = local_response_norm(x)
    assert torch.equal(portions, whole)
    assert torch.equal(torch.autograd.grad(portions.square().sum(), x)[0], gradient)


def test_agrees_with_the_framework_where_the_framework_means_the_same():
    x = activations(4, 96, 7, 7, dtype=torch.float32)
    framework = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(x)
    assert torch.allclose(local_response_norm(x), framework, rtol=2e-6, atol=0)
    framework = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)(x)
    assert torch.allclose(local_response_norm(x, average=True), framework, rtol=2e-6, atol=0)


def test_average_is_alpha_divided_by_n_and_not_the_sum():
    x = activations(1, 12, 2, 2)
    averaged = local_response_norm(x, n=7, alpha=0.07, average=True)
    assert torch.allclose(averaged, local_response_norm(x, n=7, alpha=0.01), atol=1e-13)
    assert not torch.allclose(averaged, local_response_norm(x, n=7, alpha=0.07), atol=1e-2)


def test_columns_never_see_each_other():
    x = activations(2, 10, 3, 3)
    together = local_response_norm(x, columns=2, alpha=0.1)
    apart = torch.cat([local_response_norm(half, alpha=0.1) for half in x.chunk(2, 1)], 1)
    assert torch.equal(together, apart)
    assert not torch.allclose(together, local_response_norm(x, alpha=0.1))


def test_order_of_the_channels_matters_and_order_of_the_pixels_does_not():
    x = activations(2, 16, 4, 4)
    channels, pixels = torch.randperm(16, generator=torch.Generator().manual_seed(3)), torch.arange(15, -1, -1)
    assert not torch.allclose(local_response_norm(x[:, channels]), local_response_norm(x)[:, channels])
    shuffled = x.flatten(2)[:, :, pixels]
    assert torch.equal(local_response_norm(shuffled), local_response_norm(x).flatten(2)[:, :, pixels])


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_half_precisions_are_right_to_their_last_digit(dtype, tolerance):
    x = activations(2, 16, 5, 5).to(dtype).requires_grad_()
    given = activations(2, 16, 5, 5, seed=1).to(dtype)
    y = local_response_norm(x)
    (gradient,) = torch.autograd.grad(y, x, given)
    assert y.dtype == gradient.dtype == dtype
    exact = x.detach().double().requires_grad_()
    wanted = by_loops(exact)
    assert torch.allclose(y.double(), wanted, rtol=tolerance, atol=0)
    (wanted_gradient,) = torch.autograd.grad(wanted, exact, given.double())
    assert torch.allclose(gradient.double(), wanted_gradient, rtol=tolerance, atol=1e-5)


def test_float16_squares_beyond_its_range_do_no_harm():
    x = torch.full((1, 5), 1000.0, dtype=torch.float16)  # the sum of squares is 5e6; float16 ends at 65504
    assert torch.allclose(local_response_norm(x).double(), by_loops(x), rtol=2**-11)


def test_large_and_small_neighbours_lose_no_digits():
    x = torch.tensor([[1e4, 0.5, 0.25, 0.125, 0.5, 0.25, 0.125]], dtype=torch.float32)
    # From the fourth channel on the large one is out of the window; a running sum would still carry its rounding.
    ours = local_response_norm(x, alpha=1.0)
    assert torch.allclose(ours.double(), by_loops(x, alpha=1.0), rtol=3e-7, atol=0)


def test_channels_last_stays_so_and_changes_nothing():
    x = activations(2, 12, 5, 4, dtype=torch.float32)
    last = x.to(memory_format=torch.channels_last).requires_grad_()
    y = local_response_norm(last, columns=2)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, local_response_norm(x, columns=2))
    y.sum().backward()
    assert last.grad.is_contiguous(memory_format=torch.channels_last)


def test_gradients_that_are_expanded_or_in_another_order_are_read_right():
    x = activations(3, 8, 4, 4).requires_grad_()
    (expanded,) = torch.autograd.grad(local_response_norm(x).sum(), x)
    (dense,) = torch.autograd.grad(local_response_norm(x), x, torch.ones_like(x))
    assert torch.equal(expanded, dense)


def test_only_the_input_is_kept_for_the_backward_pass():
    def kept(layer):
        seen = {}
        x = activations(2, 16, 9, 9, dtype=torch.float32).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.setdefault(t.data_ptr(), t), lambda t: t):
            layer(x)
        return sum(t.numel() for t in seen.values()) / x.numel()

    assert kept(LocalResponseNorm()) == 1
    assert kept(nn.LocalResponseNorm(5)) > 3


def test_under_autocast_the_type_that_comes_is_the_type_that_goes():
    convolution = nn.Conv2d(3, 8, 3)
    images = activations(2, 3, 6, 6, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        activity = convolution(images)
        assert local_response_norm(activity).dtype == activity.dtype == torch.bfloat16


def test_compiled_gives_the_same_values_and_gradients():
    layer = LocalResponseNorm(columns=2)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = activations(2, 12, 3, 3).requires_grad_()
    given = activations(2, 12, 3, 3, seed=1)
    assert torch.allclose(compiled(x), layer(x), atol=1e-13)
    (ours,) = torch.autograd.grad(layer(x), x, given)
    (theirs,) = torch.autograd.grad(compiled(x), x, given)
    assert torch.allclose(ours, theirs, atol=1e-12)


def test_no_images_give_no_images():
    x = torch.zeros(0, 8, 3, 3, requires_grad=True)
    local_response_norm(x).sum().backward()
    assert x.grad.shape == (0, 8, 3, 3)


def test_the_layer_does_as_the_function_and_names_its_constants():
    x = activations(1, 12, 2, 2)
    layer = LocalResponseNorm(3, 1.0, 0.1, 0.5, average=True, columns=2)
    assert torch.equal(layer(x), local_response_norm(x, 3, 1.0, 0.1, 0.5, average=True, columns=2))
    assert "n=3, k=1, alpha=0.1, beta=0.5, average=True, columns=2" in repr(layer)


def test_spatial_norm_looks_at_pixels_of_its_own_map():
    x = activations(1, 2, 4, 4, strength=3.0)
    b = SpatialResponseNorm(3, k=1.0, alpha=0.9, beta=1.0)(x)
    corner = x[0, 1, :2, :2].square().sum()
    middle = x[0, 1, 1:4, 0:3].square().sum()
    assert math.isclose(b[0, 1, 0, 0], x[0, 1, 0, 0] / (1 + 0.1 * corner), rel_tol=1e-12)
    assert math.isclose(b[0, 1, 2, 1], x[0, 1, 2, 1] / (1 + 0.1 * middle), rel_tol=1e-12)


@pytest.mark.parametrize(
    "x, formula, said",
    [
        (torch.ones(1, 8), {"n": 4}, "n=4: .* odd"),
        (torch.ones(1, 8), {"n": 0}, "n=0"),
        (torch.ones(1, 8), {"n": 9}, "n=9 is more than the 8 channels"),
        (torch.ones(1, 8), {"n": 5, "columns": 2}, "n=5 is more than the 4 channels"),
        (torch.ones(1, 8), {"columns": 3}, "columns=3 does not divide the 8 channels"),
        (torch.ones(1, 8), {"columns": 0}, "columns=0"),
        (torch.ones(1, 8), {"k": -1.0}, "k=-1.0"),
        (torch.ones(1, 8), {"alpha": math.nan}, "alpha=nan"),
        (torch.ones(1, 8), {"beta": math.inf}, "beta=inf"),
        (torch.ones(8), {}, r"shape \(8,\)"),
        (torch.ones(1, 8, dtype=torch.uint8), {}, "torch.uint8; .*call .float"),
    ],
)
def test_what_cannot_be_normalised_is_refused_by_name(x, formula, said):
    with pytest.raises(SettingError, match=said):
        local_response_norm(x, **formula)


def test_the_layer_refuses_an_even_window_when_it_is_made():
    with pytest.raises(SettingError, match="n=4"):
        LocalResponseNorm(4)
