"""The picker: small pictures, one answer visible, chosen by mouse and keys, from a file, without a network."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import opened_on_a_phone
from PIL import Image

from alexnet_lib.errors import SettingError
from alexnet_lib.picker import picker_bundle

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
    return picker_bundle([picture(n) for n in range(3)], draw, **options)


def test_it_has_a_button_for_each_choice_and_shows_one_answer() -> None:
    bundle = make(start=1)
    page = bundle["text/html"]
    assert re.findall(r'<button[^>]*title="(\w+)"', page) == NAMES
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
        picker_bundle([picture(0)], draw, names=["cat"], label="query", alt=lambda n: "The neighbours of a cat.")


@pytest.fixture
def page(running, tmp_path: Path):  # noqa: ANN001, ANN201
    """A page with two pickers, opened from its file on a phone; `page.wrong` lists requests and errors."""
    bodies = make()["text/html"] + make(label="other", start=2)["text/html"]
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8><body>{bodies}", encoding="utf-8")
    yield from opened_on_a_phone(running, tmp_path / "page.html")


def visible(page) -> list[list[int]]:  # noqa: ANN001
    return page.evaluate(
        "[...document.querySelectorAll('.an-picker')].map(s => [...s.querySelectorAll('.an-answer')]"
        ".flatMap((f, i) => f.getBoundingClientRect().width > 0 ? [i] : []))"
    )


def test_choosing_shows_the_answer_and_leaves_the_other_picker(page) -> None:  # noqa: ANN001
    assert visible(page) == [[0], [2]]
    page.get_by_role("group", name="query").get_by_role("button", name="ship").click()
    assert visible(page) == [[2], [2]]
    pressed = page.eval_on_selector_all(".an-picks button", "all => all.map(b => b.getAttribute('aria-pressed'))")
    assert pressed == ["false", "false", "true"] * 2
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert visible(page) == [[1], [2]]
    assert page.evaluate("document.documentElement.scrollWidth") <= 360 and page.wrong == []


def test_without_script_the_first_answer_is_there_and_no_dead_buttons(running, tmp_path: Path) -> None:  # noqa: ANN001
    (tmp_path / "page.html").write_text(f"<!doctype html><body>{make()['text/html']}", encoding="utf-8")
    context = running.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto((tmp_path / "page.html").as_uri())
    assert opened.locator(".an-answer").nth(0).is_visible() and not opened.locator(".an-picks").is_visible()
    context.close()
