"""Show the outputs stored in a notebook; run only a notebook that has none at all.

Jupyter Book's own ``auto`` runs a whole notebook again as soon as one cell (an import is enough) shows nothing, so the
global mode is ``off`` and this sets the mode notebook by notebook, as if its metadata said so.
"""

from __future__ import annotations

import json
from typing import Any

from sphinx.application import Sphinx


def has_stored_outputs(notebook: dict[str, Any]) -> bool:
    """Whether any cell of a notebook (as parsed JSON, nbformat 4) holds an output."""
    return any(cell.get("outputs") for cell in notebook["cells"])


def choose_mode(app: Sphinx, docname: str, source: list[str]) -> None:
    """Ask myst-nb to run this notebook if it has no outputs, unless its own metadata already decides."""
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    settings = notebook["metadata"].setdefault("mystnb", {})
    if "execution_mode" not in settings and not has_stored_outputs(notebook):
        settings["execution_mode"] = "force"
        source[0] = json.dumps(notebook)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", choose_mode)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
