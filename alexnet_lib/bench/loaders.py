"""Where batches come from in a bench: torchvision's loader on the image files, and our own feed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader, RandomSampler
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from ..data.imagenet.reader import PreparedImages
from ..errors import DataError, first_line
from ..training.feed import fits
from ..training.recipes import Recipe
from .augment import MinusMeanImage, PlainLighting


def held_place(images: PreparedImages, device: torch.device) -> str | None:
    """Where all the images can be held: on the GPU, or in the memory of a computer without; None: they do not fit."""
    if not fits(images, device):
        return None
    return "device" if device.type == "cuda" else "memory"


def taker(make_pass: Callable[[int], Iterable], batches: int, batch: int) -> Callable[[], int]:
    """Takes so many batches, from pass 0 on in every turn, and returns how many images that were."""

    def run() -> int:
        passes = (make_pass(number) for number in itertools.count())
        for _ in itertools.islice(itertools.chain.from_iterable(passes), batches):
            pass
        return batches * batch

    return run


def their_loader(
    source: Path, images: PreparedImages, recipe: Recipe, workers: int, batches: int | None = None
) -> DataLoader:
    """The usual loader on the original files, with transforms that do what the recipe does.

    batches: how many a pass has (default: as many as the files fill). DataError: of PreparedClasses.
    """
    size, mean = recipe.net.input_size, images.mean_image
    edge = (images.side - size) // 2
    lighting = recipe.make_augmentation(recipe.make_scale(images), images.color_pca, 1).lighting
    chain = [v2.Resize(images.side), v2.CenterCrop(images.side), v2.RandomCrop(size), v2.RandomHorizontalFlip(),
             v2.PILToTensor(), v2.ToDtype(torch.float32),
             MinusMeanImage(mean[:, edge : edge + size, edge : edge + size])]  # fmt: skip
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
            raise DataError(f"--source {source} is no folder of this set's class folders: {first_line(error)}; give "
                            "the training images it was prepared from") from error  # fmt: skip

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """What ImageFolder asks: the classes, and the label of each."""
        return list(self.wanted), {name: label for label, name in enumerate(self.wanted)}


def loader_of(folder: ImageFolder, batch: int, workers: int, batches: int | None = None) -> DataLoader:
    """The usual DataLoader, shuffled, of whole batches; `batches` of them a pass, or as many as the files fill.

    Its workers are begun anew and not forked: a fork would keep all memory of this process as it was, beside what is
    written there meanwhile, which is ten gigabytes in `bench train`.
    """
    sampler = RandomSampler(folder, num_samples=batches * batch if batches else None)
    return DataLoader(folder, batch, sampler=sampler, num_workers=workers, drop_last=True,
                      persistent_workers=workers > 0, multiprocessing_context="spawn" if workers else None,
                      pin_memory=torch.cuda.is_available())  # fmt: skip


def theirs(loader: DataLoader, batches: int, device: torch.device) -> Callable[[], int]:
    """As many batches of that loader, on the device. Its workers stay, but each turn begins a new pass."""

    def make_pass(_: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return ((images.to(device), labels.to(device)) for images, labels in loader)

    return taker(make_pass, batches, loader.batch_size)
