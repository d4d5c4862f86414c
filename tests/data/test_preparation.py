"""Preparing ImageNet: pixels and statistics against plain references, the files, and reading them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import edited
from hypothesis import given
from hypothesis import strategies as st
from imagenet_trees import CLASSES, contents, drawn, encoded, slowly, write_folders
from safetensors.torch import load_file, save_file
from torchvision.io import decode_jpeg

from alexnet_lib import __main__ as command_line
from alexnet_lib.augment import pixel_statistics
from alexnet_lib.augment.color_pca import ColorPCA
from alexnet_lib.data.imagenet import preparation
from alexnet_lib.data.imagenet.decode import square
from alexnet_lib.data.imagenet.pixel_statistics import PixelSums, add_totals, statistics
from alexnet_lib.data.imagenet.preparation import shard_size
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import DataError, SettingError

SIDE = 48
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("source"), train=6)


@pytest.fixture(scope="module")
def prepared(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In shards of 4 images: a class ends within one."""
    target = tmp_path_factory.mktemp("prepared") / "new" / "set"
    preparation.prepare(folders, target, side=SIDE, jobs=1, images_per_shard=4)
    return target


def files_of(folders: Path, split: str) -> list[Path]:
    return sorted((folders / split).glob("*/*"))


@pytest.mark.parametrize("split, labels", [("train", [0] * 6 + [1] * 6 + [2] * 6), ("val", [0, 0, 1, 1, 2, 2])])
def test_pixels_labels_and_names_are_those_of_a_plain_script(
    prepared: Path, folders: Path, split: str, labels: list[int]
) -> None:
    images, files = PreparedImages(prepared, split), files_of(folders, split)
    assert images.classes == CLASSES and images.labels.tolist() == labels and len(images) == len(files)
    assert images.labels.dtype == torch.int64
    assert images.names == tuple(str(path.relative_to(folders)) for path in files)
    expected = np.stack([slowly(path, SIDE) for path in files])
    got = images.images(range(len(images)))
    assert got.shape == (len(files), 3, SIDE, SIDE) and got.dtype == torch.uint8
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(got.permute(0, 2, 3, 1).numpy(), expected)


def test_any_numbers_in_any_order_and_more_than_once(prepared: Path) -> None:
    images = PreparedImages(prepared)
    every = images.images(range(18))
    picked = torch.tensor([17, 3, 4, 3, 0])
    assert torch.equal(images.images(picked), every[picked])
    assert images.images([]).shape == (0, 3, SIDE, SIDE)
    assert images.shard(1).shape == (4, SIDE, SIDE, 3) and not images.shard(1).flags.writeable
    assert np.array_equal(images.shard(1)[2], every[6].permute(1, 2, 0).numpy())
    for wrong in ([18], [-1]):
        with pytest.raises(SettingError, match="there are 0 to 17"):
            images.images(wrong)


def test_statistics_are_those_of_the_training_pixels(prepared: Path) -> None:
    images = PreparedImages(prepared)
    pixels = images.images(range(18)).double().numpy()
    flat = pixels.transpose(1, 0, 2, 3).reshape(3, -1)
    covariance = np.cov(flat, bias=True)
    assert np.array_equal(images.mean_image.numpy(), pixels.mean(0).astype(np.float32))
    assert images.mean_image.dtype == torch.float32
    assert np.allclose(images.mean, flat.mean(1), rtol=1e-12)
    assert np.allclose(images.deviation, flat.std(1), rtol=1e-12)
    assert np.allclose(images.index["statistics"]["covariance"], covariance, rtol=1e-10)
    pca = images.color_pca
    values, vectors = pca.eigenvalues.numpy(), pca.eigenvectors.numpy()
    assert np.allclose(values, images.index["statistics"]["eigenvalues"], rtol=1e-12)
    assert np.allclose(vectors, images.index["statistics"]["eigenvectors"], atol=1e-12)
    assert np.allclose(values, ColorPCA.fit(images.images(range(18))).eigenvalues, rtol=1e-9)
    assert values[0] > values[1] > values[2] > 0
    assert np.allclose(covariance @ vectors, vectors * values, atol=1e-7)
    assert np.allclose(vectors.T @ vectors, np.eye(3)) and (vectors.max(0) == np.abs(vectors).max(0)).all()
    mean_image, around = pixel_statistics(images.images(range(18)))
    assert images.pixel_scale().deviation == 1.0
    assert images.pixel_scale("unit").deviation == pytest.approx(around, rel=1e-6)
    assert torch.allclose(images.pixel_scale("unit").mean, mean_image)
    with pytest.raises(SettingError, match="use 0-255 or unit"):
        images.pixel_scale("0-1")


