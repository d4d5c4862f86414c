"""Comparisons: rates, what is held out, the terms' images, paired differences, a whole tiny one with real processes."""

from __future__ import annotations

import argparse
import json
import math
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from race_cases import workplace
from small_sets import separable
from torch import nn

from alexnet_lib import ROOT, experiments, records
from alexnet_lib.augment import PixelScale, centre
from alexnet_lib.data.cifar10 import load_cifar10
from alexnet_lib.data.image_set import ImageSet
from alexnet_lib.errors import RecordError, SettingError
from alexnet_lib.experiments import live, lrn_cifar10, pooling_cifar10, results
from alexnet_lib.experiments.live import live_comparison
from alexnet_lib.experiments.results import VariantResult, better, broken, effect_of, gap, results_of, rows_of
from alexnet_lib.experiments.running import comparison, pixels
from alexnet_lib.experiments.running.comparison import (
    Terms,
    Variant,
    held_out,
    run_trial,
    settings_of,
    stages_of,
    trained,
    training_images,
)
from alexnet_lib.experiments.running.comparison_runs import Change, Comparison, Part, narrowed, run
from alexnet_lib.experiments.running.pool import Stopped
from alexnet_lib.network.small.locally_connected import ConvLocalConfig
from alexnet_lib.training.fit import make_batches

RECORDED = ROOT / "data" / "recorded"
SIDE = 24
pytestmark = pytest.mark.usefixtures("one_thread", "no_data_of_the_reader")
NET = ConvLocalConfig(maps=6, local_maps=4)
NETS = {"none": NET, "lrn": replace(NET, norm="lrn")}
TERMS = Terms(stages=(1, 1), rates=(0.01,))
TINY = Part("tiny", Terms(stages=(1, 0.5), rates=(0.001, 0.01), pilot=1), NETS, seeds=2)


def variant(rates: tuple[float, ...] = (0.01,), seeds: int = 2) -> Variant:
    return Variant("a", seeds, "a", NET, replace(TERMS, rates=rates, pilot=3))


def outcome(rate: float, seed: int = 0, **errors: float) -> dict[str, Any]:
    told = {"rate": rate, "seed": seed, "diverged_at": None, "pilot": "held_out_error" in errors, "seconds": 1.0}
    return told | {"training_error": 0.1, "curve": {"passes": [1.0], "pass_error": [0.3], "loss": [1.0]}} | errors


def told(trials: list[comparison.Trial]) -> list[tuple[bool, float, int]]:
    return [(trial.pilot, trial.settings.rate, trial.seed) for trial in trials]


def test_a_single_rate_needs_no_pilot() -> None:
    assert told(variant().due()) == [(False, 0.01, 0), (False, 0.01, 1)]


def test_pilots_come_first_and_the_lowest_held_out_error_chooses_the_rate() -> None:
    one = variant((0.001, 0.01, 0.003))
    pilots = one.due()
    assert told(pilots) == [(True, 0.001, 0), (True, 0.01, 0), (True, 0.003, 0)]
    assert [trial.settings.passes for trial in pilots] == [3, 3, 3]
    one.keep(outcome(0.001, held_out_error=0.5))
    one.keep(outcome(0.01, held_out_error=0.4))
    assert one.due(busy=pilots[2:]) == [], "seeds wait for the last pilot"
    one.keep(outcome(0.003, held_out_error=0.4))
    assert told(one.due()) == [(False, 0.003, 0), (False, 0.003, 1)], "of two equal ones the lower rate"
    assert one.left == 2 * 2


def test_what_is_left_is_counted_in_passes() -> None:
    one = variant((0.001, 0.01))
    assert one.left == 2 * 3 + 2 * 2
    one.keep(outcome(0.001, held_out_error=0.5))
    assert one.left == 3 + 4


def test_stages_divide_the_rate_by_ten_and_pilots_have_one() -> None:
    one = Variant("a", 1, "a", NET, Terms(stages=(140, 10, 10), rates=(0.001,)))
    stages = stages_of(one.due()[0])
    assert [(stage.rate, stage.passes) for stage in stages] == [(0.001, 140), (pytest.approx(1e-4), 10), (1e-5, 10)]
    assert all(stage.crop == 24 and stage.weight_decay == 0.004 for stage in stages)
    pilot = variant((0.001, 0.01)).due()[0]
    assert stages_of(pilot) == [pilot.settings]


