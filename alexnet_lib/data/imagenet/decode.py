"""One ImageNet file to a square of pixels, as section 2 says: shorter side to 256, then the central 256 x 256.

What ImageNet really holds, and what is done with it:
- CMYK JPEGs, grey ones, a PNG named JPEG, palettes: turned into RGB by Pillow's `convert("RGB")`; colour profiles are
  not applied and a PNG's transparency is dropped. A grey image gets three equal channels. Of an animation the first
  picture is taken.
- EXIF orientation: counted, and not applied (but to a reader's own photographs, by `photograph`). The 2012 code and
  torchvision's ImageFolder do not apply it either, and the pixels of a few wrongly turned cameras should not differ
  from theirs.
- Cut-short and otherwise unreadable files: BadImage, with the reason. A JPEG damaged inside, which the decoder can
  read to its end all the same, is not noticed.
The pixels are those of torchvision's Resize(side) and CenterCrop(side) on the same Pillow image, bit for bit.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps

from ...errors import first_line
from ..listing import FORMATS, MOST_BYTES, is_regular, why_no_file

RESAMPLES = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
MOST_PIXELS = 100_000_000  # of an image as it is stored, and resized; a photograph's of today has 50 million
FEW_PIXELS, MOST_A_BYTE = 10_000_000, 500  # above so many pixels a file must have its bytes: photographs have 20 a byte
TURNED, ON_WHITE = "turned as its EXIF asks", "transparent parts on white"
_ORIENTATION = 0x0112


class BadImage(Exception):
    """An image that cannot be used; the message is the reason."""


def square(content: bytes, side: int, resample: str) -> tuple[Image.Image, bool]:
    """A file's bytes as an RGB image of `side` x `side`, and whether its EXIF asks for turning it (it is not turned).

    resample: a key of RESAMPLES; Pillow's filters widen when they shrink an image, so that nothing aliases.
    """
    with _as_bad_image(content):
        image, notes = _rgb(content)
        return _cut(image, side, resample), TURNED in notes


def photograph(content: bytes, side: int | None = None, own: bool = True) -> tuple[Image.Image, tuple[str, ...]]:
    """A photograph in RGB, as a square if a side is given (bilinear); and what was done to it: a reader's own is turned
    as its EXIF asks, and its transparent parts are laid on white."""
    with _as_bad_image(content):
        image, notes = _rgb(content, own)
        return image if side is None else _cut(image, side, "bilinear"), notes if own else ()


def content_of(path: Path) -> bytes:
    """A photograph's file. BadImage: it is none that can be read to its end, or is larger than any photograph."""
    if not is_regular(path):
        raise BadImage(why_no_file(path))
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise BadImage(f"{size:,} bytes are no photograph")
        return path.read_bytes()
    except OSError as error:
        raise BadImage(first_line(error)) from error


@contextmanager
def _as_bad_image(content: bytes) -> Iterator[None]:
    try:
        yield
    except (BadImage, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise BadImage("empty file" if not content else "no image of a kind that is read") from None
    except Exception as error:  # a damaged file can raise almost anything in a decoder
        raise BadImage(first_line(error)) from error


def _rgb(content: bytes, own: bool = False) -> tuple[Image.Image, tuple[str, ...]]:
    with Image.open(io.BytesIO(content), formats=tuple(FORMATS)) as opened:
        if opened.mode[0] in "IF":
            raise BadImage(f"more than 8 bits a pixel (Pillow's mode {opened.mode}): save it with 8")
        if opened.width * opened.height > MOST_PIXELS:
            raise BadImage(f"{opened.width} x {opened.height} pixels, more than {MOST_PIXELS:,}: save it smaller")
        if opened.width * opened.height > max(FEW_PIXELS, MOST_A_BYTE * len(content)):
            raise BadImage(f"{opened.width} x {opened.height} pixels in {len(content):,} bytes are no photograph")
        asks = opened.getexif().get(_ORIENTATION, 1) if "exif" in opened.info else 1
        if not own:
            image = opened.convert("RGB") if opened.mode != "RGB" else opened
            image.load()
            return image, (TURNED,) if asks != 1 else ()
        image, notes = ImageOps.exif_transpose(opened), (TURNED,) if asks in range(2, 9) else ()
        if not image.has_transparency_data:
            return image.convert("RGB"), notes
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB"), (ON_WHITE, *notes)


def _cut(image: Image.Image, side: int, resample: str) -> Image.Image:
    image = _resized(image, side, RESAMPLES[resample])
    left, top = (int(round((length - side) / 2.0)) for length in image.size)  # as torchvision's CenterCrop
    return image.crop((left, top, left + side, top + side))


def check_narrow(image: Image.Image, side: int) -> None:
    """BadImage: brought to a shorter side of `side`, it would have more than MOST_PIXELS."""
    shorter, longer = sorted(image.size)
    if side * side * longer > MOST_PIXELS * shorter:
        raise BadImage(f"{image.width} x {image.height} pixels, too narrow to be brought to a shorter side of {side}")


def _resized(image: Image.Image, side: int, resample: Image.Resampling) -> Image.Image:
    width, height = image.size
    shorter, longer = sorted(image.size)
    if shorter == side:
        return image
    length = int(side * longer / shorter)  # cut off, not rounded, as torchvision's Resize does
    check_narrow(image, side)
    return image.resize((side, length) if width <= height else (length, side), resample)
