"""What chapters train while they run: the small network, those of crops and views, and what is drawn of them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from small_sets import separable
from torch import nn

from alexnet_lib import records
from alexnet_lib.augment import PixelScale, centre
from alexnet_lib.augment.view_sets import View, view_list, views
from alexnet_lib.data.image_set import ImageSet
from alexnet_lib.experiments import augmentation_cifar10, live
from alexnet_lib.experiments.augmentation_cifar10 import MORE, rows_with_views, worth_recorded
from alexnet_lib.experiments.live import LiveNet, train_live
from alexnet_lib.experiments.results import results_of
from alexnet_lib.figures import crops_and_views
from alexnet_lib.measures import crops as measured
from alexnet_lib.measures.crops import ViewError, view_logits, wrong
from alexnet_lib.measures.feeding import Span
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.records import NOT_RUN
from alexnet_lib.training.evaluation import probabilities
from alexnet_lib.training.fit import error_rate

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LiveNet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_DATA", str(tmp_path_factory.mktemp("nothing")))
        return train_live(torch.device("cpu"), classes=2, per_class=48, passes=2, seed=3)


def test_without_data_it_is_trained_on_the_drawn_stand_in(small: LiveNet) -> None:
    assert small.few.stand_in and len(small.few.words) == 2
    assert (len(small.train), len(small.val)) == (96, 100)


def test_it_begins_at_the_papers_start_and_moves(small: LiveNet) -> None:
    config: AlexNetConfig = small.net.config
    assert config.columns == 2 and config.hidden == (1024, 1024) and config.input_size == 64
    assert small.began.shape == (96, 3, 11, 11)
    assert torch.equal(small.began, AlexNet(config, 2, seed=3).conv1.weight)
    assert not torch.equal(small.began, small.net.conv1.weight.cpu())


def test_its_error_is_that_of_its_answers(small: LiveNet) -> None:
    assert not small.net.training
    rows = probabilities([small.net], [small.scale], small.val.images(range(len(small.val))), 64)
    assert small.error == pytest.approx(float((rows.argmax(1) != small.val.labels).float().mean()))


def test_its_images_stay_as_long_as_it_does(small: LiveNet) -> None:
    folder = small.place.path
    assert folder.is_dir() and small.few.folder.parent == folder


def an_image_set(n: int) -> ImageSet:
    images, labels = separable(n, classes=10, size=32)
    return ImageSet(images, labels, tuple("abcdefghij"), "separable", "train", "made", "sha256:1")


def test_both_are_trained_alike_but_for_the_crops() -> None:
    train, test = an_image_set(64), an_image_set(20)
    runs = live.train_both(train, test, recipe=replace(live.VIEWS_SETTINGS, passes=2), seed=3)
    assert list(runs) == ["crops and reflections", "neither"]
    for run in runs.values():
        assert not run.net.training and run.curve[0] == [1.0, 2.0]
        wanted = error_rate(run.net, centre(test.images, 24, 24), test.labels, run.scale)
        assert run.test_error == wanted
    assert runs["neither"].curve[1] != runs["crops and reflections"].curve[1]


def test_errors_of_sets_are_those_of_their_own_views() -> None:
    train = an_image_set(40)
    torch.manual_seed(0)
    net, scale = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 10)).eval(), PixelScale.fit(train.images, "unit")
    logits = view_logits(net, views(train.images, 24, "thirty-six"), scale)
    sets = ("centre", "ten", "eight", "thirty-six")
    found = measured.errors_by_set(logits, train.labels, 32, 24, sets)
    for which in sets:
        own = wrong(view_logits(net, views(train.images, 24, which), scale), train.labels)
        assert found[which].error == pytest.approx(float(own.double().mean()))
        assert found[which].views == len(view_list(32, 32, 24, which))
        assert found[which].gain == pytest.approx(found["centre"].error - found[which].error)
    alone = measured.wrong_alone(logits, train.labels)
    loop = [sum(int(logits[n, v].argmax()) != int(train.labels[n]) for v in range(36)) / 36 for n in range(40)]
    assert alone.tolist() == pytest.approx(loop)
    other = measured.errors_by_set(logits, train.labels, 32, 24, ["ten"], against=alone)["ten"]
    assert other.gain == pytest.approx(sum(loop) / 40 - found["ten"].error)


def test_shared_draws_jump_by_the_root_of_how_many_share_where_all_images_agree() -> None:
    common = torch.randn(1, 50, generator=torch.Generator().manual_seed(0)).expand(64, 50)
    own = torch.randn(64, 50, generator=torch.Generator().manual_seed(1))
    spread = float(common[0].std(unbiased=False))
    assert measured.batch_jumps(common, 1) == pytest.approx(spread / 8, rel=0.1)
    assert measured.batch_jumps(common, 16) == pytest.approx(spread / 2, rel=0.1)
    assert measured.batch_jumps(own, 16) / measured.batch_jumps(own, 1) == pytest.approx(1, abs=0.15)


def test_a_mean_that_is_flat_is_the_same_at_every_corner_and_a_slope_is_not() -> None:
    images = an_image_set(30).images
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 10))
    assert measured.mean_at_corners(net, images, torch.full((3, 32, 32), 90.0), 60.0, 24) == (0, 0)
    slope = torch.arange(32.0).expand(3, 32, 32)  # 4 columns from the centre, one grey level each
    apart, changed = measured.mean_at_corners(net, images, slope, 60.0, 24)
    assert apart == pytest.approx(4) and 0 <= changed <= 1


def recorded(root: Path, run: str, test_error: list[float], views_error: dict | None = None) -> None:
    seeds = list(range(len(test_error)))
    result = {"complete": True, "rate": 0.003, "seeds": seeds, "test_error": test_error, "training_error": test_error}
    record = records.circumstances("a machine", "a command") | {
        "experiment": augmentation_cifar10.NAME, "run": run, "claims": ["C12"], "configuration": {}, "seeds": seeds,
        "dataset": {"name": "n", "source": "s", "checksum": "c", "images": 5, "stand_in": False, "test_images": 1000},
        "seconds": 1.0,
        "curves": [], "result": result | ({"views_error": views_error} if views_error else {}),
    }  # fmt: skip
    records.write(record, root)


def test_tables_are_read_from_records(tmp_path: Path) -> None:
    rows, keys, worth = worth_recorded(tmp_path)
    assert {row[2] for row in rows} == {NOT_RUN} and (keys, worth) == ([], None)
    assert all(row[1:3] == [NOT_RUN] * 2 and row[4:] == [NOT_RUN] * 2 for row in rows_with_views({}))
    recorded(tmp_path, "5000-images-40-passes_both", [0.40, 0.42], {"ten": [0.38, 0.41]})
    recorded(tmp_path, "5000-images-40-passes_neither", [0.50, 0.50])
    for size, error in zip(MORE, (0.45, 0.37, 0.3), strict=True):
        recorded(tmp_path, f"more-images-40-passes_{size}", [error])
    found = results_of(augmentation_cifar10.NAME, ["5000-images-40-passes"], ["both", "neither"], tmp_path)
    both, *_, neither = rows_with_views(found)
    assert both[2] == "41.0 ± 1.4 (2 seeds)" and both[4] == "39.5 ± 2.1 (2 seeds)"
    assert both[3].startswith("+9.00 points (") and both[5].startswith("+1.50 points (")
    assert neither[3:] == ["-", NOT_RUN, NOT_RUN]
    rows, keys, worth = worth_recorded(tmp_path)
    assert len(rows) == 5 and len(keys) == 5 and worth == pytest.approx(10_000 * math.sqrt(2))


def test_letters_in_a_mirror() -> None:
    lower = crops_and_views.seen_in_mirror("abcdefghijklmnopqrstuvwxyz")
    assert {a: b for a, b in lower.items() if a != b} == {"b": "d", "d": "b", "p": "q", "q": "p"}
    assert set("oivwx") <= set(lower) and not set("aefgjkrsyz") & set(lower)
    pictures = crops_and_views.letter_pictures("AI")
    assert pictures.shape == (2, 1, 32, 32) and pictures.dtype == torch.uint8
    assert (pictures.float() - pictures.flip(3).float()).abs().max() < 40, "both are symmetric, and in the middle"


def test_figures_show_what_they_are_given(book_style) -> None:  # noqa: ANN001
    picture = torch.arange(3 * 64 * 64).view(3, 64, 64) % 256
    left, right = crops_and_views.draw_crop(picture, 56, View(2, 8, mirrored=True)).axes
    (box,) = left.patches
    assert (box.get_xy(), box.get_width()) == ((8, 2), 56) and right.get_title() == "mirrored"
    cut = picture[:, 2:58, 8:64].flip(2)
    assert (right.images[0].get_array() == crops_and_views.shrunk(cut, 70)).all()
    assert len(crops_and_views.draw_views(torch.zeros(7, 3, 4, 4), list("abcdefg")).axes) == 10
    fig = crops_and_views.draw_errors([ViewError(1, 0.5, 0, 0), ViewError(10, 0.4, 0.1, 0.02)], {})
    assert fig.axes[0].containers[0].lines[0].get_ydata().tolist() == [0, 10]
    spans = [Span("make", 0, 0.0, 0.002), Span("step", 0, 0.002, 0.007)]
    (ax,) = crops_and_views.draw_timelines({"t": spans}).axes
    assert [round(bar.get_width(), 6) for bar in ax.patches] == [2, 5]
    plt.close("all")
