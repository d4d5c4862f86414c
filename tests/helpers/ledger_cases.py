"""Records made up for the tests of the ledger, written as the experiments write theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from alexnet_lib import records
from alexnet_lib.experiments import evidence
from alexnet_lib.experiments.running.tiny_runs import kept_name

LRN = ("lrn-cifar10", "5-passes")  # an experiment of claim C06, and one of its parts
SAME = [0.30, 0.31, 0.32]  # test errors by seed, of what others are compared with


def put(
    root: Path,
    experiment: str,
    run: str,
    result: dict[str, Any],
    seeds: list[int],
    *,
    claims: list[str] | None = None,
    curves: list | None = None,
    configuration: dict[str, Any] | None = None,
    images: int = 5_000,
    stand_in: bool = False,
    test_images: int = 1_000_000,
) -> None:
    """Write one record under `root`; of so many test images that they add no chance of their own, unless given."""
    data = {
        "name": "CIFAR-10",
        "source": "files",
        "checksum": "sha256:00",
        "images": images,
        "stand_in": stand_in,
        "test_images": test_images,
    }
    record = {
        "experiment": experiment,
        "run": run,
        "claims": claims or ["C06"],
        "configuration": configuration or {},
        "dataset": data,
        "seeds": seeds,
        "seconds": 1.0,
        "curves": curves or [],
        "result": result,
        **records.circumstances("some CPU", f"python -m alexnet_lib experiment {experiment}"),
    }
    records.write(record, root)


def put_variants(
    root: Path,
    experiment: str,
    part: str,
    errors: dict[str, list[float]],
    *,
    training: dict[str, list[float]] | None = None,
    views: dict[str, list[float]] | None = None,
    watched: dict[str, list[list[float]]] | None = None,
    complete: bool = True,
    images: int = 5_000,
    stand_in: bool = False,
    classes: int = 10,
    test_images: int = 1_000_000,
) -> None:
    """Write a record a variant: its test errors by seed, training errors (0 unless given), curves of four passes.

    The training error of the first passes is the test error. watched: by variant and seed, test errors pass by pass.
    """
    for name, values in errors.items():
        seeds = list(range(len(values)))
        curves = []
        for seed, error in enumerate(values):
            curve: dict[str, Any] = {"passes": [1.0, 2.0, 3.0, 4.0], "pass_error": [error] * 4}
            if watched:
                curve |= {"watched_test_error": watched[name][seed], "watched_training_loss": [1.0, 0.6, 0.4, 0.3]}
            curves.append({"seed": seed, "rate": 0.01, "pilot": False, "diverged_at": None, "curve": curve})
        result = {
            "complete": complete,
            "seeds": seeds,
            "rate": 0.01,
            "test_error": values,
            "training_error": (training or {}).get(name, [0.0] * len(values)),
        } | ({"views_error": {"ten": views[name]}} if views else {})
        settings = {"terms": {"stages": [3, 1]}, "classes": [str(n) for n in range(classes)]}
        put(
            root,
            experiment,
            f"{part}_{name}",
            result,
            seeds,
            curves=curves,
            configuration=settings,
            images=images,
            stand_in=stand_in,
            test_images=test_images,
        )


TEST_IMAGES, CLASSES = 1000, 50
BASE_LOSSES = [3.9, 3.5, 3.0, 2.5]  # nats after each of four passes


def wrong_images(error: float, seed: int) -> np.ndarray:
    """Which of the test images a made-up network gets wrong: the hardest, but for 2% that hang on its seed."""
    hardness = np.arange(TEST_IMAGES) / TEST_IMAGES
    moved = np.random.default_rng(seed).permutation(TEST_IMAGES)[: TEST_IMAGES // 50]
    hardness[moved] = hardness[np.roll(moved, 1)]
    return hardness < error


def put_study(
    root: Path,
    errors: dict[str, list[float]],
    *,
    training: dict[str, list[float]] | None = None,
    views: dict[str, list[float]] | None = None,
    losses: dict[str, list[float]] | None = None,
    answers: bool = False,
    stages: Sequence[float] = (),
    experiment: str = evidence.NAME,
    size: str = evidence.FULL.name,
) -> None:
    """Write a record a variant as the study's queue does, with the files beside it.

    errors: of the centre view by seed; views: by ten; training: of training images; losses: by pass, as trained and as
    evaluated. stages: errors before each drop of the rate. answers: also each image's softmax.
    """
    for name, values in errors.items():
        ten, learned = (views or {}).get(name, values), (training or {}).get(name, [0.3] * len(values))
        course = (losses or {}).get(name, BASE_LOSSES)
        curve = {"passes": [1, 2, 3, 4], "loss": course, "seen_loss": course, "validation_error": [0.9, 0.8, 0.6, 0.61]}
        runs = [
            {
                "seed": seed,
                "pilot": False,
                "ended": "passes",
                "rate": 0.01,
                "curve": curve,
                "test_error": error,
                "views_error": {"ten": ten[seed]},
                "training_error": learned[seed],
            }
            for seed, error in enumerate(values)
        ]
        result = {
            "complete": True,
            "seeds": list(range(len(values))),
            "rate": 0.01,
            "test_error": values,
            "training_error": learned,
            "views_error": {"ten": ten},
            "diverged": [],
            "top5_error": {"ten": [error / 2 for error in ten]},
        }
        settings = {"recipe": {"passes": 45}, "classes": [str(n) for n in range(CLASSES)], "registered": "2026-01-01"}
        run = f"{size}_{name}"
        put(
            root,
            experiment,
            run,
            result,
            result["seeds"],
            curves=runs,
            configuration=settings,
            images=12_500,
            test_images=TEST_IMAGES,
        )
        for seed, error in enumerate(values):
            bits = {"centre": error, "ten": ten[seed]} | {f"stage-{n}": each for n, each in enumerate(stages, 1)}
            tensors = {
                f"wrong-{which}": torch.from_numpy(np.packbits(wrong_images(each, seed)))
                for which, each in bits.items()
            }
            tensors["conv1.weight"] = torch.ones(2, 3, 2, 2)
            if answers:
                tensors |= made_up_answers(ten[seed], seed)
            about = {"images": str(TEST_IMAGES), "set": "00"}
            save_file(tensors, root / experiment / f"{run}{kept_name(seed)}", about)


def made_up_answers(error: float, seed: int) -> dict[str, torch.Tensor]:
    """Softmax in which wrong answers are less sure than right ones, and of other classes for each seed."""
    labels, wrong = torch.arange(TEST_IMAGES) % CLASSES, torch.from_numpy(wrong_images(error, seed))
    others = (labels + 1 + seed) % CLASSES
    answers = torch.full((TEST_IMAGES, CLASSES), 0.1 / CLASSES)
    answers[torch.arange(TEST_IMAGES), labels] += 0.4
    answers[torch.arange(TEST_IMAGES)[wrong], others[wrong]] += 0.5
    answers /= answers.sum(1, keepdim=True)
    return {"answers-ten": (255 * answers.sqrt()).round().to(torch.uint8), "labels": labels.to(torch.int16)}


def put_kernels(
    root: Path, fits: list[float], noise: list[float], shares: list[list[float]], variant: str = "paper"
) -> None:
    """Write a record of `kernel-fits`: by seed, mean fits of kernels and of noise, and each kernel's colour share."""
    runs = [
        {"seed": seed, "kernels": {"fit": [fit] * 4, "colour_share": share}, "noise": {"fit": [other] * 4}}
        for seed, (fit, other, share) in enumerate(zip(fits, noise, shares, strict=True))
    ]
    result = {"complete": True, "seeds": list(range(len(fits))), "mean_fit": fits, "mean_fit_of_noise": noise}
    put(
        root,
        "kernel-fits",
        f"{evidence.FULL.name}_{variant}",
        result,
        result["seeds"],
        claims=["C26", "C27"],
        curves=runs,
    )


