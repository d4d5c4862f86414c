"""What a window that slides over an image gives: how many outputs, which pixels each sees, what lies outside.

The same rules for convolutions and poolings (sections 3.4, 3.5). Taught in "Overlapping pooling" and in "The whole
architecture", where they settle whether the input is 224 or 227 pixels wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..errors import SettingError

ROUNDINGS = {
    "floor": "the last window must lie inside: PyTorch's default, Caffe's convolutions",
    "ceil": "the last window may hang over: the 2012 code, Caffe's poolings without padding",
    "ceil, starting inside": "it may hang over, but not start outside image and left padding: PyTorch's ceil_mode",
}


@dataclass(frozen=True)
class Window:
    """A window of `size` pixels moved by `stride`, over an image with `padding` pixels of nothing on either side.

    `end_padding` is the padding at the right and bottom where it differs; `rounding` is one of ROUNDINGS. In one
    dimension: the other is alike. SettingError for sizes and strides under 1, negative padding, an unknown rounding.
    """

    size: int
    stride: int = 1
    padding: int = 0
    rounding: str = "floor"
    end_padding: int | None = None

    def __post_init__(self) -> None:
        if self.size < 1 or self.stride < 1:
            raise SettingError(f"a window of size {self.size} moved by {self.stride}: both must be 1 or more")
        if self.padding < 0 or (self.end_padding or 0) < 0:
            raise SettingError(f"padding {self.padding}, {self.end_padding}: it cannot be negative")
        if self.rounding not in ROUNDINGS:
            raise SettingError(f"rounding {self.rounding!r} is not known; use one of: {'; '.join(ROUNDINGS)}")

    @property
    def paddings(self) -> tuple[int, int]:
        """Padding before the first pixel and after the last."""
        return self.padding, self.padding if self.end_padding is None else self.end_padding

    def steps(self, image: int) -> Fraction:
        """(image + padding - size) / stride, before it is rounded: how often the window can move."""
        return Fraction(image + sum(self.paddings) - self.size, self.stride)

    def outputs(self, image: int) -> int:
        """How many places the window takes along `image` pixels. SettingError if the image is too small for one."""
        steps = self.steps(image)
        if steps < 0:
            raise SettingError(
                f"a window of {self.size} does not fit into {image} pixels with {sum(self.paddings)} of padding"
            )
        count = 1 + (steps.__floor__() if self.rounding == "floor" else steps.__ceil__())
        if self.rounding == "ceil, starting inside" and (count - 1) * self.stride >= image + self.padding:
            count -= 1
        return count

    def spans(self, image: int) -> list[tuple[int, int]]:
        """First pixel and one past the last, for each place; below 0 and from `image` on lies outside."""
        starts = (place * self.stride - self.padding for place in range(self.outputs(image)))
        return [(start, start + self.size) for start in starts]

    def overhang(self, image: int) -> int:
        """How many pixels the last window reaches beyond the right edge of the image; 0 where it ends inside."""
        return max(0, self.spans(image)[-1][1] - image)

    def unseen(self, image: int) -> int:
        """How many pixels at the right edge no window sees (more may be skipped between them, if stride > size)."""
        return max(0, image - self.spans(image)[-1][1])

    def times_seen(self, image: int) -> list[int]:
        """For each of `image` pixels, by how many windows it is seen."""
        spans = self.spans(image)
        return [sum(start <= pixel < stop for start, stop in spans) for pixel in range(image)]


@dataclass(frozen=True)
class ReceptiveField:
    """What one unit sees: `size` pixels of the image, the first unit from pixel `start` on, the next `jump` further."""

    size: int = 1
    jump: int = 1
    start: int = 0

    def through(self, window: Window) -> ReceptiveField:
        """The field of a unit that looks through `window` at units with this field."""
        return ReceptiveField(
            self.size + (window.size - 1) * self.jump,
            self.jump * window.stride,
            self.start - window.padding * self.jump,
        )


# The ways in which conv1 was made to give 55 x 55 (Q10): who does it, the input's side, the window.
FIRST_LAYERS: tuple[tuple[str, int, Window], ...] = (
    ("the formula, floor", 224, Window(11, 4)),
    ("the 2012 code", 224, Window(11, 4, rounding="ceil")),
    ("3 zeros at right and bottom", 224, Window(11, 4, end_padding=3)),
    ("Caffe: crops of 227", 227, Window(11, 4)),
    ("torchvision: padding 2", 224, Window(11, 4, padding=2)),
)
