"""What the chapter "Local response normalisation" builds by hand, held to the library: its cells are run here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from chapter_cells import Chapter
from torch import nn

from alexnet_lib import notebook as nb
from alexnet_lib.data.photographs import load_photographs
from alexnet_lib.experiments import evidence, lrn_cifar10, results
from alexnet_lib.experiments.evidence_results import QUESTIONS
from alexnet_lib.experiments.results import VariantResult
from alexnet_lib.experiments.running.comparison_runs import Part
from alexnet_lib.measures.lrn import LearnedResponseNorm
from alexnet_lib.measures.signals import rms
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.lrn import LocalResponseNorm, local_response_norm
from alexnet_lib.network.small.locally_connected import ConvLocalConfig, ConvLocalNet, LocallyConnected2d, norm_of
from alexnet_lib.training.recipes import named

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


@pytest.fixture
def play(book_style) -> dict[str, Any]:  # noqa: ANN001
    """What the cell of the sliders defines."""
    return run_cells("def draw_response", nb=SimpleNamespace(lines=nb.lines, slider=lambda *_, **__: None))


def test_the_drawn_response_is_the_norms_middle_unit(play: dict) -> None:
    a = torch.full((1, 5), 70.0)
    a[0, 2] = 30.0
    assert play["response"](30.0, 70.0) == pytest.approx(local_response_norm(a)[0, 2].item())


def test_the_drawing_labels_its_axes_and_lines(play: dict) -> None:
    fig = play["draw_response"](beta=0.5)
    left, right = fig.axes
    assert left.get_xlabel() and left.get_ylabel() and right.get_xlabel()
    assert [len(ax.get_lines()) for ax in fig.axes] == [3, 3]
    assert [t.get_text() for t in fig.legends[0].get_texts()][:3] == [f"neighbours at {x}" for x in (0, 50, 200)]
    grows, drawn = left.lines[1].get_data()
    assert drawn[40] == pytest.approx(float(play["response"](grows[40], 50, beta=0.5)))


def test_the_solution_of_the_turning_point_is_exact(play: dict) -> None:
    """The root of the derivative that the text derives: sqrt(k / (alpha (2 beta - 1)))."""
    made = run_cells("alone = response", response=play["response"])
    assert float(made["activity"][made["alone"].argmax()]) == (2 / (1e-4 * (2 * 0.75 - 1))) ** 0.5 == 200


@pytest.fixture
def active() -> torch.Tensor:
    """Activations of a first layer, strong and weak in places."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 12, 5, 5, generator=generator).relu() * torch.rand(2, 1, 5, 5, generator=generator)


def test_a_relative_change_is_a_share_of_the_second(active: torch.Tensor) -> None:
    change = run_cells("def relative_change", active=active, signed=active, rms=rms)["relative_change"]
    assert change(torch.tensor([3.0, 0.0]), torch.tensor([2.0, 0.0])) == pytest.approx(0.5)


def test_places_of_one_strength_are_even(active: torch.Tensor) -> None:
    uneven = run_cells("def uneven", active=active, rms=rms)["uneven"]
    x = torch.tensor([[3.0, 0.0], [4.0, 5.0]])[None, :, None]  # two channels, two places, both of strength 5 / sqrt 2
    assert uneven(x) == pytest.approx(0, abs=1e-7)
    places = torch.tensor([[1.0, 3.0]])[None, :, None]
    assert uneven(places) == pytest.approx(2**0.5 / 2)


def test_swapped_neighbours_are_counted_among_the_active_ones(active: torch.Tensor) -> None:
    reordered = run_cells("def reordered", active=active, rms=rms)["reordered"]
    before = torch.tensor([[1.0, 2.0, 3.0, 0.0, 5.0]])[..., None]
    after = torch.tensor([[2.0, 1.0, 4.0, 0.0, 9.0]])[..., None]
    assert reordered(before, after) == 0.5, "of (1, 2) and (2, 3) one; pairs with a silent unit do not count"
    assert reordered(torch.zeros(1, 3, 1), torch.zeros(1, 3, 1)) == 0
    a = torch.tensor([[0.0, 0.0, 90.0, 100.0, 0.0, 300.0]])[..., None]
    b = local_response_norm(a)
    assert b[0, 2] > b[0, 3] and reordered(a, b) == 1, "the louder of two sees another loud one, the other does not"


