"""The bench of the CIFAR-10 input: both pipelines do the same work, and its table follows from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from small_sets import write_tree

from alexnet_lib import __main__ as command_line
from alexnet_lib.augment import PixelScale
from alexnet_lib.bench import cifar
from alexnet_lib.data.cifar10_files import CIFAR10_CLASSES
from alexnet_lib.data.image_set import ImageSet
from alexnet_lib.system import timing

pytestmark = pytest.mark.usefixtures("one_thread", "no_data_named")

CPU = torch.device("cpu")
Pipeline = Callable[[ImageSet, PixelScale], Iterator[tuple[torch.Tensor, torch.Tensor]]]


def ours(images: ImageSet, scale: PixelScale) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return cifar.our_batches(images, scale, CPU)


def torchvisions(images: ImageSet, scale: PixelScale) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return cifar.batches_of(cifar.torchvision_loader(images, scale, workers=0))


@pytest.fixture
def halves() -> ImageSet:
    """260 images in mixed order: the left half of each has the grey of its class, the right half is 200."""
    labels = torch.randperm(260, generator=torch.Generator().manual_seed(0)) % 10
    images = torch.full((260, 3, 32, 32), 200, dtype=torch.uint8)
    images[..., :16] = (10 * labels + 20).to(torch.uint8)[:, None, None, None]
    return ImageSet(images, labels, CIFAR10_CLASSES, "halves", "train", "drawn", "none")


@pytest.mark.parametrize("pipeline", [ours, torchvisions])
def test_both_pipelines_crop_reflect_scale_and_shuffle(pipeline: Pipeline, halves: ImageSet) -> None:
    torch.manual_seed(0)  # torchvision's draws come from it
    scale = PixelScale(torch.full((3, 32, 32), 100.0), 50.0)
    taken = [batch for batch, _ in zip(pipeline(halves, scale), range(3), strict=False)]
    for images, labels in taken:
        assert (images.shape, images.dtype, labels.shape) == ((128, 3, 32, 32), torch.float32, (128,))
        row = images[:, 0, 16]  # no crop reaches beyond it
        grey, white = (10.0 * labels + 20 - 100) / 50, torch.full((128,), 2.0)
        mirrored = torch.isclose(row[:, 8], white)
        assert 40 < mirrored.sum() < 88, "about a half"
        left, right = torch.where(mirrored, white, grey), torch.where(mirrored, grey, white)
        assert torch.allclose(row[:, 8], left, atol=1e-5) and torch.allclose(row[:, 23], right, atol=1e-5)
        zero = torch.isclose(images[:, 0], torch.tensor(-2.0), atol=1e-5)
        for edges in (zero[:, 16, [0, 31]], zero[:, [0, 31], 16]):
            assert 96 < edges.any(1).sum() < 128, "eight crops in nine reach beyond an edge"
            assert not edges.all(1).any()
        assert not zero[:, 4:28, 4:28].any()
    first, second, of_the_next_pass = (labels.tolist() for _, labels in taken)
    assert first != halves.labels[:128].tolist() and of_the_next_pass != first
    shown = torch.bincount(torch.tensor(first + second), minlength=10)
    assert shown.sum() == 256 and shown.max() <= 26 and shown.min() >= 22, "a pass shows no image twice"


def test_torchvision_gets_the_very_same_images(halves: ImageSet) -> None:
    published = cifar.PublishedCIFAR10(halves)
    assert len(published) == 260 and published.classes == list(halves.classes)
    for i in (0, 17, 259):
        picture, label = published[i]
        pixels = torch.tensor(list(picture.tobytes()), dtype=torch.uint8).reshape(32, 32, 3).permute(2, 0, 1)
        assert torch.equal(pixels, halves.images[i]) and label == halves.labels[i]


def test_a_turn_takes_so_many_batches_and_counts_their_images() -> None:
    left = iter([(torch.zeros(128, 1), None)] * 9)
    take = cifar.taker(left, 3, CPU)
    assert (take(), take()) == (3 * 128, 3 * 128)
    assert len(list(left)) == 3


def test_a_turn_of_training_makes_so_many_steps(halves: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    built, steps = [], []

    class Counted(cifar.PaperSGD):
        def step(self) -> None:
            super().step()
            steps.append(built[0].layers[-1].bias.detach().clone())

    monkeypatch.setattr(cifar, "PaperSGD", Counted)
    make = cifar.SmallNet
    monkeypatch.setattr(cifar, "SmallNet", lambda *args, **options: built.append(make(*args, **options)) or built[0])
    step = cifar.stepper(halves, PixelScale.fit(halves.images, "unit"), 2, CPU)
    assert step() == 2 * 128 and len(steps) == 2
    assert not torch.equal(steps[0], steps[1]), "every step learns"
    assert built[0].config.architecture == "80sec" and built[0].config.nonlinearity == "relu"


NAMED = {"ours": 8000.0, "one": 1000.0, "workers": 2000.0, "step": 400.0}
TIMINGS = {name: timing.Timing(name, speed, speed / 2, speed * 2) for name, speed in NAMED.items()}


def test_bench_cifar_prints_ratios_of_its_own_numbers(capsys: pytest.CaptureFixture) -> None:
    cifar.report(TIMINGS, timing.Timing("step", 320.0, 300.0, 340.0), 2)
    _, _, *rows, last = capsys.readouterr().out.splitlines()
    assert [row.split("  ")[0] for row in rows] == [
        "alexnet_lib: batches of bytes",
        "torchvision CIFAR10 + DataLoader, no worker",
        "torchvision CIFAR10 + DataLoader, 2 worker(s)",
        "training step of the network (80sec, ReLU)",
    ]
    assert rows[0].split()[-6:] == ["8,000", "4,000", "to", "16,000", "1.0", "5.0%"]
    assert rows[1].split()[-6:] == ["1,000", "500", "to", "2,000", "8.0", "40.0%"]
    assert rows[2].split()[-6:] == ["2,000", "1,000", "to", "4,000", "4.0", "20.0%"]
    assert rows[3].split()[-4:] == ["400", "200", "to", "800"]
    assert last == "the step before freed memory was kept: 320 images/s, 0.80 of the above"


@pytest.mark.parametrize("kept", [True, False])
def test_the_step_before_is_shown_where_freed_memory_is_kept(
    kept: bool, cifar_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    rounds = []
    monkeypatch.setattr(cifar, "keep_freed_memory", lambda: kept)
    monkeypatch.setattr(cifar, "take_turns", lambda turns, count: rounds.append((list(turns), count)) or TIMINGS)
    words = ["bench", "cifar", "--data", str(cifar_tree), "--device", "cpu", "--batches", "1", "--rounds", "5"]
    assert command_line.main(words) == 0
    assert ("the step before freed memory was kept: 400 images/s, 1.00 of" in capsys.readouterr().out) is kept
    assert rounds == [(["step"], 2), (["ours", "one", "workers", "step"], 5)]


def test_bench_cifar_runs_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    tree = write_tree(tmp_path / "tree", train=26, test=1)
    words = ["bench", "cifar", "--data", str(tree), "--device", "cpu", "--batches", "1", "--rounds", "1"]
    assert command_line.main([*words, "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "part of CIFAR-10, 260 training images" in out and out.count("images/s") >= 1
    assert "torchvision CIFAR10 + DataLoader, 1 worker(s)" in out


def test_a_set_smaller_than_a_batch_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    tree = write_tree(tmp_path / "tree", train=5, test=1)
    assert command_line.main(["bench", "cifar", "--data", str(tree), "--device", "cpu"]) == 2
    assert "do not fill one batch of 128" in capsys.readouterr().err
