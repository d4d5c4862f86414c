"""The page of claims: drawn from the records, and drawn again when they change."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from bs4 import BeautifulSoup
from conftest import ROOT
from ledger_cases import LRN, SAME, put_variants

from alexnet_lib.ledger import Verdict

CLAIMS = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
CONF = """
import sys
from pathlib import Path
from alexnet_lib import records

sys.path.insert(0, {ext!r})
records.recorded_root = lambda: Path({root!r})
extensions = ["myst_parser", "claims_ledger", "ledger_page"]
"""


def page(folder: Path, root: Path) -> BeautifulSoup:
    """The page of claims alone, built with the records under `root`; again what has to be, if it was built before."""
    source = folder / "source"
    if not source.exists():
        source.mkdir()
        for name in ("claims.yml", "chapters.yml", "planned_experiments.yml"):
            shutil.copy(ROOT / "book" / name, source)
        (source / "conf.py").write_text(CONF.format(ext=str(ROOT / "book" / "_ext"), root=str(root)), encoding="utf-8")
        text = (ROOT / "book" / "claims.md").read_text(encoding="utf-8").replace("{cite}", "")
        (source / "index.md").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", str(source), str(folder / "html")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return BeautifulSoup((folder / "html" / "index.html").read_text(encoding="utf-8"), "html.parser")


def words(row: Any) -> str:
    return " ".join(row.text.split())


def test_the_page_shows_figures_of_records_and_follows_them(tmp_path: Path) -> None:
    root = tmp_path / "recorded"
    put_variants(root, *LRN, {"none": SAME, "lrn-sum": [0.29, 0.30, 0.3101]})
    drawn = page(tmp_path, root)
    row, without = drawn.select_one("#c06"), drawn.select_one("#c07")
    assert "-1.00 ± 0.00 points" in words(row) and "CIFAR-10, 5,000 training images, 4 passes, 3 seeds" in words(row)
    assert "verdict-agrees-in-direction" in row["class"] and "verdict-not-yet-run" in without["class"]
    assert "points" not in words(without.select_one("td + td"))
    path = root / "lrn-cifar10" / "5-passes_lrn-sum.json"
    changed = json.loads(path.read_text(encoding="utf-8"))
    changed["result"]["test_error"] = [0.33, 0.34, 0.3501]
    path.write_text(json.dumps(changed), encoding="utf-8")
    put_variants(root, "pooling-cifar10", "4-passes", {"max-3-2": SAME, "max-2-2": [0.32, 0.33, 0.3401]})
    drawn = page(tmp_path, root)
    for claim, figure, expected in (("c06", "+3.00", "differs"), ("c07", "+2.00", "agrees-in-direction")):
        assert f"{figure} ± 0.00 points" in words(drawn.select_one(f"#{claim}"))
        assert f"verdict-{expected}" in drawn.select_one(f"#{claim}")["class"]
    overview = words(drawn.select_one(".ledger-overview"))
    assert all(f"{verdict} " in overview for verdict in Verdict) and "C06 Normalisation on CIFAR-10" in overview
    assert {link["href"] for link in drawn.select(".ledger-overview a")} == {f"#{name.lower()}" for name in CLAIMS}
