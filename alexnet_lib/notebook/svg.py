"""From matplotlib's SVG to one that can stand inside a page: the page's text colour, no clashing ids, short numbers.

Several drawings of one size (the frames of a slider figure) become one SVG whose equal parts are written once.
"""

from __future__ import annotations

import hashlib
import io
import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass

from ..errors import SettingError
from .style import FOREGROUND, settings

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ET.register_namespace("", SVG)
_NUMBER = re.compile(r"-?\d*\.\d+(?:e-?\d+)?|-?\d+e-?\d+")
_REFERENCE = re.compile(r"(?:url\(#|^#)([^)]+)\)?")
_ROUNDED = ("d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height", "points")
_OWN = "OWN-"  # stands for the prefix of this figure until its content is known
_WORTH_SHARING = 120  # characters; a reference costs about 40


@dataclass(frozen=True)
class InlineSvg:
    """An SVG element for a page. `width`, `height` in CSS pixels as drawn; `key` names this content, 8 letters."""

    body: str
    width: float
    height: float
    key: str


def inline_svg(figures: list, alt: str, start: int = 0) -> InlineSvg:
    """One SVG element for one figure, or for several of one size: <g class="an-frame"> each, only `start` visible.

    SettingError: figures of different sizes.
    """
    sizes = {tuple(figure.get_size_inches()) for figure in figures}
    if len(sizes) != 1:
        raise SettingError(f"the frames of a slider figure must have one size, not {sorted(sizes)} inches")
    width, height = sizes.pop()
    defs: dict[str, ET.Element] = {}
    frames = [_clean(_matplotlib_svg(figure), defs) for figure in figures]
    if len(frames) > 1:
        _share(frames, defs)
        for i, frame in enumerate(frames):
            frame.set("class", "an-frame")
            if i != start:
                frame.set("style", "display:none")
    root = ET.Element(
        _tag("svg"),
        {
            "viewBox": f"0 0 {_short(width * 72)} {_short(height * 72)}",
            "role": "img",
            "aria-label": alt,
            "fill": "currentColor",
            "stroke-linejoin": "round",
            "stroke-linecap": "butt",
        },
    )
    if defs:
        ET.SubElement(root, _tag("defs")).extend(defs[name] for name in sorted(defs))
    root.extend(frames)
    text = ET.tostring(root, encoding="unicode").replace(" />", "/>")
    key = hashlib.sha256(text.encode()).hexdigest()[:8]
    for i, name in enumerate(sorted(defs)):
        text = text.replace(name, f"an{key}-{i}")
    return InlineSvg(text, width * 96, height * 96, key)


def _matplotlib_svg(figure) -> ET.Element:
    import matplotlib as mpl

    out = io.StringIO()
    wanted = settings()
    with mpl.rc_context({name: wanted[name] for name in ("svg.fonttype", "svg.hashsalt")}):
        figure.savefig(out, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    return ET.fromstring(out.getvalue())


def _clean(root: ET.Element, defs: dict[str, ET.Element]) -> ET.Element:
    """The drawing of one matplotlib SVG as a <g>; what it refers to moves into `defs`, named by its content."""
    for element in root.iter():
        _clean_attributes(element)
    names = _gather_definitions(root, defs)
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if "#" in value:
                element.set(name, _REFERENCE.sub(lambda m: m[0].replace(m[1], names.get(m[1], m[1])), value))
        if "id" in element.attrib:
            del element.attrib["id"]
    frame = ET.Element(_tag("g"))
    frame.extend(child for child in root if child.tag not in (_tag("metadata"), _tag("defs")))
    _prune(frame)
    return frame


def _clean_attributes(element: ET.Element) -> None:
    element.text = element.tail = None
    for name, value in list(element.attrib.items()):
        if name == f"{{{XLINK}}}href":
            del element.attrib[name]
            element.set("href", value)
        elif name in _ROUNDED:
            rounded = _NUMBER.sub(lambda m: _short(float(m[0])), value).strip()
            element.set(name, re.sub(r"\s*([A-Za-z])\s*", r"\1", rounded))
        elif name == "transform":
            element.set(name, re.sub(r"(translate|scale|rotate|matrix)\(([^)]*)\)", _short_transform, value))
        elif name == "style":
            element.set(name, _foreground(re.sub(r"\s*([:;])\s*", r"\1", value)))


def _foreground(style: str) -> str:
    """The sentinel, and black lines, take the page's colour; matplotlib leaves black fills out, so they inherit it."""
    return style.replace(FOREGROUND, "currentColor").replace("stroke:#000000", "stroke:currentColor")


def _gather_definitions(root: ET.Element, defs: dict[str, ET.Element]) -> dict[str, str]:
    names = {}
    for holder in list(root.iter(_tag("defs"))):
        for element in list(holder):
            old = element.attrib.pop("id", None)
            if element.tag == _tag("style") or old is None:
                continue  # matplotlib's "* {stroke-linejoin…}" would style the whole page: the root carries it
            for inner in element.iter():
                inner.attrib.pop("id", None)
            digest = hashlib.sha256(ET.tostring(element)).hexdigest()[:8]
            names[old] = f"{_OWN}{digest}"
            element.set("id", names[old])
            defs[names[old]] = element
        holder.clear()
    return names


def _prune(element: ET.Element) -> None:
    """Take out what draws nothing: empty groups, groups around one thing, shapes without line and fill."""
    for child in list(element):
        _prune(child)
        group = child.tag in (_tag("g"), _tag("defs"))
        if group and len(child) == 0 or child.get("style") == "fill:none":
            element.remove(child)
        elif group and len(child) == 1 and not child.attrib:
            element[list(element).index(child)] = child[0]


def _share(frames: list[ET.Element], defs: dict[str, ET.Element]) -> None:
    """Write what appears in more than one frame once, in `defs`, largest parts first."""
    seen = Counter(ET.tostring(element) for frame in frames for element in frame.iter() if element is not frame)

    def replace(parent: ET.Element) -> None:
        for i, child in enumerate(list(parent)):
            text = ET.tostring(child)
            if seen[text] > 1 and len(text) > _WORTH_SHARING:
                name = f"{_OWN}{hashlib.sha256(text).hexdigest()[:8]}"
                if name not in defs:
                    child.set("id", name)
                    defs[name] = child
                parent[i] = ET.Element(_tag("use"), {"href": f"#{name}"})
            else:
                replace(child)

    for frame in frames:
        replace(frame)


def _short_transform(match: re.Match) -> str:
    digits = 2 if match[1] == "translate" else 6
    return f"{match[1]}({_NUMBER.sub(lambda m: _short(float(m[0]), digits), match[2])})"


def _short(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _tag(name: str) -> str:
    return f"{{{SVG}}}{name}"
