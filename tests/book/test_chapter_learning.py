"""What the chapter "Details of learning" works out by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch
from chapter_cells import Chapter
from small_sets import separable

from alexnet_lib.augment import PixelScale, centre
from alexnet_lib.data.image_set import ImageSet
from alexnet_lib.experiments import learning_cifar10 as full
from alexnet_lib.measures.valley import Valley, path
from alexnet_lib.network.small.eight_layers import EightLayersConfig
from alexnet_lib.training.fit import train_step
from alexnet_lib.training.optimizer import PaperSGD
from alexnet_lib.training.schedule import NET_145_DROPS, DropsOnPlateau, multiply_rates

pytestmark = pytest.mark.usefixtures("one_thread")
CHAPTER = Chapter("learning")
SMALL = {"maps": (4, 6, 8, 8, 6), "hidden": (10, 12), "classes": 10}


@pytest.fixture
def given() -> dict:
    """What the chapter's later cells find: a few images, their scale, one batch."""
    images, labels = separable(128, classes=10, size=32)
    few = ImageSet(images, labels, tuple("abcdefghij"), "made", "train", "made", "sha256:0")
    pixels = PixelScale.fit(images)
    names = {"few": few, "pixels": pixels, "small": SMALL, "EightLayersConfig": EightLayersConfig, "centre": centre}
    names |= {"batch": pixels(centre(images[:64], 24, 24)), "labels": labels[:64], "PaperSGD": PaperSGD}
    return names | {"train_step": train_step, "PixelScale": PixelScale}


def test_the_hands_two_steps_are_the_codes(capsys: pytest.CaptureFixture) -> None:
    made = CHAPTER.run("def update(w, v")
    assert made["w"].tolist() == pytest.approx([1.3862, -0.9089], abs=1e-12)
    said = capsys.readouterr().out
    text = next(cell for cell in CHAPTER.sources("markdown") if "by hand\n\nWith $w$" in cell)
    for number in ("-0.22", "-1.01", "1.78", "-0.01", "-0.3938", "-0.8989", "1.3862", "-0.9089"):
        assert number in text and number in said


@pytest.mark.parametrize("decay", [0.0, 0.0005, 0.3])
def test_the_update_by_hand_is_papersgd_over_many_steps(decay: float) -> None:
    update = CHAPTER.run("def update(w, v")["update"]
    torch.manual_seed(0)
    start, gradients = torch.randn(5, dtype=torch.float64), torch.randn(30, 5, dtype=torch.float64)
    weights, w, v = torch.nn.Parameter(start.clone()), start, torch.zeros(5, dtype=torch.float64)
    optimizer = PaperSGD([weights], 0.05, 0.9, decay)
    for number, gradient in enumerate(gradients):
        rate = optimizer.param_groups[0]["lr"] = 0.05 if number < 15 else 0.005
        weights.grad = gradient
        optimizer.step()
        w, v = update(w, v, gradient, rate, decay=decay)
        torch.testing.assert_close(weights.detach(), w, rtol=0, atol=1e-14)


def factor_a_step(rate: float, curvature: float, momentum: float = 0.0) -> float:
    """By what the distance from rest shrinks a step in the long run; over 1 it grows: the rule as a matrix on both."""
    step = torch.tensor([[1 - rate * curvature, momentum], [-rate * curvature, momentum]], dtype=torch.float64)
    return float(torch.linalg.eigvals(step).abs().max())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_over_the_highest_rate_the_path_leaves_the_valley(momentum: float) -> None:
    top = CHAPTER.run("def highest_rate", Valley=Valley, path=path)["highest_rate"](25.0, momentum)
    for rate, grows in ((0.98 * top, False), (1.02 * top, True)):
        far = path(Valley(), (1.0, 1.0), rate, momentum, steps=2000)[-1].abs().max()
        assert (far > 1e3) == grows and (factor_a_step(rate, 25.0, momentum) > 1) == grows


