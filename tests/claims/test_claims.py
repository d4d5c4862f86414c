"""The ledger of claims: each rule on records that were made up, and every claim judged."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from built_pages import ROOT
from ledger_cases import LRN, SAME, TEST_IMAGES, put, put_race, put_study, put_variants

from alexnet_lib import claims, records
from alexnet_lib.bench.model import networks
from alexnet_lib.claims import Verdict, computed, passes, rules
from alexnet_lib.claims.judging import Measured, judged
from alexnet_lib.claims.others import ONE, TWO
from alexnet_lib.claims.verdicts import Finding, Judgement, span
from alexnet_lib.experiments import evidence, evidence_results, flagship, lrn_cifar10, pretraining, tiny_imagenet
from alexnet_lib.experiments.evidence_results import QUESTIONS
from alexnet_lib.experiments.results import results_of
from alexnet_lib.experiments.running.tiny_runs import Kept
from alexnet_lib.measures.effects import TIMES, Effect

CLAIMS = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))


def verdict(claim: str, root: Path) -> Verdict:
    return claims.judge(claim, root).verdict


def test_every_claim_has_rules_and_a_verdict_and_nothing_else_has(tmp_path: Path) -> None:
    assert list(rules.RULES) == list(CLAIMS)
    for name, claim in CLAIMS.items():
        judgement = claims.judge(name, tmp_path)
        assert any(one.decides for one in judgement.findings) and judgement.verdict in Verdict
        if claim["how"] == "measured":  # nothing is recorded in an empty folder
            assert judgement.verdict in (Verdict.NOT_RUN, Verdict.NOT_TESTED), name
        assert all(one.verdict in claims.MEANINGS and one.what for one in judgement.findings)


def test_every_experiment_that_a_claim_names_is_asked(tmp_path: Path) -> None:
    for name, claim in CLAIMS.items():
        named = [claim["experiment"]] if isinstance(claim["experiment"], str) else claim["experiment"] or []
        asked = {one.experiment.split(" ")[0] for one in claims.judge(name, tmp_path).findings}
        assert asked - {""} == set(named), name


def test_every_record_of_the_book_stands_behind_its_claims() -> None:
    for folder in records.recorded_root().glob("*/"):
        for run, record in records.load(folder.name).items():
            for name in record["claims"]:
                judgement = claims.judge(name)
                assert all("nothing judges" not in one.why for one in judgement.findings), f"{run} waits for a rule"


@pytest.mark.parametrize(
    ("with_norm", "expected", "said"),
    [
        ([0.27, 0.28, 0.291], Verdict.AGREES, "the paper's +2.00 is inside"),
        ([0.20, 0.21, 0.2201], Verdict.IN_DIRECTION, "the paper's +2.00 is outside"),
        ([0.295, 0.305, 0.325], Verdict.TOO_WEAK, "the paper's +2.00 is inside"),
        ([0.335, 0.345, 0.3551], Verdict.DIFFERS, "the other way"),
        ([0.32, 0.33, 0.312], Verdict.SMALLER, "the paper's +2.00 is outside"),
    ],
)
def test_the_verdict_is_that_of_the_interval(tmp_path: Path, with_norm: list, expected: Verdict, said: str) -> None:
    put_variants(tmp_path, *LRN, {"none": SAME, "lrn-sum": with_norm})
    deciding = claims.judge("C06", tmp_path).deciding
    assert deciding.verdict is expected and said in deciding.why
    assert deciding.data == "CIFAR-10, 5,000 training images, 4 passes, 3 seeds"
    assert deciding.records == ("lrn-cifar10/5-passes_lrn-sum", "lrn-cifar10/5-passes_none")
    assert deciding.figure.startswith(f"{100 * (sum(SAME) - sum(with_norm)) / 3:+.2f} points (")


def test_smaller_says_than_what_and_every_verdict_what_could_have_been_seen(tmp_path: Path) -> None:
    put_variants(tmp_path, *LRN, {"none": SAME, "lrn-sum": [0.32, 0.33, 0.31]})
    deciding = claims.judge("C06", tmp_path).deciding
    high = float(deciding.figure.rstrip(")").rpartition(" ")[2])
    assert deciding.said == f"smaller than {high:.2f} points" and high < 2
    # Two groups of three: 4 degrees of freedom, and a standard error of their pooled spread.
    error = math.sqrt((0.0001 + 0.0001) / 2 * 2 / 3)
    assert deciding.could_see == f"{100 * 3.761 * error:.2f} points"


def test_among_many_tests_an_effect_is_small_only_by_the_corrected_interval() -> None:
    effect = Effect(0.0, 0.005, 0.0, 0.005, 20, 3)
    alone = judged(Measured(effect, ()), paper=0.0110)
    assert alone[0] is Verdict.SMALLER and alone[2] == "1.04 points"
    assert judged(Measured(effect, (), tests=19), paper=0.0110)[0] is Verdict.TOO_WEAK
    verdict, why, under = judged(Measured(effect, (), tests=19), paper=0.02)
    assert verdict is Verdict.SMALLER and under == "1.72 points" and why.endswith("Corrected, it ends at +1.72.")


def test_one_seed_of_each_decides_nothing(tmp_path: Path) -> None:
    put_variants(tmp_path, *LRN, {"none": [0.30], "lrn-sum": [0.28]})
    deciding = claims.judge("C06", tmp_path).deciding
    assert deciding.verdict is Verdict.TOO_WEAK and deciding.why.startswith("One seed of each")
    assert deciding.could_see == "" and deciding.strength is None and deciding.data.endswith("1 seed")


def test_a_variant_that_is_missing_or_incomplete_is_not_yet_run(tmp_path: Path) -> None:
    put_variants(tmp_path, *LRN, {"none": SAME})
    assert verdict("C06", tmp_path) is Verdict.NOT_RUN
    put_variants(tmp_path, *LRN, {"lrn-sum": SAME}, complete=False)
    assert verdict("C06", tmp_path) is Verdict.NOT_RUN
    command = claims.judge("C06", tmp_path).deciding.command
    assert command == "python -m alexnet_lib experiment lrn-cifar10 --full"


def test_few_test_images_decide_nothing_however_alike_the_seeds_are(tmp_path: Path) -> None:
    part, lower = "10000-images-16-passes", [0.44, 0.45, 0.459]
    errors = {"none": [0.46, 0.47, 0.48], "deviation": lower}
    put_variants(tmp_path, "lighting-cifar10", part, errors, test_images=500)
    deciding = claims.judge("C14", tmp_path).deciding
    assert deciding.verdict is Verdict.TOO_WEAK and "an upper limit, as which were wrong was not kept" in deciding.why
    put_variants(tmp_path, "lighting-cifar10", part, errors)
    assert verdict("C14", tmp_path) is Verdict.TOO_WEAK, "the seeds alone leave it open"
    errors["none"] = [0.56, 0.57, 0.58]
    put_variants(tmp_path, "lighting-cifar10", part, errors, test_images=500)
    assert verdict("C14", tmp_path) is Verdict.IN_DIRECTION


def test_how_few_the_test_images_are_is_nothing_to_the_training_error(tmp_path: Path) -> None:
    part, training = "biases-10000-images-20-passes-text", {"bias-1": [0.3, 0.3, 0.3], "bias-0": [0.31, 0.31, 0.3101]}
    put_variants(
        tmp_path,
        "learning-cifar10",
        part,
        {"bias-1": [0.3, 0.3, 0.3], "bias-0": [0.31, 0.31, 0.3101]},
        training=training,
        test_images=500,
    )
    deciding = claims.judge("C20", tmp_path).deciding
    assert deciding.verdict is Verdict.IN_DIRECTION and "upper limit" not in deciding.why


def test_a_broken_run_leaves_the_verdict_to_another_test(tmp_path: Path) -> None:
    put_study(tmp_path, {"paper": [0.6, 0.61, 0.605], "halving": [0.98, 0.979, 0.98]})
    judgement = claims.judge("C16", tmp_path)
    said = "A run of halving diverged, or ended at guessing"
    assert judgement.verdict is Verdict.BROKEN and said in judgement.deciding.why
    assert judgement.deciding.figure == "", "nothing of a run that learned nothing is an effect"
    put_variants(tmp_path, "dropout-cifar10", "5000-images-60-passes", {"none": [0.5, 0.5, 0.51], "rate-0.5": SAME})
    judgement = claims.judge("C16", tmp_path)
    assert judgement.verdict is Verdict.IN_DIRECTION and judgement.deciding.experiment == "dropout-cifar10"


def test_the_test_that_could_have_seen_the_smallest_effect_decides() -> None:
    def found(verdict: Verdict, strength: float | None, decides: bool = True) -> Finding:
        return Finding("", verdict, "", strength=strength, decides=decides)

    weak, strong = found(Verdict.DIFFERS, 2.5), found(Verdict.IN_DIRECTION, 0.5)
    assert Judgement("C07", (weak, strong)).deciding is strong
    assert Judgement("C07", (weak, found(Verdict.SMALLER, 0.1, decides=False))).deciding is weak
    assert Judgement("C07", (found(Verdict.BROKEN, None), weak)).deciding is weak
    assert Judgement("C07", (found(Verdict.TOO_WEAK, None), weak)).deciding is weak
    waiting = found(Verdict.NOT_RUN, None)
    assert Judgement("C07", (waiting, found(Verdict.NOT_TESTED, 0.0))).deciding is waiting


def test_drawn_images_say_nothing(tmp_path: Path) -> None:
    put_variants(tmp_path, *LRN, {"none": SAME, "lrn-sum": [0.28, 0.29, 0.301]}, stand_in=True)
    assert verdict("C06", tmp_path) is Verdict.NOT_TESTED


def test_the_longer_run_comes_before_the_shorter_once_it_has_both(tmp_path: Path) -> None:
    put_variants(tmp_path, *LRN, {"none": SAME, "lrn-sum": [0.20, 0.21, 0.2201]})
    put_variants(tmp_path, "lrn-cifar10", "160-passes", {"none": SAME})
    assert verdict("C06", tmp_path) is Verdict.IN_DIRECTION
    put_variants(tmp_path, "lrn-cifar10", "160-passes", {"lrn-sum": [0.33, 0.34, 0.3501]})
    assert verdict("C06", tmp_path) is Verdict.DIFFERS


BASE = [0.600, 0.604, 0.602, 0.606, 0.598, 0.603]
# The claims that a question of the study decides by the test error.
BY_ERROR = {"C03": "one-gpu-half", "C05": "no-lrn", "C07": "pool-2-2", "C14": "no-lighting"}


@pytest.mark.parametrize(("claim", "variant"), BY_ERROR.items())
def test_the_study_is_judged_image_by_image(tmp_path: Path, claim: str, variant: str) -> None:
    put_study(tmp_path, {"paper": BASE, variant: [error + 0.03 for error in BASE]})
    deciding = claims.judge(claim, tmp_path).deciding
    assert deciding.verdict is Verdict.IN_DIRECTION and deciding.figure.startswith("+3.00 points (")
    assert f"corrected for the {len(QUESTIONS)} tests of the study" in deciding.why
    assert deciding.data.endswith(f"45 passes; seeds: paper 6, {variant} 6")
    assert "upper limit" not in deciding.why and deciding.could_see
    put_study(tmp_path, {variant: [error - 0.03 for error in BASE]})
    assert verdict(claim, tmp_path) is Verdict.DIFFERS
    put_study(tmp_path, {variant: BASE})
    assert verdict(claim, tmp_path) in (Verdict.SMALLER, Verdict.TOO_WEAK)


def test_gaps_factors_and_training_errors_of_the_study(tmp_path: Path) -> None:
    learned = {
        "paper": [0.30] * 6,
        "no-crops": [0.05] * 6,
        "halving": [0.10] * 6,
        "pool-2-2": [0.30] * 6,
        "decay-0": [0.32, 0.33, 0.325],
        "decay-0.02": [0.30, 0.31, 0.305],
    }
    errors = {name: BASE[: len(each)] for name, each in learned.items()}
    quick = {"halving": [3.9, 3.0, 2.0, 1.5], "biases-0": [3.9, 3.8, 3.6, 3.4]}
    put_study(tmp_path, errors | {"biases-0": BASE}, training=learned | {"biases-0": [0.3] * 6}, losses=quick)
    for claim, figure in (("C12", "+25.00 points"), ("C16", "+20.00 points"), ("C19", "+2.00 points")):
        deciding = claims.judge(claim, tmp_path).deciding
        assert deciding.experiment == "evidence" and deciding.figure.startswith(figure), claim
    # The made-up base: 3.9, 3.5, 3.0, 2.5 nats after passes 1 to 4.
    times, early = (claims.judge(claim, tmp_path).findings[0].figure for claim in ("C17", "C20"))
    assert times.startswith(f"{4 / 2.5:.2f} times") and early.startswith(f"{3.5 / 2:.2f} times")


def test_ten_views_and_averages_of_the_study(tmp_path: Path) -> None:
    put_study(tmp_path, {"paper": BASE}, views={"paper": [error - 0.03 for error in BASE]}, answers=True)
    assert claims.judge("C13", tmp_path).deciding.figure.startswith("+3.00 points (")
    average = evidence_results.answers(tmp_path)["average"]
    assert average.effect.size > 0 and verdict("C23", tmp_path) is Verdict.IN_DIRECTION
    put_study(tmp_path, {"paper": BASE[:5]}, views={"paper": BASE[:5]}, answers=True)
    assert claims.judge("C23", tmp_path).deciding.verdict is Verdict.TOO_WEAK, "of five there is one average"


def test_one_seed_of_a_variant_leans_on_the_spread_of_the_others(tmp_path: Path) -> None:
    put_study(tmp_path, {"paper": BASE, "no-lrn": [0.64]})
    found = evidence_results.answers(tmp_path)["lrn"]
    assert found.effect.seeds == 1 and verdict("C05", tmp_path) is Verdict.IN_DIRECTION
    wide = evidence_results.answers(tmp_path)["lrn"].effect.seed_error
    put_study(tmp_path, {"no-lrn": [0.64, 0.642, 0.638, 0.64]})
    assert evidence_results.answers(tmp_path)["lrn"].effect.seed_error < wide


def test_a_corrected_p_counts_all_registered_questions(tmp_path: Path) -> None:
    put_study(tmp_path, {"paper": BASE, "no-lrn": [error + 0.004 for error in BASE]})
    one = evidence_results.answers(tmp_path)["lrn"]
    assert one.p == pytest.approx(min(1.0, one.effect.p * len(QUESTIONS)))
    assert one.detectable > one.effect.detectable()


def test_what_a_test_should_see_is_told_from_the_first_seeds_of_the_base_alone(tmp_path: Path) -> None:
    """The answers of two made-up runs differ on 2% of the images at random and where their errors differ."""
    put_study(tmp_path, {"paper": BASE[:2]})
    base = f"{evidence.FULL.name}_paper"
    assert evidence_results.expected(records.load(evidence.NAME, base, tmp_path), (10, 6), tmp_path) is None
    put_study(tmp_path, {"paper": BASE[:3]})
    first = evidence_results.expected(records.load(evidence.NAME, base, tmp_path), (10, 6), tmp_path)
    put_study(tmp_path, {"paper": BASE})
    record = records.load(evidence.NAME, base, tmp_path)
    more = evidence_results.expected(record, (10, 6), tmp_path)
    assert first == more and first.size == 0 and first.df == 82 - 18
    assert first.seed_error == pytest.approx(np.std(BASE[:3], ddof=1) * math.sqrt(1 / 10 + 1 / 6))
    wrong = [Kept.read(record, seed, tmp_path).wrong["centre"].numpy() for seed in range(3)]
    apart = np.mean([(wrong[a] != wrong[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))])
    assert first.image_error == pytest.approx(math.sqrt(apart / TEST_IMAGES), rel=0.01)
    assert 2.8 * first.error < first.detectable() < 3 * first.error < 3.8 * first.error < first.detectable(19)
    assert evidence_results.expected(record, (10, 3), tmp_path).error > first.error


def test_a_question_asks_of_variants_that_are_run() -> None:
    for question in QUESTIONS.values():
        assert {question.tested, question.without} <= set(evidence.VARIANTS)
        assert question.claim in evidence.CLAIMS or question.claim in ("Q15", "section 5")
    asked = {name for question in QUESTIONS.values() for name in (question.tested, question.without)}
    assert set(evidence.VARIANTS) - asked == {"decay-0.005"}, "a dose between, for the figure"


@pytest.mark.parametrize(
    "values, level, expected",
    [
        ([3.9, 3.0, 2.0], 2.5, 2.5),
        ([2.0, 1.0, 0.5], 2.5, 1.0),
        ([3.9, 3.8, 3.7], 2.5, 3.0),
        ([3.0, 2.5, 2.0], 2.5, 2.0),
    ],
)
def test_passes_until_a_level_lie_between_passes(values: list, level: float, expected: float) -> None:
    curve = {"passes": [1, 2, 3], "loss": values}
    assert evidence_results.passes_until(curve, "loss", level) == pytest.approx(expected)


def test_depth_needs_both_middle_layers(tmp_path: Path) -> None:
    worse = [error + 0.03 for error in BASE]
    put_study(tmp_path, {"paper": BASE, "no-conv3": worse})
    assert verdict("C10", tmp_path) is Verdict.NOT_RUN
    put_study(tmp_path, {"no-conv4": worse})
    judgement = claims.judge("C10", tmp_path)
    assert judgement.verdict is Verdict.IN_DIRECTION
    assert "conv3: +3.00 points" in judgement.deciding.figure and "conv4: +3.00 points" in judgement.deciding.figure
    put_study(tmp_path, {"no-conv4": [error - 0.03 for error in BASE]})
    assert verdict("C10", tmp_path) is Verdict.DIFFERS


def test_other_photographs_first_stand_beside_the_study(tmp_path: Path) -> None:
    put_study(tmp_path, {"paper": BASE})
    better = {"tuned-sixth": [0.55, 0.551, 0.549], "sixth": [0.60, 0.603, 0.598]}
    put_study(tmp_path, better, experiment=pretraining.NAME)
    judgement = claims.judge("C24", tmp_path)
    assert judgement.verdict is Verdict.IN_DIRECTION and judgement.deciding.figure.startswith("+5.22 points (")
    assert [one.verdict for one in judgement.findings[1:3]] == [Verdict.IN_DIRECTION, Verdict.NOT_RUN]


def test_each_drop_of_the_rate_must_help(tmp_path: Path) -> None:
    size = flagship.WHOLE.name
    put_study(tmp_path, {"paper": [0.60]}, experiment=flagship.NAME, size=size, stages=[0.72, 0.66, 0.61])
    for number, error in ((1, 0.70), (2, 0.65)):
        put_study(tmp_path, {f"drop-{number}": [error]}, experiment=flagship.NAME, size=size)
    assert verdict("C21", tmp_path) is Verdict.NOT_RUN
    put_study(tmp_path, {"drop-3": [0.63]}, experiment=flagship.NAME, size=size)
    deciding = claims.judge("C21", tmp_path).deciding
    assert deciding.verdict is Verdict.IN_DIRECTION
    assert "drop 1: +4.00 points" in deciding.figure and "drop 3: +3.00 points" in deciding.figure
    put_study(tmp_path, {"drop-3": [0.57]}, experiment=flagship.NAME, size=size)
    assert verdict("C21", tmp_path) is Verdict.DIFFERS


def test_biases_are_judged_by_the_training_error(tmp_path: Path) -> None:
    part = "biases-10000-images-20-passes-text"
    put_variants(tmp_path, "learning-cifar10", part, {"bias-0": SAME, "bias-1": [0.25, 0.26, 0.2701]})
    assert verdict("C20", tmp_path) is Verdict.IN_DIRECTION  # the made-up curves begin with the test errors


def test_ten_views_are_judged_by_their_own_errors(tmp_path: Path) -> None:
    gained = {"both": [0.28, 0.29, 0.3001]}
    put_variants(tmp_path, "augmentation-cifar10", "5000-images-40-passes", {"both": SAME}, views=gained)
    assert verdict("C13", tmp_path) is Verdict.IN_DIRECTION


@pytest.mark.parametrize(
    ("tanh", "expected"),
    [
        ([54.0, 60.0, 66.0], Verdict.AGREES),
        ([36.0, 37.0, 38.0], Verdict.IN_DIRECTION),
        ([8.0, 10.0, 12.5], Verdict.SMALLER),
        ([5.0, 5.1, 5.2], Verdict.DIFFERS),
        ([60.0], Verdict.TOO_WEAK),
        ([None, None, None], Verdict.IN_DIRECTION),  # never got there: at least the cap of 40 passes
    ],
)
def test_a_race_is_judged_by_the_factor(tmp_path: Path, tanh: list, expected: Verdict) -> None:
    put_race(tmp_path, "tanh", tanh)
    put_race(tmp_path, "relu", [10.0, 10.0, 10.0][: len(tanh)])
    assert verdict("C01", tmp_path) is expected


def test_other_architectures_need_all_of_them(tmp_path: Path) -> None:
    for architecture in passes.ARCHITECTURES:
        assert verdict("C02", tmp_path) is Verdict.NOT_RUN
        put_race(tmp_path, "relu", [10.0, 10.0], architecture)
        put_race(tmp_path, "tanh", [20.0, 21.0], architecture)
    assert verdict("C02", tmp_path) is Verdict.IN_DIRECTION


def test_dropout_takes_longer_by_the_evaluated_loss_and_not_by_where_the_lowest_error_lies(tmp_path: Path) -> None:
    quick, slow = [[0.5, 0.3, 0.3, 0.3]] * 3, [[0.5, 0.5, 0.5, 0.3], [0.5, 0.5, 0.5, 0.31], [0.5, 0.5, 0.5, 0.29]]
    part = ("dropout-cifar10", "5000-images-60-passes")
    put_variants(tmp_path, *part, {"none": SAME, "rate-0.5": SAME}, watched={"none": quick, "rate-0.5": slow})
    _, by_loss, by_lowest = claims.judge("C17", tmp_path).findings
    assert by_loss.decides and not by_lowest.decides
    assert by_lowest.verdict is Verdict.IN_DIRECTION and "times (" in by_lowest.figure
    assert claims.judge("C17", tmp_path).deciding is not by_lowest


def test_crops_are_worth_few_images_only_under_the_line(tmp_path: Path) -> None:
    name, few = "augmentation-cifar10", "5000-images-40-passes"
    plain = {"10000": 0.40, "20000": 0.30, "50000": 0.20}
    put_variants(tmp_path, name, few, {"both": [0.35, 0.36], "neither": [0.5, 0.5]})
    assert verdict("C32", tmp_path) is Verdict.NOT_RUN
    for size, error in plain.items():
        put_variants(tmp_path, name, "more-images-40-passes", {size: [error, error]}, images=int(size))
    deciding = claims.judge("C32", tmp_path).deciding
    assert deciding.verdict is Verdict.IN_DIRECTION and deciding.figure == "14,142; 13,195, seed by seed"
    put_variants(tmp_path, name, few, {"both": [0.1, 0.1]})
    assert verdict("C32", tmp_path) is Verdict.TOO_WEAK


@pytest.mark.parametrize(
    ("two", "expected"), [(120, Verdict.IN_DIRECTION), (101, Verdict.TOO_WEAK), (80, Verdict.DIFFERS)]
)
def test_two_gpus_are_faster_only_beyond_the_range_of_rounds(tmp_path: Path, two: int, expected: Verdict) -> None:
    speeds = {name: {"median": s, "lowest": s - 3, "highest": s + 3} for name, s in ((TWO, two), (ONE, 100))}
    put(tmp_path, "bench", "model_cuda", {"steps": [{"images_per_second": speeds}]}, [0], configuration={"rounds": 5})
    assert verdict("C04", tmp_path) is expected


def test_the_networks_that_are_timed_still_have_these_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert {ONE, TWO} <= set(networks(torch.device("cuda")))


def test_that_the_recipe_leaves_guessing_behind_decides_nothing(tmp_path: Path) -> None:
    put_variants(tmp_path, "tiny-imagenet", tiny_imagenet.EXPERIMENT.on_cpu.name, {"paper": [0.5, 0.52]}, classes=10)
    drops, beside = claims.judge("C21", tmp_path).findings
    assert beside.verdict is Verdict.IN_DIRECTION and not beside.decides and drops.verdict is Verdict.NOT_RUN
    assert verdict("C21", tmp_path) is Verdict.NOT_RUN and verdict("C22", tmp_path) is Verdict.NOT_TESTED


def test_what_is_computed_needs_no_record(tmp_path: Path) -> None:
    assert [verdict(name, tmp_path) for name in ("C09", "C11", "C18")] == ["agrees", "differs", "agrees in direction"]
    assert [one.verdict for one in claims.judge("C10", tmp_path).findings] == ["not yet run"] * 2 + ["differs"]
    assert claims.judge("C09", tmp_path).deciding.figure == "60,965,224 weights, 659,272 neurons"
    assert claims.judge("C11", tmp_path).deciding.figure == "2,178"


def test_the_papers_figures_in_the_rules_are_those_of_claims_yml() -> None:
    assert CLAIMS["C01"]["paper"].startswith(f"{math.exp(passes.SIX_TIMES):.0f} times")
    assert CLAIMS["C06"]["paper"] == f"11% with it, {11 + 100 * rules.TWO_POINTS:.0f}% without"
    assert CLAIMS["C11"]["paper"] == f"by {computed.CROPS}"
    for question in QUESTIONS.values():
        said = CLAIMS[question.claim]["paper"] if question.claim in CLAIMS else None
        if question.paper is not None and question.number not in evidence_results.FACTORS and question.claim != "C13":
            assert f"{100 * question.paper:g}" in said or question.claim == "C23", question
    single, five = CLAIMS["C23"]["paper"].split(",")
    assert "40.7" in single and "38.1" in five and QUESTIONS["average"].paper == pytest.approx(0.407 - 0.381)
    assert "37.5" in CLAIMS["C13"]["paper"] and "39.0" in CLAIMS["C13"]["paper"]
    assert QUESTIONS["views"].paper == pytest.approx(0.390 - 0.375)
    listed = " - ".join(f"{n:,}" if n > 9999 else str(n) for n in computed.BY_LAYER)
    assert CLAIMS["C09"]["paper"] == f"{computed.INPUTS:,} inputs, then {listed}"


def test_records_that_lack_what_is_compared_are_too_weak() -> None:
    found = Measured(None, ({"dataset": {"stand_in": False}},))
    assert judged(found, TIMES)[0] is Verdict.TOO_WEAK


def test_the_claim_and_the_chapters_table_show_the_same_part_while_a_longer_one_grows(tmp_path: Path) -> None:
    """Variant by variant a longer run is recorded; it takes the shorter one's place as a whole, for both at once."""
    parts, errors = [part.name for part in lrn_cifar10.RECORDED], {"none": SAME, "lrn-sum": [0.27, 0.28, 0.291]}

    def shown() -> set[str]:
        table = results_of(lrn_cifar10.NAME, parts, errors, tmp_path)
        claimed = claims.judge("C06", tmp_path).deciding.records
        assert sorted(result.key for result in table.values()) == sorted(claimed)
        return {key.partition("/")[2].partition("_")[0] for key in claimed}

    put_variants(tmp_path, *LRN, errors)
    assert shown() == {"5-passes"}
    put_variants(tmp_path, LRN[0], "20-passes", {"none": SAME})
    assert shown() == {"5-passes"}
    put_variants(tmp_path, LRN[0], "20-passes", {"lrn-sum": SAME}, complete=False)
    assert shown() == {"5-passes"}
    put_variants(tmp_path, LRN[0], "20-passes", {"lrn-sum": SAME})
    assert shown() == {"20-passes"}
    put_variants(tmp_path, LRN[0], "5-passes", {"batch-norm": SAME})
    assert shown() == {"5-passes"}, "it has more variants"


def test_ranges_are_told_as_one_number_where_they_are_one() -> None:
    assert span([5000, 5000]) == "5,000" and span([0.5, 20_000]) == "0.5 to 20,000"


def test_rows_for_a_chapter_are_those_of_the_ledger(tmp_path: Path) -> None:
    put_variants(tmp_path, *LRN, {"none": SAME, "lrn-sum": [0.20, 0.21, 0.2201]})
    first, second, third, fourth = claims.rows("C06", "C11", root=tmp_path)
    assert first[0].startswith("C06: test error") and first[2] == "agrees in direction"
    assert "could have seen" in first[1] and first[1].endswith("3 seeds)")
    assert second[1:] == third[1:] == ["- (CIFAR-10)", "not yet run"]
    assert fourth[1:] == ["2,178 (arithmetic)", "differs"]
    papers = {"C06": "11% against 13%", "C11": "2048"}
    assert claims.beside(papers, tmp_path) == [
        [row[0], papers[row[0][:3]], *row[1:]] for row in claims.rows("C06", "C11", root=tmp_path)
    ]
    assert claims.records_of("C06", "C06", root=tmp_path) == [
        "lrn-cifar10/5-passes_lrn-sum",
        "lrn-cifar10/5-passes_none",
    ]
