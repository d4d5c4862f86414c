"""Showing figures and tables: one inline SVG that follows the page's text colour, its alternative text, its origin.

`show` and `table` are `nb.show` and `nb.table` in the chapters. What they display has three forms: HTML for the book
and JupyterLab, a still picture on white for what cannot show it, and plain text.
"""

from __future__ import annotations

import base64
import functools
import html
import io
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

from ..errors import SettingError
from ..records import NOT_RUN
from . import origin as origins
from .style import FOREGROUND
from .svg import InlineSvg, inline_svg

P = ParamSpec("P")
STILL_DPI, PHOTO_DPI = 80, 110
SMALLEST_SHRINK = 0.6  # below this, 11-point text is under 9 pixels: the figure scrolls in its own box instead
MOST_GROWTH = 1.15
PHONE = 330  # pixels of text width on a small phone
LONG_CELL = 30  # letters; such a cell gets room, and a narrow screen scrolls

# JupyterLab has no style sheet of the book, and the book's theme puts a light card behind every HTML output in the
# dark scheme: both are set right here. The still is for viewers that strip this style and the SVG.
STYLE = (
    ".an-figure{margin:1em 0;color:var(--jp-content-font-color1,inherit)}"
    ".an-figure svg,.an-figure>img{display:block;width:100%;height:auto}"
    ".an-scroll{overflow-x:auto}"
    ".an-figure figcaption{font-size:.9em;font-weight:400;margin:.3em 0 0;text-align:left;color:inherit}"
    ".an-origin{opacity:.85}"
    ".an-figure .an-still{display:none}"
    ".an-figure img.an-photo{background:#fff;border-radius:4px}"
    ".an-table{margin:1em 0;overflow-x:auto;color:var(--jp-content-font-color1,inherit)}"
    ".an-table table{border-collapse:collapse;margin:0}"
    ".an-table caption{caption-side:top;text-align:left;color:inherit;padding:.2em .6em .4em 0}"
    ".an-table th,.an-table td{padding:.25em .7em;border-bottom:1px solid rgba(128,128,128,.35);background:none;"
    "color:inherit;vertical-align:top}"
    "html .bd-content div.cell_output .text_html:has(>.an-figure,>.an-table)"
    "{background:none!important;color:inherit!important;padding:0!important}"
    "html .bd-content div.cell_output .an-figure img.an-photo{background:#fff;padding:0}"
)


def displays(bundle: Callable[P, dict[str, str]]) -> Callable[P, None]:
    """The function that displays what `bundle` returns, text/html, image/png and text/plain; `.bundle` is that one."""

    @functools.wraps(bundle)
    def displayed(*args: P.args, **settings: P.kwargs) -> None:
        from IPython.display import display

        display(bundle(*args, **settings), raw=True)

    displayed.bundle = bundle
    return displayed


@displays
def show(
    fig: Any,
    *,
    alt: str,
    caption: str = "",
    origin: str = "live",
    seeds: int | Sequence[int] | None = None,
    data: Any = None,
    photo: bool = False,
    records: Sequence[str] = (),
) -> dict[str, str]:
    """Display a matplotlib figure, and close it, with its alternative text and a line on where its numbers come from.

    alt: what the figure shows, for those who cannot see it; at least four words. origin: "live" (computed from
    training in this notebook), "recorded" (from data/recorded) or "computed" (from a formula). seeds: how many, or
    which. data: an ImageSet, session, provenance dict or name; a live figure takes the session's. If it is the drawn
    stand-in, the picture itself says so. photo=True stores pixels (pictures), else line art. records: the
    "experiment/run" of every record the figure is read from. Only with one is a figure "recorded": without, it says
    "not yet run". SettingError: no alternative text, or an unknown origin.

    >>> nb.show(fig, alt="Training error against passes: ReLU reaches 25% in 4, tanh in 9.", seeds=2)
    """
    import matplotlib.pyplot as plt

    alt = checked_alt(alt)
    line, stand_in = origin_line(origin, seeds, data, records)
    if stand_in:
        stamp(fig, line)
    if photo:
        png = still(fig, PHOTO_DPI, colours=None)
        picture = f'<img class="an-photo" alt="{html.escape(alt)}" src="data:image/png;base64,{png}" '
        picture += f'style="max-width:{fig.get_size_inches()[0] * 96:.0f}px">'
    else:
        png = still(fig)
        picture = line_art(inline_svg([fig], alt), png, alt)
    plt.close(fig)
    attributes = 'class="an-figure"' + record_attribute(records)
    return {"text/html": wrap(picture, caption, line, attributes), "image/png": png, "text/plain": alt}


def origin_line(origin: str, seeds: Any, data: Any, records: Sequence[str]) -> tuple[str, bool]:
    """As `origin.describe`; what is "recorded" without a record is not yet run."""
    line, stand_in = origins.describe(origin, seeds, data)
    return origin_or_not_run(origin, line, records), stand_in


def origin_or_not_run(origin: str, line: str, records: Sequence[str]) -> str:
    return NOT_RUN if origin == "recorded" and not records else line


def record_attribute(records: Sequence[str]) -> str:
    """The attribute that names the records behind a figure or table, or nothing."""
    return f' data-record="{html.escape(" ".join(records))}"' if records else ""


