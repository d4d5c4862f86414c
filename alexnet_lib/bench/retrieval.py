"""`bench retrieval`: features of stored images beside the bare network, and searches a second by code and by distance.

Queries come one at a time, as a reader's do; vectors and codes are drawn, since their values do not change the work.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..augment import PixelScale
from ..errors import SettingError
from ..measures.binary_codes import BITS, EXACT, LENGTH, HammingIndex, code_name
from ..measures.retrieval import AT_ONCE, VectorIndex, write_features
from ..network.alexnet import AlexNet
from ..network.config import AlexNetConfig
from ..system.timing import Timing, take_turns
from .frame import Comparison, figures, print_columns, speeds

STORED, BARE = "stored bytes to features in a file", "the bare network, pixels at hand"
FOUND = 10  # neighbours looked for


def feature_contestants(images: int, device: torch.device, folder: Path) -> dict[str, Callable[[], int]]:
    """Ways to features of so many images; each returns how many. `folder`: for the file that is written."""
    net = AlexNet(AlexNetConfig.paper(), seed=0).to(device, memory_format=torch.channels_last).eval()
    generator = torch.Generator().manual_seed(0)
    stored = torch.randint(256, (images, 3, 256, 256), dtype=torch.uint8, generator=generator)
    scale = PixelScale(torch.full((3, 256, 256), 120.0), torch.tensor(1.0)).to(device)
    size = net.config.input_size
    pixels = torch.randn((min(images, AT_ONCE), 3, size, size), generator=generator)
    pixels = pixels.to(device, memory_format=torch.channels_last)

    def from_stored() -> int:
        write_features(folder / "features.npy", net, scale, stored.split(AT_ONCE), images)
        return images

    @torch.no_grad()
    def bare() -> int:
        for start in range(0, images, AT_ONCE):
            net.features(pixels[: images - start])
        return images

    return {STORED: from_stored, BARE: bare}


def search_contestants(count: int, queries: int) -> dict[str, Callable[[], int]]:
    """Ways to search `count` images, on the cores; each returns how many queries it answered."""
    generator = np.random.default_rng(0)
    found: dict[str, Callable[[], int]] = {}
    for bits in BITS:
        codes = generator.integers(0, 256, (count + queries, bits // 8), dtype=np.uint8)
        found[code_name(bits)] = _one_by_one(HammingIndex(codes[:count]).search, codes[count:])
    vectors = generator.random((count, LENGTH), dtype=np.float32)
    asked = generator.random((max(1, queries // 50), LENGTH), dtype=np.float32)  # each takes as long as many of codes
    found[EXACT] = _one_by_one(VectorIndex(vectors).search, asked)
    return found


def _one_by_one(search: Callable, queries: np.ndarray) -> Callable[[], int]:
    def run() -> int:
        for number in range(len(queries)):
            search(queries[number : number + 1], FOUND)
        return len(queries)

    return run


def run(args: argparse.Namespace) -> int:
    """Measure and print both tables."""
    bench = Comparison(args)
    if args.count < FOUND:
        raise SettingError(f"--count {args.count}: give {FOUND} or more, as many as are looked for")
    bench.announce()
    with tempfile.TemporaryDirectory() as folder:
        features = take_turns(feature_contestants(args.images, bench.device, Path(folder)), args.rounds)
    report_features(features, args.images)
    searches = take_turns(search_contestants(args.count, args.queries), args.rounds)
    report_searches(searches, args.count)
    result = {
        "images": args.images,
        "searched": args.count,
        "images_per_second": figures(features),
        "queries_per_second": figures(searches),
        "bytes": {str(bits): bits // 8 for bits in BITS},
        "bytes_exact": 4 * LENGTH,
    }
    return bench.record(result, ["C30"])


def report_features(timings: dict[str, Timing], images: int) -> None:
    """Print images a second, and which share of the bare network's speed that is."""
    columns = speeds(1) | {"of the bare network": lambda t: f"{t.median / timings[BARE].median:.0%}"}
    print_columns(f"features of {images} images of 256 pixels", timings, columns)


def report_searches(timings: dict[str, Timing], count: int) -> None:
    """Print the time of a query, queries a second, and how many times as fast as exact distances."""
    columns = {
        "ms a query (median)": lambda t: f"{1000 / t.median:,.3f}",
        "range": lambda t: f"{1000 / t.highest:,.3f} to {1000 / t.lowest:,.3f}",
        "queries/s": lambda t: f"{t.median:,.0f}",
        "times as fast": lambda t: f"{t.median / timings[EXACT].median:,.1f}",
    }
    print_columns(f"the {FOUND} nearest of {count:,}, one query at a time", timings, columns)
