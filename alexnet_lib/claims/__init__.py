"""How every claim of the paper stands: our figure from the records, and a verdict found by a rule.

The page "The claims" is made of this, and the chapters' tables of verdicts can be (`rows`), so that the two cannot say
different things. A claim has one rule or several; of those that may decide, the one that could have seen the
smallest effect gives the claim its verdict, and the others stand beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .verdicts import FOUND, MEANINGS, Finding, Judgement, Verdict

__all__ = ["FOUND", "MEANINGS", "Finding", "Judgement", "Verdict", "beside", "judge", "records_of", "rows"]


def judge(claim: str, root: Path | None = None) -> Judgement:
    """The judgement on a claim ("C07") by the records under `root` (None: the book's). KeyError: no such claim."""
    from .rules import RULES  # imported on asking: the rules know the experiments, and with them all of the library

    return Judgement(claim, tuple(rule(root) for rule in RULES[claim]))


def rows(*claims: str, root: Path | None = None) -> list[list[str]]:
    """For a chapter's table, a row a finding: claim and what was compared; our figure, what the test could have seen
    and its data; the verdict. Without a figure there is a dash, with the data that it would be of."""
    return [[f"{name}: {one.what}", _ours(one), one.said] for name in claims for one in judge(name, root).findings]


def _ours(one: Finding) -> str:
    could = f"; could have seen {one.could_see}" if one.could_see else ""
    return (one.figure or "-") + could + (f" ({one.data})" if one.data else "")


def records_of(*claims: str, root: Path | None = None) -> list[str]:
    """The keys of the records behind those rows, each once."""
    found = (key for name in claims for one in judge(name, root).findings for key in one.records)
    return list(dict.fromkeys(found))


def beside(papers: Mapping[str, str], root: Path | None = None) -> list[list[str]]:
    """As `rows`, with the paper's own words or figure for each claim, {claim: words}, as the second column."""
    return [[what, said, *ours] for name, said in papers.items() for what, *ours in rows(name, root=root)]
