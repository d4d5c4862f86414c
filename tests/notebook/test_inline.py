"""Figures: readable on white and near-black, told apart without colour, valid inside a page, the same every time."""

from __future__ import annotations

import base64
import io
import itertools
import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from alexnet_lib.errors import SettingError
from alexnet_lib.network.nonlinearities import NONLINEARITIES
from alexnet_lib.notebook import inline, origin, style
from alexnet_lib.notebook.style import FOREGROUND, PALETTE, bar_style_for, style_for

ALT = "ReLU and tanh of x, from -4 to 4"
# How dichromats see linear RGB (Machado, Oliveira, Fernandes 2009, severity 1): deuteranopia, protanopia.
COLOUR_VISION = {
    "usual": np.eye(3),
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}


pytestmark = pytest.mark.usefixtures("book_style")


def drawing(scale: float = 1.0):
    fig, ax = plt.subplots()
    x = np.linspace(-4, 4, 60)
    ax.plot(x, np.tanh(scale * x), label=r"$\tanh(ax)$", **style_for("tanh"))
    ax.bar([0, 1], [1, 2], **bar_style_for("relu"))
    ax.axhline(0.5, color="k")
    ax.set(xlabel="input $x$", ylabel="$f(x)$")
    ax.legend()
    return fig


def svg_of(bundle: dict[str, str]) -> ET.Element:
    return ET.fromstring(re.search(r"<svg.*</svg>", bundle["text/html"], re.S)[0])


def linear(colour: str) -> np.ndarray:
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """WCAG's ratio of the luminances."""
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def cielab(rgb: np.ndarray) -> np.ndarray:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = np.cbrt(xyz / [0.9505, 1, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_contrast_is_computed_as_wcag_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("background", ["#ffffff", "#121212"])
@pytest.mark.parametrize("name", PALETTE)
def test_every_colour_stands_out_from_white_and_near_black(name, background):
    assert contrast(PALETTE[name], background) >= 3


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_colours_stay_apart_for_the_colour_blind(vision):
    seen = [cielab(np.clip(np.array(COLOUR_VISION[vision]) @ linear(c), 0, 1)) for c in PALETTE.values()]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) >= 18


def test_every_nonlinearity_has_a_line_of_its_own_without_colour():
    looks = {name: style_for(name) for name in NONLINEARITIES}
    assert set(NONLINEARITIES) <= set(style.NAMED)
    assert len({look["marker"] for look in looks.values()}) == len(looks)
    assert len({(look["color"], look["linestyle"]) for look in looks.values()}) == len(looks)
    assert len({bar_style_for(name)["hatch"] for name in looks}) == len(looks)
    assert looks["relu"]["color"] == PALETTE["blue"] and looks["tanh"]["color"] == PALETTE["orange"]


def test_other_names_keep_their_style_and_differ_within_the_cycle():
    assert style_for("depth 3") == style_for("depth 3")
    cycle = list(style.cycle())
    assert len({c["marker"] for c in cycle}) == len({str(c["linestyle"]) for c in cycle}) == len(PALETTE)


def test_svg_takes_the_pages_colour_and_leaves_nothing_of_matplotlibs_own():
    bundle = inline.show.bundle(drawing(), alt=ALT, origin="computed")
    page = bundle["text/html"]
    root = svg_of(bundle)
    text = ET.tostring(root, encoding="unicode")
    assert FOREGROUND not in page and "#000000" not in text and "currentColor" in text
    assert root.get("role") == "img" and root.get("aria-label") == ALT and bundle["text/plain"] == ALT
    assert root.get("width") is None and root.get("viewBox") == "0 0 374.4 237.6"
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"style", "metadata", "script", "text"}
    assert "#0077bb" in text and "#dd6611" in text, "the palette's colours stay as they are"