def an_image_set(n: int, split: str = "train") -> ImageSet:
    images, labels = separable(n, classes=10, size=32)
    return ImageSet(images, labels, tuple("abcdefghij"), "separable", split, "made", "sha256:1")


def test_held_out_images_are_not_trained_on() -> None:
    whole = an_image_set(200)
    kept, judged = held_out(whole)
    assert (len(kept), len(judged)) == (180, 20)
    parts = [{image.numpy().tobytes() for image in part.images} for part in (whole, kept, judged)]
    assert len(parts[0]) == 200 and parts[1] | parts[2] == parts[0] and not parts[1] & parts[2]


def in_class_order(count: int) -> ImageSet:
    """As a tree's images stand: all of one class, then all of the next."""
    mixed = an_image_set(count)
    order = mixed.labels.argsort(stable=True)
    return replace(mixed, images=mixed.images[order], labels=mixed.labels[order])


def test_held_out_and_measured_images_are_of_all_classes_whatever_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = in_class_order(2000)
    for part in held_out(whole):
        counts = part.labels.bincount(minlength=10)
        assert (counts - len(part) / 10).abs().max() < 15, counts
    assert torch.equal(held_out(whole)[1].images, held_out(whole)[1].images)
    measured = []
    monkeypatch.setattr(comparison, "MOST_MEASURED", 500)
    monkeypatch.setattr(comparison, "centre_error", lambda net, images, *_: measured.append(images) or 0.5)
    trial = variant().due()[0]
    comparison.trained(trial, whole, whole, "test_error", "cpu", [tmp_path / "a.pt"])
    assert [len(images) for images in measured] == [2000, 500]
    assert measured[1].labels.bincount(minlength=10).tolist() == [50] * 10


