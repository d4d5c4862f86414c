"""What the chapter "Retrieval and binary codes" works out by hand, held to the library by running the cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from chapter_cells import Chapter

from alexnet_lib.binary_codes import pack

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


def test_the_bytes_of_imagenet(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("images = 1_281_167")
    assert capsys.readouterr().out == "features 21.0 GB, codes 41 MB\n6,244 bits an image\n"


def test_the_hamming_distance_counts_bits() -> None:
    class Checker:
        def check(self, *given, **named) -> None: ...

    hamming = CHAPTER.run("def hamming", nb=Checker())["hamming"]
    bits = np.random.default_rng(0).integers(0, 2, (2, 64)).astype(bool)
    assert hamming(*pack(bits)) == int((bits[0] != bits[1]).sum())
