"""The slider figure: one frame visible, moved by mouse and keys, from a file, without a network, in both schemes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
from built_pages import opened_on_a_phone

from alexnet_lib.errors import SettingError
from alexnet_lib.notebook import inline, style
from alexnet_lib.notebook.slider_figure import slider

ALT = "tanh of x, from -4 to 4"


pytestmark = pytest.mark.usefixtures("book_style")


def draw(scale: float):
    fig, ax = plt.subplots()
    x = np.linspace(-4, 4, 200)
    ax.plot(x, np.tanh(scale * x), **style.style_for("tanh"))
    ax.set(xlabel="input $x$", ylabel="output", ylim=(-1.1, 1.1))
    return fig


def make(values=(0.5, 1.0, 2.0), **options) -> dict[str, str]:
    options = {"label": "input scale", "alt": lambda v: f"tanh of x scaled by {v}", "start": 1, **options}
    return slider.bundle(draw, list(values), **options)


def frames_of(bundle: dict[str, str]) -> list[ET.Element]:
    root = ET.fromstring(re.search(r"<svg.*?</svg>", bundle["text/html"], re.S)[0])
    return [element for element in root.iter() if element.get("class") == "an-frame"]


def test_one_frame_for_each_value_and_only_the_start_visible():
    frames = frames_of(make())
    assert [frame.get("style") for frame in frames] == ["display:none", None, "display:none"]
    assert len({ET.tostring(frame) for frame in frames}) == 3


def test_what_frames_share_is_written_once_and_draws_the_same():
    bundle = make()
    page = bundle["text/html"]
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) and set(ids) == set(re.findall(r'(?:href="#|url\(#)([^")]+)', page))
    alone = inline.show.bundle(draw(1.0), alt=ALT, origin="computed")["text/html"]
    single, several = (len(re.search(r"<svg.*?</svg>", p, re.S)[0]) for p in (alone, page))
    assert several < 2.2 * single, "three frames cost less than three figures"


def test_twenty_frames_stay_small():
    bundle = make(np.linspace(0.1, 3, 20).tolist())
    assert len(bundle["text/html"]) < 150_000


def test_still_and_text_are_of_the_start():
    bundle = make()
    assert bundle["image/png"] == inline.still(draw(1.0))
    assert bundle["text/plain"] == "tanh of x scaled by 1.0 (slider: input scale = 1, of 3 positions)"


def test_a_recorded_slider_names_its_records_or_says_that_there_are_none():
    named = make(origin="recorded", records=["kernels/one"])["text/html"]
    assert 'data-record="kernels/one"' in named and "[recorded]" in named
    assert "[not yet run]" in make(origin="recorded")["text/html"]


def test_output_is_the_same_every_time_and_ids_differ_between_sliders():
    assert make() == make()
    keys = {re.search(r'data-key="(\w+)"', make(values)["text/html"])[1] for values in ((1.0, 2.0), (1.0, 3.0))}
    assert len(keys) == 2


def test_stand_in_is_stamped_on_every_frame():
    plain, stamped = make(origin="live", data="CIFAR-10"), make(origin="live", data={"name": "x", "stand_in": True})
    assert "[live · drawn stand-in, not CIFAR-10]" in stamped["text/html"]
    for before, after in zip(frames_of(plain), frames_of(stamped), strict=True):
        assert len(list(after.iter())) > len(list(before.iter()))


@pytest.mark.parametrize(
    "options",
    [
        {"values": [1.0]},
        {"values": range(61)},
        {"start": 3},
        {"start": -1},
        {"label": " "},
        {"alt": ""},
        {"alt": lambda v: "plot"},
        {"origin": "guessed"},
    ],
)
def test_sliders_that_cannot_work_are_refused(options):
    with pytest.raises(SettingError):
        make(**options)


def test_frames_of_different_sizes_are_refused():
    def growing(value):
        return plt.figure(figsize=(value, 3))

    with pytest.raises(SettingError, match="one size"):
        slider.bundle(growing, [3, 4], label="width", alt="an empty figure that grows")


@pytest.fixture
def page(running, tmp_path):
    """A page with two sliders, one of them twice, opened from its file; `page.wrong` lists requests and errors."""
    first, second = make()["text/html"], make((1.0, 3.0), label="other", start=0, unit="px")["text/html"]
    (tmp_path / "page.html").write_text(
        "<!doctype html><meta charset=utf-8><style>body{color:#111;background:#fff}"
        "[data-theme=dark] body{color:#eee;background:#121212}</style><body>" + first + second + first,
        encoding="utf-8",
    )
    yield from opened_on_a_phone(running, tmp_path / "page.html")


def visible(page) -> list[list[int]]:
    """For every slider, the numbers of the frames that a reader sees."""
    return page.evaluate(
        "[...document.querySelectorAll('.an-slider')].map(s => [...s.querySelectorAll('.an-frame')]"
        ".flatMap((f, i) => f.getBoundingClientRect().width > 0 ? [i] : []))"
    )


def test_moving_one_slider_shows_its_frame_and_leaves_the_others(page):
    assert visible(page) == [[1], [0], [1]]
    page.locator("input").nth(0).fill("2")
    page.locator("input").nth(1).fill("1")
    assert visible(page) == [[2], [1], [1]]
    assert page.locator("output").all_inner_texts() == ["2", "3 px", "1"]
    assert page.locator("svg").nth(0).get_attribute("aria-label") == "tanh of x scaled by 2.0"
    assert page.wrong == []


def test_keys_move_it_and_it_is_named_for_those_who_listen(page):
    handle = page.get_by_role("slider", name="input scale").first
    handle.focus()
    page.keyboard.press("ArrowLeft")
    assert visible(page)[0] == [0]
    page.keyboard.press("End")
    assert visible(page)[0] == [2] and handle.get_attribute("aria-valuetext") == "2"


def test_text_follows_the_scheme_and_nothing_overflows_a_phone(page):
    ink = 'getComputedStyle(document.querySelector(`svg [style*="fill:currentColor"]`)).fill'
    assert page.evaluate(ink) == "rgb(17, 17, 17)"
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate(ink) == "rgb(238, 238, 238)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.querySelector('.an-still').getBoundingClientRect().width") == 0
    assert page.wrong == []


def test_without_script_the_dead_handle_is_hidden(running, tmp_path):
    (tmp_path / "page.html").write_text(make()["text/html"], encoding="utf-8")
    context = running.new_context(java_script_enabled=False)
    still = context.new_page()
    still.goto((tmp_path / "page.html").as_uri())
    assert not still.locator("input").is_visible() and still.locator("svg").is_visible()
    context.close()
