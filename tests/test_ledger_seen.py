"""Rules of the ledger about what the network learned (C26 to C30), on records made up for them."""

from __future__ import annotations

from pathlib import Path

from ledger_cases import put, put_kernels, put_predictions, put_retrieval

from alexnet_lib import ledger
from alexnet_lib.bench.retrieval import EXACT, code_name
from alexnet_lib.ledger import Verdict


def verdict(name: str, root: Path) -> str:
    """How a claim is judged by the records under `root`."""
    return ledger.judge(name, root).verdict


def test_kernels_of_the_papers_kinds_must_be_most_in_every_run(tmp_path: Path) -> None:
    most, few = ["oriented"] * 6 + ["coloured blob"] * 3 + ["grey blob"], ["oriented"] * 5 + ["neither"] * 5
    shares = [[0.5] * 10] * 2
    for kinds, expected in (([most, most], Verdict.IN_DIRECTION), ([most, few], Verdict.UNDECIDED),
                            ([few, few], Verdict.DIFFERS)):  # fmt: skip
        put_kernels(tmp_path, kinds, shares)
        assert verdict("C26", tmp_path) is expected
    put_kernels(tmp_path, [most], shares[:1])
    deciding = ledger.judge("C26", tmp_path).deciding
    assert deciding.verdict is Verdict.UNDECIDED and deciding.figure == "90% (60% oriented), seed by seed"


def test_columns_are_specialised_only_beyond_chance_and_in_several_runs(tmp_path: Path) -> None:
    kinds = [["oriented"] * 10] * 2
    grey_first, coloured_first = [0.1, 0.12, 0.15, 0.1, 0.2, 0.7, 0.8, 0.6, 0.9, 0.7], [0.8] * 5 + [0.2] * 5
    put_kernels(tmp_path, kinds, [grey_first, coloured_first])
    deciding = ledger.judge("C27", tmp_path).deciding
    assert deciding.verdict is Verdict.IN_DIRECTION and deciding.figure.startswith("60.3 points, the mean of 2 seed(s)")
    put_kernels(tmp_path, kinds[:1], [grey_first])
    assert verdict("C27", tmp_path) is Verdict.UNDECIDED
    put_kernels(tmp_path, kinds, [grey_first, [0.1, 0.9] * 5])
    deciding = ledger.judge("C27", tmp_path).deciding
    assert deciding.verdict is Verdict.UNDECIDED, "the paper says it of every run"
    assert "by themselves 1 of 2 run(s)" in deciding.why and "by run p = 0.01, 1.00" in deciding.figure
    put_kernels(tmp_path, kinds, [[0.1, 0.9] * 5, [0.2, 0.2, 0.8, 0.8, 0.5] * 2])
    assert verdict("C27", tmp_path) is Verdict.UNDECIDED


def test_retrieval_is_judged_by_how_much_more_is_of_the_querys_class(tmp_path: Path) -> None:
    found = {"features": [0.5, 0.51, 0.52], "pixels": [0.2, 0.21, 0.2], "features, 256 bits": [0.4, 0.41, 0.43],
             "pixels, 256 bits": [0.4, 0.42, 0.41]}  # fmt: skip
    put_retrieval(tmp_path, found)
    c29, c30 = (ledger.judge(name, tmp_path) for name in ("C29", "C30"))
    assert c29.verdict is Verdict.IN_DIRECTION and c29.deciding.figure.startswith("+30.6")
    assert c29.findings[1].figure == "30% (3 seed(s))" and not c29.findings[1].decides
    assert c30.verdict is Verdict.UNDECIDED and c30.findings[1].figure.startswith("-9.6")
    put_retrieval(tmp_path, {name: each[:1] for name, each in found.items()})
    assert "One seed" in ledger.judge("C29", tmp_path).deciding.why


def test_the_speed_of_codes_stands_beside_their_claim(tmp_path: Path) -> None:
    speeds = {code_name(256): {"median": 5000.0}, EXACT: {"median": 5.0}}
    result = {"queries_per_second": speeds, "bytes": {"256": 32}, "bytes_exact": 16_384, "searched": 100_000}
    put(tmp_path, "bench", "retrieval_cpu", result, [0], claims=["C30"])
    judgement = ledger.judge("C30", tmp_path)
    beside = judgement.findings[2]
    assert judgement.verdict is Verdict.NOT_RUN and beside.verdict is Verdict.NOT_TESTED and not beside.decides
    assert beside.figure == "1/1,000 (0.20 ms), with 1/512 of the bytes"
    assert beside.data == "some CPU, 100,000 drawn codes"


IN_FAMILY = [[0, 8, 1, 1], [8, 0, 1, 1], [1, 1, 0, 8], [1, 1, 8, 0]]  # tench and goldfish, two storks


def test_objects_off_the_centre_are_recognised_if_better_than_by_guessing(tmp_path: Path) -> None:
    on = [0.40, 0.42, 0.41]
    put_predictions(tmp_path, [0.5, 0.52, 0.51], on, IN_FAMILY)
    judged = ledger.judge("C28", tmp_path)
    off, sensible, cost = judged.findings
    assert off.verdict is Verdict.IN_DIRECTION
    assert off.figure.startswith("-24.00"), "of four classes guessing gets 75% wrong"
    assert sensible.decides
    assert cost.figure.startswith("+10.00") and not cost.decides
    put_predictions(tmp_path, [0.75, 0.77, 0.74], on, IN_FAMILY)
    assert ledger.judge("C28", tmp_path).findings[0].verdict is Verdict.UNDECIDED
    put_predictions(tmp_path, [0.5], on[:1], IN_FAMILY)
    assert verdict("C28", tmp_path) is Verdict.UNDECIDED


def test_mistakes_make_sense_only_if_they_are_nearer_in_kind_than_chance(tmp_path: Path) -> None:
    off, on = [0.5, 0.52, 0.51], [0.40, 0.42, 0.41]
    put_predictions(tmp_path, off, on, IN_FAMILY)
    judged = ledger.judge("C28", tmp_path).findings[1]
    assert judged.verdict is Verdict.UNDECIDED and "p = 0.3" in judged.figure, "four classes can show nothing"
    names = ["n01440764", "n01443537", "n02002724", "n02002556", "n02124075", "n02123394", "n04398044", "n02909870"]
    pairs = [[9 if column == row ^ 1 else int(column != row) for column in range(8)] for row in range(8)]
    put_predictions(tmp_path, off, on, pairs, classes=names)
    judged = ledger.judge("C28", tmp_path).findings[1]
    assert judged.verdict is Verdict.IN_DIRECTION and "3 seed(s), p = 0.0" in judged.figure
    put_predictions(tmp_path, off, on, [[int(column != row) for column in range(8)] for row in range(8)], classes=names)
    assert ledger.judge("C28", tmp_path).findings[1].verdict is Verdict.UNDECIDED
