"""`search` as a reader uses it: an index made and brought up to date, broken photographs, other weights, the sheet."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import edited
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from training_cases import photograph, words

from alexnet_lib.__main__ import main
from alexnet_lib.commands import inspect_net, search
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import DataError, SettingError
from alexnet_lib.measures import photo_index
from alexnet_lib.measures.photo_index import CONTENT, STORE, PhotoIndex
from alexnet_lib.measures.retrieval import features_of
from alexnet_lib.measures.trained import FeatureNet, load_feature_net
from alexnet_lib.training import run_folder

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six photographs in two folders, and two files that are none."""
    root = tmp_path / "photos"
    for number in range(6):
        photograph(root / f"{'ab'[number % 2]}" / f"{number}.png", number)
    (root / "cut.jpg").write_bytes(b"\xff\xd8 no more")
    (root / "notes.txt").write_text("not an image")
    return root


EDITS = {
    "weights": {"weights": "x"},
    "photos": {"photos": [{}]},
    "files": {"files": 3},
    "name": {"features": "../x.npy"},
}


def index_of(folder: Path, net: FeatureNet, **options) -> tuple[PhotoIndex, int]:  # noqa: ANN003
    """The index, and how many photographs had to be read for it."""
    read = [0]
    index = PhotoIndex.brought_up_to_date(folder, net, report=lambda done, of: read.__setitem__(0, done), **options)
    return index, read[0]


def test_an_index_has_each_photographs_features_and_names_the_broken(folder: Path, net: FeatureNet) -> None:
    index, read = index_of(folder, net)
    assert read == 7 and [photo.path for photo in index.photos] == [
        "a/0.png",
        "a/2.png",
        "a/4.png",
        "b/1.png",
        "b/3.png",
        "b/5.png",
    ]
    assert [(photo.path, bool(photo.broken)) for photo in index.broken] == [("cut.jpg", True)]
    image, _ = photo_index.decoded(folder / "b" / "3.png", net.side)
    expected = features_of(net.net, net.scale, image[None]).numpy()[0]
    assert index.features[4] == pytest.approx(expected, abs=1e-5) and expected.std() > 0


def test_only_what_has_changed_is_read_again(folder: Path, net: FeatureNet) -> None:
    before, _ = index_of(folder, net)
    assert index_of(folder, net)[1] == 0
    photograph(folder / "a" / "2.png", 77)
    os.utime(folder / "a" / "2.png", ns=(1, 1))
    photograph(folder / "a" / "new.png", 9)
    (folder / "b" / "1.png").unlink()
    after, read = index_of(folder, net)
    assert read == 2 and [photo.path for photo in after.photos] == [
        "a/0.png",
        "a/2.png",
        "a/4.png",
        "a/new.png",
        "b/3.png",
        "b/5.png",
    ]
    assert np.array_equal(after.features[[0, 2, 4, 5]], before.features[[0, 2, 4, 5]])
    assert not np.array_equal(after.features[1], before.features[1])
    (folder / "b" / "3.png").unlink()
    fewer, read = index_of(folder, net)
    assert read == 0 and len(fewer.photos) == 5 == len(index_of(folder, net)[0].features)
    assert len(list((folder / STORE).glob("features-*.npy"))) == 1


def test_an_index_that_is_stopped_keeps_what_it_has(
    folder: Path, net: FeatureNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_index, "WRITTEN_EVERY", 3)

    def stop(done: int, of: int) -> None:
        if done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PhotoIndex.brought_up_to_date(folder, net, report=stop)
    index, read = index_of(folder, net)
    assert read == 4 and len(index.photos) == 6


