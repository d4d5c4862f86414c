"""`inspect` as a reader uses it: kernels listed and drawn, answers and what they rest on, and what it refuses."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image
from torch import nn
from training_cases import photograph

from alexnet_lib.__main__ import main
from alexnet_lib.commands import inspect_net
from alexnet_lib.commands.inspect_net import fields_of, inspect_image, inspect_kernels, names_for, planned, words_of
from alexnet_lib.errors import SettingError
from alexnet_lib.measures import kernels
from alexnet_lib.measures.evidence import activation_maps
from alexnet_lib.measures.kernels import KINDS, kernel_table, specialisation
from alexnet_lib.measures.photo_index import decoded
from alexnet_lib.measures.trained import FeatureNet
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.training.evaluation import probabilities

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the minute of kernels."""
    monkeypatch.setattr(inspect_net, "inspect_kernels", lambda net, out: None)


def test_the_command_lists_kernels_and_says_what_it_sees(
    trained: Path, net: FeatureNet, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    image, bad, out = photograph(tmp_path / "mine.png", 0), tmp_path / "bad.png", tmp_path / "new" / "out"
    bad.write_bytes(b"nothing")
    assert main(["inspect", str(trained), str(image), str(bad), "--out", str(out), "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert f"cannot look at {bad}: no image of a kind that is read" in said.err
    assert sorted(path.name for path in out.iterdir()) == ["kernels.csv", "kernels.png", "mine.png"]
    for name in ("kernels.png", "mine.png"):
        with Image.open(out / name) as drawn:
            assert drawn.convert("L").getextrema()[0] < 100, f"{name} is not blank"

    table = kernel_table(net.net.conv1.weight.detach())
    with open(out / "kernels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == table["kind"] and {float(row["line"]) for row in rows} == {table["line"]}
    assert [[float(row[name]) for name in ("red", "green", "blue")] for row in rows] == table["colour"]
    for name in set(table) - {"line", "kind", "colour"}:
        assert [float(row[name]) for row in rows] == table[name], name
    assert [(row["kernel"], row["column"]) for row in rows] == [(str(n), "12"[n // 5]) for n in range(10)]

    counts = ", ".join(f"{table['kind'].count(kind)} {kind}" for kind in KINDS)
    assert f"  {counts}\n" in said.out
    shares, p = table["colour_share"], specialisation([table["colour_share"]]).p
    assert f"first column {20 * sum(shares[:5]):.1f}%, second {20 * sum(shares[5:]):.1f}%" in said.out
    assert f"p = {p:.2g} (of this one network)" in said.out
    lines = said.out.splitlines()
    found = lines[lines.index(str(image)) + 1 :][:5]
    pixels = decoded(image, net.side)[0][None]
    shares, labels = probabilities([net.net], [net.scale], pixels, net.net.config.input_size)[0].topk(5)
    assert [line.split() for line in found] == [
        [str(rank), f"{100 * share:.1f}%", net.classes[label]]
        for rank, (label, share) in enumerate(zip(labels.tolist(), shares.tolist(), strict=True), 1)
    ]


def one_column(count: int = 6, size: int = 11, classes: int = 3) -> FeatureNet:
    """An untrained network of one column, whose first kernels are of any number and size."""
    net = AlexNet(AlexNetConfig(widths=(count, 8, 8, 8, 8), hidden=(8, 8), columns=1, input_size=96), classes, seed=0)
    net.conv1 = nn.Conv2d(3, count, size, 4) if size != 11 else net.conv1
    return FeatureNet(net.eval(), lambda images: images.float() / 64 - 2, 100, "", "small", ("a", "b", "c")[:classes])


@pytest.mark.parametrize("size", [5, 11])
def test_kernels_of_one_column_and_another_size(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(kernels, "noise_line", lambda height, width: 0.1)
    inspect_kernels(one_column(6, size), tmp_path)
    said = capsys.readouterr().out
    assert f"6 kernels of {size} x {size} pixels" in said and "first column" not in said
    rows = list(csv.DictReader((tmp_path / "kernels.csv").read_text().splitlines()))
    assert [row["column"] for row in rows] == ["1"] * 6
    with Image.open(tmp_path / "kernels.png") as drawn:
        assert drawn.width > 500


@pytest.mark.parametrize("classes", [2, 3])
def test_fewer_than_five_classes_are_all_shown(classes: int, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    net, before = one_column(classes=classes), plt.get_fignums()
    image = torch.randint(256, (3, 100, 100), dtype=torch.uint8)
    inspect_image(net, net.classes, image, planned(net.net, "act5", 48), "title", tmp_path / "drawn.png")
    said = re.findall(r"^  \d +([\d.]+)%  ([abc])$", capsys.readouterr().out, flags=re.MULTILINE)
    assert sorted(name for _, name in said) == ["a", "b", "c"][:classes]
    assert sum(float(share) for share, _ in said) == pytest.approx(100, abs=0.2)
    assert (tmp_path / "drawn.png").is_file() and plt.get_fignums() == before


@torch.no_grad()
def test_what_is_drawn_is_the_view_and_maps_of_the_likeliest_label(
    net: FeatureNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    drawn = inspect_net.draw_answer

    def kept(image, labels, shares, maps, extents, title, limits):  # noqa: ANN001, ANN202
        seen.update(image=image, labels=labels, shares=shares, maps=list(maps.values()), extents=list(extents.values()))
        assert limits == {list(maps)[1]: (0, 1)}, "as much colour means as much in every picture"
        return drawn(image, labels, shares, maps, extents, title, limits)

    monkeypatch.setattr(inspect_net, "draw_answer", kept)
    image, _ = decoded(photograph(tmp_path / "a.png", 3), net.side)
    inspect_image(net, net.classes, image, planned(net.net, "conv2", 16), "a", tmp_path / "drawn.png")
    edge = (net.side - 64) // 2
    view = image[:, edge : edge + 64, edge : edge + 64]
    assert torch.equal(seen["image"], view)
    shares = net.net(net.scale(view[None])).softmax(1)[0]
    first = int(shares.argmax())
    assert seen["labels"][0] == net.classes[first]
    hidden = net.scale(view[None]).clone()
    hidden[..., 8:24, 4:20] = 0  # the square's third place down and second across, 4 pixels apart
    lost = shares[first] - net.net(hidden).softmax(1)[0, first]
    assert float(seen["maps"][0][2, 1]) == pytest.approx(100 * float(lost), abs=1e-3)
    assert seen["extents"][0] == (6, 58, 58, 6), "13 places of 16 pixels, drawn as squares of 4 in their middle"
    assert seen["maps"][1].shape == activation_maps(net.net, net.scale(view[None]), "conv2").shape[2:]


def test_a_label_for_which_nothing_speaks_is_drawn_and_said_so(
    net: FeatureNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []
    drawn = inspect_net.draw_answer
    monkeypatch.setattr(inspect_net, "draw_answer", lambda *given: titles.extend(given[3]) or drawn(*given))
    monkeypatch.setattr(inspect_net, "evidence_map", lambda *given: torch.zeros(3, 3))
    image, _ = decoded(photograph(tmp_path / "a.png", 3), net.side)
    inspect_image(net, net.classes, image, planned(net.net, "act5", 32), "a", tmp_path / "drawn.png")
    assert titles[1] == "evidence for it in act5\n(Grad-CAM; nothing speaks for it)"


def test_layers_and_squares(net: FeatureNet) -> None:
    fields = fields_of(net.net)
    assert list(fields)[0] == "conv1" and list(fields)[-1] == "pool5" and fields["act5"] == fields["conv5"]
    assert not {"fc6", "flatten", "drop6"} & set(fields)
    assert (planned(net.net, "act5", None).size, planned(net.net, "act5", None).stride) == (16, 4)
    for size in (1, 2, 3, 5, 30, 63, 64):
        found = planned(net.net, "act5", size)
        assert found.size == size and 1 <= found.stride <= size, "no pixel between two places of the square"


def test_no_picture_replaces_another_or_a_photograph(tmp_path: Path) -> None:
    images = ["a/fish.jpg", "b/fish.png", "c/Fish.png", "fish-2.jpg", "kernels.jpg", "out/mine.png"]
    paths = [photograph(tmp_path / name, number) for number, name in enumerate(images)]
    names = names_for(paths, tmp_path / "out")
    assert names == ["fish.png", "fish-2.png", "Fish-3.png", "fish-2-2.png", "kernels-2.png", "mine-2.png"]


def test_no_file_of_somebody_elses_is_replaced(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "out"
    photograph(out / "fish.png", 1)
    assert names_for([tmp_path / "fish.jpg"], out) == ["fish-2.png"]
    for name in ("kernels.csv", "kernels.png"):
        (out / name).write_text("mine")
        assert main(["inspect", str(trained), "--out", str(out)]) == 2
        assert f"{out / name} is there and not made by this command" in capsys.readouterr().err
        assert (out / name).read_text() == "mine"
        (out / name).unlink()


@pytest.mark.usefixtures("quick")
def test_photographs_of_one_name_are_both_drawn(trained: Path, tmp_path: Path) -> None:
    images = [str(photograph(tmp_path / name / "fish.png", number)) for number, name in enumerate("ab")]
    out = tmp_path / "out"
    assert main(["inspect", str(trained), *images, "--out", str(out), "--occlude", "32"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["fish-2.png", "fish.png"]
    assert (out / "fish.png").read_bytes() != (out / "fish-2.png").read_bytes()


def test_classes_are_called_by_wordnets_words_where_they_are_nouns() -> None:
    assert words_of(["n01443537", "n00000000", "cats"]) == ["goldfish, Carassius auratus", "n00000000", "cats"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--layer", "fc6"], "--layer fc6: this network has maps in conv1, act1,"),
        (["--occlude", "0"], "--occlude 0: the network sees 64 pixels a side; give 1 to 64"),
        (["--occlude", "65"], "--occlude 65: the network sees"),
        (["--device", "gpu"], "device 'gpu' is not known"),
        (["missing.png"], "no image to look at can be read; the last: missing.png: "),
    ],
)
def test_what_the_command_refuses_before_it_writes(
    trained: Path, tmp_path: Path, more: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["inspect", str(trained), *more, "--out", str(tmp_path / "out")]) == 2
    assert f"error: {said}" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_weights_that_cannot_be_used(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (trained / "other.safetensors").write_bytes(b"no weights")
    for weights, said in (
        ("nowhere", "nowhere: there is no such file or folder; give the folder of a run"),
        (str(tmp_path), "is not the folder of a run"),
        (str(trained / "other.safetensors"), "other.safetensors cannot be read ("),
    ):
        assert main(["inspect", weights, "--out", str(tmp_path / "out")]) == 2
        assert said in capsys.readouterr().err
    (trained / "other.safetensors").unlink()


@pytest.mark.usefixtures("quick")
def test_folders_that_cannot_be(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["inspect", str(trained), "--out", str(tmp_path / "file")]) == 2
    assert f"--out {tmp_path / 'file'} is a file: give a folder" in capsys.readouterr().err
    assert main(["inspect", str(trained), "--out", str(tmp_path / "file" / "in")]) == 2
    assert "cannot be made or written (" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_evidence_of_a_layer_that_is_not_there() -> None:
    net = one_column().net
    with pytest.raises(SettingError, match="--layer norm9: this network has maps in"):
        planned(net, "norm9", None)
    lean = AlexNet(replace(net.config, norm="none"), 3, seed=0)
    assert "norm1" in fields_of(net) and "norm1" not in fields_of(lean)
