"""Short binary codes: an autoencoder that makes them, drawn hyperplanes to compare it with, and search by Hamming
distance.

The paper only suggests them (section 6.1; claim C30): it names autoencoders on the 4096 numbers, and an earlier work
that trained them on pixels. Rounding in the forward pass, with the gradient of what was not rounded, follows
Krizhevsky and Hinton (2011), "Using very deep autoencoders for content-based image retrieval". Taught in "Retrieval and
binary codes".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import faiss
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..errors import SettingError
from .retrieval import Neighbours, without_own


def pack(bits: np.ndarray) -> np.ndarray:
    """Codes of 0 and 1 or bools (n, b) as bytes, uint8 (n, b / 8). SettingError: b is no multiple of 8."""
    bits = np.asarray(bits)
    if bits.ndim != 2 or bits.shape[1] % 8 or not bits.shape[1]:
        raise SettingError(f"codes of shape {bits.shape}: give (n, b), b a multiple of 8")
    return np.packbits(bits.astype(bool), axis=1)


class HammingIndex:
    """Packed codes (n, bytes) to be searched by the number of bits that differ, exactly.

    Many codes are equally far, and those of one class often lie together in a data set: codes are searched in an order
    drawn from `seed`, so that ties favour none.
    """

    def __init__(self, codes: np.ndarray, seed: int = 0):
        codes = np.ascontiguousarray(codes, dtype=np.uint8)
        if codes.ndim != 2 or not len(codes):
            raise SettingError(f"codes of shape {codes.shape}: give (n, bytes), at least one")
        self.order = np.random.default_rng(seed).permutation(len(codes))
        self.index = faiss.IndexBinaryFlat(8 * codes.shape[1])
        self.index.add(codes[self.order])

    def search(self, queries: np.ndarray, k: int, own: Sequence[int] | None = None) -> Neighbours:
        """The k nearest to each packed query (q, bytes); distances in bits. own: as of `retrieval.nearest`."""
        queries = np.ascontiguousarray(queries, dtype=np.uint8)
        if queries.ndim != 2 or 8 * queries.shape[1] != self.index.d:
            raise SettingError(f"queries of shape {queries.shape}, and codes of {self.index.d} bits")
        there = self.index.ntotal - (own is not None)
        if not 1 <= k <= there:
            raise SettingError(f"k={k}: give 1 to {there}, as many as there are to find")
        distances, places = self.index.search(queries, k + (own is not None))
        found = Neighbours(distances, self.order[places])
        return found if own is None else without_own(found, own)


class Autoencoder(nn.Module):
    """Vectors to `bits` numbers of 0 to 1 and back, through one hidden layer of ReLU each way.

    inputs: the vectors' length. mean (inputs,), deviation: of the vectors it is for, by which they are centred and
    divided; `of` measures them.
    """

    def __init__(
        self,
        inputs: int,
        bits: int,
        hidden: int = 512,
        mean: torch.Tensor | None = None,
        deviation: float = 1.0,
        seed: int = 0,
    ):
        super().__init__()
        if bits < 8 or bits % 8:
            raise SettingError(f"bits={bits}: give a multiple of 8")
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.encoder = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, bits))
            self.decoder = nn.Sequential(nn.Linear(bits, hidden), nn.ReLU(), nn.Linear(hidden, inputs))
        self.register_buffer("mean", torch.zeros(inputs) if mean is None else mean.clone())
        self.register_buffer("deviation", torch.tensor(float(deviation)))

    @classmethod
    def of(cls, vectors: torch.Tensor, bits: int, hidden: int = 512, seed: int = 0) -> Autoencoder:
        """One for vectors like these (n, inputs)."""
        mean = vectors.mean(dim=0)
        deviation = float((vectors - mean).pow(2).mean().sqrt())
        if not deviation > 0:
            raise SettingError("all vectors are alike: there is nothing to learn from them")
        return cls(vectors.shape[1], bits, hidden, mean, deviation, seed)

    def normalised(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors on the scale that it reconstructs."""
        return (vectors - self.mean) / self.deviation

    def forward(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors (n, inputs) reconstructed, on the scale of `normalised`, and the numbers of 0 to 1, (n, bits).

        The decoder sees them rounded; the gradient passes as if they were not.
        """
        soft = self.encoder(self.normalised(vectors)).sigmoid()
        rounded = soft + (soft.round() - soft).detach()
        return self.decoder(2 * rounded - 1), soft

    @torch.no_grad()
    def codes(self, vectors: torch.Tensor, at_once: int = 4096) -> np.ndarray:
        """Packed codes of vectors (n, inputs), uint8 (n, bits / 8)."""
        parts = [self.encoder(self.normalised(some)) > 0 for some in vectors.split(at_once)]
        return pack(torch.cat(parts).cpu().numpy())


@dataclass(frozen=True)
class Fitted:
    """What training an autoencoder gave: the loss of each pass (mean squared error; 1 is what the mean alone gives)."""

    net: Autoencoder
    losses: list[float]


def fit_autoencoder(
    vectors: torch.Tensor,
    bits: int,
    *,
    passes: int = 30,
    hidden: int = 512,
    batch: int = 128,
    rate: float = 1e-3,
    seed: int = 0,
    report: Callable[[int, float], None] = lambda number, loss: None,
) -> Fitted:
    """Train one on vectors (n, inputs), on their device, by Adam. report: told each pass and its mean loss."""
    net = Autoencoder.of(vectors, bits, hidden, seed).to(vectors.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    generator, losses = torch.Generator().manual_seed(seed), []
    for number in range(passes):
        total = 0.0
        for some in torch.randperm(len(vectors), generator=generator).split(batch):
            given = vectors[some.to(vectors.device)]
            loss = F.mse_loss(net(given)[0], net.normalised(given))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(some)
        losses.append(total / len(vectors))
        report(number + 1, losses[-1])
    return Fitted(net.eval(), losses)


def hyperplane_codes(vectors: torch.Tensor, bits: int, seed: int = 0, like: torch.Tensor | None = None) -> np.ndarray:
    """Packed codes that need no training: on which side of so many drawn planes through the mean each vector lies.

    like: vectors whose mean is taken instead of these ones'.
    """
    generator = torch.Generator().manual_seed(seed)
    planes = torch.randn((vectors.shape[1], bits), generator=generator).to(vectors)
    mean = (vectors if like is None else like).mean(dim=0)
    return pack(((vectors - mean) @ planes > 0).cpu().numpy())


BITS = (64, 128, 256)
LENGTH = 4096
EXACT = f"exact distances of {LENGTH:,} numbers"


def code_name(bits: int) -> str:
    """The row of codes of so many bits."""
    return f"Hamming distances of {bits} bits"
