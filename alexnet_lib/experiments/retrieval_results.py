"""What the chapter "Retrieval and binary codes" reads from the records of `binary-codes` and `bench retrieval`."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import torch

from .. import records
from ..bench.retrieval import BITS as TIMED
from ..bench.retrieval import EXACT, code_name
from ..effects import Effect, Sample, paired, told
from ..origin import NOT_RUN
from .binary_codes import BITS, RETRIEVAL, STUDY, method
from .comparison_results import mean_and_spread
from .net_measures import load_kept


def recorded(root: Path | None = None) -> dict[str, Any]:
    """The record that is shown; {} if there is none."""
    return STUDY.shown(root).get(RETRIEVAL, {})


def keys(*found: dict[str, Any]) -> list[str]:
    """The keys of those records that are there."""
    return [records.key(one) for one in found if one]


def precision_rows(record: dict[str, Any]) -> list[list[str]]:
    """For a table, a row a method but for the drawn planes: bytes an image, then the precision at each k in per cent,
    mean ± spread over seeds; the last row is chance."""
    if not record:
        return [[NOT_RUN, "-", "-", "-", "-", "-"]]
    result = record["result"]
    ks = list(next(iter(result["precision"].values())))
    rows = [[name, f"{result['bytes'][name]:,}", *(mean_and_spread(by_k[k]) for k in ks)]
            for name, by_k in result["precision"].items() if not name.endswith(" by planes")]  # fmt: skip
    return [*rows, ["chance", "-", *[f"{100 * result['chance']:.1f}"] * len(ks)]]


def found_more(record: dict[str, Any], one: str, other: str, k: int = 10) -> Effect | None:
    """By how much the precision at k is higher by method `one` than by `other`, with the same networks; None for one
    seed. What each query found is not kept, so the queries' part in the error is an upper limit."""
    missed = [[1 - share for share in record["result"]["precision"][name][str(k)]] for name in (one, other)]
    queries = record["dataset"]["test_images"]
    return paired(*(Sample(tuple(each), images=queries, mean_error=statistics.mean(each)) for each in missed))


def plane_rows(record: dict[str, Any]) -> list[list[str]]:
    """For a table, a row a length of code, of features and of pixels: precision at ten in per cent by the autoencoder's
    codes and by drawn planes, mean over seeds, and how many points the first are better, with the 95% interval."""
    if not record:
        return [[NOT_RUN, "-", "-", "-"]]
    rows = []
    for of in ("features", "pixels"):
        for bits in BITS:
            learned, drawn = (method(of, bits, how) for how in ("", "planes"))
            means = (statistics.mean(record["result"]["precision"][name]["10"]) for name in (learned, drawn))
            better = told(found_more(record, learned, drawn)) or "1 seed: cannot tell"
            rows.append([learned, *(f"{100 * mean:.1f}" for mean in means), better])
    return rows


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
