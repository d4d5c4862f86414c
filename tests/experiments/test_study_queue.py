"""The registered study's queue: what comes next, what is recorded and kept, killed and taken up to the same records."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from training_cases import CLASSES, SMALL

from alexnet_lib import ROOT, experiments, records
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.data.imagenet.sources import Entry as Image
from alexnet_lib.data.imagenet.sources import Source
from alexnet_lib.data.tiny_imagenet import FOLDER
from alexnet_lib.errors import DataError, RecordError, SettingError, TrainingError
from alexnet_lib.experiments import evidence, flagship, pretraining
from alexnet_lib.experiments.running import machine, study_queue, tiny_runs
from alexnet_lib.experiments.running.machine import at_guessing
from alexnet_lib.experiments.running.study_queue import Entry, Plan, Variant, chosen, run_queue
from alexnet_lib.experiments.running.tiny_runs import TEST, TRAIN, TUNE, Kept
from alexnet_lib.measures.gabor import check_kernels
from alexnet_lib.training.recipes import named

SIZE = evidence.Size("tiny", CLASSES, 4, 2, side=72)
TINY = (*SMALL, "batch=8", "passes=2", "schedule=by hand", "drops=1")
HERE = Path(__file__).parent


def tiny_plan(*entries: Entry, experiment: str = "evidence", **changes) -> Plan:  # noqa: ANN003
    sources = {"own": lambda folder: evidence.split_source(folder, SIZE)}
    plan = Plan(experiment, ("C05",), "tiny", "2026-01-01", sources, SIZE.side, entries)
    return replace(plan, **changes)


PLAN = tiny_plan(
    Entry("paper", TINY, 2, (0.005, 0.01), (2, (1,)), answers=True),
    Entry("no-lrn", (*TINY, "net.norm=none"), 1, (0.01,)),
)


@pytest.fixture(scope="module")
def data(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data root whose Tiny ImageNet is the tests' own images of six classes: 8 to train and 2 to validate of each."""
    root = tmp_path_factory.mktemp("data")
    (root / FOLDER).symlink_to(prepared.parent / "source", target_is_directory=True)
    return str(root)


def asked(out: Path, data: str, **options) -> argparse.Namespace:  # noqa: ANN003
    told = {"out": out, "data": data, "device": "cpu", "jobs": 2, "seeds": None, "only": None, "dtype": "float32"}
    return argparse.Namespace(**(told | options))


