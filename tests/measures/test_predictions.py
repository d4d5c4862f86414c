"""What a network's answers are worth: each measure on cases small enough to work out, and its errors."""

from __future__ import annotations

import numpy as np
import pytest

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.predictions import calibration, confusions, first_mistakes, off_centre, sense_of, top_labels

ROWS = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.45, 0.15, 0.4]])
LABELS = np.array([0, 2, 2])


def test_the_likeliest_labels_come_first_and_ties_in_order() -> None:
    labels, shares = top_labels(np.array([[0.2, 0.5, 0.3], [0.25, 0.5, 0.25]]), 3)
    assert labels.tolist() == [[1, 2, 0], [1, 0, 2]] and shares.tolist() == [[0.5, 0.3, 0.2], [0.5, 0.25, 0.25]]
    with pytest.raises(SettingError, match="the first 4 of 3 labels: give 1 to 3"):
        top_labels(ROWS, 4)


def test_calibration_by_hand() -> None:
    found = calibration(ROWS, LABELS, bins=2)  # 0.45 in the lower half; 0.7 and 0.6 in the upper, one of them right
    assert found.counts.tolist() == [1, 2]
    assert found.confidence == pytest.approx([0.45, 0.65]) and found.right == pytest.approx([0, 0.5])
    assert found.error == pytest.approx((0.45 + 2 * 0.15) / 3)


def test_probabilities_that_are_shares_are_calibrated_and_sharpened_ones_are_not() -> None:
    generator = np.random.default_rng(0)
    rows = generator.dirichlet([0.7] * 5, 40_000)
    labels = (rows.cumsum(axis=1) < generator.random((len(rows), 1))).sum(axis=1)
    sharp = rows**3 / (rows**3).sum(axis=1, keepdims=True)
    assert calibration(rows, labels).error < 0.01 < 0.1 < calibration(sharp, labels).error


def test_an_answer_of_one_is_in_the_last_bin_and_empty_bins_count_nothing() -> None:
    found = calibration(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]), bins=10)
    assert found.counts.tolist() == [0] * 9 + [2] and found.error == 0.5
    assert np.isnan(found.right[0]) and np.isnan(found.confidence[0])


def test_the_likeliest_wrong_label() -> None:
    assert first_mistakes(ROWS, LABELS).tolist() == [1, 1, 0]
    assert confusions(first_mistakes(ROWS, LABELS), LABELS, 3).tolist() == [[0, 1, 0], [0, 0, 0], [1, 1, 0]]


@pytest.mark.parametrize(
    ("rows", "said"), [(ROWS[:2], "3 labels"), (ROWS + 1, "add up to 1"), (ROWS - [[0.5, 0, -0.5]], "0 or more")]
)
def test_what_is_no_softmax_is_refused(rows: np.ndarray, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        calibration(rows, LABELS)


PAIRS = np.array([[0, 1, 4, 4], [1, 0, 4, 4], [4, 4, 0, 1], [4, 4, 1, 0]])  # two families of two


def test_the_sense_of_mistakes_by_hand() -> None:
    """Of 24 ways to place four classes, the eight that keep the families give a distance as small."""
    within = np.array([[0, 9, 0, 0], [9, 0, 0, 0], [0, 0, 0, 9], [0, 0, 9, 0]])
    found = sense_of(within, PAIRS, draws=20_000)
    assert found.distance == 1 and found.by_chance == pytest.approx(3, abs=0.03)
    assert found.p == pytest.approx(8 / 24, abs=0.01)
    assert sense_of(4 * (1 - np.eye(4, dtype=int)), PAIRS, draws=100).p == 1, "all alike: no dealing is further off"


def test_several_networks_are_one_test_of_the_same_classes() -> None:
    generator = np.random.default_rng(0)
    table = generator.integers(0, 9, (6, 6)) * (1 - np.eye(6, dtype=int))
    distances = generator.integers(1, 9, (6, 6))
    one, three = sense_of(table, distances), sense_of(np.stack([table] * 3), distances)
    assert one == three, "the same table three times says nothing more about the classes"


def test_mistakes_without_sense_are_found_sensible_in_one_of_twenty_cases() -> None:
    generator = np.random.default_rng(1)
    distances = generator.integers(1, 9, (8, 8))
    distances = distances + distances.T
    alarms = 0
    for _ in range(300):
        liked = generator.dirichlet([1.0] * 8)  # some labels are mistaken often, whatever the image shows
        table = np.array([generator.multinomial(30, liked) for _ in range(8)]) * (1 - np.eye(8, dtype=int))
        alarms += sense_of(table, distances, draws=200, seed=int(generator.integers(1000))).p <= 0.05
    assert 4 <= alarms <= 28


def test_confusions_of_other_classes_are_refused() -> None:
    with pytest.raises(SettingError, match="same classes"):
        sense_of(np.ones((3, 3)), PAIRS)
    with pytest.raises(SettingError, match="same classes"):
        sense_of(np.zeros((4, 4)), PAIRS)


def test_off_the_centre_is_where_the_middle_is_outside_the_box() -> None:
    boxes = [(0, 0, 63, 63), (0, 0, 31, 63), (0, 0, 32, 32), (32, 0, 63, 63), (20, 40, 50, 60), (31, 31, 32, 32)]
    assert off_centre(boxes, 64).tolist() == [False, True, False, True, True, False]
    with pytest.raises(SettingError, match="left, top, right and bottom"):
        off_centre([[1, 2, 3]], 64)
