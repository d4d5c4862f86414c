"""The effects of the registered study as they are drawn: ours beside the paper's and the logs' of 2012."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_cases import put_study

from alexnet_lib.experiments.evidence_results import FACTORS, QUESTIONS, TRAINED, answers
from alexnet_lib.experiments.logs_2012 import LOGGED_EFFECTS
from alexnet_lib.figures.results import REACH, draw_effects


@pytest.mark.usefixtures("book_style")
def test_effects_stand_where_they_are_and_far_ones_at_the_edge(tmp_path: Path) -> None:
    put_study(tmp_path, {"paper": [0.60, 0.61, 0.605], "no-lrn": [0.65], "start-text": [0.9]})
    found = answers(tmp_path)
    rows = [
        (one, found.get(name), LOGGED_EFFECTS.get(name))
        for name, one in QUESTIONS.items()
        if one.number not in (*FACTORS, TRAINED)
    ]
    (ax,) = draw_effects(rows).axes
    places: dict[str, list[float]] = {}
    for line in ax.lines:
        places.setdefault(line.get_label(), []).extend(line.get_xdata())
    assert places["ours"] == pytest.approx([4.5, 0.0, REACH])  # LRN, ten views, start
    assert len(places["paper"]) == sum(question.paper is not None for question, *_ in rows)
    assert len(places["logs of 2012"]) == len(LOGGED_EFFECTS)
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("+30 ") == 1, "what is farther out is written at the edge"
    assert "C10: conv3: not yet run" in texts and "C05: response normalisation" in texts
    grey = [area.get_paths()[0].get_extents().x1 for area in ax.collections]
    assert grey[0] == pytest.approx(min(REACH, 100 * found["lrn"].detectable)) and len(grey) == 3