def test_every_reference_in_the_svg_has_its_target_and_every_id_its_user():
    root = svg_of(inline.show.bundle(drawing(), alt=ALT, origin="computed"))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    text = ET.tostring(root, encoding="unicode")
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert len(ids) == len(set(ids)) and set(ids) == used


def test_two_figures_on_a_page_share_no_id_and_the_same_figure_is_the_same_bytes():
    one, two = (inline.show.bundle(drawing(s), alt=ALT, origin="computed") for s in (1.0, 2.0))
    ids = [set(re.findall(r'\bid="([^"]+)"', b["text/html"])) for b in (one, two)]
    assert ids[0] and not ids[0] & ids[1]
    assert inline.show.bundle(drawing(1.0), alt=ALT, origin="computed") == one


def test_numbers_are_short_but_scales_keep_their_digits():
    text = ET.tostring(svg_of(inline.show.bundle(drawing(), alt=ALT, origin="computed")), encoding="unicode")
    drawn = re.findall(r'\sd="([^"]+)"', text)
    assert drawn and not re.search(r"\.\d{3}", " ".join(drawn))
    assert "scale(0.015625)" in text, "glyphs are drawn 64 times too large and scaled down"


def test_still_is_the_figure_on_white():
    bundle = inline.show.bundle(drawing(), alt=ALT, origin="computed")
    still = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).convert("RGB")
    assert still.size == (416, 264) and still.getpixel((2, 2)) == (255, 255, 255)
    assert min(sum(p) for _, p in still.getcolors(1 << 20)) < 60, "text and axes are dark on it"
    assert bundle["image/png"] in bundle["text/html"], "JupyterLab strips the SVG of an untrusted notebook"


def test_figure_is_closed_and_small():
    bundle = inline.show.bundle(drawing(), alt=ALT, origin="computed")
    assert not plt.get_fignums()
    assert len(bundle["text/html"]) < 45_000


@pytest.mark.parametrize("alt", ["", "   ", "a figure", None])
def test_a_figure_without_alternative_text_is_refused(alt):
    with pytest.raises(SettingError, match="say in a sentence what the figure shows"):
        inline.show.bundle(drawing(), alt=alt)


def test_caption_and_alternative_text_cannot_break_the_page():
    bundle = inline.show.bundle(drawing(), alt='a < b & "c" in the plot', caption="x < y", origin="computed")
    assert svg_of(bundle).get("aria-label") == 'a < b & "c" in the plot'
    assert "x &lt; y" in bundle["text/html"] and 'alt="a &lt; b &amp; &quot;c&quot;' in bundle["text/html"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"origin": "computed"}, "computed"),
        ({"origin": "live", "seeds": 1}, "live · 1 seed"),
        ({"origin": "live", "seeds": [3, 4], "data": "CIFAR-10 (JPEG copy)"}, "live · 2 seeds · CIFAR-10 (JPEG copy)"),
        (
            {"origin": "recorded", "seeds": 10, "data": {"name": "CIFAR-10", "stand_in": False}, "records": ["a/b"]},
            "recorded · 10 seeds · CIFAR-10",
        ),
        ({"origin": "recorded", "seeds": 10}, "not yet run"),
    ],
)
def test_origin_line(arguments, line):
    page = inline.show.bundle(drawing(), alt=ALT, **arguments)["text/html"]
    assert f'<span class="an-origin">[{line}]</span>' in page


def test_records_behind_a_figure_are_named():
    bundle = inline.show.bundle(drawing(), alt=ALT, origin="recorded", records=["race/2012", "race/today"])
    assert 'data-record="race/2012 race/today"' in bundle["text/html"]


@pytest.mark.parametrize("arguments", [{"origin": "measured"}, {"origin": "live", "seeds": 0}, {"data": object()}])
def test_unknown_origins_seeds_and_data_are_refused(arguments):
    with pytest.raises(SettingError):
        inline.show.bundle(drawing(), alt=ALT, **arguments)


