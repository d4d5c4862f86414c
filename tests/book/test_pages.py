"""Every built page, opened in headless Chromium with the network closed, light and dark, wide and narrow."""

from __future__ import annotations

import re
from pathlib import Path

import page_checks
import pytest
from playwright.sync_api import Browser

needs_chromium = pytest.mark.skipif(
    page_checks.chromium() is None, reason="no Chromium to open the pages with: sudo apt-get install chromium"
)
RIGHT = '<!doctype html><html lang="en"><title>page</title><body><main><p>text</p>\n{}</main></body></html>'
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="
WRONG = {
    "leaves its own origin: https://cdn.example": '<script src="https://cdn.example/a.js"></script>',
    "leaves its own origin: https://fonts.example": '<link rel="preconnect" href="https://fonts.example">',
    "leaves its own origin: https://data.example": '<script>fetch("https://data.example/x").catch(() => 0)</script>',
    "script error": "<script>undefinedThing.go()</script>",
    "console error: no kernel": '<script>console.error("no kernel")</script>',
    "404": '<script src="missing.js"></script>',
    "formula left as raw TeX": '<span class="math">\\(x^2\\)</span>',
    "broken formula": "<mjx-container><mjx-merror>Math input error</mjx-merror></mjx-container>",
    "raw TeX in the text: so $$": "<p>so $$ y = x $$ holds</p>",
    "raw TeX in the text: half": "<p>half is \\frac{1}{2}</p>",
    "image without alternative text": f'<img src="{PIXEL}">',
    "image that does not load": '<img alt="a curve" src="data:image/png;base64,AAAA">',
    "drawing without a name": '<svg width="10" height="10"></svg>',
    "control without a name": '<input type="range">',
    "scrolls sideways at 360 pixels": '<pre style="width: 900px">wide</pre>',
}


def test_the_book_builds_without_a_warning(built_book) -> None:
    assert built_book.status == 0, built_book.printed[-6000:]


def test_no_style_sheet_fetches_from_elsewhere(built_book) -> None:
    away = re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^"')\s]+""")
    sheets = list(built_book.html.rglob("*.css"))
    found = [f"{sheet.name}: {hit}" for sheet in sheets for hit in away.findall(sheet.read_text(encoding="utf-8"))]
    assert sheets and not found


@needs_chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_reads_well_without_a_network(built_book, running: Browser, theme: str) -> None:
    pages = [path.relative_to(built_book.html).as_posix() for path in sorted(built_book.html.rglob("*.html"))]
    pages = [path for path in pages if not path.startswith("_static/")]
    assert "intro.html" in pages
    with page_checks.served(built_book.html) as origin:
        wrong = {path: page_checks.problems(running, origin, path, theme) for path in pages}
    assert not {path: found for path, found in wrong.items() if found}


@needs_chromium
@pytest.mark.parametrize("chapter", ["predictions", "retrieval"])
def test_a_reader_picks_photographs_on_the_page(built_book, running: Browser, chapter: str) -> None:
    """Each button shows its own answer, and that one alone, with no kernel and no network behind the page."""
    context = running.new_context(offline=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((built_book.html / "chapters" / f"{chapter}.html").as_uri())
    box = page.locator(".an-picker")
    buttons, answers = box.locator(".an-picks button"), box.locator(".an-answer")
    assert box.count() == 1 and buttons.count() == answers.count() >= 8
    for number in (buttons.count() - 1, 3, 0):
        asked.clear()
        buttons.nth(number).click()
        assert [answers.nth(n).is_visible() for n in range(answers.count())].index(True) == number
        assert sum(answers.nth(n).is_visible() for n in range(answers.count())) == 1
        assert buttons.nth(number).get_attribute("aria-checked") == "true"
        assert answers.nth(number).evaluate("image => image.naturalWidth") > 300 and not asked
    page.keyboard.press("ArrowLeft")
    last = buttons.count() - 1
    assert answers.nth(last).is_visible() and buttons.nth(last).evaluate("one => one === document.activeElement")
    assert buttons.nth(last).evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    context.close()


@needs_chromium
def test_the_checks_pass_a_page_with_nothing_wrong(running: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(RIGHT.format('<svg role="img" aria-label="a curve"></svg>'), encoding="utf-8")
    with page_checks.served(tmp_path) as origin:
        found = page_checks.problems(running, origin, "page.html")
    assert [line for line in found if "favicon" not in line] == []


@needs_chromium
@pytest.mark.parametrize("expected", WRONG)
def test_the_checks_find_what_is_wrong(running: Browser, tmp_path: Path, expected: str) -> None:
    (tmp_path / "page.html").write_text(RIGHT.format(WRONG[expected]), encoding="utf-8")
    with page_checks.served(tmp_path) as origin:
        found = page_checks.problems(running, origin, "page.html")
    assert any(line.startswith(expected) for line in found), found


@needs_chromium
def test_the_checks_notice_a_page_that_is_not_there(running: Browser, tmp_path: Path) -> None:
    with page_checks.served(tmp_path) as origin:
        assert any(line.startswith("404") for line in page_checks.problems(running, origin, "page.html"))
