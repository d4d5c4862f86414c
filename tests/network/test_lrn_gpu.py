"""The GPU kernels of LRN: their values in Triton's interpreter, that they compile, and on a GPU where there is one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lrn_kernels
import pytest
import torch

from alexnet_lib.network import lrn_gpu
from alexnet_lib.network.lrn import local_response_norm

pytest.importorskip("triton", reason="this PyTorch came without Triton")


def test_kernels_agree_with_the_library_in_the_interpreter():
    script = Path(lrn_kernels.__file__)
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == len(lrn_kernels.CASES)
    for case, (output, gradient) in zip(lrn_kernels.CASES, found, strict=True):
        tolerance = 2**-10 if case[2] == torch.float16 else 1e-6
        assert output < tolerance and gradient < tolerance, case


@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize(
    "kernel, tensors, loads", [("_forward", ("x", "y"), 5), ("_backward", ("x", "gradient", "out"), 14)]
)
def test_kernels_compile_and_load_no_value_twice(kernel, tensors, loads):
    from triton import compile as compile_kernel
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    numbers = ("channels", "pixels", "column", "by_image", "by_channel", "by_pixel")
    constants = {"n": 5, "roots": True, "wide": 16, "long": 128}
    signature = dict.fromkeys(tensors, "*fp32") | dict.fromkeys(numbers, "i32")
    signature |= dict.fromkeys(("k", "alpha", "beta"), "fp32") | dict.fromkeys(constants, "constexpr")
    places = {(list(signature).index(name),): value for name, value in constants.items()}
    source = ASTSource(getattr(lrn_gpu, kernel), signature, constexprs=places)
    compiled = compile_kernel(source, target=GPUTarget("cuda", 80, 32))
    # Of x 5 channels forward, and 9 of x and 5 of the gradient backward: the windows' overlaps are read once.
    assert compiled.asm["ttgir"].count("tt.load") == loads


def test_tensors_in_no_order_or_of_another_kind_are_left_to_the_slower_path():
    x = torch.zeros(2, 8, 4, 4)
    assert not lrn_gpu.usable(x)  # not on a GPU
    assert lrn_gpu._order(x) == (128, 16, 1)
    assert lrn_gpu._order(x.to(memory_format=torch.channels_last)) == (128, 1, 8)
    assert lrn_gpu._order(x[:, ::2]) is None


def test_without_a_compiler_it_is_said_once(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(lrn_gpu.shutil, "which", lambda name: None)
    lrn_gpu._can_compile.cache_clear()
    try:
        with pytest.warns(UserWarning, match="no C compiler"):
            assert not lrn_gpu._can_compile()
    finally:
        lrn_gpu._can_compile.cache_clear()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.bfloat16, 2**-7)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_on_a_gpu_it_gives_what_it_gives_on_the_cpu(dtype, tolerance, channels_last):
    x = (30 * torch.randn(4, 96, 27, 27)).to(dtype)
    gradient = torch.randn_like(x)
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    results = []
    for device in ("cpu", "cuda"):
        own = x.to(device).requires_grad_()
        y = local_response_norm(own, columns=2)
        y.backward(gradient.to(device))
        results.append((y.detach().cpu(), own.grad.cpu()))
    for on_cpu, on_gpu in zip(*results, strict=True):
        assert (on_cpu - on_gpu).abs().max() <= tolerance * on_cpu.abs().max()