def test_an_index_of_other_weights_is_refused(folder: Path, net: FeatureNet, prepared: Path, tmp_path: Path) -> None:
    index_of(folder, net)
    other = tmp_path / "other"
    assert main(words(prepared, other, "--passes", "1", "--seed", "5")) == 0
    second = load_feature_net(str(other), CPU)
    assert second.digest != net.digest == load_feature_net(net.name, CPU).digest
    with pytest.raises(SettingError, match="made with other weights .*--rebuild"):
        index_of(folder, second)
    elsewhere, read = index_of(folder, second, store=tmp_path / "store")
    assert read == 7 and (tmp_path / "store" / CONTENT).is_file()
    assert index_of(folder, second, rebuild=True)[1] == 7 and index_of(folder, second)[1] == 0


@pytest.mark.parametrize(
    "damage", ["content", "features", "rows", "nan", "width", "weights", "photos", "files", "name"]
)
def test_a_damaged_index_says_so(folder: Path, net: FeatureNet, damage: str) -> None:
    index_of(folder, net)
    store = folder / STORE
    if damage == "content":
        (store / CONTENT).write_text("{")
    elif damage in EDITS:
        content = json.loads((store / CONTENT).read_text())
        (store / CONTENT).write_text(json.dumps(content | EDITS[damage]))
        if damage == "files":  # nothing is lost with it: only what was left to clear away is not known
            assert index_of(folder, net)[1] == 0
            return
    else:
        (file,) = store.glob("features-*.npy")
        rows = np.load(file)
        spoiled = {"rows": rows[:2], "nan": np.where(rows == rows[0], np.nan, rows), "width": rows[:, :3]}
        file.unlink() if damage == "features" else np.save(file, spoiled[damage])
    with pytest.raises(DataError, match="damaged .*--rebuild"):
        index_of(folder, net)
    assert index_of(folder, net, rebuild=True)[1] == 7


