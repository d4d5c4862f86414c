"""Fetching Tiny ImageNet: a zip of many small files, here some hundreds, from a server on this machine."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
from archives import tiny_files, zip_of
from download_server import Server
from imagenet_trees import drawn, encoded

from alexnet_lib.__main__ import main
from alexnet_lib.commands.parsers import NAMES
from alexnet_lib.data import fetch as download
from alexnet_lib.data.fetch import ARCHIVES, TINY_IMAGENET, Archive
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.data.tiny_imagenet import FOLDER
from alexnet_lib.errors import DataError
from alexnet_lib.experiments.running.study import Size, prepared

pytestmark = pytest.mark.usefixtures("no_data_named")
FILE = TINY_IMAGENET.file
NOWHERE = "http://127.0.0.1:9/x"


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return tiny_files(encoded(drawn(0, 64, 64)))


@pytest.fixture(scope="module")
def archive(files: dict[str, bytes]) -> bytes:
    return zip_of(files, FOLDER)


@pytest.fixture(scope="module")
def unpacked(archive: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root to which it has been fetched; not to be changed."""
    root = tmp_path_factory.mktemp("unpacked")
    (root / FILE).write_bytes(archive)
    fetch(root, archive)
    return root


def published(content: bytes, url: str = NOWHERE) -> Archive:
    """The description that the publisher's archive would have if it were `content`."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return replace(TINY_IMAGENET, url=url, md5=md5, size=len(content), unpacked=1_000_000)


def fetch(root: Path, content: bytes, url: str = NOWHERE, said: list[str] | None = None) -> Path:
    return download.fetch(published(content, url), root, say=(said if said is not None else []).append)


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_asked_for_is_the_published_archive() -> None:
    assert TINY_IMAGENET.url == "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    assert (TINY_IMAGENET.size, TINY_IMAGENET.md5) == (248_100_043, "90528d7ca1a48142e341f4ef8d21d0de")
    assert tuple(ARCHIVES) == NAMES and FOLDER == "tiny-imagenet-200"


def test_fetch_brings_all_but_the_test_images(
    tmp_path: Path, archive: bytes, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with Server(archive).running() as url:
        target = fetch(tmp_path / "new", archive, url, said)
    assert target == tmp_path / "new" / FOLDER and names(tmp_path / "new") == [FOLDER]
    assert listing(target) == {name: content for name, content in files.items() if not name.startswith("test/")}
    assert "left out the 200 files of test/, whose labels are not public" in said
    assert said[-1] == f"Tiny ImageNet is at {target}"
    monkeypatch.setattr(download, "_download", lambda *args: pytest.fail("downloaded again"))
    assert fetch(tmp_path / "new", archive, NOWHERE, said) == target
    assert said[-1] == f"Tiny ImageNet is already at {target}: nothing to do"


def test_what_was_fetched_is_what_the_experiments_prepare(unpacked: Path, tmp_path: Path) -> None:
    folder = prepared(Size("some", 72, classes=2), str(unpacked), tmp_path)
    assert len(PreparedImages(folder, "train")) == 4 and len(PreparedImages(folder, "val")) == 2


def test_a_break_is_kept_and_gone_on_from(tmp_path: Path, archive: bytes) -> None:
    server = Server(archive, at_most=5000)
    with server.running() as url:
        with pytest.raises(DataError, match=f"broke off after 5,000 of {len(archive):,} bytes: run this again"):
            fetch(tmp_path, archive, url)
        assert (tmp_path / f"{FILE}.part").read_bytes() == archive[:5000]
        server.at_most = None
        assert fetch(tmp_path, archive, url).is_dir()
    assert server.asked == [None, "bytes=5000-"]


def test_another_md5_is_named_and_nothing_of_it_kept(tmp_path: Path, archive: bytes) -> None:
    wrong = archive[:-1] + bytes([archive[-1] ^ 1])
    with Server(wrong).running() as url, pytest.raises(DataError, match="sent has md5 .*, not .*: it was deleted"):
        fetch(tmp_path, archive, url)
    assert names(tmp_path) == []


def test_an_archive_of_ones_own_that_is_cut_short_is_refused_with_its_length(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / FILE).write_bytes(archive[:4321])
    with pytest.raises(DataError, match=rf"{FILE} \(4,321 bytes\) has md5 .*it is cut short or changed"):
        fetch(tmp_path, archive)
    assert names(tmp_path) == [FILE]


def flipped(archive: bytes, member: str) -> bytes:
    """With one bit of a member's packed content changed."""
    place = archive.index(member.encode()) + len(member) + 40
    return archive[:place] + bytes([archive[place] ^ 4]) + archive[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:5000],
        lambda whole: whole[:-30],
        lambda whole: whole[:10_000] + whole[20_000:],
        lambda whole: flipped(whole, "val/val_annotations.txt"),
        lambda whole: b"<html>not found</html>",
    ],
    ids=["start", "end", "middle", "bit", "page"],
)
def test_a_damaged_zip_is_not_unpacked_though_its_md5_be_right(tmp_path: Path, archive: bytes, damage) -> None:  # noqa: ANN001
    content = damage(archive)
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DataError, match=f"{FILE} cannot be unpacked .*: delete it and run this again"):
        fetch(tmp_path, content)
    assert names(tmp_path) == [FILE]


