"""Which files are photographs, and what is said of the others: by the rule itself, and by every command that lists."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from imagenet_trees import drawn, encoded, write_folders
from PIL import Image

from alexnet_lib.__main__ import main
from alexnet_lib.data.cifar10_files import find_cifar10
from alexnet_lib.data.imagenet.decode import BadImage, content_of, photograph
from alexnet_lib.data.imagenet.sources import find_source
from alexnet_lib.data.listing import FORMATS, LeftOut, images_in, images_under, is_regular
from alexnet_lib.measures.photo_index import photos_of

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes and links are made")
PHOTO = encoded(drawn(0, 64, 64))
SAID = "pipes, devices or loops of links (3), .heic files (2), files without an ending (1), hidden files (1)"


def spoil(folder: Path) -> None:
    """Put into a folder what is no photograph, under the name of one or another's."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "._a.jpg").write_bytes(b"Mac OS X")
    for name in ("a.heic", "b.HEIC", "notes", ".hidden"):
        (folder / name).write_bytes(b"else")


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """Two photographs, one of them by a link; a linked folder; and what is none."""
    root = tmp_path / "photos"
    root.mkdir()
    (root / "a.jpg").write_bytes(PHOTO)
    (root / "link.png").symlink_to("a.jpg")
    spoil(root)
    return root


def test_a_photograph_is_a_regular_file_with_an_ending_that_is_read(spoiled: Path) -> None:
    left = LeftOut()
    assert [entry.name for entry in images_in(spoiled, left)] == ["a.jpg", "link.png"]
    assert left.line() == f"left out: {SAID}"
    assert LeftOut().line() == ""
    assert is_regular(spoiled / "link.png")
    assert not any(is_regular(spoiled / name) for name in ("pipe.jpg", "loop.jpg", "folder.jpg", "none", "x" * 300))


def test_folders_are_walked_once_and_links_to_them_counted(spoiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b", "b/c", "closed", ".hidden-folder", "store"):
        (spoiled / name).mkdir()
        (spoiled / name / "d.png").write_bytes(PHOTO)
    (spoiled / "b" / "up").symlink_to(spoiled)
    scandir = os.scandir

    def refused(folder: Path):  # noqa: ANN202
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refused)
    left = LeftOut()
    found = sorted(
        Path(entry).relative_to(spoiled).as_posix() for entry in images_under(spoiled, left, spoiled / "store")
    )
    assert found == ["a.jpg", "b/c/d.png", "b/d.png", "link.png"]
    assert left["linked folders"] == left["folders that cannot be read"] == 1


@pytest.mark.parametrize("suffix", [suffix for some in FORMATS.values() for suffix in some])
def test_every_ending_that_is_listed_is_decoded(suffix: str, tmp_path: Path) -> None:
    form = next(name for name, some in FORMATS.items() if suffix in some)
    Image.new("RGB", (9, 7), (200, 10, 30)).save(tmp_path / f"a{suffix}", format=form)
    image, _ = photograph(content_of(tmp_path / f"a{suffix}"))
    assert image.size == (9, 7) and abs(image.getpixel((4, 3))[0] - 200) < 8


def test_nothing_that_is_no_file_is_opened(spoiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pipe.jpg", "device.jpg", "folder.jpg"):
        with pytest.raises(BadImage, match="a folder, a pipe or a device"):
            content_of(spoiled / name)
    with pytest.raises(BadImage, match="there is no such file"):
        content_of(spoiled / "loop.jpg")
    monkeypatch.setattr("alexnet_lib.data.imagenet.decode.MOST_BYTES", 10)
    with pytest.raises(BadImage, match="bytes are no photograph"):
        content_of(spoiled / "a.jpg")


def test_prepare_passes_over_what_is_no_photograph_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = write_folders(tmp_path / "source")
    counts = {split: len(entries) for split, entries in find_source(source).splits.items()}
    spoil(next((source / "train").iterdir()))
    listed = find_source(source)
    assert {split: len(entries) for split, entries in listed.splits.items()} == counts
    command = ["data", "prepare-imagenet", str(source), str(tmp_path / "set"), "--side", "48", "--jobs", "1"]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith(f"left out: {SAID}\n")


def test_show_and_an_index_say_what_they_pass_over(spoiled: Path, capsys: pytest.CaptureFixture) -> None:
    (spoiled / "photographs").mkdir()
    (spoiled / "photographs" / "a.png").write_bytes(PHOTO)
    spoil(spoiled / "photographs")
    assert main(["data", "show", "--data", str(spoiled)]) == 0
    assert f"photographs, 1 images\n  source: photographs\n  left out: {SAID}\n" in capsys.readouterr().out
    left = LeftOut()
    assert [photo.path for photo in photos_of(spoiled / "photographs", spoiled / "store", left)] == ["a.png"]
    assert left.line() == f"left out: {SAID}"


def test_a_folder_of_another_users_or_a_loop_hides_no_data(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "loop").symlink_to("loop")
    (tree / "lost+found").mkdir()
    is_dir = Path.is_dir

    def refused(path: Path) -> bool:
        if "lost+found" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refused)
    assert find_cifar10(tree).folder == tree / "photos"


def test_a_name_that_is_not_utf8_is_listed_prepared_and_printed(tmp_path: Path) -> None:
    source = write_folders(tmp_path / "source")
    first = sorted((source / "train").rglob("*.JPEG"))[0]
    shutil.copyfile(first, os.path.join(os.fsencode(first.parent), b"caf\xe9\n$x$.JPEG"))
    (Path(os.fsdecode(os.path.join(os.fsencode(first.parent), b"bad\xe9.JPEG")))).write_bytes(b"\xff\xd8 no more")
    command = [sys.executable, "-m", "alexnet_lib", "data", "prepare-imagenet", str(source), str(tmp_path / "set")]
    command += ["--side", "48", "--jobs", "1", "--skip-bad"]
    strict = os.environ | {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, capture_output=True, env=strict)
    assert done.returncode == 0, done.stderr
    assert b"bad\\udce9.JPEG: " in done.stdout
