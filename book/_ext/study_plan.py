"""``{study-base}``, ``{study-variants}``, ``{study-questions}`` and ``{study-power}``: the registered study's tables,
drawn from the code that runs it and from its records."""

from __future__ import annotations

import math
from typing import Any

from book_tables import BookDirective, table
from docutils import nodes
from sphinx.application import Sphinx

from alexnet_lib import records
from alexnet_lib.experiments import evidence
from alexnet_lib.experiments.evidence_results import (
    EARLY_LOSS,
    FACTORS,
    FIRST_SEEDS,
    QUESTIONS,
    Question,
    answers,
    expected,
    runs_of,
)
from alexnet_lib.measures.effects import POINTS, TIMES


def base_record() -> dict[str, Any] | None:
    return records.load(evidence.NAME, f"{evidence.FULL.name}_paper")


class StudyBase(BookDirective):
    """A row a seed of those that were run before the plan was registered: its errors, when it left guessing."""

    def run(self) -> list[nodes.Node]:
        self.watch_records()
        runs = runs_of(base_record() or {"curves": []})[:FIRST_SEEDS]
        header = ["Seed", "Test error, centre", "Ten views", "Training error", "First pass with a loss under 3.5"]
        return [
            table(
                "study-table", header, [([], [[nodes.paragraph(text=text)] for text in told_run(run)]) for run in runs]
            )
        ]


def told_run(run: Any) -> list[str]:
    loss = run["curve"]["loss"]
    left = next((str(number) for number, value in enumerate(loss, 1) if value < EARLY_LOSS), "none")
    errors = run["test_error"], run["views_error"]["ten"], run["training_error"]
    return [str(run["seed"]), *(f"{error:.1%}" for error in errors), left]


class StudyPower(BookDirective):
    """A row a number of seeds: what a test of so many should be able to see, from the base's first seeds."""

    def run(self) -> list[nodes.Node]:
        self.watch_records()
        base = base_record()
        header = [
            "Seeds of base and variant",
            "Error by seeds",
            "By images, at most",
            "Seen alone",
            f"Seen among {len(QUESTIONS)}",
        ]
        rows = []
        for count in sorted({variant.seeds for variant in evidence.VARIANTS.values()}, reverse=True)[1:]:
            seeds = evidence.VARIANTS["paper"].seeds, count
            effect = expected(base, seeds) if base else None
            if effect:
                numbers = effect.seed_error, effect.image_error, effect.detectable(), effect.detectable(len(QUESTIONS))
                told = [f"{seeds[0]} and {count}", *(f"{100 * number:.2f}" for number in numbers)]
                rows.append(([], [[nodes.paragraph(text=text)] for text in told]))
        return [table("study-table", header, rows)]


class StudyVariants(BookDirective):
    """A row a variant: what it changes, its seeds, those that are recorded, and the rate that its pilots chose."""

    def run(self) -> list[nodes.Node]:
        self.watch_records()
        header = ["Variant, and what it changes", "Seeds", "So far", "Rate"]
        return [table("study-table", header, [([], self.cells(name)) for name in evidence.VARIANTS])]

    def cells(self, name: str) -> list[list[nodes.Node]]:
        variant = evidence.VARIANTS[name]
        record = records.load(evidence.NAME, f"{evidence.FULL.name}_{name}")
        result = record["result"] if record else {}
        changes = [nodes.paragraph("", "", nodes.literal(text=each)) for each in variant.changes]
        plain = [
            str(variant.seeds),
            str(len(result.get("seeds", ()))),
            f"{result['rate']:g}" if result.get("rate") else "-",
        ]
        return [
            [nodes.paragraph("", "", nodes.strong(text=name), nodes.Text(f": {variant.label}")), *changes],
            *([nodes.paragraph(text=text)] for text in plain),
        ]


class StudyQuestions(BookDirective):
    """A row a question: what is tested, by which variants and number, the paper's effect, what can be seen so far."""

    def run(self) -> list[nodes.Node]:
        self.watch_records()
        found = answers()
        header = ["Asks", "What is tested", "Compared", "Paper", "Can see so far"]
        rows = [([], self.cells(question, found.get(name))) for name, question in QUESTIONS.items()]
        return [table("study-table", header, rows)]

    def cells(self, question: Question, answer: Any) -> list[list[nodes.Node]]:
        unit = TIMES if question.number in FACTORS else POINTS
        both = (
            question.number
            if question.tested == question.without
            else f"{question.number}: {question.tested} against {question.without}"
        )
        seen = answer.detectable if answer else None
        told = [question.claim, question.what, both, told_of(question.paper, unit), told_of(seen, unit)]
        return [[nodes.paragraph(text=text)] for text in told]


def told_of(effect: float | None, unit: Any) -> str:
    """An effect in words, "-" for none."""
    if effect is None:
        return "-"
    return f"{math.exp(effect):.2f} times" if unit is TIMES else f"{100 * effect:.1f} points"


def setup(app: Sphinx) -> dict[str, Any]:
    for name, drawn in (
        ("base", StudyBase),
        ("variants", StudyVariants),
        ("questions", StudyQuestions),
        ("power", StudyPower),
    ):
        app.add_directive(f"study-{name}", drawn)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