def wrap(picture: str, caption: str, origin_line: str, attributes: str = 'class="an-figure"') -> str:
    """The <figure> around a picture: style, caption and origin line; caption is plain text."""
    caption = f"{html.escape(caption)} " if caption else ""
    words = f'{caption}<span class="an-origin">[{html.escape(origin_line)}]</span>'
    return f"<figure {attributes}><style>{STYLE}</style>{picture}<figcaption>{words}</figcaption></figure>"


def line_art(svg: InlineSvg, png: str, alt: str) -> str:
    """The SVG in a box that scrolls only where shrinking would make its text unreadable, and the still beside it."""
    smallest = svg.width * SMALLEST_SHRINK
    size = f"max-width:{svg.width * MOST_GROWTH:.0f}px;min-width:{smallest:.0f}px"
    reach = ' tabindex="0" role="region" aria-label="wide figure, scrolls sideways"' if smallest > PHONE else ""
    body = svg.body.replace("<svg ", f'<svg style="{size}" ', 1)
    return (
        f'<div class="an-scroll"{reach}>{body}</div>'
        f'<img class="an-still" alt="{html.escape(alt)}" src="data:image/png;base64,{png}">'
    )


def checked_alt(alt: str) -> str:
    """The alternative text, one line; SettingError where it is missing or under four words."""
    words = alt.split() if isinstance(alt, str) else []
    if len(words) < 4:
        raise SettingError(f"alt={alt!r}: say in a sentence what the figure shows, for readers who cannot see it")
    return " ".join(words)


def stamp(fig: Any, origin_line: str = origins.STAMP) -> None:
    """Write the origin line's last part, such as "drawn stand-in, not CIFAR-10", across the picture."""
    words = origin_line.rsplit(" · ", 1)[-1]
    fig.text(
        0.5,
        0.5,
        words,
        ha="center",
        va="center",
        rotation=20,
        fontsize=16,
        weight="bold",
        color=FOREGROUND,
        alpha=0.5,
    ).set_in_layout(False)


def still(fig: Any, dpi: int = STILL_DPI, colours: int | None = 32) -> str:
    """The figure as a PNG on white, base64; with few colours, as line art needs no more."""
    from PIL import Image

    out = io.BytesIO()
    fig.savefig(out, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    if colours:
        picture = Image.open(out).convert("RGB").quantize(colours)
        out = io.BytesIO()
        picture.save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


@displays
def table(
    rows: Sequence[Sequence[Any]],
    *,
    header: Sequence[str],
    caption: str = "",
    origin: str = "",
    align: str = "",
    records: Sequence[str] = (),
) -> dict[str, str]:
    """Display a table whose first column names the rows; it scrolls inside its own box on narrow screens.

    Cells are texts or numbers (integers get thousands separators, floats four digits). align: a letter l, c or r for
    each column; without it, columns of numbers are set right. origin: a line under the caption; records: as in `show`.
    SettingError: a row with another number of cells than the header.

    >>> nb.table([["ReLU", 4.2], ["tanh", 9.1]], header=["", "passes to 25%"], caption="Training error")
    """
    for row in rows:
        if len(row) != len(header):
            raise SettingError(f"table row {list(row)!r} has {len(row)} cells, the header {len(header)}")
    align = align or "".join(_usual_alignment([row[i] for row in rows]) for i in range(len(header)))
    if len(align) != len(header) or set(align) - set("lcr"):
        raise SettingError(f"align={align!r}: one of l, c, r for each of the {len(header)} columns")
    texts = [[_cell(value) for value in row] for row in rows]
    origin = origin_or_not_run(origin, origin, records)
    heading = " ".join(part for part in (caption, f"[{origin}]" if origin else "") if part)
    page = _table_html(texts, header, heading, align, record_attribute(records))
    return {"text/html": page, "text/plain": _table_text(texts, header, heading)}


def _table_html(rows, header, heading: str, align: str, attributes: str = "") -> str:
    sides = [{"l": "left", "c": "center", "r": "right"}[letter] for letter in align]

    def cell(tag: str, text: str, side: str, scope: str = "") -> str:
        scope = f' scope="{scope}"' if scope else ""
        room = ";min-width:13em" if len(text) > LONG_CELL else ""
        return f'<{tag}{scope} style="text-align:{side}{room}">{html.escape(text)}</{tag}>'

    head = "".join(
        cell("th", name, side, "col") if name else "<td></td>" for name, side in zip(header, sides, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            cell("td" if i else "th", text, side, "" if i else "row")
            for i, (text, side) in enumerate(zip(row, sides, strict=True))
        )
        + "</tr>"
        for row in rows
    )
    title = f"<caption>{html.escape(heading)}</caption>" if heading else ""
    label = html.escape(heading or "table")
    return (
        f'<div class="an-table" role="region" tabindex="0" aria-label="{label}"{attributes}><style>{STYLE}</style>'
        f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _table_text(rows, header, heading: str) -> str:
    widths = [max(len(text) for text in column) for column in zip(header, *rows, strict=True)]
    lines = ["  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)).rstrip() for row in (header, *rows)]
    return "\n".join([heading, *lines] if heading else lines)


def _usual_alignment(column: list) -> str:
    return "r" if column and all(isinstance(value, (int, float)) for value in column) else "l"


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
