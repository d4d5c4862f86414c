"""Figure 2 of the paper drawn from any network's description, as a picture that zooms.

Used by "The whole architecture". The zooming picture is SVG with a few lines of script inside the output: a click, a
key or the slider brings a layer near and shows its numbers; without script it is the whole picture, still.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.patches import Polygon

from ..network.alexnet import KERNELS
from ..network.description import Description, LayerRow
from ..notebook import inline, origin
from ..notebook.style import FOREGROUND, PALETTE
from .figure2_layout import TEXT, Stage, extent, labels, lines, near, stages, target

COLOURS = (PALETTE["blue"], PALETTE["orange"])
CROSSING = PALETTE["crimson"]


def numbers_of(described: Description, name: str) -> list[tuple[str, str]]:
    """What the picture says of a layer when it is near: pairs of a label and a value."""
    config = described.config
    if name == "images":
        size = config.input_size
        return [("what", "the pixels minus the mean"), ("numbers", f"3 x {size} x {size} = {3 * size**2:,}")]
    row = described[name]
    shape = " x ".join(f"{n:,}" for n in row.shape)
    pairs = [("what", _kind(described, row)), ("puts out", shape + (f" = {row.outputs:,}" if row.shape[1:] else ""))]
    pairs += [("weights and biases", f"{row.learned:,} ({row.learned / described.learned:.1%})")]
    pairs += [("multiply-adds", f"{row.multiply_adds:,} ({row.multiply_adds / described.multiply_adds:.1%})")]
    pairs += [("one unit sees", f"{row.field.size} x {row.field.size} pixels" if row.field else "the whole image")]
    if config.columns == 2:
        sees = "both columns" if row.exchanges else "its own column" if name != "conv1" else "the images"
        pairs += [("on GPU", described.gpus(row)), ("takes from", sees)]
    after = [step.kind for step in steps_after(described, name)]
    return [*pairs, ("then", ", ".join(after))] if after else pairs


def _sums(described: Description) -> list[tuple[str, str]]:
    sums = (described.neurons, described.learned, described.multiply_adds)
    names = ("neurons", "weights and biases", "multiply-adds")
    return [(name, f"{number:,}") for name, number in zip(names, sums, strict=True)]


def _kind(described: Description, row: LayerRow) -> str:
    if row.name not in KERNELS:
        return f"fully connected, {row.weights // row.outputs:,} inputs to a unit"
    size, stride = KERNELS[row.name]
    inputs = row.weights // row.shape[0] // size**2
    return f"{row.shape[0]} kernels of {size} x {size} x {inputs}, stride {stride}"


def steps_after(described: Description, name: str) -> list[LayerRow]:
    """The rows without weights of a layer's own, up to the next layer."""
    place = [row.name for row in described.rows].index(name) + 1
    rest = described.rows[place:]
    return list(rest[: next((i for i, row in enumerate(rest) if row.has_weights), len(rest))])


@inline.displays
def zooming(described: Description, caption: str = "") -> dict[str, str]:
    """Display Figure 2 for any network (`net.describe()`): click a layer, use Tab and Enter, or the slider, to zoom.

    Two columns one above the other, where there are two; lines that cross between them are dashed and red.
    """
    found = stages(described)
    width, height = extent(described, found)
    alt = alt_of(described)
    texts = [["all layers", _sums(described), [0, 0, width, height]]]
    texts += [[s.name, numbers_of(described, s.name), near(s, width, height)] for s in found]
    body = _svg(found, (width, height), alt)
    data = json.dumps(texts, ensure_ascii=False).replace("<", "\\u003c")
    key = hashlib.sha256((body + data).encode()).hexdigest()[:8]
    png = _still(found, (width, height))
    picture = (
        f'<div class="an-scroll">{body}</div><img class="an-still" alt="{html.escape(alt)}" '
        f'src="data:image/png;base64,{png}">{_controls(len(found))}'
        f'<script type="application/json" class="an-texts">{data}</script><script>{SCRIPT % key}</script>'
    )
    attributes = f'class="an-figure an-zoom" data-key="{key}"'
    line, _ = origin.describe("computed")
    return {"text/html": inline.wrap(picture, caption, line, attributes), "image/png": png, "text/plain": alt}


def alt_of(described: Description) -> str:
    """The picture in words."""
    layers = ", ".join(f"{row.name} {' x '.join(map(str, row.shape))}" for row in described.layers)
    meets = [row.name for row in described.layers if row.exchanges]
    if described.config.columns == 1:
        return f"The network {described.config.name} from left to right, in one column: {layers}."
    return (
        f"The network {described.config.name} from left to right, in two columns: {layers}. "
        f"Lines cross from one column to the other before {', '.join(meets)} only."
    )


