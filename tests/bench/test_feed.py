"""The feeding bench: what each side makes, and a whole small run of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from training_cases import SMALL, small

from alexnet_lib import records
from alexnet_lib.__main__ import main
from alexnet_lib.bench import feed, loaders
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import DataError
from alexnet_lib.system import timing
from alexnet_lib.training import speed

DEPRECATED = "ignore:The image decoding and encoding capabilities:DeprecationWarning"
pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings(DEPRECATED)]


def test_ours_goes_on_into_the_next_pass_where_one_is_too_short(prepared: Path) -> None:
    images = PreparedImages(prepared, "train")
    assert feed.fed(images, small(), "mapped", 7, torch.device("cpu"))() == 84  # a pass has 4 batches of 12


def test_their_loader_makes_batches_of_the_same_size_and_scale(prepared: Path) -> None:
    images, recipe = PreparedImages(prepared, "train"), small()
    loader = loaders.their_loader(prepared.parent / "source" / "train", images, recipe, workers=0)
    batches = [pixels for pixels, _ in loader]
    assert [tuple(pixels.shape) for pixels in batches] == [(12, 3, 64, 64)] * 4
    # Minus the mean image and lit by a few grey levels: what is left has a mean near 0 and photographs' spread.
    left = torch.cat(batches)
    assert abs(left.mean()) < 8 and 10 < left.std() < 100
    assert loaders.theirs(loader, 6, torch.device("cpu"))() == 72


def test_their_loader_makes_as_many_batches_as_a_turn_takes(prepared: Path) -> None:
    """Else its workers would decode for later turns, while others are measured."""
    images, source = PreparedImages(prepared, "train"), prepared.parent / "source" / "train"
    for count in (1, 6):  # 6 are more than a pass
        loader = loaders.their_loader(source, images, small(), workers=0, batches=count)
        assert [len(labels) for _, labels in loader] == [12] * count


def test_their_labels_are_the_prepared_sets_also_of_a_part_of_the_classes(prepared: Path, tmp_path: Path) -> None:
    source = prepared.parent / "source" / "train"
    part = SimpleNamespace(classes=("n00000001", "n00000004"))
    files = loaders.PreparedClasses(source, part)
    assert files.classes == ["n00000001", "n00000004"] and len(files) == 16
    assert {(Path(path).parent.name, label) for path, label in files.samples} == {("n00000001", 0), ("n00000004", 1)}
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError, match=f"--source {folder} is no folder of this set's class folders"):
            loaders.PreparedClasses(folder, part)


def test_images_that_do_not_fit_into_memory_are_not_held(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, cpu = PreparedImages(prepared, "train"), torch.device("cpu")
    assert loaders.held_place(images, cpu) == "memory"
    monkeypatch.setattr("os.sysconf", lambda name: 1000)
    assert loaders.held_place(images, cpu) is None


def test_torchvisions_decoder_gives_about_the_prepared_pixels(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = PreparedImages(prepared, "train")
    files = loaders.PreparedClasses(prepared.parent / "source" / "train", images)
    wanted = [0, 20, 40]
    paths = [Path(files.samples[i][0]) for i in wanted]
    assert [path.name for path in paths] == [Path(images.names[i]).name for i in wanted]
    with ThreadPoolExecutor(2) as pool:
        found = loaders.read(paths, images.side, torch.device("cpu"), pool)
        assert found.shape == (3, 3, 72, 72) and found.dtype == torch.uint8
        assert (found.float() - images.images(wanted).float()).abs().mean() < 2
        # On a GPU the decoder is given the whole list at once; here it is the same decoder, one by one.
        kernel = loaders.decode_jpeg
        monkeypatch.setattr(loaders, "decode_jpeg", lambda given, mode, device: [kernel(one, mode) for one in given])
        assert torch.equal(loaders.read(paths, images.side, torch.device("cuda"), pool), found)
    made = loaders.decoded(files, images, small(), 2, torch.device("cpu"), 1, loaders.PLACES[0])
    monkeypatch.undo()
    assert made() == 24


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_file_that_is_no_jpeg_is_named(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.JPEG").write_bytes(b"no picture")
    kernel = loaders.decode_jpeg
    monkeypatch.setattr(loaders, "decode_jpeg", lambda given, mode, **_: kernel(given, mode))
    with ThreadPoolExecutor(1) as pool, pytest.raises(DataError, match=r"a\.JPEG.* cannot be decoded"):
        loaders.read([tmp_path / "a.JPEG"], 72, torch.device(device), pool)


def test_bench_feed_measures_records_and_tells_ratios(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = [word for change in SMALL for word in ("--set", change)]
    words = [
        "bench",
        "feed",
        str(prepared),
        "--source",
        str(prepared.parent / "source" / "train"),
        "--workers",
        "0",
        "--device",
        "cpu",
        "--rounds",
        "1",
        "--batches",
        "2",
        "--out",
        str(tmp_path),
        *changes,
    ]
    monkeypatch.setattr("sys.argv", ["alexnet_lib", *words])
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "ours, mapped" in said and "ours, memory" in said and f"{feed.THEIRS}, 0 worker(s)" in said
    assert "JPEG files decoded on the cores (torchvision), 1 thread(s)" in said and "on the GPU" not in said
    (record,) = records.load("bench", root=tmp_path).values()
    assert record["run"] == "feed_cpu" and record["result"]["batch"] == 12
    assert record["command"].startswith("python -m alexnet_lib bench feed DIR --source SRC --workers 0")
    assert set(record["result"]["images_per_second"]) >= {"ours, mapped", feed.STEP}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_step_is_measured_in_the_type_that_the_recipe_computes_in(
    dtype: str, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    forward = speed.AlexNet.forward

    def noted(net, pixels):
        logits = forward(net, pixels)
        seen.append(logits.dtype)
        return logits

    monkeypatch.setattr(speed.AlexNet, "forward", noted)
    recipe = small(f"dtype={dtype}")
    assert speed.stepped(PreparedImages(prepared), recipe, 2, torch.device("cpu"))() == 2 * recipe.batch
    assert seen == 2 * [getattr(torch, dtype)]


def test_the_ratio_is_to_the_step(capsys: pytest.CaptureFixture) -> None:
    feed.report({name: timing.Timing(name, v, v, v) for name, v in {"ours, mapped": 500.0, feed.STEP: 100.0}.items()})
    assert capsys.readouterr().out.splitlines()[2].split()[-1] == "5.0"


def test_bad_input_is_named(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["bench", "feed", str(tmp_path), "--device", "cpu"]) == 2
    assert "prepare-imagenet SRC" in capsys.readouterr().err
    assert main(["bench", "feed", str(prepared), "--device", "cpu", "--batches", "0"]) == 2
    assert "--batches 0" in capsys.readouterr().err
