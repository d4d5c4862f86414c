"""The picker: small pictures, one answer visible, chosen by mouse and keys, from a file, without a network."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from built_pages import opened_on_a_phone
from PIL import Image

from alexnet_lib.errors import SettingError
from alexnet_lib.notebook.picker_figure import picker

pytestmark = pytest.mark.usefixtures("book_style")
NAMES = ["cat", "dog", "ship"]


def picture(number: int, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), 80 * number, dtype=np.uint8)


def draw(number: int):  # noqa: ANN201
    fig, ax = plt.subplots(figsize=(3, 1.5))
    ax.imshow(picture(number))
    ax.set_axis_off()
    return fig


def make(**options) -> dict[str, str]:  # noqa: ANN003
    options = {"names": NAMES, "label": "query", "alt": lambda n: f"The neighbours of a {NAMES[n]}.", **options}
    return picker.bundle([picture(n) for n in range(3)], draw, **options)


def test_it_has_a_button_for_each_choice_and_shows_one_answer() -> None:
    bundle = make(start=1)
    page = bundle["text/html"]
    assert re.findall(r'<button[^>]*><img alt="(\w+)"', page) == NAMES
    answers = re.findall(r'<img class="an-photo an-answer"[^>]*style="([^"]*)"', page)
    assert ["display:none" in style for style in answers] == [True, False, True]
    assert bundle["text/plain"] == "The neighbours of a dog. (query: dog, of 3)"
    still = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert still.width == 330


def test_pictures_are_those_given() -> None:
    page = make()["text/html"]
    data = re.findall(r"src=\"data:image/jpeg;base64,([^\"]+)\"", page)
    assert len(data) == 6
    small = [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in data[:3]]
    assert [round(float(one.mean())) for one in small] == [0, 80, 160]


def test_it_says_where_it_comes_from() -> None:
    assert "[not yet run]" in make(origin="recorded")["text/html"]
    named = make(origin="recorded", records=["binary-codes/one"])["text/html"]
    assert 'data-record="binary-codes/one"' in named and "[recorded]" in named
    assert make() == make() and make()["text/html"] != make(label="another")["text/html"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"names": NAMES[:2]}, "3 choices and 2 names"),
        ({"label": " "}, "label is empty"),
        ({"start": 3}, "start=3 is no choice"),
        ({"alt": lambda n: "cat"}, "say in a sentence"),
    ],
)
def test_pickers_that_cannot_work_are_refused(options: dict, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        make(**options)
    with pytest.raises(SettingError, match="2 to 24 choices, not 1"):
        picker.bundle([picture(0)], draw, names=["cat"], label="query", alt=lambda n: "The neighbours of a cat.")


@pytest.fixture
def page(running, tmp_path: Path):  # noqa: ANN001, ANN201
    """A page with two pickers, opened from its file on a phone; `page.wrong` lists requests and errors."""
    bodies = make()["text/html"] + make(label="other", start=2)["text/html"]
    (tmp_path / "page.html").write_text(
        "<!doctype html><meta charset=utf-8><style>body{color:#111;background:#fff}"
        f"[data-theme=dark] body{{color:#eee;background:#121212}}</style><body>{bodies}",
        encoding="utf-8",
    )
    yield from opened_on_a_phone(running, tmp_path / "page.html")


def visible(page) -> list[list[int]]:  # noqa: ANN001
    return page.evaluate(
        "[...document.querySelectorAll('.an-picker')].map(s => [...s.querySelectorAll('.an-answer')]"
        ".flatMap((f, i) => f.getBoundingClientRect().width > 0 ? [i] : []))"
    )


def focused(page) -> str:  # noqa: ANN001
    return page.evaluate("document.activeElement.innerHTML.match(/alt=.(\\w+)/)?.[1]")


def chosen(page) -> list[str]:  # noqa: ANN001
    return page.eval_on_selector_all("[role=radio][aria-checked=true] img", "all => all.map(i => i.alt)")


def test_choosing_shows_the_answer_and_leaves_the_other_picker(page) -> None:  # noqa: ANN001
    assert visible(page) == [[0], [2]] and chosen(page) == ["cat", "ship"]
    page.get_by_role("radiogroup", name="query").get_by_role("radio", name="ship").click()
    assert visible(page) == [[2], [2]] and chosen(page) == ["ship", "ship"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 360 and page.wrong == []
    sides = page.eval_on_selector_all(".an-picks img", "all => all.map(i => [i.clientWidth, i.clientHeight])")
    assert sides == [[56, 56]] * 6


def test_arrows_home_and_end_move_focus_and_choice(page) -> None:  # noqa: ANN001
    page.evaluate("addEventListener('keydown', e => { window.leaked = e.key; })")
    page.keyboard.press("Tab")
    assert focused(page) == "cat"
    moves = [
        ("ArrowRight", 1),
        ("ArrowDown", 2),
        ("ArrowRight", 0),
        ("ArrowLeft", 2),
        ("ArrowUp", 1),
        ("End", 2),
        ("Home", 0),
    ]
    for key, number in moves:
        page.keyboard.press(key)
        assert (focused(page), visible(page)) == (NAMES[number], [[number], [2]]), key
    assert page.evaluate("window.leaked") == "Tab", "what is around the picker must not take the arrows for its own"
    page.keyboard.press("Alt+ArrowRight")
    page.keyboard.press("x")
    assert focused(page) == "cat" and page.evaluate("window.leaked") == "x"
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    assert focused(page) == "ship" and chosen(page) == ["ship", "ship"], "Tab goes to the other picker's chosen one"
    page.keyboard.press("ArrowLeft")
    assert visible(page) == [[2], [1]]
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "ship" and visible(page) == [[2], [1]] and page.wrong == []


def test_space_and_enter_choose_what_has_the_focus(page) -> None:  # noqa: ANN001
    for key, name in (("Space", "dog"), ("Enter", "ship")):
        page.get_by_role("radio", name=name).first.focus()
        page.keyboard.press(key)
        assert chosen(page)[0] == name


def contrast(one: list[int], other: list[int]) -> float:
    """Of two colours, as WCAG 2 defines it."""

    def luminance(colour: list[int]) -> float:
        parts = [c / 255 for c in colour[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_focus_is_seen_in_both_schemes_and_is_not_the_mark_of_the_choice(page, theme: str) -> None:  # noqa: ANN001
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    group = page.get_by_role("radiogroup", name="query")
    before = np.asarray(Image.open(io.BytesIO(group.screenshot())).convert("RGB")).astype(int)
    page.keyboard.press("Tab")
    after = np.asarray(Image.open(io.BytesIO(group.screenshot())).convert("RGB")).astype(int)
    changed = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert rows[-1] - rows[0] > 56 < columns[-1] - columns[0], "a ring all around the picture"
    place = rows[0] + 1, (columns[0] + columns[-1]) // 2
    assert contrast(before[place].tolist(), after[place].tolist()) > 4.5
    ring = "getComputedStyle(document.querySelector('[alt=%s]')).outlineStyle"
    assert [page.evaluate(ring % name) for name in ("cat", "dog")] == ["solid", "none"]


def test_screen_readers_are_told_what_is_chosen_of_how_many_and_the_answer(page) -> None:  # noqa: ANN001
    group = page.get_by_role("radiogroup", name="query")
    assert group.get_by_role("radio").count() == 3
    assert group.get_by_role("radio", name="cat", checked=True).count() == 1
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert group.get_by_role("radio", name="dog", checked=True).count() == 1
    assert group.get_by_role("radio", checked=True).count() == 1
    told = page.locator("[aria-live=polite]").first.aria_snapshot()
    assert told == '- img "The neighbours of a dog."'


def test_without_script_the_first_answer_is_there_and_no_dead_buttons(running, tmp_path: Path) -> None:  # noqa: ANN001
    (tmp_path / "page.html").write_text(f"<!doctype html><body>{make()['text/html']}", encoding="utf-8")
    context = running.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto((tmp_path / "page.html").as_uri())
    assert opened.locator(".an-answer").nth(0).is_visible() and not opened.locator(".an-picks").is_visible()
    context.close()