def put_retrieval(root: Path, precision: dict[str, list[float]], pixel_rank: float = 0.3) -> None:
    """Write a record of `binary-codes`: precision at ten by method and seed."""
    seeds = list(range(len(next(iter(precision.values())))))
    result = {
        "complete": True,
        "seeds": seeds,
        "precision": {name: {"10": each} for name, each in precision.items()},
        "pixel_rank": [pixel_rank] * len(seeds),
    }
    planes = {
        f"features, {bits} bits{how}": {"10": [0.4] * len(seeds)}
        for bits in (64, 128, 256)
        for how in ("", " by planes")
    }
    result["precision"] = planes | result["precision"]
    put(
        root,
        "binary-codes",
        "10-classes-64-pixels-20-passes_retrieval",
        result,
        seeds,
        claims=["C29", "C30"],
        configuration={"classes": ["a", "b"]},
    )


def put_predictions(
    root: Path,
    off: list[float],
    on: list[float],
    confusions: list[list[int]],
    classes: tuple[str, ...] | list[str] = ("n01440764", "n01443537", "n02002724", "n02002556"),
) -> None:
    """Write a record of `predictions`: errors off and on the centre by seed, and all seeds' likeliest wrong labels.

    Half of 2,000 images are off the centre, and the first ones of each half are wrong.
    """
    seeds, run = list(range(len(off))), "10-classes-64-pixels-20-passes_predictions"
    result = {
        "complete": True,
        "seeds": seeds,
        "confusions": confusions,
        "centre": {"error_off_centre": off, "error_on_centre": on},
    }
    put(root, "predictions", run, result, seeds, claims=["C28"], configuration={"classes": list(classes)})
    count = 1000
    boxes = torch.tensor([[0, 0, 10, 10]] * count + [[0, 0, 63, 63]] * count)
    for seed in seeds:
        wrong = torch.cat([torch.arange(count) < error[seed] * count for error in (off, on)])
        answers = torch.zeros(2 * count, len(classes))
        answers[torch.arange(2 * count), wrong.long()] = 1.0
        kept = {"softmax-centre": answers.half()}
        if not seed:
            kept |= {"labels": torch.zeros(2 * count, dtype=torch.int64), "boxes": boxes}
        save_file(kept, root / "predictions" / f"{run}_seed-{seed}.safetensors")


def put_race(root: Path, nonlinearity: str, passes: list[float | None], architecture: str = "80sec") -> None:
    """Write a contender's record: by seed, passes to 25% training error; None where 40 passes were not enough."""
    curves = []
    for seed, taken in enumerate(passes):
        curve = {"passes": [taken or 40.0], "pass_error": [0.25 if taken else 0.3]}
        curves.append({"rate": 0.01, "seed": seed, "target_passes": taken, "curve": curve})
    result = {"complete": True, "sweep_done": True, "best_rate": 0.01}
    put(
        root,
        "relu-vs-tanh",
        f"{architecture}_2012_0-255_{nonlinearity}",
        result,
        list(range(len(passes))),
        curves=curves,
        configuration={"settings": {"passes": 40}},
        claims=["C01", "C02"],
    )
