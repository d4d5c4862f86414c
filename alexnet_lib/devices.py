"""Choosing the device, and the few process settings that training speed hangs on."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from contextlib import AbstractContextManager, nullcontext

import torch

from .errors import SettingError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


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
    (`python -m alexnet_lib bench cifar` measures it). On other C libraries nothing is changed.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_threshold = -1, -3
    return bool(mallopt(mmap_threshold, 32 * 1024 * 1024)) and bool(mallopt(trim_threshold, 2**31 - 1))