@pytest.fixture(scope="module")
def done(data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plan has been run."""
    out = tmp_path_factory.mktemp("out")
    assert len(run_queue(PLAN, asked(out, data))) == 2
    return out


def recorded(out: Path) -> dict[str, bytes]:
    """All that would be committed of a study."""
    return {path.name: path.read_bytes() for path in (out / "evidence").iterdir() if path.is_file()}


def copied(done: Path, out: Path) -> None:
    """What was committed, on another machine."""
    (out / "evidence").mkdir()
    for name, content in recorded(done).items():
        (out / "evidence" / name).write_bytes(content)


def test_images_fall_into_three_parts_that_share_none(done: Path) -> None:
    folder = done / "evidence" / ".checkpoints" / "images-tiny-own"
    sets = {split: PreparedImages(folder, split) for split in (TRAIN, TUNE, TEST)}
    assert {split: len(each) for split, each in sets.items()} == {TRAIN: 24, TUNE: 12, TEST: 24}
    names = [name for each in sets.values() for name in each.names]
    assert len(names) == len(set(names))
    for each in sets.values():  # as many of each class, the validation images among those to test on
        assert set(np.bincount(each.labels.numpy())) == {len(each) // CLASSES}
    assert sum("val/" in name for name in sets[TEST].names) == 12


def test_the_other_classes_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [Image(f"{label}-{n}", label, "", -1, 1, 0) for label in range(8) for n in range(3)]
    names = tuple(f"n{n}" for n in range(8))
    whole = Source(Path(), "", names, (None,) * 8, {"train": entries, "val": []})
    monkeypatch.setattr(evidence, "find_source", lambda folder: whole)
    size = evidence.Size("x", 2, 0, 1)
    own, others = (evidence.split_source(Path(), size, others) for others in (False, True))
    assert own.classes == ("n0", "n4") and others.classes == ("n1", "n2", "n3", "n5", "n6", "n7")
    assert [len(own.splits[split]) for split in (TRAIN, TUNE, TEST)] == [4, 2, 0]


def test_a_class_with_too_few_images_is_named(data: str) -> None:
    with pytest.raises(DataError, match="class n00000000 has 8 training images, 9 are needed"):
        evidence.split_source(Path(data) / FOLDER, replace(SIZE, trained=7))


def test_a_record_holds_pilots_seeds_and_what_was_chosen(done: Path) -> None:
    record = records.load("evidence", "tiny_paper", done)
    assert [one["pilot"] for one in record["curves"]] == [True, True, False, False]
    result = record["result"]
    assert result["complete"] and result["seeds"] == [0, 1] and set(result["rates_tried"]) == {"0.005", "0.01"}
    assert record["dataset"]["test_images"] == 24 and record["dataset"]["tune_images"] == 12
    for run in record["curves"][2:]:
        assert run["rate"] == result["rate"] and run["curve"]["rate"] == pytest.approx([run["rate"], run["rate"] / 10])
        assert set(run["curve"]) >= {"seen_loss", "seen_error", "validation_loss", "validation_error"}
    assert records.load("evidence", "tiny_no-lrn", done)["result"]["rates_tried"] == {}


def test_what_is_kept_gives_the_recorded_errors(done: Path) -> None:
    for name in ("tiny_paper", "tiny_no-lrn"):
        record = records.load("evidence", name, done)
        for seed, error, ten in zip(
            record["result"]["seeds"],
            record["result"]["test_error"],
            record["result"]["views_error"]["ten"],
            strict=True,
        ):
            kept = Kept.read(record, seed, done)
            assert kept.wrong["centre"].shape == (24,) and kept.wrong["centre"].double().mean() == pytest.approx(error)
            assert kept.wrong["ten"].double().mean() == pytest.approx(ten)
            check_kernels(kept.kernels)
            assert (kept.answers is None) == (name == "tiny_no-lrn")
    images = PreparedImages(done / "evidence" / ".checkpoints" / "images-tiny-own", TEST)
    kept = Kept.read(records.load("evidence", "tiny_paper", done), 0, done)
    assert kept.answers.sum(1) == pytest.approx(torch.ones(24), abs=1e-5)
    assert torch.equal(kept.labels, images.labels)
    again = kept.answers.argmax(1) != kept.labels
    assert (again != kept.wrong["ten"]).sum() <= 1  # an answer that was nearly a tie may turn in 8 bits


def test_what_is_recorded_is_not_run_again(done: Path, data: str, capsys: pytest.CaptureFixture) -> None:
    before = recorded(done)
    assert run_queue(PLAN, asked(done, data)) == []
    assert "all of it is recorded" in capsys.readouterr().out and recorded(done) == before


def plain(record: dict) -> dict:
    """A record without what hangs on the machine's speed and the moment."""
    told = {key: record[key] for key in ("configuration", "dataset", "seeds", "result")}
    return told | {"curves": [{k: v for k, v in one.items() if k != "seconds"} for one in record["curves"]]}


def test_killed_at_random_moments_it_goes_on_to_the_same_records(done: Path, data: str, tmp_path: Path) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "if __name__ == '__main__':\n"
        "    from pathlib import Path; import test_study_queue as t\n"
        "    from alexnet_lib.experiments.running.study_queue import run_queue\n"
        "    run_queue(t.PLAN, t.asked(Path(sys.argv[1]), sys.argv[2]))\n"
    )
    (tmp_path / "go.py").write_text(script)
    places = (HERE, ROOT / "tests" / "helpers")
    command, chance = [sys.executable, "-u", tmp_path / "go.py", tmp_path / "out", data, *places], random.Random(0)
    for kills in range(5):  # the fifth start is left to end
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        assert process.stdout.readline()  # it has begun: what follows is training, on a fast machine a few seconds
        try:
            printed, _ = process.communicate(timeout=chance.random() if kills < 4 else 300)
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
    assert process.returncode == 0, printed.decode()
    assert kills >= 2
    for name in ("tiny_paper", "tiny_no-lrn"):
        assert plain(records.load("evidence", name, tmp_path / "out")) == plain(records.load("evidence", name, done))
        for path in (done / "evidence").glob(f"{name}_seed-*"):
            ours, theirs = load_file(path), load_file(tmp_path / "out" / "evidence" / path.name)
            assert all(torch.equal(one, theirs[key]) for key, one in ours.items())


