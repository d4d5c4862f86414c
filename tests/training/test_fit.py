"""Training: curves against a plain loop, ends, what is said when it cannot go on, and a stopped run taken up again."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from small_sets import linear_net, noise, separable
from torch import nn
from train_cases import stop_after, train

from alexnet_lib.augment import PixelScale
from alexnet_lib.errors import SettingError, TrainingError
from alexnet_lib.network.dropout import Dropout
from alexnet_lib.network.small.four_layers import SmallNet, SmallNetConfig
from alexnet_lib.training import checkpoints
from alexnet_lib.training.fit import TrainResult, TrainSettings, error_rate, fit, make_batches

FROZEN = 1e-12  # a rate that moves no weight in float32


pytestmark = pytest.mark.usefixtures("one_thread")


def curve_of(result: TrainResult, key: str) -> list[float]:
    return [point[key] for point in result.curve]


def test_the_loss_falls_and_the_target_ends_the_run() -> None:
    result, _ = train(TrainSettings(rate=0.003, batch_size=32, passes=30, target_error=0.05))
    assert result.ended == "target"
    assert result.target_passes == result.curve[-1]["passes"] < 30
    assert result.curve[-1]["pass_error"] <= 0.05
    assert all(point["pass_error"] > 0.05 for point in result.curve[:-1] if point["passes"] >= 1)
    assert result.curve[-1]["loss"] < result.curve[0]["loss"] / 2
    assert result.seconds > 0


def test_a_target_is_not_met_before_a_whole_pass() -> None:
    result, _ = train(TrainSettings(rate=0.003, batch_size=32, passes=3, target_error=1.0))
    assert (result.ended, result.target_passes) == ("target", 1.0)


def test_a_small_convolutional_network_learns_on_both_pixel_scales() -> None:
    images, labels = separable(128)
    for start, pixels, rate in (("2012", "0-255", 0.01), ("today", "unit", 0.02)):
        scale = PixelScale.fit(images, pixels)
        deviation = PixelScale.fit(images, "unit").deviation
        config = SmallNetConfig("18pct", "relu", start, pixels, classes=4, image_size=8, deviation=deviation)
        net = SmallNet(config, seed=0)
        result = fit(net, images, labels, TrainSettings(rate, batch_size=16, passes=8), scale)
        assert result.curve[-1]["pass_error"] < 0.1, (start, pixels)
        assert error_rate(net, images, labels, scale) < 0.1


def test_a_curve_has_its_points_where_settings_say() -> None:
    result, _ = train(TrainSettings(rate=FROZEN, batch_size=32, passes=2, points=4))
    assert curve_of(result, "passes") == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
    assert (result.ended, result.target_passes) == ("cap", None)


def test_fewer_steps_than_points_a_pass_give_a_point_a_step() -> None:
    result, _ = train(TrainSettings(rate=FROZEN, batch_size=128, passes=2, points=8))
    assert curve_of(result, "passes") == [0.5, 1.0, 1.5, 2.0]


@pytest.mark.parametrize(
    "passes, last, steps",
    [(1.5, 1.5, 12), (0.25, 0.25, 2), (1.3, 1.25, 10), (0.001, 0.125, 1), (2.01, 2.0, 16), (1, 1.0, 8)],
)
def test_a_cap_between_passes_ends_at_the_nearest_step(passes: float, last: float, steps: int) -> None:
    counted = Counted(linear_net())
    images, labels = separable(256)
    settings = TrainSettings(rate=FROZEN, batch_size=32, passes=passes)
    result = fit(counted, images, labels, settings, PixelScale.fit(images))
    assert (result.curve[-1]["passes"], counted.calls) == (last, steps)


class Counted(torch.nn.Module):
    """A network that counts its forward passes."""

    def __init__(self, net: torch.nn.Module):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.net(x)


@pytest.mark.parametrize("points", [1, 3, 4, 20])
@pytest.mark.parametrize("passes", [3, 2.6])
def test_errors_and_losses_of_a_frozen_net_are_counted_by_hand(points: int, passes: float) -> None:
    """With weights that stand still, every figure of the curve follows from the order of the images alone."""
    images, labels = noise(230)
    settings = TrainSettings(rate=FROZEN, batch_size=16, passes=passes, points=points)
    scale, net = PixelScale.fit(images, "unit"), linear_net()
    result = fit(net, images, labels, settings, scale, seed=7)
    wrong, losses = [], []
    for number in range(3):
        for batch, target in make_batches(images, labels, settings, 7, number):
            logits = net(scale(batch))
            wrong.append((logits.argmax(1) != target).float().mean().item())
            losses.append(F.cross_entropy(logits, target).item())
    a_pass, before = 230 // 16, 0
    for point in result.curve:
        step = round(point["passes"] * a_pass)
        assert point["error"] == pytest.approx(torch.tensor(wrong[before:step]).mean().item(), abs=1e-6)
        assert point["loss"] == pytest.approx(torch.tensor(losses[before:step]).mean().item(), rel=1e-5)
        windows = [torch.tensor(wrong[max(0, step - back) : step]).mean().item() for back in range(a_pass, 2 * a_pass)]
        exact = step % a_pass == 0 or passes == 3
        nearest = windows[:1] if exact else windows
        assert any(point["pass_error"] == pytest.approx(window, abs=1e-6) for window in nearest), point
        before = step
    assert before == round(passes * a_pass)


def test_the_training_error_is_counted_before_each_update() -> None:
    images, labels = noise(64)
    settings, scale = TrainSettings(rate=0.01, batch_size=32, passes=1, points=2), PixelScale.fit(images, "unit")
    net, twin = linear_net(), linear_net()
    result = fit(net, images, labels, settings, scale)
    batch, target = next(make_batches(images, labels, settings, 0, 0))
    assert result.curve[0]["loss"] == pytest.approx(F.cross_entropy(twin(scale(batch)), target).item(), rel=1e-6)
    assert result.curve[0]["error"] == (twin(scale(batch)).argmax(1) != target).float().mean().item()


def test_a_pass_shows_each_image_once_but_for_the_rest() -> None:
    images = torch.arange(50, dtype=torch.uint8).reshape(50, 1, 1, 1).expand(50, 3, 2, 2)
    settings = TrainSettings(rate=1, batch_size=16)
    passes = [list(make_batches(images, torch.arange(50), settings, 3, number)) for number in (0, 1, 0)]
    orders = [torch.cat([labels for _, labels in batches]).tolist() for batches in passes]
    assert [len(set(order)) for order in orders] == [48, 48, 48]
    assert orders[0] == orders[2] != orders[1], "the order hangs on the seed and the pass's number alone"
    for batch, labels in passes[0]:
        assert batch.dtype == torch.uint8 and batch[:, 0, 0, 0].tolist() == labels.tolist()


def test_crops_are_drawn_anew_in_each_pass() -> None:
    images = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8).expand(32, 3, 8, 8)
    settings = TrainSettings(rate=1, batch_size=32, crop=6, padding=1)
    first, again, second = (next(make_batches(images, torch.zeros(32), settings, 0, number))[0] for number in (0, 0, 1))
    assert first.shape == (32, 3, 6, 6)
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert len({crop.numpy().tobytes() for crop in first}) > 16


def test_training_on_crops_learns() -> None:
    images, labels = separable(128, size=10)
    net, scale = linear_net(size=8), PixelScale.fit(images, "unit")
    settings = TrainSettings(rate=0.003, batch_size=16, passes=20, crop=8)
    result = fit(net, images, labels, settings, scale)
    assert result.curve[-1]["pass_error"] < 0.6 < result.curve[0]["pass_error"]


def test_the_same_seed_gives_the_same_curve_bit_for_bit_and_another_does_not() -> None:
    settings = TrainSettings(rate=0.003, batch_size=32, passes=2, crop=8, padding=2)
    (one, net), (again, twin), (other, _) = (train(settings, seed=seed) for seed in (1, 1, 2))
    assert one.curve == again.curve
    assert torch.equal(net[1].weight, twin[1].weight)
    assert one.curve != other.curve


def test_an_interruption_goes_through_and_leaves_the_masks_to_chance_again() -> None:
    images, labels = separable(256)
    net = linear_net()
    net.insert(1, Dropout(0.5))
    settings = TrainSettings(rate=0.003, batch_size=32, passes=5)
    with pytest.raises(KeyboardInterrupt):
        fit(net, images, labels, settings, PixelScale.fit(images, "unit"), on_point=stop_after(6))
    assert not torch.equal(net[1](images.float()), net[1](images.float()))
    torch.manual_seed(5)
    one = net[1](images.float())
    torch.manual_seed(5)
    assert torch.equal(net[1](images.float()), one)


def test_on_point_may_give_a_run_up() -> None:
    result, _ = train(TrainSettings(rate=0.003, batch_size=32, passes=5), on_point=lambda point: point["passes"] > 1)
    assert (result.ended, result.curve[-1]["passes"]) == ("abandoned", 1.25)


def first_bad_step(settings: TrainSettings, images: torch.Tensor, labels: torch.Tensor, scale: PixelScale) -> int:
    """A slow loop with plain gradient descent: the first step whose loss is not finite, counted from 1."""
    net, step = linear_net(), 0
    optimizer = torch.optim.SGD(net.parameters(), settings.rate, settings.momentum)
    for number in range(20):
        for batch, target in make_batches(images, labels, settings, 0, number):
            step += 1
            loss = F.cross_entropy(net(scale(batch)), target)
            if not torch.isfinite(loss):
                return step
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    raise AssertionError("this rate does not diverge")


@pytest.mark.parametrize("rate, momentum", [(1e38, 0.0), (3e36, 0.9)])
def test_a_loss_that_is_not_a_number_names_its_very_step(rate: float, momentum: float) -> None:
    images, labels = noise(256)
    settings = TrainSettings(rate=rate, momentum=momentum, batch_size=16, passes=20)
    scale = PixelScale.fit(images)
    step = first_bad_step(settings, images, labels, scale)
    message = rf"not a finite number at step {step} \(pass {step / 16:.2f}\); a learning rate about three times lower"
    with pytest.raises(TrainingError, match=message) as caught:
        fit(linear_net(), images, labels, settings, scale)
    assert caught.value.step == step > 1


def test_a_bad_loss_in_a_later_pass_counts_all_steps() -> None:
    """Images that turn a network's logits to NaN after 21 steps of 16 a pass."""
    images, labels = noise(256)

    class Breaks(Counted):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = super().forward(x)
            return logits * float("nan") if self.calls == 21 else logits

    net = Breaks(linear_net())
    with pytest.raises(TrainingError, match=r"step 21 \(pass 1\.31\)") as caught:
        fit(net, images, labels, TrainSettings(rate=1e-4, batch_size=16, passes=3), PixelScale.fit(images))
    assert caught.value.step == 21


