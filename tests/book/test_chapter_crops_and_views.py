"""What the chapter "Crops, reflections and ten views" builds by hand, held to the library: its own cells run here."""

from __future__ import annotations

import itertools
import math
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from chapter_cells import Chapter, Shown
from small_sets import separable

from alexnet_lib import notebook as nb
from alexnet_lib import records
from alexnet_lib.augment import centre, random_crop_reflect, ten_views, views
from alexnet_lib.data.image_set import ImageSet
from alexnet_lib.experiments import augmentation_cifar10
from alexnet_lib.experiments.augmentation_cifar10 import MORE
from alexnet_lib.figures import crops_and_views as draw
from alexnet_lib.measures import crops as measure
from alexnet_lib.measures.crops import ViewError, offsets
from alexnet_lib.measures.feeding import WAYS
from alexnet_lib.records import NOT_RUN
from alexnet_lib.training.fit import error_rate

pytestmark = pytest.mark.usefixtures("one_thread")
CHAPTER = Chapter("crops_and_views", measure=measure, offsets=offsets)
run_cells = CHAPTER.run
FEW = SimpleNamespace(images=torch.randint(0, 256, (128, 3, 32, 32), dtype=torch.uint8))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def an_image_set(n: int) -> ImageSet:
    images, labels = separable(n, classes=10, size=32)
    return ImageSet(images, labels, tuple("abcdefghij"), "separable", "train", "made", "sha256:1")


def test_the_crops_by_hand_are_those_of_the_library(capsys) -> None:
    crops = run_cells("square = torch.arange(25)")["crops"]
    assert torch.equal(torch.stack(crops), measure.crops_of(torch.arange(25).view(1, 5, 5), 3))
    assert "18 crops" in capsys.readouterr().out


@pytest.fixture(scope="module")
def different(tmp_path_factory: pytest.TempPathFactory):  # noqa: ANN201
    """How many crops of an image there are, and how many of them differ, as the chapter counts."""
    made = run_cells("def fingerprints", nb=Shown())

    def count(image: torch.Tensor, size: int, reflect: bool = True) -> tuple[int, int]:
        found = made["fingerprints"](image, size) + (made["fingerprints"](image.flip(2), size) if reflect else [])
        return len(found), len(set(found))

    return count


def test_crops_of_noise_all_differ_and_those_of_a_flat_image_do_not(different) -> None:  # noqa: ANN001
    assert different(noise(3, 8, 9), 5) == (40, 40)
    assert different(torch.full((3, 8, 9), 7), 5) == (40, 1)
    stripes = (torch.arange(9) % 3).expand(3, 8, 9)  # 0 1 2: a crop repeats after three columns, and no mirror is one
    assert different(stripes, 5, reflect=False) == (20, 3)
    assert different(stripes, 5) == (40, 6)
    symmetric = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0]).expand(3, 4, 8)  # mirroring maps its crops onto each other
    assert different(symmetric, 4) == (10, 5)


def test_different_crops_are_those_of_a_set_of_bytes(different) -> None:  # noqa: ANN001
    image = noise(3, 6, 6) // 128  # two values, so that small crops do meet
    crops = {crop.contiguous().numpy().tobytes() for crop in measure.crops_of(image, 2)}
    assert different(image, 2) == (50, len(crops))


@pytest.mark.parametrize("size", [1, 24, 32])
def test_the_loop_draws_and_cuts_as_the_library(size: int) -> None:
    loop = run_cells("def one_by_one", session=SimpleNamespace(train=FEW))["one_by_one"]
    one, other = (f(FEW.images, size, generator=torch.Generator().manual_seed(5)) for f in (loop, random_crop_reflect))
    assert torch.equal(one, other)


def test_every_crop_is_drawn_equally_often(capsys) -> None:
    run_cells("square = torch.arange(25)", "many = square.expand", random_crop_reflect=random_crop_reflect)
    assert "18 kinds" in capsys.readouterr().out


def test_the_hand_count_of_independent_examples(capsys) -> None:
    run_cells("pair = torch.tensor")
    assert capsys.readouterr().out.split("\n")[:2] == ["two of cosine 0.8: 1.22", "six at right angles: 6.0"]
    assert 1.22 == pytest.approx(4 / (1.8**2 + 0.2**2), abs=0.01), "and the eigenvalues that the text gives"


def test_the_hand_averages_of_probabilities_and_logits() -> None:
    sure = torch.tensor([[[2.0, 0.0], [2.0, 0.0], [0.0, 9.0]]])
    assert float(measure.averaged(sure)[0, 0]) == pytest.approx(0.59, abs=0.005)
    assert float(measure.averaged(sure, "logits")[0, 0]) == pytest.approx(0.16, abs=0.005)