def test_folders_without_photographs(net: FeatureNet, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        index_of(tmp_path / "none", net)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        index_of(tmp_path / "empty", net)
    (tmp_path / "empty" / "broken.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the 1 images .* broken.png: empty file"):
        index_of(tmp_path / "empty", net)


def test_codes_are_learned_once_and_again_when_the_folder_changes(folder: Path, net: FeatureNet) -> None:
    for number in range(60):
        photograph(folder / "many" / f"{number}.png", 100 + number)
    told = []
    index, _ = index_of(folder, net)
    coded = index.coded(16, report=lambda number, loss: told.append(number))
    assert len(told) == photo_index.PASSES and coded.codes.shape == (66, 2)
    found = coded.search(index.features[:3], 4)
    assert (found.distances[:, 0] == 0).all() and found.numbers.shape == (3, 4)
    again = index_of(folder, net)[0].coded(16, report=lambda number, loss: told.append(number))
    assert len(told) == photo_index.PASSES and np.array_equal(again.codes, coded.codes)
    (file,) = (folder / STORE).glob("codes-16-*.pt")
    whole = file.read_bytes()
    for content in (whole[:999], b"no codes", pickle.dumps([1]), b""):
        told.clear()
        file.write_bytes(content)
        again = index_of(folder, net)[0].coded(16, report=lambda number, loss: told.append(number))
        assert len(told) == photo_index.PASSES and np.array_equal(again.codes, coded.codes)
    (folder / "many" / "0.png").unlink()
    index_of(folder, net)[0].coded(16, report=lambda number, loss: told.append(number))
    assert len(told) == 2 * photo_index.PASSES and len(list((folder / STORE).glob("codes-16-*.pt"))) == 1


def searched(net: FeatureNet, folder: Path, tmp_path: Path, *more: str) -> list[str]:
    return ["search", *more, "--index", str(folder), "--weights", net.name, "--out", str(tmp_path / "sheet.png")]


def test_the_command_finds_a_copy_first_and_never_the_query_itself(
    folder: Path, net: FeatureNet, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes((folder / "b" / "3.png").read_bytes())
    (tmp_path / "bad.png").write_bytes(b"nothing")
    images = [str(copy), str(folder / "a" / "0.png"), str(tmp_path / "bad.png")]
    assert main(searched(net, folder, tmp_path, *images, "--k", "3")) == 0
    said = capsys.readouterr()
    assert "6 photographs" in said.out and "left out: cut.jpg: " in said.out
    assert f"cannot look for {tmp_path / 'bad.png'}: no image of a kind that is read" in said.err
    lines = said.out.splitlines()
    first = lines.index(str(copy))
    rank, far, path = lines[first + 1].split()
    assert (rank, path) == ("1", "b/3.png") and float(far) == pytest.approx(0, abs=1e-3)
    inside = lines[lines.index(images[1]) + 1 :][:3]
    assert len(inside) == 3 and not any("a/0.png" in line for line in inside)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1.5 * sheet.height, "a row a query: the query and its three neighbours"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--k", "0"], "--k 0: give a whole number"),
        (["--codes", "20"], "--codes 20: give a multiple of 8"),
        (["--codes", "64"], "6 photographs are too few to learn codes"),
        (["--weights", "nowhere"], "nowhere: there is no such file or folder"),
        (["--out", "/proc/sheet.png"], "/proc/sheet.png cannot be written"),
    ],
)
def test_what_the_command_refuses(
    folder: Path, net: FeatureNet, tmp_path: Path, more: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    query = str(folder / "a" / "0.png")
    assert main([*searched(net, folder, tmp_path, query), *more]) != 0
    assert said in capsys.readouterr().err


def test_no_query_that_can_be_read(
    folder: Path, net: FeatureNet, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(searched(net, folder, tmp_path, str(tmp_path / "nothing.png"))) != 0
    assert "no image to look for can be read" in capsys.readouterr().err


def test_a_run_keeps_its_scale_and_its_classes(trained: Path, prepared: Path, tmp_path: Path) -> None:
    kept, images = run_folder.read_scale(trained), PreparedImages(prepared, "train")
    assert load_feature_net(str(trained), CPU).classes == tuple(images.classes)
    some = images.images([0, 3])
    assert torch.equal(kept(some), images.pixel_scale("0-255")(some))
    with pytest.raises(DataError, match="does not keep the mean image"):
        run_folder.read_scale(tmp_path)
    (tmp_path / run_folder.SCALE_FILE).write_bytes(b"no")
    with pytest.raises(DataError, match="cannot be read"):
        run_folder.read_scale(tmp_path)


def test_published_weights_are_seen_with_torchvisions_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.alexnet(weights=None).eval()
    published = torchvision.models.AlexNet_Weights.IMAGENET1K_V1
    monkeypatch.setattr(type(published), "get_state_dict", lambda *given, **options: theirs.state_dict())
    net = load_feature_net("torchvision", CPU)
    assert len(net.classes) == 1000 and net.classes[1] == "goldfish"
    images = torch.randint(256, (1, 3, 256, 256), dtype=torch.uint8)
    seen = published.transforms(antialias=True)(images)
    with torch.no_grad():
        hidden = theirs.classifier[:6](theirs.avgpool(theirs.features(seen)).flatten(1))
    assert torch.allclose(features_of(net.net, net.scale, images), hidden, atol=1e-4)


def test_published_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision = pytest.importorskip("torchvision")

    def unreachable(*given, **options):  # noqa: ANN002, ANN003, ANN202
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.models.AlexNet_Weights, "get_state_dict", unreachable)
    with pytest.raises(DataError, match="cannot be had .no route to host.: put the file"):
        load_feature_net("torchvision", CPU)


@pytest.mark.parametrize("out", ["query", "photograph", "link", "pipe", "list"])
def test_the_sheet_takes_the_place_of_no_file_of_somebody_elses(
    folder: Path, net: FeatureNet, tmp_path: Path, out: str, capsys: pytest.CaptureFixture
) -> None:
    query = photograph(tmp_path / "query.png", 7)
    (tmp_path / "link.png").symlink_to(folder / "b" / "1.png")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "list.txt").write_text("eggs")
    places = {"query": query, "photograph": folder / "a" / "0.png", "list": tmp_path / "list.txt"}
    path = places.get(out) or next(tmp_path.glob(f"{out}*"))
    before = None if out == "pipe" else path.read_bytes()
    assert main([*searched(net, folder, tmp_path, str(query)), "--out", str(path)]) == 2
    assert f"{path} is there and not made by this command" in capsys.readouterr().err
    assert path.is_fifo() if out == "pipe" else path.read_bytes() == before


