"""Training that was stopped: it goes on as if it had not been, and foreign or damaged checkpoints are refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from small_sets import linear_net, separable
from torch import nn
from train_cases import stop_after, train

from alexnet_lib.augment import PixelScale
from alexnet_lib.errors import TrainingError
from alexnet_lib.network.dropout import Dropout
from alexnet_lib.network.small.four_layers import SmallNet, SmallNetConfig
from alexnet_lib.training import checkpoints
from alexnet_lib.training.fit import TrainResult, TrainSettings, fit

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("presses", [[1], [3, 1, 5], [4], [5], [9, 2], [14]])
def test_a_run_stopped_and_taken_up_again_is_bit_for_bit_the_one_that_was_not(
    presses: list[int], tmp_path: Path
) -> None:
    """Ctrl-C within those of 14 steps, each time with a network and an optimiser that start from nothing."""
    images, labels = separable(128)
    scale = PixelScale.fit(images, "unit")
    config = SmallNetConfig("18pct", "relu_bn", "today", "unit", classes=4, image_size=8)
    settings = TrainSettings(rate=0.01, weight_decay=0.001, batch_size=32, passes=3.5, points=2, crop=8, padding=1)

    def run(press_at: int = 0, **options) -> tuple[TrainResult, SmallNet]:  # noqa: ANN003
        net, steps = SmallNet(config, seed=0), itertools.count(1)

        def press(*_: object) -> None:
            if next(steps) == press_at:
                raise KeyboardInterrupt

        net.layers[-1].register_forward_hook(press)
        return fit(net, images, labels, settings, scale, seed=3, **options), net

    whole, expected = run()
    for step in presses:
        torch.manual_seed(step)  # the process that goes on has drawn other numbers
        with pytest.raises(KeyboardInterrupt):
            run(press_at=step, checkpoint=tmp_path / "run.pt")
    taken_up, net = run(checkpoint=tmp_path / "run.pt")
    assert taken_up.curve == whole.curve and taken_up.ended == "cap"
    for name, value in expected.state_dict().items():
        assert torch.equal(net.state_dict()[name], value), name


def test_dropouts_masks_are_taken_up_too_and_change_from_pass_to_pass(tmp_path: Path) -> None:
    images, labels = separable(128)
    scale = PixelScale.fit(images, "unit")
    settings = TrainSettings(rate=0.01, batch_size=32, passes=3, points=1)

    def run(seed: int = 3, **options) -> tuple[TrainResult, list[torch.Tensor], nn.Module]:  # noqa: ANN003
        net = linear_net()
        net.insert(1, Dropout(0.5))
        masks: list[torch.Tensor] = []
        net[1].register_forward_hook(lambda _, given, out: masks.append((out != 0) & (given[0] != 0)))
        return fit(net, images, labels, settings, scale, seed=seed, **options), masks, net

    torch.manual_seed(1)
    whole, drawn, expected = run()
    assert len({mask.numpy().tobytes() for mask in drawn}) == 12, "four steps a pass, each with masks of its own"
    torch.manual_seed(2)  # the process that goes on has drawn other numbers
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=tmp_path / "run.pt", on_point=stop_after(2))
    taken_up, later, net = run(checkpoint=tmp_path / "run.pt")
    assert len(later) == 8 and all(torch.equal(a, b) for a, b in zip(later, drawn[4:], strict=True))
    assert taken_up.curve == whole.curve and torch.equal(net[2].weight, expected[2].weight)
    assert not torch.equal(run(seed=4)[1][0], drawn[0])
    torch.manual_seed(5)
    one = net[1].train()(images.float())
    assert not torch.equal(one, net[1](images.float())), "afterwards torch's own generator draws them"
    torch.manual_seed(5)
    assert torch.equal(net[1](images.float()), one)


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    settings = TrainSettings(rate=0.003, batch_size=32, passes=30, target_error=0.05)
    first, net = train(settings, checkpoint=tmp_path / "run.pt")
    again, twin = train(settings, checkpoint=tmp_path / "run.pt", on_point=stop_after(1))
    assert again == first and first.ended == "target"
    assert torch.equal(net[1].weight, twin[1].weight)


@pytest.mark.parametrize("change", ["rate", "seed", "label", "images", "net"])
def test_a_checkpoint_of_another_run_is_refused_by_name(change: str, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    settings, (images, labels) = TrainSettings(rate=0.003, batch_size=32, passes=1), separable(128)
    config = SmallNetConfig("18pct", "tanh", classes=4, image_size=8)
    scale = PixelScale.fit(images)
    fit(SmallNet(config, seed=0), images, labels, settings, scale, checkpoint=path)
    options = {"seed": 0, "label": ""}
    if change == "rate":
        settings = TrainSettings(rate=0.004, batch_size=32, passes=1)
    elif change == "images":
        images, labels = images[:64], labels[:64]
    elif change == "net":
        config = SmallNetConfig("18pct", "relu", classes=4, image_size=8)  # its weights would fit
    else:
        options[change] = {"seed": 1, "label": "other"}[change]
    with pytest.raises(
        TrainingError, match=r"run\.pt is of a run with other settings; delete it or use another folder"
    ):
        fit(SmallNet(config, seed=0), images, labels, settings, scale, checkpoint=path, **options)


@pytest.mark.parametrize("content", ["nothing", "cut", "text", "other"])
def test_a_damaged_checkpoint_is_refused_by_name(content: str, tmp_path: Path) -> None:
    path, settings = tmp_path / "run.pt", TrainSettings(rate=0.003, batch_size=32, passes=1)
    train(settings, checkpoint=path)
    whole = path.read_bytes()
    if content == "other":
        torch.save({"weights": 1}, path)
    else:
        path.write_bytes({"nothing": b"", "cut": whole[: len(whole) // 2], "text": b"not a checkpoint"}[content])
    with pytest.raises(TrainingError, match=r"run\.pt cannot be read \(\w+\); delete it to start again"):
        train(settings, checkpoint=path)


def test_a_checkpoint_that_cannot_be_written_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, state = tmp_path / "run.pt", {"weights": torch.zeros(3)}
    checkpoints.save(path, {"seed": 0}, state)

    def full(content: object, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/1: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"run\.pt cannot be written \(.*file write failed\); make room"):
        checkpoints.save(path, {"seed": 0}, {"weights": torch.ones(3)})
    assert torch.equal(checkpoints.load(path, {"seed": 0})["weights"], torch.zeros(3))
    assert list(tmp_path.iterdir()) == [path]
