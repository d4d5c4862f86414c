"""What `pytest --nbval` lets pass and must not: a cell that ran out of time, and cells that were not judged after it.
And what it must not compare, wherever it is called from.

nbval interrupts a cell after --nbval-cell-timeout seconds. If the cell's code takes the interruption as a reader's
wish and ends well, nbval calls it passed; every later cell of the notebook is then only expected to fail.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from nbval.plugin import IPyNbCell

from alexnet_lib import ROOT


def pytest_configure(config: pytest.Config) -> None:
    if config.option.nbval_sanitize_with is None:
        config.option.nbval_sanitize_with = str(ROOT / "tests" / "nbval_sanitize.cfg")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, Any, pytest.TestReport]:
    report = yield
    if isinstance(item, IPyNbCell) and call.when == "call" and item.parent.timed_out:
        if getattr(report, "wasxfail", None) is not None:
            del report.wasxfail
            report.outcome, report.longrepr = "failed", "This cell was not judged: one before it ran out of time."
        elif report.passed:
            seconds = item.config.option.nbval_cell_timeout
            report.outcome = "failed"
            report.longrepr = f"This cell ran out of time: it was interrupted after {seconds:g} seconds, and went on."
    return report