def test_a_set_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(SettingError, match="100 images do not fill one batch of 128"):
        train(TrainSettings(rate=0.1), n=100)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"rate": 0.0}, "learning rate 0.0 cannot train anything; give a positive number, such as 0.01"),
        ({"rate": float("nan")}, "learning rate nan cannot"),
        ({"rate": -1.0}, "learning rate -1.0 cannot"),
        ({"rate": float("inf")}, "learning rate inf cannot"),
        ({"passes": 0}, "passes 0 must be a positive number"),
        ({"passes": float("nan")}, "passes nan must"),
        ({"passes": float("inf")}, "passes inf must"),
        ({"batch_size": 0}, "batch_size 0 and points 4 must be 1 or more"),
        ({"points": 0}, "batch_size 128 and points 0 must be 1 or more"),
        ({"target_error": 25.0}, "target_error 25.0 is a share: 0.25 for 25%"),
        ({"target_error": float("nan")}, "target_error nan is a share"),
    ],
)
def test_settings_that_cannot_train_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        TrainSettings(**{"rate": 0.1, **wrong})


def test_error_rate_is_that_of_a_plain_loop() -> None:
    images, labels = noise(1203)  # not a multiple of the evaluation's batch
    net, scale = linear_net(), PixelScale.fit(images)
    wrong = sum(int(net(scale(images[i : i + 1])).argmax()) != int(labels[i]) for i in range(len(images)))
    assert error_rate(net, images, labels, scale) == wrong / 1203


@pytest.mark.parametrize("training", [True, False])
def test_error_rate_evaluates_and_leaves_the_net_in_its_mode(training: bool) -> None:
    images, labels = noise(600, size=8)
    config = SmallNetConfig("18pct", "relu_bn", "today", "unit", classes=4, image_size=8)
    net = SmallNet(config, seed=0).train(training)
    before = copy.deepcopy(net.state_dict())
    error_rate(net, images, labels, PixelScale.fit(images, "unit"))
    assert net.training is training and all(module.training is training for module in net.modules())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), f"evaluation changed {name}"


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


@pytest.mark.parametrize("key", ["net", "optimiser", "result", "finished_passes"])
def test_a_checkpoint_without_a_part_is_refused_by_name(key: str, tmp_path: Path) -> None:
    path, settings = tmp_path / "run.pt", TrainSettings(rate=0.003, batch_size=32, passes=1)
    train(settings, checkpoint=path)
    content = torch.load(path, weights_only=True)
    del content["state"][key]
    torch.save(content, path)
    with pytest.raises(TrainingError, match=rf"run\.pt does not fit its run \('{key}' is missing\)"):
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