def test_the_shuffled_norm_is_the_norm_in_an_order_of_its_own() -> None:
    source = next(source for source in CHAPTER.sources() if "class ShuffledNorm" in source)
    made: dict[str, Any] = {"torch": torch, "local_response_norm": local_response_norm}
    exec(source.partition("\nfixed, shuffled =")[0], made)
    x = 60 * torch.rand(2, 12, 3, 3)
    torch.manual_seed(5)
    order = torch.randperm(12)
    wanted = torch.empty_like(x)
    wanted[:, order] = norm_of("lrn released", 12)(x[:, order])
    torch.manual_seed(5)
    torch.testing.assert_close(made["ShuffledNorm"]()(x), wanted)


def test_the_learned_norm_begins_as_the_norm_that_it_replaces() -> None:
    """The cell's own line puts it in the place of every norm of the network that was trained with the 11% file's."""
    source = next(source for source in CHAPTER.sources("code") if "learner = " in source)
    net = ConvLocalNet(lrn_cifar10.VARIANTS["lrn-9"], seed=0)
    made: dict[str, Any] = {"LearnedResponseNorm": LearnedResponseNorm, "live": {"lrn-9": SimpleNamespace(net=net)}}
    exec(source.partition("settings = ")[0], made)
    x = 60 * torch.rand(2, 12, 3, 3)
    assert made["places"] == [3, 6]
    for place in made["places"]:
        torch.testing.assert_close(made["learner"].layers[place](x), net.layers[place](x))


# What the chapter says of the released files, held to the networks that stand for them.
FILES = {
    "13%": ConvLocalConfig("none"),
    "11%, first version": ConvLocalConfig("lrn average"),
    "11%, as it stayed": lrn_cifar10.RELEASED,
}


def markdown_table(first_row: str) -> dict[str, dict[str, str]]:
    """The chapter's table with that row, by its first column and then its header."""
    text = next(source for source in CHAPTER.sources("markdown") if f"| {first_row} |" in source)
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {name: dict(zip(rows[0][1:], cells, strict=True)) for name, *cells in rows}


def norms_of(config: ConvLocalConfig) -> list[tuple[LocalResponseNorm, str]]:
    """The response norms of such a network, each with its place beside the pooling."""
    layers = ConvLocalNet(config, seed=0).layers
    return [
        (layer, "after the pooling" if isinstance(layers[place - 1], nn.MaxPool2d) else "before the pooling")
        for place, layer in enumerate(layers)
        if isinstance(layer, LocalResponseNorm)
    ]


@pytest.mark.parametrize("file", FILES)
def test_the_released_files_are_described_as_the_networks_are_built(file: str) -> None:
    told = {name: cells[file] for name, cells in markdown_table("norm over").items() if name.strip("-")}
    config = FILES[file]
    norms = norms_of(config)
    assert told["norm over"] == (f"{norms[0][0].n} maps" if norms else "no norm")
    for number, row in enumerate(("first norm", "second norm")):
        assert told[row] == (norms[number][1] if norms else "-")
    local = next(layer for layer in ConvLocalNet(config, seed=0).layers if isinstance(layer, LocallyConnected2d))
    assert told["first locally connected layer"] == f"{local.weight.shape[2]} maps"
    decay = lrn_cifar10.LONG.terms.decay if config.last_decay is None else config.last_decay
    assert told["weight decay of the last layer"] == f"{decay:g}"
    if file == "13%":
        assert told["passes"] == f"{sum(lrn_cifar10.LONG.terms.stages)}"


def test_the_11_per_cent_file_has_the_constants_of_the_big_table() -> None:
    told = {name: cells["released 11% file (CIFAR-10)"] for name, cells in markdown_table("reach").items()}
    (first, where), (second, where_2) = norms_of(lrn_cifar10.RELEASED)
    for norm in (first, second):
        assert told["$n$"] == f"{norm.n}" and told["$k$"] == f"{norm.k:g}"
        assert told[r"$\alpha$"] == f"1e-3 / {norm.n} = {1e3 * norm.alpha / norm.n * 10:.1f}e-4"
        assert norm.average and norm.alpha == 0.001 and told[r"$\alpha$ times"] == "the sum over $n$"
    assert told["place"] == "after ReLU; layer 1: after the pooling, layer 2: before it"
    assert (where, where_2) == ("after the pooling", "before the pooling")
    text = "\n".join(CHAPTER.sources("markdown"))
    ours = LocalResponseNorm()
    counts_from = [(norm.k / (norm.alpha * (1 if norm is first else norm.n))) ** 0.5 for norm in (first, ours)]
    assert f"from an activity of about {counts_from[0]:.0f} on, not {counts_from[1]:.0f}." in text


