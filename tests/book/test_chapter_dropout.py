"""What the chapter "Dropout" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from chapter_cells import Chapter

from alexnet_lib import notebook as nb
from alexnet_lib.figures import dropout as draw
from alexnet_lib.measures.dropout_ensemble import DroppedStack, exact_averages
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.dropout import Dropout, seed_dropout
from alexnet_lib.network.small.with_dropout import DropoutNetConfig
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
        "DropoutNetConfig": DropoutNetConfig, "PaperSGD": PaperSGD, "seed_dropout": seed_dropout,
        "train_step": train_step, "labels": torch.arange(16) % 10,
        "batch": 64 * torch.randn(16, 3, 24, 24, dtype=torch.float64),
    }  # fmt: skip
    made = run_cells("def losses", **given)  # the cell asserts that they do
    assert made["of_2012"][0] == pytest.approx(float(made["matched"][0]), rel=1e-12)
    assert not torch.allclose(made["of_2012"], made["as_it_was"], rtol=1e-3)


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
