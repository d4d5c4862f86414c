"""Errors that a reader can mend: each message names the file or value and says what to do next."""

from __future__ import annotations

import os


class AlexNetLibError(Exception):
    """Base of every error this library raises on purpose; the command line prints it without a traceback."""


class DataError(AlexNetLibError):
    """A data set is missing, damaged, or not what its name says."""


class RecordError(AlexNetLibError):
    """A recorded run cannot be read, or is not complete."""


class SettingError(AlexNetLibError):
    """An option, a hyper-parameter or a device that cannot be used."""


class TrainingError(AlexNetLibError):
    """Training cannot go on; `step` is the step at which the loss stopped being a number, where that was the reason."""

    def __init__(self, message: str, step: int | None = None):
        super().__init__(message)
        self.step = step


def first_line(error: BaseException) -> str:
    """What a library's error says, for a message of our own: its first line that says more than what failed, at most
    200 characters of it."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    said = next((line for line in lines if line and not line.endswith(":")), lines[0])
    return f"{said[:180]} is missing" if isinstance(error, KeyError) else said[:200]


def printable(name: str | os.PathLike) -> str:
    """A name as text that a terminal or a figure can show: control characters, and bytes that are no UTF-8, as escapes
    such as \\n and \\udce9."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in os.fspath(name))


def check_counts(args: object, *options: str) -> None:
    """Raise SettingError unless each of these options that was given is a whole number of 1 or more."""
    for option in options:
        if (given := getattr(args, option)) is not None and given < 1:
            raise SettingError(f"--{option.replace('_', '-')} {given}: give a whole number of 1 or more")


def check_seed(seed: int, bits: int = 63) -> None:
    """Raise SettingError unless random numbers can begin at it."""
    if not -(2**bits) <= seed < 2**bits:
        raise SettingError(f"--seed {seed}: give a whole number below 2^{bits}")


def out_of_memory(error: BaseException) -> bool:
    """Whether the computer's or a GPU's memory was too small, in Python's, NumPy's or PyTorch's words."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(some in str(error).lower() for some in words)
    )