def _svg(found: Sequence[Stage], size: tuple[float, float], alt: str) -> str:
    parts = [
        f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" '
        + (f'stroke="{CROSSING}" stroke-dasharray="4 2"/>' if crosses else 'stroke="currentColor" opacity=".6"/>')
        for a, b, crosses in lines(found)
    ]
    for number, stage in enumerate(found, 1):
        inside = "".join(
            f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in face)}" fill="{colour}" '
            f'fill-opacity="{opacity}" stroke="{colour}"/>'
            for box, colour in zip(stage.boxes, COLOURS, strict=False)
            for face, opacity in zip(box.faces(), (0.35, 0.15, 0.25), strict=True)
        )
        inside += "".join(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="{TEXT}"'
            + (' font-weight="bold">' if bold else ">")
            + f"{html.escape(text)}</text>"
            for x, y, text, bold in labels(stage)
        )
        name = html.escape(f"{stage.name}: {', '.join(stage.under)}")
        parts.append(
            f'<g class="an-part" data-at="{number}" role="button" tabindex="0" aria-label="{name}" '
            f'style="cursor:pointer;outline:none"><title>{name}</title>{target(stage)}{inside}</g>'
        )
    return (
        f'<svg viewBox="0 0 {size[0]:g} {size[1]:g}" role="group" aria-label="{html.escape(alt)}" fill="currentColor" '
        f'style="max-width:{size[0] * 1.25:.0f}px;min-width:{size[0] * 0.8:.0f}px;font-family:sans-serif">'
        f"{''.join(parts)}</svg>"
    )


def _still(found: Sequence[Stage], size: tuple[float, float]) -> str:
    fig = plt.figure(figsize=(size[0] / 90, size[1] / 90), layout="none")
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))
    ax.axis("off")
    for a, b, crosses in lines(found):
        ax.plot(
            *zip(a, b, strict=True),
            color=CROSSING if crosses else FOREGROUND,
            ls="--" if crosses else "-",
            lw=0.8,
            marker="",
        )
    for stage in found:
        for box, colour in zip(stage.boxes, COLOURS, strict=False):
            for face in box.faces():
                ax.add_patch(Polygon(face, facecolor=(colour, 0.3), edgecolor=colour))
        for x, y, text, bold in labels(stage):
            ax.text(x, y, text, ha="center", fontsize=8, fontweight="bold" if bold else "normal")
    png = inline.still(fig)
    plt.close(fig)
    return png


def _controls(count: int) -> str:
    """Hidden until the script runs. The list is read out when it changes."""
    return (
        '<div class="an-controls" style="display:none;gap:.6em;align-items:center;flex-wrap:wrap;margin:.4em 0">'
        '<label style="flex:1 1 11em;display:flex;gap:.6em;align-items:center">layer'
        f'<input type="range" min="0" max="{count}" step="1" value="0" autocomplete="off" '
        'data-lm-suppress-shortcuts="true" aria-valuetext="all layers" style="flex:1 1 8em;min-width:6em"></label>'
        '<output style="min-width:5em">all layers</output></div>'
        '<dl class="an-numbers" aria-live="polite" style="display:none;grid-template-columns:max-content 1fr;'
        'column-gap:1em;margin:.4em 0;min-height:11em;align-content:start;font-size:.9em"></dl>'
    )


# Hovering or Tab marks a layer; a click, Enter or Space on it, or the slider, brings it near; the same again goes back.
SCRIPT = """
document.querySelectorAll('.an-zoom[data-key="%s"]:not([data-alive])').forEach(function (box) {
  var range = box.querySelector('input'), out = box.querySelector('output'), svg = box.querySelector('svg');
  var list = box.querySelector('.an-numbers'), parts = box.querySelectorAll('.an-part');
  var texts = JSON.parse(box.querySelector('.an-texts').textContent), seen = texts[0][2].slice(), run = 0;
  var wide = svg.style.minWidth;  // a phone scrolls along the whole picture; a layer brought near fits it
  var still = window.matchMedia && matchMedia('(prefers-reduced-motion: reduce)').matches;
  function mark(n) {
    parts.forEach(function (part, i) { part.style.strokeWidth = i + 1 === n ? 2.5 : ''; });
  }
  function look(to) {
    var from = seen, begun = performance.now(), mine = ++run;
    function frame(now) {
      var t = still ? 1 : Math.max(0, Math.min(1, (now - begun) / 350)), s = t * t * (3 - 2 * t);
      if (mine !== run) return;
      seen = from.map(function (v, i) { return v + (to[i] - v) * s; });
      svg.setAttribute('viewBox', seen.join(' '));
      if (t < 1) requestAnimationFrame(frame);
    }
    frame(begun);
    if (still) return;
    requestAnimationFrame(frame);
  }
  function move() {
    var n = Number(range.value), entry = texts[n];
    out.textContent = entry[0];
    range.setAttribute('aria-valuetext', entry[0]);
    list.textContent = '';
    entry[1].forEach(function (pair) {
      ['dt', 'dd'].forEach(function (kind, i) {
        var element = document.createElement(kind);
        element.textContent = pair[i];
        element.style.margin = 0;
        list.appendChild(element);
      });
    });
    svg.style.minWidth = n ? '0' : wide;
    mark(n);
    look(entry[2]);
  }
  function choose(part) {
    var n = part.getAttribute('data-at');
    range.value = range.value === n ? 0 : n;
    move();
  }
  parts.forEach(function (part) {
    part.addEventListener('click', function () { choose(part); });
    ['mouseenter', 'focus'].forEach(function (kind) {
      part.addEventListener(kind, function () { mark(Number(part.getAttribute('data-at'))); });
    });
    ['mouseleave', 'blur'].forEach(function (kind) {
      part.addEventListener(kind, function () { mark(Number(range.value)); });
    });
    part.addEventListener('keydown', function (event) {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      event.stopPropagation();
      choose(part);
    });
  });
  box.setAttribute('data-alive', '');
  box.querySelector('.an-controls').style.display = 'flex';
  list.style.display = 'grid';
  range.addEventListener('input', move);
  move();
});
"""
