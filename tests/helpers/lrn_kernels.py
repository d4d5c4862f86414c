"""Run by test_lrn_gpu with TRITON_INTERPRET=1: the GPU kernels on CPU tensors, against the library's own path."""

import json

import torch

from alexnet_lib.network import lrn_gpu
from alexnet_lib.network.lrn import local_response_norm

CASES = (
    ((2, 12, 5, 7), False, torch.float32, {"n": 5, "k": 2.0, "alpha": 0.01, "beta": 0.75, "columns": 1}),
    ((2, 12, 5, 7), True, torch.float32, {"n": 5, "k": 2.0, "alpha": 0.01, "beta": 0.75, "columns": 2}),
    ((1, 300, 3, 3), True, torch.float32, {"n": 3, "k": 1.0, "alpha": 0.1, "beta": 0.6, "columns": 3}),
    ((3, 40, 9), False, torch.float32, {"n": 7, "k": 1.0, "alpha": 0.1, "beta": 0.75, "columns": 2}),
    ((2, 20, 12, 13), False, torch.float16, {"n": 5, "k": 2.0, "alpha": 0.01, "beta": 0.75, "columns": 2}),
)


def worst(shape, channels_last, dtype, formula) -> tuple[float, float]:
    """The largest difference of outputs and of gradients, as shares of the largest value."""
    generator = torch.Generator().manual_seed(0)
    x = (3 * torch.randn(shape, generator=generator)).to(dtype)
    gradient = torch.randn(shape, generator=generator).to(dtype)
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    known = x.clone().requires_grad_()
    wanted = local_response_norm(known, **formula)
    wanted.backward(gradient)
    pairs = (lrn_gpu.forward(x, **formula), wanted), (lrn_gpu.backward(x, gradient, **formula), known.grad)
    return tuple(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


if __name__ == "__main__":
    print(json.dumps([worst(*case) for case in CASES]))