def test_it_goes_on_from_the_records_alone(done: Path, data: str, tmp_path: Path) -> None:
    """On another machine there is what was committed, and nothing else; two more seeds are trained there."""
    copied(done, tmp_path)
    more = replace(PLAN, entries=tuple(replace(each, seeds=each.seeds + 1) for each in PLAN.entries))
    assert {path.stem for path in run_queue(more, asked(tmp_path, data))} == {"tiny_paper", "tiny_no-lrn"}
    record, before = (records.load("evidence", "tiny_paper", out) for out in (tmp_path, done))
    assert record["curves"][:4] == before["curves"] and record["result"]["seeds"] == [0, 1, 2]


def known(plan: Plan, monkeypatch: pytest.MonkeyPatch, classes: int = 50) -> dict[str, Variant]:
    """Variants of which nothing is known yet, by record, without images."""
    images = SimpleNamespace(side=108, classes=["n"] * classes)
    monkeypatch.setattr(study_queue, "PreparedImages", lambda folder, split: images)
    monkeypatch.setattr(study_queue, "dataset", lambda images: {})
    made = (Variant(plan, each, Path("images"), Path("out"), "float32", "float32") for each in plan.entries)
    return {one.run: one for one in made}


def due(variants: dict[str, Variant], busy: Sequence[tiny_runs.Unit] = ()) -> list[tiny_runs.Unit]:
    """As the pool takes them: the lowest turn first."""
    return sorted((unit for one in variants.values() for unit in one.due(busy)), key=lambda unit: unit.turn)


def ended(unit: tiny_runs.Unit, error: float = 0.6) -> dict:
    told = {"seed": unit.seed, "pilot": unit.pilot, "rate": unit.recipe.rate, "ended": "passes"}
    return told | {"tune_error": error, "test_error": error, "curve": {"passes": [45], "rate": [0.01]}}


