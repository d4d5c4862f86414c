"""Leave out the scripts that would run cells on a server elsewhere: a page has no kernel and needs no network.

Jupyter Book always loads sphinx-thebe, whose script is added twice and then fails on every page.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def drop_thebe(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    def belongs(script: Any) -> bool:
        return "thebe" in str(script.filename) or "thebe" in str(script.attributes.get("body"))

    context["script_files"] = [script for script in context["script_files"] if not belongs(script)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", drop_thebe)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
