"""The augmentation bench: both sides make the same pixels, and the table says what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from alexnet_lib import __main__ as command_line
from alexnet_lib import records
from alexnet_lib.augment import Draws
from alexnet_lib.bench import augment
from alexnet_lib.system import timing

pytestmark = pytest.mark.usefixtures("one_thread", "no_data_named")
CPU = torch.device("cpu")


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    monkeypatch.setattr(augment, "SIDE", 12)
    monkeypatch.setattr(augment, "SIZE", 9)
    return torch.randint(0, 256, (5, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_both_sides_make_the_same_pixels_and_a_slip_would_be_seen(images: torch.Tensor) -> None:
    made = augment.pipeline(images)
    assert made.lighting.strengths.min() > 1, "a lighting that adds nothing would hide a slip"
    assert augment.largest_difference(images, made, CPU) < 1e-3
    theirs = augment.TorchvisionWay(made)
    draws = made.draw(5, 12, 12, torch.Generator().manual_seed(0))
    other = Draws(*draws[:3], draws.alphas.flip(0))
    assert (theirs.with_draws(images, other) - made.apply(images, draws)).abs().max() > 0.1


def test_torchvisions_transforms_are_in_the_chain_that_is_timed(images: torch.Tensor) -> None:
    made = augment.pipeline(images)
    theirs = augment.TorchvisionWay(made)
    names = [type(transform).__name__ for transform in theirs.chain.transforms]
    assert names == ["RandomCrop", "RandomHorizontalFlip", "ToDtype", "MinusMeanImage", "PlainLighting"]
    torch.manual_seed(0)
    batches = torch.stack([theirs(images) for _ in range(200)])
    assert batches.shape == (200, 5, 3, 9, 9) and batches.dtype == torch.float32
    # Both draw their own: over many batches the means agree.
    ours = torch.stack([made(images, torch.Generator().manual_seed(seed)) for seed in range(200)])
    assert (batches.mean((0, 2, 3, 4)) - ours.mean((0, 2, 3, 4))).abs().max() < 2


def test_every_contestant_counts_its_images(images: torch.Tensor) -> None:
    found = augment.contestants(images, augment.pipeline(images), CPU)
    assert [run() for run in found.values()] == [5] * 6 and augment.THEIRS in found


def test_bench_augment_prints_ratios_of_its_own_numbers(capsys: pytest.CaptureFixture) -> None:
    named = {"ours": 2000.0, augment.THEIRS: 500.0}
    augment.report({name: timing.Timing(name, speed, speed / 2, speed * 2) for name, speed in named.items()}, 2)
    _, _, ours, theirs = capsys.readouterr().out.splitlines()
    assert ours.split() == ["ours", "2,000", "1,000", "to", "4,000", "1,000", "4.00"]
    assert theirs.split()[-5:] == ["250", "to", "1,000", "250", "1.00"]


def test_bench_augment_records_what_it_found(
    images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ["bench", "augment", "--device", "cpu", "--batch", "4", "--rounds", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["alexnet_lib", *words])
    assert command_line.main(words) == 0
    assert "the same draws give the same pixels" in capsys.readouterr().out
    record = records.read(tmp_path / "bench" / "augment_cpu.json")
    assert set(record["result"]["images_per_second"]) >= {"ours", augment.THEIRS} and record["claims"] == ["C15"]
    assert record["result"]["largest_difference"] < 1e-3


def test_pipelines_that_differ_are_not_timed(
    images: torch.Tensor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(augment, "largest_difference", lambda *_: 3.0)
    monkeypatch.setattr(augment, "contestants", lambda *_: pytest.fail("it went on to measure"))
    assert command_line.main(["bench", "augment", "--device", "cpu", "--batch", "2"]) == 2
    assert "differ by 3 grey levels" in capsys.readouterr().err