def test_everything_has_one_seed_before_anything_has_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the registered plan: three seeds of the base first; every variant chooses its rate before its first seed."""
    plan, order = evidence.plan(evidence.FULL), []
    variants = known(plan, monkeypatch)
    while units := due(variants):
        order.append(units[0])
        variants[units[0].run].keep(ended(units[0]))
    names = [unit.run.removeprefix(f"{plan.size}_") for unit in order]
    first = names.index("no-lrn")
    assert [(unit.pilot, unit.seed) for unit in order[:first]] == [(True, 1000)] * 3 + [(False, s) for s in (0, 1, 2)]
    rounds = [unit.seed for unit in order[first:] if not unit.pilot]
    others = rounds[: len(plan.entries) - 1]
    assert others == [0] * (len(plan.entries) - 1), "one seed of all"
    assert sum(unit.pilot for unit in order) == 3 * len(plan.entries)
    runs = {
        name: [unit.seed for unit, of in zip(order, names, strict=True) if of == name and not unit.pilot]
        for name in names
    }
    assert runs == {name: list(range(variant.seeds)) for name, variant in evidence.VARIANTS.items()}


def test_nothing_is_due_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    variants = known(evidence.plan(evidence.FULL), monkeypatch)
    units = due(variants)
    assert not set(units[:2]) & set(due(variants, units[:2])) and len(units) == len(set(units))


@pytest.mark.parametrize(
    "errors, rate, said",
    [
        ({0.005: 0.7, 0.01: 0.6, 0.02: 0.65}, 0.01, [0.7, 0.6, 0.65]),
        ({0.005: 0.6, 0.01: 0.615, 0.02: 0.7}, 0.01, [0.6, 0.615, 0.7]),  # as near as chance: the recipe's own
        ({0.005: 0.6, 0.01: 0.63, 0.02: 0.61}, 0.005, [0.6, 0.63, 0.61]),
        ({0.005: 0.7, 0.01: 0.98, 0.02: 0.75}, 0.005, [0.7, "at guessing", 0.75]),
        ({0.005: 0.979, 0.01: 0.965, 0.02: 0.9}, 0.02, ["at guessing", "at guessing", 0.9]),
        ({0.005: 0.98, 0.01: 0.98, 0.02: 0.98}, 0.01, ["at guessing"] * 3),
    ],
)
def test_another_rate_is_taken_if_it_is_clearly_better_and_guessing_is_no_answer(
    errors: dict[float, float], rate: float, said: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = known(evidence.plan(evidence.FULL), monkeypatch)[f"{evidence.FULL.name}_no-lrn"]
    for unit in one.due():
        one.keep(ended(unit, errors[unit.recipe.rate]))
    assert one.rate == rate and list(one.tried().values()) == said
    assert at_guessing(0.965, 50) and not at_guessing(0.95, 50)


def test_a_pilot_that_diverged_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    one = known(evidence.plan(evidence.FULL), monkeypatch)[f"{evidence.FULL.name}_halving"]
    for unit in one.due():
        lost = {"ended": "diverged"} if unit.recipe.rate == 0.02 else {}
        one.keep(ended(unit, 20 * unit.recipe.rate) | lost)
    assert one.rate == 0.005 and one.tried()["0.02"] == "diverged"


def test_the_variants_change_one_thing() -> None:
    base = named("paper", evidence.BASE)
    assert base.net.exchange == ("conv3", "fc6", "fc7", "fc8") and base.net.deviations[2] == 0.03
    for name, variant in evidence.VARIANTS.items():
        recipe = named("paper", (*evidence.BASE, *variant.changes))
        own, theirs = recipe.plain(), base.plain()
        net = {key for key, value in own.pop("net").items() if value != theirs["net"][key]}
        rest = {key for key, value in own.items() if value != theirs[key]}
        several = {"one-gpu-half": {"widths", "columns"}, "no-crops": {"crops", "reflect"}}
        one = {change.removeprefix("net.").split("=")[0].split(".")[0] for change in variant.changes}
        assert net | rest == several.get(name, one), name


def test_a_constant_stands_in_for_the_normalisation() -> None:
    recipe = named("paper", (*evidence.BASE, *evidence.VARIANTS["lrn-constant"].changes))
    assert recipe.net.lrn.alpha == 0 and (recipe.net.lrn.k, recipe.net.lrn.beta) == (2.0, 0.75)


def test_every_claim_of_the_study_is_one_of_the_book_and_its_labels_are_whole() -> None:
    for module in (evidence, flagship, pretraining):
        assert experiments.get(module.NAME) is module
        plan = module.plan(flagship.WHOLE if module is flagship else evidence.FULL)
        assert {each.name for each in plan.entries} == set(module.LABELS)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"registered": "2026-02-02"}, "registered 2026-01-01, not 2026-02-02"),
        ({"dtype": "bfloat16"}, "recipe.dtype float32, not bfloat16"),
        (
            {"entries": tuple(replace(each, changes=(*each.changes, "momentum=0.8")) for each in PLAN.entries)},
            "recipe.momentum 0.9, not 0.8",
        ),
        (
            {
                "sources": {"own": lambda folder: evidence.split_source(folder, replace(SIZE, trained=3))},
                "size": "tiny",
            },
            "on other images: those of .*, not of ",
        ),
    ],
)
def test_a_study_of_another_plan_type_or_data_is_refused_with_both_named(
    done: Path, data: str, tmp_path: Path, change: dict, said: str
) -> None:
    copied(done, tmp_path)
    dtype = {"dtype": change.pop("dtype")} if "dtype" in change else {}
    with pytest.raises(RecordError, match=f"tiny_paper.json was recorded .*{said}"):
        run_queue(replace(PLAN, **change), asked(tmp_path, data, **dtype))


def test_a_study_of_another_precision_is_refused(done: Path, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_queue, "precision", lambda device, dtype: "TF32")
    with pytest.raises(RecordError, match="precision float32, not TF32"):
        run_queue(PLAN, asked(done, data))


def test_auto_goes_on_in_the_type_of_the_first_record(
    done: Path, data: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(study_queue, "pick_dtype", lambda name, device: "bfloat16")
    assert run_queue(PLAN, asked(done, data, dtype="auto")) == []


def test_bits_that_are_missing_cut_short_or_of_another_set_are_named(done: Path, tmp_path: Path) -> None:
    copied(done, tmp_path)
    path, record = tmp_path / "evidence" / "tiny_paper_seed-0.safetensors", records.load("evidence", "tiny_paper", done)
    tensors, about = load_file(path), {"images": "24", "set": record["dataset"]["checksum"].rpartition(":")[2]}
    save_file(tensors, path, about | {"set": "another"})
    with pytest.raises(RecordError, match="seed-0.safetensors is of the test set another, its record of"):
        Kept.read(record, 0, tmp_path)
    save_file(tensors | {"wrong-ten": tensors["wrong-ten"][:2].clone()}, path, about)
    with pytest.raises(RecordError, match="the bits of 'ten' are of 24 images in 2 bytes, its record of 24"):
        Kept.read(record, 0, tmp_path)
    save_file(tensors, path, about | {"images": "25"})
    with pytest.raises(RecordError, match="are of 25 images in 3 bytes, its record of 24"):
        Kept.read(record, 0, tmp_path)
    save_file({"conv1.weight": tensors["conv1.weight"]}, path, about)
    with pytest.raises(RecordError, match="lacks what a run keeps; it holds conv1.weight"):
        Kept.read(record, 0, tmp_path)
    path.write_bytes((done / "evidence" / path.name).read_bytes()[:-40])
    with pytest.raises(RecordError, match="seed-0.safetensors cannot be read"):
        Kept.read(record, 0, tmp_path)
    path.unlink()
    with pytest.raises(RecordError, match="seed-0.safetensors cannot be read"):
        Kept.read(record, 0, tmp_path)


def test_a_full_disk_leaves_the_record_before_whole(
    done: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(done, tmp_path)
    more = replace(PLAN, entries=tuple(replace(each, seeds=each.seeds + 1) for each in PLAN.entries))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(machine, "run_units", lambda variants, *_: variants[0].due() and full())
    with pytest.raises(TrainingError, match="evidence cannot be written .*No space left.*: make room; .* is whole"):
        run_queue(more, asked(tmp_path, data))
    one, other = (plain(records.load("evidence", "tiny_paper", out)) for out in (tmp_path, done))
    assert one == other


def test_only_and_seeds_narrow_the_plan_and_keep_what_comes_before() -> None:
    plan = pretraining.plan(evidence.FULL)
    assert [each.name for each in chosen(plan, "tuned-sixth", None)] == ["others-sixth", "tuned-sixth"]
    assert {each.seeds for each in chosen(plan, None, 1)} == {1}
    with pytest.raises(SettingError, match="--only: 'x' is not known; use others-paper"):
        chosen(plan, "x", None)


def test_a_network_learns_other_classes_first(data: str, tmp_path: Path) -> None:
    """Of the weights it begins from it has all but the last layer's; without them it waits."""
    before = Entry("others", TINY, 1, (0.01,), weights=True)
    tuned = Entry("tuned", (*TINY, "rate=1e-6"), 1, (1e-6,), after="others")
    plan = tiny_plan(before, tuned, experiment="pretraining")
    run_queue(plan, asked(tmp_path, data, only="others"))
    weights = tmp_path / "pretraining" / "tiny_others_weights.safetensors"
    kept = load_file(weights)
    run_queue(plan, asked(tmp_path, data))
    kernels = Kept.read(records.load("pretraining", "tiny_tuned", tmp_path), 0, tmp_path).kernels
    assert (kernels - kept["conv1.weight"].float()).abs().max() < 1e-3
    weights.unlink()
    with pytest.raises(RecordError, match="tiny_others_weights.safetensors is missing: its record is there"):
        run_queue(replace(plan, entries=(before, replace(tuned, seeds=2))), asked(tmp_path, data))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    net = torch.nn.Sequential()
    net.add_module("fc7", torch.nn.Linear(2, 3))
    save_file({"fc6.weight": torch.zeros(3, 2)}, tmp_path / "w.safetensors")
    with pytest.raises(RecordError, match="holds the weights of another network: fc6.weight"):
        tiny_runs.begin_from(net, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_text("no")
    with pytest.raises(RecordError, match="cannot be read as weights to begin from"):
        tiny_runs.begin_from(net, tmp_path / "w.safetensors")


def test_at_each_drop_a_second_run_goes_on_at_the_old_rate(data: str, tmp_path: Path) -> None:
    """One pass of patience on images that a network of nothing learns nothing of: drops come after few passes."""
    changes = (*SMALL, "batch=8", "passes=6", "schedule=plateau", "patience=1", "rate=1e-7")
    main = Entry("paper", changes, 1, (1e-7,), branches=True)
    ways = [Entry(f"drop-{n}", changes, 1, (1e-7,), branch=n, after="paper") for n in (1, 2, 3)]
    plan = tiny_plan(main, *ways, experiment="flagship")
    run_queue(plan, asked(tmp_path, data))
    record = records.load("flagship", "tiny_paper", tmp_path)
    (run,) = record["curves"]
    dropped, passes = run["dropped_at"], run["curve"]["passes"]
    assert len(dropped) == 3 and {f"stage-{n}" for n in (1, 2, 3)} <= set(Kept.read(record, 0, tmp_path).wrong)
    for n, end in enumerate([*dropped[1:], passes[-1]], 1):
        (other,) = records.load("flagship", f"tiny_drop-{n}", tmp_path)["curves"]
        first = dropped[n - 1] + 1
        assert other["curve"]["passes"] == list(range(first, end + 1))
        assert other["curve"]["rate"] == pytest.approx([1e-7 / 10 ** (n - 1)] * (end - first + 1))
        assert other["curve"]["loss"][0] == pytest.approx(run["curve"]["loss"][first - 1], rel=1e-3)