def test_sums_are_exact_where_32_bits_would_not_hold_them() -> None:
    sums, random = PixelSums(3), np.random.default_rng(0)
    images = random.integers(250, 256, (600, 3, 3, 3), dtype=np.uint8)
    for image in images:
        sums.add([image[..., channel].tobytes() for channel in range(3)])
    totals, flat = sums.totals(), images.reshape(-1, 3).astype(np.int64)
    assert totals["images"] == 600 and np.array_equal(
        totals["pixels"], images.sum(0, dtype=np.int64).transpose(2, 0, 1)
    )
    products = flat.T @ flat
    assert totals["products"].tolist() == [products[a, b] for a in range(3) for b in range(a, 3)]
    million = {name: value.astype(np.int64) * 3_000_000 for name, value in totals.items()}
    assert np.allclose(statistics(million).covariance, np.cov(flat.T, bias=True), rtol=1e-12)
    twice = add_totals({name: value.copy() for name, value in totals.items()}, totals)
    assert np.allclose(statistics(twice).eigenvalues, statistics(totals).eigenvalues)


@pytest.mark.parametrize("side", [256, 257, 400])
def test_sums_of_the_brightest_image_do_not_overflow(side: int) -> None:
    sums = PixelSums(side)
    for _ in range(2):
        sums.add([bytes([255]) * (side * side)] * 3)
    totals = sums.totals()
    assert (totals["pixels"] == 510).all() and (totals["products"] == 2 * 255**2 * side * side).all()


@pytest.mark.parametrize("resample", ["bilinear", "bicubic"])
def test_every_shape_is_cut_as_torchvision_cuts_it(resample: str) -> None:
    from torchvision import transforms

    how = {"bilinear": transforms.InterpolationMode.BILINEAR, "bicubic": transforms.InterpolationMode.BICUBIC}[resample]
    steps = transforms.Compose([transforms.Resize(32, how), transforms.CenterCrop(32)])
    for width, height in ((32, 32), (33, 32), (32, 35), (97, 64), (31, 77), (7, 5), (500, 41), (64, 64), (1, 3)):
        image = drawn(width, width, height)
        got, turned = square(encoded(image, "PNG"), 32, resample)
        assert np.array_equal(np.asarray(got), np.asarray(steps(image))), (width, height)
        assert got.size == (32, 32) and not turned


def test_the_result_is_the_same_whatever_the_number_of_processes(prepared: Path, folders: Path, tmp_path: Path) -> None:
    preparation.prepare(folders, tmp_path / "two", side=SIDE, jobs=2, images_per_shard=4)
    assert contents(tmp_path / "two") == contents(prepared)


def test_statistics_do_not_depend_on_shards_or_format(prepared: Path, folders: Path, tmp_path: Path) -> None:
    preparation.prepare(folders, tmp_path / "set", side=SIDE, jobs=1, format="jpeg", images_per_shard=7)
    assert contents(tmp_path / "set")["statistics.safetensors"] == contents(prepared)["statistics.safetensors"]


@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities")
def test_jpeg_is_nearly_the_same_pixels_and_can_be_had_encoded(prepared: Path, folders: Path, tmp_path: Path) -> None:
    preparation.prepare(folders, tmp_path / "set", side=SIDE, jobs=1, format="jpeg", images_per_shard=7)
    raw, images = PreparedImages(prepared), PreparedImages(tmp_path / "set")
    assert torch.equal(raw.labels, images.labels) and raw.names == images.names
    got, wanted = images.images([16, 2, 9]), raw.images([16, 2, 9])
    assert 0 < (got.double() - wanted.double()).abs().mean() < 8
    assert torch.equal(torch.stack([decode_jpeg(one) for one in images.encoded([16, 2, 9])]), got)
    images.verify()
    with pytest.raises(SettingError, match="prepare it with --format raw"):
        images.shard(0)
    with pytest.raises(SettingError, match="prepare it with --format jpeg"):
        raw.encoded([0])


def test_quality_is_the_stored_files(folders: Path, tmp_path: Path) -> None:
    sizes = {}
    for quality in (30, 95):
        index = preparation.prepare(folders, tmp_path / str(quality), side=SIDE, jobs=1, format="jpeg", quality=quality)
        sizes[quality] = index["splits"]["train"]["bytes"]
    assert sizes[30] < 0.6 * sizes[95]


