"""Files as no program of ours wrote them, for hypothesis: any JSON, and a good document with a part replaced."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def ways(document: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys that lead to each part of a document of JSON, and to the whole."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [way, *(each for key, item in inner for each in ways(item, (*way, key)))]


@st.composite
def edited(draw: st.DrawFn, document: dict[str, Any]) -> Any:
    """The document with one part of it replaced by other JSON, or left out."""
    made = copy.deepcopy(document)
    *before, last = draw(st.sampled_from(ways(made)[1:]))
    inner = made
    for key in before:
        inner = inner[key]
    if draw(st.booleans()):
        inner[last] = draw(JSON)
    else:
        del inner[last]
    return made
