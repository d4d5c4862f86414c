"""What the chapter "The whole architecture" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from chapter_cells import Chapter

from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.network.geometry import FIRST_LAYERS

run_cells = Chapter("architecture").run


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
    made = run_cells("same_for_all, one_of_each = torch.zeros")
    assert float(made["loss"].detach()) == pytest.approx(6.907755, abs=1e-5)
    assert float(made["same_for_all"].grad.abs().max()) < 1e-8 and min(made["worse"]) > 6.91


def test_the_solutions_count_is_the_layers_own_and_the_checker_tells_mistakes(capsys: pytest.CaptureFixture) -> None:
    made = run_cells("def count(")
    for row in AlexNet().describe().layers[1:5]:
        k = {"conv2": 5}.get(row.name, 3)
        channels = {"conv2": 96, "conv3": 256}.get(row.name, 384)
        assert made["count"](k, channels, row.shape[0], AlexNetConfig.paper().groups(row.name)) == row.learned
    assert "Right: 4 of 4" in capsys.readouterr().out
