"""The bytes that cross: counted as they do, by the library's arithmetic, and by arithmetic done by hand."""

from dataclasses import replace

import pytest
import torch
from reference_alexnet import CLASSES, SMALL, images, shapes_only, small

from alexnet_lib.errors import SettingError
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig, ablations
from alexnet_lib.network.traffic import BACKWARD, FORWARD, Traffic, expected_traffic
from alexnet_lib.network.two_gpu import TwoGPUAlexNet

pytestmark = pytest.mark.usefixtures("one_thread")

# One float32 image through the paper's net: what each GPU needs of the other's half, layer by layer.
CONV3, FC6, FC7, FC8 = 128 * 13 * 13 * 4, 128 * 6 * 6 * 4, 2048 * 4, 2048 * 4


def both_ways(layer, count, passes=(FORWARD, BACKWARD)):
    return {(layer, which, way): count for which in passes for way in ("0 to 1", "1 to 0")}


PAPERS = {
    **both_ways("conv3", CONV3),
    **both_ways("fc6", FC6),
    **both_ways("fc7", FC7),
    ("fc8", FORWARD, "1 to 0"): FC8,
    ("fc8", BACKWARD, "0 to 1"): FC8,
}


def on_no_device(config, classes=1000):
    """The split network at full size without numbers: what crosses is counted all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AlexNet, "initialize", lambda self, seed: None)
        return TwoGPUAlexNet(config, ("meta", "meta"), classes)


def test_the_papers_bytes_an_image_by_hand():
    assert (CONV3, FC6, FC7, FC8) == (86_528, 18_432, 8_192, 8_192)
    expected = expected_traffic(shapes_only(AlexNetConfig.paper()).describe(), 1)
    assert expected.bytes == PAPERS
    assert expected.total == 2 * (2 * (86_528 + 18_432 + 8_192) + 8_192) == 468_992


def test_more_than_two_columns_are_refused():
    four = replace(AlexNetConfig.paper(), columns=4)
    with pytest.raises(SettingError, match="columns=4"):
        expected_traffic(shapes_only(four).describe(), 1)


def test_the_papers_net_at_full_size_counts_the_same():
    split = on_no_device(AlexNetConfig.paper())
    out = split(torch.empty(3, 3, 224, 224, device="meta"))
    assert split.traffic.bytes == {key: 3 * count for key, count in PAPERS.items() if key[1] == FORWARD}
    out.sum().backward()
    assert split.traffic.bytes == {key: 3 * count for key, count in PAPERS.items()}


@pytest.mark.parametrize(
    "config, by_hand",
    [
        (
            # conv3 is not there: conv4 asks for the same maps.
            replace(ablations()["no_conv3"], **SMALL),
            {"conv4": 16 * 5 * 5, "fc6": 16 * 2 * 2, "fc7": 20, "fc8": 12},
        ),
        (replace(ablations()["never_exchange"], **SMALL), {"fc8": 12}),
        (
            replace(ablations()["always_exchange"], **SMALL),
            {
                "conv2": 8 * 11 * 11,
                "conv3": 16 * 5 * 5,
                "conv4": 12 * 5 * 5,
                "conv5": 12 * 5 * 5,
                "fc6": 16 * 2 * 2,
                "fc7": 20,
                "fc8": 12,
            },
        ),
        (
            replace(ablations()["exchange_at_conv2"], **SMALL),
            {"conv2": 8 * 11 * 11, "conv3": 16 * 5 * 5, "fc6": 16 * 2 * 2, "fc7": 20, "fc8": 12},
        ),
        (small("code2012"), {"conv3": 16 * 5 * 5, "fc6": 16 * 2 * 2, "fc7": 20, "fc8": 12}),
        (small("sixth_conv"), {"conv3": 16 * 5 * 5, "fc6": 8 * 2 * 2, "fc7": 20, "fc8": 12}),
        (small("sixth_conv", exchange=("conv6", "fc8")), {"conv6": 16 * 2 * 2, "fc8": 12}),
        (replace(ablations()["batch_norm"], **SMALL), {"conv3": 16 * 5 * 5, "fc6": 16 * 2 * 2, "fc7": 20, "fc8": 12}),
        (small(dropout_first=True), {"conv3": 16 * 5 * 5, "fc6": 16 * 2 * 2, "fc7": 20, "fc8": 12}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_counted_is_expected_is_by_hand(config, by_hand):
    split = TwoGPUAlexNet(config, num_classes=CLASSES, seed=0)
    split(images(config, 2, dtype=torch.float32)).sum().backward()
    wanted = {}
    for layer, numbers in by_hand.items():
        wanted |= both_ways(layer, numbers * 2 * 4)
    del wanted["fc8", FORWARD, "0 to 1"], wanted["fc8", BACKWARD, "1 to 0"]
    assert split.traffic.bytes == wanted
    assert expected_traffic(split.describe(), 2).bytes == wanted


@pytest.fixture
def split():
    return TwoGPUAlexNet(small(), num_classes=CLASSES, seed=0)


def test_without_gradients_only_the_forward_pass_counts(split):
    with torch.no_grad():
        split(images(split.config, dtype=torch.float32))
    assert {which for _, which, _ in split.traffic.bytes} == {FORWARD}
    assert split.traffic.bytes == expected_traffic(split.describe(), 2, training=False).bytes


def test_double_and_half_precision_count_their_own_bytes(split):
    half = TwoGPUAlexNet(small(), num_classes=CLASSES, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        half(images(split.config, dtype=torch.float32)).float().sum().backward()
    split.double()(images(split.config)).sum().backward()
    assert split.traffic.bytes == expected_traffic(split.describe(), 2, bytes_each=8).bytes
    assert half.traffic.bytes["fc8", FORWARD, "1 to 0"] == 2 * 12 * 2
    assert half.traffic.bytes["fc8", BACKWARD, "0 to 1"] == 2 * 12 * 2


def test_counts_add_up_until_they_are_cleared(split):
    x = images(split.config, dtype=torch.float32)
    for _ in range(3):
        split(x).sum().backward()
    assert split.traffic.bytes == expected_traffic(split.describe(), 6).bytes
    split.traffic.clear()
    assert split.traffic.total == 0
    split(x[:1]).sum().backward()
    assert split.traffic.bytes == expected_traffic(split.describe(), 1).bytes


def test_features_count_no_fc8_and_no_joining(split):
    with torch.no_grad():
        split.features(images(split.config, dtype=torch.float32))
    assert {layer for layer, _, _ in split.traffic.bytes} == {"conv3", "fc6", "fc7"}


def test_frozen_layers_send_no_gradient_back(split):
    """With the convolutions frozen, nothing below fc6 needs a gradient, and none crosses."""
    for name, parameter in split.named_parameters():
        parameter.requires_grad = "fc" in name
    split(images(split.config, dtype=torch.float32)).sum().backward()
    assert {layer for layer, which, _ in split.traffic.bytes if which == BACKWARD} == {"fc7", "fc8"}


def test_one_column_has_nothing_to_send():
    assert expected_traffic(shapes_only(AlexNetConfig.one_gpu_half()).describe(), 128).bytes == {}


def test_sums_rows_and_joining():
    one, two = Traffic(), Traffic()
    one.add("fc6", FORWARD, 0, torch.zeros(2, 3))
    one.add("fc6", FORWARD, 0, torch.zeros(2, 3, dtype=torch.float64))
    one.add("conv3", BACKWARD, 1, torch.zeros(5))
    two.add("conv3", FORWARD, 1, torch.zeros(1))
    two.add("fc6", FORWARD, 0, torch.zeros(1))
    assert one.bytes == {("fc6", FORWARD, "0 to 1"): 24 + 48, ("conv3", BACKWARD, "1 to 0"): 20}
    assert one.total == 92
    joined = one.joined(two)
    assert joined.total == one.total + two.total == 100
    assert joined.rows() == [
        ("conv3", FORWARD, "1 to 0", 4),
        ("fc6", FORWARD, "0 to 1", 76),
        ("conv3", BACKWARD, "1 to 0", 20),
    ]
    assert one.total == 92 and two.total == 8
