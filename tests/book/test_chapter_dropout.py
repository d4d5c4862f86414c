"""What the chapter "Dropout" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from chapter_cells import Chapter
from small_sets import separable
from torch import nn

from alexnet_lib import notebook as nb
from alexnet_lib.figures import dropout as draw
from alexnet_lib.measures.dropout_ensemble import Averages, DroppedStack, exact_averages
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.dropout import Dropout, seed_dropout
from alexnet_lib.network.small.with_dropout import DropoutNet, DropoutNetConfig
from alexnet_lib.training.fit import train_step
from alexnet_lib.training.optimizer import PaperSGD

pytestmark = pytest.mark.usefixtures("one_thread", "book_style")
run_cells = Chapter("dropout", draw=draw).run


def test_the_four_networks_by_hand_are_averaged_as_the_library_averages(capsys) -> None:
    made = run_cells("adds = torch.tensor")
    weight = torch.stack([made["adds"], torch.zeros(2, dtype=torch.float64)])
    stack = DroppedStack((weight,), (torch.zeros(2, dtype=torch.float64),), (True,))
    found = exact_averages(stack, torch.ones(1, 2, dtype=torch.float64))
    geometric = made["roots"][0] / sum(made["roots"])
    assert float(found.arithmetic[0, 0].exp()) == pytest.approx(float(made["p"].mean()))
    assert float(found.geometric[0, 0].exp()) == pytest.approx(float(geometric)) == pytest.approx(float(made["halved"]))
    assert float(found.scaled[0, 0].exp()) == pytest.approx(float(made["halved"]))
    said = capsys.readouterr().out
    assert "0.5000 0.9820 0.1192 0.8808" in said and "mean 0.6205, geometric 0.7311, halved 0.7311" in said


def test_the_table_in_the_text_holds_the_numbers_of_the_cell(capsys) -> None:
    run_cells("adds = torch.tensor")
    printed = capsys.readouterr().out
    text = "\n".join(Chapter("dropout").sources("markdown"))
    for number in (".9820", ".1192", ".8808", ".6205", ".7311"):
        assert number in printed and number in text
    p = torch.tensor([0.5, 0.9820138, 0.1192029, 0.8807971])
    for side, told in ((p, ".4765"), (1 - p, ".1753")):
        assert f"{float(side.prod() ** 0.25):.4f}"[1:] == told and told in text


def test_the_mean_of_relus_is_not_the_relu_of_the_mean(capsys) -> None:
    run_cells("adds = torch.tensor", "mean of the ReLUs")
    assert "mean of the ReLUs: 1.0  ReLU of the mean: 0.0" in capsys.readouterr().out


def test_the_lines_left_are_those_between_units_that_are_kept() -> None:
    made = run_cells("drawn = [{layer")
    for mask, left in zip(made["drawn"], made["kept"], strict=True):
        (ax,) = draw.draw_thinned((5, 6, 6, 3), mask).axes
        between = [line for line in ax.lines if list(line.get_ydata()) == [1, 2]]
        assert len(between) == left
    assert len({tuple(mask[1].tolist()) for mask in made["drawn"]}) > 5


@pytest.mark.parametrize("kind", ["2012", "inverted"])
@pytest.mark.parametrize("p", [0.5, 0.3])
def test_both_rules_by_hand_are_the_librarys(kind: str, p: float) -> None:
    rule = run_cells("def dropout_2012")[f"dropout_{kind}"]
    x = torch.rand(50, 9) + 1
    layer = Dropout(p, kind)
    layer.draw_from(3)
    trained = layer(x)
    torch.testing.assert_close(trained, rule(x, (trained > 0).float(), p, True))
    torch.testing.assert_close(layer.eval()(x), rule(x, None, p, False))


def test_matched_weights_and_rates_make_both_kinds_learn_alike() -> None:
    given = {
        "DropoutNetConfig": DropoutNetConfig,
        "PaperSGD": PaperSGD,
        "seed_dropout": seed_dropout,
        "train_step": train_step,
        "labels": torch.arange(16) % 10,
        "batch": 64 * torch.randn(16, 3, 24, 24, dtype=torch.float64),
    }
    made = run_cells("def losses", **given)  # the cell asserts that they do
    assert made["of_2012"][0] == pytest.approx(float(made["matched"][0]), rel=1e-12)
    assert not torch.allclose(made["of_2012"], made["as_it_was"], rtol=1e-3)


CONFIG = DropoutNetConfig(maps=(4, 4, 6), hidden=(40, 30), image_size=8)


@pytest.fixture
def net() -> DropoutNet:
    return CONFIG.build(0)


def images(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    return 64 * torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 10


def as_they_are(*sets: str, n: int = 60) -> dict[str, object]:
    """Those sets of a few images, for cells that cut and scale them."""
    x, labels = images(n)
    found = dict.fromkeys(sets, SimpleNamespace(images=x, labels=labels))
    return found | {"scale": lambda x: x, "centre": lambda x, *_: x, "seed_dropout": seed_dropout, "replace": replace}


def test_the_last_layer_alone_is_averaged_exactly_but_for_chance(net: DropoutNet) -> None:
    made = sampling(net)
    whole, left_out = made["sampled"](net, (False, False, True), 400)
    assert whole.distances["geometric"].kl < 1e-3
    value, error = map(float, str(made["kl_to"]("geometric", whole, left_out)).split(" ± "))
    row = made["rows"][0]
    assert abs(value) < 5 * error + 1e-4 and row[0] == "trained with dropout, seed 0" and row[3].endswith("%")


def test_a_network_without_dropout_can_be_dropped(net: DropoutNet) -> None:
    bare, sampled = replace(CONFIG, rate=0.0).build(0), sampling(net)["sampled"]
    averages: list[Averages] = [sampled(one, (False, True, True), 20)[0] for one in (bare, net)]
    torch.testing.assert_close(averages[0].arithmetic, averages[1].arithmetic)


def sampling(net: DropoutNet) -> dict:
    """What the cell on sampled masks defines, with ten images and that network for all."""
    run = SimpleNamespace(net=net)
    given = as_they_are("judged", n=10) | {"trained": [run, run], "bare": run, "DroppedStack": DroppedStack}
    return run_cells("def sampled", nb=SimpleNamespace(table=lambda *_, **__: None), from_live="live", **given)


def test_leaning_is_what_the_measures_say(net: DropoutNet) -> None:
    x, labels = images()
    given = as_they_are("judged") | {"live": {}, "from_live": "live"}
    made = run_cells("def leaning", nb=SimpleNamespace(table=lambda *_, **__: None), **given)
    found = made["leaning"](net, x, labels)
    assert found["correlations"].units == 30 and 0 <= found["redundancy"] <= 1
    labels_it_gives = net.eval()(x).argmax(1)
    right = made["leaning"](net, x, labels_it_gives)
    assert right["half"] > 0 and right["worst unit"] >= 0, "silencing can only change right answers"
    errors = [made["error_without"](share, net, x, labels_it_gives) for share in (0.0, 0.5, 0.9)]
    assert errors[0] == 0 and errors[1] == pytest.approx(right["half"]) and errors[2] > 0


@pytest.fixture
def counting() -> dict:
    """What the cells on weights reached and on the noise of gradients define."""
    wide = replace(CONFIG, hidden=(256, 256))
    nets = {"dropout 0.5": wide, "no dropout": replace(wide, rate=0.0)}
    return run_cells("def weights_reached", "def noise_to_signal", nets=nets, trained=[], **as_they_are("few"))


def test_a_quarter_of_the_weights_between_two_dropouts_is_reached(net: DropoutNet, counting: dict) -> None:
    x, labels = images(20)
    bare = replace(CONFIG, rate=0.0).build(0)
    for linear in (net.head[0], net.head[3], bare.head[0], bare.head[2]):
        linear.weight.data.abs_()  # all units on, so that only masks decide
    reached, everything = (counting["weights_reached"](one, x / 64, labels, 30) for one in (net, bare))
    six, seven, eight = (one / other for one, other in zip(reached, everything, strict=True))
    assert (six, seven, eight) == (
        pytest.approx(0.5, abs=0.03),
        pytest.approx(0.25, abs=0.03),
        pytest.approx(0.5, abs=0.03),
    )


def test_masks_add_noise_to_the_gradient(net: DropoutNet, counting: dict) -> None:
    pixels, labels = separable(64 * 12, classes=10)

    def noise(training: bool) -> float:
        rows = counting["gradients"](net.train(training), pixels.float() - 128, labels)
        return counting["noise_to_signal"](rows)

    assert noise(True) > noise(False) > 0
    assert noise(True) == noise(True), "the same masks each time"


@pytest.mark.parametrize("noise, wanted", [(0.0, 0.0), (0.5, 0.25), (3.0, 9.0)])
def test_made_rows_have_the_ratio_they_were_made_with(noise: float, wanted: float, counting: dict) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = 2 + 2 * noise * torch.randn(400, 200, generator=generator)
    assert counting["noise_to_signal"](rows) == pytest.approx(wanted, rel=0.05, abs=1e-12)


def test_few_rows_are_not_biased(counting: dict) -> None:
    generator = torch.Generator().manual_seed(0)
    signals = [counting["noise_to_signal"](1 + 4 * torch.randn(8, 500, generator=generator)) for _ in range(200)]
    inverse = torch.tensor([1 / each for each in signals])
    assert float(inverse.mean()) == pytest.approx(1 / 16, rel=0.1)


def headed(*layers: nn.Module) -> nn.Module:
    """A network whose fully connected layers are `head`, as the cells want it."""
    net = nn.Sequential()
    net.add_module("flat", nn.Flatten())
    net.add_module("head", nn.Sequential(*layers))
    return net


def test_the_rows_are_the_gradients(counting: dict) -> None:
    net = headed(nn.Linear(12, 3)).double()
    x, labels = torch.randn(192, 3, 2, 2, dtype=torch.float64), torch.arange(192) % 3
    rows = counting["gradients"](net, x, labels)
    assert rows.shape == (3, 36)
    for row, some, wanted in zip(rows, x.split(64), labels.split(64), strict=True):
        errors = net(some).softmax(1) - F.one_hot(wanted, 3)
        torch.testing.assert_close(row.view(3, 12), errors.T @ some.flatten(1) / 64)


def test_dropout_adds_noise_in_training_alone(counting: dict) -> None:
    torch.manual_seed(0)
    net = headed(nn.Linear(12, 40), nn.ReLU(), Dropout(0.5), nn.Linear(40, 3))
    same = torch.randn(64, 3, 2, 2).repeat(30, 1, 1, 1), (torch.arange(64) % 3).repeat(30)
    noise: Callable = lambda net: counting["noise_to_signal"](counting["gradients"](net, *same))  # noqa: E731
    assert noise(net.eval()) == 0 and noise(net.train()) > 0.1


@pytest.mark.filterwarnings("ignore:var\\(\\)")
def test_where_no_signal_can_be_seen_it_is_said(counting: dict) -> None:
    for rows in ([[1.0, 0], [-1, 0]], [[1.0, 1, 1, 1]]):
        assert counting["noise_to_signal"](torch.tensor(rows)) == float("inf")


def test_dropout_stands_where_the_chapter_prints_it(capsys) -> None:
    run_cells("startswith((", AlexNet=AlexNet, AlexNetConfig=AlexNetConfig, replace=replace)
    paper, torchvision = capsys.readouterr().out.splitlines()
    assert paper.split()[1:] == "pool5 - fc6 - drop6 - fc7 - drop7 - fc8".split()
    assert torchvision.split()[1:] == "pool5 - drop6 - fc6 - drop7 - fc7 - fc8".split()


def test_norms_and_dropout_share_no_layer(capsys) -> None:
    run_cells("for wanted_kind in", AlexNet=AlexNet, AlexNetConfig=AlexNetConfig, replace=replace)
    assert capsys.readouterr().out.splitlines() == [
        "LocalResponseNorm ['norm1', 'norm2']",
        "Dropout ['drop6', 'drop7']",
    ]


def test_the_solution_is_right_and_its_checker_tells_mistakes_apart(capsys) -> None:
    made = run_cells("def geometric_mean")
    assert "Right: 3 of 3" in capsys.readouterr().out
    for wrong in (lambda p: p.mean(0), lambda p: p.log().sum(0).softmax(0), lambda p: p.prod(0) ** (1 / len(p))):
        assert not nb.check(wrong, made["reference"], made["cases"], tol=1e-5)
    assert "Hint" not in capsys.readouterr().out, "no hints were given here"


def test_counts_of_masks_are_counts_of_masks(capsys) -> None:
    from alexnet_lib.measures.dropout_ensemble import all_masks

    run_cells("from math import comb")
    said = capsys.readouterr().out
    six = float((all_masks(12).sum(1) == 6).double().mean())
    assert f"rate 0.5: six kept {six:.4f}, all kept once in 4096.0 images" in said
