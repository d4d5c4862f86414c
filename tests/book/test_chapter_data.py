"""What the chapter "The data" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from chapter_cells import Chapter, Shown
from PIL import Image

from alexnet_lib.data.photographs import read_photograph
from alexnet_lib.measures.images import (
    correlation_by_distance,
    local_contrast,
    mean_image,
    subtract_local_mean,
)
from alexnet_lib.training.topk import topk_errors

run_cells = Chapter("data").run


def drawn(n: int, size: int = 32, seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return (255 * torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")).to(torch.uint8)


def test_the_ranks_by_hand_are_the_librarys_errors(capsys: pytest.CaptureFixture) -> None:
    made = run_cells("rank = 1 +")
    assert made["rank"].tolist() == [2, 1, 6]
    errors = topk_errors(made["logits"], made["labels"], (1, 2, 5))
    assert errors == {1: 2 / 3, 2: 1 / 3, 5: 1 / 3}
    assert "'0.667'" in capsys.readouterr().out


def test_the_dogs_among_the_categories_are_counted_whole() -> None:
    """What stands before the first and after the last of the names is no dog, and all between are kept together."""
    made = run_cells("AlexNet_Weights")
    categories, first, last = made["categories"], made["first"], made["last"]
    assert len(categories) == 1000 and last - first + 1 == 118
    assert categories[last + 1] == "timber wolf" and categories[first - 1] == "sea lion"
    assert {"pug", "dalmatian", "beagle"} <= set(categories[first : last + 1])


def test_a_network_that_learned_nothing_is_judged_in_three_ways(capsys: pytest.CaptureFixture) -> None:
    run_cells("by_sort =", topk_errors=topk_errors)
    said = capsys.readouterr().out
    assert "rank as above: 0.0" in said and said.rstrip().endswith("the library's: 1.0")


@pytest.mark.parametrize("size", [(451, 300), (300, 451), (100, 257), (256, 256), (900, 260)])
def test_the_preparation_by_hand_is_the_librarys(size: tuple[int, int], tmp_path) -> None:  # noqa: ANN001
    made = run_cells("def shorter_side")
    pixels = torch.randint(256, (size[1], size[0], 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = Image.fromarray(pixels.numpy())
    picture.save(tmp_path / "picture.png")
    prepared = made["central_square"](made["shorter_side"](picture))
    wanted = read_photograph(tmp_path / "picture.png").permute(1, 2, 0)
    assert prepared.size == (256, 256)
    assert torch.equal(torch.frombuffer(bytearray(prepared.tobytes()), dtype=torch.uint8).view(256, 256, 3), wanted)


def test_the_cat_loses_a_third_as_the_text_says() -> None:
    made = run_cells("def shorter_side")
    width, height = made["whole"]["chelsea"].size
    assert (width, height) == (385, 256) and 1 - 256 / width == pytest.approx(1 / 3, abs=0.01)


def test_the_means_by_hand_are_the_librarys(capsys: pytest.CaptureFixture) -> None:
    run_cells("two = torch.tensor")
    said = capsys.readouterr().out
    assert "pixel   mean [15.0, 45.0], left [[-5.0, -15.0], [5.0, 15.0]]" in said
    assert "number  mean [30.0, 30.0], left [[-20.0, 0.0], [-10.0, 30.0]]" in said


def permuted(images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    photographs = SimpleNamespace(images=images)
    return run_cells("def permuted", photographs=photographs, nb=Shown())["permuted"](images, seed)


def test_permuting_moves_all_images_alike_and_loses_nothing() -> None:
    images = torch.randint(256, (4, 3, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    moved = permuted(images, seed=1)
    assert moved.shape == images.shape and moved.dtype == torch.uint8 and not torch.equal(moved, images)
    pixels, others = (some.flatten(2).permute(2, 0, 1).flatten(1).tolist() for some in (images, moved))
    assert sorted(pixels) == sorted(others)  # whole columns of pixels, over all images and channels
    assert torch.equal(moved, permuted(images, seed=1)) and not torch.equal(moved, permuted(images, 2))


def test_permuting_destroys_the_correlation_of_neighbours() -> None:
    noise = torch.randn(200, 1, 16, 23, generator=torch.Generator().manual_seed(0))
    images = noise.unfold(3, 8, 1).mean(-1)
    assert correlation_by_distance(images, [1]) > 0.8
    assert correlation_by_distance(permuted(images), [1]).abs() < 0.15


def test_channels_correlate_as_numpy_has_it() -> None:
    coarse = torch.rand(9, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    coarse[:, 1] = (coarse[:, 0] + coarse[:, 1]) / 2
    images = (255 * torch.nn.functional.interpolate(coarse, size=256, mode="bilinear")).to(torch.uint8)
    photographs, shown = SimpleNamespace(images=images, name="drawn"), Shown()
    made = run_cells("def permuted", "torch.corrcoef", photographs=photographs, nb=shown)
    wanted = np.corrcoef(images.permute(1, 0, 2, 3).flatten(1).double().numpy())
    np.testing.assert_allclose(made["between"].numpy(), wanted, atol=1e-6)
    assert shown.tables[0][1][1] == f"{wanted[1, 0]:.2f}"
    (curves,) = shown.charts
    assert curves["along a row"][1].tolist() == correlation_by_distance(images, made["distances"]).tolist()


def test_the_guess_from_neighbours_is_a_regression_that_knows_a_plane() -> None:
    """Where each pixel is the mean of its left and right neighbours, all of it is explained, anywhere."""
    ramp = (2 * torch.arange(40)[:, None] + 3 * torch.arange(40)).expand(6, 3, 40, 40).to(torch.float32)
    tilted = ramp * torch.arange(1, 7)[:, None, None, None] / 6
    noise = torch.rand(48, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 255
    made = run_cells("def neighbours", photographs=SimpleNamespace(images=noise), shuffled=noise)
    known, pixel = made["neighbours"](tilted[:3, :, :20, :20])
    weights = torch.linalg.lstsq(known, pixel, driver="gelsd").solution
    assert made["explained"](weights, tilted[3:, :, 20:, 20:]) > 0.999
    assert abs(made["explained"](made["weights"], noise[:4, :, :64, :64])) < 0.01


def test_the_place_by_hand_has_the_librarys_local_mean_taken_off(capsys: pytest.CaptureFixture) -> None:
    photographs = SimpleNamespace(images=drawn(1, 256))
    made = run_cells("by hand:", photographs=photographs)
    wanted = subtract_local_mean(photographs.images)[0, :, 100, 100]
    torch.testing.assert_close(made["v"], wanted, rtol=0, atol=1e-2)
    assert "by hand: -1.5\none place agrees: True" in capsys.readouterr().out


def global_contrast(images: torch.Tensor) -> torch.Tensor:
    photographs = SimpleNamespace(images=drawn(1, 256))
    return run_cells("by hand:", photographs=photographs)["global_contrast"](images)


def test_the_global_one_has_mean_0_and_deviation_1_in_every_image() -> None:
    images = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[1] //= 16
    out = global_contrast(images)
    assert out.mean((1, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(out.square().mean((1, 2, 3)), torch.ones(4))
    twice = global_contrast(3.0 * images + 20)
    torch.testing.assert_close(twice, out, rtol=0, atol=1e-5)
    assert global_contrast(torch.full((1, 3, 12, 12), 137, dtype=torch.uint8)).abs().max() < 1e-3


def test_a_shadow_over_one_half_goes_away_locally_and_stays_globally() -> None:
    texture = 20 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    light = torch.ones(1, 1, 64, 64)
    light[..., 32:] = 0.25
    shaded = light * (texture + 120)
    lit, dark = ((..., slice(8, 56), slice(start, start + 16)) for start in (8, 40))
    whole, local = global_contrast(shaded), local_contrast(shaded)
    assert whole[lit].mean() - whole[dark].mean() > 1.5  # the dark half is as dark as before
    assert (local[lit].mean() - local[dark].mean()).abs() < 0.1
    contrasts = [float(out[dark].std() / out[lit].std()) for out in (shaded, whole, local)]
    assert contrasts[0] == pytest.approx(contrasts[1]) and contrasts[2] > 1.25 * contrasts[1]


def test_local_normalisation_evens_out_what_global_keeps() -> None:
    texture = torch.rand(8, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    light = torch.linspace(50, 255, 256)
    photographs = SimpleNamespace(images=(texture * light).to(torch.uint8))
    kinds = {"global_contrast": global_contrast, "local_contrast": local_contrast}
    unevenness = run_cells("def unevenness", photographs=photographs, **kinds)["unevenness"]
    as_is = unevenness(photographs.images)
    assert unevenness(global_contrast(photographs.images)) == pytest.approx(as_is, rel=1e-3)
    assert unevenness(local_contrast(photographs.images)) < as_is / 3


def test_the_slow_search_and_the_fast_one_agree(capsys: pytest.CaptureFixture) -> None:
    session = SimpleNamespace(test=SimpleNamespace(images=drawn(9)))
    run_cells("slowly = torch.stack", session=session, images=drawn(400, seed=1))
    assert "agrees: True True" in capsys.readouterr().out


def test_the_solutions_count_is_the_librarys_and_known_mistakes_are_named(capsys: pytest.CaptureFixture) -> None:
    made = run_cells("def wrong_among", topk_errors=topk_errors)
    assert "Right: 3 of 3" in capsys.readouterr().out
    from alexnet_lib import notebook as nb

    assert not nb.check(made["ties_for"], made["reference"], made["cases"], hints=[(made["ties_for"], "equal scores")])
    assert "equal scores" in capsys.readouterr().out


def test_the_mean_of_few_images_is_off_as_the_solution_says() -> None:
    images = drawn(2_000)
    train = SimpleNamespace(subset=lambda n: SimpleNamespace(images=images[:n]))
    given = {"session": SimpleNamespace(train=train), "means": {"pixel": mean_image(images)}, "mean_image": mean_image}
    deviation = (images - mean_image(images, "channel")).square().mean((0, 2, 3)).sqrt()
    made = run_cells("deviation over root n", deviation=deviation, **given)
    assert made["off"] < deviation.mean() / 1_000**0.5
