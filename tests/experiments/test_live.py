"""The networks that chapters train while they run: on what, from what, and that they have learned."""

from __future__ import annotations

import pytest
import torch

from alexnet_lib.experiments.live import LiveNet, train_live
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig
from alexnet_lib.training.evaluation import probabilities

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> LiveNet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_DATA", str(tmp_path_factory.mktemp("nothing")))
        return train_live(torch.device("cpu"), classes=2, per_class=48, passes=2, seed=3)


def test_without_data_it_is_trained_on_the_drawn_stand_in(live: LiveNet) -> None:
    assert live.few.stand_in and len(live.few.words) == 2
    assert (len(live.train), len(live.val)) == (96, 100)


def test_it_begins_at_the_papers_start_and_moves(live: LiveNet) -> None:
    config: AlexNetConfig = live.net.config
    assert config.columns == 2 and config.hidden == (1024, 1024) and config.input_size == 64
    assert live.began.shape == (96, 3, 11, 11)
    assert torch.equal(live.began, AlexNet(config, 2, seed=3).conv1.weight)
    assert not torch.equal(live.began, live.net.conv1.weight.cpu())


def test_its_error_is_that_of_its_answers(live: LiveNet) -> None:
    assert not live.net.training
    rows = probabilities([live.net], [live.scale], live.val.images(range(len(live.val))), 64)
    assert live.error == pytest.approx(float((rows.argmax(1) != live.val.labels).float().mean()))


def test_its_images_stay_as_long_as_it_does(live: LiveNet) -> None:
    folder = live.place.path
    assert folder.is_dir() and live.few.folder.parent == folder
