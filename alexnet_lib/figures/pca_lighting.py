"""Figures of "Lighting by principal components": colours in their cube, sliders for three alphas.

The alphas' figure is SVG with a few lines of script inside the output: a filter adds the drawn colour in the browser,
without kernel or network; without script it is the photographs as they are.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ..augment.color_pca import ColorPCA, PCALighting
from ..errors import SettingError
from ..notebook import inline, origin
from ..notebook.style import FOREGROUND, PALETTE
from .data import as_bytes, draw_pictures

AXES_LOOK = (("crimson", "-"), ("blue", "--"), ("teal", ":"))
CORNERS = {(0, 0, 0): "black", (1, 1, 1): "white", (1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue"}
SIDE = 176  # of a photograph with sliders, in CSS pixels
MOST_ALPHA = 0.3  # three deviations of the paper's


def draw_cloud(pixels: torch.Tensor, pca: ColorPCA, angle: float, reach: float = 2.0) -> Figure:
    """Colours in the cube of red, green and blue, black below and white above, turned by `angle` degrees around grey.

    pixels: uint8 (n, 3), a point each in its own colour. The three axes of `pca` go through their mean, `reach`
    deviations to both sides.
    """
    across = _across(angle)
    fig, ax = plt.subplots(figsize=(4.6, 4.4))
    corners = [np.array(corner) for corner in product((0.0, 1.0), repeat=3)]
    for one, other in combinations(corners, 2):
        if np.abs(one - other).sum() == 1:
            ax.plot(*zip(across @ one, across @ other, strict=True), color=FOREGROUND, ls="-", lw=0.6, marker="")
    colours = pixels.numpy() / 255
    ax.scatter(*(colours @ across.T).T, c=colours, s=9, linewidths=0)
    centre = colours.mean(0)
    for number, (name, dash) in enumerate(AXES_LOOK):
        half = reach * pca.deviations[number].item() / 255 * pca.eigenvectors[:, number].numpy()
        ends = [across @ (centre - half), across @ (centre + half)]
        ax.plot(*zip(*ends, strict=True), color=PALETTE[name], ls=dash, lw=3, marker="", label=f"axis {number + 1}")
    for corner, name in CORNERS.items():
        x, y = across @ np.array(corner, dtype=float)
        ax.text(x, y + (0.05 if y > 1.0 else -0.11), name, ha="center", fontsize=10)
    ax.set(
        xlim=(-1, 1),
        xticks=(-0.5, 0, 0.5),
        ylim=(-0.2, 1.9),
        aspect="equal",
        ylabel="brightness, (r + g + b) / (255 √3)",
    )
    ax.set_xlabel("across the grey axis, parts of 255")
    ax.legend(loc="lower right", fontsize=9)
    ax.grid(False)
    return fig


def _across(angle: float) -> np.ndarray:
    """(2, 3): from a colour to where it is seen, with grey upright."""
    first, second = np.array([1, -1, 0]) / 2**0.5, np.array([1, 1, -2]) / 6**0.5
    turn = np.deg2rad(angle)
    return np.stack([np.cos(turn) * first + np.sin(turn) * second, np.ones(3) / 3**0.5])


@inline.displays
def alpha_sliders(
    images: torch.Tensor, lightings: Mapping[str, PCALighting], caption: str = "", data: Any = None
) -> dict[str, str]:
    """Display photographs with a slider for each alpha, and a choice of lighting where there are several.

    images: uint8 (n, 3, H, W), a few; lightings: {what the choice is called: lighting}. The colour that the alphas
    stand for is added in the browser, and what leaves 0 to 255 is cut off. SettingError without images or lightings.
    """
    if not len(images) or not lightings:
        raise SettingError("give at least one photograph and one lighting")
    alt = f"{len(images)} photographs, to which a colour along three axes is added by sliders."
    axes = {name: _colours(one) for name, one in lightings.items()}
    texts = json.dumps(axes, ensure_ascii=False).replace("<", "\\u003c")
    pictures = [_jpeg(image) for image in images]
    key = hashlib.sha256((texts + "".join(pictures)).encode()).hexdigest()[:8]
    width = len(images) * (SIDE + 8) - 8
    placed = "".join(
        f'<image x="{number * (SIDE + 8)}" y="0" width="{SIDE}" height="{SIDE}" href="data:image/jpeg;base64,{one}"/>'
        for number, one in enumerate(pictures)
    )
    channels = "".join(f'<feFunc{c} type="linear" slope="1" intercept="0"/>' for c in "RGB")
    body = (
        f'<svg viewBox="0 0 {width} {SIDE}" role="img" aria-label="{html.escape(alt)}" '
        f'style="max-width:{width}px"><defs><filter x="0" y="0" width="1" height="1" '
        f'color-interpolation-filters="sRGB"><feComponentTransfer>{channels}</feComponentTransfer></filter></defs>'
        f"<g>{placed}</g></svg>"
    )
    fig = draw_pictures(images, columns=len(images), width=0.95)
    png = inline.still(fig, inline.PHOTO_DPI, colours=None)
    plt.close(fig)
    picture = (
        f'{body}<img class="an-still" alt="{html.escape(alt)}" src="data:image/png;base64,{png}">'
        f"{_controls(list(axes), width)}"
        f'<script type="application/json" class="an-texts">{texts}</script><script>{SCRIPT % (key, key)}</script>'
    )
    line, _ = origin.describe("computed", data=data)
    attributes = f'class="an-figure an-alphas" data-key="{key}"'
    return {"text/html": inline.wrap(picture, caption, line, attributes), "image/png": png, "text/plain": alt}


def _colours(lighting: PCALighting) -> list[list[float]]:
    """What an alpha of 1 adds along each axis: three colours, in grey levels."""
    return [[round(value, 3) for value in axis] for axis in lighting.shifts(torch.eye(3)).tolist()]


def _jpeg(image: torch.Tensor) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(as_bytes(image)).resize((SIDE, SIDE)).save(out, "JPEG", quality=85)
    return base64.b64encode(out.getvalue()).decode()


def _controls(names: Sequence[str], width: int) -> str:
    """Hidden until the script runs; the data attribute keeps JupyterLab from taking the arrow keys."""
    row = 'style="display:flex;gap:.6em;align-items:center;flex-wrap:wrap"'
    sliders = "".join(
        f'<label {row}>alpha {number}<input type="range" min="{-MOST_ALPHA}" max="{MOST_ALPHA}" step="0.02" value="0" '
        f'autocomplete="off" data-lm-suppress-shortcuts="true" style="flex:1 1 8em;min-width:6em">'
        '<output style="min-width:4em">0</output></label>'
        for number in (1, 2, 3)
    )
    options = "".join(f"<option>{html.escape(name)}</option>" for name in names)
    return (
        f'<div class="an-controls" style="display:none;margin:.5em 0;max-width:{width}px">{sliders}'
        f'<div {row}><label>strength <select data-lm-suppress-shortcuts="true">{options}</select></label>'
        '<button type="button">draw three</button><button type="button">back to 0</button></div>'
        '<p class="an-added" aria-live="polite" style="margin:.3em 0;font-size:.9em"></p></div>'
    )


SCRIPT = """
document.querySelectorAll('.an-alphas[data-key="%s"]:not([data-alive])').forEach(function (box) {
  var axes = JSON.parse(box.querySelector('.an-texts').textContent), select = box.querySelector('select');
  var ranges = box.querySelectorAll('input'), outs = box.querySelectorAll('output');
  var filters = 'RGB'.split('').map(function (c) { return box.querySelector('feFunc' + c); });
  var buttons = box.querySelectorAll('button'), said = box.querySelector('.an-added');
  function move() {
    var colours = axes[select.value], words = [];
    ranges.forEach(function (range, i) { outs[i].textContent = Number(range.value).toFixed(2); });
    ['red', 'green', 'blue'].forEach(function (name, c) {
      var added = 0;
      ranges.forEach(function (range, i) { added += Number(range.value) * colours[i][c]; });
      filters[c].setAttribute('intercept', added / 255);
      words.push(name + ' ' + (added < 0 ? '\\u2212' : '+') + Math.abs(added).toFixed(1));
    });
    said.textContent = 'added to every pixel, in grey levels: ' + words.join(', ');
  }
  function normal() {
    return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  }
  function set(value) {
    ranges.forEach(function (range) { range.value = value(); });
    move();
  }
  // Named here and not in the page: the same output may stand there twice.
  var filter = box.querySelector('filter');
  filter.id = 'an%s-' + document.querySelectorAll('.an-alphas[data-alive]').length;
  box.querySelector('g').setAttribute('filter', 'url(#' + filter.id + ')');
  box.setAttribute('data-alive', '');
  box.querySelector('.an-controls').style.display = 'block';
  ranges.forEach(function (range) { range.addEventListener('input', move); });
  select.addEventListener('change', move);
  buttons[0].addEventListener('click', function () { set(function () { return 0.1 * normal(); }); });
  buttons[1].addEventListener('click', function () { set(function () { return 0; }); });
  move();
});
"""
