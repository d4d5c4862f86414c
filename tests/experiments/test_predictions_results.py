"""What the chapter "Predictions" reads from a record: rows, orders, photographs, the recorded layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ledger_cases import put
from PIL import Image
from safetensors.torch import save_file

from alexnet_lib import records
from alexnet_lib.data.tiny_imagenet import FOLDER
from alexnet_lib.errors import DataError, RecordError
from alexnet_lib.experiments import predictions as read
from alexnet_lib.experiments.predictions import CONVOLUTIONS, STUDY
from alexnet_lib.measures import effects
from alexnet_lib.network.alexnet import AlexNet

CLASSES = ["n01443537", "n04398044", "n02002724"]  # goldfish, teapot, black stork
SIZE = STUDY.on_cpu
RUN = f"{SIZE.name}_predictions"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A record of two seeds and four images, with what stays beside it."""
    recipe = STUDY.recipe_of("paper", SIZE)
    view = {"error": [0.5, 0.25], "error_on_centre": [0.5, 0.0], "error_off_centre": [0.5, 0.5],
            "calibration_error": [0.1, 0.2]}  # fmt: skip
    result = {"complete": True, "seeds": [0, 1], "centre": view, "ten": view | {"error": [0.25, 0.25]},
              "names": [f"val_{n}.JPEG" for n in range(4)]}  # fmt: skip
    put(tmp_path, "predictions", RUN, result, [0, 1], claims=["C28"],
        configuration={"classes": CLASSES, "recipe": recipe.plain()})  # fmt: skip
    rows = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.4, 0.5, 0.1]])
    others = torch.tensor([[0.2, 0.7, 0.1], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    net = AlexNet(recipe.net, 3, seed=5)
    layers = {f"{layer}.{what}": getattr(net.get_submodule(layer), what).detach().half()
              for layer in CONVOLUTIONS for what in ("weight", "bias")}  # fmt: skip
    shares = {"softmax-centre": rows.half(), "softmax-ten": others.half()}
    corner, all_of_it = [0, 0, 20, 20], [0, 0, 63, 63]
    beside = {"labels": torch.tensor([0, 1, 2, 0]), "boxes": torch.tensor([corner, all_of_it, all_of_it, corner])}
    save_file(shares | beside | layers, tmp_path / "predictions" / f"{RUN}_seed-0.safetensors")
    save_file(shares, tmp_path / "predictions" / f"{RUN}_seed-1.safetensors")
    return tmp_path


def test_nothing_recorded_is_said_to_be_not_yet_run(tmp_path: Path) -> None:
    assert read.recorded(tmp_path) == {}
    assert read.off_rows({})[0][0] == "not yet run" == read.changed_rows({})[0][0]


def test_errors_on_and_off_the_centre_have_intervals_of_seeds_and_images(root: Path) -> None:
    record = read.recorded(root)
    assert records.key(record) == f"predictions/{RUN}"
    assert read.off(record, root).tolist() == [True, False, False, True]
    centre, ten = read.off_rows(record, root)
    assert [centre[0], ten[0]] == ["centre view", "ten views"]
    # Of labels 0, 1, 2, 0 both seeds have 0, 0, 2, 1: one of two is wrong in each group.
    assert centre[1].startswith("50.0 (") and centre[1] == centre[2] and centre[3].startswith("+0.00 points (")
    assert centre[1] == "50.0 (0.0 to 100.0)", "of two images little is known, and no error is under 0"


def test_the_interval_of_an_error_is_that_of_both_seeds_and_images() -> None:
    generator = np.random.default_rng(0)
    hard = generator.random(400)
    wrong = np.stack([generator.random(400) < 0.9 * hard for _ in range(5)])
    low, high = (float(end) / 100 for end in read.told_error(wrong).split("(")[1].strip(")").split(" to "))
    resampled = np.percentile(effects.resampled(wrong, np.zeros_like(wrong)), [2.5, 97.5])
    assert [low, high] == pytest.approx(sorted(-resampled), abs=0.02)
    assert read.told_error(wrong[:1]).endswith(" (1 seed)")


def test_the_cost_of_being_off_is_told_apart_from_chance_by_images_of_both_groups(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    away = np.arange(500) < 140
    hard = np.where(away, 0.6, 0.4)
    always = generator.random(500) < hard  # which images are wrong hangs on the images alone
    monkeypatch.setattr(read, "wrong_by_seed", lambda *given: np.stack([always] * 3))
    monkeypatch.setattr(read, "off", lambda *given: away)
    cost = read.cost_of_off({}, root=root)
    assert cost.size == pytest.approx(always[away].mean() - always[~away].mean())
    expected = sum(always[group].var(ddof=1) / group.sum() for group in (away, ~away)) ** 0.5
    assert cost.error == cost.image_error == pytest.approx(expected) and cost.seed_error == 0
    assert cost.interval[1] - cost.interval[0] == pytest.approx(2 * 1.97 * expected, rel=0.01)
    monkeypatch.setattr(read, "wrong_by_seed", lambda *given: always[None])
    assert read.cost_of_off({}, root=root) is None and read.off_rows({"a": 1}, root)[0][3] == "1 seed: cannot tell"


def test_ten_views_put_right_and_spoil(root: Path) -> None:
    """Of labels 0, 1, 2, 0 the centre view has 0, 0, 2, 1 and ten views have 1, 1, 2, 0."""
    assert read.changed_rows(read.recorded(root), root) == [["seed 0", "2", "1", "4"], ["seed 1", "2", "1", "4"]]
    assert read.gain_of_ten(read.recorded(root), root).startswith("+25.00 points (") and read.gain_of_ten({}) == ""


def test_half_precision_adds_up_to_one_again(root: Path) -> None:
    for rows in read.softmax(read.recorded(root), root=root):
        assert rows.dtype == np.float64 and np.allclose(rows.sum(axis=1), 1, atol=1e-12)


def test_the_trees_order_puts_animals_together(root: Path) -> None:
    record = read.recorded(root)
    assert read.words(record) == ["goldfish", "teapot", "black stork"]
    order = read.in_tree_order(record)
    assert abs(order.index(0) - order.index(2)) == 1


def test_photographs_are_those_named_and_none_where_there_are_none(root: Path, tmp_path: Path) -> None:
    record = read.recorded(root)
    data = tmp_path / "data"
    (data / FOLDER / "val" / "images").mkdir(parents=True)
    Image.new("L", (64, 64), 7).save(data / FOLDER / "val" / "images" / "val_2.JPEG")
    (found,) = read.photographs(record, [2], data)
    assert found.shape == (64, 64, 3) and found.max() == 7
    with pytest.raises(DataError, match="val_1.JPEG cannot be read"):
        read.photographs(record, [1], data)
    (tmp_path / "empty").mkdir()
    assert read.photographs(record, [1, 2], tmp_path / "empty") == [None, None]


def test_the_recorded_layers_are_in_the_network_and_the_rest_is_not_asked_for(root: Path) -> None:
    record = read.recorded(root)
    net, again = read.convolutions(record, root), AlexNet(STUDY.recipe_of("paper", SIZE).net, 3, seed=5)
    for layer in CONVOLUTIONS:
        assert torch.equal(net.get_submodule(layer).weight, again.get_submodule(layer).weight.half().float())
    assert not net.training


def test_a_file_that_is_gone_is_named(root: Path) -> None:
    (root / "predictions" / f"{RUN}_seed-1.safetensors").unlink()
    with pytest.raises(RecordError, match="_seed-1.safetensors is missing"):
        read.softmax(read.recorded(root), root=root)
