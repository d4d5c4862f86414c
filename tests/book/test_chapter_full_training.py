"""What the chapter "Full training" builds by hand, held to the library: the cells themselves are run here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from chapter_cells import Chapter
from ledger_cases import put
from training_cases import SMALL, write_set

from alexnet_lib import notebook as nb
from alexnet_lib import records
from alexnet_lib.bench import roofline
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import TrainingError
from alexnet_lib.experiments import evidence, tiny_imagenet
from alexnet_lib.measures.signals import forward_signals
from alexnet_lib.network.alexnet import AlexNet
from alexnet_lib.training.optimizer import PaperSGD
from alexnet_lib.training.recipes import START_2012, named
from alexnet_lib.training.schedule import DropsOnPlateau

pytestmark = pytest.mark.usefixtures("one_thread")
CHAPTER = Chapter("full_training")
HERE = (*SMALL, "patience=2")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small classes, prepared."""
    return write_set(tmp_path_factory.mktemp("few"))


@pytest.fixture
def given(prepared: Path, tmp_path: Path) -> dict[str, Any]:
    """What the chapter's later cells find: the sets, a small recipe, the images' scale, a place for runs."""
    train, val = PreparedImages(prepared, "train"), PreparedImages(prepared, "val")
    recipe = named("paper", (*HERE, START_2012))
    scale = recipe.make_scale(train)
    augment = recipe.make_augmentation(scale, train.color_pca, number=1)
    session = SimpleNamespace(device=torch.device("cpu"), threads=1)
    return {
        "train": train,
        "val": val,
        "HERE": HERE,
        "START_2012": START_2012,
        "named": named,
        "scale": scale,
        "augment": augment,
        "scratch": SimpleNamespace(path=tmp_path),
        "session": session,
    }


def test_the_steps_of_a_run_are_those_of_the_text(capsys: pytest.CaptureFixture) -> None:
    CHAPTER.run("order = Order(IMAGENET")
    said = capsys.readouterr().out
    text = next(cell for cell in CHAPTER.sources("markdown") if "small enough to check by hand" in cell.lower())
    for number in ("10,009", "900,810"):
        assert number in said and number in text
    assert "5 days: 267" in said and "6 days: 222" in said and "267$ images a second, or 222" in text
    assert f"{roofline.IMAGENET:,}" in text and 90 * roofline.IMAGENET == 115_305_030


def test_the_step_by_hand_is_the_engines_and_papersgds(given: dict, capsys: pytest.CaptureFixture) -> None:
    made = CHAPTER.run("def begin(name", "velocity = 0.9 * 0", **given)
    assert "agrees: True" in capsys.readouterr().out and made["apart"] < 1e-5
    net, batch = made["begin"]("before", START_2012, "net.dropout=0").net, made["batch"]
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    torch.nn.functional.cross_entropy(net(batch.pixels), batch.labels).backward()
    PaperSGD(net.parameters(), 0.01, 0.9, 0.0005).step()
    moved = max(float((weight - before[name]).detach().abs().max()) for name, weight in net.named_parameters())
    assert moved > 100 * 1e-5, "else the chapter's tolerance would see no step at all"
    for name, weight in net.named_parameters():
        torch.testing.assert_close(made["weights"][name], weight, rtol=1e-4, atol=1e-6)


def test_the_runs_of_the_chapter_stop_and_go_on(given: dict, capsys: pytest.CaptureFixture) -> None:
    made = CHAPTER.run("def begin(name", "def run(name", **given)
    run, whole = made["run"], made["first_log"]
    run("stopped", START_2012, stop=2)
    training, log = run("stopped", START_2012, stop=7)
    losses, wanted = ([event["loss"] for event in each if event["event"] == "step"] for each in (log, whole))
    assert training.step == 7 and len(losses) == 7 and losses == wanted[:7]
    with pytest.raises(TrainingError):
        run("wild", START_2012, "rate=1000")


