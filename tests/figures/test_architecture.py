"""Figure 2 as drawn from a description: what stands where, what it says, and that it zooms in a browser."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib.pyplot as plt
import page_checks
import pytest

from alexnet_lib.figures.architecture import breakdown, draw_borders, draw_breakdown
from alexnet_lib.figures.figure2 import alt_of, numbers_of, zooming
from alexnet_lib.figures.figure2_layout import lines, near, stages
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import VARIANTS, ablations
from alexnet_lib.network.description import Description
from alexnet_lib.network.geometry import FIRST_LAYERS

pytestmark = pytest.mark.usefixtures("book_style")


@pytest.fixture(scope="module")
def described() -> dict[str, Description]:
    configs = {name: make() for name, make in VARIANTS.items()} | {"never": ablations()["never_exchange"]}
    return {name: AlexNet(config).describe() for name, config in configs.items()}


def crossings(described: Description) -> list[str]:
    """The layers before which a line goes from one column's row to the other's."""
    found = stages(described)
    names = {box.left: stage.name for stage in found for box in stage.boxes}
    return sorted({names[end] for _, end, crosses in lines(found) if crosses})


def test_lines_cross_where_the_columns_meet(described: dict[str, Description]) -> None:
    assert crossings(described["paper"]) == ["conv3", "fc6", "fc7", "fc8"]
    assert crossings(described["never"]) == ["fc8"]
    assert crossings(described["torchvision"]) == []


@pytest.mark.parametrize("name", VARIANTS)
def test_blocks_stand_apart_and_every_layer_has_one(described: dict[str, Description], name: str) -> None:
    found = stages(described[name])
    assert [stage.name for stage in found] == ["images", *(row.name for row in described[name].layers)]
    for before, after in zip(found, found[1:], strict=False):
        assert before.boxes[0].x + before.boxes[0].width + before.boxes[0].lean < after.boxes[0].x
    columns = described[name].config.columns
    assert [len(stage.boxes) for stage in found] == [1, *[columns] * (len(found) - 2), 1]


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_seen_of_a_layer_near_holds_its_block(described: dict[str, Description], name: str) -> None:
    width, height = 650, 292
    for stage in stages(described[name]):
        x, y, wide, tall = near(stage, width, height)
        box = stage.boxes[0]
        assert x <= box.x and box.x + box.width + box.lean <= x + wide
        assert y <= box.y + box.height / 2 <= y + tall and 0 <= x <= width - wide and 0 <= y <= height - tall + 0.1


def test_the_numbers_of_a_layer(described: dict[str, Description]) -> None:
    said = dict(numbers_of(described["paper"], "conv2"))
    assert said["what"] == "256 kernels of 5 x 5 x 48, stride 1"
    assert said["puts out"] == "256 x 27 x 27 = 186,624"
    assert said["weights and biases"] == "307,456 (0.5%)" and said["takes from"] == "its own column"
    assert said["then"] == "response norm, max pooling"
    assert dict(numbers_of(described["paper"], "fc6"))["what"] == "fully connected, 9,216 inputs to a unit"
    assert "takes from" not in dict(numbers_of(described["torchvision"], "conv2"))
    assert dict(numbers_of(described["caffe"], "images"))["numbers"] == "3 x 227 x 227 = 154,587"


def test_the_bundle_is_one_svg_that_names_itself_and_its_parts(described: dict[str, Description]) -> None:
    bundle = zooming.bundle(described["paper"], "A <caption>")
    again = zooming.bundle(described["paper"], "A <caption>")
    assert bundle == again and "A &lt;caption&gt;" in bundle["text/html"] and len(bundle["text/html"]) < 60_000
    root = ET.fromstring(re.search(r"<svg.*?</svg>", bundle["text/html"], re.S)[0])
    assert root.get("aria-label") == alt_of(described["paper"]) == bundle["text/plain"]
    parts = [element for element in root.iter() if element.get("class") == "an-part"]
    assert len(parts) == 9 and all(part.get("tabindex") == "0" and part.get("aria-label") for part in parts)
    assert "http" not in bundle["text/html"] and not re.search(r'\bid="', bundle["text/html"])
    other = zooming.bundle(described["caffe"])["text/html"]
    assert re.search(r'data-key="(\w+)"', other)[1] != re.search(r'data-key="(\w+)"', bundle["text/html"])[1]


@pytest.mark.parametrize("width", [1280, 360])
def test_it_zooms_by_mouse_by_keys_and_by_the_slider(
    described: dict[str, Description], tmp_path: Path, width: int
) -> None:
    if page_checks.chromium() is None:
        pytest.skip("no Chromium here")
    page = zooming.bundle(described["paper"])["text/html"]
    (tmp_path / "page.html").write_text(f"<!doctype html><html lang=en><main>{page * 2}</main>", encoding="utf-8")
    with page_checks.browser() as running:
        tab = running.new_page(viewport={"width": width, "height": 800}, reduced_motion="reduce")
        wrong: list[str] = []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto((tmp_path / "page.html").as_uri())
        svg, said = tab.locator("svg").first, tab.locator(".an-numbers").first
        whole = svg.get_attribute("viewBox")
        tab.locator(".an-part[data-at='4']").first.click()
        assert "384 kernels of 3 x 3 x 256" in said.inner_text() and svg.get_attribute("viewBox") != whole
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        assert "384 kernels of 3 x 3 x 192" in said.inner_text()
        tab.locator("input").first.focus()
        tab.keyboard.press("Home")
        assert "60,965,224" in said.inner_text() and svg.get_attribute("viewBox").split()[2] == whole.split()[2]
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth") and not wrong


def test_breakdowns_add_up(described: dict[str, Description]) -> None:
    paper = described["paper"]
    assert sum(breakdown(paper, "weights").values()) == 60_965_224
    assert sum(breakdown(paper, "multiply-adds").values()) == 724_406_816
    assert breakdown(paper, "activations")["conv1"] == 2 * 290_400 + 96 * 27 * 27
    assert sum(breakdown(paper, "activations").values()) == sum(row.outputs for row in paper.rows)


def test_the_charts_show_what_they_are_given(described: dict[str, Description]) -> None:
    bars = [bar.get_width() for bar in draw_breakdown(described["paper"], "weights").axes[0].patches]
    assert sum(bars) == pytest.approx(1) and bars[5] == pytest.approx(37_752_832 / 60_965_224)
    left, right = draw_borders(FIRST_LAYERS).axes
    assert list(left.lines[-2].get_xdata()) == [-2, 9] and list(right.lines[3].get_xdata()) == [216, 227]
    plt.close("all")
