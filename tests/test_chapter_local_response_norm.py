"""What the chapter "Local response normalisation" builds by hand, held to the library: its cells are run here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from chapter_cells import Chapter

from alexnet_lib.experiments import lrn_cifar10
from alexnet_lib.layers import local_response_norm
from alexnet_lib.local_nets import ConvLocalNet

LRN = "def window_sums"
CHAPTER = Chapter("local_response_norm", local_response_norm=local_response_norm)
run_cells = CHAPTER.run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("constants", [{}, {"n": 3, "k": 1.0, "alpha": 0.5, "beta": 0.5}, {"n": 7, "beta": 1.3}])
def test_the_norm_built_by_hand_is_the_librarys(constants: dict) -> None:
    made = run_cells(LRN, "def lrn_maps")
    rows = 50 * torch.randn(4, 9, dtype=torch.float64)
    torch.testing.assert_close(made["lrn"](rows, **constants), local_response_norm(rows, **constants))
    maps = 50 * torch.randn(2, 8, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(made["lrn_maps"](maps, **constants), local_response_norm(maps, **constants))


def test_the_five_numbers_are_the_fractions_of_the_table() -> None:
    made = run_cells(LRN)
    got = made["lrn"](made["five"].double(), n=3, alpha=1.0, beta=1.0)[0]
    assert got.tolist() == pytest.approx([2 / 6, 0, 1 / 12, 3 / 16, 2 / 15], abs=1e-12)
    text = "\n".join(CHAPTER.sources())
    for printed, wanted in zip(("0.3333", "0.0833", "0.1875", "0.1333"), (2 / 6, 1 / 12, 3 / 16, 2 / 15), strict=True):
        assert printed in text and float(printed) == pytest.approx(wanted, abs=5e-5)


@pytest.mark.parametrize("n, k, alpha, beta", [(5, 2.0, 1e-4, 0.75), (3, 1.0, 0.01, 0.5), (7, 0.5, 1e-3, 1.2)])
def test_the_gradient_derived_is_the_librarys(n: int, k: float, alpha: float, beta: float) -> None:
    derived = run_cells(LRN, "def lrn_gradient")["lrn_gradient"]
    a = (40 * torch.randn(3, 11, dtype=torch.float64)).requires_grad_()
    g = torch.randn(3, 11, dtype=torch.float64)
    wanted = torch.autograd.grad(local_response_norm(a, n, k, alpha, beta), a, g)[0]
    torch.testing.assert_close(derived(a.detach(), g, n, k, alpha, beta), wanted, rtol=1e-9, atol=1e-12)


def test_the_solutions_two_columns_are_the_librarys() -> None:
    made = run_cells(LRN, "def two_columns")
    a = 100 * torch.randn(3, 14)
    torch.testing.assert_close(made["two_columns"](a), local_response_norm(a, columns=2))


@pytest.mark.parametrize(
    "wrong, hint",
    [
        (lambda lrn: lambda a: lrn(a), "your windows cross the middle"),
        (lambda lrn: lambda a: torch.cat([lrn(h) for h in a.chunk(2, 1)][::-1], 1), "the halves are swapped"),
        (lambda lrn: lambda a: local_response_norm(a, average=True, columns=2), "alpha multiplies a sum"),
        (lambda lrn: lambda a: torch.cat([lrn(a[:, ::2]), lrn(a[:, 1::2])], 1), "a column is a half"),
    ],
    ids=["crossing", "swapped", "average", "every second"],
)
def test_the_checker_says_what_is_wrong(wrong, hint: str, capsys: pytest.CaptureFixture) -> None:  # noqa: ANN001
    """The solution's cell with a reader's wrong answer in place of the right one."""
    made = run_cells(LRN)
    source = next(source for source in CHAPTER.sources() if "def two_columns" in source)
    head, _, rest = source.partition("def reference")
    made["two_columns"] = wrong(made["lrn"])
    capsys.readouterr()
    exec("def reference" + rest, made)
    assert hint in capsys.readouterr().out and head.startswith("def two_columns")


def test_the_solution_of_the_turning_point_is_exact() -> None:
    """The root of the derivative that the text derives: sqrt(k / (alpha (2 beta - 1)))."""
    made = run_cells("alone = response")
    assert float(made["activity"][made["alone"].argmax()]) == (2 / (1e-4 * (2 * 0.75 - 1))) ** 0.5 == 200


def test_the_shuffled_norm_is_the_norm_in_an_order_of_its_own() -> None:
    source = next(source for source in CHAPTER.sources() if "class ShuffledNorm" in source)
    made: dict[str, Any] = {"torch": torch, "local_response_norm": local_response_norm}
    exec(source.partition("\nfixed, shuffled =")[0], made)
    x = 60 * torch.rand(2, 8, 3, 3)
    torch.manual_seed(5)
    order = torch.randperm(8)
    wanted = torch.empty_like(x)
    wanted[:, order] = local_response_norm(x[:, order], k=1.0, alpha=2e-4)
    torch.manual_seed(5)
    torch.testing.assert_close(made["ShuffledNorm"]()(x), wanted)


def test_the_layers_that_the_chapter_replaces_are_the_norms() -> None:
    """The learned and the shuffled norm are put at places 2 and 6."""
    kinds = [type(layer).__name__ for layer in ConvLocalNet(lrn_cifar10.VARIANTS["lrn-average"], seed=0).layers]
    assert [place for place, kind in enumerate(kinds) if kind == "LocalResponseNorm"] == [2, 6]
