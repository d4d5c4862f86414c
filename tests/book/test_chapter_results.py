"""What the chapter "Results and ablations" works out by hand, held to the library by running the cells themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from chapter_cells import Chapter
from ledger_cases import CLASSES, put_study
from small_sets import separable

from alexnet_lib import notebook as nb
from alexnet_lib import records
from alexnet_lib.data.image_set import ImageSet
from alexnet_lib.experiments import evidence, pretraining
from alexnet_lib.experiments.chance import apart_error, mean_and_spread, paired_error, sampling_error
from alexnet_lib.experiments.evidence_results import FACTORS, QUESTIONS, TRAINED, averages, averages_of
from alexnet_lib.experiments.logs_2012 import BY_NET
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.training.topk import Guessing

CHAPTER = Chapter("results")


def test_the_texts_start_left_guessing_when_the_prose_says() -> None:
    runs = records.load(evidence.NAME, f"{evidence.FULL.name}_start-text")["curves"]
    guessing = Guessing(math.log(50), 0.98, 1250)  # of 50 classes, by the 25 images of each to tune by
    better = [[not guessing.is_error(one) for one in run["curve"]["validation_error"]] for run in runs]
    whole = next(each for run, each in zip(runs, better, strict=True) if not run["pilot"])
    assert any("The long run left guessing only in its 19th pass of 45" in cell for cell in CHAPTER.sources("markdown"))
    assert (whole.index(True), len(whole)) == (18, 45)
    pilots = [each for run, each in zip(runs, better, strict=True) if run["pilot"]]
    assert len(pilots) == 3 and not any(each[-1] for each in pilots)


def image_set(count: int, split: str, seed: int) -> ImageSet:
    images, labels = separable(count, classes=10, size=32, seed=seed)
    return ImageSet(images, labels, tuple("abcdefghij"), "made", split, "made", "sha256:0")


@pytest.fixture(scope="module", autouse=True)
def one_thread_throughout() -> Iterator[None]:
    """Before the module's own runs: the same seed gives the same bits only with as many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def live(one_thread_throughout: None) -> dict:
    """What the live cells define, on few made images."""
    few, judged = image_set(128, "train", 0), image_set(60, "test", 1)
    sets = SimpleNamespace(subset=lambda count: few), SimpleNamespace(subset=lambda count: judged)
    session = SimpleNamespace(train=sets[0], test=sets[1], device=torch.device("cpu"))
    return CHAPTER.run("def without(net", "def answers(seed", 'live["without conv4"] = ', session=session)


def functions_of(start: str, **known: object) -> dict:
    """What a live cell defines, without running the rest of it."""
    source = next(cell for cell in CHAPTER.sources("code") if start in cell)
    exec(source[source.index(start) : source.index("\npairs =")], known)
    return known


