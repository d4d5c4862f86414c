"""``{claims-ledger}``: every claim with its verdict, the paper's figure and ours; ``{claims-overview}`` before it.

Figures and verdicts are found by `alexnet_lib.claims` from the records when the page is built. Nothing is typed here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from book_tables import BookDirective, Cell, plural, table
from docutils import nodes
from sphinx.application import Sphinx

from alexnet_lib import claims
from alexnet_lib.records import key


def badge(verdict: claims.Verdict, said: str = "") -> nodes.inline:
    """The verdict in words, with more of them if wanted; its symbol and colour come from book.css."""
    return nodes.inline("", said or verdict, classes=["verdict", css_class(verdict)])


def css_class(verdict: claims.Verdict) -> str:
    return "verdict-" + verdict.replace(" ", "-")


class LedgerDirective(BookDirective):
    """What the overview and the ledger share: the judgements, and a page drawn again when the rules change."""

    def judgements(self) -> dict[str, claims.Judgement]:
        self.env.metadata[self.env.docname]["shows_records"] = True
        for source in Path(claims.__file__).parent.glob("*.py"):
            self.env.note_dependency(str(source))
        return {name: claims.judge(name) for name in self.entries("claims.yml")}


class ClaimsOverview(LedgerDirective):
    """At a glance: the verdicts with what they mean, how many claims have each, and which."""

    def run(self) -> list[nodes.Node]:
        papers, judgements = self.entries("claims.yml"), self.judgements()
        counts = {verdict: [n for n, one in judgements.items() if one.verdict is verdict] for verdict in claims.Verdict}
        tested = sum(len(counts[verdict]) for verdict in claims.FOUND)
        rows = [self.row(verdict, names, papers) for verdict, names in counts.items()]
        overview = nodes.definition_list("", *rows, classes=["ledger-overview"])
        return [*self.text(f"Of {plural(len(papers), 'claim')}, {tested} have been tested so far."), overview]

    def row(
        self, verdict: claims.Verdict, names: list[str], papers: dict[str, dict[str, Any]]
    ) -> nodes.definition_list_item:
        term = nodes.term("", "", badge(verdict), nodes.Text(f" {len(names)}"), classes=[css_class(verdict)])
        links = [nodes.list_item("", nodes.paragraph("", "", link(name, papers[name]["title"]))) for name in names]
        parts = [nodes.paragraph(text=claims.MEANINGS[verdict])]
        parts += [nodes.bullet_list("", *links, classes=["ledger-links"])] if links else []
        return nodes.definition_list_item("", term, nodes.definition("", *parts))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def link(name: str, title: str) -> nodes.reference:
    """To the claim's own row, on the same page."""
    return nodes.reference("", f"{name} {title}", refuri=f"#{name.lower()}", internal=True)


class ClaimsLedger(LedgerDirective):
    """One row a claim: what the paper says with its figure, and what we found, with why."""

    def run(self) -> list[nodes.Node]:
        papers, chapters, recorded = self.entries("claims.yml"), self.entries("chapters.yml"), self.watch_records()
        rows, verdicts = [], []
        for name, judgement in self.judgements().items():
            claim = papers[name]
            chapter = self.chapter(claim["chapter"], chapters[claim["chapter"]]["title"])
            used = {key for one in judgement.findings for key in one.records}
            records = [record for record in recorded if key(record) in used]
            verdicts.append(css_class(judgement.verdict))
            left = self.claim(name, claim, judgement, chapter)
            rows.append(([name.lower()], [left, [*self.findings(judgement, claim), *self.sources(records)]]))
        drawn = table("claims-ledger", ["What the paper says", "What we found, and why"], rows)
        for row, verdict in zip(drawn.findall(nodes.tbody).__next__().children, verdicts, strict=True):
            row["classes"].append(verdict)
        return [drawn]

    def claim(self, name: str, claim: dict[str, Any], judgement: claims.Judgement, chapter: str) -> Cell:
        """Id, verdict and title; the claim; the paper's figure; the 2012 logs'; the chapter."""
        verdict = badge(judgement.verdict, judgement.deciding.said)
        head = nodes.paragraph("", "", nodes.strong(text=f"{name} {claim['title']}"), nodes.Text(" "), verdict)
        lines = [f"{claim['claim']} *(section {claim['section']})*"]
        if claim["paper"]:
            lines.append(f"**Paper:** {claim['paper']}")
        if claim.get("logs"):
            lines.append(f"**2012 logs:** {claim['logs']}")
        return [head, *self.text("\n\n".join([*lines, f"**Chapter:** {chapter}"]))]

    def findings(self, judgement: claims.Judgement, claim: dict[str, Any]) -> Cell:
        """What each test gave, the claim's note last."""
        cells: Cell = []
        for one in judgement.findings:
            cells += self.waiting(one) if one.verdict is claims.Verdict.NOT_RUN else self.found(one)
        return [*cells, *(self.text(f"*Note:* {claim['note']}.") if claim.get("note") else [])]

    def found(self, one: claims.Finding) -> Cell:
        figure = [nodes.Text(": "), nodes.strong(text=one.figure)] if one.figure else []
        lines = [nodes.paragraph("", "", nodes.Text(capital(one.what)), *figure)]
        lines += [nodes.paragraph(text=capital(one.data), classes=["ledger-data"])] if one.data else []
        could = f" Could have seen {one.could_see} (80% power)." if one.could_see else ""
        why = f"{one.why}{could}".strip()
        lines += [nodes.paragraph("", "", badge(one.verdict, one.said), nodes.Text(f": {why}" if why else ""))]
        if one.command and not one.records:
            lines[-1] += [nodes.Text(" "), nodes.literal(text=one.command)]
        return [nodes.container("", *lines, classes=["ledger-finding"])]

    def waiting(self, one: claims.Finding) -> Cell:
        """A test that has no record: what it will compare, on what, and the command that runs it."""
        planned = self.entries("planned_experiments.yml")
        place = f" ({one.data})" if one.data else ""
        why = f"Planned: {planned[one.experiment]}." if one.experiment in planned else one.why
        head = nodes.paragraph("", "", badge(one.verdict), nodes.Text(f": {one.what}{place}. {why} ".rstrip() + " "))
        head += [nodes.literal(text=one.command)] if one.command else []
        return [nodes.container("", head, classes=["ledger-finding"])]

    def sources(self, records: list[dict[str, Any]]) -> Cell:
        """The records that the tests read, to download, and the commands that make them; folded away."""
        if not records:
            return []
        commands = dict.fromkeys(record["command"] for record in records)
        lines = [nodes.list_item("", nodes.paragraph("", "", self.download(record))) for record in records]
        lines += [nodes.list_item("", nodes.paragraph("", "", nodes.literal(text=one))) for one in commands]
        told = plural(len(records), "record")
        title = f"{told} read for this; how to make {'it' if len(records) == 1 else 'them'} again"
        fold = nodes.raw("", f"<details><summary>{title}</summary>", format="html")
        return [fold, nodes.bullet_list("", *lines), nodes.raw("", "</details>", format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_directive("claims-overview", ClaimsOverview)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
