"""The figure of "Retrieval and binary codes": a query and its neighbours by each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from ..notebook.style import PALETTE


def draw_neighbours(
    query: torch.Tensor, query_word: str, found: Mapping[str, tuple[torch.Tensor, Sequence[str]]]
) -> Figure:
    """The query, uint8 (3, H, W), and a row of neighbours a method: images (k, 3, H, W) and the word of each one's
    class; a neighbour of the query's class has a frame, and its word in bold."""
    most = max(len(words) for _, words in found.values())
    fig, axes = plt.subplots(len(found), most + 1, figsize=(1.15 * (most + 1), 1.45 * len(found)), squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.grid(False)
    for row, (method, (images, words)) in zip(axes, found.items(), strict=True):
        row[0].imshow(query.permute(1, 2, 0).numpy())
        row[0].set_title(f"query: {query_word}", fontsize="x-small", parse_math=False)
        row[0].set_ylabel(method, fontsize="small")
        for ax, image, word in zip(row[1:], images, words, strict=False):
            same = word == query_word
            ax.imshow(image.permute(1, 2, 0).numpy())
            ax.set_title(word, fontsize="x-small", fontweight="bold" if same else "normal", parse_math=False)
            if same:
                ax.spines[:].set(visible=True, linewidth=3, color=PALETTE["teal"])
    return fig