def of_kind(kind: int, name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(f"{FOLDER}/{name}")
    member.create_system, member.external_attr = 3, (kind | 0o777) << 16
    return member


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        f"{FOLDER}/../../x",
        f"{FOLDER}/test/../../../escaped",
        f"{FOLDER}/train/..",
        f"{FOLDER}//x",
        "/tmp/escaped_alexnet",
        f"/{FOLDER}/x",
        f"{FOLDER}/./x",
        f"{FOLDER}/..\\escaped",
        f"{FOLDER}/c:escaped",
        FOLDER,
        "elsewhere/x",
        "x",
        f"{FOLDER}/a b",
        of_kind(stat.S_IFLNK, "train/link"),
        of_kind(stat.S_IFLNK, "test/link"),
        of_kind(stat.S_IFCHR, "device"),
        of_kind(stat.S_IFIFO, "pipe"),
        of_kind(stat.S_IFLNK, "folder/"),
    ],
    ids=str,
)
def test_an_unsafe_member_is_refused_before_anything_is_written(
    tmp_path: Path, name: str | zipfile.ZipInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, root = zip_of({"wnids.txt": b"x"}, FOLDER, (name, b"/etc/passwd")), tmp_path / "deep" / "root"
    root.mkdir(parents=True)
    (root / FILE).write_bytes(content)
    monkeypatch.setattr(shutil, "copyfileobj", lambda *args: pytest.fail("wrote a file"))
    with pytest.raises(DataError, match="is refused and nothing unpacked: '.*' is not a plain file of the folder"):
        fetch(root, content)
    assert names(root) == [FILE] and names(tmp_path) == ["deep"] and names(root.parent) == ["root"]
    assert not Path("/tmp/escaped_alexnet").exists()


def test_a_zip_without_all_it_should_hold_leaves_nothing(tmp_path: Path, files: dict[str, bytes]) -> None:
    content = zip_of({name: of for name, of in files.items() if name != "val/val_annotations.txt"}, FOLDER)
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DataError, match="val/val_annotations.txt is not there; if you"):
        fetch(tmp_path, content)
    assert names(tmp_path) == [FILE]


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("wnids.txt", "wnids.txt is missing"),
        ("val", "/val is missing"),
        ("val/val_annotations.txt", "val is not sorted into class folders, and .*val_annotations.txt is not there"),
        ("train/n01440764", "do not hold the same classes: only .*wnids.txt has n01440764"),
        ("train/n01440771/images", "n01440771 holds no images"),
        ("val/images", "holds no images"),
    ],
)
def test_a_folder_that_is_there_is_checked_and_left_alone(tmp_path: Path, unpacked: Path, gone: str, said: str) -> None:
    shutil.copytree(unpacked / FOLDER, tmp_path / FOLDER, copy_function=os.link)
    shutil.move(tmp_path / FOLDER / gone, tmp_path / "gone")
    before = listing(tmp_path)
    again = f"delete {tmp_path / FOLDER}, or move it away, and run `python -m alexnet_lib data fetch tiny-imagenet`"
    with pytest.raises(DataError, match=f"{said}.*{again}"):
        fetch(tmp_path, b"")
    assert listing(tmp_path) == before


def test_validation_images_sorted_into_classes_are_as_good(tmp_path: Path, unpacked: Path) -> None:
    shutil.copytree(unpacked / FOLDER, tmp_path / FOLDER, copy_function=os.link)
    val = tmp_path / FOLDER / "val"
    for line in (val / "val_annotations.txt").read_text().splitlines():
        name, wnid = line.split("\t")[:2]
        (val / wnid).mkdir()
        (val / "images" / name).rename(val / wnid / name)
    (val / "val_annotations.txt").unlink()
    (val / "images").rmdir()
    assert fetch(tmp_path, b"") == tmp_path / FOLDER


def test_fewer_classes_than_200_are_not_tiny_imagenet(tmp_path: Path) -> None:
    for name, content in tiny_files(b"x", classes=3).items():
        (tmp_path / FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / FOLDER / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{FOLDER} holds 3 classes, not 200: delete"):
        fetch(tmp_path, b"")


def test_a_folder_that_cannot_be_read_is_named(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=f"{FOLDER}/train cannot be read .*Permission denied.*mend its permissions"):
        fetch(unpacked, b"")


def test_a_disk_that_fills_while_unpacking_leaves_no_half_folder(
    tmp_path: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE).write_bytes(archive)
    copy, written = shutil.copyfileobj, []

    def filling(source: object, target: object) -> None:
        written.append(target)
        if len(written) == 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        copy(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", filling)
        with pytest.raises(DataError, match=f"the disk of {tmp_path} is full: free .* and run this again"):
            fetch(tmp_path, archive)
    assert len(written) == 100 and names(tmp_path) == [FILE]
    assert fetch(tmp_path, archive).is_dir()


def test_too_little_disk_is_said_before_anything_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 400_000_000))
    with pytest.raises(DataError, match="Tiny ImageNet needs 748 MB .* has 400 MB free: free some, or name another"):
        download.fetch(TINY_IMAGENET, tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", failing)
    with pytest.raises(DataError, match="cannot be written .*: name another folder with --data"):
        fetch(tmp_path / "root", b"x")


def test_the_command_ends_with_0_or_with_one_line_and_2(
    tmp_path: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ["data", "fetch", "tiny-imagenet", "--data", str(tmp_path)]
    monkeypatch.setitem(ARCHIVES, "tiny-imagenet", published(archive))
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: cannot download {NOWHERE} (") and printed.err.count("\n") == 1
    assert f"by hand to {tmp_path / FILE}" in printed.err
    with Server(archive).running() as url:
        monkeypatch.setitem(ARCHIVES, "tiny-imagenet", published(archive, url))
        assert main(words) == 0
    assert capsys.readouterr().out.endswith(f"Tiny ImageNet is at {tmp_path / FOLDER}\n")
    assert main(words) == 0
    (tmp_path / FOLDER / "wnids.txt").unlink()
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / FOLDER / 'wnids.txt'} is missing; if you")
