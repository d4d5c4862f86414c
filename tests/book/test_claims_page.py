"""The page of claims: drawn from the records, and drawn again when they change."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from bs4 import BeautifulSoup
from built_pages import ROOT
from ledger_cases import LRN, SAME, put_study, put_variants

from alexnet_lib.claims import Verdict
from alexnet_lib.experiments import evidence
from alexnet_lib.experiments.evidence_results import QUESTIONS

CLAIMS = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
CONF = """
import sys
from pathlib import Path
from alexnet_lib import records

sys.path.insert(0, {ext!r})
records.recorded_root = lambda: Path({root!r})
extensions = ["myst_parser", "book_tables", "claims_page", "study_plan"]
"""


def page(folder: Path, root: Path) -> BeautifulSoup:
    """The page of claims alone, built with the records under `root`; again what has to be, if it was built before."""
    source = folder / "source"
    if not source.exists():
        source.mkdir()
        for name in ("claims.yml", "chapters.yml", "planned_experiments.yml"):
            shutil.copy(ROOT / "book" / name, source)
        (source / "conf.py").write_text(CONF.format(ext=str(ROOT / "book" / "_ext"), root=str(root)), encoding="utf-8")
        for name, head in {"index": "", "evidence": "---\norphan: true\n---\n"}.items():
            text = (ROOT / "book" / f"{name}.md".replace("index", "claims")).read_text(encoding="utf-8")
            text = re.sub(r"\{(cite|doc|py:mod)\}", "", text).replace("claims.md", "index.md")
            (source / f"{name}.md").write_text(head + text, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", str(source), str(folder / "html")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return BeautifulSoup((folder / "html" / "index.html").read_text(encoding="utf-8"), "html.parser")


def words(row: Any) -> str:
    return " ".join(row.text.split())


def test_the_page_shows_figures_of_records_and_follows_them(tmp_path: Path) -> None:
    root = tmp_path / "recorded"
    put_variants(root, *LRN, {"none": SAME, "lrn-sum": [0.20, 0.21, 0.2201]})
    drawn = page(tmp_path, root)
    row, without = drawn.select_one("#c06"), drawn.select_one("#c07")
    assert "+10.00 points (" in words(row) and "Could have seen" in words(row)
    assert "CIFAR-10, 5,000 training images, 4 passes, 3 seeds" in words(row)
    assert "verdict-agrees-in-direction" in row["class"] and "verdict-not-yet-run" in without["class"]
    assert "points" not in words(without.select_one("td + td"))
    path = root / "lrn-cifar10" / "5-passes_lrn-sum.json"
    changed = json.loads(path.read_text(encoding="utf-8"))
    changed["result"]["test_error"] = [0.33, 0.34, 0.3501]
    path.write_text(json.dumps(changed), encoding="utf-8")
    put_variants(root, "pooling-cifar10", "4-passes", {"max-3-2": SAME, "max-2-2": [0.35, 0.36, 0.3701]})
    drawn = page(tmp_path, root)
    for claim, figure, expected in (("c06", "-3.00", "differs"), ("c07", "+5.00", "agrees-in-direction")):
        assert f"{figure} points (" in words(drawn.select_one(f"#{claim}"))
        assert f"verdict-{expected}" in drawn.select_one(f"#{claim}")["class"]
    overview = words(drawn.select_one(".ledger-overview"))
    assert all(f"{verdict} " in overview for verdict in Verdict) and "C06 Normalisation on CIFAR-10" in overview
    assert {link["href"] for link in drawn.select(".ledger-overview a")} == {f"#{name.lower()}" for name in CLAIMS}


def test_the_plan_shows_its_code_and_follows_the_records(tmp_path: Path) -> None:
    root = tmp_path / "recorded"
    root.mkdir()
    page(tmp_path, root)
    base, variants, questions, power = plan_tables(tmp_path)
    assert not base and not power and len(questions) == len(QUESTIONS)
    assert [row[0].split(":")[0] for row in variants] == list(evidence.VARIANTS)
    assert variants[0][1:] == ["10", "0", "-"] and questions[1][-2:] == ["1.4 points", "-"]
    put_study(root, {"paper": [0.62, 0.63, 0.61], "no-lrn": [0.65]})
    page(tmp_path, root)
    base, variants, questions, power = plan_tables(tmp_path)
    assert [row[1] for row in base] == ["62.0%", "63.0%", "61.0%"] and base[0][-1] == "3"
    assert variants[0][1:] == ["10", "3", "0.01"] and variants[1][1:] == ["6", "1", "0.01"]
    assert questions[1][-1].endswith(" points") and questions[2][-1] == "-"
    assert [row[0] for row in power] == ["10 and 6", "10 and 3"] and float(power[0][-1]) < float(power[1][-1])


def plan_tables(folder: Path) -> list[list[list[str]]]:
    """The four tables of the plan's page: a list of rows, each of its cells' words."""
    drawn = BeautifulSoup((folder / "html" / "evidence.html").read_text(encoding="utf-8"), "html.parser")
    return [
        [[words(cell) for cell in row.select("td")] for row in each.select("tbody tr")]
        for each in drawn.select("table.study-table")
    ]