def test_the_answers_to_counting(capsys) -> None:
    run_cells("def fingerprints", "dot = torch.zeros", nb=Shown())
    assert capsys.readouterr().out == "1800 162 49858\n18 crops, 9 different\n"
    assert any(
        "49{,}858" in text and "picture that another crop gives too: 9" in text for text in CHAPTER.sources("markdown")
    )


def test_the_solutions_ten_views_are_the_librarys_and_wrong_orders_are_told_apart(capsys) -> None:
    cell = run_cells("def my_ten_views", ten_views=ten_views)
    assert "Right: 3 of 3" in capsys.readouterr().out
    for image, size in cell["cases"]:
        assert torch.equal(cell["my_ten_views"](image, size), ten_views(image[None], size)[0])
    for wrong in (cell["of_reflected_image"], cell["upside_down"]):
        assert not nb.check(wrong, cell["my_ten_views"], cell["cases"])
    image, size = cell["cases"][0]
    pictures = {tuple(view.flatten().tolist()) for view in ten_views(image[None], size)[0]}
    assert pictures == {tuple(view.flatten().tolist()) for view in cell["of_reflected_image"](image, size)}


@pytest.fixture(scope="module")
def mirror_score():  # noqa: ANN201
    session = SimpleNamespace(train=an_image_set(40), name="")
    return run_cells("def mirror_score", nb=Shown(), draw=draw, session=session)["mirror_score"]


def test_a_symmetric_set_scores_about_1_and_a_lopsided_one_more(mirror_score) -> None:  # noqa: ANN001
    images = torch.randn(200, 3, 6, 7, generator=torch.Generator().manual_seed(3))
    assert mirror_score(images) == pytest.approx(1, abs=0.25)
    images[..., 0] += 1
    assert mirror_score(images) > 10
    both = torch.cat([images, images.flip(-1)])
    assert mirror_score(both) < 1e-12, "a set with its own mirror images is symmetric to the last digit"


def test_the_score_by_a_loop(mirror_score) -> None:  # noqa: ANN001
    images = noise(9, 1, 2, 5).double()
    scores = []
    for row, column in itertools.product(range(2), range(2)):
        apart = images[:, 0, row, column] - images[:, 0, row, 4 - column]
        scores.append(float(apart.mean() ** 2 / (apart.var() / 9)))
    assert mirror_score(images) == pytest.approx(sum(scores) / 4)


def test_both_are_trained_alike_but_for_the_crops() -> None:
    train, test = an_image_set(64), an_image_set(20)
    session = SimpleNamespace(
        train=SimpleNamespace(subset=lambda n: train),
        test=SimpleNamespace(subset=lambda n: test),
        name="",
        device="cpu",
        stand_in=True,
    )
    shown = Shown()
    live = run_cells("live_comparison(", nb=shown, session=session)["live"]
    assert list(live) == ["crops and reflections", "neither"] == list(shown.charts[0])
    for run in live.values():
        wanted = error_rate(run.net, centre(test.images, 24, 24), test.labels, run.scale)
        assert run.test_error == wanted and run.points[-1]["passes"] == 24
        assert run.scale(train.images).std() == pytest.approx(1, abs=0.01)
    assert live["neither"].curve[1] != live["crops and reflections"].curve[1]


def test_gains_by_number_are_points_between_their_standard_errors() -> None:
    """Forty images, and answers to fifty views of each that were drawn."""
    test, shown = an_image_set(40), Shown()
    dense = torch.randn(40, 50, 10, generator=torch.Generator().manual_seed(0))
    numbers = [ViewError(1, 0.5, 0, 0), *[ViewError(k, 0.4, 0.1, 0.02) for k in (2, 3, 5, 10, 20, 50)]]
    sets = {"ten": ViewError(10, 0.3, 0.2, 0.01)}
    answers = SimpleNamespace(
        view_logits=lambda *given: dense,
        error_by_number=lambda *given: numbers,
        errors_by_set=lambda *given, against: sets,
    )
    made = run_cells(
        "measure.error_by_number",
        nb=shown,
        measure=answers,
        test=test,
        net=None,
        scale=None,
        views=views,
        logits=None,
    )
    loop = [sum(int(dense[n, v].argmax()) != int(test.labels[n]) for v in range(50)) / 50 for n in range(40)]
    assert made["alone"].tolist() == pytest.approx(loop)
    (gains,) = shown.charts
    middle, below, above = gains["drawn views"]
    assert middle[0] == [1, 2, 3, 5, 10, 20, 50] and middle[1][:2] == pytest.approx([0, 10])
    assert below[1][:2] == pytest.approx([0, 8]) and above[1][:2] == pytest.approx([0, 12])
    assert gains["ten"] == ([10] * 3, pytest.approx([19, 20, 21]))