def test_the_counters_are_the_rules(given: dict) -> None:
    errors, rule = [0.8, 0.8, 0.8, 0.7, 0.7, 0.7], DropsOnPlateau(patience=2)
    toy = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    log = [{"event": "pass", "val_top1": error, "decision": rule.step(toy, error)} for error in errors]
    few = SimpleNamespace(name="made", stand_in=True)
    made = CHAPTER.run("counters = []", text_log=log, passes_of=lambda log: log, few=few)
    assert [row[-1] for row in made["counters"]] == ["go on", "go on", "dropped", "go on", "go on", "dropped"]
    assert [row[3] for row in made["counters"]] == ["0", "1", "0", "0", "1", "0"]


def test_the_recorded_runs_from_the_texts_start_begin_late_as_the_text_says() -> None:
    rows: list[list[str]] = []
    figures: list = []
    shown = SimpleNamespace(
        table=lambda found, **_: rows.extend(found), show=lambda fig, **_: figures.append(fig), lines=nb.lines
    )
    toy = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    CHAPTER.run("by_start = {", "def first_drop(", nb=shown, toy=toy, DropsOnPlateau=DropsOnPlateau)
    assert sum(len(line.get_xdata()) == 20 for line in figures[0].axes[0].lines) == 6, "three runs from each start"
    early, late = ([row for row in rows if row[0] == name] for name in ("2012 start", "the text's start"))
    text = next(cell for cell in CHAPTER.sources("markdown") if "It makes them *late*" in cell)
    assert [row[2:4] for row in early] == 3 * [["2", "none by then"]]
    began = [int(row[2]) for row in late]
    assert (min(began), max(began)) == (9, 13) and "for 8 to 12 passes" in text and 39 * 8 > 300
    assert (14 - max(began) + 1, 14 - min(began) + 1) == (2, 6) and "only 2 to 6 passes" in text
    assert all(int(row[3]) < int(row[2]) for row in late), "the rule would have lowered the rate before the escape"
    ends = [[round(float(row[4][:-1])) for row in group] for group in (late, early)]
    assert [(min(one), max(one)) for one in ends] == [(70, 78), (46, 47)]
    assert "70 to 78%" in text and "46 to 47%" in text
    base = named("paper", (*evidence.BASE, *evidence.VARIANTS["start-text"].changes))
    updates = base.drops[0] * (evidence.FULL.classes * evidence.FULL.trained // base.batch)
    assert f"after {updates:,} updates" in text


def test_live_runs_that_are_compared_have_equal_passes() -> None:
    cells = "\n".join(CHAPTER.sources("code"))
    assert 'run("first", START_2012)' in cells and 'run("text")' in cells
    assert 'run("mixed", START_2012, images=mixed)' in cells


def test_how_far_outputs_follow_the_image_is_the_librarys(given: dict) -> None:
    recipe = named("paper", (*HERE, START_2012))
    net = AlexNet(recipe.net, 6, seed=0)
    source = next(cell for cell in CHAPTER.sources("code") if "def follows(net)" in cell)
    names: dict[str, Any] = {"torch": torch, "seen": given["scale"](given["val"].images(range(6)))}
    start = source.index("@torch.no_grad()")
    exec(source[start : source.index("\nshare = ")], names)
    size = recipe.net.input_size
    names["seen"] = names["seen"][..., :size, :size]
    assert names["follows"](net) == pytest.approx(forward_signals(net, names["seen"])[-1].share, rel=1e-5)


def test_swapped_pictures_have_blue_for_red(prepared: Path) -> None:
    source = next(cell for cell in CHAPTER.sources("code") if "class Swapped" in cell)
    names: dict[str, Any] = {"PreparedImages": PreparedImages}
    start = source.index("class Swapped")
    exec(source[start : source.index("\nnothing")], names)
    plain, swapped = PreparedImages(prepared).images([0, 3]), names["Swapped"](prepared).images([0, 3])
    assert torch.equal(swapped[:, 0], plain[:, 2]) and torch.equal(swapped[:, 1], plain[:, 1])


def test_the_cost_is_hours_times_watts_and_prices() -> None:
    prices = {"watts": {"2012": 488, "GPU": 700}, "price_hour": {"GPU": 3.0}, "price_kwh": 0.5}
    speeds = [("two", "2012", 90 * roofline.IMAGENET / (5.5 * 86400)), ("one", "GPU", 90 * roofline.IMAGENET / 36000)]
    cost = CHAPTER.run("def cost(", roofline=roofline, speeds=speeds, **prices)["cost"]
    assert cost(*speeds[0])[2:] == ["132.0", "5.5", "64", "32", "-"]
    assert cost(*speeds[1])[2:] == ["10.0", "0.4", "7", "4", "30"]


def test_the_checker_passes_the_solution_and_knows_the_usual_slips(capsys: pytest.CaptureFixture) -> None:
    made = CHAPTER.run("def diagnose(losses")
    assert capsys.readouterr().out.startswith("Right")
    from alexnet_lib.notebook import check, when

    hints = [(made["of_the_last"], "look at all losses"), (when(lambda got, wanted: wanted == "stuck"), "1 - 1/n")]
    assert not check(made["of_the_last"], made["reference"], made["cases"], hints=hints)
    assert "look at all losses" in capsys.readouterr().out
    wrong = {"stuck": "learns"}
    assert not check(
        lambda *a: wrong.get(made["reference"](*a), made["reference"](*a)),
        made["reference"],
        made["cases"],
        hints=hints,
    )
    assert "1 - 1/n" in capsys.readouterr().out


CURVE = {
    "passes": [1, 2, 3, 4, 5],
    "pass_error": [0.9, 0.8, 0.7, 0.6, 0.6],
    "loss": [2.3, 2.0, 1.9, 1.2, 1.1],
    "validation_error": [0.8, 0.7, 0.75, 0.5, 0.52],
    "rate": [0.01, 0.01, 0.01, 0.001, 1e-4],
}
TIMING = {"lowest": 90.0, "highest": 110.0}
LADDER = {
    "rungs": [
        {
            "name": "naive",
            "images_per_second": {"median": 100.0, **TIMING},
            "step_alone": {"median": 150.0},
            "share_of_roofline": 0.25,
        },
        {
            "name": "+ ours",
            "images_per_second": {"median": 240.0, **TIMING},
            "step_alone": {"median": 260.0},
            "share_of_roofline": 0.6,
        },
    ],
    "beside": {"torchvision's": {"median": 50.0, **TIMING}},
    "peaks": {"float32": {"operations": 2e11, "bytes": 1e10}},
}
FEED = {"images_per_second": {"mapped": {"median": 1234.4, **TIMING}}}


@pytest.fixture
def records_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(records, "recorded_root", lambda: tmp_path)
    return tmp_path


def put_whole(root: Path, seeds: int = 1, top5: float | None = 0.2) -> None:
    """A record of the full recipe with so many seeds, all of one curve."""
    views = {"centre": [top5] * seeds, "ten": [top5] * seeds}
    result = {
        "complete": True,
        "seeds": list(range(seeds)),
        "rate": 0.01,
        "training_error": [0.25] * seeds,
        "test_error": [0.5 + 0.02 * seed for seed in range(seeds)],
        "views_error": {"ten": [0.45] * seeds},
        "top5_error": views,
    }
    curves = [{"seed": seed, "pilot": False, "curve": CURVE} for seed in range(seeds)]
    put(
        root,
        tiny_imagenet.NAME,
        f"{tiny_imagenet.EXPERIMENT.sizes[-1].name}_paper",
        result,
        result["seeds"],
        curves=curves,
        claims=["C21"],
        configuration={"classes": list("abcdefghij")},
    )


def recorded_cells(*more: str, **given: Any) -> tuple[list, list, dict[str, Any]]:
    """What the cells about recorded runs show: the rows of tables, the figures; and what they define."""
    tables: list = []
    figures: list = []
    shown = SimpleNamespace(
        table=lambda rows, **named: tables.append((rows, named)),
        lines=nb.lines,
        show=lambda fig, **_: figures.append(fig),
        slider=lambda *_, **__: None,
    )
    return tables, figures, CHAPTER.run("def drops_of(curve)", *more, nb=shown, **given)


WHOLE = ("courses = {name: [(one", "stages = []", "lengths = ")


def test_without_records_the_chapter_says_so(records_here: Path) -> None:
    tables, figures, made = recorded_cells(*WHOLE)
    (stages, _), (errors, _), (claims, shown) = tables
    assert stages == errors == [] and made["curves"] == made["keys"] == [], "of which nb.table says: not yet run"
    assert claims[-2][2] == "not yet run" and not figures[0].axes[0].lines
    tables, _, _ = recorded_cells("feeds = (records.load", records=records, ladder={})
    assert [(rows, named["records"], "not yet run" in named["caption"]) for rows, named in tables] == 2 * [
        ([], [], True)
    ]


def test_drops_part_the_passes_into_stages(records_here: Path) -> None:
    put_whole(records_here)
    tables, figures, made = recorded_cells(*WHOLE)
    assert made["drops_of"](CURVE) == [3, 4] and made["keys"] == [made["whole"].key]
    assert tables[0][0] == [
        [0, "0.01", "1 to 3", "1.900", "70.0%"],
        [0, "0.001", "4 to 4", "1.200", "50.0%"],
        [0, "0.0001", "5 to 5", "1.100", "50.0%"],
    ]
    assert tables[2][0][-2][2] == "5 passes, 2 drops"
    training, validation, *drops = figures[0].axes[0].lines
    assert list(validation.get_ydata()) == pytest.approx([80, 70, 75, 50, 52])
    assert list(training.get_xdata()) == CURVE["passes"] and [line.get_xdata()[0] for line in drops] == [3, 4]


def test_errors_have_their_spread_and_top5_only_where_it_was_counted(records_here: Path) -> None:
    put_whole(records_here, seeds=2)
    tables, _, made = recorded_cells("stages = []")
    rows = {name: rest for name, *rest in tables[1][0]}
    assert len(made["curves"]) == 2
    assert rows["validation images, centre view"] == ["51.0 ± 1.4 (2 seeds)", "20.0 ± 0.0 (2 seeds)"]
    assert rows["validation images, ten views"][0].startswith("45.0") and len(rows) == 3
    put_whole(records_here, top5=None)
    assert [row[2] for row in recorded_cells("stages = []")[0][1][0]] == ["-", "-", "-"]


def test_a_gpus_bench_comes_first_and_is_told_beside_its_first_rung(records_here: Path) -> None:
    session = SimpleNamespace(device=torch.device("cpu"))
    cells = ("peak = roofline.Peak(**ladder", "feeds = (records.load")
    put(records_here, "bench", "train_cpu", LADDER, [0], claims=["C15"])
    put(records_here, "bench", "feed_cpu", FEED, [0], claims=["C15"])
    assert recorded_cells(*cells, session=session)[2]["ladder"]["run"] == "train_cpu"
    put(records_here, "bench", "train_cuda", LADDER, [0], claims=["C15"])
    tables, _, made = recorded_cells(*cells, session=session)
    (rungs, shown), (feeds, _) = tables
    assert made["ladder"]["run"] == "train_cuda" and made["peak"].balance == 20
    assert shown["records"] == ["bench/train_cuda"] and "some CPU" in shown["caption"]
    assert rungs == [
        ["naive", "100.0", "1.00", "150.0", "25%"],
        ["+ ours", "240.0", "2.40", "260.0", "60%"],
        ["torchvision's", "50.0", "0.50", "-", "-"],
    ]
    assert feeds == [["mapped", "1,234", "90 to 110"]]
    source = next(cell for cell in CHAPTER.sources("code") if "fastest = max(" in cell)
    known: dict[str, Any] = {"ladder": made["ladder"], "speeds": []}
    exec(source[source.index("if ladder:") :], known)
    assert known["speeds"] == [("recorded: some CPU", "GPU", 240)]