def test_a_pilot_is_judged_by_held_out_images_only(
    tree_of_300: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []
    monkeypatch.setattr(comparison, "centre_error", lambda net, images, *_: judged.append(images) or 0.5)
    place = workplace(tree_of_300, tmp_path)
    told = run_trial(variant((0.001, 0.01)).due()[0], place)
    assert "test_error" not in told and told["held_out_error"] == 0.5 and told["pilot"]
    assert [images.split for images in judged] == ["train", "train"]
    assert [len(images) for images in judged] == [30, 270]


@pytest.mark.parametrize("augmented", [True, False])
def test_a_trial_trains_and_tells(augmented: bool, tree_of_300: Path, tmp_path: Path) -> None:
    """Its curve runs through the stages; the same trial again gives the same numbers; no checkpoint is left."""
    one = Variant("a", 1, "a", NET, replace(TERMS, augmented=augmented, stages=(2, 1)))
    place = workplace(tree_of_300, tmp_path)
    first, again = (run_trial(one.due()[0], place) for _ in range(2))
    assert first["curve"]["passes"] == [1.0, 2.0, 3.0]
    assert {k: v for k, v in first.items() if k != "seconds"} == {k: v for k, v in again.items() if k != "seconds"}
    assert 0 <= first["test_error"] <= 1 and first["diverged_at"] is None and not first["pilot"]
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_trial_goes_on_where_it_stopped(
    tree_of_300: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Variant("a", 1, "a", NET, replace(TERMS, stages=(2, 2))).due()[0]
    place = workplace(tree_of_300, tmp_path)
    whole = run_trial(trial, place)
    asked = []

    def third_time() -> None:
        asked.append(1)
        if len(asked) == 4:
            raise Stopped

    monkeypatch.setattr(comparison, "stop_if_asked", third_time)
    assert run_trial(trial, place)["ended"] == "stopped"
    assert len(list(tmp_path.iterdir())) == 2, "the first stage is whole, the second half way"
    monkeypatch.undo()
    resumed = run_trial(trial, place)
    assert resumed["curve"] == whole["curve"] and resumed["test_error"] == whole["test_error"]
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_diverges_is_an_outcome(tree_of_300: Path, tmp_path: Path) -> None:
    trial = variant((1e30,)).due()[0]
    told = run_trial(trial, workplace(tree_of_300, tmp_path))
    assert told["ended"] == "diverged" and told["diverged_at"] >= 1 and told["test_error"] == 1.0
    assert told["seconds"] > 0 and list(tmp_path.iterdir()) == []


def test_a_summary_has_mean_and_spread() -> None:
    one = variant()
    for seed, error in ((0, 0.30), (1, 0.32)):
        one.outcomes[seed] = outcome(0.01, seed, test_error=error)
    result = one.result()
    assert result["complete"] and result["seeds"] == [0, 1] and result["rate"] == 0.01
    assert result["mean_test_error"] == pytest.approx(0.31)
    assert result["spread_test_error"] == pytest.approx(statistics.stdev([0.30, 0.32]))
    assert variant((0.1, 0.2)).result()["rate"] is None


def result(*errors: float, training: float = 0.1, **more: object) -> VariantResult:
    seeds = list(range(len(errors)))
    told = {"seeds": seeds, "rate": 0.01, "test_error": list(errors), "training_error": [training] * len(errors)}
    return VariantResult(
        {"experiment": "e", "run": "r", "configuration": {}, "dataset": {"test_images": 10_000}, "result": told | more}
    )


def test_an_effect_is_how_much_lower_the_errors_are_by_seeds_and_images() -> None:
    tested, without = result(0.30, 0.31, 0.32), result(0.34, 0.35, 0.36)
    effect = effect_of(tested, without)
    by_seeds = 0.01**2 * (1 / 3 + 1 / 3)
    by_images = (0.31 * 0.69 + 0.35 * 0.65) / 10_000
    assert effect.size == pytest.approx(0.04) and effect.bound
    assert effect.error == pytest.approx(math.sqrt(by_seeds + by_images))
    assert better(tested, without).startswith("+4.00 points (1.") and better(without, tested).startswith("-4.00 points")
    assert better(without, without) == "-"
    assert effect_of(tested, without, gap).size == pytest.approx(0.04)


def test_no_effect_is_told_of_what_learned_nothing_or_of_one_seed_alone() -> None:
    classes = {"classes": ["a", "b"]}
    dead, alive = result(0.49, 0.5), result(0.2, 0.21)
    for one in (dead, alive):
        one.record["configuration"] = classes
    assert broken(dead.record) and not broken(alive.record)
    assert effect_of(alive, dead) is None and better(alive, dead) == "learned nothing"
    assert broken(result(0.2, diverged=[1]).record)
    assert better(result(0.2), result(0.3)) == "1 seed of each: cannot tell"


def test_only_narrows_to_variants_and_parts() -> None:
    parts = (TINY, replace(TINY, name="other", variants={"none": NET}))
    assert [part.name for part in narrowed(parts, ["other"])] == ["other"]
    assert [list(part.variants) for part in narrowed(parts, ["none"])] == [["none"], ["none"]]
    assert [(part.name, list(part.variants)) for part in narrowed(parts, ["lrn"])] == [("tiny", ["lrn"])]
    with pytest.raises(SettingError, match="--only: 'relu' is not known; use none, lrn, tiny, other"):
        narrowed(parts, ["relu"])
    with pytest.raises(SettingError, match="no part of the plan has all of other, lrn"):
        narrowed(parts, ["other", "lrn"])


@pytest.mark.parametrize("module", [lrn_cifar10, pooling_cifar10])
def test_the_experiments_are_registered_and_their_plans_sound(module) -> None:  # noqa: ANN001
    assert experiments.get(module.NAME) is module
    for full, on_gpu in ((False, False), (True, False), (True, True)):
        for part in module.EXPERIMENT.plan(full, on_gpu):
            assert set(part.variants) <= set(module.LABELS) and part.seeds >= (3 if full else 1)
            assert (part.terms.pilot > 0) == (len(part.terms.rates) > 1)
            assert {entry.run for entry in part.entries()} == {f"{part.name}_{name}" for name in part.variants}
    runs = [part.name for full, gpu in ((0, 0), (1, 0), (1, 1)) for part in module.EXPERIMENT.plan(full, gpu)]
    assert len(runs) == len(set(runs)), "two plans would write the same record"


def test_the_long_schedule_is_the_released_one() -> None:
    assert lrn_cifar10.LONG.terms.stages == (140, 10, 10) and lrn_cifar10.LONG.seeds == 5
    assert lrn_cifar10.EXPERIMENT.plan(True, True) == (lrn_cifar10.LONG,)


def tiny(name: str = "lrn-cifar10") -> Comparison:
    return Comparison(name, ("C06",), small=(TINY,), on_cpu=(TINY,), on_gpu=(TINY,))


def test_a_whole_tiny_comparison_is_recorded_once(
    tmp_path: Path, tree_of_300: Path, capsys: pytest.CaptureFixture
) -> None:
    settings = {"out": tmp_path / "out", "data": str(tree_of_300), "device": "cpu", "jobs": 2, "command": "the command"}
    written = run(tiny(), (TINY,), **settings)
    assert sorted(path.name for path in written) == ["tiny_lrn.json", "tiny_none.json"]
    assert sorted(path.name for path in written[0].parent.iterdir()) == ["tiny_lrn.json", "tiny_none.json"]
    for path in written:
        record = records.read(path)
        assert record["result"]["complete"] and record["claims"] == ["C06"] and record["command"] == "the command"
        assert [(one["pilot"], one["seed"]) for one in record["curves"]] == [
            (True, 0),
            (True, 0),
            (False, 0),
            (False, 1),
        ]
        assert record["result"]["rate"] in (0.001, 0.01) and record["dataset"]["test_images"] == 20
    said = capsys.readouterr().out
    assert "tiny: 2 variants, 2 seeds of 1.5 passes, rate chosen of 2 by 1 passes each; 300 images" in said
    assert "minutes for the runs that are left" in said

    assert run(tiny(), (TINY,), **settings) == []
    assert "all of it is recorded" in capsys.readouterr().out
    found = results_of("lrn-cifar10", ("best", "tiny"), NETS, tmp_path / "out")
    assert list(found) == ["none", "lrn"] and found["lrn"].key == "lrn-cifar10/tiny_lrn"
    rows = rows_of(found, {"none": "no norm", "lrn": "LRN", "batch": "batch norm"})
    assert rows[0][3] == "-" and rows[2][1] == "not yet run"
    assert rows[1][3] == better(found["lrn"], found["none"])
    turned = rows_of(found, {"none": "no norm", "lrn": "LRN"}, than="lrn")
    assert turned[1][3] == "-" and turned[0][3] == better(found["none"], found["lrn"])
    assert found["none"].gap[0] == pytest.approx(found["none"].test_error[0] - found["none"].training_error[0])
    assert len(found["none"].curves) == 2 and found["none"].curves[0][0] == [1.0, 1.5]

    more = run(tiny(), (replace(TINY, seeds=3, variants={"none": NET}),), **settings)
    assert records.read(more[0])["result"]["seeds"] == [0, 1, 2], "more seeds go on from the record"


def test_a_record_on_other_terms_is_refused(tmp_path: Path, tree_of_300: Path) -> None:
    only = replace(TINY, variants={"none": NET}, seeds=1, terms=replace(TERMS, stages=(1,)))
    settings = {"out": tmp_path, "data": str(tree_of_300), "device": "cpu", "jobs": 1, "command": "c"}
    run(tiny(), (only,), **settings)
    with pytest.raises(RecordError, match=r"tiny_none\.json was recorded with other settings"):
        run(tiny(), (replace(only, terms=replace(TERMS, stages=(2,))),), **settings)


def test_the_stand_in_is_refused(tmp_path: Path) -> None:
    args = argparse.Namespace(
        full=False, only=None, seeds=None, out=tmp_path / "out", data=str(tmp_path), device="cpu", jobs=1
    )
    with pytest.raises(SettingError, match="recorded on CIFAR-10 only"):
        tiny().run_from(args)
    assert not (tmp_path / "out").exists()


def test_an_incomplete_record_is_not_shown(tmp_path: Path) -> None:
    assert results_of("lrn-cifar10", ("tiny",), NETS, tmp_path) == {}
    assert [row[1] for row in rows_of({}, {"none": "no norm"})] == [results.NOT_RUN]


def test_a_live_comparison_trains_every_variant_and_seed(tree_of_300: Path) -> None:
    train, test = (load_cifar10(split, str(tree_of_300)) for split in ("train", "test"))
    found = live_comparison(train, test, NETS, rates={"none": 0.01, "lrn": 0.001}, seeds=(0, 1), passes=1)
    assert [len(runs) for runs in found.values()] == [2, 2]
    for one in sum(found.values(), []):
        assert 0 <= one.test_error <= 1 and 0 <= one.training_error <= 1 and one.seconds > 0
        assert len(one.curve[0]) == len(one.curve[1]) > 0
    plain = live_comparison(train, test, {"none": NET}, rates=0.01, passes=1, crop=False)["none"][0]
    kernels = [one.net.weighted_layers()[0].weight for one in (plain, found["none"][0])]
    assert not torch.equal(*kernels), "without crops it sees other pixels"


class Recorder(nn.Module):
    """A linear net that keeps what it was trained on."""

    def __init__(self, config: Plain):
        super().__init__()
        self.config, self.seen = config, []
        self.linear = nn.Linear(3 * config.image_size**2, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen.append(images.detach().clone())
        return self.linear(images.flatten(1))


@dataclass(frozen=True)
class Plain:
    image_size: int = SIDE

    def build(self, seed: int | None = None) -> Recorder:
        torch.manual_seed(seed)
        return Recorder(self)


@pytest.fixture
def images() -> ImageSet:
    pixels, labels = separable(256, classes=10, size=32)
    return ImageSet(pixels, labels, tuple("abcdefghij"), "made", "train", "made", "sha256:0")


def batches(images: ImageSet, terms: Terms) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One pass's batches, and for each image the centre of the whole one that it was made of, found by its label."""
    cut = training_images(images, terms, SIDE)
    settings = settings_of(terms, Plain(), rate=0.01, passes=1)
    return [batch for batch, _ in make_batches(cut.images, cut.labels, settings, 0, 0)]


def windows(images: ImageSet, padding: int = 0) -> set[bytes]:
    padded = nn.functional.pad(images.images, (padding,) * 4)
    cut = padded.unfold(2, SIDE, 1).unfold(3, SIDE, 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    return {bytes(window.numpy().tobytes()) for window in cut}


def as_bytes(batch: torch.Tensor) -> list[bytes]:
    return [image.contiguous().numpy().tobytes() for image in batch]


def test_crops_without_reflections_are_windows_of_the_images(images: ImageSet) -> None:
    few = replace(images, images=images.images[:128], labels=images.labels[:128])
    there, centres = windows(few), set(as_bytes(centre(few.images, SIDE, SIDE)))
    (batch,) = batches(few, Terms(augmented="crops"))
    cut = as_bytes(batch)
    assert all(image in there for image in cut) and sum(image in centres for image in cut) < 20


def test_reflections_without_crops_are_centres_or_their_mirror_images(images: ImageSet) -> None:
    centres = centre(images.images, SIDE, SIDE)
    plain, mirrored = set(as_bytes(centres)), set(as_bytes(centres.flip(3)))
    cut = [image for batch in batches(images, Terms(augmented="reflections", padding=4)) for image in as_bytes(batch)]
    assert all(image in plain or image in mirrored for image in cut)
    assert 80 < sum(image in plain for image in cut) < 176  # of 256, half but for chance


def test_without_either_images_are_their_centres(images: ImageSet) -> None:
    centres = set(as_bytes(centre(images.images, SIDE, SIDE)))
    assert all(image in centres for batch in batches(images, Terms(augmented=False)) for image in as_bytes(batch))


def test_padding_makes_windows_that_hang_over(images: ImageSet) -> None:
    few = replace(images, images=images.images[:128], labels=images.labels[:128])
    (batch,) = batches(few, Terms(augmented="crops", padding=4))
    inside, hanging = windows(few), windows(few, padding=4)
    cut = as_bytes(batch)
    assert all(image in hanging for image in cut) and sum(image in inside for image in cut) < 100


def test_scales_and_noises_are_known_by_name_and_noise_is_for_training_only(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Louder:
        scale: PixelScale
        seed: int

        def to(self, device: torch.device) -> Louder:
            return self

        def __call__(self, batch: torch.Tensor) -> torch.Tensor:
            return self.scale(batch) + 1000 * (1 + self.seed)

    monkeypatch.setitem(pixels.SCALES, "no mean", lambda images: PixelScale(torch.zeros(3, 32, 32)))
    monkeypatch.setitem(pixels.NOISES, "louder", lambda scale, images, seed: Louder(scale, seed))
    nets = []
    monkeypatch.setattr(Plain, "build", lambda self, seed: nets.append(Recorder(self)) or nets[-1])
    judged = []
    monkeypatch.setattr(
        "alexnet_lib.experiments.running.comparison.error_rate",
        lambda net, some, labels, scale, device: judged.append(scale(some)) or 0.5,
    )
    terms = Terms(stages=(1,), rates=(1e-9,), augmented=False, pixels="no mean", noise="louder")
    (trial,) = Variant("a", 1, "a", Plain(), terms).due()
    trained(trial, images, images, "test_error", "cpu", [None])
    centres = {image.sum().item() for image in centre(images.images, SIDE, SIDE).float()}
    seen = torch.cat(nets[0].seen) - 1000
    assert {image.sum().item() for image in seen} <= centres
    assert {image.sum().item() for image in judged[0]} == centres

    with pytest.raises(SettingError, match="pixels 'grey' is not known; use one of mean image"):
        pixels.fitted_scale("grey", images.images)
    with pytest.raises(SettingError, match="noise 'loud' is not known; use one of none"):
        pixels.with_noise("loud", PixelScale(torch.zeros(3, 32, 32)), images.images, 0)
    with pytest.raises(SettingError, match="augmented 'both'"):
        Terms(augmented="both")


def test_a_variant_may_change_terms_of_its_part() -> None:
    part = Part("p", Terms(), {"a": Plain(), "b": Change(Plain(), {"decay": 0.0, "noise": "none"})}, seeds=1)
    a, b = part.entries()
    assert (a.terms, b.terms, b.net) == (Terms(), replace(Terms(), decay=0.0), Plain())
    assert [entry.run for entry in (a, b)] == ["p_a", "p_b"]


def test_later_terms_are_in_a_configuration_only_where_they_are_not_as_ever() -> None:
    as_ever, other = (Variant("a", 1, "a", Plain(), Terms(pixels=name)) for name in ("mean image", "grey"))
    assert set(as_ever.configuration()["terms"]) == {"images", "augmented", "stages", "rates", "pilot", "decay"}
    assert other.configuration()["terms"]["pixels"] == "grey"


@pytest.mark.parametrize("module", [lrn_cifar10, pooling_cifar10])
def test_records_are_those_of_todays_plan(module) -> None:  # noqa: ANN001
    """What is recorded can be gone on with: its configuration is what the plan, or an earlier one, has for it."""
    plan = module.EXPERIMENT
    entries = {entry.run: entry for part in (*plan.on_cpu, *plan.on_gpu, module.SHORT) for entry in part.entries()}
    for path in sorted((RECORDED / module.NAME).glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        wanted = records.rounded(entries[record["run"]].configuration())
        assert {key: record["configuration"][key] for key in wanted} == wanted, path.name


def test_a_live_comparison_takes_terms_of_its_own(images: ImageSet) -> None:
    nets = {"a": Plain(), "b": Plain()}
    runs = live.live_comparison(images, images, nets, rates=1e-9, passes=1, terms={"b": Terms(augmented=False)})
    centres = centre(images.images, SIDE, SIDE).float() - centre(PixelScale.fit(images.images).mean, SIDE, SIDE)
    sums = sorted(centres.flatten(1).sum(1).tolist())
    seen = {name: sorted(torch.cat(run.net.seen).flatten(1).sum(1).tolist()) for name, (run,) in runs.items()}
    assert seen["b"] == pytest.approx(sums, abs=0.5) and seen["a"] != pytest.approx(sums, abs=0.5)
