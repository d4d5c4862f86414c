"""The compiled loops of LRN on a CPU: every shape, order and number of threads gives what the plain formula gives."""

import json
import multiprocessing
import subprocess
import sys
import threading

import pytest
import torch

from alexnet_lib.network import lrn_cpu
from alexnet_lib.network.lrn import _by_slices, local_response_norm

PAPER = (5, 2.0, 1e-4, 0.75, 1)


def activations(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (30 * torch.randn(shape, generator=generator)).to(dtype)


def both(x, formula=PAPER):
    """Output and gradient by the compiled loops."""
    gradient = activations(*x.shape, dtype=x.dtype, seed=1)
    return lrn_cpu.forward(x, *formula), lrn_cpu.backward(x, gradient, *formula)


def exact(x, formula=PAPER):
    """The same by autograd, in float64."""
    wide = x.detach().double().requires_grad_()
    y = _by_slices(wide, *formula)
    return y, torch.autograd.grad(y, wide, activations(*x.shape, dtype=x.dtype, seed=1).double())[0]


def near(ours, wanted, tolerance=7e-7):
    return (ours - wanted).abs().max() <= tolerance * wanted.abs().max()


# Pixels just under, at and over a tile's 128; pixels of channels so few or so many that a tile holds several, or one.
@pytest.mark.parametrize(
    "shape",
    [
        (3, 8),
        (1, 300),
        (2, 8, 1),
        (2, 8, 127),
        (2, 8, 128),
        (2, 8, 129),
        (1, 6, 5, 3),
        (3, 96, 4, 4),
        (2, 256, 3, 3),
        (1, 300, 2, 2),
        (2, 10, 2, 3, 4),
    ],
)
@pytest.mark.parametrize(
    "formula", [PAPER, (5, 2.0, 0.01, 0.75, 2), (3, 1.0, 0.1, 0.6, 1), (1, 1.0, 0.1, 0.75, 2)], ids=str
)
def test_every_shape_and_order_gives_the_formula(shape, formula):
    x = activations(*shape)
    orders = [x]
    if x.ndim == 4:
        orders.append(x.to(memory_format=torch.channels_last))
    for one in (*orders, x.transpose(0, 1).contiguous().transpose(0, 1)):  # the last is in neither order
        assert lrn_cpu.usable(one)
        for ours, wanted in zip(both(one, formula), exact(one, formula), strict=True):
            assert near(ours, wanted) and ours.stride() == one.stride()


def test_threads_share_the_work_and_change_nothing():
    x = activations(4, 96, 20, 20)
    found, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found += [[*both(x), *both(x.to(memory_format=torch.channels_last))]]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for other in found[1:] for one, other in zip(found[0], other, strict=True))


def test_two_threads_of_a_program_do_not_disturb_each_other():
    inputs = [activations(8, 96, 27, 27, seed=seed) for seed in range(4)]
    alone = [local_response_norm(x) for x in inputs]
    found = {}

    def work(number):
        for _ in range(5):
            found[number] = local_response_norm(inputs[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[number], y) for number, y in enumerate(alone))


def _in_a_child(x, queue):
    queue.put(local_response_norm(x).flatten()[-5:].tolist())  # PyTorch's own threads do not survive a fork


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    x = activations(8, 96, 27, 27)
    wanted, context = local_response_norm(x).flatten()[-5:].tolist(), multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_in_a_child, args=(x, queue), daemon=True)
    process.start()
    assert queue.get(timeout=60) == wanted
    process.join()


def test_what_is_no_number_stays_in_its_windows_and_pixel():
    x = activations(2, 12, 3, 3)
    wanted = local_response_norm(x)
    x[1, 6, 2, 1] = torch.nan
    for order in (torch.contiguous_format, torch.channels_last):
        lost = local_response_norm(x.contiguous(memory_format=order)).isnan()
        assert lost[1, 4:9, 2, 1].all() and lost.sum() == 5
    assert torch.equal(torch.where(lost, wanted, local_response_norm(x)), wanted)


@pytest.mark.parametrize("dtype, large", [(torch.float32, 1e25), (torch.float64, 1e200)])
def test_squares_that_overflow_leave_numbers(dtype, large):
    y, gradient = both(torch.full((2, 8, 2, 2), large, dtype=dtype))
    assert torch.isfinite(y).all() and torch.isfinite(gradient).all()


def test_without_numba_the_older_path_is_taken_and_that_is_said_once():
    script = (
        "import sys, warnings; sys.modules['numba'] = None\n"
        "import torch; from alexnet_lib.network.lrn import local_response_norm\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always')\n"
        "    y = [local_response_norm(torch.ones(1, 5)) for _ in range(2)]\n"
        "print(*(one.message for one in said), sep='\\n'); print(y[0].tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, numbers = done.stdout.splitlines()
    assert "Numba is not installed (pip install numba)" in said
    assert json.loads(numbers)[0] == pytest.approx(local_response_norm(torch.ones(1, 5))[0].tolist(), rel=1e-6)
