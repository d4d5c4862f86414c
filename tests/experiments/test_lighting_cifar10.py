"""The experiment on colours: its plans, its noises, and a whole tiny one."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_sets import write_tree

from alexnet_lib import experiments, records
from alexnet_lib.augment import ColorPCA, PixelScale
from alexnet_lib.augment.jitter import ColorJitter
from alexnet_lib.experiments import lighting_cifar10
from alexnet_lib.experiments.lighting_cifar10 import LABELS, NET, NOISE, VARIANTS
from alexnet_lib.experiments.results import results_of
from alexnet_lib.experiments.running.comparison import Terms
from alexnet_lib.experiments.running.comparison_runs import Change, Part
from alexnet_lib.experiments.running.pixels import NOISES, generator_for, with_noise
from alexnet_lib.network.small.locally_connected import ConvLocalConfig

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGES = torch.randint(0, 256, (8, 3, 10, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SCALE = PixelScale.fit(IMAGES)
CENTRES = IMAGES[:, :, 1:9, 1:9]


def test_the_plans_are_registered_and_sound() -> None:
    assert experiments.get("lighting-cifar10") is lighting_cifar10
    names = []
    for full, on_gpu in ((False, False), (True, False), (True, True)):
        for part in lighting_cifar10.EXPERIMENT.plan(full, on_gpu):
            names.append(part.name)
            assert part.seeds >= (3 if full else 1) and list(part.variants) == list(LABELS)
            for entry in part.entries():
                assert entry.net == NET and entry.terms.augmented is True and entry.terms.noise in NOISES
                assert (entry.terms.pilot > 0) == (len(entry.terms.rates) > 1)
    assert len(names) == len(set(names)), "two plans would write the same record"


def test_variants_differ_in_their_noise_alone() -> None:
    assert list(VARIANTS) == list(NOISE) and len(set(NOISE.values())) == len(NOISE)
    assert all(change == Change(NET, {"noise": NOISE[name]}) for name, change in VARIANTS.items())


@pytest.mark.parametrize(
    "name, strength",
    [
        ("lighting", lambda pca: pca.deviations),
        ("lighting, divided by 1.1", lambda pca: pca.deviations),
        ("lighting, eigenvalue 0-1", lambda pca: pca.eigenvalues / 255),
        ("lighting, eigenvalue 0-255", lambda pca: pca.eigenvalues),
    ],
)
def test_a_lighting_adds_a_colour_to_what_the_scale_gives(name: str, strength) -> None:
    noisy, pca = with_noise(name, SCALE, IMAGES, seed=4), ColorPCA.fit(IMAGES)
    alphas = torch.randn(8, 3, generator=generator_for(CENTRES, 4)).double() * 0.1
    wanted = SCALE(CENTRES) + (alphas * strength(pca) @ pca.eigenvectors.T)[:, :, None, None]
    wanted = wanted / (1.1 if "1.1" in name else 1)
    assert torch.allclose(noisy(CENTRES).double(), wanted, atol=1e-2, rtol=1e-5)


def test_a_scale_that_divides_divides_the_colour_too() -> None:
    unit = replace(SCALE, deviation=50.0)
    plain, divided = (with_noise("lighting", scale, IMAGES, 1)(CENTRES) for scale in (SCALE, unit))
    assert torch.allclose(plain / 50, divided, atol=1e-5)


def test_jitter_comes_before_the_mean_is_subtracted() -> None:
    noisy = with_noise("jitter", SCALE, IMAGES, seed=2)
    jittered = ColorJitter()(CENTRES, generator_for(CENTRES, 2))
    assert torch.allclose(noisy(CENTRES), jittered - SCALE.mean[:, 1:9, 1:9], atol=1e-4)


@pytest.mark.parametrize("name", ["lighting", "jitter"])
def test_draws_hang_on_seed_and_batch_and_on_nothing_before(name: str) -> None:
    noisy = with_noise(name, SCALE, IMAGES, 0)
    first = noisy(CENTRES)
    noisy(IMAGES[:, :, :8, :8])
    assert torch.equal(noisy(CENTRES), first), "a resumed run would draw other numbers"
    assert torch.equal(noisy.to(torch.device("cpu"))(CENTRES), first)
    assert not torch.equal(with_noise(name, SCALE, IMAGES, 1)(CENTRES), first)
    one, other = noisy(CENTRES) - SCALE(CENTRES), noisy(CENTRES.flip(3).add(1)) - SCALE(CENTRES.flip(3).add(1))
    assert not torch.allclose(one, other), "other bytes drew the same"


def test_a_tiny_experiment_runs_and_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALEXNET_DATA", raising=False)
    tree = write_tree(tmp_path / "tree", train=30, test=2)
    net = ConvLocalConfig(maps=6, local_maps=4)
    variants = {name: Change(net, change.terms) for name, change in VARIANTS.items()}
    part = Part("small", Terms(stages=(1,), rates=(0.001,)), variants, seeds=1)
    monkeypatch.setattr(lighting_cifar10.EXPERIMENT.__class__, "plan", lambda *_: (part,))
    args = argparse.Namespace(
        full=False, out=tmp_path / "out", data=str(tree), device="cpu", jobs=1, seeds=None, only=None
    )
    paths = lighting_cifar10.run_from(args)
    assert sorted(path.stem for path in paths) == sorted(f"small_{name}" for name in LABELS)
    found = results_of("lighting-cifar10", ["small"], LABELS, tmp_path / "out")
    assert list(found) == list(LABELS)
    for name in LABELS:
        record = records.read(tmp_path / "out" / "lighting-cifar10" / f"small_{name}.json")
        assert record["claims"] == ["C14"] and record["result"]["complete"]
        assert record["configuration"]["terms"].get("noise", "none") == NOISE[name]
