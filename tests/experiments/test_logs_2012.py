"""The figures of the 2012 logs stand in two places, claims.yml and the library: they must be the same."""

from __future__ import annotations

import re

import pytest
import yaml

from alexnet_lib import ROOT
from alexnet_lib.errors import SettingError
from alexnet_lib.experiments.evidence_results import QUESTIONS
from alexnet_lib.experiments.logs_2012 import BY_NET, LOGGED_EFFECTS, LOGS, PRINTED, change

CLAIMS = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
PAIR = re.compile(r"(\d+\.\d\d) / (\d+\.\d\d)")
TOLD = {f"{100 * one.top1:.2f} / {100 * one.top5:.2f}": one.net for one in LOGS}


@pytest.mark.parametrize("claim", [name for name, claim in CLAIMS.items() if PAIR.search(claim.get("logs") or "")])
def test_errors_quoted_with_a_claim_are_the_logs(claim: str) -> None:
    logs = CLAIMS[claim]["logs"]
    assert {match[0] for match in PAIR.finditer(logs)} <= set(TOLD)
    named = re.compile(rf"{PAIR.pattern}[^();]*\((\d[\w-]*)\)")
    for match in named.finditer(logs):
        assert TOLD[f"{match[1]} / {match[2]}"] == match[3], match[0]


@pytest.mark.parametrize("row", [one for one in PRINTED if one.net], ids=lambda one: one.net)
def test_the_papers_printed_errors_are_the_logs_rounded(row) -> None:  # noqa: ANN001
    net = BY_NET[row.net]
    assert row.errors == f"{100 * net.top1:.1f} / {100 * net.top5:.1f}"


def test_the_effects_of_the_logs_are_the_papers() -> None:
    assert sum(bool(one.net) for one in PRINTED) == 3
    for name, logged in LOGGED_EFFECTS.items():
        paper = QUESTIONS[name].paper
        assert paper is None or logged == pytest.approx(paper, abs=6e-4)
    with pytest.raises(SettingError, match="different images"):
        change("148", "145-2010")


def test_the_logs_are_those_of_the_claims() -> None:
    told = 0
    for net in ("145-half", "145-2010", "145", "147", "148", "146-2012-2011"):
        logged = BY_NET[net]
        said = [one["logs"] for one in CLAIMS.values() if f"({net})" in one.get("logs", "") and " / " in one["logs"]]
        told += len(said)
        assert all(f"{100 * logged.top1:.2f} / {100 * logged.top5:.2f}" in one for one in said)
    assert told >= 6