@pytest.mark.parametrize("momentum", [False, True])
def test_no_rate_or_momentum_nearby_is_better_than_the_best(momentum: bool) -> None:
    rate, best_momentum, factor = CHAPTER.run("def best_factor")["best_factor"](1.0, 25.0, momentum)

    def slower(rate: float, own: float) -> float:
        return max(factor_a_step(rate, curvature, own) for curvature in (1.0, 25.0))

    assert slower(rate, best_momentum) == pytest.approx(factor, abs=1e-6)
    for change in (0.9, 1.1):
        assert slower(rate * change, best_momentum) > factor
        if momentum:
            assert slower(rate, best_momentum * change) > factor
    assert factor == pytest.approx(4 / 6 if momentum else 24 / 26)


def test_steps_that_halve_the_distance_are_those_of_a_path(capsys: pytest.CaptureFixture) -> None:
    rows: list[list[str]] = []
    shown = SimpleNamespace(table=lambda found, **_: rows.extend(found))
    best_factor = CHAPTER.run("def best_factor", "for ratio in (10.0", nb=shown)["best_factor"]
    CHAPTER.run("def highest_rate", Valley=Valley, path=path)
    for ratio, without, _, _ in rows:
        rate, momentum, _ = best_factor(1.0, float(ratio), momentum=False)
        far = path(Valley((1.0, float(ratio))), (1.0, 1.0), rate, momentum, steps=5000)[:, 0].abs()
        halves = int((far > 0.5).sum())
        assert halves == pytest.approx(float(without), abs=1.01)
    assert rows[-1][3] == "0.90", "the text says that the paper's momentum suits the last valley"
    assert factor_a_step(0.1, 1.0) == pytest.approx(0.9)
    said = re.findall(r"(\S+) just under, (\S+) over it", capsys.readouterr().out)
    assert len(said) == 2 and all(float(under) < 0.01 and float(over) > 100 for under, over in said)


def test_the_two_rules_part_at_the_drop_and_not_before(given: dict) -> None:
    beside = CHAPTER.run("def beside(", **given)["beside"]
    plain, kept = beside(keep=False), beside(keep=True)
    assert plain[:8] == kept[:8] and max(kept) < 1e-10 < plain[-1]


def test_the_dose_of_the_decay_is_what_shrinks_a_weight_without_gradient(given: dict) -> None:
    made = CHAPTER.run("def dose(decay", **given)
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = PaperSGD([weight], 1e-3, 0.9, 0.05)
    weight.grad = torch.zeros_like(weight)
    for step in range(4000):
        if step == 3000:
            multiply_rates(optimizer, 0.1)
        optimizer.step()
    taken = made["dose"](0.05, (30, 40), 100, rate=1e-3)
    assert taken == pytest.approx(0.05 * (1e-3 * 3000 + 1e-4 * 1000))
    assert weight.item() == pytest.approx(made["left"](taken), rel=0.01)
    assert NET_145_DROPS == (25, 51, 79) and made["dose"](*made["of_paper"]) == pytest.approx(1.4, abs=0.01)


def test_the_table_of_doses_has_the_recipes_of_the_study_and_the_records(given: dict) -> None:
    rows: dict[str, list[str]] = {}
    shown = SimpleNamespace(table=lambda found, **_: rows.update({row[0]: row[1:] for row in found}))
    by_decay = {name: SimpleNamespace(rate=0.01) for name in full.DECAYS}
    CHAPTER.run("def dose(decay", "treated = {", nb=shown, full=full, by_decay=by_decay, **given)
    assert [rows[f"registered study: {decay}"][:2] for decay in ("0", "0.0005", "0.005", "0.02")] == [
        ["8,775", "0.000"],
        ["8,775", "0.030"],
        ["8,775", "0.303"],
        ["8,775", "1.211"],
    ]
    assert rows["CIFAR-10, recorded: 0.0005"][:2] == ["3,120", "0.011"]
    assert rows["the paper"][0] == "910,819" and float(rows["the paper"][1]) == pytest.approx(1.4, abs=0.01)
    text = next(cell for cell in CHAPTER.sources("markdown") if "has a dose of 1.4" in cell)
    assert "40 times as strong" in text and 0.02 / 0.0005 == 40
    assert float(rows["CIFAR-10, recorded: 0.0005"][1]) < 1.4 / 100
    assert float(rows["CIFAR-10, recorded: 0.005"][1]) < 1.4 / 10


