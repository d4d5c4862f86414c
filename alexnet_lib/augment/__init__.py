"""Augmentation and pixel scaling, all in one place: `from alexnet_lib.augment import ColorPCA, ten_views`.

On batches of bytes, on the device that holds them: `random_crop_reflect`, `PCALighting`, and all steps of training in
one go, `AugmentBatch`; for tests, `ten_views` and `views`. Image by image, for a DataLoader with torchvision's v2
transforms: alexnet_lib.augment.transforms. Paper sections 2 and 4.1.
"""

from __future__ import annotations

from .batch import AugmentBatch, Draws
from .color_pca import ColorPCA, PCALighting
from .crops import PixelScale, centre, pixel_statistics, random_crop_reflect
from .view_sets import View, ten_views, view_list, views

__all__ = [
    "AugmentBatch",
    "ColorPCA",
    "Draws",
    "PCALighting",
    "PixelScale",
    "View",
    "centre",
    "pixel_statistics",
    "random_crop_reflect",
    "ten_views",
    "view_list",
    "views",
]
