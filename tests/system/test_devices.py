"""Asking for hardware that is there, and for some that is not."""

from __future__ import annotations

import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.system import devices


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_auto_is_the_cpu_where_there_is_no_gpu(no_gpu: None) -> None:
    assert devices.pick_device() == torch.device("cpu")


def test_auto_is_the_gpu_where_there_is_one(two_gpus: None) -> None:
    assert devices.pick_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_cuda_where_there_is_none_is_refused(no_gpu: None, name: str) -> None:
    with pytest.raises(SettingError, match=rf"'{name}' was asked for, but PyTorch sees 0 CUDA GPU.*use cpu or auto"):
        devices.pick_device(name)


def test_the_second_gpu_is_there_and_the_third_is_not(two_gpus: None) -> None:
    assert devices.pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(SettingError, match=r"'cuda:2' was asked for, but PyTorch sees 2"):
        devices.pick_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cuda:-1", "meta", "mps"])
def test_a_device_that_training_cannot_use_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=f"device '{name}' is not known; use auto, cpu, cuda or cuda:N"):
        devices.pick_device(name)


def test_the_cpu_is_described_with_its_cores_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cpu_name", lambda: "Some CPU @ 2 GHz")
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 7)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert devices.describe_device(torch.device("cpu")) == "Some CPU @ 2 GHz, 7 cores, 3 thread(s)"


def test_the_cpus_name_is_never_empty() -> None:
    assert devices.cpu_name().strip()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="changes glibc's allocator only")
def test_freed_memory_is_kept() -> None:
    """8 blocks of 16 MB, taken and freed ten times: fresh pages ten times, or once. In a process of its own."""
    code = """if True:
        import resource, torch
        from alexnet_lib.system.devices import keep_freed_memory
        def fresh_pages():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(10):
                blocks = [torch.ones(16 * 2**20, dtype=torch.uint8) for _ in range(8)]
                del blocks
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        print(fresh_pages(), keep_freed_memory(), fresh_pages())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    returned, kept, fresh = done.stdout.split()
    assert kept == "True"
    assert int(fresh) < int(returned) / 4, done.stdout


def test_a_tensor_is_sent_to_a_gpu_from_pinned_memory_and_stays_on_a_cpu() -> None:
    tensor, cpu, gpu = torch.ones(2), torch.device("cpu"), torch.device("cuda")
    assert devices.sent(tensor, cpu) is tensor
    asked = []
    pinned = SimpleNamespace(to=lambda device, non_blocking: asked.append((device, non_blocking)))
    devices.sent(SimpleNamespace(device=cpu, pin_memory=lambda: pinned), gpu)
    assert asked == [(gpu, True)]
    there = SimpleNamespace(device=gpu, to=lambda device: "there already")
    assert devices.sent(there, gpu) == "there already"


@pytest.mark.parametrize("slowdown, picked", [(1.7, "float32"), (1.0, "float32"), (0.55, "bfloat16")])
def test_auto_picks_the_type_that_was_quicker(slowdown: float, picked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "slowdown", lambda device: slowdown)
    assert devices.pick_dtype("auto", torch.device("cpu")) == picked
    assert [devices.pick_dtype(name, torch.device("cpu")) for name in devices.DTYPES] == list(devices.DTYPES)


def test_a_type_that_is_not_known_is_named() -> None:
    with pytest.raises(SettingError, match="dtype 'float8' is not known; use auto, float32, bfloat16"):
        devices.pick_dtype("float8", torch.device("cpu"))


def test_how_slow_bfloat16_is_is_tried_and_then_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that claims bfloat16 and is slow at it: what was measured decides, and is measured once."""
    now, taken = [0.0], {"float32": 0.001, "bfloat16": 0.003}
    entered = []

    def autocast(device: torch.device, name: str):  # noqa: ANN202
        entered.append(name)
        now[0] += taken[name]
        return devices.nullcontext()

    monkeypatch.setattr(devices.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(devices, "autocast", autocast)
    devices.slowdown.cache_clear()
    try:
        assert devices.slowdown(torch.device("cpu")) == pytest.approx(3)
        tried = len(entered)
        assert devices.pick_dtype("auto", torch.device("cpu")) == "float32" and len(entered) == tried
    finally:
        devices.slowdown.cache_clear()


@pytest.mark.parametrize(
    "most, seconds, wanted",
    [
        (4, {4: 0.01, 2: 0.02, 1: 0.04}, 4),  # free cores
        (4, {4: 0.09, 2: 0.02, 1: 0.04}, 2),  # two of four are taken
        (2, {2: 0.05, 1: 0.02}, 1),
        (2, {2: 0.021, 1: 0.02}, 2),  # as good as alike: more
        (3, {3: 0.03, 1: 0.02}, 1),
        (1, {}, 1),
    ],
)
def test_as_many_threads_as_are_quickest_just_now(
    most: int, seconds: dict[int, float], wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, before = [0.0], torch.get_num_threads()

    def convolve(dtype: str) -> None:
        now[0] += seconds[torch.get_num_threads()]

    monkeypatch.setattr(devices.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(devices, "_convolution", lambda device: convolve)
    assert devices.free_threads(most) == wanted
    assert torch.get_num_threads() == before
