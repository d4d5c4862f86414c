"""What the registered study's networks give when they are averaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ledger_cases import put_study

from alexnet_lib import records
from alexnet_lib.experiments import evidence
from alexnet_lib.experiments.evidence_results import averages, averages_of
from alexnet_lib.experiments.running.tiny_runs import Kept


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