def test_the_numbers_by_hand_are_the_codes(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("one[:240] = other")
    said = capsys.readouterr().out
    text = next(cell for cell in CHAPTER.sources("markdown") if "**Chance of the images.**" in cell)
    assert said == "[0.02, 0.002]\n0.0281 0.0128\nvote right: False  average right: True\n"
    for number in ("= 0.02$", "0.0281", "0.0128", "0.567"):
        assert number in text
    assert sum((0.4, 0.4, 0.9)) / 3 == pytest.approx(0.567, abs=5e-4)


def test_drawn_sets_spread_as_the_formula_says(capsys: pytest.CaptureFixture) -> None:
    counted = CHAPTER.run("def counted_errors", sampling_error=sampling_error)["counted_errors"]
    assert capsys.readouterr().out.count("agrees: True") == 3
    assert float(counted(0.2, 50).mean()) == pytest.approx(0.2, abs=0.005)


def test_without_takes_out_one_convolution_and_its_relu(live: dict) -> None:
    net = live["EightLayersConfig"](**live["small"]).build(seed=0)
    whole, layers = live["seen"][:2], list(net.layers)
    conv4 = net.weighted_layers()["conv4"]
    kept = list(live["without"](net, "conv4").layers)
    assert len(kept) == len(layers) - 2 and conv4 not in kept
    assert [layer for layer in layers if layer not in kept] == [conv4, layers[layers.index(conv4) + 1]]
    assert isinstance(layers[layers.index(conv4) + 1], torch.nn.ReLU) and net(whole).shape == (2, 10)


def test_the_same_seed_gives_the_same_network_and_a_nudge_another(live: dict) -> None:
    answers, each = live["answers"], live["live"]
    assert torch.equal(answers(0), each["all layers"][0]) and torch.equal(answers(1, "conv4"), each["without conv4"][1])
    assert not torch.equal(answers(0, nudge=1e-6), each["all layers"][0])
    assert each["all layers"].shape == (5, 60, 10) and torch.allclose(each["all layers"].sum(2), torch.ones(5, 60))


def test_averages_are_of_the_softmax_and_start_with_the_first_network(live: dict) -> None:
    shown = SimpleNamespace(show=lambda *a, **k: None, lines=nb.lines)
    known = {name: live[name] for name in ("judged", "live", "errors", "seeds")}
    averaged = CHAPTER.run("def draw_averages", "def averaged(each)", nb=shown, session=None, **known)["averaged"]
    labels, sure = live["judged"].labels, torch.zeros(3, 60, 10)
    sure[0, torch.arange(60), labels] = 0.9
    sure[1:, torch.arange(60), (labels + 1) % 10] = 0.4
    assert averaged(sure) == 0.0  # a vote of the three would be wrong
    assert averaged(sure[1:]) == 1.0


def test_one_interval_holds_seeds_and_images(live: dict, capsys: pytest.CaptureFixture) -> None:
    shown = SimpleNamespace(table=lambda *a, **k: None)
    session = SimpleNamespace(name="made")
    known = {name: live[name] for name in ("judged", "live", "errors", "wrong", "seeds")}
    made = CHAPTER.run("image_error = float(gain.std())", **known, nb=shown, session=session)
    effect = made["effect"]
    assert max(made["seed_error"], made["image_error"]) <= effect.error
    assert effect.error <= (made["seed_error"] ** 2 + made["image_error"] ** 2) ** 0.5
    assert 0.5 < made["drawn"] / effect.error < 2 and "both drawn anew" in capsys.readouterr().out


def test_a_spread_of_four_networks_may_be_a_third_or_four_times_of_what_it_seems() -> None:
    from scipy.stats import chi2

    known = functions_of("def seeds_needed", chi2=chi2)
    low, high = known["spread_interval"](0.01, 4)
    assert low == pytest.approx((3 / 9.3484) ** 0.5, abs=1e-3) and high == pytest.approx((3 / 0.2158) ** 0.5, abs=1e-2)


def test_the_papers_network_dies_without_dropout_and_not_without_its_masks() -> None:
    live_images = image_set(768, "train", 0)
    session = SimpleNamespace(device=torch.device("cpu"), name="made")
    known = {"few": live_images, "scale": lambda images: images.float() - 127, "nn": torch.nn, "session": session}
    made = CHAPTER.run("def first_steps(rate", **known)["steps"]
    losses, dead, common, limit = made["no dropout"]
    assert max(losses) > 5 > max(made["halving, no masks"][0]) and dead > 0.5 > made["halving, no masks"][1]
    assert common > 3 * made["halving, no masks"][2] and limit < 0.01 < made["dropout"][3]


def test_the_loss_of_the_average_is_never_above_the_mean_loss(live: dict) -> None:
    CHAPTER.run("truth = judged.labels", **{name: live[name] for name in ("judged", "live", "seeds")})


def test_the_checker_knows_the_usual_slips(capsys: pytest.CaptureFixture) -> None:
    one, other = torch.rand(2, 80, generator=torch.Generator().manual_seed(0)) < 0.5
    made = CHAPTER.run(
        "def paired(one, other)", apart_error=apart_error, paired_error=paired_error, one=one, other=other
    )
    assert capsys.readouterr().out.startswith("Right: 4 of 4")
    hint = [(made["as_if_apart"], "they were tested on the same images")]
    assert not nb.check(made["as_if_apart"], paired_error, made["cases"], hints=hint)
    assert "they were tested on the same images" in capsys.readouterr().out


def test_the_easy_exercise(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("for variance in (2 * 0.41", apart_error=apart_error)
    assert capsys.readouterr().out.splitlines() == ["120,950 images", "49,996 images", "0.002"]


def test_every_recorded_cell_runs_whatever_is_recorded(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    """With no record at all, and with one seed of two variants: the cells read what is there and say what is not."""
    needles = (
        "draw_effects(rows)",
        "findings = {name: asked",
        "whole, rows = described",
        "nearest = {",
        "base = loaded",
        "def draw_averages",
        "groups = {}",
        "flattery = {",
    )
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    known = {"AlexNetConfig": AlexNetConfig, "mean_and_spread": mean_and_spread}
    assert CHAPTER.run(*needles, **known)["groups"].keys() == {"not yet run"}
    put_study(tmp_path, {"paper": [0.60, 0.61, 0.605], "no-lrn": [0.65]}, answers=True)
    groups = CHAPTER.run(*needles, **known)["groups"]
    assert "C05: response normalisation" in groups["agrees in direction"]
    assert "C10: conv3" in groups["not yet run"]


def test_with_nothing_recorded_the_figure_and_the_tables_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    drawn, tables = recorded_cells()
    asked = [one for one in QUESTIONS.values() if one.number not in (*FACTORS, TRAINED)]
    assert [question for question, *_ in drawn] == asked and len(asked) > 12
    assert all(answer is None for _, answer, _ in drawn)
    (((rows,), shown),) = tables
    assert {row[1] for row in rows} == {"not yet run"} and shown["records"] == []


def recorded_cells() -> tuple[list, list]:
    """The rows of the figure of effects, and the calls that show "ours, nearest to Tables 1 and 2"."""
    tables: list = []
    shown = SimpleNamespace(
        table=lambda *rows, **named: tables.append((rows, named)), show=lambda *a, **k: None, lines=nb.lines
    )
    made = CHAPTER.run("draw_effects(rows)", nb=shown)
    CHAPTER.run("nearest = {", nb=shown, study=made["study"], records=records, mean_and_spread=mean_and_spread)
    return made["rows"], tables


def test_what_is_recorded_stands_beside_the_paper_and_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    put_study(tmp_path, {"paper": [0.60, 0.61, 0.605], "no-lrn": [0.65]})
    drawn = {question.short: (question.paper, answer, logged) for question, answer, logged in recorded_cells()[0]}
    paper, answer, logged = drawn["C05: response normalisation"]
    assert answer.effect.size == pytest.approx(0.65 - 0.605)
    assert answer.detectable == answer.effect.detectable(len(QUESTIONS))
    assert (paper, logged) == (0.014, pytest.approx(0.0137))
    assert drawn["C10: conv3"][1] is None and drawn["C08: pooling windows that overlap (gap)"][0] is None


def test_rows_beside_the_papers_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    put_study(tmp_path, {"paper": [0.60, 0.62, 0.61]}, answers=True)
    put_study(tmp_path, {"sixth": [0.58]}, experiment=pretraining.NAME)
    (((rows,), shown),) = recorded_cells()[1]
    one, five, sixth, tuned, both = rows
    assert one == ["one network", "61.0 ± 1.0", "30.5 ± 0.5", 3] and sixth[1:] == ["58.0", "29.0", 1]
    assert five[1] == tuned[1] == both[1] == "not yet run"
    runs = [f"{name}/{evidence.FULL.name}_{run}" for name, run in (("evidence", "paper"), ("pretraining", "sixth"))]
    assert shown["records"] == runs
    put_study(tmp_path, {"paper": [0.60, 0.61, 0.60, 0.6, 0.6]}, answers=True)
    average = averages(records.load(evidence.NAME, f"{evidence.FULL.name}_paper", tmp_path), tmp_path)[4]
    assert recorded_cells()[1][0][0][0][1][1:] == [f"{100 * one:.1f}" for one in (average.top1, average.top5)] + [5]
    assert CLASSES == evidence.FULL.classes


def test_what_a_layer_takes_with_it() -> None:
    tables: list = []
    shown = SimpleNamespace(table=lambda rows, **named: tables.extend(rows))
    CHAPTER.run("whole, rows = described", nb=shown, AlexNetConfig=AlexNetConfig)
    rows = {name: told for name, *told in tables}
    whole, conv3 = 60_965_224, 884_736 + 384
    assert rows["conv3"][:2] == [f"{conv3 / whole:.2%}", f"{149_520_384 / 724_406_816:.0%}"]
    more = 4096 * 36 * (384 - 256) - (442_368 + 256)  # fc6 sees the maps of conv4
    assert rows["conv5"][2] == f"{more / whole:+.1%}"


def test_the_tables_and_the_logs_stand_side_by_side() -> None:
    tables: list = []
    shown = SimpleNamespace(table=lambda rows, **named: tables.append(rows))
    CHAPTER.run("for row in PRINTED", "rows = [[one.net, one.what", nb=shown)
    assert [len(rows) for rows in tables[:2]] == [3, 5]
    assert tables[0][2] == ["one CNN", "37.5 / 17.0", "37.47\u00a0/\u00a017.00"] and tables[1][0][2] == "-"
    assert tables[2][0] == ["145", "the paper's network", "40.66\u00a0/\u00a018.21", "+0.00"]


def share_found(effect: float, spread: float, seeds: int) -> float:
    slider = SimpleNamespace(slider=lambda *a, **k: None)
    return CHAPTER.run("def share_found", nb=slider)["share_found"](effect, spread, seeds)


@pytest.mark.filterwarnings("ignore:std")
def test_an_effect_is_seen_the_sooner_the_larger_and_the_more_seeds() -> None:
    for seeds in (2, 3, 5, 10):
        assert share_found(0.0, 1.0, seeds) == pytest.approx(0.025, abs=0.012)
    assert share_found(1.0, 1.0, 3) < share_found(1.0, 1.0, 6) < share_found(2.0, 1.0, 6)
    assert share_found(0.01, 0.02, 5) == share_found(1.0, 2.0, 5)
    assert share_found(1.0, 1.0, 1) == 0, "one seed has no interval, and sees nothing"


@pytest.mark.usefixtures("book_style")
def test_the_sliders_draw_bells_and_shares_that_are_found() -> None:
    drawn: list = []
    shown = SimpleNamespace(lines=nb.lines, slider=lambda draw, *a, **k: drawn.append(draw))
    CHAPTER.run(
        "def two_bells",
        "def found_with",
        nb=shown,
        BY_NET=BY_NET,
        sampling_error=sampling_error,
        apart_error=apart_error,
    )
    bells, found = (draw(number).axes[0] for draw, number in zip(drawn, (500, 3), strict=True))
    heights, deviation = bells.lines[0].get_ydata(), 100 * sampling_error(BY_NET["145"].top1, 500)
    across = bells.lines[0].get_xdata()
    assert float(heights.max()) == pytest.approx(1, abs=1e-3)
    middle = float(across[int(heights.argmax())])
    assert middle == pytest.approx(40.664, abs=0.03) and (across[0], across[-1]) == (37, 45)
    one_off = float(heights[int(abs(across - (middle + deviation)).argmin())])
    assert one_off == pytest.approx(0.6065, abs=0.02)
    effects, shares = (list(values) for values in (found.lines[2].get_xdata(), found.lines[2].get_ydata()))
    assert shares == [100 * share_found(effect, 1.0, 3) for effect in effects] and len(shares) == 21


@pytest.mark.usefixtures("book_style")
def test_averages_are_drawn_with_the_band_of_their_choices() -> None:
    two = averages_of([torch.tensor([[0.9, 0.1]]), torch.tensor([[0.4, 0.6]])], torch.tensor([0]))
    (ax,) = CHAPTER.run("def draw_averages")["draw_averages"]({"a": two}).axes
    assert list(ax.lines[0].get_ydata()) == [50, 0] and list(ax.get_xticks()) == [1, 2]
    band = ax.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (0, 100)


def test_the_seeds_needed_see_it_in_four_experiments_of_five() -> None:
    seeds_needed = functions_of("def seeds_needed", math=math)["seeds_needed"]
    assert seeds_needed(1.0, 1.0) == 8 and seeds_needed(5.0, 1.0) == 2 and seeds_needed(0.5, 1.0) == 32
    assert 0.65 < share_found(1.0, 1.0, 8) < 0.8  # a little less: Student's t is wider than the normal distribution
    with pytest.raises(ZeroDivisionError):
        seeds_needed(0.0, 1.0)


def test_mcnemar_by_hand(live: dict) -> None:
    mcnemar = CHAPTER.run("def mcnemar", wrong=live["wrong"])["mcnemar"]
    one = torch.tensor([1] * 8 + [0] * 2 + [1] * 50 + [0] * 40).bool()
    other = torch.tensor([0] * 8 + [1] * 2 + [1] * 50 + [0] * 40).bool()
    assert mcnemar(one, other) == pytest.approx(2 * sum(math.comb(10, k) for k in (0, 1, 2)) / 2**10)
    assert mcnemar(one, one) == 1.0
    with pytest.raises(RuntimeError, match="must match"):
        mcnemar(one, other[:5])
