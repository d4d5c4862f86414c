"""The tree of nouns: its file against what is known of it, ways in a tree drawn by hand, and how WordNet is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet_lib.data import wordnet
from alexnet_lib.data.wordnet import Noun, Nouns, nouns, parsed
from alexnet_lib.errors import DataError, SettingError

LICENCE = "  1 This software and database is being provided to you\n"
#   thing > animal > (bird, fish);  thing > pet > goldfish, and goldfish is a fish too
DATA = (
    LICENCE
    + """\
00000001 03 n 01 thing 0 001 ~ 00000002 n 0000 | all
00000002 05 n 02 animal 0 living_thing 1 002 @ 00000001 n 0000 ~ 00000003 n 0000 | moves | at least some
00000003 05 n 01 bird 0 001 @ 00000002 n 0000 | flies
00000004 05 n 01 fish 0 002 @ 00000002 n 0000 + 00000009 v 0101 | swims
00000005 05 n 01 pet 0 001 @ 00000001 n 0000 | kept
0000000a 05 n 01 goldfish 0 002 @ 00000004 n 0000 @ 00000005 n 0000 | both
0000000b 05 n 01 Wanda 0 001 @i 0000000a n 0000 | one of them
"""
)


@pytest.fixture
def tree() -> Nouns:
    return parsed(DATA.splitlines())


def test_wordnets_lines_are_read(tree: Nouns) -> None:
    assert len(tree) == 7 and tree["n00000001"] == Noun(("thing",), ())
    assert tree["n00000002"].words == ("animal", "living thing")
    assert tree["n00000004"].kind_of == ("n00000002",), "a pointer to a verb is no kind"
    assert tree["n0000000a"].kind_of == ("n00000004", "n00000005")
    assert tree["n0000000b"].kind_of == ("n0000000a",), "one of a kind"


def test_ways_in_the_tree(tree: Nouns) -> None:
    bird, fish, pet, goldfish = "n00000003", "n00000004", "n00000005", "n0000000a"
    assert tree.above(goldfish) == {goldfish: 0, fish: 1, pet: 1, "n00000002": 2, "n00000001": 2}
    assert tree.meet(bird, fish) == ("n00000002", 2) and tree.meet(goldfish, goldfish) == (goldfish, 0)
    assert tree.meet(goldfish, fish) == (fish, 1), "a noun above the other is where they meet"
    assert tree.meet(goldfish, pet) == (pet, 1), "the shortest way, of two"
    assert tree.steps([bird, fish, pet]).tolist() == [[0, 2, 3], [2, 0, 3], [3, 3, 0]]


def test_what_is_no_noun_is_named(tree: Nouns) -> None:
    with pytest.raises(SettingError, match="'cat' is not among these 7 nouns"):
        tree.above("cat")
    with pytest.raises(SettingError, match="nothing above them in common"):
        Nouns({"a": Noun(("a",), ()), "b": Noun(("b",), ())}).meet("a", "b")


def test_the_books_file_has_imagenets_classes_and_all_above_them() -> None:
    found = nouns()
    assert len(found) == 1860, "as many as ImageNet's own development kit lists for its 1000 classes"
    roots = [name for name, noun in found.items() if not noun.kind_of]
    assert roots == ["n00001740"] and found[roots[0]].words == ("entity",)
    leaves = found.keys() - {up for noun in found.values() for up in noun.kind_of}
    assert len(leaves) == 1000
    tench, goldfish, stork = "n01440764", "n01443537", "n02002724"
    assert found[tench].words == ("tench", "Tinca tinca")
    assert found.meet(tench, goldfish)[0] in found.above(goldfish)
    assert found.meet(tench, goldfish)[1] < found.meet(tench, stork)[1]
    assert "vertebrate" in found[found.meet(tench, stork)[0]].words


def test_a_part_is_written_and_read_again(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first, second = DATA.splitlines(keepends=True)[:4], DATA.splitlines(keepends=True)[4:]
    for number, part in enumerate((first, second)):
        (tmp_path / f"data.noun{number}").write_text("".join(part))
    (tmp_path / "classes.txt").write_text("n00000003 bird\n\nn0000000a\n")
    arguments = [
        "--dict",
        *(str(tmp_path / f"data.noun{number}") for number in (0, 1)),
        "--classes",
        str(tmp_path / "classes.txt"),
        "--out",
        str(tmp_path / "nouns.tsv"),
    ]
    wordnet.main(arguments)
    assert "6 nouns" in capsys.readouterr().out
    again = nouns(tmp_path / "nouns.tsv")
    assert "n0000000b" not in again, "nothing below a class is kept"
    assert again["n0000000a"] == Noun(("goldfish",), ("n00000004", "n00000005"))
    assert np.array_equal(again.steps(["n00000003", "n0000000a"]), [[0, 3], [3, 0]])


def test_a_class_that_wordnet_does_not_have_is_named(tree: Nouns, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="n99999999"):
        wordnet.write_nouns(tree, ["n99999999"], tmp_path / "nouns.tsv")
    assert not (tmp_path / "nouns.tsv").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n1\tn2\ta\n", "n2, above n1, is missing"),
        ("# all\nn1 n2\n", "line 2: three fields wanted"),
        (None, "cannot be read"),
    ],
)
def test_a_damaged_file_is_named(text: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "nouns.tsv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=said):
        nouns(path)