def test_the_index_says_what_is_there(prepared: Path) -> None:
    index = json.loads((prepared / "index.json").read_text())
    assert [(entry["name"], entry["train"], entry["val"]) for entry in index["classes"]] == [
        (name, 6, 2) for name in CLASSES
    ]
    train = index["splits"]["train"]
    assert (train["images"], train["bytes"], train["skipped"]) == (18, 18 * SIDE * SIDE * 3, [])
    assert [shard["images"] for shard in train["shards"]] == [4, 4, 4, 4, 2]
    names = {path.name for path in prepared.iterdir()}
    assert names == {"index.json", "statistics.safetensors", "train", "val"}, "nothing unfinished, nothing hidden"


def test_done_is_done(prepared: Path, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(prepared)
    (prepared / "unfinished").mkdir()  # as a run leaves it that is killed in its last moment
    monkeypatch.setattr(preparation, "write_shards", lambda *_: pytest.fail("worked again"))
    preparation.prepare(folders, prepared, side=SIDE, images_per_shard=4)
    assert contents(prepared) == before and not (prepared / "unfinished").exists()


@pytest.mark.parametrize(
    "images, size", [(1, 32), (700, 32), (4095, 32), (4096, 64), (10_000, 128), (100_000, 512), (1_281_167, 512)]
)
def test_shards_are_many_enough_to_share_out_and_few_enough_to_map(images: int, size: int) -> None:
    assert shard_size(images) == size


def test_damage_is_noticed(folders: Path, tmp_path: Path) -> None:
    preparation.prepare(folders, tmp_path / "set", side=SIDE, jobs=1)
    shard = tmp_path / "set" / "train" / "00000.raw"
    content = bytearray(shard.read_bytes())
    PreparedImages(tmp_path / "set").verify()
    content[1000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"00000\.raw cannot be read \(its checksum is not"):
        PreparedImages(tmp_path / "set").verify()
    shard.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"00000\.raw has 124,415 bytes, not 124,416"):
        PreparedImages(tmp_path / "set")
    with pytest.raises(DataError, match=r"00000\.raw is missing or cut short: delete"):
        preparation.prepare(folders, tmp_path / "set", side=SIDE)
    shard.unlink()
    with pytest.raises(DataError, match=r"00000\.raw is missing"):
        PreparedImages(tmp_path / "set")
    (tmp_path / "set" / "statistics.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match=r"statistics\.safetensors cannot be read"):
        _ = PreparedImages(tmp_path / "set", "val").mean_image


@pytest.fixture(scope="module")
def sets(folders: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By format; and of another side. In shards of 4 images. Not to be changed."""
    root = tmp_path_factory.mktemp("sets")
    preparation.prepare(folders, root / "jpeg", side=SIDE, jobs=1, images_per_shard=4, format="jpeg")
    preparation.prepare(folders, root / "small", side=8, jobs=1)
    return {"raw": prepared, "jpeg": root / "jpeg", "small": root / "small"}


def read_all(folder: Path) -> None:
    images = PreparedImages(folder)
    _ = images.labels, images.mean_image, images.images(range(len(images)))


def set_to(path: Path, keys: tuple[str | int, ...], value: object) -> None:
    """Set an entry of a JSON file; with the value `set_to` itself, take it out."""
    content = inner = json.loads(path.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    if value is set_to:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    path.write_text(json.dumps(content))


SHARD = ("splits", "train", "shards", 1)


@pytest.mark.parametrize(
    ("kind", "file", "keys", "value", "said"),
    [
        *(("raw", "index.json", (key,), set_to, f"'{key}' is missing") for key in ("settings", "splits", "classes")),
        ("raw", "index.json", ("settings",), [], "list indices"),
        ("raw", "index.json", ("settings", "side"), SIDE - 7, f"not of images of side {SIDE - 7}"),
        ("raw", "index.json", ("settings", "format"), "png", "'png' is missing"),
        ("raw", "index.json", ("classes", 1, "name"), "../../x", "class '../../x' is no name of one folder"),
        ("raw", "index.json", ("classes", 1, "train"), 5, "train images of its shards and of its classes are not 18"),
        ("raw", "index.json", (*SHARD, "file"), "../00001.raw", "train shard 1 would be ../00001.raw"),
        ("raw", "index.json", (*SHARD, "crc32"), "x", "are not whole numbers"),
        ("raw", "index.json", ("statistics", "deviation_around_mean_image"), float("nan"), "NaN is no number"),
        ("raw", "index.json", ("statistics", "mean", 0), 1.0, "it is not of the images of index.json"),
        ("raw", "train/00001.json", ("labels",), [1, 1, 2, 2], "its checksum is not the index's"),
        ("jpeg", "index.json", ("settings", "side"), 2 * SIDE, "where index.json has side"),
    ],
)
def test_an_edited_set_is_refused_by_the_name_of_the_file(
    sets: dict[str, Path], tmp_path: Path, kind: str, file: str, keys: tuple, value: object, said: str
) -> None:
    edited = shutil.copytree(sets[kind], tmp_path / "set")
    read_all(edited)
    set_to(edited / file, keys, value)
    wanted = rf"^\S+/set/\S+ cannot be read \([^\n]*{re.escape(said)}[^\n]*: copy it again, or delete"
    with pytest.raises(DataError, match=wanted):
        read_all(edited)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("labels",), [1, 1, 1, 9], "1 to 9 are not all from 0 to 2"),
        (("labels",), [0, 0, 1], "3 labels and 4 names for 4 images"),
        (("labels",), [0, 0, 1, "1"], "are not whole numbers"),
        (("labels",), [1, 1, 2, 2], r"the labels in .*train/\*.json are not those that index.json counts"),
        (("labels",), set_to, "'labels' is missing"),
        (("crc32",), 1, "it is of another shard"),
        (("offsets",), [0, 1], "its offsets are not of the shard"),
        (("offsets", 1), 10**9, "are not all from 0 to"),
    ],
)
def test_a_set_prepared_before_notes_had_checksums_is_checked_by_counts(
    sets: dict[str, Path], tmp_path: Path, keys: tuple, value: object, said: str
) -> None:
    edited = shutil.copytree(sets["jpeg"], tmp_path / "set")
    for shard in range(5):
        set_to(edited / "index.json", ("splits", "train", "shards", shard, "note_crc32"), set_to)
    read_all(edited)
    set_to(edited / "train" / "00001.json", keys, value)
    with pytest.raises(DataError, match=said):
        read_all(edited)


@pytest.mark.parametrize("file", ["index.json", "train/00001.json"])
def test_preparing_again_what_was_edited(sets: dict[str, Path], folders: Path, tmp_path: Path, file: str) -> None:
    edited = shutil.copytree(sets["raw"], tmp_path / "set")
    set_to(edited / file, ("settings" if file == "index.json" else "source_fingerprint",), set_to)
    with pytest.raises(DataError, match=f"{file} cannot be read"):
        preparation.prepare(folders, edited, side=SIDE, jobs=1, images_per_shard=4)


def test_a_shard_is_compared_with_its_checksum_when_it_is_first_read(sets: dict[str, Path], tmp_path: Path) -> None:
    edited = shutil.copytree(sets["raw"], tmp_path / "set")
    content = bytearray((edited / "train" / "00001.raw").read_bytes())
    content[5000:9000] = bytes(4000)
    (edited / "train" / "00001.raw").write_bytes(content)
    images = PreparedImages(edited)
    images.images([0, 8])
    with pytest.raises(DataError, match=r"train/00001\.raw cannot be read \(its checksum is not the index's\)"):
        images.images([4])


def test_statistics_of_another_set_are_refused(sets: dict[str, Path], tmp_path: Path) -> None:
    edited = shutil.copytree(sets["raw"], tmp_path / "set")
    path, other = edited / "statistics.safetensors", edited / "other"
    shutil.copy(sets["small"] / path.name, path)
    with pytest.raises(DataError, match=r"statistics.safetensors cannot be read \(it is of images of \(3, 8, 8\)"):
        _ = PreparedImages(edited).mean_image
    found = load_file(sets["raw"] / path.name)
    save_file(found | {"mean_image": found["mean_image"] + 1}, other)
    other.rename(path)
    with pytest.raises(DataError, match="it is not of the images of index.json"):
        _ = PreparedImages(edited).color_pca


def test_what_cannot_be_read_as_a_prepared_set(tmp_path: Path, folders: Path) -> None:
    with pytest.raises(DataError, match=r"holds no index\.json: run python -m alexnet_lib data prepare-imagenet"):
        PreparedImages(tmp_path)
    (tmp_path / "unfinished").mkdir()
    with pytest.raises(DataError, match="was not finished"):
        PreparedImages(tmp_path)
    for text, said in (("{", "cannot be read"), ('{"kind": "x"}', "is not of prepared images")):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(DataError, match=said):
            PreparedImages(tmp_path)
    preparation.prepare(folders / "train", tmp_path / "set", side=8, jobs=1)
    with pytest.raises(DataError, match="holds no val images, only train"):
        PreparedImages(tmp_path / "set", "val")
    index = json.loads((tmp_path / "set" / "index.json").read_text())
    (tmp_path / "set" / "index.json").write_text(json.dumps(index | {"version": 99}))
    with pytest.raises(DataError, match="format version 99, this library reads 1"):
        PreparedImages(tmp_path / "set")


def test_the_command(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["data", "prepare-imagenet", str(folders), str(tmp_path / "set"), "--side", "8", "--jobs", "1"]
    assert command_line.main(words) == 0
    out, err = capsys.readouterr()
    assert "3 classes, 8 x 8 pixels, raw" in out and err == ""
    assert "train: 18 images, 6 a class, 0.000 GB" in out and "val: 6 images, 2 a class" in out
    assert len(PreparedImages(tmp_path / "set", "val")) == 6


@pytest.mark.parametrize(
    "options, said",
    [
        (["--format", "png"], "--format png: use raw or jpeg"),
        (["--resample", "nearest"], "--resample nearest: use bilinear or bicubic"),
        (["--side", "0"], "--side 0: give a whole number from 1 to 4,096"),
        (["--quality", "101"], "--quality 101: give a whole number from 1 to 100"),
        (["--jobs", "0"], "--jobs 0: give a whole number from 1"),
        (["--val-labels", "nowhere.txt"], "--val-labels nowhere.txt is given, but"),
    ],
)
def test_an_option_that_cannot_be_used(
    options: list[str], said: str, folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert command_line.main(["data", "prepare-imagenet", str(folders), str(tmp_path / "set"), *options]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
    assert not (tmp_path / "set").exists()


def put(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": "n", "unfinished/ch3.tex": "x"},
        {"unfinished/ch3.tex": "x"},
        {"unfinished": "a file"},
        {"unfinished/plan.json": '{"kind": "a novel"}'},
        {"unfinished/plan.json": "[]", ".draft.part": "x"},
        {"index.json": '{"kind": "a web site"}'},
        {"index.json": "<html>"},
    ],
    ids=lambda files: " ".join(files),
)
def test_a_folder_of_somebody_elses_is_refused_and_left_as_it_was(
    folders: Path, tmp_path: Path, files: dict[str, str]
) -> None:
    put(tmp_path / "there", files)
    with pytest.raises(DataError, match="is not empty, and holds no prepared images|index.json cannot be read"):
        preparation.prepare(folders, tmp_path / "there", side=SIDE, jobs=1)
    found = {str(path.relative_to(tmp_path / "there")): path for path in (tmp_path / "there").rglob("*")}
    assert {name: path.read_text() for name, path in found.items() if path.is_file()} == files


def test_what_others_laid_into_a_set_that_is_being_made_stays(folders: Path, tmp_path: Path) -> None:
    """Begun, and killed before its plan was written: only its own left-overs go."""
    put(tmp_path / "set", {"unfinished/.plan.json.0123abcd.part": "{"})
    preparation.prepare(folders, tmp_path / "set", side=SIDE, jobs=1)
    assert not (tmp_path / "set" / "unfinished").exists()
    (tmp_path / "set" / "index.json").rename(tmp_path / "index.json")
    plan = json.loads((tmp_path / "index.json").read_text())
    mine = {"unfinished/ch3.tex": "x", ".draft.part": "x", "train/.notes.part": "x"}
    put(tmp_path / "set", mine | {"unfinished/plan.json": json.dumps(plan)})
    preparation.prepare(folders, tmp_path / "set", side=SIDE, jobs=1)
    assert (tmp_path / "set" / "index.json").read_bytes() == (tmp_path / "index.json").read_bytes()
    assert all((tmp_path / "set" / name).read_text() == "x" for name in mine)
    assert sorted(path.name for path in (tmp_path / "set" / "unfinished").iterdir()) == ["ch3.tex"]


@pytest.fixture(scope="module")
def copied(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(prepared, tmp_path_factory.mktemp("copied") / "set")


@pytest.mark.parametrize("name", ["index.json", "train/00000.json"])
@given(data=st.data())
def test_a_set_with_any_part_of_a_list_replaced_is_read_or_refused(
    name: str, data: st.DataObject, prepared: Path, copied: Path
) -> None:
    content = json.loads((prepared / name).read_text())
    (copied / name).write_text(json.dumps(data.draw(edited(content))))
    try:
        images = PreparedImages(copied)
        assert len(images.labels) == len(images.names) == len(images)
        assert images.images([0]).shape == (1, 3, images.side, images.side)
        images.verify()
        assert len(images.mean_image) == 3
    except DataError as error:
        assert str(copied) in str(error)
    finally:
        shutil.copyfile(prepared / name, copied / name)
