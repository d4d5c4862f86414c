"""What "Results and ablations" reads: the registered study's effects, averages of its networks, the logs of 2012."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ledger_cases import CLASSES, put_study

from alexnet_lib import ROOT, records
from alexnet_lib.errors import SettingError
from alexnet_lib.experiments import evidence, logs_2012, pretraining
from alexnet_lib.experiments import tables as results
from alexnet_lib.experiments.evidence_results import FACTORS, QUESTIONS, TRAINED, answers, averages, averages_of
from alexnet_lib.experiments.running.tiny_runs import Kept
from alexnet_lib.figures.results import REACH, draw_averages, draw_bells, draw_effects, draw_found

CLAIMS = ROOT / "book" / "claims.yml"


def test_with_nothing_recorded_everything_is_not_yet_run(tmp_path: Path) -> None:
    rows = results.compared_rows(answers(tmp_path))
    asked = [one for one in QUESTIONS.values() if one.number not in (*FACTORS, TRAINED)]
    assert [row.label for row in rows] == [one.short for one in asked] and len(rows) > 12
    assert all(row.ours is None and row.detectable is None for row in rows)
    assert {row[1] for row in results.our_rows(tmp_path)} == {"not yet run"} and results.record_keys(tmp_path) == []


def test_what_is_recorded_stands_beside_the_paper_and_the_logs(tmp_path: Path) -> None:
    put_study(tmp_path, {"paper": [0.60, 0.61, 0.605], "no-lrn": [0.65]})
    rows = {row.label: row for row in results.compared_rows(answers(tmp_path))}
    lrn = rows["C05: response normalisation"]
    assert lrn.ours.size == pytest.approx(0.65 - 0.605) and lrn.detectable == lrn.ours.detectable(len(QUESTIONS))
    assert (lrn.paper, lrn.logs) == (0.014, pytest.approx(0.0137))
    assert rows["C10: conv3"].ours is None and rows["C08: pooling windows that overlap (gap)"].paper is None


def test_averages_are_over_all_choices_of_networks(tmp_path: Path) -> None:
    put_study(tmp_path, {"paper": [0.60, 0.61, 0.605]}, views={"paper": [0.57, 0.58, 0.575]}, answers=True)
    record = records.load(evidence.NAME, f"{evidence.FULL.name}_paper", tmp_path)
    found = averages(record, tmp_path)
    kept = [Kept.read(record, seed, tmp_path) for seed in range(3)]
    alone = [float(one.wrong["ten"].double().mean()) for one in kept]
    assert [one.networks for one in found] == [1, 2, 3]
    assert found[0].top1 == pytest.approx(np.mean(alone))
    assert (found[0].lowest, found[0].highest) == pytest.approx((min(alone), max(alone)))
    assert found[0].lowest < found[0].highest and found[2].lowest == found[2].highest == found[2].top1
    assert found[2].top1 <= found[1].top1 < found[0].top1, "their mistakes are of other classes"


def test_the_average_of_two_by_hand() -> None:
    sure, unsure = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.4, 0.6]])
    one, two = averages_of([sure, unsure], torch.tensor([0]))
    assert (one.top1, one.lowest, one.highest, one.top5) == (0.5, 0.0, 1.0, 0.0) and two.top1 == 0.0


def test_rows_beside_the_papers_tables(tmp_path: Path) -> None:
    put_study(tmp_path, {"paper": [0.60, 0.62, 0.61]}, answers=True)
    put_study(tmp_path, {"sixth": [0.58]}, experiment=pretraining.NAME)
    one, five, sixth, tuned, both = results.our_rows(tmp_path)
    assert one == ["one network", "61.0 ± 1.0", "30.5 ± 0.5", "3"] and sixth[1:] == ["58.0", "29.0", "1"]
    assert five[1] == tuned[1] == both[1] == "not yet run"
    put_study(tmp_path, {"paper": [0.60, 0.61, 0.60, 0.6, 0.6]}, answers=True)
    average = averages(records.load(evidence.NAME, f"{evidence.FULL.name}_paper", tmp_path), tmp_path)[4]
    assert results.our_rows(tmp_path)[1][1] == f"{100 * average.top1:.1f}"
    runs = [f"{name}/{evidence.FULL.name}_{run}" for name, run in (("evidence", "paper"), ("pretraining", "sixth"))]
    assert results.record_keys(tmp_path) == runs
    assert CLASSES == evidence.FULL.classes


def test_what_a_layer_takes_with_it() -> None:
    rows = {name: told for name, *told in results.depth_rows()}
    whole, conv3 = 60_965_224, 884_736 + 384
    assert rows["conv3"][:2] == [f"{conv3 / whole:.2%}", f"{149_520_384 / 724_406_816:.0%}"]
    more = 4096 * 36 * (384 - 256) - (442_368 + 256)  # fc6 sees the maps of conv4
    assert rows["conv5"][2] == f"{more / whole:+.1%}"


def test_the_logs_round_to_what_the_paper_prints() -> None:
    named = [one for one in logs_2012.PRINTED if one.net]
    assert len(named) == 3
    for one in named:
        logged = logs_2012.BY_NET[one.net]
        assert one.errors == f"{100 * logged.top1:.1f} / {100 * logged.top5:.1f}"
    for name, logged in logs_2012.LOGGED_EFFECTS.items():
        paper = QUESTIONS[name].paper
        assert paper is None or logged == pytest.approx(paper, abs=6e-4)
    with pytest.raises(SettingError, match="different images"):
        logs_2012.change("148", "145-2010")


def test_the_logs_are_those_of_the_claims() -> None:
    claims, told = yaml.safe_load(CLAIMS.read_text(encoding="utf-8")), 0
    for net in ("145-half", "145-2010", "145", "147", "148", "146-2012-2011"):
        logged = logs_2012.BY_NET[net]
        said = [one["logs"] for one in claims.values() if f"({net})" in one.get("logs", "") and " / " in one["logs"]]
        told += len(said)
        errors_said = results.in_per_cent(logged.top1, logged.top5).replace("\u00a0", " ")
        assert all(errors_said in one for one in said)
    assert told >= 6


def test_figures_show_what_they_are_given(tmp_path: Path, book_style) -> None:  # noqa: ANN001
    put_study(tmp_path, {"paper": [0.60, 0.61, 0.605], "no-lrn": [0.65], "start-text": [0.9]})
    rows = results.compared_rows(answers(tmp_path))
    (ax,) = draw_effects(rows).axes
    places: dict[str, list[float]] = {}
    for line in ax.lines:
        places.setdefault(line.get_label(), []).extend(line.get_xdata())
    assert places["ours"] == pytest.approx([4.5, 0.0, REACH])  # LRN, ten views, start
    assert len(places["paper"]) == sum(row.paper is not None for row in rows)
    assert len(places["logs of 2012"]) == len(logs_2012.LOGGED_EFFECTS)
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("+30 ") == 1, "what is farther out is written at the edge"
    assert "C10: conv3: not yet run" in texts and "C05: response normalisation" in texts
    two = averages_of([torch.tensor([[0.9, 0.1]]), torch.tensor([[0.4, 0.6]])], torch.tensor([0]))
    (ax,) = draw_averages({"a": two}).axes
    assert list(ax.lines[0].get_ydata()) == [50, 0]
    (ax,) = draw_bells({"a": (40.0, 2.0)}, (30, 50)).axes
    assert max(ax.lines[0].get_ydata()) == pytest.approx(1) and ax.lines[0].get_ydata()[80] == pytest.approx(
        0.6065, abs=1e-3
    )
    (ax,) = draw_found({"a": ([0, 1], [0.025, 0.9])}).axes
    assert list(ax.lines[0].get_ydata()) == [2.5, 90]
