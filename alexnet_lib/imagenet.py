"""ImageNet, prepared once and then read fast: `prepare(src, dst)` and `PreparedImages(dst, split)`.

    python -m alexnet_lib data prepare-imagenet SRC DST

Paper section 2 (shorter side 256, central square, mean image) and 4.1 (colour PCA). What a prepared folder holds:
alexnet_lib.imagenet_store; which sources can be read: alexnet_lib.imagenet_sources; what is done with odd images:
alexnet_lib.imagenet_decode. Taught in "The data".
"""

from __future__ import annotations

from .imagenet_prepare import prepare
from .imagenet_reader import PreparedImages

__all__ = ["PreparedImages", "prepare"]
