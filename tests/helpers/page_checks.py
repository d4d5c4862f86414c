"""Opening a page in headless Chromium with the network closed, and listing what is wrong with it."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Request, Route, sync_playwright
from playwright.sync_api import Error as BrowserError

# Debian's quiet flags; the host rule closes the network below the pages too (workers, sockets, prefetching).
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
RAW_TEX = r"\$\$|\\\(|\\\[|\\(frac|sum|begin|left|right|mathrm|text|cdot|times|partial|sqrt|alpha|beta)\b"

LOOK = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
WAIT_FOR_MATHEMATICS = """
async () => {
  if (!document.querySelector('.math') || !document.querySelector('script[src*=mathjax]')) return;
  for (let i = 0; i < 150 && !window.MathJax?.startup?.promise; i++) await new Promise((wake) => setTimeout(wake, 100));
  await window.MathJax?.startup?.promise;
}
"""
OVERFLOW = """
() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? null
  : [...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
      .slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(' | ') || 'outside <main>'
"""


def chromium() -> str | None:
    """The path of Debian's Chromium (or Google's Chrome), None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """The test says what failed; a line for each request would only hide it."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder at 127.0.0.1 on a free port; gives the address without a slash at its end."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()


def listen(page: Page, origin: str, wrong: list[str]) -> None:
    """Add to `wrong`, while the page lives, what it asks of others, what fails and what its scripts complain of."""

    def asked(request: Request) -> None:
        if not request.url.startswith((origin + "/", "data:", "blob:", "about:")):
            wrong.append(f"leaves its own origin: {request.url}")

    def gate(route: Route) -> None:
        route.continue_() if route.request.url.startswith(origin + "/") else route.abort()

    page.route("**/*", gate)
    page.on("request", asked)
    page.on("websocket", lambda socket: wrong.append(f"leaves its own origin: {socket.url}"))
    page.on("response", lambda answer: answer.status >= 400 and wrong.append(f"{answer.status}: {answer.url}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url} ({request.failure})"))
    page.on("console", lambda line: line.type == "error" and wrong.append(f"console error: {line.text}"))
    page.on("pageerror", lambda error: wrong.append(f"script error: {error}"))


def problems(running: Browser, origin: str, path: str, theme: str = "light") -> list[str]:
    """Everything wrong with one page, at 1280 and at 360 pixels of width, in the light or the dark scheme."""
    context = running.new_context(viewport=WIDE, color_scheme=theme)
    page = context.new_page()
    wrong: list[str] = []
    listen(page, origin, wrong)
    try:
        page.goto(f"{origin}/{path}", wait_until="load")
        page.wait_for_load_state("networkidle")
        page.evaluate(WAIT_FOR_MATHEMATICS)
        wrong += page.evaluate(LOOK, RAW_TEX)
        shown = page.evaluate("document.documentElement.dataset.theme")
        if shown not in (None, theme):
            wrong.append(f"shows the {shown} scheme where {theme} was asked for")
        page.set_viewport_size(NARROW)
        page.wait_for_timeout(100)
        wide = page.evaluate(OVERFLOW)
        if wide:
            wrong.append(f"scrolls sideways at 360 pixels: {wide}")
    except BrowserError as error:
        wrong.append(f"did not open: {error}")
    finally:
        context.close()
    return list(dict.fromkeys(wrong))
