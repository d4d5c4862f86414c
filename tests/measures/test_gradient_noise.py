"""The noise of a batch's gradient, on rows whose answer is known and on a network whose gradient is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alexnet_lib.errors import SettingError
from alexnet_lib.measures.dropout import gradients, noise_to_signal
from alexnet_lib.network.dropout import Dropout

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("noise, wanted", [(0.0, 0.0), (0.5, 0.25), (3.0, 9.0)])
def test_made_rows_have_the_ratio_they_were_made_with(noise: float, wanted: float) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = 2 + 2 * noise * torch.randn(400, 200, generator=generator)
    assert noise_to_signal(rows) == pytest.approx(wanted, rel=0.05, abs=1e-12)


def test_few_rows_are_not_biased() -> None:
    generator = torch.Generator().manual_seed(0)
    signals = [noise_to_signal(1 + 4 * torch.randn(8, 500, generator=generator)) for _ in range(200)]
    inverse = torch.tensor([1 / each for each in signals])
    assert float(inverse.mean()) == pytest.approx(1 / 16, rel=0.1)


def test_the_rows_are_the_gradients() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).double()
    batches = [(torch.randn(5, 3, 2, 2, dtype=torch.float64), torch.arange(5) % 3) for _ in range(3)]
    rows = gradients(net, [net[1].weight, net[1].bias], batches)
    assert rows.shape == (3, 39)
    for row, (images, labels) in zip(rows, batches, strict=True):
        errors = net(images).softmax(1) - nn.functional.one_hot(labels, 3)
        torch.testing.assert_close(row[:36].view(3, 12), errors.T @ images.flatten(1) / 5)
        torch.testing.assert_close(row[36:], errors.mean(0))


def test_dropout_adds_noise_in_training_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 40), nn.ReLU(), Dropout(0.5), nn.Linear(40, 3))
    same = [(torch.randn(32, 3, 2, 2), torch.arange(32) % 3)] * 30
    assert noise_to_signal(gradients(net.eval(), [net[4].weight], same)) == 0
    assert noise_to_signal(gradients(net.train(), [net[4].weight], same)) > 0.1


def test_one_row_is_refused_and_no_signal_said() -> None:
    with pytest.raises(SettingError, match=r"rows \(1, 4\) must be two or more"):
        noise_to_signal(torch.ones(1, 4))
    assert noise_to_signal(torch.tensor([[1.0, 0], [-1, 0]])) == float("inf")
