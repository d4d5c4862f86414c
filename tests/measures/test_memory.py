"""What has to fit: the count held to what autograd really keeps, to the weights a column really has, and to numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.memory import Kept, kept_for_backward, learned, measured_kept, need, need_2012
from alexnet_lib.network.alexnet import AlexNet, described
from alexnet_lib.network.config import VARIANTS, AlexNetConfig, ablations
from alexnet_lib.network.two_gpu import TwoGPUAlexNet
from alexnet_lib.training.optimizer import PaperSGD

CONFIGS = {name: make() for name, make in VARIANTS.items()} | ablations()
COUNTED = [name for name, config in CONFIGS.items() if config.norm != "batch"]
SPLIT = [name for name in COUNTED if CONFIGS[name].columns == 2 and CONFIGS[name].lrn.within_columns]
BATCH = 2

pytestmark = pytest.mark.usefixtures("one_thread")


def small(name: str) -> AlexNetConfig:
    """The network with few units in fc6 and fc7: what it keeps is counted alike, and it is made quickly."""
    return replace(CONFIGS[name], hidden=(64, 32))


def images(config: AlexNetConfig) -> torch.Tensor:
    return torch.randn(BATCH, 3, config.input_size, config.input_size)


def by_step(kept: list[Kept]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for tensor in kept:
        sums[tensor.step] = sums.get(tensor.step, 0) + BATCH * tensor.bytes
    return sums


@pytest.mark.parametrize("name", COUNTED)
def test_what_is_counted_is_what_autograd_keeps_byte_for_byte(name: str) -> None:
    net = AlexNet(small(name), 10, seed=0)
    assert by_step(kept_for_backward(net.describe())) == measured_kept(net, images(net.config))


@pytest.mark.parametrize("name", SPLIT)
def test_so_it_is_on_each_of_two_devices(name: str) -> None:
    net = TwoGPUAlexNet(small(name), num_classes=10, seed=0)
    for gpu in (0, 1):
        assert by_step(kept_for_backward(net.describe(), gpu)) == measured_kept(net, images(net.config), gpu)
        own = sum(parameter.numel() for parameter in net.columns[gpu].parameters())
        assert sum(learned(net.describe(), gpu).values()) == own


def test_the_papers_network_by_hand() -> None:
    floats = 3 * 227**2 + 2 * 290_400 + 69_984 + 2 * 186_624 + 43_264 + 2 * 64_896 + 43_264 + 9_216 + 6 * 4_096
    places = 69_984 + 43_264 + 9_216
    held = need(described(AlexNetConfig.paper()), 128)
    assert held.kept == 128 * (4 * floats + 8 * places)
    assert held.weights == held.gradients == held.velocity == 4 * 60_965_224
    assert held.total == sum(held.parts().values()) == held.kept + 12 * 60_965_224


def test_two_cards_hold_the_weights_once_and_the_images_and_what_crossed_twice() -> None:
    net = described(AlexNetConfig.paper())
    one, pair = need(net, 1), [need(net, 1, gpu) for gpu in (0, 1)]
    assert sum(part.weights for part in pair) == one.weights
    # the padded image, and the inputs of conv3, fc6 and fc7, lie on both; fc8's on the first alone
    assert sum(part.kept for part in pair) - one.kept == 4 * (3 * 227**2 + 43_264 + 9_216 + 4_096)


def test_the_gradients_and_the_velocity_are_as_large_as_the_weights() -> None:
    config = small("paper")
    net = AlexNet(config, 10, seed=0)
    optimizer = PaperSGD(net.parameters(), 1e-6)
    F.cross_entropy(net(images(config)), torch.zeros(BATCH, dtype=torch.long)).backward()
    optimizer.step()
    velocity = [t for state in optimizer.state.values() for t in state.values() if isinstance(t, torch.Tensor)]
    counted = need(net.describe(), BATCH)
    assert sum(parameter.grad.nbytes for parameter in net.parameters()) == counted.gradients
    assert sum(tensor.nbytes for tensor in velocity) == counted.velocity


def test_a_sixth_convolution_keeps_one_more_output() -> None:
    plain, more = (
        sum(tensor.bytes for tensor in kept_for_backward(described(VARIANTS[name]())))
        for name in ("paper", "sixth_conv")
    )
    assert more - plain == 4 * 256 * 36


def test_the_2012_bookkeeping_by_hand() -> None:
    """Outputs and their gradients, denominators of the three norms, sums of parts, no gradients of full layers."""
    outputs = 290_400 * 2 + 69_984 + 186_624 * 3 + 43_264 + 64_896 * 2 + 43_264 + 9_216 + 4_096 * 2 + 1_000
    norms = 290_400 + 2 * 186_624
    held = need_2012(described(AlexNetConfig.code2012()), 128)
    assert held.kept == 4 * 128 * (3 * 224**2 + 2 * outputs + norms)
    assert held.gradients == 4 * sum((34_944, 307_456, 885_120, 663_936, 442_624))
    assert held.weights == held.velocity == 4 * 60_965_224
    sums = 605 * 34_848 + 243 * 307_200 + 13 * (884_736 // 2 + 663_552 + 442_368)
    assert held.other == 4 * sums


def test_the_2012_bookkeeping_on_two_cards() -> None:
    net = described(AlexNetConfig.code2012())
    one, first, second = need_2012(net, 1), need_2012(net, 1, 0), need_2012(net, 1, 1)
    assert first.weights + second.weights == one.weights and first.other + second.other == one.other
    copies = 2 * (43_264 + 9_216 + 4_096 + 2_048)  # pool2, pool5, fc6 to both; fc7's other half to the first
    assert first.kept + second.kept - one.kept == 4 * (3 * 224**2 + copies)


def test_the_layer_of_a_step() -> None:
    kept = kept_for_backward(described(AlexNetConfig.paper()))
    assert [t.layer for t in kept if t.step in ("conv1", "act1", "pool1", "fc6", "act6", "drop7", "fc8")] == [
        "conv1",
        "conv1",
        "conv1",
        "conv1",
        "fc6",
        "fc6",
        "fc7",
        "fc8",
    ]
    assert {t.layer for t in kept} == {row.name for row in described(AlexNetConfig.paper()).layers}


@pytest.mark.parametrize(("config", "gpu"), [(AlexNetConfig.paper(), 2), (AlexNetConfig.one_gpu_half(), 0)])
@pytest.mark.parametrize("count", [learned, kept_for_backward])
def test_a_gpu_that_is_not_there_is_refused(count, config: AlexNetConfig, gpu: int) -> None:
    with pytest.raises(SettingError, match=f"gpu={gpu}"):
        count(described(config), gpu)


@pytest.mark.parametrize("change", [{"activation": "elu"}, ablations()["batch_norm"]], ids=["elu", "batch norm"])
def test_what_is_not_counted_is_refused(change) -> None:
    config = change if isinstance(change, AlexNetConfig) else replace(AlexNetConfig.paper(), **change)
    with pytest.raises(SettingError, match="not counted here"):
        kept_for_backward(described(config))


def test_measuring_leaves_the_network_as_it_was_also_when_it_fails() -> None:
    net = AlexNet(small("paper"), 10, seed=0)
    for wrong in (torch.zeros(1, 3, 224, 224), torch.zeros(1, 3, 32, 32)):
        try:
            measured_kept(net, wrong)
        except SettingError:
            assert wrong.shape[-1] == 32
        else:
            assert wrong.shape[-1] == 224
        assert not any(step._forward_pre_hooks for step in net.children())
