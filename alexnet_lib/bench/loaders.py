"""Where batches come from in a bench: our own feed, torchvision's loader on the image files, or its JPEG decoder.

torchvision calls its decoders, on the cores and on the GPU (nvJPEG), deprecated since 0.29, in favour of TorchCodec's;
they are measured because they need nothing more installed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.utils.data import DataLoader, RandomSampler
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ..data.imagenet.reader import PreparedImages
from ..errors import DataError, first_line
from ..system.ahead import ahead
from ..training.feed import fits
from ..training.recipes import Recipe
from ..training.seeds import Order
from .augment import MinusMeanImage, PlainLighting
from .frame import each

PLACES = ("the cores", "the GPU")


def held_place(images: PreparedImages, device: torch.device) -> str | None:
    """Where all the images can be held: on the GPU, or in the memory of a computer without; None: they do not fit."""
    if not fits(images, device):
        return None
    return "device" if device.type == "cuda" else "memory"


def taker(make_pass: Callable[[int], Iterable], batches: int, batch: int) -> Callable[[], int]:
    """A contestant: takes so many batches, from pass 0 on in every turn."""
    passes = itertools.chain.from_iterable
    return each(lambda _: None, lambda: itertools.islice(passes(map(make_pass, itertools.count())), batches), batch)


def their_loader(
    source: Path, images: PreparedImages, recipe: Recipe, workers: int, batches: int | None = None
) -> DataLoader:
    """The usual loader on the original files, with transforms that do what the recipe does.

    batches: how many a pass has (default: as many as the files fill). DataError: of PreparedClasses.
    """
    size, mean = recipe.net.input_size, images.mean_image
    edge = (images.side - size) // 2
    lighting = recipe.make_augmentation(recipe.make_scale(images), images.color_pca, 1).lighting
    chain = [
        v2.Resize(images.side),
        v2.CenterCrop(images.side),
        v2.RandomCrop(size),
        v2.RandomHorizontalFlip(),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32),
        MinusMeanImage(mean[:, edge : edge + size, edge : edge + size]),
    ]
    chain += [PlainLighting(lighting)] if lighting else []
    return loader_of(PreparedClasses(source, images, v2.Compose(chain)), recipe.batch, workers, batches)


class PreparedClasses(ImageFolder):
    """torchvision's ImageFolder of the classes of a prepared set, with its labels; other folders are left out.

    DataError: a class without images, or a folder that is not there.
    """

    def __init__(self, source: Path, images: PreparedImages, transform: Callable | None = None):
        self.wanted = images.classes
        try:
            super().__init__(source, transform)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(
                f"--source {source} is no folder of this set's class folders: {first_line(error)}; give "
                "the training images it was prepared from"
            ) from error

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """What ImageFolder asks: the classes, and the label of each."""
        return list(self.wanted), {name: label for label, name in enumerate(self.wanted)}


def loader_of(folder: ImageFolder, batch: int, workers: int, batches: int | None = None) -> DataLoader:
    """The usual DataLoader, shuffled, of whole batches; `batches` of them a pass, or as many as the files fill.

    Its workers are begun anew and not forked: a fork would keep all memory of this process as it was, beside what is
    written there meanwhile, which is ten gigabytes in `bench train`.
    """
    sampler = RandomSampler(folder, num_samples=batches * batch if batches else None)
    return DataLoader(
        folder,
        batch,
        sampler=sampler,
        num_workers=workers,
        drop_last=True,
        persistent_workers=workers > 0,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=torch.cuda.is_available(),
    )


def theirs(loader: DataLoader, batches: int, device: torch.device) -> Callable[[], int]:
    """As many batches of that loader, on the device. Its workers stay, but each turn begins a new pass."""
    return taker(
        lambda _: ((images.to(device), labels.to(device)) for images, labels in loader), batches, loader.batch_size
    )


def decoded(
    files: PreparedClasses,
    images: PreparedImages,
    recipe: Recipe,
    batches: int,
    device: torch.device,
    threads: int,
    place: str,
) -> Callable[[], int]:
    """A contestant: makes so many batches on `device`, decoded on a place in PLACES: each image is brought to the
    prepared size and its centre cut out, and whole batches are then augmented as for prepared images."""
    order = Order(len(files), recipe.batch, seed=0)
    augment = recipe.make_augmentation(recipe.make_scale(images).to(device), images.color_pca, 1)
    pool = ThreadPoolExecutor(max(1, threads))

    def make_pass(number: int) -> Iterator[torch.Tensor]:
        for numbers in order.numbers(number).tolist():
            paths = [Path(files.samples[i][0]) for i in numbers]
            pixels = read(paths, images.side, device if place == "the GPU" else torch.device("cpu"), pool)
            yield augment(pixels.to(device, memory_format=torch.channels_last))

    return taker(lambda number: ahead(make_pass(number)), batches, recipe.batch)


def read(paths: Sequence[Path], side: int, device: torch.device, pool: ThreadPoolExecutor) -> torch.Tensor:
    """These files' images, decoded and cut on that device: uint8 (n, 3, side, side). DataError: one that is no JPEG."""
    if device.type == "cpu":
        return torch.stack(list(pool.map(lambda path: cut(_decode(path), side), paths)))
    stored = list(pool.map(lambda path: read_file(str(path)), paths))
    try:
        made = decode_jpeg(stored, ImageReadMode.RGB, device=device)
    except RuntimeError as error:
        raise DataError(f"one of {paths[0]} … {paths[-1]} cannot be decoded: {first_line(error)}") from error
    return torch.stack([cut(image, side) for image in made])


def _decode(path: Path) -> torch.Tensor:
    try:
        return decode_jpeg(read_file(str(path)), ImageReadMode.RGB)
    except RuntimeError as error:
        raise DataError(f"{path} cannot be decoded by torchvision: {first_line(error)}") from error


def cut(image: torch.Tensor, side: int) -> torch.Tensor:
    """The shorter side brought to `side`, and the centre: uint8 (3, side, side)."""
    return functional.center_crop(functional.resize(image, [side], antialias=True), [side, side])
