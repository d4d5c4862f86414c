"""The figures of the lighting chapter: what is drawn where; the sliders add in a browser what the library adds."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import page_checks
import pytest
import torch

from alexnet_lib.augment import ColorPCA, PCALighting
from alexnet_lib.errors import SettingError
from alexnet_lib.figures.pca_lighting import alpha_sliders, draw_cloud

pytestmark = pytest.mark.usefixtures("book_style")
IMAGES = torch.randint(30, 220, (2, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PCA = ColorPCA.fit(IMAGES)
LIGHTINGS = {"deviation": PCALighting(PCA), "eigenvalue": PCALighting(PCA, scale="eigenvalue", pixel_scale="0-1")}


def test_grey_stands_upright_whatever_the_angle_and_turning_keeps_distances() -> None:
    colours = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0]], dtype=torch.uint8)
    seen = []
    for angle in (0, 40, 130):
        fig = draw_cloud(colours, PCA, angle)
        points = np.asarray(fig.axes[0].collections[0].get_offsets())
        assert np.allclose(points[0], 0) and np.allclose(points[1], [0, 3**0.5])
        seen.append(points[2])
        plt.close(fig)
    assert all(point[1] == pytest.approx(3**-0.5) for point in seen)
    assert len({round(float(point[0]), 3) for point in seen}) == 3 and max(abs(p[0]) for p in seen) <= (2 / 3) ** 0.5


def test_axes_reach_so_many_deviations_from_the_mean() -> None:
    fig = draw_cloud(torch.full((4, 3), 128, dtype=torch.uint8), PCA, 0, reach=2)
    drawn = {line.get_label(): line.get_xydata() for line in fig.axes[0].lines if line.get_label().startswith("axis")}
    assert list(drawn) == ["axis 1", "axis 2", "axis 3"]
    for number, ends in enumerate(drawn.values()):
        up = 4 * PCA.deviations[number].item() / 255 * PCA.eigenvectors[:, number].sum().item() / 3**0.5
        assert ends[1][1] - ends[0][1] == pytest.approx(up, abs=1e-9)
        assert ends.mean(0)[1] == pytest.approx(128 / 255 * 3**0.5)
    plt.close(fig)


def test_what_the_sliders_know_is_what_the_library_adds() -> None:
    page = alpha_sliders.bundle(IMAGES, LIGHTINGS)["text/html"]
    told = json.loads(re.search(r'class="an-texts">(.*?)</script>', page)[1])
    assert list(told) == list(LIGHTINGS)
    alphas = torch.tensor([[0.1, -0.2, 0.05]])
    for name, lighting in LIGHTINGS.items():
        by_hand = (alphas[0, :, None] * torch.tensor(told[name])).sum(0)
        assert torch.allclose(by_hand, lighting.shifts(alphas)[0], atol=1e-3)


def test_the_same_figure_is_the_same_text_and_another_has_another_key() -> None:
    first, again = alpha_sliders.bundle(IMAGES, LIGHTINGS), alpha_sliders.bundle(IMAGES, LIGHTINGS)
    other = alpha_sliders.bundle(IMAGES.flip(3), LIGHTINGS)
    keys = [re.search(r'data-key="(\w+)"', one["text/html"])[1] for one in (first, other)]
    assert first == again and keys[0] != keys[1] and len(first["text/plain"].split()) > 4


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(SettingError, match="at least one photograph"):
        alpha_sliders.bundle(IMAGES[:0], LIGHTINGS)
    with pytest.raises(SettingError, match="one lighting"):
        alpha_sliders.bundle(IMAGES, {})


@pytest.mark.parametrize("width", [1280, 360])
def test_the_browser_adds_the_colour_that_the_library_adds(tmp_path: Path, width: int) -> None:
    if page_checks.chromium() is None:
        pytest.skip("no Chromium here")
    grey = torch.full((2, 3, 16, 16), 120, dtype=torch.uint8)
    page = alpha_sliders.bundle(grey, LIGHTINGS)["text/html"]
    assert not re.search(r'\bid="', page) and "http" not in page, "the same output may stand on a page twice"
    (tmp_path / "page.html").write_text(f"<!doctype html><html lang=en><main>{page * 2}</main>", encoding="utf-8")
    with page_checks.browser() as running:
        tab = running.new_page(viewport={"width": width, "height": 900})
        wrong: list[str] = []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto((tmp_path / "page.html").as_uri())
        for copy, alphas in ((0, (0.3, 0.0, -0.3)), (1, (-0.1, 0.1, 0.2))):
            figure = tab.locator(".an-alphas").nth(copy)
            for number, alpha in enumerate(alphas):
                figure.locator("input").nth(number).fill(str(alpha))
            for name, lighting in LIGHTINGS.items():
                figure.locator("select").select_option(name)
                shift = lighting.shifts(torch.tensor([alphas]))[0]
                assert np.abs(_colour_of(figure.locator("svg").screenshot()) - (120 + shift.numpy())).max() < 2
                said = figure.locator(".an-added").inner_text().replace("\u2212", "-")
                assert f"red {shift[0]:+.1f}" in said and f"blue {shift[2]:+.1f}" in said
        figure.get_by_role("button", name="draw three").click()
        assert figure.locator("output").all_inner_texts() != ["-0.10", "0.10", "0.20"]
        figure.get_by_role("button", name="back to 0").click()
        assert figure.locator("output").all_inner_texts() == ["0.00"] * 3
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth") and not wrong


def _colour_of(png: bytes) -> np.ndarray:
    """The colour in the middle of the first of two photographs."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=float)
    height, width = pixels.shape[:2]
    return pixels[height // 3 : height // 2, width // 8 : width // 4].mean((0, 1))
