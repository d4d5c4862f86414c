"""What is read from the records of the studies on Tiny ImageNet: from made-up records, and from a real small study."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from test_imagenet_study import SIZE, STUDY
from test_imagenet_study import data as data  # a fixture

from alexnet_lib import records
from alexnet_lib.errors import SettingError
from alexnet_lib.experiments import ablations, ensemble, logs_2012
from alexnet_lib.experiments import imagenet_results as results
from alexnet_lib.experiments.ablations import EXPERIMENT
from alexnet_lib.experiments.imagenet_figures import REACH, draw_averages, draw_bells, draw_changes, draw_found
from alexnet_lib.experiments.imagenet_study import Size, run
from alexnet_lib.ledger import Verdict, judge

CPU, GPU = EXPERIMENT.on_cpu, EXPERIMENT.on_gpu
CLAIMS = Path(__file__).resolve().parent.parent / "book" / "claims.yml"


def put(root: Path, run: str, result: dict, experiment: str = "ablations") -> None:
    seeds = result.get("seeds", [0])
    images = {"name": "Tiny ImageNet", "source": "s", "checksum": "c", "images": 5000, "test_images": 500}
    records.write(
        {"experiment": experiment, "run": run, "claims": ["C05"], "configuration": {}, "seconds": 1.0, "curves": [],
         "dataset": images | {"stand_in": False}, "seeds": seeds, **records.circumstances("CPU", "c"),
         "result": {"complete": True} | result}, root,
    )  # fmt: skip


def errors(*shares: float, first: int = 0) -> dict:
    seeds = list(range(first, first + len(shares)))
    return {"seeds": seeds, "rate": 0.01, "test_error": list(shares), "training_error": [0.1] * len(shares),
            "views_error": {"ten": [share - 0.01 for share in shares]}}  # fmt: skip


def recorded(root: Path, size: Size = CPU, **variants: dict) -> Path:
    for name, result in variants.items():
        put(root, f"{size.name}_{name.replace('_', '-')}", result)
    return root


def by_name(size: Size, root: Path) -> dict[str, results.Change]:
    return {one.name: one for one in results.changes(size, root)}


def test_with_nothing_recorded_everything_is_not_yet_run(tmp_path: Path) -> None:
    assert results.largest(EXPERIMENT, tmp_path) is CPU
    rows = results.changes(CPU, tmp_path)
    assert [row.name for row in rows] == list(ablations.LABELS)[1:]
    assert {row.sign for row in rows} == {"not yet run"} and {row.beyond_images for row in rows} == {"-"}
    assert all(row[3:] == ["not yet run", "not yet run"] for row in results.sized_rows(tmp_path))
    assert results.detail_rows(CPU, tmp_path)[0][1:] == ["not yet run", "not yet run", "-", "-", "-"]
    assert results.averages(CPU, tmp_path) is None and results.record_keys(tmp_path) == []
    assert {row[1] for place in (0, 1) for row in results.our_rows(place, tmp_path)} == {"not yet run"}


def test_the_verdict_is_the_sign_unless_the_images_alone_can_do_as_much(tmp_path: Path) -> None:
    root = recorded(
        tmp_path, paper=errors(0.40, 0.41, 0.42), no_lrn=errors(0.42, 0.43, 0.4401), no_conv4=errors(0.55, 0.56, 0.57),
        no_conv5=errors(0.40, 0.41, 0.42),
    )  # fmt: skip
    found = by_name(CPU, root)
    assert (found["no-lrn"].sign, found["no-lrn"].verdict) == ("more errors", "undecided")
    assert found["no-conv4"].verdict == "more errors"
    assert found["no-conv3"].verdict == found["no-conv3"].sign == "not yet run"
    assert str(found["no-conv5"].ours).startswith("+0.00 ±")


def test_one_seed_is_undecided_and_measured_by_the_images(tmp_path: Path) -> None:
    root = recorded(tmp_path, paper=errors(0.40), no_lrn=errors(0.42), no_conv4=errors(0.55))
    found = by_name(CPU, root)
    assert found["no-lrn"].sign == found["no-conv4"].sign == "1 seed: undecided"
    reach = 1.96 * math.sqrt((0.4 * 0.6 + 0.42 * 0.58) / 500)
    assert found["no-lrn"].by_images == pytest.approx(reach)
    assert (found["no-lrn"].beyond_images, found["no-conv4"].beyond_images) == ("no", "yes")
    row = next(row for row in results.sized_rows(root) if row[0].startswith("no response"))
    assert row[1:] == ["+1.40", "+1.37", "+2.00 (1 seed)", "not yet run"]
    told = dict((row[0], row[1:]) for row in results.detail_rows(CPU, root))
    assert told["the paper's network and recipe"] == ["10.0 (1 seed)", "40.0 (1 seed)", "-", "-", "-"]
    assert told["no response normalisation (3.3)"][2:] == ["± 6.1", "no", "1 seed: undecided"]


def test_several_seeds_decide_by_their_interval(tmp_path: Path) -> None:
    root = recorded(
        tmp_path, paper=errors(0.40, 0.41, 0.42), no_lrn=errors(0.43, 0.441, 0.449), pool_2_2=errors(0.36, 0.38, 0.38),
        no_decay=errors(0.35, 0.41, 0.48), no_crops=errors(0.5, first=7),
    )  # fmt: skip
    found = by_name(CPU, root)
    signs = {name: found[name].sign for name in ("no-lrn", "pool-2-2", "no-decay", "no-crops", "biases-0")}
    assert signs == {"no-lrn": "more errors", "pool-2-2": "fewer errors", "no-decay": "undecided",
                     "no-crops": "not yet run", "biases-0": "not yet run"}  # fmt: skip
    assert found["no-lrn"].ours.mean == pytest.approx(0.03) and found["no-lrn"].ours.seeds == 3


def test_the_table_says_what_the_ledger_says(tmp_path: Path) -> None:
    words = {Verdict.IN_DIRECTION: "more errors", Verdict.DIFFERS: "fewer errors", Verdict.UNDECIDED: "undecided",
             Verdict.NOT_RUN: "not yet run"}  # fmt: skip
    root = recorded(
        tmp_path, paper=errors(0.40, 0.41, 0.42), no_lrn=errors(0.53, 0.541, 0.549), pool_2_2=errors(0.26, 0.28, 0.28),
        no_lighting=errors(0.35, 0.41, 0.48),
    )  # fmt: skip
    found, seen = by_name(CPU, root), set()
    for claim, name in {"C03": "one-gpu-half", "C05": "no-lrn", "C07": "pool-2-2", "C14": "no-lighting"}.items():
        finding = judge(claim, root).findings[0]
        assert finding.experiment == "ablations" and words[finding.verdict] == found[name].verdict
        seen.add(finding.verdict)
    assert seen == set(words)
    recorded(tmp_path, no_lrn=errors(0.43, 0.441, 0.449))  # by the seeds more errors; the images alone could do it
    assert by_name(CPU, root)["no-lrn"].verdict == words[judge("C05", root).findings[0].verdict] == "undecided"


def test_the_best_size_is_that_of_the_gpu_once_its_first_variant_is_recorded(tmp_path: Path) -> None:
    recorded(tmp_path, CPU, paper=errors(0.4), no_lrn=errors(0.5))
    recorded(tmp_path, GPU, no_lrn=errors(0.7))
    assert results.largest(EXPERIMENT, tmp_path) is CPU
    recorded(tmp_path, GPU, paper=errors(0.6) | {"complete": False})
    assert results.largest(EXPERIMENT, tmp_path) is GPU
    row = next(row for row in results.sized_rows(tmp_path) if row[0].startswith("no response"))
    assert row[3:] == ["+10.00 (1 seed)", "+10.00 (1 seed)"]
    assert [results.told_of(size) for size in (CPU, GPU)] == ["10 classes, 64 pixels", "200 classes, 224 pixels"]


def test_averages_and_the_rows_beside_the_papers_tables(tmp_path: Path) -> None:
    size = ensemble.STUDY.on_cpu
    put(tmp_path, f"{size.name}_paper", errors(*[0.40, 0.41, 0.42, 0.43, 0.44]), "ensemble")
    assert results.averages(size, tmp_path) is None
    top1 = {"centre": [0.40, 0.39, 0.38, 0.37, 0.36], "ten": [0.39, 0.38, 0.37, 0.36, 0.35]}
    top5 = {"centre": [None] * 5, "ten": [None] * 5}
    result = {"networks": [1, 2, 3, 4, 5], "top1": top1, "top5": top5}
    put(tmp_path, f"{size.name}_average", result, "ensemble")
    found = results.averages(size, tmp_path)
    assert found.gain() == pytest.approx(0.41 - 0.35) and found.gain("centre") == pytest.approx(0.42 - 0.36)
    recipe, one, five = results.our_rows(1, tmp_path)
    assert recipe[1] == "not yet run"
    assert one[1:] == ["39.00\u00a0/\u00a0-", "10 classes, 64 pixels"] and five[1] == "35.00\u00a0/\u00a0-"
    assert results.record_keys(tmp_path) == [f"ensemble/{size.name}_paper", f"ensemble/{size.name}_average"]
    assert {row[1] for row in results.our_rows(0, tmp_path)} == {"not yet run"}


def test_a_real_study_is_read(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    small = replace(SIZE, changes=(*SIZE.changes[:-2], "passes=1", "schedule=constant"))
    study = replace(STUDY, small=small)
    run(study, small, list(study.variants), out=tmp_path, data=data, device="cpu", command="c")
    found = by_name(small, tmp_path)["no-lrn"]
    assert found.ours.seeds == 2 and found.by_images > 0
    assert results.detail_rows(small, tmp_path)[0][2].endswith("(2 seeds)")
    own = replace(study, name="ensemble", claims=("C23",), variants={"paper": ()})
    monkeypatch.setattr(ensemble, "STUDY", own)
    ensemble.run_from(argparse.Namespace(full=False, out=tmp_path, data=data, device="cpu", seeds=None, only=None))
    averages = results.averages(small, tmp_path)
    assert averages.networks == [1, 2] and len(averages.alone["ten"]) == 2
    assert averages.errors("ten")[0] == pytest.approx(averages.alone["ten"][0])


def test_what_a_layer_takes_with_it() -> None:
    rows = {name: told for name, *told in results.depth_rows()}
    whole, conv3 = 60_965_224, 884_736 + 384
    assert rows["conv3"][:2] == [f"{conv3 / whole:.2%}", f"{149_520_384 / 724_406_816:.0%}"]
    more = 4096 * 36 * (384 - 256) - (442_368 + 256)  # fc6 sees the maps of conv4
    assert rows["conv5"][2] == f"{more / whole:+.1%}"


def test_the_logs_round_to_what_the_paper_prints() -> None:
    named = [one for one in logs_2012.PRINTED if one.net]
    assert len(named) == 3
    for one in named:
        logged = logs_2012.BY_NET[one.net]
        assert one.errors == f"{100 * logged.top1:.1f} / {100 * logged.top5:.1f}"
    for name, logged in logs_2012.LOGGED_CHANGES.items():
        assert logged == pytest.approx(logs_2012.PAPER_CHANGES[name], abs=5e-4)
    with pytest.raises(SettingError, match="different images"):
        logs_2012.change("148", "145-2010")


def test_the_logs_are_those_of_the_claims() -> None:
    claims, told = yaml.safe_load(CLAIMS.read_text(encoding="utf-8")), 0
    for net in ("145-half", "145-2010", "145", "147", "148", "146-2012-2011"):
        logged = logs_2012.BY_NET[net]
        said = [one["logs"] for one in claims.values() if f"({net})" in one.get("logs", "") and " / " in one["logs"]]
        told += len(said)
        errors_said = results.in_per_cent(logged.top1, logged.top5).replace("\u00a0", " ")
        assert all(errors_said in one for one in said)
    assert told >= 6


def test_figures_show_what_they_are_given(tmp_path: Path, book_style) -> None:  # noqa: ANN001
    root = recorded(
        tmp_path, paper=errors(0.40, 0.41), no_lrn=errors(0.43, 0.439), start_text=errors(0.9, 0.9),
    )  # fmt: skip
    rows = results.changes(CPU, root)
    fig = draw_changes(rows)
    (ax,) = fig.axes
    places = {line.get_label(): [] for line in ax.lines}
    for line in ax.lines:
        places[line.get_label()] += list(line.get_xdata())
    assert places["ours"] == pytest.approx([2.95, REACH]) and [text.get_text() for text in ax.texts] == ["+50 "]
    assert len(places["paper"]) == 6 and len(places["logs of 2012"]) == 3
    assert [label.get_text() for label in ax.get_yticklabels()] == list(ablations.LABELS.values())[1:]
    assert {text.get_text() for text in fig.legends[0].get_texts()} == {"paper", "logs of 2012", "ours"}
    (ax,) = draw_averages({"a": [0.5, 0.4]}, {"a": [0.5, 0.52]}).axes
    assert list(ax.lines[0].get_ydata()) == [50, 40] and list(ax.lines[1].get_ydata()) == [50, 52]
    (ax,) = draw_bells({"a": (40.0, 2.0)}, (30, 50)).axes
    assert max(ax.lines[0].get_ydata()) == pytest.approx(1) and ax.lines[0].get_ydata()[80] == pytest.approx(
        0.6065, abs=1e-3
    )
    (ax,) = draw_found({"a": ([0, 1], [0.025, 0.9])}).axes
    assert list(ax.lines[0].get_ydata()) == [2.5, 90]
