"""Nearest training images of each validation image: by the last hidden layer, by pixels and by binary codes of both
(claims C29, C30; question Q45), with the networks that `ablations` trains.

A seed is another network and another autoencoder. Small: three classes, two passes. Full: `python -m alexnet_lib
experiment binary-codes --full`. Taught in "Retrieval and binary codes".
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import records
from ..augment.crops import centre
from ..data.imagenet.reader import PreparedImages
from ..measures.binary_codes import HammingIndex, fit_autoencoder, hyperplane_codes
from ..measures.effects import Effect, Sample, paired
from ..measures.retrieval import AT_ONCE, Neighbours, chance, features_of, nearest, pixels_of, precision_at
from ..system.progress import progress
from .ablations import EXPERIMENT as ABLATIONS
from .running.net_measures import Measures, in_batches, load_kept
from .running.study import Job, Study, small
from .running.study_runs import final_net

NAME = "binary-codes"
SUMMARY = "retrieval by features, by pixels and by autoencoders' binary codes, on Tiny ImageNet (C29, C30)"
RETRIEVAL = "retrieval"
BITS, KS = (64, 128, 256), (1, 5, 10, 50)
KEPT = 10  # neighbours of each query that are kept beside the record
PIXELS = 32  # side to which images are brought before their pixels are compared
PASSES = 30  # of an autoencoder
STUDY = Study(
    NAME, ("C29", "C30"), {"paper": ()}, small(), replace(ABLATIONS.on_cpu, seeds=3), replace(ABLATIONS.on_gpu, seeds=3)
)


def method(of: str, bits: int | None = None, how: str = "") -> str:
    """The name of a way to search: "features", "pixels, 64 bits", "features, 64 bits by planes"."""
    return of if bits is None else f"{of}, {bits} bits{f' by {how}' if how else ''}"


def result_of(outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over the seeds: chance, precision at each k by method, bytes, how near in pixels what features find is."""
    first = outcomes[0]
    by_seed = {
        name: {k: [one["precision"][name][k] for one in outcomes] for k in ks}
        for name, ks in first["precision"].items()
    }
    return {
        "chance": first["chance"],
        "precision": by_seed,
        "bytes": first["bytes"],
        "pixel_rank": [one["pixel_rank"] for one in outcomes],
    }


def said(outcome: dict[str, Any]) -> str:
    """One line about a seed."""
    told = outcome["precision"]
    return (
        f"of {KEPT} neighbours {told['features'][str(KEPT)]:.1%} of the query's class by features, "
        f"{told['pixels'][str(KEPT)]:.1%} by pixels; chance {outcome['chance']:.1%}"
    )


def searched(job: Job, seed: int) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What one network's features, the pixels and the codes of both find; and what is kept beside the record."""
    one = job.known[0]
    net = final_net(one.recipe, one.place, seed, len(job.images.classes))
    scale = one.recipe.make_scale(job.images).to(job.device)
    val = PreparedImages(job.folder, "val")
    size = one.recipe.net.input_size
    vectors = {
        "features": [
            torch.cat([features_of(net, scale, some).cpu() for some in in_batches(images, AT_ONCE)])
            for images in (job.images, val)
        ],
        "pixels": [
            torch.cat(
                [torch.from_numpy(pixels_of(centre(some, size, size), PIXELS)) for some in in_batches(images, AT_ONCE)]
            )
            for images in (job.images, val)
        ],
    }
    labels = job.images.labels.numpy(), val.labels.numpy()
    found, codes, told = by_all_methods(vectors, seed, min(max(KS), len(job.images)), str(job.device))
    ks = [k for k in KS if k <= len(job.images)]
    precision = {
        name: dict(zip(map(str, ks), precision_at(one, *labels, ks).mean(axis=0).tolist(), strict=True))
        for name, one in found.items()
    }
    outcome = {
        "precision": precision,
        "chance": chance(*labels),
        "bytes": told["bytes"],
        "loss": told["loss"],
        "pixel_rank": pixel_rank(*vectors["pixels"], found["features"]),
    }
    kept = {
        f"{name.split(',')[0]}-{kind}": torch.from_numpy(one)
        for name, pair in codes.items()
        for kind, one in zip(("train", "val"), pair, strict=True)
    }
    kept |= {
        f"{name}-neighbours": torch.from_numpy(found[name].numbers[:, :KEPT].astype(np.int32))
        for name in ("features", "pixels", method("features", max(BITS)))
    }
    return outcome, kept | {"labels-train": job.images.labels, "labels-val": val.labels}


