"""Top-k errors: against a plain loop, by hand, with ties, in batches, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from alexnet_lib.errors import SettingError, TrainingError
from alexnet_lib.training.topk import Guessing, TopKErrors, topk_errors


def slow_wrong(logits: list[list[float]], labels: list[int], k: int) -> int:
    """How many are wrong: the label's place is the last of those that score the same."""
    wrong = 0
    for scores, label in zip(logits, labels, strict=True):
        place = 1 + sum(1 for c, score in enumerate(scores) if c != label and score >= scores[label])
        wrong += place > k
    return wrong


@pytest.mark.parametrize("levels", [3, 50, 10_000])  # 3 levels: ties everywhere
def test_the_counts_are_those_of_a_plain_loop(levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    logits = torch.randint(levels, (200, 12), generator=generator).float() / 7
    labels = torch.randint(12, (200,), generator=generator)
    counted = TopKErrors((1, 3, 5, 12))
    counted.add(logits, labels)
    assert counted.wrong == {k: slow_wrong(logits.tolist(), labels.tolist(), k) for k in (1, 3, 5, 12)}
    assert counted.wrong[12] == 0 and counted.images == 200
    assert topk_errors(logits, labels, (3,)) == {3: counted.wrong[3] / 200}


def test_a_case_by_hand() -> None:
    logits = torch.tensor([[0.1, 0.5, 0.2, 0.15, 0.04, 0.01], [6.0, 5, 4, 3, 2, 1], [0, 0, 0, 0, 1, 0]])
    assert topk_errors(logits, torch.tensor([1, 4, 0])) == {1: 2 / 3, 5: 1 / 3}  # the last: four others score 0 too
    assert topk_errors(logits, torch.tensor([2, 0, 4]), ks=(1, 2)) == {1: 1 / 3, 2: 0.0}


def test_ties_count_against_the_network_whatever_the_order_of_classes() -> None:
    same = torch.zeros(10, 10)
    assert topk_errors(same, torch.arange(10)) == {1: 1.0, 5: 1.0}
    assert topk_errors(same, torch.arange(10), (9, 10)) == {9: 1.0, 10: 0.0}
    assert topk_errors(torch.full((1, 6), torch.inf), torch.tensor([0])) == {1: 1.0, 5: 1.0}
    logits, order = torch.tensor([[1.0, 3, 3, 0, -1, 2]]), torch.tensor([5, 2, 0, 1, 4, 3])
    for label in range(6):
        moved = topk_errors(logits[:, order], (order == label).nonzero()[0])
        assert moved == topk_errors(logits, torch.tensor([label]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_all_floating_types_and_whole_number_labels_do(dtype: torch.dtype) -> None:
    logits = torch.tensor([[0.0, 1, 2], [2, 1, 0]], dtype=dtype, requires_grad=True)
    for kind in (torch.uint8, torch.int32, torch.int64):
        assert topk_errors(logits, torch.tensor([2, 1], dtype=kind), (1, 2)) == {1: 0.5, 2: 0.0}


def test_batches_add_up_to_one_large_batch_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(101, 20, generator=generator), torch.randint(20, (101,), generator=generator)
    whole, parts, others = TopKErrors(), TopKErrors(), TopKErrors((5, 1))
    whole.add(logits, labels)
    for some, wanted in list(zip(logits.split(7), labels.split(7), strict=True))[:9]:
        parts.add(some, wanted)
    parts.add(logits[:0], labels[:0])
    others.add(logits[63:], labels[63:])
    assert parts + others == whole and whole.shares == topk_errors(logits, labels)


@pytest.mark.parametrize(
    ("ks", "said"), [((), "one or more"), ((0,), "at least 1"), ((1.0,), "whole numbers"), ((True,), "whole numbers")]
)
def test_wrong_ks_are_refused(ks: tuple, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        TopKErrors(ks)


def test_what_does_not_fit_is_refused_and_not_counted() -> None:
    logits, labels = torch.randn(4, 6), torch.tensor([0, 1, 2, 5])
    counted = TopKErrors()
    broken = logits.clone()
    broken[1, 5] = torch.nan
    for some, wanted, error, said in [
        (broken, labels, TrainingError, "1 of 4 images have logits that are not numbers"),
        (logits, labels + 1, SettingError, "1 of 4 labels are not in 0 to 5"),
        (logits, labels - 1, SettingError, "1 of 4 labels are not in 0 to 5"),
        (logits[:, :4], labels.clamp(max=3), SettingError, "k = 5 is more than the 4 classes"),
        (logits, labels[:3], SettingError, r"wanted \(N, classes\) and \(N,\)"),
        (logits[0], labels, SettingError, r"wanted \(N, classes\)"),
        (logits.long(), labels, SettingError, "floating-point"),
        (logits, labels.float(), SettingError, "whole numbers"),
        (logits, labels.bool(), SettingError, "whole numbers"),
    ]:
        with pytest.raises(error, match=said):
            counted.add(some, wanted)
    assert counted == TopKErrors()
    with pytest.raises(SettingError, match="no image was counted"):
        _ = counted.shares
    with pytest.raises(SettingError, match="cannot be added"):
        _ = counted + TopKErrors((1,))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_counts_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(64, 20, generator=generator), torch.randint(20, (64,), generator=generator)
    assert topk_errors(logits.cuda(), labels) == topk_errors(logits, labels)
    with pytest.raises(SettingError, match="labels are not in"):
        topk_errors(logits.cuda(), labels + 20)


def test_guessing_is_the_best_answer_that_does_not_look() -> None:
    two = Guessing.of(torch.arange(1000) % 2, torch.arange(100) % 2)
    assert (two.loss, two.error) == (pytest.approx(math.log(2)), 0.5)
    assert two.is_pass(0.69, 0.5) and two.is_pass(0.8, 0.36), "3 deviations of 100 images are 15 points"
    assert not two.is_pass(0.69, 0.34) and not two.is_pass(0.68, 0.5), "its loss has fallen by more than 1%"
    twenty = Guessing.of(torch.arange(1000) % 20, torch.arange(600) % 20)
    assert (twenty.loss, twenty.error) == (pytest.approx(math.log(20)), 0.95)
    assert twenty.is_pass(3.0, 0.95) and not twenty.is_pass(3.0, 0.92)
    uneven = Guessing.of(torch.tensor([0] * 9 + [1]), torch.tensor([0] * 8 + [1] * 2))
    assert uneven.error == pytest.approx(0.2)
    assert uneven.loss == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1))
