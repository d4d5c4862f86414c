"""Label files as nobody meant them: any bytes give labels, or a line that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alexnet_lib.data.imagenet.labels import WORDS_FILES, read_labels, read_words
from alexnet_lib.errors import DataError

CLASSES, NAMES = ("n01", "n02"), ("a.JPEG", "b.jpg", "c.png")
LINES = st.lists(
    st.tuples(st.sampled_from((*NAMES, "a", "ImageId", "")), st.sampled_from((*CLASSES, "0", "1", "9" * 30, "²", ""))),
    max_size=6,
).map(lambda rows: "\n".join(", ".join(row) for row in rows).encode())


@given(content=st.binary(max_size=200) | LINES)
@example(content=b"\xef\xbb\xbfa,n01\r\nb n02\r\nc,n02\r\n")
@example(content="a,n01\x85b,n02\u2028c,n01".encode())
@example(content=b"a,n01\nb,n02\nc,\xb2")
@example(content=b"\0" * 100)
def test_any_bytes_are_labels_or_are_refused_by_name(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "labels.txt"
    path.write_bytes(content)
    try:
        found = read_labels(path, CLASSES, NAMES)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert len(found) == len(NAMES) and set(found) == {0, 1}


@given(content=st.binary(max_size=200) | LINES)
def test_any_bytes_are_words_or_none(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / WORDS_FILES[0]).write_bytes(content)
    found = read_words(folder, CLASSES)
    assert len(found) == len(CLASSES) and all(word is None or word.strip() for word in found)


def test_words_that_cannot_be_read_are_none_or_named(tmp_path: Path) -> None:
    (tmp_path / WORDS_FILES[0]).mkdir()  # a folder of that name is passed over
    assert read_words(tmp_path, CLASSES) == (None, None)
