"""Nearest training images of each validation image: by the last hidden layer, by pixels and by binary codes of both
(claims C29, C30; question Q45), with the networks that `ablations` trains.

A seed is another network and another autoencoder. Small: three classes, two passes. Full: `python -m alexnet_lib
experiment binary-codes --full`. Taught in "Retrieval and binary codes".
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from .. import records
from ..binary_codes import HammingIndex, fit_autoencoder, hyperplane_codes
from ..crops import centre
from ..devices import describe_device, pick_device
from ..files import atomic_path
from ..imagenet_reader import PreparedImages
from ..retrieval import AT_ONCE, Neighbours, chance, features_of, nearest, pixels_of, precision_at
from .ablations import EXPERIMENT as ABLATIONS
from .common import recorded_before
from .imagenet_runs import final_net, outcome_of
from .imagenet_study import Job, Study, checksum, small
from .imagenet_study import dataset as dataset_of

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


def run_from(args: argparse.Namespace) -> list[Path]:
    """Train the networks that are not there, search by all methods, write the record after each seed."""
    size = STUDY.size(args.full, pick_device(args.device))
    job = Job.begin(STUDY, size, ["paper"], out=args.out, data=args.data, device=args.device, seeds=args.seeds)
    one, run = job.known[0], f"{size.name}_{RETRIEVAL}"
    settings = {**one.configuration, "bits": list(BITS), "ks": list(KS), "pixels": PIXELS, "passes": PASSES}
    before = recorded_before(NAME, run, job.out, settings, checksum(job.images))
    done = {outcome["seed"]: outcome for outcome in before.get("curves", ())}
    circumstances = records.circumstances(describe_device(job.device), records.command_line(sys.argv[1:]))
    path = job.out / NAME / f"{run}.json"
    left = [seed for seed in range(args.seeds or size.seeds) if seed not in done]
    if not left:
        print(f"{NAME}: all of it is recorded in {path}")
        return []
    for seed in left:
        began = time.monotonic()
        outcome_of(one.recipe, job.place(one.run), seed)
        done[seed], kept = searched(job, seed)
        done[seed]["seconds"] = time.monotonic() - began
        if seed == 0:
            write_kept(path, kept)
        records.write(record_of(job, run, settings, done, circumstances), job.out)
        told = done[seed]["precision"]
        print(f"seed {seed}: of {KEPT} neighbours {told['features'][str(KEPT)]:.1%} of the query's class by features, "
              f"{told['pixels'][str(KEPT)]:.1%} by pixels; chance {done[seed]['chance']:.1%}")  # fmt: skip
        sys.stdout.flush()
    return [path]


def record_of(job: Job, run: str, settings: dict, done: dict[int, dict], circumstances: dict) -> dict[str, Any]:
    """The record of the seeds that are done."""
    outcomes = [done[seed] for seed in sorted(done)]
    by_seed = {name: {k: [one["precision"][name][k] for one in outcomes] for k in ks}
               for name, ks in outcomes[0]["precision"].items()}  # fmt: skip
    return {
        "experiment": NAME, "run": run, "claims": list(STUDY.claims), **circumstances, "configuration": settings,
        "dataset": dataset_of(job.images), "seeds": sorted(done), "seconds": sum(one["seconds"] for one in outcomes),
        "curves": outcomes,
        "result": {
            "complete": len(done) >= job.size.seeds, "seeds": sorted(done), "chance": outcomes[0]["chance"],
            "precision": by_seed, "bytes": outcomes[0]["bytes"],
            "pixel_rank": [one["pixel_rank"] for one in outcomes],
        },
    }  # fmt: skip


def searched(job: Job, seed: int) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What one network's features, the pixels and the codes of both find; and what is kept beside the record."""
    one, place = job.known[0], job.place(job.known[0].run)
    net = final_net(one.recipe, place, seed, len(job.images.classes))
    scale = one.recipe.make_scale(job.images).to(job.device)
    val = PreparedImages(job.folder, "val")
    size = one.recipe.net.input_size
    vectors = {
        "features": [torch.cat([features_of(net, scale, some).cpu() for some in _batches(images)])
                     for images in (job.images, val)],
        "pixels": [torch.cat([torch.from_numpy(pixels_of(centre(some, size, size), PIXELS))
                              for some in _batches(images)]) for images in (job.images, val)],
    }  # fmt: skip
    labels = job.images.labels.numpy(), val.labels.numpy()
    found, codes, told = by_all_methods(vectors, seed, min(max(KS), len(job.images)), str(job.device))
    ks = [k for k in KS if k <= len(job.images)]
    precision = {name: dict(zip(map(str, ks), precision_at(one, *labels, ks).mean(axis=0).tolist(), strict=True))
                 for name, one in found.items()}  # fmt: skip
    outcome = {"seed": seed, "pilot": False, "precision": precision, "chance": chance(*labels), "bytes": told["bytes"],
               "loss": told["loss"], "pixel_rank": pixel_rank(*vectors["pixels"], found["features"])}  # fmt: skip
    kept = {f"{name.split(',')[0]}-{kind}": torch.from_numpy(one)
            for name, pair in codes.items() for kind, one in zip(("train", "val"), pair, strict=True)}  # fmt: skip
    kept |= {f"{name}-neighbours": torch.from_numpy(found[name].numbers[:, :KEPT].astype(np.int32))
             for name in ("features", "pixels", method("features", max(BITS)))}  # fmt: skip
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
            fitted = fit_autoencoder(base.to(device), bits, passes=PASSES, seed=seed)
            both = (base, queries)
            pairs = {"": tuple(fitted.net.codes(one.to(device)) for one in both),
                     "planes": tuple(hyperplane_codes(one, bits, seed, like=base) for one in both)}  # fmt: skip
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


def write_kept(record: Path, kept: dict[str, torch.Tensor]) -> None:
    """Codes and neighbours of the first seed, beside the record."""
    with atomic_path(record.with_name(f"{record.stem}_seed-0.safetensors")) as temporary:
        temporary.write_bytes(save({name: one.contiguous() for name, one in kept.items()}))


def _batches(images: PreparedImages) -> Iterator[torch.Tensor]:
    for start in range(0, len(images), AT_ONCE):
        yield images.images(range(start, min(start + AT_ONCE, len(images))))
