"""The figures of the 2012 logs stand in two places, claims.yml and the library: they must be the same."""

from __future__ import annotations

import re

import pytest
import yaml

from alexnet_lib import ROOT
from alexnet_lib.experiments.logs_2012 import BY_NET, LOGS, PRINTED

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
