"""What the chapter "Retrieval and binary codes" works out by hand, held to the library by running the cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from chapter_cells import Chapter

from alexnet_lib.experiments import binary_codes as read
from alexnet_lib.measures.binary_codes import HammingIndex, fit_autoencoder, pack
from alexnet_lib.measures.retrieval import chance, nearest, precision_at

CHAPTER = Chapter("retrieval", np=np, torch=torch)


def test_three_points_by_hand(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("three = np.array")
    said = capsys.readouterr().out.splitlines()
    assert said == ["from a: b at 5 c at 6", "by bits: c at 1 b at 2"]
    text = next(cell for cell in CHAPTER.sources("markdown") if "small enough to check by hand" in cell)
    assert "2 from $a$ to $b$, 1 to $c$" in text


def test_the_code_passes_gradients_through_its_rounding() -> None:
    coder = CHAPTER.run("class Coder")["Coder"](6, 3)
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    coder(x).sum().backward()
    assert coder.encoder.weight.grad.abs().sum() > 0, "as if nothing had been rounded"
    with torch.no_grad():
        bits = coder.encoder(x).sigmoid().round()
        assert torch.allclose(coder(x), coder.decoder(2 * bits - 1), atol=1e-6), "yet what is decoded are bits"


@pytest.mark.usefixtures("book_style")
def test_codes_of_features_and_of_pixels_stand_beside_random_planes() -> None:
    shown = []

    class Shown:
        @staticmethod
        def show(fig: object, **named: object) -> None:
            shown.append(fig)

    generator = torch.Generator().manual_seed(0)
    labels = np.arange(100) % 4
    base, pixels = (torch.randn(100, 8, generator=generator) + torch.tensor(labels)[:, None] for _ in range(2))
    methods = {"features": nearest(base.numpy(), base.numpy(), 10), "pixels": nearest(pixels.numpy(), base.numpy(), 10)}
    made = CHAPTER.run(
        "def codes_of", nb=Shown, base=base, asked=base, train=None, val=None, all_pixels=lambda images: pixels.numpy(),
        labels=labels, wanted=labels, methods=methods, few=None, fit_autoencoder=fit_autoencoder,
        HammingIndex=HammingIndex, precision_at=precision_at, chance=chance,
    )  # fmt: skip
    names = ["autoencoder", "planes"]
    drawn = [text.get_text() for text in shown[0].legends[0].get_texts()]
    assert drawn == [*(f"features: {one}" for one in names), "features themselves",
                     *(f"pixels: {one}" for one in names), "pixels themselves"]  # fmt: skip
    stored, asked = made["codes_of"]("planes", 64, base, base[:5])
    assert stored.shape == (100, 8) and np.array_equal(asked, stored[:5])


def test_the_control_is_beside_the_autoencoder_in_what_is_recorded(capsys: pytest.CaptureFixture) -> None:
    tables = []

    class Shown:
        @staticmethod
        def table(rows: list, **named: object) -> None:
            tables.append(rows)

    CHAPTER.run("read.plane_rows", nb=Shown, read=read, record=read.recorded())
    (rows,) = tables
    assert [row[0].split(",")[0] for row in rows] == ["features"] * 3 + ["pixels"] * 3
    worse = sum(row[3].startswith("-") for row in rows[:3])
    assert f"features: random planes find more than the autoencoder at {worse} of 3 lengths" in capsys.readouterr().out
    said = "on features our autoencoder does not beat them" in CHAPTER.sources("markdown")[-1]
    assert said == (worse == 3), "the summary says what the record says"


def test_the_bytes_of_imagenet(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("images = 1_281_167")
    assert capsys.readouterr().out == "features 21.0 GB, codes 41 MB\n6,244 bits an image\n"


def test_the_hamming_distance_counts_bits() -> None:
    class Checker:
        def check(self, *given, **named) -> None: ...

    hamming = CHAPTER.run("def hamming", nb=Checker())["hamming"]
    bits = np.random.default_rng(0).integers(0, 2, (2, 64)).astype(bool)
    assert hamming(*pack(bits)) == int((bits[0] != bits[1]).sum())
