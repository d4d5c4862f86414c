"""The table of layers: the paper's numbers exactly, and agreement with the network that it describes."""

from dataclasses import replace

import pytest
import torch
from reference_alexnet import CLASSES, images, shapes_only, small
from torch import nn

from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import VARIANTS, AlexNetConfig, ablations
from alexnet_lib.network.dropout import Dropout
from alexnet_lib.network.geometry import ReceptiveField
from alexnet_lib.network.nonlinearities import Activation

pytestmark = pytest.mark.usefixtures("one_thread")

# Layer by layer: outputs, multiply-adds, weights, biases, as the two columns of the paper have them.
PAPERS_ROWS = {
    "conv1": (290_400, 105_415_200, 34_848, 96),
    "conv2": (186_624, 223_948_800, 307_200, 256),
    "conv3": (64_896, 149_520_384, 884_736, 384),
    "conv4": (64_896, 112_140_288, 663_552, 384),
    "conv5": (43_264, 74_760_192, 442_368, 256),
    "fc6": (4_096, 37_748_736, 37_748_736, 4_096),
    "fc7": (4_096, 16_777_216, 16_777_216, 4_096),
    "fc8": (1_000, 4_096_000, 4_096_000, 1_000),
}
# Layers without a row: they change no shape and hold nothing.
SILENT = (nn.ZeroPad2d, nn.Flatten, Activation, Dropout)
ALL = {name: make() for name, make in VARIANTS.items()}
ALL |= {"tanh_bn": replace(AlexNetConfig.paper(), activation="tanh_bn")}
ALL |= {f"paper {name}": config for name, config in ablations().items()}
ALL |= {f"2012 {name}": config for name, config in ablations(AlexNetConfig.code2012()).items()}


@pytest.fixture(scope="module")
def paper():
    return shapes_only(AlexNetConfig.paper()).describe()


def test_the_papers_layers_one_by_one(paper):
    got = {row.name: (row.outputs, row.multiply_adds, row.weights, row.biases) for row in paper.layers}
    assert got == PAPERS_ROWS
    assert [row.name for row in paper.layers] == list(PAPERS_ROWS)


def test_the_papers_sums(paper):
    assert paper.learned == 60_965_224
    assert sum(row.weights for row in paper.rows) == 60_954_656
    assert sum(row.biases for row in paper.rows) == 10_568
    assert paper.neurons == 659_272
    assert paper.multiply_adds == 724_406_816


def test_the_papers_maps_are_55_27_13_and_6_wide(paper):
    shapes = {row.name: row.shape for row in paper.rows}
    assert shapes == {
        "conv1": (96, 55, 55),
        "norm1": (96, 55, 55),
        "pool1": (96, 27, 27),
        "conv2": (256, 27, 27),
        "norm2": (256, 27, 27),
        "pool2": (256, 13, 13),
        "conv3": (384, 13, 13),
        "conv4": (384, 13, 13),
        "conv5": (256, 13, 13),
        "pool5": (256, 6, 6),
        "fc6": (4096,),
        "fc7": (4096,),
        "fc8": (1000,),
    }


