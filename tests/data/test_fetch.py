"""Fetching CIFAR-10, from a server on this machine that behaves and misbehaves as servers do."""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import shutil
import signal
import tarfile
import urllib.request
from collections import namedtuple
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from archives import archive_of, write_batches
from download_server import Server

from alexnet_lib.commands import data
from alexnet_lib.commands.parsers import add_data_parser
from alexnet_lib.data import fetch as download
from alexnet_lib.data.cifar10 import load_cifar10
from alexnet_lib.data.fetch import CIFAR10
from alexnet_lib.errors import DataError
from alexnet_lib.system.locks import only_one

FOLDER, ARCHIVE = CIFAR10.folder, CIFAR10.file


pytestmark = pytest.mark.usefixtures("no_data_named")


@pytest.fixture(scope="module")
def batches(tmp_path_factory) -> Path:
    images = np.random.RandomState(0).randint(0, 256, (20, 3, 32, 32)).astype(np.uint8)
    return write_batches(tmp_path_factory.mktemp("published") / FOLDER, images, [i % 10 for i in range(20)])


@pytest.fixture(scope="module")
def archive(batches) -> bytes:
    return archive_of(batches)


@pytest.fixture
def serve():
    """serve(Server) -> its address, until the test ends."""
    with ExitStack() as running:
        yield lambda server: running.enter_context(server.running())