def fake_record(run: str, error: float) -> VariantResult:
    result = {
        "seeds": [0, 1],
        "test_error": [error, error + 0.002],
        "training_error": [error - 0.1, error - 0.101],
        "rate": 0.001,
        "complete": True,
    }
    return VariantResult(
        {
            "experiment": lrn_cifar10.NAME,
            "run": run,
            "result": result,
            "configuration": {},
            "dataset": {"test_images": 10_000},
        }
    )


@pytest.mark.parametrize("best", [lrn_cifar10.LONG, lrn_cifar10.MIDDLE, lrn_cifar10.SHORT], ids=lambda part: part.name)
def test_the_recorded_tables_are_of_the_longest_part_and_say_which(best: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is labelled, and positive numbers mean lower with the norm."""
    order = lrn_cifar10.RECORDED
    there = {part.name for part in order[order.index(best) :]}

    def results_of(name: str, parts: Sequence[str], variants: Iterable[str]) -> dict[str, VariantResult]:
        part = next(part for part in order if part.name in parts and part.name in there)
        return {
            one: fake_record(f"{part.name}_{one}", 0.3 if one == "none" else 0.25)
            for one in variants
            if one in part.variants
        }

    monkeypatch.setattr(results, "results_of", results_of)
    tables = []
    shown = SimpleNamespace(table=lambda rows, **about: tables.append((rows, about)))
    run_cells("results_of(NAME", "training_error, test_error, gap", LABELS=lrn_cifar10.LABELS, nb=shown)
    (rows, about), (differences, about_differences) = tables
    assert len(rows) == len(differences) + 1 == len(best.variants)
    assert f"run {best.name}." in about["caption"] and f"run {best.name}." in about_differences["caption"]
    assert all(row[3].startswith("+5.00 points (") for row in rows[1:])
    for _, *told in differences:
        assert [each.split()[0] for each in told] == ["+5.00", "+5.00", "+0.00"]


def test_no_later_cell_overwrites_the_name_of_the_recorded_run() -> None:
    code = CHAPTER.sources("code")
    assert sum("recorded_run = " in cell for cell in code) == 1
    assert sum("{recorded_run}" in cell for cell in code) == 2


def test_the_live_norms_are_those_of_the_comparison() -> None:
    source = next(source for source in CHAPTER.sources("code") if "tried = " in source)
    made: dict[str, Any] = {}
    exec(source[source.index("tried = ") : source.index("halved = ")], made)
    for name, norm in made["tried"].items():
        variant = lrn_cifar10.VARIANTS[name]
        assert getattr(variant, "net", variant) == ConvLocalConfig(norm)


def test_the_norm_is_almost_a_constant_at_the_start_of_the_studys_network() -> None:
    """0.57 and 0.59, as the text says, of photographs; and that the study has the constant alone as a control."""
    text = next(source for source in CHAPTER.sources("markdown") if "control" in source)
    photographs = load_photographs(32, side=96)
    images = photographs.images - photographs.images.float().mean(0)
    net = AlexNet(named("paper", evidence.BASE).net, seed=0).eval()
    left = []
    for layer in (layer for layer in net.modules() if isinstance(layer, LocalResponseNorm)):
        layer.register_forward_hook(lambda _, given, out: left.append(rms(out) / rms(given[0])))
    with torch.no_grad():
        net(images)
    told = re.findall(r"leaves (0\.\d+) of conv1's activity and (0\.\d+) of conv2's", text)[0]
    assert left == pytest.approx([float(number) for number in told], abs=0.015)
    assert {"lrn", "lrn-constant"} <= {name for name, one in QUESTIONS.items() if one.claim == "C05"}
    assert "net.lrn.alpha=0" in evidence.VARIANTS["lrn-constant"].changes
