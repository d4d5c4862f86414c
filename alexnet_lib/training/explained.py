"""A recipe as one page: each setting, its value, where the paper speaks of it, and why it is there.

Taught in "Full training". The values are read from the recipes; only sections and reasons are written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from ..errors import SettingError
from .recipes import Recipe

OPEN = "-"  # the paper does not speak of it
# Every field of Recipe but its name, and those of its network that a run depends on: the section, and the reason.
REASONS: dict[str, tuple[str, str]] = {
    "net.input_size": ("3.5", "the side of the crops that the network sees"),
    "net.columns": ("3.2", "two GPUs of 3 GB held what one could not"),
    "net.exchange": ("3.2", "layers that see both columns; at the others nothing crosses"),
    "net.activation": ("3.1", "does not saturate, so it learns sooner"),
    "net.lrn": ("3.3", "neighbouring kernels damp each other"),
    "net.first_padding": (OPEN, "zeros that bring 224 pixels to 55 outputs"),
    "net.blocks": ("3.5", "what follows each convolution, in order"),
    "net.dropout": ("4.2", "without it the network learns its images by heart"),
    "net.dropout_kind": ("4.2", "2012: outputs are halved at test time; inverted: doubled in training"),
    "net.deviations": ("5", "of the starting weights, conv1 to fc8; too small, and the images are not heard"),
    "net.biases": ("5", "at the start, conv1 to fc8; 1 keeps ReLUs open early on"),
    "batch": ("5", "a gradient with little noise, in what two GPUs of 3 GB held"),
    "rate": ("5", "about as high as it goes without diverging"),
    "momentum": ("5", "small steps in one direction add up, steps to and fro cancel"),
    "weight_decay": ("5", "removes weights that no gradient holds; also said to lower the training error"),
    "groups": ("5", "whether biases have a rate and a decay of their own"),
    "passes": ("5", "how long it took until three drops were used up"),
    "schedule": ("5", "a lower rate leaves less noise, once the higher one gains nothing more"),
    "patience": (OPEN, "passes without a new best error that count as no more gain; it was judged by eye"),
    "drops": (OPEN, "the passes after which the rate is divided, where that is by hand"),
    "warmup": (OPEN, "passes over which the rate rises, for large batches"),
    "crops": ("4.1", "many images out of one"),
    "reflect": ("4.1", "twice as many again"),
    "lighting": ("4.1", "shifts colours as illumination does; times the eigenvalue, or its root, the deviation"),
    "lighting_divide": (OPEN, "keeps lit pixels on the old scale"),
    "lighting_until": (OPEN, "the last pass that has it"),
    "mean_at": ("2", "which part of the mean image is taken off a crop"),
    "unit_pixels": ("2", "whether pixels are also divided by their deviation; the starting weights suit 0-255"),
    "smoothing": (OPEN, "a share of each label given to all classes"),
    "dtype": (OPEN, "the type it is computed in; GPUs of today are faster in bfloat16"),
}


def value_of(recipe: Recipe, field: str) -> Any:
    """A field of the recipe, or of its network where the name begins with "net.". SettingError: there is none."""
    inside = field.startswith("net.")
    owner, name = (recipe.net, field.removeprefix("net.")) if inside else (recipe, field)
    if not hasattr(owner, name):
        raise SettingError(f"a recipe has no field {field!r}")
    return getattr(owner, name)


def told(value: Any) -> str:
    """A setting's value in words short enough for a table; runs of one number are counted."""
    if is_dataclass(value):
        return ", ".join(f"{name} {told(part)}" for name, part in asdict(value).items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple) and isinstance(value[0], tuple):
        return "; ".join(" > ".join(part) for part in value)
    if isinstance(value, tuple):
        alike = len(value) > 2 and len(set(value)) == 1
        return f"{len(value)} x {told(value[0])}" if alike else ", ".join(map(told, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def page(recipe: Recipe) -> list[list[str]]:
    """For a table, a row a setting: its name, its value, the paper's section, the reason."""
    return [[field, told(value_of(recipe, field)), *REASONS[field]] for field in REASONS]


def differences(recipes: Mapping[str, Recipe], fields: Iterable[str] = tuple(REASONS)) -> list[list[str]]:
    """For a table, a row a setting in which the recipes are not all alike: its name, and its value in each."""
    rows = [[field, *(told(value_of(recipe, field)) for recipe in recipes.values())] for field in fields]
    return [row for row in rows if len(set(row[1:])) > 1]
