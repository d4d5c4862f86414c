"""What the chapter "Results and ablations" works out by hand, held to the library by running the cells themselves."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from chapter_cells import Chapter
from small_sets import separable

from alexnet_lib import notebook as nb
from alexnet_lib.data.image_set import ImageSet
from alexnet_lib.experiments import tables as read
from alexnet_lib.experiments.chance import apart_error, paired_error, sampling_error
from alexnet_lib.figures import results as figures

CHAPTER = Chapter("results")


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
    shown = SimpleNamespace(show=lambda *a, **k: None, slider=lambda *a, **k: None, PALETTE=nb.PALETTE)
    known = {name: live[name] for name in ("judged", "live", "errors", "seeds")}
    known |= {"nb": shown, "session": None, "draw_averages": figures.draw_averages}
    averaged = CHAPTER.run("def averaged(each)", **known)["averaged"]
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

    source = next(cell for cell in CHAPTER.sources("code") if "def spread_interval" in cell)
    known: dict = {"chi2": chi2}
    exec(source[source.index("def spread_interval") : source.index("pairs =")], known)
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
    from ledger_cases import put_study

    from alexnet_lib import records
    from alexnet_lib.network.config import AlexNetConfig

    needles = ("draw_effects(read.compared_rows", "findings = {name: asked", "nb.table(read.our_rows()", "groups = {}",
               "flattery = {")  # fmt: skip
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    known = {"read": read, "draw_effects": figures.draw_effects, "draw_averages": figures.draw_averages}
    known["AlexNetConfig"] = AlexNetConfig
    assert CHAPTER.run(*needles, **known)["groups"].keys() == {"not yet run"}
    put_study(tmp_path, {"paper": [0.60, 0.61, 0.605], "no-lrn": [0.65]}, answers=True)
    groups = CHAPTER.run(*needles, **known)["groups"]
    assert "C05: response normalisation" in groups["agrees in direction"]
    assert "C10: conv3" in groups["not yet run"]
