"""What the chapter "The whole architecture" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from chapter_cells import Chapter

from alexnet_lib import notebook as nb
from alexnet_lib.measures.signals import LayerSignal
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.dropout import seed_dropout
from alexnet_lib.network.geometry import FIRST_LAYERS

run_cells = Chapter("architecture").run
NARROW = replace(AlexNetConfig.paper(), widths=(16, 16, 16, 16, 16), hidden=(512, 256))


@pytest.fixture(scope="module")
def starts() -> dict[str, Any]:
    """What the cell of the four starts defines, with a narrow network and drawn images."""
    of_2012 = replace(NARROW, deviations=AlexNetConfig.code2012().deviations)
    return run_cells(
        "def first_step(net",
        AlexNet=lambda config, seed: AlexNet(config, num_classes=32, seed=seed),
        F=F,
        AlexNetConfig=SimpleNamespace(paper=lambda: NARROW, code2012=lambda: of_2012),
        centred=60 * torch.randn(32, 3, 256, 256, generator=torch.Generator().manual_seed(0)),
        session=SimpleNamespace(device=torch.device("cpu"), name="made"),
    )


def test_the_network_built_by_hand_is_the_librarys_in_outputs_and_gradients() -> None:
    by_hand = run_cells("by_hand = nn.Sequential")["by_hand"].double()
    net = AlexNet(AlexNetConfig.paper(), seed=0).double().eval()
    mine = [layer for layer in by_hand if hasattr(layer, "weight")]
    for layer, (name, theirs) in zip(mine, net.weighted_layers().items(), strict=True):
        layer.load_state_dict(theirs.state_dict())
        if name in ("fc7", "fc8"):
            layer.weight.data /= 2
    images = 64 * torch.randn(1, 3, 224, 224, dtype=torch.float64)
    outputs = [made(images) for made in (by_hand, net)]
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-10)
    for made in outputs:
        made.square().sum().backward()
    for layer, theirs in zip(mine[:6], list(net.weighted_layers().values())[:6], strict=True):
        torch.testing.assert_close(layer.weight.grad, theirs.weight.grad, rtol=1e-8, atol=1e-10)


def test_the_counts_by_hand_are_the_descriptions() -> None:
    counts = run_cells("by_hand_counts")["by_hand_counts"]
    row = AlexNet().describe()["conv1"]
    assert counts == (row.outputs, row.weights, row.multiply_adds)


def test_skipped_taps_are_the_zeros_of_the_first_layer() -> None:
    """As the 2012 code does it: sum only over taps inside, one unit at a time, in float64."""
    x, kernels = torch.randn(1, 3, 224, 224).double(), torch.randn(4, 3, 11, 11).double()
    window = next(window for name, _, window in FIRST_LAYERS if name == "the 2012 code")
    padded = F.conv2d(F.pad(x, (0, 3, 0, 3)), kernels, stride=4)[0]
    spans = window.spans(224)
    assert padded.shape[-1] == len(spans) == 55
    for i in (0, 53, 54):
        for j in (0, 30, 54):
            (top, _), (left, _) = spans[i], spans[j]
            seen = x[0, :, top : top + 11, left : left + 11]
            taps = kernels[:, :, : seen.shape[1], : seen.shape[2]]
            torch.testing.assert_close(padded[:, i, j], (taps * seen).sum((1, 2, 3)), rtol=1e-10, atol=1e-10)


def test_the_gradient_by_hand_is_p_minus_y() -> None:
    made = run_cells("by_rule = p - F.one_hot")
    torch.testing.assert_close(made["by_rule"], made["logits"].grad)
    assert float(made["loss"].detach()) == pytest.approx(0.4076, abs=1e-4)


def test_constant_outputs_stay_at_the_logarithm_of_the_classes(capsys: pytest.CaptureFixture) -> None:
    made = run_cells("one_of_each = torch.arange")
    assert float(made["loss"].detach()) == pytest.approx(6.907755, abs=1e-5)
    assert float(made["same_for_all"].grad.abs().max()) < 1e-8 and min(made["worse"]) > 6.91


def test_the_solutions_count_is_the_layers_own_and_the_checker_tells_mistakes(capsys: pytest.CaptureFixture) -> None:
    made = run_cells("def count(")
    for row in AlexNet().describe().layers[1:5]:
        k = {"conv2": 5}.get(row.name, 3)
        channels = {"conv2": 96, "conv3": 256}.get(row.name, 384)
        assert made["count"](k, channels, row.shape[0], AlexNetConfig.paper().groups(row.name)) == row.learned
    assert "Right: 4 of 4" in capsys.readouterr().out


def test_the_first_step_is_that_of_backward_with_its_masks(starts: dict[str, Any]) -> None:
    images, labels, config = starts["few_images"][:4], torch.arange(4), replace(NARROW, dropout_kind="inverted")
    loss, gradient = starts["first_step"](AlexNet(config, 32, seed=0).eval(), images, labels)
    net = AlexNet(config, 32, seed=0).train()
    seed_dropout(net, 0)
    wanted = F.cross_entropy(net(images), labels)
    (of_conv1,) = torch.autograd.grad(wanted, [net.conv1.weight])
    assert loss == pytest.approx(float(wanted.detach()), rel=1e-6)
    assert gradient == pytest.approx(float(of_conv1.double().square().mean().sqrt()), rel=1e-5)


@pytest.mark.usefixtures("book_style")
def test_the_shares_are_drawn_by_layer_with_a_look_for_each_start(starts: dict[str, Any]) -> None:
    def signals(fc8: float) -> list[LayerSignal]:
        return [LayerSignal(name, 4.0, 2.0) for name in ("conv3", "conv5", "fc6")] + [LayerSignal("fc8", 4.0, fc8)]

    tables, figures = [], []
    shown = SimpleNamespace(
        lines=nb.lines, table=lambda rows, **_: tables.extend(rows), show=lambda fig, **_: figures.append(fig)
    )
    shares = {"the text": 1.0, "2012 code": 2.0, "the text, unit variance": 0.5}
    measured = {name: (signals(fc8), 7.0, 1e-3) for name, fc8 in shares.items()}
    run_cells("def draw_shares", nb=shown, measured=measured, session=starts["session"])
    lines = figures[0].axes[0].lines
    assert [list(line.get_ydata()) for line in lines] == [[0.5, 0.5, 0.5, share / 4] for share in shares.values()]
    assert lines[0].get_linestyle() != lines[1].get_linestyle() and len({line.get_color() for line in lines}) == 3
    assert figures[0].axes[0].get_yscale() == "log"
    assert tables[0] == ["the text", "2 of 4", "2 of 4", "2 of 4", "1 of 4", "25.00%", "1.0e-03", "7.00"]


def test_inverted_dropout_feeds_fc7_twice_and_fc8_more(starts: dict[str, Any]) -> None:
    known = {name: starts[name] for name in ("start_from", "text", "few_images", "replace", "seed_dropout")}
    made = run_cells("def entering(net", **known)
    plain, inverted = made["of_2012"], made["inverted"]
    assert list(plain) == list(AlexNet(NARROW, 32, seed=0).weighted_layers())
    assert plain["conv1"] == inverted["conv1"] and plain["fc6"] == inverted["fc6"]
    assert inverted["fc7"] == pytest.approx(2 * plain["fc7"], rel=1e-6)
    assert 2 * plain["fc8"] < inverted["fc8"] < 4 * plain["fc8"]