@pytest.mark.parametrize("data", [{"name": "x", "stand_in": True}, "DRAWN STAND-IN, not CIFAR-10, 20 images"])
@pytest.mark.parametrize("photo", [False, True])
def test_stand_in_is_stamped_in_the_picture_and_named_below(data, photo):
    plain = inline.show.bundle(drawing(), alt=ALT, data="CIFAR-10", photo=photo)
    fig = drawing()
    stamped = inline.show.bundle(fig, alt=ALT, data=data, photo=photo)
    assert "[live · drawn stand-in, not CIFAR-10]" in stamped["text/html"]
    assert [t.get_text() for t in fig.texts] == ["drawn stand-in, not CIFAR-10"]
    assert stamped["image/png"] != plain["image/png"]
    if not photo:
        more = len(list(svg_of(stamped).iter())) - len(list(svg_of(plain).iter()))
        assert more > len("drawnstand-in,notCIFAR-10"), "the stamp's letters are drawn"


def test_live_figures_take_the_sessions_data_and_others_do_not():
    origin.set_live_data({"name": "x", "stand_in": True})
    assert origin.describe("live") == ("live · drawn stand-in, not CIFAR-10", True)
    assert origin.describe("computed") == ("computed", False)
    assert origin.describe("live", data="CIFAR-10") == ("live · CIFAR-10", False)


def test_photo_is_pixels_with_alternative_text():
    bundle = inline.show.bundle(drawing(), alt=ALT, origin="computed", photo=True)
    assert "<svg" not in bundle["text/html"]
    assert re.search(rf'<img class="an-photo" alt="{ALT}" src="data:image/png;base64,', bundle["text/html"])


def test_wide_figures_scroll_in_their_own_box_before_their_text_is_too_small():
    fig, _ = plt.subplots(figsize=(9, 3))
    bundle = inline.show.bundle(fig, alt=ALT, origin="computed")
    assert '<div class="an-scroll" tabindex="0"' in bundle["text/html"], "keys can scroll it"
    assert "tabindex" not in inline.show.bundle(drawing(), alt=ALT, origin="computed")["text/html"]
    svg = svg_of(bundle)
    assert "min-width:518px" in svg.get("style")
    smallest_pixels = 11 / 72 * 96 * 518 / (9 * 96)
    assert smallest_pixels > 8.5


def test_table_values_scopes_alignment_and_text():
    rows = [["ReLU", 4.25, 1234567], ["tanh", 9.125, None]]
    bundle = inline.table.bundle(rows, header=["", "passes", "weights"], caption="A < B", origin="computed")
    table = ET.fromstring(re.search(r"<table>.*</table>", bundle["text/html"])[0])
    assert table.find("caption").text == "A < B [computed]"
    assert [h.get("scope") for h in table.iter("th")] == ["col", "col", "row", "row"]
    cells = [[c.text for c in row] for row in table.find("tbody")]
    assert cells == [["ReLU", "4.25", "1,234,567"], ["tanh", "9.125", "None"]]
    sides = [c.get("style").removeprefix("text-align:") for c in table.find("tbody")[0]]
    assert sides == ["left", "right", "left"], "a column is set right where all its cells are numbers"
    assert bundle["text/plain"].splitlines()[2] == "ReLU  4.25    1,234,567"


@pytest.mark.parametrize(("header", "align"), [(["a", "b"], ""), (["a"], "x"), (["a"], "lr")])
def test_tables_that_do_not_fit_are_refused(header, align):
    with pytest.raises(SettingError):
        inline.table.bundle([[1]], header=header, align=align)


def test_a_table_called_recorded_without_records_says_it_is_not_yet_run():
    assert "[not yet run]" in inline.table.bundle([[1]], header=["a"], origin="recorded")["text/html"]
    with_record = inline.table.bundle([[1]], header=["a"], origin="recorded", records=["race/2012"])["text/html"]
    assert "[recorded]" in with_record and 'data-record="race/2012"' in with_record
