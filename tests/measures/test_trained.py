"""Published weights come from a file that anybody may have put there: nothing in it is run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from alexnet_lib.errors import DataError
from alexnet_lib.measures.trained import load_feature_net

CPU = torch.device("cpu")


class RunsCode:
    """Unpickled, it makes a file."""

    def __init__(self, made: Path):
        self.made = made

    def __reduce__(self) -> tuple:
        return Path.touch, (self.made,)


@pytest.mark.parametrize("named", ["7be5be79", "its own"])
def test_a_file_in_the_place_of_published_weights_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """Where its hash is not the published one; and where it is, since eight digits can be matched."""
    torchvision = pytest.importorskip("torchvision")
    published = torchvision.models.AlexNet_Weights.IMAGENET1K_V1
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    torch.save({"features.0.weight": RunsCode(tmp_path / "ran")}, checkpoints / "weights")
    hashed = hashlib.sha256((checkpoints / "weights").read_bytes()).hexdigest()[:8]
    digest = hashed if named == "its own" else named
    (checkpoints / "weights").rename(checkpoints / f"alexnet-owt-{digest}.pth")
    url = published.url.replace("7be5be79", digest)
    monkeypatch.setattr(type(published), "url", property(lambda self: url))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    with pytest.raises(DataError, match="cannot be had" if named == "its own" else "is not the file that torchvision"):
        load_feature_net("torchvision", CPU)
    assert not (tmp_path / "ran").exists()
