"""The tree of nouns from which ImageNet's classes were taken: how alike in kind two classes are, and what both are.

A class's name, such as n01443537, is the place of a noun in WordNet 3.0. data/wordnet/nouns.tsv holds ImageNet's 1000
classes, Tiny ImageNet's 200 and all that is above them; `python -m alexnet_lib.data.wordnet` makes it from WordNet's
own files. Section 6.1 (mistakes that make sense). Taught in "Predictions".
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .. import ROOT
from ..errors import DataError, SettingError
from ..system.files import write_text

HYPERNYM = ("@", "@i")  # WordNet's signs for "is a kind of" and "is one of"


@dataclass(frozen=True)
class Noun:
    """A noun: its names, as WordNet lists them, and what it is a kind of (one noun, seldom more; none at the root)."""

    words: tuple[str, ...]
    kind_of: tuple[str, ...]


class Nouns(dict[str, Noun]):
    """Nouns by their place, such as "n01443537"; all that is above one of them is among them."""

    def above(self, name: str) -> dict[str, int]:
        """`name` and all that is above it, each with the least number of steps up. SettingError: not a noun here."""
        if name not in self:
            raise SettingError(f"{name!r} is not among these {len(self)} nouns: give a class such as n01443537")
        steps, rim = {name: 0}, [name]
        for one in rim:
            for up in self[one].kind_of:
                if up not in steps:
                    steps[up] = steps[one] + 1
                    rim.append(up)
        return steps

    def meet(self, one: str, other: str) -> tuple[str, int]:
        """What both are, by the shortest way from one to the other over a noun above both (of equally short ways, the
        one over the noun nearest to `one`); and the steps of that way."""
        ours, theirs = self.above(one), self.above(other)
        both = sorted((ours[name] + theirs[name], ours[name], name) for name in ours.keys() & theirs.keys())
        if not both:
            raise SettingError(f"{one} and {other} have nothing above them in common")
        return both[0][2], both[0][0]

    def steps(self, names: Sequence[str]) -> np.ndarray:
        """The steps between each two of these nouns: whole numbers, (n, n), 0 on the diagonal."""
        return np.array([[self.meet(one, other)[1] for other in names] for one in names])


@cache
def nouns(path: Path = ROOT / "data" / "wordnet" / "nouns.tsv") -> Nouns:
    """The nouns of a file that `write_nouns` made; without one, the book's. DataError: it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): get it again from the book's repository") from error
    found = Nouns()
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            continue
        try:
            name, kind_of, words = line.split("\t")
        except ValueError as error:
            raise DataError(f"{path}, line {number}: three fields wanted, parted by tabs, not {line[:40]!r}") from error
        found[name] = Noun(tuple(words.split(", ")), tuple(kind_of.split()))
    for name, noun in found.items():
        if lost := [up for up in noun.kind_of if up not in found]:
            raise DataError(f"{path}: {lost[0]}, above {name}, is missing: get it again from the book's repository")
    return found


def parsed(lines: Iterable[str]) -> Nouns:
    """All nouns of WordNet's data.noun (or of the files that it was cut into, one after the other)."""
    found = Nouns()
    for line in lines:
        if line.startswith(" "):  # the licence
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        words = tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * count : 2])
        pointers = fields[5 + 2 * count :]
        kind_of = tuple(f"n{pointers[at + 1]}" for at in range(0, len(pointers), 4) if pointers[at] in HYPERNYM)
        found[f"n{fields[0]}"] = Noun(words, kind_of)
    return found


def write_nouns(all_of_them: Mapping[str, Noun], names: Iterable[str], path: Path) -> int:
    """Write these nouns and all above them, sorted; how many. DataError: one that WordNet does not have."""
    try:
        kept = {above for name in names for above in Nouns(all_of_them).above(name)}
    except SettingError as error:
        raise DataError(str(error)) from error
    lines = [
        "# WordNet 3.0, Copyright 2006 by Princeton University; see LICENSE beside this file.",
        "# a noun's place, what it is a kind of, its names",
    ]
    lines += [
        "\t".join((name, " ".join(all_of_them[name].kind_of), ", ".join(all_of_them[name].words)))
        for name in sorted(kept)
    ]
    write_text(path, "\n".join(lines) + "\n")
    return len(kept)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the file of nouns again."""
    parser = argparse.ArgumentParser(prog="python -m alexnet_lib.data.wordnet", description=main.__doc__)
    parser.add_argument("--dict", type=Path, nargs="+", required=True, help="WordNet 3.0's dict/data.noun")
    parser.add_argument("--classes", type=Path, nargs="+", required=True, help="files with a class, n01443537, a line")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    args = parser.parse_args(arguments)
    every = parsed(line for path in args.dict for line in path.read_text(encoding="latin-1").splitlines())
    names = [line.split()[0] for path in args.classes for line in path.read_text("utf-8").splitlines() if line.strip()]
    print(f"{write_nouns(every, names, args.out):,} nouns in {args.out}")


if __name__ == "__main__":
    main()
