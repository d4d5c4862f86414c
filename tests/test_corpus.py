"""Every file of tests/corpus, handed to every reader: it gives a value or one of our errors, in little memory.

The files are cut short, lie about their size, would run code, or are something else than their names say.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet_lib import ROOT, records
from alexnet_lib.data.cifar10_files import read_batch
from alexnet_lib.data.imagenet.decode import BadImage, square
from alexnet_lib.data.imagenet.labels import WORDS_FILES, read_labels, read_words
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.data.photographs import read_photograph
from alexnet_lib.data.unpacking import unpack_tar, unpack_zip
from alexnet_lib.errors import AlexNetLibError
from alexnet_lib.training import checkpoints
from alexnet_lib.training.run_folder import SCALE_FILE, read_log, read_scale, read_settings

CORPUS = sorted((ROOT / "tests" / "corpus").iterdir())


def named(name: str, read: Callable[[Path], Any]) -> Callable[[Path, Path], Any]:
    """A reader of a folder, of which the file is the one that is called so."""

    def reader(path: Path, folder: Path) -> Any:
        shutil.copyfile(path, folder / name)
        return read(folder)

    return reader


READERS: dict[str, Callable[[Path, Path], Any]] = {
    "photograph": lambda path, _: read_photograph(path),
    "ImageNet's image": lambda path, _: square(path.read_bytes(), 256, "bilinear"),
    "record": lambda path, _: records.read(path),
    "CIFAR-10's batch": lambda path, _: read_batch(path),
    "labels": lambda path, _: read_labels(path, ("n01", "n02"), ("a.jpg", "b.jpg")),
    "words": named(WORDS_FILES[0], lambda folder: read_words(folder, ("n01", "n02"))),
    "settings": named("settings.json", read_settings),
    "log": named("log.jsonl", read_log),
    "scale": named(SCALE_FILE, read_scale),
    "index": named("index.json", PreparedImages),
    "checkpoint": lambda path, _: checkpoints.load(path, {}),
    "tar": lambda path, folder: unpack_tar(path, folder / "unpacked", ()),
    "zip": lambda path, folder: unpack_zip(path, folder / "unpacked", ()),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_hostile_file_gives_a_value_or_an_error_of_ours(
    reader: str, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    assert len(CORPUS) >= 50
    for path in CORPUS:
        try:
            READERS[reader](path, tmp_path)
        except (AlexNetLibError, BadImage) as error:
            assert "\n" not in str(error), f"{path.name}: {error}"
    assert "this file ran code" not in capfd.readouterr().out


EDITS = st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=6)), max_size=5)


@pytest.mark.filterwarnings("ignore")  # Pillow's, about the damage
@given(path=st.sampled_from(CORPUS), edits=EDITS, reader=st.sampled_from(list(READERS)))
def test_any_bytes_in_the_midst_of_a_hostile_file_change_nothing_of_that(
    path: Path, edits: list[tuple[int, bytes]], reader: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(path.read_bytes())
    for place, put in edits:
        place = min(place, len(content))
        content[place : place + len(put)] = put
    folder = tmp_path_factory.getbasetemp()
    (folder / path.name).write_bytes(content)
    try:
        READERS[reader](folder / path.name, folder)
    except (AlexNetLibError, BadImage) as error:
        assert "\n" not in str(error)


MEMORY = """
import sys
from pathlib import Path
sys.path[:0] = ["tests", "tests/helpers"]
from test_corpus import CORPUS, READERS
def most():  # kB; getrusage's would be that of the process that started this one
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = most()
for path in CORPUS:
    for read in READERS.values():
        try:
            read(path, Path(sys.argv[1]))
        except Exception:
            pass
print((most() - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
def test_no_small_file_takes_half_a_gigabyte(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 250, "MB"
