"""The page of settings that the chapter shows: complete, and read from the recipes."""

from __future__ import annotations

from dataclasses import fields, replace

from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.training import explained
from alexnet_lib.training.recipes import NAMED, Recipe, named

ALL = {name: make() for name, make in NAMED.items()}


def test_every_setting_of_a_recipe_has_a_reason() -> None:
    own = {field.name for field in fields(Recipe)} - {"name", "net"}
    assert own == {field for field in explained.SETTINGS if not field.startswith("net.")}
    assert all(one["section"] and one["why"] for one in explained.SETTINGS.values())


def test_every_setting_in_which_the_networks_differ_is_on_the_page() -> None:
    of_nets = {field.name for field in fields(AlexNetConfig)} - {"name"}
    differ = {f"net.{name}" for name in of_nets if len({str(getattr(r.net, name)) for r in ALL.values()}) > 1}
    assert differ <= set(explained.SETTINGS)


def test_the_papers_page_has_the_papers_figures() -> None:
    page = {field: (value, section) for field, value, section, _ in explained.page(named("paper"))}
    assert page["batch"] == ("128", "5") and page["rate"] == ("0.01", "5") and page["weight_decay"] == ("0.0005", "5")
    assert page["net.deviations"] == ("8 x 0.01", "5") and page["net.biases"] == ("0, 1, 0, 1, 1, 1, 1, 0", "5")
    assert page["lighting_until"][0] == "none" and page["crops"][0] == "yes" and page["drops"][0] == "none"


def test_a_change_is_seen_and_nothing_else_is() -> None:
    paper = named("paper")
    assert explained.differences({"one": paper, "other": paper}) == []
    rows = explained.differences({"one": paper, "other": replace(paper, batch=256, drops=())})
    assert rows == [["batch", "128", "256"]]
    by_field = {row[0]: row[1:] for row in explained.differences(ALL)}
    assert by_field["drops"] == ["none", "25, 51, 79", "20, 40, 60, 80", "none"]
    assert by_field["net.deviations"][1] == "0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01"
    assert "momentum" not in by_field and "net.activation" not in by_field


def test_values_are_told_in_words() -> None:
    assert explained.told(ALL["caffe"].net.lrn).startswith("n 5, k 1, alpha 0.0001") and explained.told(True) == "yes"
    assert explained.told((("norm", "pool"), ("activation",))) == "norm > pool; activation"
    assert (
        explained.told((5,)) == "5"
        and explained.told((0, 0)) == "0, 0"
        and explained.told(None) == "none" == explained.told(())
    )
