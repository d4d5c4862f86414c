"""A recipe as one page: each setting, its value, where the paper speaks of it, and why it is there.

Taught in "Full training". The values are read from the recipes, sections and reasons from beside their fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from operator import attrgetter
from typing import Any

from ..network.config import AlexNetConfig
from .recipes import Recipe

# The fields of a recipe and of its network that have a reason, as `--set` names them.
SETTINGS = {
    f"{owner}{one.name}": one.metadata
    for owner, kind in (("net.", AlexNetConfig), ("", Recipe))
    for one in fields(kind)
    if one.metadata
}


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
    return [[name, told(attrgetter(name)(recipe)), one["section"], one["why"]] for name, one in SETTINGS.items()]


def differences(recipes: Mapping[str, Recipe]) -> list[list[str]]:
    """For a table, a row a setting in which the recipes are not all alike: its name, and its value in each."""
    rows = [[name, *(told(attrgetter(name)(recipe)) for recipe in recipes.values())] for name in SETTINGS]
    return [row for row in rows if len(set(row[1:])) > 1]
