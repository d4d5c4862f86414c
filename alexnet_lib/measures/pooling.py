"""What pooling keeps and loses, measured on maps (N, C, H, W): under a shift, for rebuilding, of independent units.

The maps are those of a first layer drawn by hand, so that nothing depends on a training run. Taught in "Overlapping
pooling" (section 3.4; questions Q26, Q27).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..augment import centre
from ..errors import SettingError
from ..network.geometry import Window
from ..network.pooling import Pooling, soft_pool

SIDE, KERNEL, STRIDE = 227, 11, 4  # the first layer's: 55 x 55 maps


def drawn_kernels(orientations: int = 8, size: int = KERNEL) -> torch.Tensor:
    """Gabor kernels, an even and an odd one for each orientation: (2 * orientations, 1, size, size), of unit norm.

    Such kernels are what the paper's first layer learned for brightness (Figure 3). Their mean is 0.
    """
    reach = torch.arange(size) - (size - 1) / 2
    down, right = torch.meshgrid(reach, reach, indexing="ij")
    angles = torch.arange(orientations) * math.pi / orientations
    along = torch.stack([right * math.cos(a) + down * math.sin(a) for a in angles.tolist()])
    bell = torch.exp(-(down.square() + right.square()) / (2 * (size / 5) ** 2))
    waves = [wave(2 * math.pi * along / (size * 0.6)) * bell for wave in (torch.cos, torch.sin)]
    kernels = torch.stack(waves, 1).flatten(0, 1)
    kernels = kernels - kernels.mean((1, 2), keepdim=True)
    return (kernels / kernels.flatten(1).norm(dim=1)[:, None, None])[:, None]


def first_layer(images: torch.Tensor, move: int = 0) -> torch.Tensor:
    """ReLU maps of the drawn kernels in the geometry of the paper's conv1: bytes (N, 3, H, W) to (N, 16, 55, 55).

    The central 227 pixels, `move` pixels further right, 11 x 11 at stride 4, on brightness; divided by the deviation
    of all maps. SettingError: images under 227 pixels, or a move beyond their edge.
    """
    side = images.shape[-1]
    left = (side - SIDE) // 2 + move
    if not 0 <= left <= side - SIDE:
        raise SettingError(f"{SIDE} pixels, moved by {move}, do not fit into images of {side}")
    grey = centre(images.float().mean(1, keepdim=True), SIDE, side)[..., left : left + SIDE]
    maps = F.conv2d(grey - grey.mean(), drawn_kernels(), stride=STRIDE).relu()
    return maps / maps.std()


def centred(maps: torch.Tensor) -> torch.Tensor:
    """Each of the C maps less its own mean over images and places: how strong a map is on the whole is no likeness."""
    return maps - maps.mean((0, 2, 3), keepdim=True)


def change(before: torch.Tensor, after: torch.Tensor) -> float:
    """How far two sets of maps are apart: 0 if they are equal, about 1 if they have nothing to do with each other.

    The rms of their difference over that of two independent sets with their spread around each map's mean.
    """
    spread = (centred(before).square().mean() + centred(after).square().mean()).sqrt()
    return float((after - before).square().mean().sqrt() / spread)


def effective_number(maps: torch.Tensor, side: int = 8) -> float:
    """How many independent units would vary as evenly as `side` x `side` neighbours of a map: 1 to side^2.

    The participation ratio of the eigenvalues of their covariance, (sum)^2 / sum of squares, from all patches that do
    not overlap, of maps around their means.
    """
    patches = centred(maps).unfold(2, side, side).unfold(3, side, side).flatten(4).flatten(0, 3).double()
    eigenvalues = torch.linalg.eigvalsh(patches.T @ patches)
    return float(eigenvalues.sum() ** 2 / eigenvalues.square().sum())


def rebuilding(pooled: torch.Tensor, maps: torch.Tensor, reach: int = 2) -> torch.Tensor:
    """The best linear rebuilding of maps from pooled maps at stride 2, one rule for all maps: (features, 4).

    Least squares: each pixel of the 2 x 2 under an output from the (2 reach + 1)^2 outputs around it and a constant.
    """
    around, wanted = _around(pooled, reach), _under(maps, pooled, reach)
    ridge = 1e-9 * len(around) * torch.eye(around.shape[1], dtype=around.dtype)
    return torch.linalg.solve(around.T @ around + ridge, around.T @ wanted)


def lost(rule: torch.Tensor, pooled: torch.Tensor, maps: torch.Tensor, reach: int = 2) -> torch.Tensor:
    """The share of the maps' variance that `rule` does not rebuild from the pooled maps: 0 is all, 1 is none."""
    wanted = _under(maps, pooled, reach)
    return (wanted - _around(pooled, reach) @ rule).square().mean() / wanted.var()


