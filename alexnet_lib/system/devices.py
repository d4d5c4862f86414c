"""Choosing the device, and the few process settings that training speed hangs on."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F

from ..errors import SettingError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
AUTO = "auto"
ALIKE = 1.1  # times that are so near to each other are taken for the same


def pick_device(name: str = "auto") -> torch.device:
    """Turn "auto", "cpu", "cuda" or "cuda:1" into a device that exists here.

    "auto" is the first GPU where there is one, else the CPU. Raises SettingError for any other name, and for a GPU
    that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise SettingError(f"device {name!r} is not known; use auto, cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise SettingError(
                f"device {name!r} was asked for, but PyTorch sees {count} CUDA GPU(s) here; "
                "use cpu or auto, or check the driver with nvidia-smi"
            )
    return device


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on that device. To a GPU it goes from pinned memory, so that nobody waits for what the GPU is doing.

    A plain `.to` waits until the GPU has done all it was given, the training step on the last batch included.
    """
    if tensor.device.type == "cpu" and device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def autocast(device: torch.device, dtype: str) -> AbstractContextManager:
    """In which a network of float32 weights computes in that type, a name in DTYPES."""
    return nullcontext() if dtype == "float32" else torch.autocast(device.type, DTYPES[dtype])


@functools.cache
def slowdown(device: torch.device) -> float:
    """How many times as long a convolution takes in bfloat16 as in float32, forward and backward; tried once a process.

    Under 1 where the processor multiplies it (AVX512-BF16 on some, AMX), on any GPU of the last years; 2 and more where
    it has to be imitated. What a processor says that it can do is not asked: some that can are slow.
    """
    convolve, seconds = _convolution(device), {name: [] for name in DTYPES}
    for turn in range(4):
        for name, taken in seconds.items():
            began = time.perf_counter()
            convolve(name)
            if turn:
                taken.append(time.perf_counter() - began)
    return statistics.median(seconds["bfloat16"]) / statistics.median(seconds["float32"])


def _convolution(device: torch.device) -> Callable[[str], None]:
    """A small convolution, forward and backward, in the type named."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (
        torch.randn(shape, generator=generator).to(device, memory_format=torch.channels_last).requires_grad_()
        for shape in ((4, 96, 13, 13), (128, 96, 5, 5))
    )

    def convolve(dtype: str) -> None:
        with autocast(device, dtype):
            y = F.conv2d(x, weight, padding=2)
        torch.autograd.grad(y.float().sum(), (x, weight))
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return convolve


def free_threads(most: int) -> int:
    """How many threads make a convolution quickest just now: `most`, half as many, and so on down to 1.

    Where other programs hold the cores, threads wait for each other, and one is quicker than two. Tried in turns for
    about a third of a second; PyTorch's number of threads is as before afterwards.
    """
    counts = [most]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    if len(counts) == 1:
        return most
    before, convolve = torch.get_num_threads(), _convolution(torch.device("cpu"))
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    try:
        for turn in range(5):
            for count, taken in seconds.items():
                torch.set_num_threads(count)
                began = time.perf_counter()
                for _ in range(4):
                    convolve("float32")
                if turn:
                    taken.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)
    # The mean and not the median: what counts is how long many of them take, waiting included.
    means = {count: statistics.mean(taken) for count, taken in seconds.items()}
    return next(count for count in counts if means[count] <= ALIKE * min(means.values()))


def pick_dtype(name: str, device: torch.device) -> str:
    """A name in DTYPES; for "auto" the one that `slowdown` finds the quicker. SettingError: any other name."""
    if name == AUTO:
        return "bfloat16" if slowdown(device) < 1 else "float32"
    if name not in DTYPES:
        raise SettingError(f"dtype {name!r} is not known; use {AUTO}, {', '.join(DTYPES)}")
    return name


def precision(device: torch.device, dtype: str) -> str:
    """How exactly convolutions multiply there, for records: numbers of one precision are not mixed with another's."""
    if device.type == "cuda" and dtype == "float32" and torch.backends.cudnn.allow_tf32:
        return "TF32"
    return dtype


def describe_device(device: torch.device) -> str:
    """One line naming the hardware, for records: "NVIDIA H200" or "x86_64 CPU, 2 cores, 1 thread"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{cpu_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} thread(s)"


def cpu_name() -> str:
    """The processor's own name where the system tells it (Linux), else the machine type."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed blocks instead of returning them to the system at once; True where it did.

    A training step on the CPU frees and asks for the same large activations again and again; getting them
    back from the system as fresh zeroed pages took about a fifth of the step of the CIFAR-10 network
    (`python -m alexnet_lib bench cifar` measures it). Nothing is taken from the system by mmap, whose blocks are always
    returned: glibc would take all blocks over 32 MiB so. On other C libraries nothing is changed.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_max = -1, -4
    return bool(mallopt(mmap_max, 0)) and bool(mallopt(trim_threshold, 2**31 - 1))