def by_all_methods(
    vectors: dict[str, list[torch.Tensor]], seed: int, k: int, device: str
) -> tuple[dict[str, Neighbours], dict[str, tuple[np.ndarray, np.ndarray]], dict[str, dict]]:
    """By method: what is found; the longest codes of base and queries; bytes of an image, losses of autoencoders.

    vectors: by what they are of, those of the base and of the queries.
    """
    found, longest, told = {}, {}, {"bytes": {}, "loss": {}}
    for of, (base, queries) in vectors.items():
        found[of] = nearest(base.numpy(), queries.numpy(), k, device=device)
        told["bytes"][of] = 4 * base.shape[1]
        for bits in BITS:
            with progress(total=PASSES, desc=f"autoencoder of {method(of, bits)}") as bar:
                fitted = fit_autoencoder(
                    base.to(device), bits, passes=PASSES, seed=seed, report=lambda number, loss, bar=bar: bar.update()
                )
            both = (base, queries)
            pairs = {
                "": tuple(fitted.net.codes(one.to(device)) for one in both),
                "planes": tuple(hyperplane_codes(one, bits, seed, like=base) for one in both),
            }
            for how, (codes, asked) in pairs.items():
                name = method(of, bits, how)
                found[name], told["bytes"][name] = HammingIndex(codes, seed).search(asked, k), bits // 8
            told["loss"][method(of, bits)] = fitted.losses[-1]
            longest[method(of, bits)] = pairs[""]
    return found, {name: longest[name] for name in (method(of, max(BITS)) for of in vectors)}, told


def pixel_rank(base: torch.Tensor, queries: torch.Tensor, found: Neighbours) -> float:
    """The mean share of the base that is nearer to a query in pixels than what features found first: 0 if that is the
    nearest in pixels too, 1/2 if pixels know nothing of it."""
    shares = []
    for query, numbers in zip(queries, found.numbers, strict=True):
        far = (base - query).pow(2).sum(dim=1)
        shares.append(float((far < far[int(numbers[0])]).float().mean()))
    return float(np.mean(shares))


def run_from(args: argparse.Namespace) -> list[Path]:
    """Train the networks that are not there, search by all methods, write the record after each seed."""
    settings = {"bits": list(BITS), "ks": list(KS), "pixels": PIXELS, "passes": PASSES}
    return Measures(STUDY, RETRIEVAL, settings, searched, result_of, said).run_from(args)


def recorded(root: Path | None = None) -> dict[str, Any]:
    """The record that is shown; {} if there is none."""
    return STUDY.shown(root).get(RETRIEVAL, {})


def keys(*found: dict[str, Any]) -> list[str]:
    """The keys of those records that are there."""
    return [records.key(one) for one in found if one]


def found_more(record: dict[str, Any], one: str, other: str, k: int = 10) -> Effect | None:
    """By how much the precision at k is higher by method `one` than by `other`, with the same networks; None for one
    seed. What each query found is not kept, so the queries' part in the error is an upper limit."""
    missed = [[1 - share for share in record["result"]["precision"][name][str(k)]] for name in (one, other)]
    queries = record["dataset"]["test_images"]
    return paired(*(Sample(tuple(each), images=queries, mean_error=statistics.mean(each)) for each in missed))


def kept(record: dict[str, Any], root: Path | None = None) -> dict[str, torch.Tensor]:
    """Codes, neighbours and labels of the first seed. RecordError: the file that belongs to the record is not there."""
    return load_kept(record, root)
