"""What the chapter "Two GPUs" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
import torch
import torch.nn.functional as F
from chapter_cells import Chapter

from alexnet_lib import notebook as nb
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.traffic import expected_traffic

CHAPTER = Chapter("two_gpus")
run_cells = CHAPTER.run


def paper():
    return AlexNet(AlexNetConfig.paper(), part=(0, 2)).describe()


def by_hand() -> dict[str, Any]:
    return run_cells("def one_device", "def two_devices")


def test_the_cut_matrix_gives_what_the_text_gives_by_hand() -> None:
    made = run_cells("in_halves =")
    assert made["in_halves"].tolist() == [3.0, 0.0, -1.0, 8.0]
    assert torch.equal(made["whole"] @ made["x"], made["in_halves"])
    assert made["whole"].count_nonzero() == 7  # one of the eight weights kept is 0 by choice


def test_two_halves_are_the_grouped_convolution() -> None:
    made = run_cells("grouped = F.conv2d")
    torch.testing.assert_close(torch.cat(made["halves"], 1), made["grouped"], rtol=1e-4, atol=1e-4)


def test_the_split_by_hand_is_the_grouped_network_in_outputs_and_gradients() -> None:
    made = by_hand()
    weights, small = made["weights"], made["small"]
    torch.testing.assert_close(
        made["two_devices"](small, weights), made["one_device"](small, weights), rtol=1e-10, atol=0
    )
    for one, two in zip(*(made["gradients"](made[name]) for name in ("one_device", "two_devices")), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-10, atol=1e-12)


def test_the_network_by_hand_is_built_as_the_librarys_first_layers() -> None:
    """Layer by layer, by the framework's own grouped convolutions, and with the library's groups."""
    made = by_hand()
    groups = [AlexNetConfig.paper().groups(name) for name in ("conv1", "conv2", "conv3")]
    assert groups == [1, 2, 1]
    x = made["small"]
    for kernels, count in zip(made["weights"].values(), groups, strict=True):
        x = torch.relu(torch.nn.functional.conv2d(x, kernels, padding=1, groups=count))
    torch.testing.assert_close(made["two_devices"](made["small"], made["weights"]), x, rtol=1e-10, atol=0)


def test_a_split_that_forgets_the_exchange_is_told_apart() -> None:
    """The comparison can fail: with what was sent replaced by zeros, outputs differ."""
    made = by_hand()
    source = next(source for source in CHAPTER.sources() if "def two_devices" in source)
    broken = source.split("def gradients")[0].replace("sent = x[1], x[0]", "sent = 0 * x[1], 0 * x[0]")
    exec(compile(broken, "broken", "exec"), made)
    one = made["one_device"](made["small"], made["weights"])
    assert not torch.allclose(made["two_devices"](made["small"], made["weights"]), one, rtol=1e-3)


@pytest.mark.parametrize(("maps", "side", "batch"), [(256, 13, 1), (256, 13, 128), (96, 27, 5)])
def test_the_solutions_bytes_are_the_traffic_of_the_layer_they_are_about(maps: int, side: int, batch: int) -> None:
    solution = run_cells("def bytes_crossing", paper=paper(), expected_traffic=expected_traffic)["bytes_crossing"]
    config = AlexNetConfig.paper()
    described = AlexNet(AlexNetConfig(exchange=("conv2", *config.exchange)), part=(0, 2)).describe()
    layer = {96: "conv2", 256: "conv3"}[maps]
    expected = sum(n for key, n in expected_traffic(described, batch).bytes.items() if key[0] == layer)
    assert solution(maps, side, batch) == expected


MISTAKES: list[tuple[str, str, Callable, str]] = [
    ("def bytes_crossing", "bytes_crossing", lambda m, s, n: m * s**2 * n * 4, "gradient goes back"),
    ("def bytes_crossing", "bytes_crossing", lambda m, s, n: m * s**2 * n * 16, "its own half"),
    ("def bytes_crossing", "bytes_crossing", lambda m, s, n: m * s**2 * n * 2, "takes 4"),
    (
        "def meet",
        "meet",
        lambda a, b, k: (
            F.conv2d(torch.cat([a, b], 1), k[:3], padding=1),
            F.conv2d(torch.cat([b, a], 1), k[3:], padding=1),
        ),
        "GPU 0's maps come first",
    ),
]


@pytest.mark.parametrize(("cell", "name", "mistake", "said"), MISTAKES, ids=[m[3] for m in MISTAKES])
def test_the_checkers_name_the_usual_mistakes(
    cell: str, name: str, mistake: Callable, said: str, capsys: pytest.CaptureFixture
) -> None:
    asked: list[tuple] = []
    spy = type("Book", (), {"check": staticmethod(lambda *args, **more: asked.append((args, more)))})
    run_cells(cell, nb=spy, paper=paper(), expected_traffic=expected_traffic)
    (((_, reference, cases), more),) = asked
    assert nb.check(run_cells(cell, paper=paper(), expected_traffic=expected_traffic)[name], reference, cases, **more)
    capsys.readouterr()
    assert not nb.check(mistake, reference, cases, **more)
    assert said in capsys.readouterr().out


def test_the_comparison_of_connections_says_what_it_could_have_seen() -> None:
    cells = nbformat.read(CHAPTER.path, as_version=4).cells
    place = next(i for i, cell in enumerate(cells) if "rows_of(trained" in cell.source)
    table, printed = (out.get("text") or out["data"]["text/plain"] for out in cells[place].outputs)
    assert "points better than columns that meet at fc6" in table
    rows = [line for line in table.splitlines() if "seeds)" in line]
    assert [row.rstrip().endswith(" -") for row in rows] == [False, False, True], "the last row is the reference"
    seen = re.search(r"effect of (\d+) points", printed).group(1)
    assert f"effects of about {seen} points" in cells[place + 1].source
