"""Where a figure's numbers come from: live, recorded or computed; how many seeds; which data. One line says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import SettingError

ORIGINS = ("live", "recorded", "computed")
STAMP = "drawn stand-in, not CIFAR-10"
DRAWN = "DRAWN STAND-IN"

_live_data: Any = None


def set_live_data(data: Any) -> None:
    """Remember what "live" figures are made from unless they say otherwise (`nb.setup` calls it)."""
    global _live_data
    _live_data = data


def describe(origin: str, seeds: int | Sequence[int] | None = None, data: Any = None) -> tuple[str, bool]:
    """The origin line, such as "live · 2 seeds · CIFAR-10 (JPEG copy)", and whether the data is the stand-in.

    data: an ImageSet, a session of `nb.setup`, a record's provenance dict, or a name. A live figure without it takes
    the data of the last `nb.setup`. SettingError: an origin other than live, recorded, computed; fewer than one seed.
    """
    if origin not in ORIGINS:
        raise SettingError(f"origin {origin!r} is not known: a figure is one of {', '.join(ORIGINS)}")
    if data is None and origin == "live":
        data = _live_data
    parts = [origin]
    if seeds is not None:
        count = seeds if isinstance(seeds, int) else len(seeds)
        if count < 1:
            raise SettingError(f"seeds={seeds!r}: say how many seeds the figure shows, at least 1, or leave it out")
        parts.append(f"{count} seed" + ("s" if count > 1 else ""))
    name, stand_in = _name(data)
    if name:
        parts.append(name)
    return " · ".join(parts), stand_in


def _name(data: Any) -> tuple[str, bool]:
    if data is None:
        return "", False
    if isinstance(data, str):
        return (STAMP, True) if "stand-in" in data.lower() else (data, False)
    get = data.get if isinstance(data, dict) else lambda key, default=None: getattr(data, key, default)
    name = get("name")
    if get("stand_in"):
        named = name and name.startswith(DRAWN)
        return (name.replace(DRAWN, DRAWN.lower()) if named else STAMP), True
    if not name:
        raise SettingError(f"data={type(data).__name__} has no name: give an ImageSet, a session, a record or a text")
    return name, False