@pytest.mark.parametrize(
    "config, learned, multiply_adds",
    [
        (ALL["paper one_column"], 62_378_344, 1_135_256_096),
        (ALL["one_gpu_half"], 59_798_312, 391_514_384),
        (ALL["paper one_gpu_half"], 59_798_312, 391_514_384),
        (ALL["code2012"], 60_965_224, 724_406_816),
        (ALL["caffe"], 60_965_224, 724_406_816),
        # By hand: 256 more kernels of 3 x 3 over half of 256 maps, at 6 x 6 places.
        (ALL["sixth_conv"], 60_965_224 + 256 * 128 * 9 + 256, 724_406_816 + 256 * 128 * 9 * 36),
        # torchvision's documentation names 61,100,840 parameters and 0.71 GFLOPS, in which it counts multiply-adds.
        (ALL["torchvision"], 61_100_840, 714_188_480),
        (ALL["paper batch_norm"], 60_965_224 + 2 * (96 + 256), 724_406_816),
        # Without conv3, conv4 sees all 256 maps of pool2 in its place.
        (ALL["paper no_conv3"], 60_965_224 - 885_120 + 384 * 9 * 64, 724_406_816 - 149_520_384 + 384 * 9 * 64 * 169),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_weights_and_work_of_the_others(config, learned, multiply_adds):
    described = shapes_only(config).describe()
    assert (described.learned, described.multiply_adds) == (learned, multiply_adds)


@pytest.mark.parametrize("name", ALL)
def test_rows_are_what_the_network_has_and_does(name):
    """At the variant's own size: shapes put out, tensors held, and the work, counted as the layers run."""
    net = shapes_only(ALL[name]).eval()
    described = net.describe()
    shapes, work = {}, {}

    def look(layer_name):
        def hook(module, inputs, output):
            shapes[layer_name] = tuple(output.shape[1:])
            weight = getattr(module, "weight", None)
            if weight is not None and weight.ndim > 1:
                places = output[0, 0].numel() if output.ndim == 4 else 1
                work[layer_name] = weight.numel() * places

        return hook

    for layer_name, layer in net.named_children():
        layer.register_forward_hook(look(layer_name))
    side = net.config.input_size
    net(torch.empty(1, 3, side, side, device="meta"))
    for row in described.rows:
        layer = net.get_submodule(row.name)
        tensors = dict(getattr(layer, "norm", layer).named_parameters())  # a nonlinearity may hold a batch norm
        held = tuple(tensors[key].numel() if key in tensors else 0 for key in ("weight", "bias"))
        assert row.shape == shapes[row.name], row.name
        assert (row.weights, row.biases) == held, row.name
        assert row.multiply_adds == work.get(row.name, 0), row.name
    assert described.learned == sum(p.numel() for p in net.parameters())
    silent = {n for n, layer in net.named_children() if isinstance(layer, SILENT) and not list(layer.parameters())}
    assert [row.name for row in described.rows] == [name for name in shapes if name not in silent]


@pytest.mark.parametrize("name", ["paper", "code2012", "torchvision", "sixth_conv", "paper no_conv2", "paper pool_2_2"])
def test_receptive_fields_are_what_a_gradient_reaches(name):
    """Of a unit amid each map, as far as its field lies within the image; averages pool, so no pixel is passed by."""
    config = replace(ALL[name], widths=(10, 10, 4, 4, 4), hidden=(8, 8), pooling_kind="average")
    net = AlexNet(config, CLASSES, seed=0).eval()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 1 / parameter[0].numel())
    rows = {row.name: row for row in net.describe().rows if row.field}
    x = images(config, count=1, dtype=torch.float32).abs_().requires_grad_()
    out, seen = x, 0
    for layer_name, layer in net.named_children():
        if layer_name == "flatten":
            break
        out = layer(out)
        if row := rows.get(layer_name):
            unit = out.shape[-1] // 2
            (gradient,) = torch.autograd.grad(out[0, :, unit, unit].sum(), x, retain_graph=True)
            start = row.field.start + unit * row.field.jump
            wanted = range(max(0, start), min(config.input_size, start + row.field.size))
            for dimension in (1, 2):
                reached = gradient[0].abs().sum((0, dimension)).nonzero().flatten()
                assert reached.tolist() == list(wanted), layer_name
            seen += 1
    assert seen == len(rows)


def test_the_papers_receptive_fields(paper):
    sizes = {row.name: row.field.size for row in paper.rows if row.field}
    assert [sizes[name] for name in ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")] == [
        11,
        19,
        51,
        67,
        99,
        131,
        163,
        195,
    ]
    assert paper["pool5"].field == ReceptiveField(195, 32, -64)
    assert shapes_only(AlexNetConfig.torchvision()).describe()["conv1"].field == ReceptiveField(11, 4, -2)


def test_where_layers_live_and_meet(paper):
    assert {row.name: paper.gpus(row) for row in paper.rows if row.name != "fc8"}.keys() == {
        row.name for row in paper.rows if paper.gpus(row) == "0, 1"
    }
    assert paper.gpus(paper["fc8"]) == "0"
    assert {row.name for row in paper.rows if row.exchanges} == {"conv3", "fc6", "fc7", "fc8"}
    one = shapes_only(AlexNetConfig.one_gpu_half()).describe()
    assert {one.gpus(row) for row in one.rows} == {"0"}


def test_the_printed_table(paper):
    lines = str(paper).splitlines()
    assert lines[0] == "paper: 60,965,224 weights and biases, 1,000 classes"
    assert lines[1].split() == "layer kind output weights biases multiply-adds sees GPU from both".split()
    conv3 = next(line for line in lines if line.startswith("conv3"))
    assert conv3.split("  ")[-1] == "yes"
    assert "384 x 13 x 13" in conv3 and "884,736" in conv3 and "149,520,384" in conv3 and "99 px" in conv3
    assert "659,272 neurons" in lines[-1] and "60,954,656" in lines[-1] and "10,568" in lines[-1]
    assert len(lines) == 2 + len(paper.rows) + 1
    header, rows = paper.table()
    assert {len(row) for row in rows} == {len(header)}


def test_rows_by_name_and_other_numbers_of_classes(paper):
    assert paper["conv2"].shape == (256, 27, 27)
    with pytest.raises(KeyError, match="conv9"):
        paper["conv9"]
    ten = shapes_only(AlexNetConfig.paper(), 10).describe()
    assert ten["fc8"].shape == (10,) and ten.learned == 60_965_224 - 990 * 4097


def test_a_column_describes_the_whole_network():
    whole = AlexNet(small(), CLASSES, seed=0).describe()
    assert AlexNet(small(), CLASSES, part=(1, 2)).describe() == whole
