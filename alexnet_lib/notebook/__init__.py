"""What every chapter of the book uses: one set-up call, and the functions that show things.

Chapters write `from alexnet_lib import notebook as nb`.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import SettingError
from ..system.devices import free_threads, keep_freed_memory, pick_device
from ..system.progress import progress
from . import origin as origins
from .exercises import check, when
from .inline import show, table
from .line_charts import lines
from .picker_figure import picker
from .slider_figure import slider
from .style import PALETTE, bar_style_for, style_for, use_style

if TYPE_CHECKING:
    from ..data.image_set import ImageSet

__all__ = [
    "PALETTE",
    "Session",
    "bar_style_for",
    "check",
    "lines",
    "picker",
    "progress",
    "setup",
    "show",
    "slider",
    "style_for",
    "table",
    "when",
]

DATA = ("cifar10", "photographs", None)
PHOTOGRAPHS = 64
_PHYSICAL_CORES = torch.get_num_threads()  # PyTorch's own choice, before anybody changes it


@dataclass
class Session:
    """What `setup` found: the device, the number of threads and, if the chapter asked for it, the data.

    `train` and `test` are ImageSets: images uint8 (N, 3, 32, 32), pixels 0-255, labels (N,); `photographs` is one of 64
    images (64, 3, 256, 256).
    """

    chapter: str
    device: torch.device
    threads: int
    seed: int
    data: str | None

    @cached_property
    def train(self) -> ImageSet:
        """The training images; loaded at the first use. SettingError if the chapter asked for no data."""
        return self._load("train")

    @cached_property
    def test(self) -> ImageSet:
        """The test images; loaded at the first use. SettingError if the chapter asked for no data."""
        return self._load("test")

    @cached_property
    def photographs(self) -> ImageSet:
        """Photographs at the paper's resolution; loaded at the first use. SettingError if none were asked for."""
        if self.data != "photographs":
            raise SettingError(f"chapter {self.chapter!r} was set up without them: nb.setup(..., data='photographs')")
        from ..data.photographs import load_photographs

        return load_photographs(PHOTOGRAPHS)

    @property
    def _images(self) -> ImageSet:
        return self.photographs if self.data == "photographs" else self.train

    @property
    def name(self) -> str:
        """The data set's name for figures: "CIFAR-10 (JPEG copy)", or the stand-in's."""
        return self._images.name

    @property
    def stand_in(self) -> bool:
        """True if the images are the drawn stand-in."""
        return self.data is not None and self._images.stand_in

    @property
    def data_label(self) -> str:
        """The data as the first line names it, with its numbers of images."""
        if self.data is None:
            return "no data set"
        if self.data == "photographs":
            return self._photographs_label()
        counts = f"{len(self.train):,} training and {len(self.test):,} test images"
        if not self.stand_in:
            return f"{self.name}: {counts}"
        from ..data.image_set import data_root

        return (
            f"DRAWN STAND-IN, not CIFAR-10 (no data found at {data_root()}; to get it: "
            f"python -m alexnet_lib data fetch cifar10, or set ALEXNET_DATA): {counts}"
        )

    def _photographs_label(self) -> str:
        from ..data.image_set import data_root

        count = f"{len(self.photographs)} images of {self.photographs.images.shape[-1]} pixels"
        if not self.name.endswith("scikit-image"):
            return f"{self.name}: {count}"
        return f"{self.name} (to see your own, put them into {data_root() / 'photographs'}): {count}"

    def _load(self, split: str) -> ImageSet:
        if self.data != "cifar10":
            raise SettingError(f"chapter {self.chapter!r} was set up without it: call nb.setup(..., data='cifar10')")
        from ..data.cifar10 import load_cifar10

        return load_cifar10(split)


def setup(chapter: str, *, seed: int = 0, data: str | None = "cifar10", threads: int | None = None) -> Session:
    """Set up a chapter: seeds, threads, deterministic algorithms, device, plot style; prints one line that says so.

    seed: for random, numpy and torch. data: "cifar10", "photographs" or None. threads: how many CPU threads PyTorch
    uses; without it ALEXNET_THREADS, else one for each physical core it may use, or fewer where a short measurement
    finds those quicker, since other programs hold the cores. The device is ALEXNET_DEVICE (auto, cpu, cuda).
    SettingError: an unknown data set, a wrong number of threads, a device that is not there. DataError: as
    `cifar10.load_cifar10` and `photographs.load_photographs`.

    >>> session = nb.setup("relu_vs_tanh")
    """
    if data not in DATA:
        raise SettingError(f"data={data!r} is not known: choose 'cifar10', 'photographs', or None for no data")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts; determinism needs it
    device = pick_device(os.environ.get("ALEXNET_DEVICE") or "auto")
    threads, most = _threads(threads)
    torch.set_num_threads(threads)
    if device.type == "cpu":
        keep_freed_memory()
    torch.use_deterministic_algorithms(True)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    use_style()
    session = Session(chapter, device, threads, seed, data)
    origins.set_live_data(session if data else None)
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    shared = f" (of {most}: other programs hold the cores)" if threads < most else ""
    print(f"{session.data_label} · {hardware}, {threads} thread{'s' * (threads > 1)}{shared} · seed {seed}")
    return session


def _threads(asked: int | None) -> tuple[int, int]:
    """How many to use, and how many it would be with all cores free."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if asked is None:
        given = os.environ.get("ALEXNET_THREADS")
        if not given:
            most = min(_PHYSICAL_CORES, allowed)
            return free_threads(most), most
        if not given.isdigit():
            raise SettingError(f"ALEXNET_THREADS={given!r} is not a number of threads: set it to 1, 2, … or unset it")
        asked = int(given)
    if asked < 1:
        raise SettingError(f"threads={asked}: PyTorch needs at least 1")
    return asked, asked