def recorded(root: Path, run: str, test_error: list[float], views_error: dict | None = None) -> None:
    seeds = list(range(len(test_error)))
    result = {"complete": True, "rate": 0.003, "seeds": seeds, "test_error": test_error, "training_error": test_error}
    record = records.circumstances("a machine", "a command") | {
        "experiment": augmentation_cifar10.NAME,
        "run": run,
        "claims": ["C12"],
        "configuration": {},
        "seeds": seeds,
        "dataset": {"name": "n", "source": "s", "checksum": "c", "images": 5, "stand_in": False, "test_images": 1000},
        "seconds": 1.0,
        "curves": [],
        "result": result | ({"views_error": views_error} if views_error else {}),
    }
    records.write(record, root)


def test_tables_are_read_from_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # noqa: ANN001
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    shown = Shown()
    made = run_cells("def with_ten", "few_and_more():", nb=shown)
    assert (made["rows"][0][2], made["worth_keys"], made["worth"]) == (NOT_RUN, [], None)
    assert all(row[1:3] == [NOT_RUN] * 2 and row[4:] == [NOT_RUN] * 2 for row in shown.tables[0])
    assert "a number not known yet" in capsys.readouterr().out
    recorded(tmp_path, "5000-images-40-passes_both", [0.40, 0.42], {"ten": [0.38, 0.41]})
    recorded(tmp_path, "5000-images-40-passes_neither", [0.50, 0.50])
    for size, error in zip(MORE, (0.45, 0.37, 0.3), strict=True):
        recorded(tmp_path, f"more-images-40-passes_{size}", [error])
    shown = Shown()
    made = run_cells("def with_ten", "few_and_more():", nb=shown)
    both, *_, neither = shown.tables[0]
    assert both[2] == "41.0 ± 1.4 (2 seeds)" and both[4] == "39.5 ± 2.1 (2 seeds)"
    assert both[3].startswith("+9.00 points (") and both[5].startswith("+1.50 points (")
    assert neither[3:] == ["-", NOT_RUN, NOT_RUN]
    assert len(made["rows"]) == len(made["worth_keys"]) == 5
    assert made["worth"] == pytest.approx(10_000 * math.sqrt(2))


def test_the_hidden_share_is_counted_from_what_making_adds() -> None:
    given = {
        "few": an_image_set(128),
        "session": SimpleNamespace(device="cpu"),
        "scale": lambda batch: batch,
        "one_by_one": lambda *given: time.sleep(0.02),
        "random_crop_reflect": random_crop_reflect,
    }
    made = run_cells("def hidden_share", **given)

    def hidden(*seconds: float) -> float | None:
        return made["hidden_share"](dict(zip(WAYS, seconds, strict=True)))

    assert hidden(1.0, 1.5, 1.1) == pytest.approx(0.8)
    assert hidden(1.0, 1.5, 1.7) == pytest.approx(-0.4)
    assert hidden(1.0, 1.0, 1.0) is None
    assert hidden(1.0, 1.005, 1.5) is None, "noise, not -99 times"
    assert hidden(1.0, 1.05, 1.0) == pytest.approx(1.0)


def test_shared_draws_jump_by_the_root_of_how_many_share_where_all_images_agree() -> None:
    common = torch.randn(1, 50, generator=torch.Generator().manual_seed(0)).expand(64, 50)
    own = torch.randn(64, 50, generator=torch.Generator().manual_seed(1))
    few = an_image_set(128)
    given = {
        "session": SimpleNamespace(train=few, stand_in=True),
        "test": few,
        "net": None,
        "dense": torch.randn(128, 50, 10),
        "scale": SimpleNamespace(deviation=1),
        "measure": SimpleNamespace(mean_at_corners=lambda *given: (0, 0)),
    }
    jumps = run_cells("def batch_jumps", **given)["batch_jumps"]
    spread = float(common[0].std(unbiased=False))
    assert jumps(common, 1) == pytest.approx(spread / 8, rel=0.1)
    assert jumps(common, 16) == pytest.approx(spread / 2, rel=0.1)
    assert jumps(own, 16) / jumps(own, 1) == pytest.approx(1, abs=0.15)
