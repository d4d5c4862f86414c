"""`inspect`: what a trained network's first kernels are, and what its answers to a reader's photographs rest on.

Section 6.1, Figures 3 and 4. Taught in "First-layer kernels" and "Predictions".
"""

from __future__ import annotations

import argparse
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import torch

from ..augment.view_sets import views
from ..data.wordnet import nouns
from ..errors import SettingError, printable
from ..figures.kernels import draw_kernels
from ..figures.predictions import draw_answer, grid_extent
from ..measures.evidence import evidence_map, occlusion_map
from ..measures.kernels import KINDS, kernel_table, specialisation
from ..measures.photo_index import read_queries, some_readable
from ..measures.predictions import top_labels
from ..measures.trained import FeatureNet, load_feature_net
from ..network.alexnet import AlexNet
from ..network.geometry import ReceptiveField
from ..notebook.style import settings
from ..system.devices import describe_device, keep_freed_memory, pick_device
from ..system.files import made_folder
from ..training.evaluation import probabilities
from .outputs import check_free, is_free, save, written

KERNELS = "kernels"  # the stem of their picture and their table
LABELS = 5
LISTED = "kernel,column"  # how their table begins
STEPS = 16  # of the hidden square along a side, at least where it can then still reach every pixel
DPI = 160


@dataclass(frozen=True)
class Looking:
    """How evidence is sought: a layer with the field of its units, and a hidden square of `size` pixels, moved by
    `stride`."""

    layer: str
    field: ReceptiveField
    size: int
    stride: int


def run(args: argparse.Namespace) -> int:
    """Look at the kernels and at each photograph; print what they are, and draw them into a folder."""
    matplotlib.use("agg")  # files are drawn, no windows
    device = pick_device(args.device)
    if device.type == "cpu":
        keep_freed_memory()
    some_readable(args.images, "look at")  # before weights are loaded, or even fetched
    net = load_feature_net(args.weights, device)
    looking = planned(net.net, args.layer, args.occlude)
    paths, images = read_queries(args.images, net.side, "look at") if args.images else ([], [])
    out = made_folder(args.out)
    check_free(out / f"{KERNELS}.png")
    check_free(out / f"{KERNELS}.csv", header=LISTED)
    print("\n".join(filter(None, (f"{net.name}; {describe_device(device)}", net.doubt))), flush=True)
    with plt.rc_context(settings()):
        inspect_kernels(net, out)
        words = words_of(net.classes)
        for path, image, name in zip(paths, images, names_for(paths, out), strict=True):
            print(printable(path))
            inspect_image(net, words, image.to(device), looking, printable(path.name), out / name)
    return 0


