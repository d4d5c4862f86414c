"""Where ImageNet's images are: folders, Tiny ImageNet's, the publisher's tar files; parts of them; what is refused."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from imagenet_trees import CLASSES, add, counts, drawn, encoded, write_folders, write_tars, write_tiny

from alexnet_lib.__main__ import main
from alexnet_lib.data.imagenet import preparation
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.data.imagenet.sources import Source, find_source, odd_class, part_of
from alexnet_lib.errors import DataError, SettingError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("source"))


@pytest.fixture
def folders(source: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(source, tmp_path / "folders")


@pytest.fixture
def tars(source: Path, tmp_path: Path) -> Path:
    return write_tars(tmp_path / "tars", source)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "tiny")


def same_images(one: Path, other: Path) -> bool:
    """Both splits hold the same pixels and labels in the same order."""
    pairs = [(PreparedImages(one, split), PreparedImages(other, split)) for split in ("train", "val")]
    everything = [(a.images(range(len(a))), b.images(range(len(b)))) for a, b in pairs]
    labels = all(torch.equal(a.labels, b.labels) and a.classes == b.classes for a, b in pairs)
    return labels and all(torch.equal(a, b) for a, b in everything)


def test_all_layouts_of_the_same_images_give_the_same(source: Path, tiny: Path, tars: Path, tmp_path: Path) -> None:
    preparation.prepare(source, tmp_path / "a", side=16, jobs=1)
    preparation.prepare(tiny, tmp_path / "b", side=16, jobs=1)
    preparation.prepare(tars, tmp_path / "c", side=16, jobs=2, images_per_shard=4, val_labels=tars / "val_labels.txt")
    assert same_images(tmp_path / "a", tmp_path / "b") and same_images(tmp_path / "a", tmp_path / "c")
    assert PreparedImages(tmp_path / "b").words == ("tench, Tinca tinca", None, "dog")
    assert PreparedImages(tmp_path / "c").names[4] == "train/n01443537/n01443537_1.JPEG"


def test_a_plain_folder_of_classes_is_training_images_only(source: Path) -> None:
    found = find_source(source / "train")
    assert found.classes == CLASSES and counts(found) == {"train": [3, 3, 3]}


def test_other_files_and_hidden_ones_are_not_images(folders: Path) -> None:
    for name in ("boxes.txt", "._n01440764_0.JPEG", ".DS_Store"):
        (folders / "train" / CLASSES[0] / name).write_text("x")
    (folders / "train" / CLASSES[0] / "upper.PNG").write_bytes(encoded(drawn(0, 9, 9), "PNG"))
    assert counts(find_source(folders))["train"] == [4, 3, 3]


@pytest.mark.parametrize(
    "line", ["{stem} {wnid}", "{stem}.JPEG\t{wnid}\t1\t2\t3\t4", "{stem}.JPEG {number}", "{stem},{wnid} 85 1 499 272"]
)
def test_validation_labels_in_every_form(tars: Path, source: Path, line: str) -> None:
    rows = [
        line.format(stem=path.stem, wnid=path.parent.name, number=CLASSES.index(path.parent.name))
        for path in (source / "val").glob("*/*")
    ]
    labels = tars / "labels.csv"
    labels.write_text("\n".join(["ImageId,PredictionString", *rows, ""]))
    found = find_source(tars, labels)
    assert [(entry.label, Path(entry.name).name) for entry in found.splits["val"]] == [
        (c, f"{name}_{i}.JPEG") for c, name in enumerate(CLASSES) for i in range(2)
    ]


@pytest.mark.parametrize("header", ["", "ImageId,PredictionString"])
def test_a_byte_order_mark_hides_no_line_of_the_labels(tars: Path, source: Path, header: str) -> None:
    rows = [f"{path.stem},{path.parent.name}" for path in (source / "val").glob("*/*")]
    (tars / "plain.csv").write_text("\n".join([header, *rows]).strip(), encoding="utf-8")
    (tars / "marked.csv").write_text("\n".join([header, *rows]).strip(), encoding="utf-8-sig")
    plain, marked = (find_source(tars, tars / f"{name}.csv").splits["val"] for name in ("plain", "marked"))
    assert plain == marked and len(marked) == len(rows)


@pytest.mark.parametrize(
    "text, said",
    [
        ("490\n361\n", r"line 1: '490' is not a name and a class.*ground_truth\.txt is not"),
        (
            "n01440764_0 n09999999\n",
            "line 1: 'n09999999' is none of the 3 classes, n01440764 to n02084071, nor a number",
        ),
        ("n01440764_0 3\n", "'3' is none of the 3 classes"),
        ("n01440764_0 0\nn01440764_0 1\n", "line 2: n01440764_0 is given two classes"),
        ("n01440764_0 0\n", "says nothing of 5 of the 6 validation images, the first n02084071_0"),
        (
            "\n".join(f"{name}_{i} 0" for name in CLASSES for i in range(2)),
            "no validation image is of class n01443537.*2 ",
        ),
    ],
)
def test_validation_labels_that_cannot_be_used(tars: Path, text: str, said: str) -> None:
    (tars / "labels.txt").write_text(text)
    with pytest.raises(DataError, match=said) as raised:
        find_source(tars, tars / "labels.txt")
    assert "labels.txt" in str(raised.value)


def test_validation_labels_that_are_no_text(tars: Path) -> None:
    (tars / "labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"labels\.txt cannot be read as a text file"):
        find_source(tars, tars / "labels.txt")


def test_validation_tar_without_labels_says_which_file_to_give(tars: Path) -> None:
    for labels, said in ((None, "no --val-labels was given"), (tars / "nowhere.txt", "nowhere.txt is not there")):
        with pytest.raises(DataError, match=said) as raised:
            find_source(tars, labels)
        assert "LOC_val_solution.csv" in str(raised.value)


def test_validation_images_not_sorted_into_classes(folders: Path) -> None:
    for path in list((folders / "val").glob("*/*")):
        path.rename(folders / "val" / path.name)
    for name in CLASSES:
        (folders / "val" / name).rmdir()
    with pytest.raises(DataError, match="val is not sorted into class folders, and .*val_annotations.txt is not there"):
        find_source(folders)
    (folders / "l.txt").write_text("".join(f"{p.name} {p.name[:9]}\n" for p in (folders / "val").glob("*.JPEG")))
    assert counts(find_source(folders, folders / "l.txt"))["val"] == [2, 2, 2]
    (inside := folders / "val" / "ILSVRC2012_img_val").mkdir()  # as the tar file is often unpacked
    for path in (folders / "val").glob("*.JPEG"):
        path.rename(inside / path.name)
    assert counts(find_source(folders, folders / "l.txt"))["val"] == [2, 2, 2]
    with pytest.raises(DataError, match="val is not sorted into class folders, and .* is not there.*--val-labels"):
        find_source(folders)


def spoil_class_missing(root: Path) -> None:
    shutil.rmtree(root / "val" / CLASSES[1])


def spoil_class_too_many(root: Path) -> None:
    shutil.copytree(root / "val" / CLASSES[1], root / "val" / "n09")


def spoil_class_empty(root: Path) -> None:
    for path in (root / "train" / CLASSES[2]).iterdir():
        path.unlink()


def spoil_no_classes(root: Path) -> None:
    shutil.rmtree(root / "train")
    (root / "train").mkdir()


def spoil_val_empty(root: Path) -> None:
    shutil.rmtree(root / "val")
    (root / "val").mkdir()


def spoil_list(root: Path) -> None:
    (root / "wnids.txt").write_text("\n".join([*CLASSES, "n09"]))


def spoil_link(root: Path) -> None:
    (root / "train" / CLASSES[0] / "a.jpg").symlink_to(root / "nowhere.jpg")


@pytest.mark.parametrize(
    "spoil, said",
    [
        (spoil_class_missing, "do not hold the same classes: only .*train has n01443537"),
        (spoil_class_too_many, "do not hold the same classes: only .*val has n09"),
        (spoil_class_empty, "class folder .*n02084071 holds no images"),
        (spoil_no_classes, "train holds no class folders: expected one of"),
        (spoil_val_empty, "val holds no images"),
        (spoil_list, "do not hold the same classes: only .*wnids.txt has n09"),
        (spoil_link, "a.jpg cannot be read .*a link to nothing"),
    ],
)
def test_folders_that_cannot_be_used(folders: Path, spoil, said: str) -> None:  # noqa: ANN001
    spoil(folders)
    with pytest.raises(DataError, match=said):
        find_source(folders)


def test_no_source_at_all(tmp_path: Path, folders: Path) -> None:
    with pytest.raises(DataError, match="nowhere is not a folder"):
        find_source(tmp_path / "nowhere")
    (tmp_path / "a.tar").write_text("x")
    with pytest.raises(DataError, match=r"a\.tar is not a folder \(give the folder that holds the tar files\)"):
        find_source(tmp_path / "a.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no images: expected one of"):
        find_source(tmp_path / "empty")
    with pytest.raises(DataError, match="is sorted into class folders: leave it out"):
        find_source(folders, tmp_path / "a.tar")


def test_tar_files_cut_short_anywhere_are_refused(tars: Path) -> None:
    """tarfile itself takes a cut between two files for the end: every length must be refused, none raise otherwise."""
    path = tars / "ILSVRC2012_img_train.tar"
    content = path.read_bytes()
    ends = sorted(
        {0, 100, 512, 1024, *range(600, len(content) - 10_240, 997), *range(512, len(content) - 10_240, 2560)}
    )
    for end in ends:
        path.write_bytes(content[:end])
        with pytest.raises(DataError, match=r"ILSVRC2012_img_train\.tar.*(cut short|cannot be read|holds nothing)"):
            find_source(tars, tars / "val_labels.txt")


def test_tar_files_that_are_something_else(tars: Path) -> None:
    train, labels = tars / "ILSVRC2012_img_train.tar", tars / "val_labels.txt"
    with tarfile.open(train, "w") as tar:
        add(tar, "n01440764_0.JPEG", encoded(drawn(0, 9, 9)))
    with pytest.raises(DataError, match="holds n01440764_0.JPEG: expected one tar file a class"):
        find_source(tars, labels)
    with tarfile.open(train, "w:gz") as tar:
        add(tar, "n01440764.tar", b"")
    with pytest.raises(DataError, match="cannot be read as a tar file .*not compressed"):
        find_source(tars, labels)
    with tarfile.open(train, "w") as tar:
        for _ in range(2):
            add(tar, "n01440764.tar", bytes(10_240))
    with pytest.raises(DataError, match="holds n01440764.tar twice"):
        find_source(tars, labels)
    inner = io.BytesIO()
    tarfile.open(fileobj=inner, mode="w").close()
    with tarfile.open(train, "w") as tar:
        add(tar, "n01440764.tar", inner.getvalue())
    with pytest.raises(DataError, match="n01440764.tar in it holds no images"):
        find_source(tars, labels)
    train.unlink()
    with pytest.raises(DataError, match="holds ILSVRC2012_img_val.tar but no ILSVRC2012_img_train.tar"):
        find_source(tars, labels)


def test_training_tar_alone(tars: Path) -> None:
    (tars / "ILSVRC2012_img_val.tar").unlink()
    assert counts(find_source(tars)) == {"train": [3, 3, 3]}


def test_part_keeps_classes_in_order_and_counts_labels_anew(source: Path) -> None:
    whole = find_source(source)
    part = part_of(whole, [CLASSES[2], CLASSES[0]], per_class=2)
    assert part.classes == (CLASSES[0], CLASSES[2]) and part.words == (whole.words[0], whole.words[2])
    assert counts(part)["train"] == [2, 2]
    assert counts(part)["val"] == [counts(whole)["val"][0], counts(whole)["val"][2]]
    kept = [entry.name for entry in part.splits["train"]]
    assert kept == [
        entry.name for label in (0, 2) for entry in whole.splits["train"] if entry.label == label and entry.name in kept
    ]
    assert kept[:2] == sorted(entry.name for entry in whole.splits["train"] if entry.label == 0)[:2]
    assert [entry.label for entry in part.splits["train"]] == [0, 0, 1, 1]


def test_a_number_of_classes_is_spread_over_all_of_them() -> None:
    whole = Source(Path("there"), "", tuple(f"n{i:03}" for i in range(200)), (None,) * 200, {"train": []})
    assert part_of(whole, 4).classes == ("n000", "n050", "n100", "n150")
    assert part_of(whole, 200).classes == whole.classes == part_of(whole).classes


def test_prepared_part_is_those_images(source: Path, tmp_path: Path) -> None:
    preparation.prepare(source, tmp_path / "whole", side=16, jobs=1)
    command = ["data", "prepare-imagenet", str(source), str(tmp_path / "part"), "--side", "16", "--jobs", "1"]
    assert main([*command, "--classes", f"{CLASSES[1]}, {CLASSES[2]}", "--per-class", "2"]) == 0
    whole, part = PreparedImages(tmp_path / "whole"), PreparedImages(tmp_path / "part")
    assert part.classes == CLASSES[1:] and part.labels.tolist() == [0, 0, 1, 1]
    places = [whole.names.index(name) for name in part.names]
    assert torch.equal(part.images(range(4)), whole.images(places))
    mean = part.images(range(4)).double().mean(0)
    assert torch.allclose(part.mean_image.double(), mean, atol=1e-4)


def test_part_of_tiny_imagenet_by_number(tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny")
    preparation.prepare(tiny, tmp_path / "part", side=16, jobs=1, classes=2, per_class=1)
    part = PreparedImages(tmp_path / "part")
    assert len(part.classes) == 2 and len(part) == 2 and len(PreparedImages(tmp_path / "part", "val")) > 0


def test_another_part_into_the_same_folder_is_refused(source: Path, tmp_path: Path) -> None:
    preparation.prepare(source, tmp_path / "part", side=16, jobs=1, classes=2)
    with pytest.raises(DataError, match="another source"):
        preparation.prepare(source, tmp_path / "part", side=16, jobs=1, classes=2, per_class=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": 4}, "--classes 4: .* holds 3"),
        ({"classes": 0}, "give 1 or more"),
        ({"classes": ["n01440765"]}, "no class 'n01440765'; did you mean n01440764"),
        ({"per_class": 0}, "--per-class 0: give a whole number"),
    ],
)
def test_parts_that_cannot_be(source: Path, options: dict, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        part_of(find_source(source), **options)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (os.fsdecode(b"caf\xe9"), r"class 'caf\\udce9' is not UTF-8"),
        ("a\nb", r"class 'a\\nb' holds a control character"),
        ("a\u2028b", "holds a control character"),
        ("a\\b", "is no name of one folder"),
    ],
)
def test_a_class_folder_whose_name_cannot_be_kept(folders: Path, tmp_path: Path, name: str, said: str) -> None:
    for split in ("train", "val"):
        (folders / split / CLASSES[1]).rename(folders / split / name)
    with pytest.raises(DataError, match=f"{said}: rename it"):
        preparation.prepare(folders, tmp_path / "set", side=16, jobs=1)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "x" * 256, "x\0"])
def test_a_name_that_leads_elsewhere_or_is_too_long_is_odd(name: str) -> None:
    """Folders cannot be called so; tar files, lists of labels and edited files may name them so."""
    assert odd_class(["n01", name]).startswith(f"class {name[:60]!r} ")
    with pytest.raises(DataError, match="rename it"):
        Source(Path("there"), "", ("n01", name), (None, None), {})
    assert odd_class(["n01440764", "Großer Hund", "\U0001f415\u200d", "$x$"]) == ""


def test_two_ways_to_write_one_name_are_refused_and_said_where_train_and_val_differ(folders: Path) -> None:
    nfc, nfd = "caf\u00e9", "cafe\u0301"
    (folders / "train" / CLASSES[0]).rename(folders / "train" / nfc)
    (folders / "val" / CLASSES[0]).rename(folders / "val" / nfd)
    alike = r"classes 'cafe\\u0301' and 'caf\\xe9' are one name, written in two ways"
    with pytest.raises(DataError, match=f"do not hold the same classes: .*{alike}"):
        find_source(folders)
    shutil.rmtree(folders / "val")
    (folders / "train" / CLASSES[1]).rename(folders / "train" / nfd)
    with pytest.raises(DataError, match=alike):
        find_source(folders)


def test_a_folder_that_cannot_be_read_is_named(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir, closed = os.scandir, folders / "train" / CLASSES[1]

    def denied(path: Path) -> Any:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=rf"{CLASSES[1]} cannot be read \(Permission denied\): mend its permissions"):
        find_source(folders)


def test_a_single_class_is_refused_before_any_work(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"holds one class, {CLASSES[0]}: a network needs two to tell apart"):
        preparation.prepare(source, tmp_path / "set", side=16, classes=1)
    assert not (tmp_path / "set").exists()
