"""Ten classes of drawn, textured, coloured shapes at 32 x 32: what the chapters train on where there is no CIFAR-10.

The class is the shape alone; all else is drawn from a seed, independently of it. A small network needs several passes
over 10,000 of them, as it does over photographs; nothing else about photographs can be read off them.

The same on every machine: the random stream is the one NumPy has frozen (RandomState), and the arithmetic is float32
addition, multiplication, division and square root, which IEEE 754 rounds alike everywhere (no sine, no font).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..errors import DataError

SHAPES = ("disc", "ring", "square", "triangle", "cross", "star", "crescent", "arrow", "letter T", "S-curve")
CLASSES = tuple(f"drawn {shape}" for shape in SHAPES)
COUNTS = {"train": 10_000, "test": 2_000}
SIZE = 32
_SHEET = 200  # images drawn together from one random stream, so that fewer images are the first of more

Field = np.ndarray  # float32, one value a pixel: (images, SIZE, SIZE)


def draw(split: str = "train", n: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (n, 3, 32, 32) and labels int64 (n,): image i is of class i mod 10, so classes are balanced.

    The first images of a seed are the same for every `n`. DataError: an unknown split, n below 1, a negative seed.
    """
    if split not in COUNTS:
        raise DataError(f"split {split!r} is not known: choose 'train' or 'test'")
    n = COUNTS[split] if n is None else n
    if n < 1 or not 0 <= seed < 2**32:
        raise DataError(f"cannot draw {n} images from seed {seed}: both must be whole numbers, n from 1, seed from 0")
    part = tuple(COUNTS).index(split)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        streams = (np.random.RandomState([seed, part, sheet]) for sheet in range(-(-n // _SHEET)))
        pixels = np.concatenate(list(pool.map(_draw_sheet, streams)))[:n]
    return pixels, np.arange(n, dtype=np.int64) % len(CLASSES)


def _draw_sheet(rng: np.random.RandomState) -> np.ndarray:
    """One sheet, uint8 (200, 3, 32, 32): background, clutter, the object, something in front, light, noise."""
    line = (np.arange(SIZE, dtype=np.float32) + np.float32(0.5)) / np.float32(SIZE / 2) - np.float32(1)
    y, x = (np.broadcast_to(axis, (_SHEET, SIZE, SIZE)) for axis in np.meshgrid(line, line, indexing="ij"))
    image = _painted(rng, x, y, *_colour_pairs(rng))
    for _ in range(2):
        image = _over(image, *_fragment(rng, x, y, np.float32(0.85)))
    u, v, size = _placed(rng, x, y)
    cover = _edge(_shapes(u, v), size)
    image = _over(image, cover, _painted(rng, u, v, *_colour_pairs(rng)))
    image = _over(image, *_fragment(rng, x, y, _uniform(rng, 0, 1) < np.float32(0.4)))
    return _exposed(rng, image, x, y)


def _uniform(rng: np.random.RandomState, low: float, high: float, *more: int) -> np.ndarray:
    """float32 (200, *more, 1, 1), one value an image (and channel)."""
    values = rng.random_sample((_SHEET, *more, 1, 1)).astype(np.float32)
    return values * np.float32(high - low) + np.float32(low)


def _turn(rng: np.random.RandomState, x: Field, y: Field, most: float = 1.0) -> tuple[Field, Field]:
    """Turned by an angle whose half has a tangent up to `most` either way: 1 is a quarter turn, 0.2 is 23 degrees."""
    t = _uniform(rng, -most, most)
    cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return cosine * x + sine * y, cosine * y - sine * x


def _placed(rng: np.random.RandomState, x: Field, y: Field) -> tuple[Field, Field, np.ndarray]:
    """Coordinates in which the object is the unit shape, and its size in pixels a unit."""
    size = _uniform(rng, 0.6, 0.9)
    stretch = _uniform(rng, 0.75, 1.0)
    u, v = _turn(rng, x - _uniform(rng, -0.2, 0.2), y - _uniform(rng, -0.2, 0.2), most=0.2)
    return u / size, v / (size * stretch), size * stretch * np.float32(SIZE / 2)


def _edge(inside: Field, size: np.ndarray | float) -> Field:
    """Cover 0 to 1 from a field that is positive inside: the edge is one pixel soft."""
    return np.clip(inside * size + np.float32(0.5), 0, 1)


def _over(image: np.ndarray, cover: Field, paint: np.ndarray) -> np.ndarray:
    """(200, 3, H, W) with `paint` laid over it where `cover` is 1."""
    return image + cover[:, None] * (paint - image)


def _colour_pairs(rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Two colours an image, (200, 3, 1, 1), 0 to 255: the second is the first, moved some way."""
    first, step = _uniform(rng, 15, 240, 3), _uniform(rng, -45, 45, 3)
    return first, first + step


def _painted(rng: np.random.RandomState, x: Field, y: Field, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(200, 3, H, W): each image's two colours mixed by stripes, checks, blotches or a slow slope, at random."""
    u, v = _turn(rng, x, y)
    period = _uniform(rng, 1.0, 3.5)
    a, b = (axis * period + _uniform(rng, 0, 1) for axis in (u, v))
    a, b = (_edge(np.abs(2 * (t - np.floor(t)) - 1) - np.float32(0.5), 4) for t in (a, b))  # triangle waves
    checks = (a - np.float32(0.5)) * (b - np.float32(0.5)) * 2 + np.float32(0.5)
    cells = rng.random_sample((_SHEET, 8, 8)).astype(np.float32)
    blotches = np.repeat(np.repeat(cells, SIZE // 8, axis=1), SIZE // 8, axis=2)
    slope = np.clip(u * np.float32(0.5) + np.float32(0.5), 0, 1)
    kind = np.floor(_uniform(rng, 0, 4))
    mix = np.select([kind == 0, kind == 1, kind == 2], [a, checks, blotches], slope)
    return first + mix[:, None] * (second - first)


def _fragment(rng: np.random.RandomState, x: Field, y: Field, there: np.ndarray | np.float32):
    """Cover and paint of a bar or a blob somewhere: clutter behind the object, or something in front of it."""
    u, v = _turn(rng, x - _uniform(rng, -0.9, 0.9), y - _uniform(rng, -0.9, 0.9))
    long, wide = _uniform(rng, 0.3, 1.0), _uniform(rng, 0.1, 0.35)
    bar = np.minimum(long - np.abs(u), wide - np.abs(v))
    blob = wide - np.sqrt(u * u + v * v)
    inside = np.where(_uniform(rng, 0, 1) < np.float32(0.5), bar, blob)
    return _edge(inside, SIZE / 2) * there, _uniform(rng, 0, 255, 3)


def _exposed(rng: np.random.RandomState, image: np.ndarray, x: Field, y: Field) -> np.ndarray:
    """Light that falls off to one side, then noise in every pixel and channel; rounded to uint8."""
    light = 1 + _uniform(rng, -0.3, 0.3) * x + _uniform(rng, -0.3, 0.3) * y
    strength = _uniform(rng, 3, 16, 1)
    noise = rng.random_sample((2, *image.shape)).astype(np.float32)
    image = image * light[:, None] + strength * (noise[0] + noise[1] - 1) * 2
    return np.clip(np.floor(image + np.float32(0.5)), 0, 255).astype(np.uint8)


def _shapes(u: Field, v: Field) -> Field:
    """Positive inside image i's shape, number i mod 10, negative outside; about the distance from its edge."""
    inside = np.empty_like(u)
    for number, shape in enumerate(_SHAPE_FIELDS):
        inside[number :: len(_SHAPE_FIELDS)] = shape(u[number :: len(_SHAPE_FIELDS)], v[number :: len(_SHAPE_FIELDS)])
    return inside


def _box(u: Field, v: Field, left: float, right: float, top: float, bottom: float) -> Field:
    return np.minimum(np.minimum(u - left, right - u), np.minimum(v - top, bottom - v))


def _radius(u: Field, v: Field) -> Field:
    return np.sqrt(u * u + v * v)


def _triangle(u: Field, v: Field) -> Field:
    return np.minimum(0.6 - v, np.minimum(0.5 * v - 0.87 * u, 0.5 * v + 0.87 * u) + 0.5)


def _star(u: Field, v: Field) -> Field:
    """Inside four of the five half-planes of a pentagon: the second smallest of the five distances."""
    normals = ((0.0, 1.0), (0.951, 0.309), (0.588, -0.809), (-0.588, -0.809), (-0.951, 0.309))
    distances = np.stack([np.float32(0.36) - (np.float32(a) * u + np.float32(b) * v) for a, b in normals])
    return np.sort(distances, axis=0)[1]


def _arrow(u: Field, v: Field) -> Field:
    head = np.minimum(0.05 - v, (v - np.abs(u) + 0.95) * 0.71)
    return np.maximum(head, _box(u, v, -0.2, 0.2, -0.1, 0.95))


def _s_curve(u: Field, v: Field) -> Field:
    """Two open rings, one above the other: the upper one lacks its lower right, the lower one its upper left."""
    upper = np.minimum(0.17 - np.abs(_radius(u, v + 0.4) - 0.4), -np.minimum(u, v + 0.4))
    lower = np.minimum(0.17 - np.abs(_radius(u, v - 0.4) - 0.4), np.maximum(u, v - 0.4))
    return np.maximum(upper, lower)


_SHAPE_FIELDS = (
    lambda u, v: 0.85 - _radius(u, v),
    lambda u, v: 0.2 - np.abs(_radius(u, v) - 0.7),
    lambda u, v: _box(u, v, -0.75, 0.75, -0.75, 0.75),
    _triangle,
    lambda u, v: np.maximum(_box(u, v, -0.22, 0.22, -0.9, 0.9), _box(u, v, -0.9, 0.9, -0.22, 0.22)),
    _star,
    lambda u, v: np.minimum(0.9 - _radius(u, v), _radius(u - 0.4, v) - 0.68),
    _arrow,
    lambda u, v: np.maximum(_box(u, v, -0.8, 0.8, -0.85, -0.4), _box(u, v, -0.22, 0.22, -0.85, 0.9)),
    _s_curve,
)
