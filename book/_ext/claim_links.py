"""Turn every claim id in the text (C01 …) into a link to its row of the claims ledger; warn of an id that is none."""

from __future__ import annotations

import re
from typing import Any

from book_tables import load_yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

LEDGER = "claims"
CLAIM_ID = re.compile(r"\b(C\d\d)\b")
NOT_IN = (nodes.reference, nodes.literal, nodes.literal_block, nodes.title, nodes.raw, nodes.math, nodes.math_block)

logger = logging.getLogger(__name__)


def linked(app: Sphinx, docname: str, text: nodes.Text, known: set[str]) -> list[nodes.Node]:
    """The text in pieces, its claim ids as links."""
    pieces: list[nodes.Node] = []
    for piece in CLAIM_ID.split(text.astext()):
        if piece in known:
            target = f"{app.builder.get_relative_uri(docname, LEDGER)}#{piece.lower()}"
            pieces.append(nodes.reference("", piece, refuri=target, internal=True, classes=["claim-id"]))
            continue
        if CLAIM_ID.fullmatch(piece):
            logger.warning("%s is not in claims.yml", piece, location=docname, type="claims", subtype="unknown")
        pieces.append(nodes.Text(piece))
    return pieces


def link_claims(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    if docname == LEDGER or app.builder.format != "html" or LEDGER not in app.env.found_docs:
        return
    known = set(load_yaml(app.srcdir, "claims.yml"))
    for text in list(doctree.findall(nodes.Text)):
        if CLAIM_ID.search(text.astext()) and not any(isinstance(node, NOT_IN) for node in ancestors(text)):
            text.parent.replace(text, linked(app, docname, text, known))


def ancestors(node: nodes.Node) -> list[nodes.Node]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-resolved", link_claims)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
