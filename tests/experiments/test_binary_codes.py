"""The experiment binary-codes on a set that a network learns in seconds: what it records, resumes and keeps."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from ledger_cases import put
from safetensors.torch import load_file, save_file
from training_cases import SMALL

from alexnet_lib import records
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.data.tiny_imagenet import FOLDER
from alexnet_lib.errors import RecordError
from alexnet_lib.experiments import binary_codes as experiment
from alexnet_lib.experiments.binary_codes import BITS, method, pixel_rank
from alexnet_lib.experiments.running.study import Job, Size
from alexnet_lib.experiments.running.study_runs import final_net
from alexnet_lib.figures.retrieval import draw_neighbours
from alexnet_lib.measures.binary_codes import HammingIndex
from alexnet_lib.measures.retrieval import Neighbours, features_of

SIZE = Size("tiny", 72, (*SMALL, "passes=2", "schedule=constant"), seeds=2, classes=6, per_class=6)
RUN = "10-classes-64-pixels-20-passes_retrieval"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data root whose Tiny ImageNet is the tests' own images of six classes."""
    root = tmp_path_factory.mktemp("data")
    (root / FOLDER).symlink_to(prepared.parent / "source", target_is_directory=True)
    return str(root)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "STUDY", replace(experiment.STUDY, small=SIZE))
    monkeypatch.setattr(experiment, "PASSES", 3)


def run(out: Path, data: str, seeds: int | None = None) -> list[Path]:
    return experiment.run_from(argparse.Namespace(full=False, out=out, data=data, device="cpu", seeds=seeds, only=None))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.mark.usefixtures("few")
def test_a_record_has_the_precision_of_every_method(out: Path, data: str, capsys: pytest.CaptureFixture) -> None:
    (path,) = run(out, data, seeds=1)
    record = records.load("binary-codes", "tiny_retrieval", out)
    result = record["result"]
    names = {"features", "pixels"} | {
        method(of, bits, how) for of in ("features", "pixels") for bits in BITS for how in ("", "planes")
    }
    assert set(result["precision"]) == names == set(result["bytes"]) and result["seeds"] == [0]
    assert not result["complete"], "one of two seeds"
    assert result["bytes"]["features"] == 64 and result["bytes"]["pixels, 256 bits by planes"] == 32
    assert result["chance"] == pytest.approx(1 / 6, abs=1e-6)
    # Its classes are told apart by how bright they are, which pixels and a hardly trained network see alike.
    assert all(result["precision"][of]["5"][0] > 1.5 * result["chance"] for of in ("features", "pixels"))
    assert "of 10 neighbours" in capsys.readouterr().out and path.is_file()


@pytest.mark.usefixtures("few")
def test_what_is_kept_beside_it_is_what_the_network_and_its_codes_find(out: Path, data: str) -> None:
    kept = load_file(out / "binary-codes" / "tiny_retrieval_seed-0.safetensors")
    job = Job.begin(experiment.STUDY, SIZE, ["paper"], out=out, data=data, device="cpu", seeds=1)
    one, val = job.known[0], PreparedImages(job.folder, "val")
    net = final_net(one.recipe, one.place, 0, 6)
    scale = one.recipe.make_scale(job.images)
    base, asked = (features_of(net, scale, images.images(range(len(images)))) for images in (job.images, val))
    far = torch.cdist(asked, base, compute_mode="donot_use_mm_for_euclid_dist")
    first = far.gather(1, kept["features-neighbours"][:, :1].long())[:, 0]
    assert torch.allclose(first, far.min(dim=1).values, rtol=1e-4, atol=1e-5)
    assert kept["features-train"].shape == (36, 32) and kept["pixels-val"].shape == (12, 32)
    bits = HammingIndex(kept["features-train"].numpy()).search(kept["features-val"].numpy(), 1).distances
    said = kept["features, 256 bits-neighbours"][:, 0].long()
    differ = np.unpackbits(kept["features-train"].numpy()[said] ^ kept["features-val"].numpy(), axis=1).sum(axis=1)
    assert differ.tolist() == bits[:, 0].tolist()
    assert kept["labels-train"].tolist() == job.images.labels.tolist() and len(kept["labels-val"]) == 12