def test_a_sheet_is_drawn_again_and_is_no_photograph(
    folder: Path, net: FeatureNet, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    query = str(photograph(tmp_path / "query.png", 7))
    for _ in range(3):
        assert main([*searched(net, folder, tmp_path, query), "--out", str(folder / "sheet.png"), "--k", "50"]) == 0
        said = capsys.readouterr().out
        assert "6 photographs" in said
    assert "left out: sheet.png: drawn by this library, no photograph" in said


@pytest.mark.parametrize(
    "files", [{"notes.txt": "n"}, {"features-mine.npy": "n"}, {"index.json": '{"kind": "alexnet_lib prepared images"}'}]
)
@pytest.mark.parametrize("rebuild", [False, True])
def test_a_store_that_holds_other_things_is_refused_and_left_as_it_was(
    folder: Path, net: FeatureNet, tmp_path: Path, files: dict[str, str], rebuild: bool
) -> None:
    (tmp_path / "store").mkdir()
    for name, content in files.items():
        (tmp_path / "store" / name).write_text(content)
    with pytest.raises(DataError, match="which is of no index of photographs: give --store"):
        index_of(folder, net, store=tmp_path / "store", rebuild=rebuild)
    assert {path.name: path.read_text() for path in (tmp_path / "store").iterdir()} == files


def test_only_files_of_the_index_are_replaced(folder: Path, net: FeatureNet) -> None:
    index_of(folder, net)
    store = folder / STORE
    mine = [
        store / name for name in ("features-mine.npy", "features-0123456789abcdef.npy", "codes-16-0.pt", "notes.txt")
    ]
    for path in mine:
        path.write_text("mine")
    photograph(folder / "new.png", 9)
    index, read = index_of(folder, net)
    assert read == 1 and all(path.read_text() == "mine" for path in mine)
    assert set(store.iterdir()) - {*mine, store / CONTENT} == {store / index.files.content["features"]}


def test_an_index_of_an_earlier_version_is_made_anew(folder: Path, net: FeatureNet) -> None:
    index_of(folder, net)
    content = json.loads((folder / STORE / CONTENT).read_text())
    old = {key: content[key] for key in ("weights", "features", "photos")}
    (folder / STORE / CONTENT).write_text(json.dumps(old))
    assert index_of(folder, net)[1] == 7, "it read photographs otherwise"
    photograph(folder / "new.png", 9)
    assert index_of(folder, net)[1] == 1 and len(list((folder / STORE).glob("features-*.npy"))) == 1


def test_a_photograph_that_lies_on_its_side_is_turned_and_that_is_said(
    folder: Path, net: FeatureNet, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for place in (folder, tmp_path):
        with Image.open(folder / "b" / "3.png") as upright:
            upright.transpose(Image.Transpose.ROTATE_90).save(place / "turned.png", exif=exif)
    assert main(searched(net, folder, tmp_path, str(tmp_path / "turned.png"), "--k", "2")) == 0
    said = capsys.readouterr()
    assert "turned as its EXIF asks: 1 photographs" in said.out
    assert f"{tmp_path / 'turned.png'}: turned as its EXIF asks" in said.err
    nearest = [line.split() for line in said.out.splitlines() if line.startswith("    ")]
    assert {path for _, _, path in nearest} == {"b/3.png", "turned.png"}
    assert all(float(far) == pytest.approx(0, abs=1e-3) for _, far, _ in nearest)


def test_the_content_is_plain(folder: Path, net: FeatureNet) -> None:
    index_of(folder, net)
    content = json.loads((folder / STORE / CONTENT).read_text())
    assert content["weights"] == {"name": net.name, "digest": net.digest} and len(content["photos"]) == 7


def test_a_sheet_has_few_columns_and_the_list_all(
    folder: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(search, "MOST_NEIGHBOURS", 2)
    sheet = tmp_path / "sheet.png"
    command = ["search", str(folder / "a" / "0.png"), "--index", str(folder), "--weights", str(trained), "--k", "700"]
    assert main([*command, "--out", str(sheet), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert f"drawn in {sheet} (the first 2 neighbours of each)" in said and "    5  " in said
    with Image.open(sheet) as drawn:
        assert drawn.width < 3.2 * search.SHOWN_SIDE * 110


def test_codes_that_are_damaged_are_learned_anew(
    folder: Path, net: FeatureNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_index, "FEWEST", 2)
    index, _ = index_of(folder, net)
    index.coded(8)
    (file,) = (folder / STORE).glob("codes-8-*.pt")
    state = torch.load(file, weights_only=True)
    for damaged in (b"", b"else", None):
        if damaged is None:
            torch.save({name: torch.full_like(value, torch.nan) for name, value in state.items()}, file)
        else:
            file.write_bytes(damaged)
        assert len(index.coded(8).codes) == len(index.photos)
        assert all(value.isfinite().all() for value in torch.load(file, weights_only=True).values())


def test_photographs_are_looked_for_before_weights_are_fetched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for module in (search, inspect_net):
        monkeypatch.setattr(module, "load_feature_net", lambda *_: pytest.fail("loaded weights"))
    (tmp_path / "empty").mkdir()
    query = str(folder / "a" / "0.png")
    for command in (
        ["search", "none.jpg", "--index", str(folder)],
        ["search", query, "--index", str(tmp_path / "nowhere")],
        ["search", query, "--index", str(tmp_path / "empty")],
        ["inspect", "torchvision", "none.jpg", "--out", str(tmp_path / "seen")],
    ):
        assert main([*command, "--device", "cpu"]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_names_that_are_not_utf8_and_pipes_end_nothing(trained: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    odd = os.fsdecode(b"caf\xe9\x1b\n $x_{$.png")
    for number, name in enumerate((odd, "b.png", "c.png")):
        photograph(photos / name, number)
    os.mkfifo(photos / "pipe.png")
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict", "OMP_NUM_THREADS": "1"}
    for typed in (
        ["search", str(photos / odd), str(photos / "pipe.png"), "--index", str(photos), "--weights", str(trained)],
        ["inspect", str(trained), str(photos / odd), str(photos / "pipe.png")],
    ):
        command = [sys.executable, "-m", "alexnet_lib", *typed, "--out", str(tmp_path / typed[0]), "--device", "cpu"]
        done = subprocess.run(command, capture_output=True, text=True, env=strict, timeout=240)
        assert done.returncode == 0, done.stderr
        assert "caf\\udce9\\x1b\\n $x_{$.png" in done.stdout and "pipe.png: a folder, a pipe or a device" in done.stderr


@given(data=st.data())
def test_an_index_with_any_part_replaced_is_used_or_refused(
    data: st.DataObject, net: FeatureNet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("any", numbered=True)
    for number in range(2):
        photograph(root / f"{number}.png", number)
    index_of(root, net)
    content = root / STORE / CONTENT
    content.write_text(json.dumps(data.draw(edited(json.loads(content.read_text())))))
    kept = {path.name for path in root.iterdir()}
    try:
        assert len(index_of(root, net)[0].photos) == 2
    except (DataError, SettingError) as error:
        assert str(root) in str(error)
    assert {path.name for path in root.iterdir()} == kept