def test_what_the_text_says_of_momentum_in_the_valley_is_so() -> None:
    text = next(cell for cell in CHAPTER.sources("markdown") if "the paper's 0.9 is too much" in cell)
    for momentum in (0.7, 0.9):
        lost = Valley().loss(path(Valley(), (-3.0, 1.0), rate=0.03, momentum=momentum, steps=40)[-1])
        assert f"{momentum} leaves" in text and f" {lost:.4f}" in text
    assert Valley().curvatures == (1.0, 25.0) and "its curvatures are 1 and 25" in text


def test_the_remedy_of_the_text_makes_torchs_rule_the_papers() -> None:
    assert any("divided by 10, multiply torch's $b$ by 10" in cell for cell in CHAPTER.sources("markdown"))
    ends = []
    for kind in (PaperSGD, torch.optim.SGD):
        weight = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
        optimizer = kind([weight], 0.1, momentum=0.9)
        for step in range(20):
            if step == 10:
                optimizer.param_groups[0]["lr"] /= 10
                if kind is torch.optim.SGD:
                    optimizer.state[weight]["momentum_buffer"] *= 10
            weight.grad = weight.detach().clone()
            optimizer.step()
        ends.append(weight.item())
    assert ends[0] == pytest.approx(ends[1], rel=1e-12)


def test_a_layer_four_times_as_long_moves_sixteen_times_less_and_the_next_more(given: dict) -> None:
    found = CHAPTER.run("def steps_in_proportion", **given)
    (conv4, conv5), (longer, shorter) = found["own"], found["moved"]
    assert conv4 / longer == pytest.approx(16, rel=1e-9) == pytest.approx(shorter / conv5, rel=1e-9)
    grown, bias, other = found["growth"]
    assert grown + bias == pytest.approx(other, rel=1e-9)


def test_one_step_without_gradient_shrinks_by_rate_times_decay(given: dict) -> None:
    shrunk = CHAPTER.run("def shrunk(kind", **given)["shrunk"]
    for kind in (PaperSGD, torch.optim.SGD, torch.optim.AdamW):
        assert [shrunk(kind, rate) for rate in (0.01, 0.001)] == pytest.approx([5e-6, 5e-7], rel=1e-6)


def test_what_the_noise_leaves_is_what_theory_says() -> None:
    """The variance at rest of a weight of curvature 1 under unit noise, with momentum m at rate e."""
    update = CHAPTER.run("def update(w, v")["update"]
    rows = CHAPTER.run("w, v, rows = torch.ones", update=update)["rows"]
    for rate, _, left in rows:
        assert left == pytest.approx(0.5 * rate * 1.9 / (0.1 * (3.8 - rate)), rel=0.05)


def test_the_plateau_worked_out_in_the_text_is_the_rules(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("rule = DropsOnPlateau(patience=2)", DropsOnPlateau=DropsOnPlateau)
    lines = capsys.readouterr().out.splitlines()
    assert [number for number, line in enumerate(lines, 1) if line.endswith("dropped")] == [4, 7]
    assert re.search(r"rate 0.001: error 0.30", lines[4])


def test_the_checker_passes_the_solution_and_knows_the_usual_slips(capsys: pytest.CaptureFixture) -> None:
    toy = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    made = CHAPTER.run("def drops(errors, patience)", DropsOnPlateau=DropsOnPlateau, toy=toy)
    assert capsys.readouterr().out.startswith("Right")
    from alexnet_lib.notebook import check

    hints = [(made["forgets"], "the lowest error so far stays")]
    assert not check(made["forgets"], made["reference"], made["cases"], hints=hints)
    assert "the lowest error so far stays" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "shares"), [(PaperSGD, 9.0), (torch.optim.SGD, 0.9)])
def test_the_first_exercise_has_the_right_answer(kind: type, shares: float) -> None:
    """How far a weight still travels without gradient, after a drop to a tenth, in parts of the old velocity."""
    weight, velocity = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)), -0.3
    optimizer = kind([weight], 0.1, momentum=0.9)
    weight.grad = torch.full_like(weight, -velocity / 0.1)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.01
    weight.grad.zero_()
    for _ in range(500):
        optimizer.step()
    assert (weight.item() - velocity) / velocity == pytest.approx(shares)
