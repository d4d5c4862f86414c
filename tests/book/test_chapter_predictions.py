"""What the chapter "Predictions" works out by hand, held to the library by running the cells themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from chapter_cells import Chapter, Shown

from alexnet_lib.data.wordnet import nouns
from alexnet_lib.experiments import predictions as read
from alexnet_lib.measures.evidence import evidence_map
from alexnet_lib.measures.predictions import calibration
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.network.config import AlexNetConfig

CHAPTER = Chapter("predictions", np=np, torch=torch)


def test_the_softmax_by_hand_is_the_codes(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("scores = torch.tensor")
    assert capsys.readouterr().out == "[0.665, 0.245, 0.09]\nfirst two labels: [0, 1]\n"
    text = next(cell for cell in CHAPTER.sources("markdown") if "small enough to check by hand" in cell)
    assert all(share in text for share in ("0.665", "0.245", "0.090", "7.389/11.107"))


def test_the_first_five_are_the_librarys(capsys: pytest.CaptureFixture) -> None:
    five = CHAPTER.run("def first_five")["first_five"]
    assert "agrees: True" in capsys.readouterr().out
    assert five([0.1, 0.3, 0.2, 0.15, 0.05, 0.2]) == [1, 2, 5, 3, 0]


def test_the_eight_dealings_by_hand(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("from itertools import permutations")
    said = capsys.readouterr().out
    assert "8 of 24 dealings" in said and "agrees with the library: True" in said


def test_the_ways_in_the_tree_are_wordnets(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("goldfish = ")
    said = capsys.readouterr().out.splitlines()
    tree = nouns()
    assert said[0] == f"goldfish and black stork meet at 'vertebrate', {tree.meet('n01443537', 'n02002724')[1]} steps"
    assert int(said[1].split()[-2]) > int(said[0].split()[-2])


def test_the_calibration_error_by_hand_is_the_librarys(capsys: pytest.CaptureFixture) -> None:
    error = CHAPTER.run("def calibration_error")["calibration_error"]
    assert capsys.readouterr().out == "by hand: 0.20\n"
    generator = np.random.default_rng(0)
    rows, labels = generator.dirichlet(np.ones(4), 300), generator.integers(0, 4, 300)
    assert error(rows.max(axis=1), rows.argmax(axis=1) == labels) == pytest.approx(calibration(rows, labels).error)


def test_what_moves_in_is_the_mean_colour() -> None:
    class Live:
        class train:
            mean = torch.tensor([100.0, 50.0, 20.4])

    class Slider:
        def slider(self, *given, **named) -> None: ...

    names = {"views": torch.zeros(1, 3, 64, 64), "one": 0, "few": None, "truth": [0]}
    moved = CHAPTER.run("def moved(image, by)", live=Live, nb=Slider(), **names)["moved"]
    image = torch.randint(256, (3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    right, left = moved(image, 10), moved(image, -10)
    assert torch.equal(right[..., 10:], image[..., :-10]) and torch.equal(left[..., :-10], image[..., 10:])
    assert right[:, :, :10].unique(dim=2).flatten(1)[:, 0].tolist() == [100, 50, 20] == left[:, 0, -1].tolist()
    assert torch.equal(moved(image, 0), image)


def test_the_map_of_evidence_by_hand_is_the_librarys(capsys: pytest.CaptureFixture) -> None:
    config = AlexNetConfig(input_size=64, hidden=(32, 32))
    net = AlexNet(config, 5, seed=0).eval()
    seen = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    made = CHAPTER.run("torch.autograd.grad", net=net, seen=seen, label=2, evidence_map=evidence_map)
    assert capsys.readouterr().out == "agrees: True\n" and made["evidence"].max() > 0


def test_off_and_on_the_centre_come_with_intervals() -> None:
    shown, record = Shown(), read.recorded()
    CHAPTER.run("better on the centre by", nb=shown, read=read, record=record, off=read.off(record), keys=[])
    assert all(" to " in cell for row in shown.tables[0] for cell in row[1:])


def test_a_temperature_changes_how_sure_but_no_answer(capsys: pytest.CaptureFixture) -> None:
    class Checker:
        def check(self, *given, **named) -> None: ...

    cooled = CHAPTER.run("def cooled", nb=Checker())["cooled"]
    scores = torch.tensor([3.0, 1.0, -2.0])
    for T in (0.5, 1.0, 2.5):
        expected = (scores / T).softmax(0).numpy()
        assert np.allclose(cooled(scores.softmax(0).numpy(), T), expected, atol=1e-6)


def test_guessing_of_ten_and_of_a_thousand(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("top-5 error by guessing")
    said = capsys.readouterr().out.splitlines()
    assert said == ["10 classes: 50.0% top-5 error by guessing", "1000 classes: 99.5% top-5 error by guessing"]
