"""The one progress bar (tqdm), shown where somebody watches, and gone when the loop ends.

In a terminal it is tqdm's own. In JupyterLab it stands in a display of its own that is emptied at the end, so a saved
notebook keeps nothing of it. A notebook run without a reader (jupyter-book, nbconvert, nbval) draws no bar at all:
such front ends say so, as they do not let the code ask for input.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(iterable: Iterable | None = None, *, total: int | None = None, desc: str = "", **options: Any) -> tqdm:
    """A tqdm bar over `iterable` (or of `total` steps, moved by `.update()`) that leaves nothing behind.

    >>> for epoch in nb.progress(range(10), desc="passes"): ...
    """
    options = {"leave": False, "dynamic_ncols": True, **options}
    if not options.get("disable") and _in_live_notebook():
        options |= {"file": _Display(), "ncols": 80, "dynamic_ncols": False}
        return _NotebookBar(iterable, total=total, desc=desc, **options)
    options.setdefault("disable", not sys.stderr.isatty())
    return tqdm(iterable, total=total, desc=desc, **options)


class _NotebookBar(tqdm):
    def close(self) -> None:
        """As tqdm's, then empties the display."""
        super().close()
        self.fp.clear()


class _Display(io.StringIO):
    """A file that shows the last thing written to it, in one display of the running cell."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = None

    def write(self, text: str) -> int:
        line = text.strip("\r\n ")
        if line:
            self._put({"text/plain": line})
        return len(text)

    def clear(self) -> None:
        if self.shown is not None:
            self._put({})
            self.shown = None

    def _put(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        if self.shown is None:
            self.shown = display(bundle, raw=True, display_id=True)
        else:
            self.shown.update(bundle, raw=True)


def _in_live_notebook() -> bool:
    """True in a kernel whose front end can ask its reader for input, as JupyterLab does and nbclient does not."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return False
    return bool(kernel.get_parent("shell").get("content", {}).get("allow_stdin"))
