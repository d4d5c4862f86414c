"""What the chapter "Retrieval and binary codes" reads from the records of `binary-codes` and `bench retrieval`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .. import records
from ..bench.retrieval import BITS as TIMED
from ..bench.retrieval import EXACT, code_name
from ..origin import NOT_RUN
from .binary_codes import RETRIEVAL, STUDY
from .comparison_results import mean_and_spread
from .net_measures import best_recorded, load_kept


def recorded(root: Path | None = None) -> dict[str, Any]:
    """The record at the best size that has one; {} if there is none."""
    return best_recorded(STUDY, RETRIEVAL, root)


def keys(*found: dict[str, Any]) -> list[str]:
    """The keys of those records that are there."""
    return [records.key(one) for one in found if one]


def precision_rows(record: dict[str, Any]) -> list[list[str]]:
    """For a table, a row a method: bytes an image, then the precision at each k in per cent, mean ± spread over seeds;
    the last row is chance."""
    if not record:
        return [[NOT_RUN, "-", "-", "-", "-", "-"]]
    result = record["result"]
    ks = list(next(iter(result["precision"].values())))
    rows = [[name, f"{result['bytes'][name]:,}", *(mean_and_spread(by_k[k]) for k in ks)]
            for name, by_k in result["precision"].items()]  # fmt: skip
    return [*rows, ["chance", "-", *[f"{100 * result['chance']:.1f}"] * len(ks)]]


def speed_rows(record: dict[str, Any]) -> list[list[str]]:
    """For a table, a row a way to search: bytes an image, milliseconds a query, how many times as fast as exactly."""
    if not record:
        return [[NOT_RUN, "-", "-", "-"]]
    result = record["result"]
    speeds, exact = result["queries_per_second"], result["queries_per_second"][EXACT]["median"]
    sizes = {code_name(bits): result["bytes"][str(bits)] for bits in TIMED} | {EXACT: result["bytes_exact"]}
    return [[name, f"{size:,}", f"{1000 / speeds[name]['median']:.3g}", f"{speeds[name]['median'] / exact:,.0f}"]
            for name, size in sizes.items()]  # fmt: skip


def kept(record: dict[str, Any], root: Path | None = None) -> dict[str, torch.Tensor]:
    """Codes, neighbours and labels of the first seed. RecordError: the file that belongs to the record is not there."""
    return load_kept(record, root)