@pytest.mark.usefixtures("few")
def test_it_goes_on_with_the_next_seed_and_then_has_nothing_to_do(
    out: Path, data: str, capsys: pytest.CaptureFixture
) -> None:
    before = records.load("binary-codes", "tiny_retrieval", out)["result"]["precision"]
    assert len(run(out, data)) == 1
    result = records.load("binary-codes", "tiny_retrieval", out)["result"]
    assert result["complete"] and result["seeds"] == [0, 1]
    assert all(each["1"][0] == before[name]["1"][0] for name, each in result["precision"].items())
    assert run(out, data) == [] and "all of it is recorded" in capsys.readouterr().out


@pytest.mark.usefixtures("few")
def test_a_record_of_other_settings_is_refused(out: Path, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "PASSES", 4)
    with pytest.raises(RecordError, match="with other settings"):
        run(out, data)


def test_the_rank_in_pixels() -> None:
    base, queries = torch.arange(10.0)[:, None], torch.tensor([[0.2], [8.9]])
    found = Neighbours(np.zeros((2, 1)), np.array([[0], [0]]))
    assert pixel_rank(base, queries, found) == pytest.approx((0 + 0.9) / 2)


def test_neighbours_of_the_querys_class_are_framed() -> None:
    images = torch.randint(256, (3, 3, 8, 8), dtype=torch.uint8)
    found = {"features": (images, ["cat", "dog", "cat"]), "pixels": (images[:2], ["dog", "dog"])}
    fig = draw_neighbours(images[0], "cat", found)
    framed = [ax.spines["top"].get_visible() for ax in fig.axes]
    assert framed == [False, True, False, True, False, False, False, False]
    assert [ax.get_title() for ax in fig.axes] == ["query: cat", "cat", "dog", "cat", "query: cat", "dog", "dog", ""]
    assert [ax.get_ylabel() for ax in fig.axes[::4]] == ["features", "pixels"]
    plt.close(fig)


def test_what_is_kept_is_read_or_said_to_be_missing(tmp_path: Path) -> None:
    assert experiment.recorded(tmp_path) == {} and experiment.keys({}) == []
    put(tmp_path, "binary-codes", RUN, {"complete": True, "seeds": [0, 1]}, [0, 1], claims=["C29"])
    record = experiment.recorded(tmp_path)
    assert experiment.keys(record) == [f"binary-codes/{RUN}"]
    with pytest.raises(RecordError, match="_retrieval_seed-0.safetensors is missing"):
        experiment.kept(record, tmp_path)
    save_file({"labels-val": torch.arange(3)}, str(tmp_path / "binary-codes" / f"{RUN}_seed-0.safetensors"))
    assert experiment.kept(record, tmp_path)["labels-val"].tolist() == [0, 1, 2]


def test_the_autoencoder_is_compared_with_planes_by_seeds_and_queries(tmp_path: Path) -> None:
    names = [experiment.method("features", 64, how) for how in ("", "planes")]
    precision = dict(zip(names, ({"10": [0.38, 0.39, 0.43]}, {"10": [0.40, 0.42, 0.44]}), strict=True))
    result = {"complete": True, "seeds": [0, 1, 2], "precision": precision}
    put(tmp_path, "binary-codes", RUN, result, [0, 1, 2], claims=["C30"], test_images=500)
    effect = experiment.found_more(experiment.recorded(tmp_path), *names)
    by_queries = (0.40 * 0.60 / 500 + 0.42 * 0.58 / 500) ** 0.5
    assert effect.size == pytest.approx(-0.02)
    assert effect.bound and effect.image_error == pytest.approx(by_queries) and effect.error > by_queries
