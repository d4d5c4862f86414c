"""Rules of the claims that arithmetic settles, or a case small enough to be worked out (C09, C10, C11, C18)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from ..measures.crops import offsets
from ..measures.dropout_ensemble import Distances, DroppedStack, exact_averages
from ..network.alexnet import described
from ..network.config import AlexNetConfig
from ..network.description import Description
from .verdicts import Finding, Verdict, of_cases, settled

# The paper's own figures (abstract, sections 3.5 and 4.1, caption of Figure 2).
INPUTS, WEIGHTS, NEURONS, MOST_SHARE, CROPS = 150_528, 60_000_000, 650_000, 0.01, 2048
BY_LAYER = (253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000)
ROUND = 0.02  # how far a round number may be from what it rounds: a line of ours
NETS, UNITS, TRIED = 10, 5, 100  # of C18: drawn networks, units of each hidden layer, inputs


@cache
def papers() -> Description:
    """The layers of the paper's network."""
    return described(AlexNetConfig.paper())


def within(ours: int, paper: int) -> bool:
    """Whether the paper's figure is ours, rounded."""
    return abs(ours - paper) <= ROUND * paper


def sums(root: Path | None = None) -> Finding:
    """C09: all weights and neurons."""
    net = papers()
    right = within(net.learned, WEIGHTS) and within(net.neurons, NEURONS)
    return Finding(
        "weights with biases, and neurons, of the network in the text",
        settled(right),
        f"Counted layer by layer; the paper's round numbers are {'' if right else 'not '}within {ROUND:.0%} of ours.",
        f"{net.learned:,} weights, {net.neurons:,} neurons",
        "arithmetic",
    )


def layers(root: Path | None = None) -> Finding:
    """C09: the list in the caption of Figure 2."""
    rows = papers().layers
    ours = {row.name: row.outputs for row in rows}
    off = [
        f"{name} has {ours[name]:,}, not {listed:,}"
        for name, listed in zip(ours, BY_LAYER, strict=True)
        if ours[name] != listed
    ]
    return Finding(
        "neurons layer by layer",
        settled(not off),
        f"Not as listed: {'; '.join(off)}." if off else "All as listed.",
        f"{len(ours) - len(off)} of {len(ours)} as the paper lists them",
        "arithmetic",
        decides=False,
    )


def shares(root: Path | None = None) -> Finding:
    """C10: no convolutional layer holds more than 1% of the weights."""
    net = papers()
    found = {row.name: row.learned / net.learned for row in net.layers if row.name.startswith("conv")}
    over = [f"{name} {share:.2%}" for name, share in found.items() if share > MOST_SHARE]
    return Finding(
        "share of the weights in a convolutional layer, at most",
        settled(not over),
        f"More than {MOST_SHARE:.0%}: {', '.join(over)}. The convolutions stay a small part." if over else "None more.",
        f"{max(found.values()):.2%}",
        "arithmetic",
        decides=False,
    )


def crops(root: Path | None = None) -> Finding:
    """C11: crops of 224 out of 256, and their reflections."""
    places = offsets(256, 224)
    count = 2 * places**2
    return Finding(
        "crops of 224 x 224 out of 256 x 256, with reflections",
        settled(count == CROPS),
        f"A crop can begin at {places} places along each side; the paper's number follows from the {256 - 224} pixels "
        "by which it can be moved. Nothing else hangs on it.",
        f"{count:,}",
        "arithmetic",
    )


def drawn_stacks() -> Iterator[tuple[DroppedStack, torch.Tensor]]:
    """Small networks of drawn weights that end as the paper's does, each with inputs (100, 20), in float64."""
    sizes = (20, UNITS, UNITS, 10)
    for seed in range(NETS):
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int, generator: torch.Generator = generator) -> torch.Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        # Twice He's deviation: answers as decided as those of a network that has learned.
        weights = tuple(2 * (2 / i) ** 0.5 * draw(o, i) for i, o in zip(sizes, sizes[1:], strict=False))
        biases = tuple(torch.zeros(o, dtype=torch.float64) for o in sizes[1:])
        yield DroppedStack(weights, biases, (False, True, True)), draw(TRIED, sizes[0])


def halved(root: Path | None = None) -> Finding:
    """C18: the network with halved outputs, beside the averages over all thinned networks."""
    both, last = [], []
    for stack, inputs in drawn_stacks():
        both.append(exact_averages(stack, inputs).distances)
        last.append(exact_averages(replace(stack, dropped=(False, False, True)), inputs).distances["geometric"].kl)
    exact = max(last) < 1e-9
    nearer = [each["geometric"].kl < each["arithmetic"].kl for each in both]
    verdict = of_cases(nearer) if exact else Verdict.DIFFERS
    geometric, arithmetic = (mean_kl([each[mean] for each in both]) for mean in ("geometric", "arithmetic"))
    return Finding(
        "the halved network's distance (KL) to the means of all thinned networks",
        verdict,
        f"Nearer to the geometric mean than to the arithmetic in {sum(nearer)} of {NETS} networks, and "
        f"{'' if exact else 'not '}equal to it where one layer is dropped. What is reasonable the paper does not say; "
        "the chapter measures it on a trained network.",
        f"{geometric:.2f} nats to the geometric mean, {arithmetic:.2f} to the arithmetic",
        f"computed: {NETS} networks of drawn weights, {2 ** (2 * UNITS):,} thinned networks of each",
    )


def mean_kl(distances: list[Distances]) -> float:
    return statistics.mean(each.kl for each in distances)
