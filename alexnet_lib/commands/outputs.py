"""What commands draw and list: each file whole or not at all, and never over a file that they did not make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, first_line
from ..system.files import DRAWN, atomic_path, is_drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def is_free(path: Path, header: str = "") -> bool:
    """Whether nothing stands there, or a file of ours: a picture that we drew, or a list that begins with `header` if
    one is given. DataError: it cannot be read."""
    try:
        return not path.exists() or path.is_file() and (_begins(path, header) if header else is_drawn(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {first_line(error)}") from error


def check_free(path: Path, header: str = "") -> None:
    """DataError unless it `is_free`."""
    if not is_free(path, header):
        raise DataError(f"{path} is there and not made by this command: give another --out, or move it away")


def _begins(path: Path, header: str) -> bool:
    with open(path, "rb") as file:
        return file.read(len(header.encode())) == header.encode()


def save(fig: Figure, path: Path, dpi: float) -> None:
    """A figure as PNG on white; closes it. DataError: it cannot be written, or somebody else's file stands there."""
    import matplotlib.pyplot as plt

    check_free(path)
    with written(path) as temporary:
        fig.savefig(temporary, format="png", dpi=dpi, facecolor="white", metadata={"Software": DRAWN})
    plt.close(fig)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """As `atomic_path`. DataError: it cannot be written."""
    try:
        with atomic_path(path) as temporary:
            yield temporary
    except OSError as error:
        raise DataError(f"{path} cannot be written: {first_line(error)}") from error
