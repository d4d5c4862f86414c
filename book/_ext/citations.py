"""Make citations of the chapters' plain links to references.bib, which JupyterLab shows and follows as they are.

([Krizhevsky et al., 2012](../references.bib#krizhevsky2012))    becomes    {cite}`krizhevsky2012`
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

LINK = r"\[[^\[\]]+\]\(\.\./references\.bib#(\w+)\)"
CITED = re.compile(rf"\({LINK}(?:; {LINK})*\)")


def cite(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = CITED.sub(lambda found: f"{{cite}}`{','.join(re.findall(LINK, found[0]))}`", source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", cite)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
