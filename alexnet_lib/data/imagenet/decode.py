"""One ImageNet file to a square of pixels, as section 2 says: shorter side to 256, then the central 256 x 256.

What ImageNet really holds, and what is done with it:
- CMYK JPEGs, grey ones, a PNG named JPEG, palettes: turned into RGB by Pillow's `convert("RGB")`; colour profiles are
  not applied and a PNG's transparency is dropped. A grey image gets three equal channels.
- EXIF orientation: counted, and not applied. The 2012 code and torchvision's ImageFolder do not apply it either, and
  the pixels of a few wrongly turned cameras should not differ from theirs.
- Cut-short and otherwise unreadable files: BadImage, with the reason. A JPEG damaged inside, which the decoder can
  read to its end all the same, is not noticed.
The pixels are those of torchvision's Resize(side) and CenterCrop(side) on the same Pillow image, bit for bit.
"""

from __future__ import annotations

import io

from PIL import Image

RESAMPLES = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
MOST_PIXELS = 100_000_000  # of a resized image; a photograph's has under a million
_ORIENTATION = 0x0112


class BadImage(Exception):
    """An image that cannot be used; the message is the reason."""


def square(content: bytes, side: int, resample: str) -> tuple[Image.Image, bool]:
    """A file's bytes as an RGB image of `side` x `side`, and whether its EXIF asks for turning it (it is not turned).

    resample: a key of RESAMPLES; Pillow's filters widen when they shrink an image, so that nothing aliases.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as opened:
            if opened.mode[0] in "IF":
                raise BadImage(f"more than 8 bits a pixel (Pillow's mode {opened.mode}): save it with 8")
            image = opened.convert("RGB") if opened.mode != "RGB" else opened
            image.load()
            turned = "exif" in opened.info and opened.getexif().get(_ORIENTATION, 1) != 1
        image = _resized(image, side, RESAMPLES[resample])
        left, top = (int(round((length - side) / 2.0)) for length in image.size)  # as torchvision's CenterCrop
        return image.crop((left, top, left + side, top + side)), turned
    except (BadImage, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise BadImage("empty file" if not content else "neither a JPEG nor a PNG") from None
    except Exception as error:  # a damaged file can raise almost anything in a decoder
        raise BadImage(f"{error}" or type(error).__name__) from error


def _resized(image: Image.Image, side: int, resample: Image.Resampling) -> Image.Image:
    width, height = image.size
    shorter, longer = sorted(image.size)
    if shorter == side:
        return image
    length = int(side * longer / shorter)  # cut off, not rounded, as torchvision's Resize does
    if side * length > MOST_PIXELS:
        raise BadImage(f"{width} x {height} pixels, too narrow to be brought to a shorter side of {side}")
    return image.resize((side, length) if width <= height else (length, side), resample)
