"""`bench prepare`: preparing images beside a plain script of Pillow and torchvision, in one process, in turns."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from ..data.imagenet.preparation import prepare
from ..data.imagenet.sources import Entry, find_source
from ..data.imagenet.workers import cores
from ..errors import DataError
from ..system.progress import progress
from ..system.timing import Timing, take_turns
from .frame import Comparison, figures, print_columns, speeds

IN_MEMORY = Path("/dev/shm")
TOLERANCE = 1e-9  # of the plain script's float64 sums, which are rounded


def plain_script(source: Path, entries: list[Entry], target: Path, side: int, format: str, quality: int) -> np.ndarray:
    """What one would write first: image by image, in one process. The colours' covariance (3, 3) on the 0-255 scale.

    Stores the same: target/images.raw or target/NNNNNN.jpg, and the mean image in target/mean.pt.
    """
    steps = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(side)])
    to_tensor = transforms.PILToTensor()
    total = torch.zeros(3, side, side, dtype=torch.float64)
    products = torch.zeros(3, 3, dtype=torch.float64)
    target.mkdir()
    with open(target / "images.raw", "wb") as file:
        for number, entry in enumerate(entries):
            with Image.open(source / entry.file) as opened:
                image = steps(opened.convert("RGB"))
            pixels = to_tensor(image).double()
            total += pixels
            flat = pixels.flatten(1)
            products += flat @ flat.T
            if format == "raw":
                file.write(image.tobytes())
            else:
                image.save(target / f"{number:06}.jpg", quality=quality)
        file.flush()
        os.fsync(file.fileno())
    torch.save(total / len(entries), target / "mean.pt")
    n = len(entries) * side * side
    mean = total.sum((1, 2)) / n
    return (products / n - torch.outer(mean, mean)).numpy()


def copies_of(source: Path, copies: int, limit: int | None, folder: Path) -> tuple[Path, list[Entry], str]:
    """A folder `folder` of links to the source's training images, each `copies` times: folder, images, what they are.

    At most `limit` different images, evenly spread. A few hundred images are over too soon to be measured otherwise.
    """
    found = find_source(source)
    entries = found.splits["train"]
    if entries[0].offset >= 0:
        raise DataError(f"{source} holds tar files: bench prepare needs a folder of image files")
    if limit and limit < len(entries):
        entries = [entries[i * len(entries) // limit] for i in range(limit)]
    for copy in range(copies):
        for number, entry in enumerate(entries):
            path = folder / found.classes[entry.label] / f"{number:07}_{copy}{Path(entry.name).suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to((source / entry.file).resolve())
    times = f", each {copies} times" if copies > 1 else ""
    about = f"{len(entries):,} training images of {source.name}{times}"
    return folder, find_source(folder).splits["train"], about


def contestants(
    source: Path, entries: list[Entry], place: Path, args: argparse.Namespace, found: dict[str, np.ndarray]
) -> dict[str, Callable[[], int]]:
    """Both prepare all images into an empty folder of `place` and leave the covariance they got in `found`."""
    bar = progress(total=2 * (args.rounds + 1), desc="bench prepare", unit="turn")

    def ours(target: Path) -> np.ndarray:
        index = prepare(source, target, side=args.side, format=args.format, quality=args.quality, jobs=args.jobs)
        return np.array(index["statistics"]["covariance"])

    def plain(target: Path) -> np.ndarray:
        return plain_script(source, entries, target, args.side, args.format, args.quality)

    def turn(work: Callable[[Path], np.ndarray]) -> int:
        target = place / work.__name__
        shutil.rmtree(target, ignore_errors=True)
        found[work.__name__] = work(target)
        bar.update()
        return len(entries)

    return {"ours": lambda: turn(ours), "plain": lambda: turn(plain)}


def run(args: argparse.Namespace) -> int:
    """Measure and print the table."""
    bench, found = Comparison(args, keep=False), {}
    args.jobs = args.jobs or cores()
    work = args.work or (IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None)
    with tempfile.TemporaryDirectory(dir=work, prefix="bench_prepare_") as folder:
        links, place = Path(folder) / "links", Path(folder)
        source, entries, about = copies_of(Path(args.source), args.copies, args.limit, links)
        digest = find_source(source).digest()
        print(f"{about}, to {args.side} x {args.side} as {args.format}, in {work or tempfile.gettempdir()}")
        timings = take_turns(contestants(source, entries, place, args, found), args.rounds)
    difference = float(np.abs(found["ours"] / found["plain"] - 1).max())
    if difference > TOLERANCE:
        raise DataError(
            f"the two covariances differ by {difference:.1e}: one of them is wrong, the speeds mean nothing"
        )
    report(timings, args.jobs)
    result = {"images": about, "side": args.side, "format": args.format, "jobs": args.jobs}
    result["images_per_second"] = figures(timings)
    data = {
        "name": about,
        "source": "image files",
        "checksum": f"names sha256:{digest}",
        "images": len(entries),
        "stand_in": False,
    }
    return bench.record(result, dataset=data, kind=f"_{Path(args.source).name}_{args.format}")


def report(timings: dict[str, Timing], jobs: int) -> None:
    """Print images a second, and how many times the plain script's."""
    names = {"ours": f"alexnet_lib, {jobs} process(es)", "plain": "Pillow + torchvision, a plain loop"}
    columns = speeds() | {"times the plain loop": lambda t: f"{t.median / timings['plain'].median:.2f}"}
    title = "decode, resize, crop, store, mean image, covariance; starting the processes included"
    print_columns(title, {name: timings[key] for key, name in names.items()}, columns)
