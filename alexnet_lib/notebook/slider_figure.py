"""The slider figure: frames drawn beforehand, one visible at a time, moved by a range input without kernel or network.

`nb.slider` in the chapters. The frames are one SVG (`notebook.svg`), the script is a few lines inside the output; it
works in the built page, from a file, and in JupyterLab once the notebook is trusted (before, a still picture shows).
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import SettingError
from . import inline
from .svg import InlineSvg, inline_svg

MOST_FRAMES = 60

# Looks for every copy that is not alive yet, since the same output may stand twice on a page (two views of a cell).
SCRIPT = """
document.querySelectorAll('.an-slider[data-key="%s"]:not([data-alive])').forEach(function (box) {
  var range = box.querySelector('input'), out = box.querySelector('output'), svg = box.querySelector('svg');
  var frames = box.querySelectorAll('.an-frame'), texts = JSON.parse(box.querySelector('.an-texts').textContent);
  function move() {
    var n = Number(range.value);
    frames.forEach(function (frame, i) { frame.style.display = i === n ? '' : 'none'; });
    out.textContent = texts[n][0];
    range.setAttribute('aria-valuetext', texts[n][0]);
    svg.setAttribute('aria-label', texts[n][1]);
  }
  box.setAttribute('data-alive', '');
  box.querySelector('.an-controls').style.display = 'flex';
  range.addEventListener('input', move);
  move();
});
"""


@inline.displays
def slider(
    draw: Callable[[Any], Any],
    values: Sequence[Any],
    *,
    label: str,
    alt: str | Callable[[Any], str],
    start: int = 0,
    unit: str = "",
    caption: str = "",
    origin: str = "computed",
    seeds: int | Sequence[int] | None = None,
    data: Any = None,
    records: Sequence[str] = (),
) -> dict[str, str]:
    """Display a figure with a slider over `values`: `draw(value)` returns the matplotlib figure of one position.

    label: what the slider sets. alt: the alternative text, or a function from a value to it. start: the position
    shown first. unit: written after the value. origin, seeds, data, records, caption: as in `show`. All figures must
    have one size. SettingError: fewer than 2 or more than 60 values, a start that is none, no label, no alternative
    text.

    >>> nb.slider(draw, [0.1, 0.5, 1, 2], label="input scale", alt=lambda v: f"tanh of inputs scaled by {v}")
    """
    import matplotlib.pyplot as plt

    values = list(values)
    _check(values, label, start)
    alts = [inline.checked_alt(alt(value) if callable(alt) else alt) for value in values]
    line, stand_in = inline.origin_line(origin, seeds, data, records)
    drawn = [draw(value) for value in values]
    if stand_in:
        for fig in drawn:
            inline.stamp(fig, line)
    png = inline.still(drawn[start])
    svg = inline_svg(drawn, alts[start], start)
    for fig in drawn:
        plt.close(fig)
    texts = [[_text(value, unit), words] for value, words in zip(values, alts, strict=True)]
    picture = inline.line_art(svg, png, alts[start]) + _controls(svg, label, texts, start)
    attributes = f'class="an-figure an-slider" data-key="{svg.key}"' + inline.record_attribute(records)
    plain = f"{alts[start]} (slider: {label} = {texts[start][0]}, of {len(values)} positions)"
    return {"text/html": inline.wrap(picture, caption, line, attributes), "image/png": png, "text/plain": plain}


def _controls(svg: InlineSvg, label: str, texts: list[list[str]], start: int) -> str:
    """Hidden until the script runs, so that a slider that cannot move is never shown.

    The data attribute keeps JupyterLab from taking the arrow keys for its own commands.
    """
    data = json.dumps(texts, ensure_ascii=False).replace("<", "\\u003c")
    return (
        '<div class="an-controls" style="display:none;gap:.6em;align-items:center;flex-wrap:wrap;'
        f'margin:.4em 0;max-width:{svg.width * inline.MOST_GROWTH:.0f}px">'
        f'<label style="flex:1 1 11em;display:flex;gap:.6em;align-items:center">{html.escape(label)}'
        f'<input type="range" min="0" max="{len(texts) - 1}" step="1" value="{start}" autocomplete="off" '
        f'data-lm-suppress-shortcuts="true" aria-valuetext="{html.escape(texts[start][0])}" '
        'style="flex:1 1 8em;min-width:6em"></label>'
        f'<output style="min-width:4em">{html.escape(texts[start][0])}</output></div>'
        f'<script type="application/json" class="an-texts">{data}</script><script>{SCRIPT % svg.key}</script>'
    )


def _check(values: list, label: str, start: int) -> None:
    if not 2 <= len(values) <= MOST_FRAMES:
        raise SettingError(f"a slider needs 2 to {MOST_FRAMES} values, not {len(values)}")
    if not label.strip():
        raise SettingError("label is empty: name what the slider sets")
    if not 0 <= start < len(values):
        raise SettingError(f"start={start} is no position of the slider: choose 0 to {len(values) - 1}")


def _text(value: Any, unit: str) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".strip()
