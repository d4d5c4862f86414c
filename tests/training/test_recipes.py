"""Recipes: what the four say, changes from the command line, and what they make of a network and its images."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from alexnet_lib.augment import AugmentBatch, ColorPCA, PixelScale
from alexnet_lib.errors import SettingError
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.training.recipes import NAMED, Recipe, named, recipe_of
from alexnet_lib.training.schedule import STOP, CosineDecay, DropsByHand, DropsOnPlateau


def test_the_papers_recipe_is_the_papers() -> None:
    recipe = named("paper")
    assert (recipe.batch, recipe.rate, recipe.momentum, recipe.weight_decay) == (128, 0.01, 0.9, 0.0005)
    assert recipe.net == AlexNetConfig.paper() and recipe.net.dropout == 0.5 and recipe.passes == 90
    schedule = recipe.make_schedule(10_009)
    assert isinstance(schedule, DropsOnPlateau) and (schedule.drops, schedule.factor) == (3, 0.1)


def test_the_codes_recipe_drops_when_its_net_145_did() -> None:
    recipe, small = named("code2012"), AlexNet(replace(AlexNetConfig.code2012(), hidden=(8, 8)), 10, seed=0)
    assert recipe.make_schedule(10) == DropsByHand((25, 51, 79), 91)
    weights, biases = recipe.make_optimizer(small).param_groups
    assert (weights["lr"], biases["lr"]) == (0.01, 0.02)
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.0005, 0.0)
    assert (weights["lowered"], biases["lowered"]) == (True, False)


def test_caffes_steps_are_passes_of_imagenet() -> None:
    recipe = named("caffe")
    steps = 1_281_167 // recipe.batch
    for passes, thousands in zip(recipe.drops, (100, 200, 300, 400), strict=True):
        assert abs(passes * steps - 1000 * thousands) < 1000
    assert abs(recipe.passes * steps - 450_000) < 1000


@pytest.mark.parametrize("name", NAMED)
def test_a_recipe_survives_being_written_as_json(name: str) -> None:
    recipe = named(name, ["net.norm=none", "net.columns=1"])
    assert recipe_of(json.loads(json.dumps(recipe.plain()))) == recipe


@pytest.mark.parametrize(
    ("owner", "name", "value", "said"),
    [
        ((), "rate", "fast", "rate cannot be fast"),
        ((), "rate", float("inf"), "rate cannot be inf"),
        ((), "batch", True, "batch cannot be True"),
        ((), "drops", [1, "2"], "drops cannot be"),
        ((), "colour", 1, "unexpected keyword argument 'colour'"),
        ((), "net", [], "list"),
        (("net",), "widths", "abcde", "widths cannot be abcde"),
        (("net",), "columns", None, "columns cannot be None"),
        (("net", "lrn"), "k", "2", "k cannot be 2"),
    ],
)
def test_values_that_no_recipe_has_are_named(owner: tuple[str, ...], name: str, value: object, said: str) -> None:
    plain = inner = json.loads(json.dumps(named("paper").plain()))
    for key in owner:
        inner = inner[key]
    inner[name] = value
    with pytest.raises(TypeError, match=said):
        recipe_of(plain)


def test_changes_reach_recipe_and_network() -> None:
    recipe = named(
        "code2012",
        [
            "rate=0.5",
            "reflect=no",
            "lighting_until=none",
            "drops=3,5",
            "passes=7",
            "net.norm=none",
            "net.hidden=8, 9",
            "net.sixth=12",
            "net.columns=1",
        ],
    )
    assert (recipe.rate, recipe.reflect, recipe.lighting_until, recipe.drops) == (0.5, False, None, (3, 5))
    assert (recipe.net.norm, recipe.net.hidden, recipe.net.sixth, recipe.net.columns) == ("none", (8, 9), 12, 1)
    assert recipe == replace(
        named("code2012"), rate=0.5, reflect=False, lighting_until=None, drops=(3, 5), passes=7, net=recipe.net
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("speed=3", "FIELD=VALUE, with a field out of batch, rate"),
        ("net.speed=3", "with a field out of net.widths"),
        ("rate", "FIELD=VALUE"),
        ("rate=fast", "'fast' is no value"),
        ("reflect=perhaps", "'perhaps' is no value"),
        ("rate=0", "cannot train"),
        ("batch=0", "batch 0"),
        ("smoothing=1", "smoothing 1.0"),
        ("schedule=sometimes", "schedule 'sometimes' is not known; use one of plateau"),
        ("drops=3", "drops are for the schedule 'by hand'"),
        ("schedule=by hand", "drops are for the schedule 'by hand'"),
        ("warmup=2", "warmup is for 'cosine'"),
        ("net.norm=layer", "norm 'layer' is not known"),
        ("net.columns=5", "does not divide"),
    ],
)
def test_changes_that_do_not_fit_are_named(change: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        named("paper", [change])


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(SettingError, match="recipe 'vgg' is not known; use one of paper, code2012, caffe, modern"):
        named("vgg")


def augmentation(recipe: Recipe, number: int = 1) -> AugmentBatch:
    images = torch.randint(0, 256, (4, 3, 256, 256), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scale, pca = PixelScale.fit(images), ColorPCA.fit(images)
    return recipe.make_augmentation(scale, pca, number)


def test_lighting_by_recipe() -> None:
    of_text, of_code = augmentation(named("paper")), augmentation(named("code2012"))
    assert of_text.lighting.scale == "eigenvalue" and of_text.lighting.pixel_scale == "0-1"
    assert of_code.lighting.scale == "deviation" and of_code.divide == pytest.approx(1.1)
    assert augmentation(named("code2012"), 66).lighting is not None
    assert augmentation(named("code2012"), 67).lighting is None
    caffes = augmentation(named("caffe"))
    assert caffes.lighting is None and caffes.mean_at == "crop" and caffes.size == 227


def test_without_crops_only_the_place_differs() -> None:
    crops, centred = (augmentation(named("paper", [f"crops={word}"])) for word in ("yes", "no"))
    drawn, middle = (each.draw(6, 256, 256, torch.Generator().manual_seed(3)) for each in (crops, centred))
    assert middle.tops.tolist() == middle.lefts.tolist() == [16] * 6 and drawn.tops.tolist() != [16] * 6
    assert torch.equal(drawn.mirrored, middle.mirrored) and torch.equal(drawn.alphas, middle.alphas)


def test_cosine_decay_rises_then_falls_to_nothing() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    schedule, rates = CosineDecay(100, 10), []
    for step in range(100):
        schedule.before_step(optimizer, step)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[:2] == pytest.approx([0.04, 0.08]) and rates[9] == rates[10] == pytest.approx(0.4)
    assert rates[55] == pytest.approx(0.2) and all(a > b for a, b in zip(rates[10:], rates[11:], strict=False))
    assert rates[-1] < 1e-3 and schedule.step(optimizer) != STOP
    again = CosineDecay(100, 10)
    again.load_state_dict(schedule.state_dict())
    assert again.passes == 1
    with pytest.raises(SettingError, match="was of 100 steps, this one has 90"):
        CosineDecay(90).load_state_dict(schedule.state_dict())
    with pytest.raises(SettingError, match="warmup of 100 steps"):
        CosineDecay(100, 100)
