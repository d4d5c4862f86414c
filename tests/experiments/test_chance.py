"""How far errors move by chance: formulas against drawn experiments."""

from __future__ import annotations

import math

import pytest
import torch

from alexnet_lib.errors import SettingError
from alexnet_lib.experiments.chance import apart_error, paired_error, sampling_error


def test_the_sampling_error_is_the_spread_of_drawn_sets() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.rand(4000, 300, generator=generator) < 0.3).double().mean(1)
    assert float(drawn.std()) == pytest.approx(sampling_error(0.3, 300), rel=0.05)
    assert sampling_error(0.0, 10) == 0 and apart_error(0.4, 0.4, 100) == pytest.approx(2**0.5 * 0.0489898, abs=1e-6)


def test_the_paired_error_is_the_spread_of_drawn_sets_of_the_same_images() -> None:
    """Two networks whose mistakes are mostly the same: both wrong on 30%, one alone on 8%, the other alone on 3%."""
    places = torch.rand(2000, 400, generator=torch.Generator().manual_seed(0))
    one, other = places < 0.38, (places < 0.30) | (places > 0.97)
    spread = float((one.double().mean(1) - other.double().mean(1)).std())
    estimates = [paired_error(a, b) for a, b in zip(one[:100], other[:100], strict=True)]
    assert sum(estimates) / 100 == pytest.approx(spread, rel=0.05)
    assert spread < 0.7 * apart_error(0.38, 0.33, 400)


def test_the_paired_error_is_the_deviation_of_the_differences() -> None:
    one, other = torch.rand(2, 70, generator=torch.Generator().manual_seed(2)) < 0.5
    differences = one.double() - other.double()
    assert paired_error(one, other) == pytest.approx(float(differences.std(correction=0)) / math.sqrt(70))
    assert paired_error(one, one) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: sampling_error(1.2, 10),
        lambda: sampling_error(0.2, 0),
        lambda: paired_error(torch.zeros(3, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)),
        lambda: paired_error(torch.zeros(0, dtype=torch.bool), torch.zeros(0, dtype=torch.bool)),
    ],
)
def test_what_cannot_be_is_refused(call) -> None:  # noqa: ANN001
    with pytest.raises(SettingError):
        call()
