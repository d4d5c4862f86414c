"""The schedules of the learning rate: exactly when they drop and stop, against torch's, and taken up half way."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from small_sets import linear_net, separable

from alexnet_lib.augment import PixelScale
from alexnet_lib.errors import SettingError, TrainingError
from alexnet_lib.training.fit import TrainSettings, error_rate, fit
from alexnet_lib.training.optimizer import PaperSGD, parameter_groups
from alexnet_lib.training.schedule import (
    DROPPED,
    GO_ON,
    NET_145_DROPS,
    NET_145_END,
    STOP,
    DropsByHand,
    DropsOnPlateau,
    multiply_rates,
)

OPTIMIZERS = [PaperSGD, torch.optim.SGD, torch.optim.Adam]
both = pytest.mark.parametrize("kind", OPTIMIZERS, ids=[kind.__name__ for kind in OPTIMIZERS])


def optimizer(kind=PaperSGD, rate: float = 0.01) -> torch.optim.Optimizer:  # noqa: ANN001
    return kind([torch.nn.Parameter(torch.zeros(2))], rate)


def rates(schedule, errors, made: torch.optim.Optimizer) -> tuple[list[float], list[str]]:  # noqa: ANN001
    """The rate of each pass, and what was said after it, until it says stop."""
    used, said = [], []
    for error in errors:
        used.append(made.param_groups[0]["lr"])
        said.append(schedule.step(made, error))
        if said[-1] == STOP:
            break
    return used, said


@both
def test_net_145s_passes_and_rates(kind) -> None:  # noqa: ANN001
    used, said = rates(DropsByHand(NET_145_DROPS, NET_145_END), [None] * 200, optimizer(kind))
    assert len(used) == NET_145_END == 91 and said[-1] == STOP
    assert [number for number, word in enumerate(said, 1) if word == DROPPED] == list(NET_145_DROPS) == [25, 51, 79]
    wanted = [0.01] * 25 + [1e-3] * 26 + [1e-4] * 28 + [1e-5] * 12
    assert used == pytest.approx(wanted, rel=1e-12)


@both
def test_a_plateau_worked_out_by_hand(kind) -> None:  # noqa: ANN001
    """Patience 2, threshold 0.01: 0.41 is no improvement on 0.42 less 0.01 (equal is not under), 0.409 is."""
    errors = [0.50, 0.42, 0.41, 0.409, 0.409, 0.40, 0.30, 0.295, 0.30, 0.31, 0.32, 0.1, 0.2, 0.2, 0.2, 0.2, 0.0]
    expected = [GO_ON, GO_ON, GO_ON, GO_ON, GO_ON, DROPPED, GO_ON, GO_ON, DROPPED, GO_ON, DROPPED, GO_ON, GO_ON, STOP]
    schedule = DropsOnPlateau(patience=2, threshold=0.01)
    used, said = rates(schedule, errors, optimizer(kind))
    assert said == expected
    assert schedule.dropped_at == (6, 9, 11) and schedule.best == 0.1 and schedule.passes == 14
    assert used == pytest.approx([0.01] * 6 + [1e-3] * 3 + [1e-4] * 2 + [1e-5] * 3, rel=1e-12)


def test_a_plateau_before_anything_was_learned_does_not_count() -> None:
    rule, made = DropsOnPlateau(patience=2), optimizer()
    assert [rule.step(made, 0.9, learned=False) for _ in range(9)] == [GO_ON] * 9
    assert [rule.step(made, error) for error in (0.8, 0.85, 0.8)] == [GO_ON, GO_ON, DROPPED]
    assert rule.passes == 12 and rule.dropped_at == (12,)


@pytest.mark.parametrize("seed", range(12))
def test_rates_are_those_of_torchs_plateau_until_ours_stops(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    patience, threshold = 1 + seed % 4, (0.0, 0.004)[seed % 2]
    errors = (0.6 * torch.rand(120, generator=generator) + torch.linspace(0.4, 0, 120)).tolist()
    ours, theirs = optimizer(), optimizer(torch.optim.SGD)
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, factor=0.1, patience=patience - 1, threshold=threshold, threshold_mode="abs", eps=0.0
    )
    schedule, stopped_after = DropsOnPlateau(patience, threshold), None
    for number, error in enumerate(errors, 1):
        if schedule.step(ours, error) == STOP:
            stopped_after = number
            break
        torchs.step(error)
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12), number
    assert len(schedule.dropped_at) == 3 and stopped_after
    torchs.step(errors[stopped_after - 1])  # torch's goes on to a fourth drop where ours stops
    assert theirs.param_groups[0]["lr"] == pytest.approx(ours.param_groups[0]["lr"] / 10, rel=1e-9)


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_schedule_saved_after_any_pass_goes_on_as_if_nothing_had_been(cut: int) -> None:
    errors = [0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    for make in (lambda: DropsOnPlateau(2), lambda: DropsByHand((3, 8), 12)):
        whole = rates(make(), errors, optimizer())
        first, made = make(), optimizer()
        begun = rates(first, errors[:cut], made)
        if begun[1][-1] == STOP:
            continue
        saved, after = json.loads(json.dumps(first.state_dict())), make()
        after.load_state_dict(saved)
        rest = rates(after, errors[cut:], made)
        assert (begun[0] + rest[0], begun[1] + rest[1]) == whole
        assert after.state_dict() == (lambda one: [rates(one, errors, optimizer()), one.state_dict()][1])(make())


def test_the_state_of_another_schedule_is_refused() -> None:
    with pytest.raises(SettingError, match="the saved schedule was .*'patience': 2.*this one is .*'patience': 3"):
        DropsOnPlateau(3).load_state_dict(DropsOnPlateau(2).state_dict())
    with pytest.raises(SettingError, match="give the same settings"):
        DropsByHand((1, 2)).load_state_dict(DropsByHand((1, 3)).state_dict())


def test_the_biases_of_2012_keep_their_rate() -> None:
    made = PaperSGD(parameter_groups(torch.nn.Linear(2, 2), "code2012"), 0.01)
    rates(DropsByHand(NET_145_DROPS, NET_145_END), [None] * 30, made)
    assert [group["lr"] for group in made.param_groups] == pytest.approx([0.001, 0.02])
    caffe = PaperSGD(parameter_groups(torch.nn.Linear(2, 2), "caffe"), 0.01)
    rates(DropsByHand(NET_145_DROPS, NET_145_END), [None] * 30, caffe)
    assert [group["lr"] for group in caffe.param_groups] == pytest.approx([0.001, 0.002])


def test_multiplied_as_the_paper_torchs_sgd_keeps_its_velocity() -> None:
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Linear(3, 2).double() for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    made = [PaperSGD(parameter_groups(ours, "code2012"), 0.01)]
    made.append(torch.optim.SGD(parameter_groups(theirs, "code2012"), 0.01))
    x = torch.randn(8, 3, dtype=torch.float64)
    for step in range(40):
        for net, one in ((ours, made[0]), (theirs, made[1])):
            one.zero_grad()
            net(x).square().sum().backward()
            one.step()
        if step in (10, 20):
            for one in made:
                multiply_rates(one, 0.1, paper=True)
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=0, atol=1e-12)


@pytest.mark.parametrize("error", [math.nan, math.inf, None])
def test_a_validation_error_that_says_nothing_stops_with_its_pass(error: float | None) -> None:
    schedule = DropsOnPlateau()
    schedule.step(optimizer(), 0.5)
    with pytest.raises(TrainingError, match="after pass 2: a schedule cannot judge it"):
        schedule.step(optimizer(), error)
    if error is not None:
        with pytest.raises(TrainingError, match="after pass 1"):
            DropsByHand((5,)).step(optimizer(), error)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DropsOnPlateau(threshold=-0.1), "threshold -0.1 must be a share of 0 or more"),
        (lambda: DropsOnPlateau(threshold=math.nan), "threshold nan"),
        (lambda: DropsOnPlateau(patience=0), "patience 0 must be 1 or more"),
        (lambda: DropsOnPlateau(drops=-1), "drops -1 0 or more"),
        (lambda: DropsOnPlateau(factor=10), "factor 10 must lie between 0 and 1"),
        (lambda: DropsByHand((5,), factor=0), "factor 0 must lie between 0 and 1"),
        (lambda: DropsByHand((5, 5)), "each must come after the one before"),
        (lambda: DropsByHand((5, 9), end=9), "each must come after the one before"),
        (lambda: DropsByHand((0, 9)), "passes are counted from 1"),
        (lambda: multiply_rates(optimizer(), -1), "learning rate -1 cannot train"),
    ],
)
def test_bad_settings_are_named(make, said: str) -> None:  # noqa: ANN001
    with pytest.raises(SettingError, match=said):
        make()


def training(schedule, tmp_path: Path | None = None, errors=None, passes: float = 12, **options):  # noqa: ANN001, ANN201, ANN003
    images, labels = separable(96)
    scale, net = PixelScale.fit(images, "unit"), linear_net()
    heard = iter(errors) if errors else None
    validate = (lambda: next(heard)) if errors else (lambda: error_rate(net, images, labels, scale))
    settings = TrainSettings(rate=0.01, batch_size=32, passes=passes, points=2)
    checkpoint = tmp_path / "run.pt" if tmp_path else None
    result = fit(
        net, images, labels, settings, scale, schedule=schedule, validate=validate, checkpoint=checkpoint, **options
    )
    return result, net


@pytest.mark.usefixtures("one_thread")
def test_fit_asks_after_every_whole_pass_and_ends_when_told() -> None:
    schedule = DropsOnPlateau(patience=2)
    result, _ = training(schedule, errors=[0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4])
    assert result.ended == "schedule" and result.curve[-1]["passes"] == 10
    asked = [point for point in result.curve if "validation_error" in point]
    assert [point["passes"] for point in asked] == list(range(1, 11))
    wanted = [0.01] * 4 + [1e-3] * 2 + [1e-4] * 2 + [1e-5] * 2
    assert [point["rate"] for point in asked] == pytest.approx(wanted, rel=1e-12)
    assert schedule.dropped_at == (4, 6, 8)


@pytest.mark.usefixtures("one_thread")
def test_half_a_pass_at_the_end_is_not_asked() -> None:
    schedule = DropsByHand((1,))
    result, _ = training(schedule, passes=1.4)
    assert schedule.passes == 1 and result.ended == "cap"


@pytest.mark.usefixtures("one_thread")
def test_a_run_with_a_schedule_is_taken_up_where_it_was(tmp_path: Path) -> None:
    def stopping_after(number: int):  # noqa: ANN202
        def look(point: dict[str, float]) -> None:
            if point["passes"] > number:
                raise KeyboardInterrupt

        return look

    whole, net = training(DropsOnPlateau(patience=2, threshold=0.05))
    assert whole.ended == "schedule", "this case is to reach its end"
    for number in (1, 3, 5):
        with pytest.raises(KeyboardInterrupt):
            training(DropsOnPlateau(2, 0.05), tmp_path, on_point=stopping_after(number))
    schedule = DropsOnPlateau(2, 0.05)
    again, other = training(schedule, tmp_path)
    assert (again.curve, again.ended) == (whole.curve, "schedule") and torch.equal(net[1].weight, other[1].weight)
    assert len(schedule.dropped_at) == 3
    finished, _ = training(DropsOnPlateau(2, 0.05), tmp_path)
    assert finished.curve == whole.curve, "an ended run is not trained on"


@pytest.mark.usefixtures("one_thread")
def test_a_checkpoint_of_another_schedule_is_not_taken(tmp_path: Path) -> None:
    training(DropsByHand((1,)), tmp_path, passes=2)
    with pytest.raises(TrainingError, match="other settings"):
        training(DropsOnPlateau(), tmp_path, passes=2)
    with pytest.raises(TrainingError, match="the saved schedule was"):
        training(DropsByHand((2,)), tmp_path, passes=2)


@pytest.mark.usefixtures("one_thread")
def test_until_the_first_drop_a_schedule_changes_no_bit_of_a_run() -> None:
    plain, net = training(None, passes=3)
    told, other = training(DropsByHand((3,)), passes=3)
    assert torch.equal(net[1].weight, other[1].weight)
    keys = ("passes", "error", "pass_error", "loss")
    assert plain.curve == [{key: point[key] for key in keys} for point in told.curve]
