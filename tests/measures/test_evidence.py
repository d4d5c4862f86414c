"""Where an answer comes from: networks made by hand, whose evidence is known."""

from __future__ import annotations

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.evidence import activation_maps, evidence_map, occlusion_map, strongest_patches
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig

SMALL = AlexNetConfig(widths=(8, 8, 8, 8, 8), hidden=(8, 8), columns=1, norm="none", input_size=96)


@pytest.fixture
def bright() -> AlexNet:
    """A network whose class 1 answers to brightness anywhere: all its weights are alike and positive."""
    net = AlexNet(SMALL, 3, seed=0).eval()
    with torch.no_grad():
        for layer in net.weighted_layers().values():
            layer.weight.fill_(1 / layer.weight[0].numel())
            layer.bias.zero_()
        net.fc8.weight[0] = net.fc8.weight[2] = 0
        net.fc8.weight.mul_(40)
    return net


def spot(top: int, left: int, size: int = 20) -> torch.Tensor:
    pixels = torch.zeros(1, 3, 96, 96)
    pixels[..., top : top + size, left : left + size] = 1
    return pixels


def test_activation_maps_are_the_layers(bright: AlexNet) -> None:
    pixels = torch.randn(2, 3, 96, 96)
    maps = activation_maps(bright, pixels, "act1")
    assert torch.equal(maps, bright.conv1(bright.pad1(pixels)).relu())
    assert not bright.conv1._forward_hooks and not bright.act1._forward_hooks
    with pytest.raises(SettingError, match="layer 'conv9': this network has .*conv1"):
        activation_maps(bright, pixels, "conv9")


def test_hiding_the_evidence_lowers_the_probability_there(bright: AlexNet) -> None:
    pixels = spot(60, 12)
    whole = bright(pixels).softmax(1)[0, 1].item()
    found = occlusion_map(bright, pixels, 1, size=24, stride=12)
    assert found.shape == (7, 7) and found.max() == pytest.approx(whole, abs=1e-5)
    row, column = divmod(int(found.argmin()), 7)
    assert abs(12 * row + 12 - 70) <= 12 and abs(12 * column + 12 - 22) <= 12
    assert found.min() == pytest.approx(1 / 3, abs=0.05), "nothing is left to tell the three classes apart"


def test_evidence_is_where_the_spot_is(bright: AlexNet) -> None:
    found = evidence_map(bright, spot(4, 70), 1)
    assert found.min() >= 0 and found.max() == 1
    row, column = divmod(int(found.argmax()), found.shape[1])
    assert row < found.shape[0] / 2 <= column + 0.5
    assert not evidence_map(bright, torch.zeros(1, 3, 96, 96), 1).any()
    assert all(weight.grad is None for weight in bright.parameters())


def test_the_strongest_patch_is_around_what_the_kernel_answers(bright: AlexNet) -> None:
    images = torch.cat([spot(40, 40), 3 * spot(70, 10), torch.zeros(1, 3, 96, 96)])
    found = strongest_patches(bright, images.split(2), "conv2", [0, 5], count=2)
    assert [patch.image for patch in found[5]] == [1, 0] and found[0][0].answer > found[0][1].answer
    best = found[0][0]
    field = bright.describe()["conv2"].field
    assert best.top < 90 and best.bottom > 70 and best.left < 30 and best.right > 10
    assert best.bottom - best.top <= field.size and best.right <= 96 and best.left >= 0
    maps = activation_maps(bright, images, "conv2")
    assert best.answer == pytest.approx(float(maps[1, 0].max()))


def test_what_cannot_be_asked(bright: AlexNet) -> None:
    with pytest.raises(SettingError, match="give one image"):
        occlusion_map(bright, spot(0, 0), 1, size=97, stride=1)
    with pytest.raises(SettingError, match="of one image, not of 2"):
        evidence_map(bright, torch.zeros(2, 3, 96, 96), 1)
    with pytest.raises(SettingError, match="sees all of the image"):
        strongest_patches(bright, [spot(0, 0)], "fc6", [0])