def fetch(root: Path, url: str, content: bytes, said: list[str] | None = None, unpacked: int = 100_000) -> Path:
    """Fetches as if `content` were what the publisher's md5 and length are of."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    published = replace(CIFAR10, url=url, md5=md5, size=len(content), unpacked=unpacked)
    return download.fetch(published, root, say=(said if said is not None else []).append)


def no_network(monkeypatch) -> None:
    def refuse(request, **options):
        raise AssertionError(f"opened {request.full_url}")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def test_fetch_brings_the_batches_and_a_second_time_does_nothing(tmp_path, serve, archive, batches, monkeypatch):
    server, said = Server(archive), []
    root = tmp_path / "new" / "root"
    target = fetch(root, serve(server), archive, said)
    assert target == root / FOLDER and server.asked == [None]
    assert [path.name for path in root.iterdir()] == [FOLDER]
    assert (target / "data_batch_3").read_bytes() == (batches / "data_batch_3").read_bytes()
    assert said[-1] == f"CIFAR-10 is at {target}"
    assert len(load_cifar10("train", root, stand_in=False)) == 20
    no_network(monkeypatch)
    assert fetch(root, "http://unused", archive, said) == target
    assert said[-1] == f"CIFAR-10 is already at {target}: nothing to do"


def test_published_archive_is_what_is_asked_for():
    assert CIFAR10.url == "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    assert (CIFAR10.size, CIFAR10.md5) == (170498071, "c58f30108f718f92721af3b95e74349a")
    assert (FOLDER, ARCHIVE) == ("cifar-10-batches-py", "cifar-10-python.tar.gz")


def test_broken_download_is_kept_and_resumed(tmp_path, serve, archive):
    server = Server(archive, at_most=1000)
    url = serve(server)
    with pytest.raises(DataError, match=f"broke off after 1,000 of {len(archive):,} bytes: run this again to go on"):
        fetch(tmp_path, url, archive)
    assert (tmp_path / f"{ARCHIVE}.part").read_bytes() == archive[:1000]
    server.at_most = None
    assert fetch(tmp_path, url, archive).is_dir()
    assert server.asked == [None, "bytes=1000-"]


def test_server_without_ranges_starts_clean(tmp_path, serve, archive):
    server = Server(archive, ranges=False)
    (tmp_path / f"{ARCHIVE}.part").write_bytes(archive[:10] + b"\0" * 490)
    assert fetch(tmp_path, serve(server), archive).is_dir()
    assert server.asked == ["bytes=500-"]


def test_part_longer_than_the_whole_starts_clean(tmp_path, serve, archive):
    server = Server(archive)
    (tmp_path / f"{ARCHIVE}.part").write_bytes(archive + b"more")
    assert fetch(tmp_path, serve(server), archive).is_dir()
    assert server.asked == [None]


def test_a_server_that_does_not_stop_is_cut_off_at_the_archives_size(tmp_path, serve, archive, monkeypatch):
    seen, copy = [], download._copy

    def watched(answer, part, *rest):
        copy(answer, part, *rest)
        seen.append(part.stat().st_size)

    monkeypatch.setattr(download, "_copy", watched)
    assert fetch(tmp_path, serve(Server(archive + bytes(3_000_000))), archive).is_dir()
    assert seen == [len(archive)]


def test_a_page_that_asks_for_a_login_is_not_the_beginning_of_an_archive(tmp_path, serve, archive):
    page = b"<!DOCTYPE html><title>Sign in</title>"
    with pytest.raises(DataError, match="sent something else than the archive; it was deleted. It may be the page of"):
        fetch(tmp_path, serve(Server(page)), archive)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / f"{ARCHIVE}.part").write_bytes(page)  # as it was kept once
    server = Server(archive)
    assert fetch(tmp_path, serve(server), archive).is_dir() and server.asked == [None]


def test_what_has_come_already_needs_no_room_again(tmp_path, archive, monkeypatch):
    no_network(monkeypatch)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 0, 100_000))
    (tmp_path / f"{ARCHIVE}.part").write_bytes(archive)
    assert fetch(tmp_path, "http://unused", archive).is_dir()


def test_whole_part_is_used_without_asking(tmp_path, archive, monkeypatch):
    no_network(monkeypatch)
    (tmp_path / f"{ARCHIVE}.part").write_bytes(archive)
    assert fetch(tmp_path, "http://unused", archive).is_dir()


def test_range_the_server_refuses_starts_clean(tmp_path, serve, archive):
    server = Server(archive[:800])  # the server's file is shorter than our part: answers 416
    (tmp_path / f"{ARCHIVE}.part").write_bytes(archive[:900])
    with pytest.raises(DataError, match="broke off after 800"):
        fetch(tmp_path, serve(server), archive)
    assert server.asked == ["bytes=900-", None]


def test_wrong_md5_names_both_sums_and_starts_clean_next_time(tmp_path, serve, archive):
    wrong = archive[:-1] + bytes([archive[-1] ^ 1])
    sums = [hashlib.md5(content, usedforsecurity=False).hexdigest() for content in (wrong, archive)]
    server = Server(wrong)
    url = serve(server)
    with pytest.raises(DataError, match=f"sent has md5 {sums[0]}, not {sums[1]}: it was deleted; run this again"):
        fetch(tmp_path, url, archive)
    assert list(tmp_path.iterdir()) == []
    server.content = archive
    assert fetch(tmp_path, url, archive).is_dir()


def test_own_archive_is_used_and_kept(tmp_path, archive, monkeypatch):
    no_network(monkeypatch)
    said = []
    (tmp_path / ARCHIVE).write_bytes(archive)
    assert fetch(tmp_path, "http://unused", archive, said).is_dir()
    assert said[0] == f"using the archive at {tmp_path / ARCHIVE}" and (tmp_path / ARCHIVE).exists()


def test_a_folder_another_process_fetches_into_is_left_alone(tmp_path, archive, monkeypatch):
    no_network(monkeypatch)
    (tmp_path / ARCHIVE).write_bytes(archive)
    with (
        only_one(tmp_path),
        pytest.raises(DataError, match=f"another process is at work in {tmp_path}: wait for it, or stop it"),
    ):
        fetch(tmp_path, "http://unused", archive)
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVE]
    assert fetch(tmp_path, "http://unused", archive).is_dir()


def test_what_another_process_brought_meanwhile_is_used(tmp_path, archive, batches, monkeypatch):
    no_network(monkeypatch)

    @contextmanager
    def waited_for(folder, patience):
        shutil.copytree(batches, folder / FOLDER)
        yield

    monkeypatch.setattr(download, "only_one", waited_for)
    assert fetch(tmp_path, "http://unused", archive) == tmp_path / FOLDER


def test_what_a_killed_process_had_unpacked_is_cleared_away(tmp_path, archive, monkeypatch):
    """Killed, not interrupted: nothing of ours runs any more, so the folder stays until the next fetch."""
    (tmp_path / ARCHIVE).write_bytes(archive)
    dying = os.fork()
    if dying == 0:
        monkeypatch.setattr(download, "unpack_tar", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        fetch(tmp_path, "http://unused", archive)
        os._exit(1)
    assert os.waitpid(dying, 0)[1] == signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2 and not (tmp_path / FOLDER).exists()
    fetch(tmp_path, "http://unused", archive)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([ARCHIVE, FOLDER])


def test_own_truncated_archive_is_refused_with_its_length(tmp_path, archive):
    (tmp_path / ARCHIVE).write_bytes(archive[:1234])
    with pytest.raises(DataError, match=r"cifar-10-python.tar.gz \(1,234 bytes\) has md5 .*it is cut short or changed"):
        fetch(tmp_path, "http://unused", archive)
    assert (tmp_path / ARCHIVE).exists() and not (tmp_path / FOLDER).exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:3],
        lambda whole: whole[:600],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:10] + b"\xff" * 50 + whole[60:],
        lambda whole: b"<html>not found</html>",
    ],
)
def test_damaged_archive_is_not_unpacked_though_its_md5_be_right(tmp_path, archive, damage):
    content = damage(archive)
    (tmp_path / ARCHIVE).write_bytes(content)
    with pytest.raises(DataError, match=f"{ARCHIVE} cannot be unpacked .*delete it and run this again"):
        fetch(tmp_path, "http://unused", content)
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVE]


def link(kind: bytes, name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member


@pytest.mark.parametrize(
    "bad",
    [
        {"../escaped": b"x"},
        {f"{FOLDER}/../../escaped": b"x"},
        {"/tmp/escaped_alexnet": b"x"},
        {f"{FOLDER}/..": b"x"},
        {"link": link(tarfile.SYMTYPE, f"{FOLDER}/data_batch_9")},
        {"link": link(tarfile.LNKTYPE, f"{FOLDER}/hard")},
        {"link": link(tarfile.CHRTYPE, f"{FOLDER}/device")},
        {"elsewhere/file": b"x"},
    ],
)
def test_unsafe_member_is_refused_and_nothing_kept(tmp_path, batches, bad):
    content, root = archive_of(batches, **bad), tmp_path / "deep" / "root"
    root.mkdir(parents=True)
    (root / ARCHIVE).write_bytes(content)
    with pytest.raises(DataError, match="is refused and nothing unpacked: '.*' is not a plain file of the folder"):
        fetch(root, "http://unused", content)
    assert [path.name for path in root.iterdir()] == [ARCHIVE]
    assert [path.name for path in tmp_path.rglob("*escaped*")] == [] and not Path("/tmp/escaped_alexnet").exists()


def test_archive_without_all_batches_is_refused(tmp_path, batches):
    shutil.copytree(batches, tmp_path / FOLDER)
    (tmp_path / FOLDER / "test_batch").unlink()
    content = archive_of(tmp_path / FOLDER)
    root = tmp_path / "root"
    root.mkdir()
    (root / ARCHIVE).write_bytes(content)
    with pytest.raises(DataError, match="test_batch is missing"):
        fetch(root, "http://unused", content)
    with pytest.raises(DataError, match=f"{FOLDER}/test_batch is missing: delete"):
        fetch(tmp_path, "http://unused", content)


def test_a_reader_that_has_seen_enough_is_not_the_folders_fault(tmp_path, serve, archive):
    def closed(line: str) -> None:
        raise BrokenPipeError

    (tmp_path / ARCHIVE).write_bytes(archive)
    with pytest.raises(BrokenPipeError):
        download.fetch(CIFAR10, tmp_path, say=closed)


def test_no_network_says_what_to_do(tmp_path, archive):
    with pytest.raises(DataError, match=f"cannot download http://127.0.0.1:9/x .*by hand to .*{ARCHIVE}.*ALEXNET_DATA"):
        fetch(tmp_path, "http://127.0.0.1:9/x", archive)


def test_page_not_found_says_so(tmp_path, serve, archive):
    server = Server(b"")  # nothing to send: the handler answers 416
    with pytest.raises(DataError, match=r"cannot download .*Requested Range Not Satisfiable.*run this again"):
        fetch(tmp_path, serve(server), archive)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_read_only_data_root(tmp_path, monkeypatch, archive, number):
    def failing(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", failing)
    said = rf"cannot be written \({os.strerror(number)}\): name another folder with --data"
    with pytest.raises(DataError, match=said):
        fetch(tmp_path / "root", "http://unused", archive)


def test_too_little_disk_is_said_before_anything_is_sent(tmp_path, monkeypatch, archive):
    no_network(monkeypatch)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 40_000_000))
    with pytest.raises(DataError, match="CIFAR-10 needs 190 MB .* has 40 MB free: free some, or name another"):
        fetch(tmp_path, "http://unused", archive, unpacked=CIFAR10.unpacked)


def test_disk_that_fills_while_downloading_keeps_what_can_be_resumed(tmp_path, serve, archive, monkeypatch):
    server, url = Server(archive), None
    url = serve(server)
    monkeypatch.setattr(download, "_CHUNK", 1000)

    class Filling:
        """An answer whose third piece no longer fits on the disk."""

        def __init__(self, answer):
            self.answer, self.read_so_far = answer, 0

        def read(self, n):
            self.read_so_far += n
            if self.read_so_far > 2000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.answer.read(n)

    copy = download._copy
    with monkeypatch.context() as full:
        full.setattr(download, "_copy", lambda answer, *rest: copy(Filling(answer), *rest))
        with pytest.raises(DataError, match=f"the disk of {tmp_path} is full: free .* and run this again"):
            fetch(tmp_path, url, archive)
    assert (tmp_path / f"{ARCHIVE}.part").read_bytes() == archive[:2000]
    assert fetch(tmp_path, url, archive).is_dir() and server.asked[-1] == "bytes=2000-"


def test_disk_that_fills_while_unpacking_leaves_no_half_folder(tmp_path, archive, monkeypatch):
    (tmp_path / ARCHIVE).write_bytes(archive)

    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", full)
        with pytest.raises(DataError, match="is full"):
            fetch(tmp_path, "http://unused", archive)
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVE]
    assert fetch(tmp_path, "http://unused", archive).is_dir()


def test_command_fetches_into_the_named_folder(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(download, "fetch", lambda data, root: asked.append((data, root)))
    parser = argparse.ArgumentParser()
    add_data_parser(parser.add_subparsers())
    args = parser.parse_args(["data", "fetch", "cifar10", "--data", str(tmp_path)])
    assert args.run(args) == 0 and asked == [(CIFAR10, tmp_path)]
    args = parser.parse_args(["data", "show", "--data", str(tmp_path)])
    assert args.run is data.run_show
    with pytest.raises(SystemExit):
        parser.parse_args(["data", "fetch", "imagenet"])
