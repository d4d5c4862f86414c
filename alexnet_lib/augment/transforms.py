"""Augmentation image by image, as torchvision v2 transforms, for those who feed a network through a DataLoader.

Each is an nn.Module for `v2.Compose`; labels pass through. With the same draws they give the same pixels, bit for bit,
as `augment.AugmentBatch` does for a whole batch. Images are tensors uint8 (3, H, W) (`v2.PILToTensor` makes them).
Paper sections 2 and 4.1; taught in "Crops, reflections and ten views" and "Lighting by principal components".
"""

from __future__ import annotations

from typing import Any

import torch
from torchvision.transforms import v2

from ..errors import SettingError
from .batch import AugmentBatch, Draws
from .color_pca import PCALighting, add_shift
from .crops import PixelScale, centre, draw_windows


class _OneImage(v2.Transform):
    """What the transforms here share: where their random numbers come from, and refusing what is no RGB image.

    generator: a torch.Generator on the CPU. Without it numbers come from torch's own, which a DataLoader seeds anew in
    each worker; a generator of your own would be copied, and give the same draws, in every worker.
    """

    dtypes = (torch.uint8,)

    def __init__(self, generator: torch.Generator | None = None):
        super().__init__()
        self.generator = generator

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        image = next((x for x in flat_inputs if isinstance(x, torch.Tensor) and x.ndim == 3), None)
        if image is None or image.shape[0] != 3 or image.dtype not in self.dtypes:
            found = "no image" if image is None else f"{image.dtype} {tuple(image.shape)}"
            wanted = " or ".join(str(dtype).removeprefix("torch.") for dtype in self.dtypes)
            raise SettingError(f"{type(self).__name__} was given {found}: give a tensor {wanted} (3, H, W)")
        return self.drawn(*image.shape[1:])

    def drawn(self, height: int, width: int) -> dict[str, Any]:
        """The draws for one image of that size, by the names that `transform` takes."""
        return {}


class RandomCropReflect(_OneImage):
    """A random window of `size` x `size`, mirrored left to right with probability one half; bytes stay bytes."""

    def __init__(self, size: int, reflect: bool = True, generator: torch.Generator | None = None):
        super().__init__(generator)
        self.size, self.reflect = size, reflect

    def drawn(self, height: int, width: int) -> dict[str, Any]:
        drawn = draw_windows(1, height, width, self.size, self.reflect, self.generator)
        return {name: value.item() for name, value in zip(("top", "left", "mirrored"), drawn, strict=True)}

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        """uint8 (3, H, W) to (3, size, size) at params["top"], params["left"], params["mirrored"]."""
        top, left = params["top"], params["left"]
        window = inpt[:, top : top + self.size, left : left + self.size]
        return window.flip(2) if params["mirrored"] else window


class MinusMean(_OneImage):
    """Bytes to float32 less the centre of the mean image (`PixelScale`, deviation 1), as in 2012."""

    def __init__(self, scale: PixelScale):
        super().__init__()
        if scale.deviation != 1:
            raise SettingError("MinusMean only subtracts: fit a PixelScale with pixels='0-255', or use Augment")
        self.scale = scale

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        """uint8 (3, H, W) to float32 of the same shape."""
        return inpt.to(torch.float32) - centre(self.scale.mean, *inpt.shape[-2:])


class Lighting(_OneImage):
    """Adds one colour along the principal components, drawn for this image, and divides by `lighting.divide`.

    After `MinusMean`, on float32 of the 0-255 scale; on bytes too where nothing is divided.
    """

    dtypes = (torch.float32, torch.uint8)

    def __init__(self, lighting: PCALighting, generator: torch.Generator | None = None):
        super().__init__(generator)
        self.lighting = lighting

    def drawn(self, height: int, width: int) -> dict[str, Any]:
        return {"alphas": self.lighting.draw(1, self.generator)}

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        """(3, H, W) to float32 of the same shape, shifted by what params["alphas"] (1, 3) stand for."""
        if inpt.dtype == torch.uint8 and self.lighting.divide != 1:
            raise SettingError(
                f"divide {self.lighting.divide} is meant for pixels less their mean: put MinusMean first"
            )
        shift = self.lighting.shifts(params["alphas"])[0, :, None, None]
        return add_shift(inpt.to(torch.float32, copy=True), shift, self.lighting.divide)


class Augment(_OneImage):
    """All of `AugmentBatch` on one image: uint8 (3, H, W) to its dtype, (3, size, size)."""

    def __init__(self, augment: AugmentBatch, generator: torch.Generator | None = None):
        super().__init__(generator)
        self.augment = augment

    def drawn(self, height: int, width: int) -> dict[str, Any]:
        return {"draws": self.augment.draw(1, height, width, self.generator)}

    def transform(self, inpt: torch.Tensor, params: dict[str, Draws]) -> torch.Tensor:
        """params["draws"]: the draws of one image, as `Draws.of` gives them."""
        return self.augment.apply(inpt[None], params["draws"])[0]