def _around(pooled: torch.Tensor, reach: int) -> torch.Tensor:
    patches = pooled.double().unfold(2, 2 * reach + 1, 1).unfold(3, 2 * reach + 1, 1).flatten(4).flatten(0, 3)
    return torch.cat([patches, torch.ones_like(patches[:, :1])], 1)


def _under(maps: torch.Tensor, pooled: torch.Tensor, reach: int) -> torch.Tensor:
    cells = maps.double().unfold(2, 2, 2).unfold(3, 2, 2)[:, :, : pooled.shape[2], : pooled.shape[3]]
    end = [-reach or None] * 2
    return cells[:, :, reach : end[0], reach : end[1]].flatten(4).flatten(0, 3)


def across_maps(maps: torch.Tensor) -> torch.Tensor:
    """The strided convolution that keeps most: 2 x 2 pixels of all C maps to C numbers, kernels (C, C, 2, 2).

    The first C principal components of such blocks of `maps`: no linear map to C numbers keeps more of the variance.
    """
    count = maps.shape[1]
    blocks = maps.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).reshape(-1, 4 * count).double()
    vectors = torch.linalg.eigh(torch.cov(blocks.T)).eigenvectors
    return vectors[:, -count:].T.reshape(count, count, 2, 2).to(maps.dtype)


def unlearnt(features: torch.Tensor, steps: list[int]) -> list[float]:
    """What share of random labels a linear classifier has not learned after each number of gradient steps.

    Exact, without training: the expected squared error of full-batch gradient descent on squared loss from weights 0,
    over labels of variance 1 and mean 0; features (N, ...) are centred, the step is 1 over the
    largest eigenvalue of their inner products. The faster it falls, the easier these images are to learn by heart.
    """
    rows = features.flatten(1).double()
    rows = rows - rows.mean(0)
    eigenvalues = torch.linalg.eigvalsh(rows @ rows.T).clamp(min=0)
    shrink = 1 - eigenvalues[1:] / eigenvalues.max()  # without the mean, which centring took out
    return [float((shrink ** (2 * count)).mean()) for count in steps]


def told_apart(pool: Pooling, maps: torch.Tensor, noise: torch.Tensor, strong: float = 0.5) -> float:
    """How often a window that holds a unit over `strong` comes out above one that does not, with noise on the maps.

    1 is always, 0.5 no better than chance. `pool` has windows 3/2; the noise, of the maps' shape, is added at 0.3.
    """
    hit = F.max_pool2d(maps, 3, 2).flatten() > strong
    ranks = pool(maps + 0.3 * noise).flatten().argsort().argsort().double()
    return float((ranks[hit].mean() - (int(hit.sum()) - 1) / 2) / (~hit).sum())


class SoftPool(nn.Module):
    """Soft pooling that learns its sharpness, one number for each of `maps` maps; all start at `start`."""

    def __init__(self, maps: int, window: Window, start: float = 1.0):
        super().__init__()
        self.window = window
        self.sharpness = nn.Parameter(torch.full((maps,), float(start)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return soft_pool(x, self.window, self.sharpness)

    def extra_repr(self) -> str:
        return f"{len(self.sharpness)}, {self.window.size}/{self.window.stride}"
