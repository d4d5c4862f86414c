"""Preparing is stopped at any moment and goes on: the same bytes; and versions, sources and settings never mix."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from imagenet_trees import CLASSES, contents, drawn, encoded, write_folders

from alexnet_lib.data.imagenet import preparation, store, workers
from alexnet_lib.errors import DataError
from alexnet_lib.system.locks import only_one

OPTIONS = {"side": 16, "jobs": 1, "images_per_shard": 3}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 small images: 3 + 2 shards of OPTIONS."""
    return write_folders(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """256 links to 8 images that each take a few milliseconds: 8 shards of the usual size."""
    root = tmp_path_factory.mktemp("large")
    pictures = [encoded(drawn(i, 640, 420), quality=90) for i in range(8)]
    for i in range(256):
        path = root / "source" / CLASSES[i % 3] / f"{i:04}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < 8:
            path.write_bytes(pictures[i])
        else:
            os.link(root / "source" / CLASSES[i % 8 % 3] / f"{i % 8:04}.JPEG", path)
    return root / "source"


@pytest.fixture(scope="module")
def whole(large: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a run that nobody stops makes of it."""
    target = tmp_path_factory.mktemp("whole")
    preparation.prepare(large, target, side=64, jobs=1)
    return contents(target)


def start(source: Path, target: Path, *words: str, **options: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "alexnet_lib", "data", "prepare-imagenet", str(source), str(target)]
    options = {"preexec_fn": hear_ctrl_c, **options}
    return subprocess.Popen([*command, "--side", "64", *words], stderr=subprocess.PIPE, text=True, **options)


def hear_ctrl_c() -> None:
    """A shell has the processes that it starts in the background ignore it, and those that these start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def done(target: Path) -> int:
    return len(list((target / "train").glob("*.json")))


def children(process: int) -> list[int]:
    """Of this process and all below it."""
    try:
        found = [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return []
    return found + [below for child in found for below in children(child)]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 60) -> None:  # noqa: ANN001
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_killed_again_and_again_the_result_is_the_same_to_the_byte(
    large: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    """Killed as soon as one more shard is done, with its workers in the middle of others, until nothing is left."""
    target, kills, orphans = tmp_path / "set", 0, []
    while kills < 20:
        before = done(target)
        with start(large, target, "--jobs", "2") as process:
            wait_until(lambda at=before, p=process: done(target) > at or p.poll() is not None)
            below = children(process.pid) if process.poll() is None else []
            process.kill()
        if process.returncode == 0:
            break
        kills += 1
        orphans += below
    assert kills >= 3 and orphans, "hardly stopped at all"
    assert not any(map(alive, orphans))
    assert process.returncode == 0 and contents(target) == whole


def test_killed_at_random_moments(large: Path, whole: dict[str, str], tmp_path: Path) -> None:
    target, moments = tmp_path / "set", random.Random(0)
    for _ in range(6):
        with start(large, target, "--jobs", "2") as process:
            time.sleep(moments.uniform(0.1, 0.6))
            process.kill()
    preparation.prepare(large, target, side=64, jobs=1)
    assert contents(target) == whole


@pytest.fixture(scope="module")
def long(large: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,048 links to the same images: seconds of work on any machine."""
    root, pictures = tmp_path_factory.mktemp("long"), sorted(large.rglob("*.JPEG"))
    for i in range(2048):
        path = root / CLASSES[i % 3] / f"{i:04}.JPEG"
        path.parent.mkdir(exist_ok=True)
        os.link(pictures[i % len(pictures)], path)
    return root


def test_ctrl_c_ends_it_and_its_workers(long: Path, tmp_path: Path) -> None:
    target = tmp_path / "set"
    with start(long, target, "--jobs", "2", start_new_session=True) as process:
        wait_until(lambda: done(target) > 0)
        below = children(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        code, said = process.wait(20), process.stderr.read()
    wait_until(lambda: not any(map(alive, below)), 10)
    assert (code, said) == (130, "stopped by Ctrl-C\n")
    assert 0 < done(target) < 2048 // 32, "stopped on the way"
    for folder in (target, tmp_path / "whole"):
        preparation.prepare(long, folder, side=64, jobs=2)
    assert contents(target) == contents(tmp_path / "whole")


class Stopped(Exception):
    pass


@pytest.mark.parametrize("stop_at", range(0, 26, 2))
def test_stopped_at_each_step_of_writing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """Every rename is a step; stopped before one of them, nothing is done twice that was done."""
    preparation.prepare(source, tmp_path / "fresh", **OPTIONS)
    real, renames = os.replace, []

    def replace(a, b):  # noqa: ANN001, ANN202
        if len(renames) == stop_at:
            raise Stopped
        renames.append(Path(b).name)
        real(a, b)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace)
        try:
            preparation.prepare(source, tmp_path / "set", **OPTIONS)
        except Stopped:
            assert not (tmp_path / "set" / "index.json").exists()
    first = [name for name in renames if name.endswith(".json")]
    written = []
    monkeypatch.setattr(workers, "write_shard", lambda s: written.append(s) or store.write_shard(s))
    preparation.prepare(source, tmp_path / "set", **OPTIONS)
    assert contents(tmp_path / "set") == contents(tmp_path / "fresh")
    shards = [name for name in first if name not in ("plan.json", "index.json")]
    assert len(written) + len(shards) == 5


def unfinished(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, shards: int = 2) -> None:
    """Leave `target` as a run does that was stopped after so many shards."""
    real = preparation.write_shards

    def write_shards(waiting, *rest) -> Iterator[int]:  # noqa: ANN001
        yield from real(waiting[:shards], *rest)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(preparation, "write_shards", write_shards)
        with pytest.raises(Stopped):
            preparation.prepare(source, target, **OPTIONS)


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize(
    "options, said",
    [
        ({"side": 17}, "was begun with side 16, not 17"),
        ({"format": "jpeg"}, "was begun with format raw, not jpeg"),
        ({"resample": "bicubic"}, "was begun with resample bilinear, not bicubic"),
        ({"images_per_shard": 4}, "was begun with images_per_shard 3, not 4"),
    ],
)
def test_other_settings_are_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, said: str, complete: bool
) -> None:
    begin(source, tmp_path / "set", monkeypatch, complete)
    before = contents(tmp_path / "set")
    with pytest.raises(DataError, match=f"{said}.*give another folder, or delete that one"):
        preparation.prepare(source, tmp_path / "set", **(OPTIONS | options))
    assert contents(tmp_path / "set") == before


def begin(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, complete: bool) -> None:
    if complete:
        preparation.prepare(source, target, **OPTIONS)
    else:
        unfinished(source, target, monkeypatch)


@pytest.mark.parametrize("complete", [False, True])
def test_another_source_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complete: bool
) -> None:
    copied = shutil.copytree(source, tmp_path / "source")
    begin(copied, tmp_path / "set", monkeypatch, complete)
    image = copied / "train" / CLASSES[0] / f"{CLASSES[0]}_1.JPEG"
    image.write_bytes(encoded(drawn(99, 30, 30)))
    with pytest.raises(DataError, match="an image from train/n01440764/n01440764_0.JPEG to .* has changed since"):
        preparation.prepare(copied, tmp_path / "set", **OPTIONS)
    image.rename(image.with_name("renamed.JPEG"))
    with pytest.raises(DataError, match="was begun from another source, or images were added, removed"):
        preparation.prepare(copied, tmp_path / "set", **OPTIONS)


def test_another_version_or_decoder_is_refused(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished(source, tmp_path / "set", monkeypatch)
    plan = tmp_path / "set" / "unfinished" / "plan.json"
    begun = json.loads(plan.read_text())
    for change, said in (
        ({"version": 0}, r"another version of the format \(0; this library writes 1\)"),
        ({"decoder": "Pillow 1.0"}, "with Pillow 1.0, not Pillow .*, whose pixels may differ"),
    ):
        plan.write_text(json.dumps(begun | change))
        with pytest.raises(DataError, match=said):
            preparation.prepare(source, tmp_path / "set", **OPTIONS)
    plan.write_text("{")
    with pytest.raises(DataError, match=r"plan\.json cannot be read"):
        preparation.prepare(source, tmp_path / "set", **OPTIONS)


@pytest.mark.parametrize("name", ["train/00000.raw", "unfinished/train-00000.safetensors", "train/00000.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "changed"])
def test_what_a_loss_of_power_left_damaged_is_done_anew(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    """Changed bytes of a shard are looked for only where the machine was started anew."""
    unfinished(source, tmp_path / "set", monkeypatch)
    path = tmp_path / "set" / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-5] if damage == "cut" else bytes(len(content)))
    monkeypatch.setattr(store, "boot", lambda: "another")
    preparation.prepare(source, tmp_path / "set", **OPTIONS)
    preparation.prepare(source, tmp_path / "fresh", **OPTIONS)
    assert contents(tmp_path / "set") == contents(tmp_path / "fresh")


def test_a_disk_that_fills_up(large: Path, whole: dict[str, str], tmp_path: Path) -> None:
    """The real thing: files may not grow beyond 300,000 bytes, and the first shard has 393,216."""
    limit = 300_000
    done = start(
        large,
        tmp_path / "set",
        "--jobs",
        "2",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    said = done.communicate()[1]
    assert done.returncode == 2 and said.startswith(f"error: {tmp_path / 'set'}: the disk is full, or a file may not")
    assert "0 of 256 images are prepared; the same command goes on from there" in said
    preparation.prepare(large, tmp_path / "set", side=64, jobs=1)
    assert contents(tmp_path / "set") == whole


@pytest.mark.parametrize("stop_at", [0, 3, 4, 5])
def test_no_space_left_at_any_step(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int) -> None:
    real, left = os.replace, [stop_at]

    def replace(a, b):  # noqa: ANN001, ANN202
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(a, b)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace)
        with pytest.raises(DataError, match=r"No space left on device.*Make room: \d+ of 15 images"):
            preparation.prepare(source, tmp_path / "set", **OPTIONS)
    assert not list((tmp_path / "set").rglob("*.part")), "what could not be written must not fill the disk"
    preparation.prepare(source, tmp_path / "set", **OPTIONS)
    preparation.prepare(source, tmp_path / "fresh", **OPTIONS)
    assert contents(tmp_path / "set") == contents(tmp_path / "fresh")


def test_too_small_a_disk_is_noticed_before_anything_is_done(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda _: SimpleNamespace(free=11_519))
    with pytest.raises(DataError, match="set needs 0.0 GB more, .*--format jpeg"):
        preparation.prepare(source, tmp_path / "set", **OPTIONS)
    assert not list((tmp_path / "set").rglob("*.raw"))
    preparation.prepare(source, tmp_path / "set", **(OPTIONS | {"format": "jpeg"}))


def test_a_folder_that_may_not_be_written(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(a, b):  # noqa: ANN001, ANN202
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DataError, match="set cannot be written .*Permission denied"):
        preparation.prepare(source, tmp_path / "set", **OPTIONS)


def test_a_worker_that_is_killed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(workers._Worker):
        def __init__(self, lock: int) -> None:
            super().__init__(lock)
            self.process.kill()

    with monkeypatch.context() as patched:
        patched.setattr(workers, "_Worker", Killed)
        with pytest.raises(DataError, match=r"ended from outside \(exit status -9\).*try fewer --jobs"):
            preparation.prepare(source, tmp_path / "set", **(OPTIONS | {"jobs": 2}))
    preparation.prepare(source, tmp_path / "set", **OPTIONS)


def test_two_at_a_time_are_refused(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "PATIENCE", 0.1)
    (tmp_path / "set").mkdir()
    with only_one(tmp_path / "set"):
        with pytest.raises(DataError, match="another process is at work in .*set: wait for it"):
            preparation.prepare(source, tmp_path / "set", **OPTIONS)
    preparation.prepare(source, tmp_path / "set", **OPTIONS)


def test_folders_that_are_no_target(source: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for target, said in (
        (source, "lies in the source"),
        (source / "train" / "new", "lies in the source"),
        (tmp_path / "full", "is not empty, and holds no prepared images"),
        (tmp_path / "file", "cannot be made"),
        (tmp_path / "file" / "in", "cannot be made"),
    ):
        with pytest.raises(DataError, match=said):
            preparation.prepare(source, target, **OPTIONS)
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine" and not (source / "train" / "new").exists()
