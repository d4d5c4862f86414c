"""What the chapter "Results and ablations" works out by hand, held to the library by running the cells themselves."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from chapter_cells import Chapter
from small_sets import separable

from alexnet_lib import notebook as nb
from alexnet_lib.datasets import ImageSet
from alexnet_lib.experiments import imagenet_figures as figures
from alexnet_lib.experiments import imagenet_results as read
from alexnet_lib.experiments.chance import apart_error, paired_error, sampling_error

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
    CHAPTER.run("one[:240] = True")
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
    assert averaged(sure) == [0.0, 0.0, 0.0]  # a vote of the three would be wrong
    assert averaged(sure.flip(0)) == [1.0, 1.0, 0.0]


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
    from test_imagenet_results import CPU, errors, recorded

    from alexnet_lib import records

    needles = ("sizes = ablations.sizes[::-1]", "read.detail_rows(size)", "draw_changes(rows)", "by_name = {row.name",
               "our = [row for place", "import EXPERIMENT as sixth", "groups = {}", "flattery = {")  # fmt: skip
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    known = {"read": read, "draw_changes": figures.draw_changes, "draw_averages": figures.draw_averages}
    assert CHAPTER.run(*needles, **known)["groups"].keys() == {"not yet run"}
    recorded(tmp_path, CPU, paper=errors(0.4), no_lrn=errors(0.5))
    assert CHAPTER.run(*needles, **known)["groups"]["1 seed: undecided"] == ["no response normalisation (3.3)"]