def planned(net: AlexNet, layer: str, size: int | None) -> Looking:
    """Check the options. size: of the hidden square, or a quarter of the input. SettingError: what cannot be had."""
    fields = fields_of(net)
    if layer not in fields:
        raise SettingError(f"--layer {layer}: this network has maps in {', '.join(fields)}")
    side = net.config.input_size
    size = max(1, side // 4) if size is None else size
    if not 1 <= size <= side:
        raise SettingError(f"--occlude {size}: the network sees {side} pixels a side; give 1 to {side}")
    # A small square takes longer steps, or there would be too many; never so long that pixels stay between them.
    stride = max(1, size // 4, min(size, -(-(side - size) // STEPS)))
    return Looking(layer, fields[layer], size, stride)


def fields_of(net: AlexNet) -> dict[str, ReceptiveField]:
    """What one unit of each layer that puts out maps sees of the image; a nonlinearity's is its convolution's."""
    described = {row.name: row.field for row in net.describe().rows}
    fields, field = {}, None
    for name, _ in net.named_children():
        if name == "flatten":
            break
        field = described.get(name, field)
        if field is not None:
            fields[name] = field
    return fields


def names_for(paths: Sequence[Path], out: Path) -> list[str]:
    """A file name in `out` for what is drawn of each photograph: its stem, with a number where that is taken by
    another, by the kernels or by a file that is none of ours, such as the photograph itself."""
    taken, names = {f"{KERNELS}.png"}, []
    for path in paths:
        number, name = 1, f"{path.stem}.png"
        while name.lower() in taken or not is_free(out / name):
            number += 1
            name = f"{path.stem}-{number}.png"
        taken.add(name.lower())  # some file systems do not tell A.png from a.png
        names.append(name)
    return names


def words_of(classes: Sequence[str]) -> list[str]:
    """What each class is called: WordNet's words where it is the place of a noun, such as n01443537, else its name."""
    known = nouns() if any(re.fullmatch(r"n\d{8}", name) for name in classes) else {}
    return [", ".join(known[name].words) if name in known else name for name in classes]


def inspect_kernels(net: FeatureNet, out: Path) -> None:
    """Print what kinds of kernels the first layer has and how its columns differ; draw and list them all."""
    kernels, columns = net.net.conv1.weight.detach().float().cpu(), net.net.config.columns
    count, _, height, width = kernels.shape
    print(
        f"{count} kernels of {height} x {width} pixels; fitting a Gabor to each, and to kernels of noise (about a "
        "minute) ...",
        flush=True,
    )
    table = kernel_table(kernels)
    kinds = Counter(table["kind"])
    print("  " + ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS))
    if columns == 2:
        print(f"  {columns_told(table['colour_share'])}")
    with written(out / f"{KERNELS}.csv") as temporary:
        temporary.write_text(as_csv(table, columns), encoding="utf-8")
    title = f"{count} first-layer kernels of {height} x {width} pixels"
    title += "; those of each GPU apart" if columns == 2 else ""
    save(draw_kernels({title: kernels}, columns, min(16, -(-count // columns))), out / f"{KERNELS}.png", DPI)
    print(f"  drawn in {out / f'{KERNELS}.png'}, listed in {out / f'{KERNELS}.csv'}", flush=True)


def columns_told(shares: Sequence[float]) -> str:
    """The mean share of colour of each half of the kernels, and the permutation test of this one network."""
    half = len(shares) // 2
    means = [sum(part) / half for part in (shares[:half], shares[half:])]
    p = specialisation([shares]).p
    return (
        f"share of colour: first column {100 * means[0]:.1f}%, second {100 * means[1]:.1f}%; dealt to columns at "
        f"random, kernels are as far apart with p = {p:.2g} (of this one network)"
    )


def as_csv(table: dict[str, Any], columns: int) -> str:
    """A `kernel_table`, a row a kernel, with its number from 0 and its column (GPU) from 1."""
    table = dict(table)
    line, colours, count = table.pop("line"), table.pop("colour"), len(table["kind"])
    share = -(-count // columns)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*LISTED.split(","), *table, "red", "green", "blue", "line"])
    for number, (row, colour) in enumerate(zip(zip(*table.values(), strict=True), colours, strict=True)):
        writer.writerow([number, number // share + 1, *row, *colour, line])
    return text.getvalue()


def inspect_image(
    net: FeatureNet, words: Sequence[str], image: torch.Tensor, looking: Looking, title: str, path: Path
) -> None:
    """Print the likeliest labels of one image, uint8 (3, side, side), and draw them with what the first rests on."""
    size = net.net.config.input_size
    found = probabilities([net.net], [net.scale], image[None], size).cpu().numpy()
    labels, shares = (part[0] for part in top_labels(found, min(LABELS, found.shape[1])))
    for rank, (label, share) in enumerate(zip(labels, shares, strict=True), 1):
        name = net.classes[label]
        print(f"  {rank}  {100 * share:5.1f}%  {words[label]}" + (f" ({name})" if words[label] != name else ""))
    view = views(image[None], size, "centre")[0]
    pixels = net.scale(view).contiguous(memory_format=torch.channels_last)
    first, square = int(labels[0]), looking.size
    lost = 100 * (float(shares[0]) - occlusion_map(net.net, pixels, first, square, looking.stride))
    print(f"  hiding {square} x {square} pixels takes at most {float(lost.max()):.1f} points from the first")
    evidence = evidence_map(net.net, pixels, first, looking.layer)
    speaks = "1: the most" if evidence.max() > 0 else "nothing speaks for it"
    titled = f"evidence for it in {looking.layer}\n(Grad-CAM; {speaks})"
    maps = {f"points it loses when {square} x {square}\npixels are hidden there": lost, titled: evidence}
    field = looking.field
    places = ((0, square, looking.stride), (field.start, field.size, field.jump))
    extents = {
        name: grid_extent(values.shape, *place) for (name, values), place in zip(maps.items(), places, strict=True)
    }
    named = [words[label] for label in labels]
    save(draw_answer(view[0], named, list(shares), maps, extents, title, {titled: (0.0, 1.0)}), path, DPI)
    print(f"  drawn in {path}", flush=True)
