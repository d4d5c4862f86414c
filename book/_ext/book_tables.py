"""Directives that draw the book's tables from claims.yml, chapters.yml and the records, at build time.

``{records-table}`` what was measured where, ``{chapter-map}`` the chapters to come, ``{built-with}`` the versions
behind the pages; the claims themselves are in ``claims_page``. Nothing in them is typed by hand.
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from alexnet_lib import records

Cell = list[nodes.Node]


def load_yaml(folder: str | Path, name: str) -> dict[str, dict[str, Any]]:
    """Read claims.yml or chapters.yml of the book's folder, as entries by id."""
    return yaml.safe_load((Path(folder) / name).read_text(encoding="utf-8"))


def all_records() -> list[dict[str, Any]]:
    """Every recorded run, sorted by experiment and run. Raises RecordError for a file that is no complete record."""
    folders = sorted(path for path in records.recorded_root().glob("*") if path.is_dir())
    return [record for folder in folders for record in records.load(folder.name).values()]


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def table(name: str, header: list[str], rows: list[tuple[list[str], list[Cell]]]) -> nodes.table:
    """A docutils table of class `name`; a row is (ids, cells)."""
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    titles = nodes.row("", *(nodes.entry("", nodes.paragraph(text=title)) for title in header))
    body = [nodes.row("", *(nodes.entry("", *cell) for cell in cells), ids=ids) for ids, cells in rows]
    group += [nodes.thead("", titles), nodes.tbody("", *body)]
    return nodes.table("", group, classes=[name])


class BookDirective(SphinxDirective):
    """What the directives share: the book's files, and text parsed as the page's own."""

    def entries(self, name: str) -> dict[str, dict[str, Any]]:
        self.env.note_dependency(str(Path(self.env.srcdir) / name))
        return load_yaml(self.env.srcdir, name)

    def watch_records(self) -> list[dict[str, Any]]:
        self.env.metadata[self.env.docname]["shows_records"] = True
        return all_records()

    def text(self, markdown: str) -> Cell:
        return self.parse_text_to_nodes(markdown)

    def chapter(self, name: str, title: str) -> str:
        """A link to the chapter as Markdown, or its title where its notebook is not in the book yet."""
        self.env.metadata[self.env.docname]["shows_chapters"] = True
        written = f"chapters/{name}" in self.env.found_docs
        return f"[{title}](chapters/{name}.ipynb)" if written else f"{title} (planned)"

    def download(self, record: dict[str, Any]) -> nodes.Node:
        path = records.recorded_root() / record["experiment"] / f"{record['run']}.json"
        self.env.note_dependency(str(path))
        label = f"{record['experiment']}/{record['run']}"
        target = os.path.relpath(path, Path(self.env.doc2path(self.env.docname)).parent)
        return addnodes.download_reference("", "", nodes.literal(text=label), reftarget=target, refdoc=self.env.docname)


class RecordsTable(BookDirective):
    """What was measured where: one row a recorded run."""

    def run(self) -> list[nodes.Node]:
        rows = [([], self.cells(record)) for record in self.watch_records()]
        if not rows:
            return self.text("Nothing has been recorded yet.")
        header = ["Record", "Data", "Seeds", "Where", "When", "Time taken"]
        return [table("records-table", header, rows)]

    def cells(self, record: dict[str, Any]) -> list[Cell]:
        data = record["dataset"]["name"] + (" (drawn stand-in)" if record["dataset"]["stand_in"] else "")
        seeds = record["result"].get("seeds", record["seeds"])  # record["seeds"] has those of pilots too
        plain = [data, str(len(seeds)), record["device"], record["date"], duration(record["seconds"])]
        return [[nodes.paragraph("", "", self.download(record))], *([nodes.paragraph(text=text)] for text in plain)]


class ChapterMap(BookDirective):
    """The chapters by part, each with its claims, written or planned."""

    def run(self) -> list[nodes.Node]:
        claims, chapters = self.entries("claims.yml"), self.entries("chapters.yml")
        lines: list[str] = []
        part = None
        for name, chapter in chapters.items():
            if chapter["part"] != part:
                part = chapter["part"]
                lines += ["", f"**{part}**", ""]
            ids = ", ".join(key for key, claim in claims.items() if claim["chapter"] == name)
            lines.append(f"- {self.chapter(name, chapter['title'])}: {chapter['about']}. {ids}")
        return self.text("\n".join(lines))


class BuiltWith(BookDirective):
    """The versions of what computed and built these pages."""

    def run(self) -> list[nodes.Node]:
        packages = ("alexnet-lib", "torch", "torchvision", "numpy", "matplotlib", "jupyter-book", "sphinx")
        parts = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
        return self.text("Built with " + ", ".join(parts) + ".")


def outdated(app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set) -> list[str]:
    """Pages to draw again: those with records when a record came or went, those with chapters when a chapter did."""
    state = {
        "shows_records": sorted(str(path) for path in records.recorded_root().glob("*/*.json")),
        "shows_chapters": sorted(name for name in env.found_docs if name.startswith("chapters/")),
    }
    before, env.book_state = getattr(env, "book_state", state), state
    stale = {key for key in state if state[key] != before[key]}
    return [name for name, meta in env.metadata.items() if name in env.found_docs and stale & set(meta)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("records-table", RecordsTable)
    app.add_directive("chapter-map", ChapterMap)
    app.add_directive("built-with", BuiltWith)
    app.connect("env-get-outdated", outdated)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
