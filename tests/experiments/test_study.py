"""Studies with the whole network on Tiny ImageNet: a record a variant, taken up where they were, averaged."""

from __future__ import annotations

import argparse
import json
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_cases import SMALL

from alexnet_lib import experiments, records
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.data.tiny_imagenet import FOLDER
from alexnet_lib.errors import DataError, RecordError, SettingError
from alexnet_lib.experiments import ablations, ensemble, sixth_conv, tiny_imagenet
from alexnet_lib.experiments.running import study_runs
from alexnet_lib.experiments.running.pool import Workplace
from alexnet_lib.experiments.running.study import Job, Size, Study, run
from alexnet_lib.measures.kernels import KINDS, colour_share, gabors_of
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.training.evaluation import count_errors, probabilities
from alexnet_lib.training.recipes import Recipe

SIZE = Size("tiny", 72, (*SMALL, "passes=2", "schedule=constant"), seeds=2, classes=6, per_class=6)
STUDY = Study("ablations", ("C05",), {"paper": (), "no-lrn": ("net.norm=none",)}, SIZE, SIZE, SIZE)


@pytest.fixture(scope="module")
def data(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data root whose Tiny ImageNet is the tests' own images of six classes."""
    root = tmp_path_factory.mktemp("data")
    (root / FOLDER).symlink_to(prepared.parent / "source", target_is_directory=True)
    return str(root)


@pytest.fixture(scope="module")
def done(data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the study has been run."""
    out = tmp_path_factory.mktemp("out")
    assert len(study_run(out, data)) == 2
    return out


def study_run(out: Path, data: str, study: Study = STUDY, **options) -> list[Path]:  # noqa: ANN003
    names = list(study.variants)
    return run(study, study.small, names, out=out, data=data, device="cpu", jobs=1, command="c", **options)


def test_a_variant_is_a_complete_record(done: Path) -> None:
    found = records.load("ablations", root=done)
    assert sorted(found) == ["tiny_no-lrn", "tiny_paper"]
    for record in found.values():
        assert record["result"]["complete"] and record["seeds"] == [0, 1] and record["dataset"]["images"] == 36
        for outcome, error in zip(record["curves"], record["result"]["test_error"], strict=True):
            # The curve's last point was counted in training, the error afterwards from the weights at the end.
            assert outcome["curve"]["validation_error"][-1] == error and outcome["curve"]["passes"] == [1, 2]
            assert outcome["ended"] == "passes" and set(outcome["top5_error"]) == {"centre", "ten"}
    paper, other = (found[f"tiny_{name}"]["configuration"]["recipe"] for name in STUDY.variants)
    assert paper["net"].pop("norm") == "lrn" and other["net"].pop("norm") == "none" and paper == other


def test_seeds_give_different_runs_and_come_one_round_after_the_other(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    study_run(tmp_path, data)
    told = [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if "top-1 error" in line]
    assert told == [f"tiny_{name}, seed {seed}" for seed in (0, 1) for name in ("paper", "no-lrn")]
    losses = [one["curve"]["loss"] for one in records.load("ablations", "tiny_paper", tmp_path)["curves"]]
    assert losses[0] != losses[1]


def test_what_is_recorded_is_not_run_again(done: Path, data: str) -> None:
    weights = done / ".imagenet" / "runs" / "tiny_paper" / "seed-0" / "final.safetensors"
    trained = weights.stat().st_mtime_ns
    assert study_run(done, data) == []
    alike = replace(STUDY, name="sixth-conv", claims=("C24",), variants={"paper": ()})  # shares the finished runs
    written = study_run(done, data, alike)
    mine = records.load("sixth-conv", "tiny_paper", done)
    assert len(written) == 1 and mine["curves"] == records.load("ablations", "tiny_paper", done)["curves"]
    assert weights.stat().st_mtime_ns == trained


def test_a_run_asked_to_stop_goes_on_to_the_same_record(
    done: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def asked():  # noqa: ANN202
        yield [1]

    job = Job.begin(STUDY, SIZE, ["paper"], out=tmp_path, data=data, device="cpu", seeds=None)
    with monkeypatch.context() as patched:
        patched.setattr(study_runs, "asked_to_stop", asked)
        place = Workplace(checkpoints=tmp_path, device="cpu", threads=1)
        assert study_runs.run_unit(job.known[0].due()[0], place)["ended"] == "stopped"
    saved = list((tmp_path / ".imagenet" / "runs" / "tiny_paper" / "seed-0" / "checkpoints").glob("step-*.pt"))
    assert len(saved) == 1 and "step-000000001" in saved[0].name
    study_run(tmp_path, data)
    for name in ("tiny_paper", "tiny_no-lrn"):
        one, other = (records.load("ablations", name, out) for out in (tmp_path, done))
        for each in (*one["curves"], *other["curves"]):
            del each["seconds"]
        assert one["curves"] == other["curves"] and one["result"] == other["result"]


def test_a_finished_run_leaves_its_weights_and_no_checkpoints(done: Path) -> None:
    folder = done / ".imagenet" / "runs" / "tiny_paper" / "seed-1"
    assert {path.name for path in folder.iterdir()} >= {"final.safetensors", "outcome.json", "log.jsonl"}
    assert not (folder / "checkpoints").exists() and not (folder / "best.safetensors").exists()


def test_records_of_other_settings_or_images_are_refused(done: Path, data: str, prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="with other settings"):
        study_run(done, data, replace(STUDY, small=replace(SIZE, changes=(*SIZE.changes, "rate=0.02"))))
    path = done / "ablations" / "tiny_paper.json"
    changed = json.loads(path.read_text()) | {"run": "tiny_paper"}
    changed["dataset"]["checksum"] = "of others"
    (tmp_path / "ablations").mkdir()
    (tmp_path / "ablations" / path.name).write_text(json.dumps(changed))
    with pytest.raises(RecordError, match="on other images"):
        study_run(tmp_path, data)


def test_kernels_are_kept_beside_the_record(done: Path, data: str) -> None:
    study = replace(STUDY, name="tiny-imagenet", claims=("C21",), variants={"paper": ()}, kernels=True)
    (path,) = study_run(done, data, study, seeds=1)
    kept = load_file(path.with_name("tiny_paper_seed-0_conv1.safetensors"))["conv1.weight"]
    final = load_file(done / ".imagenet" / "runs" / "tiny_paper" / "seed-0" / "final.safetensors")["conv1.weight"]
    assert kept.shape == (10, 3, 11, 11) and torch.equal(kept, final.half())
    found = records.load("tiny-imagenet", root=done)
    assert list(found) == ["tiny_paper"]
    table = found["tiny_paper"]["curves"][0]["kernels"]
    assert table["colour_share"] == pytest.approx(colour_share(final).tolist(), rel=1e-3)
    assert set(table["kind"]) <= set(KINDS) and len(gabors_of(table)) == 10
    for gabor, kernel in zip(gabors_of(table), final, strict=True):
        left = (kernel - gabor.kernel(11, 11)).pow(2).sum() / kernel.pow(2).sum()
        assert gabor.fit == pytest.approx(1 - float(left), abs=0.02)


def test_kernels_of_the_first_run_are_kept_at_several_moments(done: Path, data: str) -> None:
    study = replace(STUDY, name="kernels", claims=("C26",), kernels=True, snapshots=3)
    study_run(done, data, study)
    folder = done / "kernels"
    first, second, other = (
        load_file(folder / f"tiny_{name}_conv1.safetensors")
        for name in ("paper_seed-0", "paper_seed-1", "no-lrn_seed-0")
    )
    assert set(second) == set(other) == {"conv1.weight"}
    assert set(first) == {"conv1.weight", "pass-0", "pass-2"}, "a half of a pass is rounded"
    recipe = Job.begin(study, SIZE, ["paper"], out=done, data=data, device="cpu", seeds=None).known[0].recipe
    assert torch.equal(first["pass-0"], AlexNet(recipe.net, 6, seed=0).conv1.weight.half())
    assert torch.equal(first["pass-2"], first["conv1.weight"]) and not torch.equal(first["pass-0"], first["pass-2"])


def test_kernels_that_a_run_did_not_keep_are_said_to_be_missing(done: Path, data: str, tmp_path: Path) -> None:
    job = Job.begin(STUDY, SIZE, ["paper"], out=done, data=data, device="cpu", seeds=None)
    with pytest.raises(RecordError, match=r"seed-0 has no kernels of pass 7: .* delete that folder"):
        study_runs.kernels_file(job.known[0].place, 0, tmp_path / "a.json", passes=[0, 7])
    assert list(tmp_path.iterdir()) == []


def test_ensembles_average_the_softmax_of_the_first_networks(
    done: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensemble, "STUDY", replace(STUDY, name="ensemble", claims=("C23",), variants={"paper": ()}))
    args = argparse.Namespace(full=False, out=done, data=data, device="cpu", seeds=None, only=None, jobs=1)
    assert [path.name for path in ensemble.run_from(args)] == ["tiny_paper.json", "tiny_average.json"]
    result = records.load("ensemble", "tiny_average", done)["result"]
    alone = records.load("ensemble", "tiny_paper", done)["result"]
    assert result["networks"] == [1, 2] and result["top1"]["centre"][0] == alone["test_error"][0]
    assert result["top1"]["ten"][0] == alone["views_error"]["ten"][0]
    job = Job.begin(ensemble.STUDY, SIZE, ["paper"], out=done, data=data, device="cpu", seeds=None)
    val, recipe = PreparedImages(job.folder, "val"), job.known[0].recipe
    nets = [study_runs.final_net(recipe, job.known[0].place, seed, 6) for seed in (0, 1)]
    scale, pixels = recipe.make_scale(job.images), val.images(range(len(val)))
    each = [probabilities([net], [scale], pixels, 64) for net in nets]
    wrong = (sum(each).argmax(1) != val.labels).float().mean().item()
    assert result["top1"]["centre"][1] == pytest.approx(wrong)
    assert ensemble.run_from(args) == []


def test_recorded_error_is_of_the_weights_kept(done: Path, data: str) -> None:
    job = Job.begin(STUDY, SIZE, ["no-lrn"], out=done, data=data, device="cpu", seeds=None)
    recipe = job.known[0].recipe
    net = study_runs.final_net(recipe, job.known[0].place, 1, 6)
    scale = recipe.make_scale(job.images)
    counted = count_errors([net], job.images, [scale], 64, device=torch.device("cpu"))
    recorded = records.load("ablations", "tiny_no-lrn", done)["result"]["training_error"][1]
    assert counted.shares[1] == pytest.approx(recorded, abs=1e-6)


@pytest.mark.parametrize("study", [ablations.EXPERIMENT, sixth_conv.EXPERIMENT], ids=lambda study: study.name)
@pytest.mark.parametrize("size", ["small", "on_cpu", "on_gpu"])
def test_each_variant_differs_in_what_it_is_named_for(study: Study, size: str) -> None:
    base, chosen = study.recipe_of("paper", getattr(study, size)), getattr(study, size)
    seen = set()
    for name, changes in study.variants.items():
        recipe = study.recipe_of(name, chosen)
        differs = {field for field in differing(base, recipe) if field != "net.name"}
        assert differs == {change.partition("=")[0] for change in changes}, name
        seen.add(frozenset(differs))
    assert len(seen) == len(study.variants) - 2 * ("no-conv3" in study.variants)  # conv3, 4 and 5: the same field


def differing(one: Recipe, other: Recipe) -> set[str]:
    found = {f.name for f in fields(Recipe) if f.name != "net" and getattr(one, f.name) != getattr(other, f.name)}
    return found | {f"net.{f.name}" for f in fields(one.net) if getattr(one.net, f.name) != getattr(other.net, f.name)}


@pytest.mark.parametrize("name", [*ablations.VARIANTS, "sixth-conv"])
def test_every_variant_can_be_built_at_the_small_size(name: str) -> None:
    study = ablations.EXPERIMENT if name in ablations.VARIANTS else sixth_conv.EXPERIMENT
    config = replace(study.recipe_of(name, study.on_cpu).net, hidden=(16, 16))
    assert AlexNet(config, 10, seed=0)(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


def test_the_recipe_is_the_papers_but_for_what_its_docstring_says() -> None:
    for size in (tiny_imagenet.EXPERIMENT.on_gpu, tiny_imagenet.EXPERIMENT.on_cpu):
        differs = differing(Recipe(), tiny_imagenet.EXPERIMENT.recipe_of("paper", size))
        assert differs <= {"net.deviations", "net.input_size", "dtype"} and "net.deviations" in differs


def test_labels_name_every_variant() -> None:
    assert list(ablations.LABELS) == list(ablations.VARIANTS)
    assert list(sixth_conv.LABELS) == list(sixth_conv.EXPERIMENT.variants)
    assert {"ablations", "tiny-imagenet", "sixth-conv", "ensemble"} <= set(experiments.names())


def test_no_tiny_imagenet_and_unknown_variants(tmp_path: Path, data: str) -> None:
    with pytest.raises(DataError, match=f"no {FOLDER} in .*`python -m alexnet_lib data fetch tiny-imagenet` .*http"):
        study_run(tmp_path / "out", str(tmp_path))
    args = argparse.Namespace(full=False, out=tmp_path, data=data, device="cpu", seeds=None, only="no-lrm", jobs=1)
    with pytest.raises(SettingError, match="'no-lrm' is not known; use paper, one-gpu-half"):
        ablations.run_from(args)
