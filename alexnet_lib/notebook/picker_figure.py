"""The picker: a row of small pictures, one of which a reader chooses, and the picture that answers it.

`nb.picker` in the chapters. All answers are drawn beforehand and lie in the page, so that choosing needs neither kernel
nor network; the script is a few lines inside the output. Keys and roles are those of a radio group (ARIA Authoring
Practices): Tab reaches the chosen picture, arrows, Home and End choose another.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import SettingError
from . import inline

MOST = 24
SMALL_SIDE = 56  # pixels of a small picture on the page
DPI, QUALITY = 110, 85  # of the answers, which are photographs

# The chosen picture has a ring; the one with the keyboard's focus has another around it, in the page's text colour.
RINGS = (
    ".an-picks button{padding:0;border:0;background:none;color:inherit;cursor:pointer;border-radius:3px}"
    ".an-picks button[aria-checked=true] img{outline:3px solid #0077bb;border-radius:3px}"
    ".an-picks button:focus-visible{outline:3px solid currentColor;outline-offset:4px}"
)
SCRIPT = """
document.querySelectorAll('.an-picker[data-key="%s"]:not([data-alive])').forEach(function (box) {
  var group = box.querySelector('.an-picks'), picks = Array.from(group.querySelectorAll('button'));
  var answers = box.querySelectorAll('.an-answer');
  function choose(n) {
    picks.forEach(function (pick, i) {
      pick.setAttribute('aria-checked', i === n ? 'true' : 'false');
      pick.tabIndex = i === n ? 0 : -1;
    });
    answers.forEach(function (answer, i) { answer.style.display = i === n ? 'block' : 'none'; });
  }
  box.setAttribute('data-alive', '');
  group.style.display = 'flex';
  picks.forEach(function (pick, i) { pick.addEventListener('click', function () { choose(i); }); });
  group.addEventListener('keydown', function (event) {
    var count = picks.length, now = picks.indexOf(event.target), back = now - 1, on = now + 1;
    var next = {ArrowLeft: back, ArrowUp: back, ArrowRight: on, ArrowDown: on, Home: 0, End: -1}[event.key];
    if (next === undefined || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    next = (next + count) %% count;
    choose(next);
    picks[next].focus();
  });
  choose(%d);
});
"""


@inline.displays
def picker(
    choices: Sequence[np.ndarray],
    draw: Callable[[int], Any],
    *,
    names: Sequence[str],
    label: str,
    alt: Callable[[int], str],
    start: int = 0,
    caption: str = "",
    origin: str = "computed",
    seeds: int | Sequence[int] | None = None,
    data: Any = None,
    records: Sequence[str] = (),
) -> dict[str, str]:
    """Display small pictures to choose from, uint8 (H, W, 3) each, and the answer of one: `draw(number)` returns the
    matplotlib figure of a choice.

    names: of the choices, for those who cannot see them. label: what is chosen. alt: from a number to the alternative
    text of its answer. start: the one shown first. caption, origin, seeds, data, records: as in `show`. SettingError:
    fewer than 2 or more than 24 choices, names that are not as many, a start that is none, no label, no text.

    >>> nb.picker(queries, draw_neighbours, names=classes, label="query", alt=lambda n: f"Near a {classes[n]}.")
    """
    import matplotlib.pyplot as plt

    _check(choices, names, label, start)
    alts = [inline.checked_alt(alt(number)) for number in range(len(choices))]
    line, stand_in = inline.origin_line(origin, seeds, data, records)
    pictures, png, width = [], "", 0.0
    for number in range(len(choices)):
        fig = draw(number)
        if stand_in:
            inline.stamp(fig, line)
        pictures.append(_jpeg(fig))
        width = max(width, 96 * fig.get_size_inches()[0])
        if number == start:
            png = inline.still(fig, inline.PHOTO_DPI, colours=None)
        plt.close(fig)
    small = [_small(choice) for choice in choices]
    key = hashlib.sha256("".join([label, *small, *pictures]).encode()).hexdigest()[:8]
    page = f"<style>{RINGS}</style>" + _picks(small, names, label) + _answers(pictures, alts, start, width)
    page += f"<script>{SCRIPT % (key, start)}</script>"
    attributes = f'class="an-figure an-picker" data-key="{key}"' + inline.record_attribute(records)
    plain = f"{alts[start]} ({label}: {names[start]}, of {len(choices)})"
    return {"text/html": inline.wrap(page, caption, line, attributes), "image/png": png, "text/plain": plain}


def _picks(small: Sequence[str], names: Sequence[str], label: str) -> str:
    """Hidden until the script runs, so that nothing that cannot be chosen is shown.

    The data attribute keeps JupyterLab from taking the arrow keys for its own commands. The padding leaves room for the
    rings, which a box that scrolls would cut off.
    """
    buttons = "".join(
        '<button type="button" role="radio" aria-checked="false" data-lm-suppress-shortcuts="true">'
        f'<img alt="{html.escape(name)}" title="{html.escape(name)}" '
        f'src="data:image/jpeg;base64,{picture}" style="display:block;width:{SMALL_SIDE}px;height:{SMALL_SIDE}px;'
        'max-width:none;margin:0;padding:0;background:none"></button>'
        for picture, name in zip(small, names, strict=True)
    )
    return (
        f'<div class="an-picks" role="radiogroup" aria-label="{html.escape(label)}" style="display:none;gap:11px;'
        f'flex-wrap:wrap;padding:7px;margin:.2em 0">{buttons}</div>'
    )


def _answers(pictures: Sequence[str], alts: Sequence[str], start: int, width: float) -> str:
    """One is shown; a screen reader tells its words when another takes its place."""
    images = "".join(
        f'<img class="an-photo an-answer" alt="{html.escape(words)}" src="data:image/jpeg;base64,{picture}" '
        f'style="max-width:{width:.0f}px;width:100%;height:auto;display:{"block" if number == start else "none"}">'
        for number, (picture, words) in enumerate(zip(pictures, alts, strict=True))
    )
    return f'<div aria-live="polite">{images}</div>'


def _jpeg(fig: Any) -> str:
    from PIL import Image

    drawn = io.BytesIO()
    fig.savefig(drawn, format="png", dpi=DPI, facecolor="white")
    return _encoded(Image.open(drawn).convert("RGB"))


def _small(choice: np.ndarray) -> str:
    from PIL import Image

    return _encoded(Image.fromarray(np.asarray(choice)).convert("RGB").resize((2 * SMALL_SIDE, 2 * SMALL_SIDE)))


def _encoded(image: Any) -> str:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def _check(choices: Sequence, names: Sequence[str], label: str, start: int) -> None:
    if not 2 <= len(choices) <= MOST:
        raise SettingError(f"a picker needs 2 to {MOST} choices, not {len(choices)}")
    if len(names) != len(choices):
        raise SettingError(f"{len(choices)} choices and {len(names)} names: give a name for each")
    if not label.strip():
        raise SettingError("label is empty: name what is chosen")
    if not 0 <= start < len(choices):
        raise SettingError(f"start={start} is no choice: use 0 to {len(choices) - 1}")
