"""Rules of the ledger about what the network learned (C26 to C30), on records made up for them."""

from __future__ import annotations

from pathlib import Path

from ledger_cases import put, put_kernels, put_predictions, put_retrieval

from alexnet_lib import claims
from alexnet_lib.claims import Verdict
from alexnet_lib.measures.binary_codes import EXACT, code_name


def verdict(name: str, root: Path) -> str:
    """How a claim is judged by the records under `root`."""
    return claims.judge(name, root).verdict


def test_kernels_must_be_more_like_gabors_than_noise_as_smooth(tmp_path: Path) -> None:
    shares = [[0.5] * 10] * 3
    put_kernels(tmp_path, [0.70, 0.72, 0.71], [0.50, 0.51, 0.50], shares)
    deciding = claims.judge("C26", tmp_path).deciding
    assert deciding.verdict is Verdict.IN_DIRECTION and deciding.figure.startswith("+20.67 points (")
    assert "a Gabor has 71% of a kernel, and 50% of noise; over half of it in 100% and 33%" in deciding.figure
    put_kernels(tmp_path, [0.50, 0.51, 0.49], [0.70, 0.71, 0.70], shares)
    assert verdict("C26", tmp_path) is Verdict.DIFFERS, "the control can make it fail"
    put_kernels(tmp_path, [0.50, 0.60, 0.49], [0.52, 0.50, 0.53], shares)
    assert verdict("C26", tmp_path) is Verdict.TOO_WEAK


def test_columns_are_specialised_beyond_chance_over_all_runs_and_the_share_of_runs_is_told(tmp_path: Path) -> None:
    fits = [0.7, 0.7]
    grey_first, coloured_first = [0.1, 0.12, 0.15, 0.1, 0.2, 0.7, 0.8, 0.6, 0.9, 0.7], [0.8] * 5 + [0.2] * 5
    put_kernels(tmp_path, fits, fits, [grey_first, coloured_first])
    judgement = claims.judge("C27", tmp_path)
    assert judgement.verdict is Verdict.IN_DIRECTION
    assert judgement.deciding.figure.startswith("60.3 points, the mean of 2 seeds")
    assert "By itself 2 of 2 runs is beyond chance: of all such runs that is 16% to 100%" in judgement.deciding.why
    put_kernels(tmp_path, fits, fits, [grey_first, [0.1, 0.9] * 5])
    deciding = claims.judge("C27", tmp_path).deciding
    assert "By itself 1 of 2 runs is beyond chance: of all such runs that is 1% to 99%" in deciding.why
    put_kernels(tmp_path, fits, fits, [[0.1, 0.9] * 5, [0.2, 0.2, 0.8, 0.8, 0.5] * 2])
    assert verdict("C27", tmp_path) is Verdict.TOO_WEAK
    put_kernels(tmp_path, fits[:1], fits[:1], [grey_first])
    assert verdict("C27", tmp_path) is Verdict.NOT_RUN


def test_columns_that_always_meet_stand_beside_as_the_control(tmp_path: Path) -> None:
    put_kernels(tmp_path, [0.7, 0.7], [0.5, 0.5], [[0.8] * 5 + [0.2] * 5] * 2, "always-meet")
    first, control = claims.judge("C27", tmp_path).findings
    assert first.verdict is Verdict.NOT_RUN and control.verdict is Verdict.IN_DIRECTION and not control.decides
    assert verdict("C27", tmp_path) is Verdict.NOT_RUN


def test_retrieval_is_judged_by_how_much_more_is_of_the_querys_class(tmp_path: Path) -> None:
    found = {
        "features": [0.5, 0.51, 0.52],
        "pixels": [0.2, 0.21, 0.2],
        "features, 256 bits": [0.4, 0.41, 0.43],
        "pixels, 256 bits": [0.4, 0.42, 0.41],
    }
    put_retrieval(tmp_path, found)
    c29, c30 = (claims.judge(name, tmp_path) for name in ("C29", "C30"))
    assert c29.verdict is Verdict.IN_DIRECTION and c29.deciding.figure.startswith("+30.67 points (")
    assert c29.findings[1].figure == "30% (3 seed(s))" and not c29.findings[1].decides
    assert c30.verdict is Verdict.TOO_WEAK and c30.findings[1].figure.startswith("-9.67 points (")
    put_retrieval(tmp_path, {name: each[:1] for name, each in found.items()})
    assert "One seed" in claims.judge("C29", tmp_path).deciding.why


def test_random_planes_stand_beside_the_autoencoder(tmp_path: Path) -> None:
    found = {"features": [0.5], "pixels": [0.2], "features, 256 bits": [0.42], "pixels, 256 bits": [0.3]}
    put_retrieval(tmp_path, found)
    beside = claims.judge("C30", tmp_path).findings[2]
    assert not beside.decides and "finds more than random planes at 1 of 3 lengths. Where" in beside.why
    assert beside.figure == "64 bits 40.0% and 40.0%; 128 bits 40.0% and 40.0%; 256 bits 42.0% and 40.0%"
    found = {
        "features": [0.5] * 3,
        "pixels": [0.2] * 3,
        "features, 256 bits": [0.38, 0.39, 0.37],
        "pixels, 256 bits": [0.3] * 3,
    }
    put_retrieval(tmp_path, found)
    beside = claims.judge("C30", tmp_path).findings[2]
    assert "at 0 of 3 lengths; its effect at 256 bits is -2.00 points (" in beside.why, "better is positive"
    assert beside.could_see.endswith(" points") and beside.verdict is Verdict.NOT_TESTED


def test_the_speed_of_codes_stands_beside_their_claim(tmp_path: Path) -> None:
    speeds = {code_name(256): {"median": 5000.0}, EXACT: {"median": 5.0}}
    result = {"queries_per_second": speeds, "bytes": {"256": 32}, "bytes_exact": 16_384, "searched": 100_000}
    put(tmp_path, "bench", "retrieval_cpu", result, [0], claims=["C30"])
    judgement = claims.judge("C30", tmp_path)
    beside = judgement.findings[3]
    assert judgement.verdict is Verdict.NOT_RUN and beside.verdict is Verdict.NOT_TESTED and not beside.decides
    assert beside.figure == "1/1,000 (0.20 ms), with 1/512 of the bytes"
    assert beside.data == "some CPU, 100,000 drawn codes"


IN_FAMILY = [[0, 8, 1, 1], [8, 0, 1, 1], [1, 1, 0, 8], [1, 1, 8, 0]]  # tench and goldfish, two storks


def test_objects_off_the_centre_are_recognised_if_better_than_by_guessing(tmp_path: Path) -> None:
    on = [0.40, 0.42, 0.41]
    put_predictions(tmp_path, [0.5, 0.52, 0.51], on, IN_FAMILY)
    both, cost = claims.judge("C28", tmp_path).findings
    assert "+24.00 points (" in both.figure, "of four classes guessing gets 75% wrong"
    assert "error 51.0%, by guessing 75%, on 1000 photographs" in both.figure
    assert cost.verdict is Verdict.NOT_TESTED and not cost.decides
    assert cost.figure.startswith("+10.00 points (") and cost.figure.endswith("): 41.0% and 51.0%")
    put_predictions(tmp_path, [0.75, 0.77, 0.74], on, IN_FAMILY)
    assert verdict("C28", tmp_path) is Verdict.TOO_WEAK
    put_predictions(tmp_path, [0.5], on[:1], IN_FAMILY)
    assert verdict("C28", tmp_path) is Verdict.TOO_WEAK
    assert claims.judge("C28", tmp_path).findings[1].figure == "40.0% and 50.0%"


def test_mistakes_make_sense_only_if_they_are_nearer_in_kind_than_chance(tmp_path: Path) -> None:
    off, on = [0.5, 0.52, 0.51], [0.40, 0.42, 0.41]
    put_predictions(tmp_path, off, on, IN_FAMILY)
    judged = claims.judge("C28", tmp_path).findings[0]
    assert judged.verdict is Verdict.TOO_WEAK and "p = 0.3" in judged.figure, "four classes can show nothing"
    names = ["n01440764", "n01443537", "n02002724", "n02002556", "n02124075", "n02123394", "n04398044", "n02909870"]
    pairs = [[9 if column == row ^ 1 else int(column != row) for column in range(8)] for row in range(8)]
    put_predictions(tmp_path, off, on, pairs, classes=names)
    judged = claims.judge("C28", tmp_path).findings[0]
    assert judged.verdict is Verdict.IN_DIRECTION and "3 seed(s), p = 0.0" in judged.figure
    put_predictions(tmp_path, off, on, [[int(column != row) for column in range(8)] for row in range(8)], classes=names)
    assert verdict("C28", tmp_path) is Verdict.TOO_WEAK
