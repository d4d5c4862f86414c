"""What ImageNet really holds: odd images that must be read rightly, and broken ones that must be named."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from imagenet_trees import CLASSES, contents, drawn, encoded, slowly, write_folders, write_tars
from PIL import Image, ImageOps

from alexnet_lib import __main__ as command_line
from alexnet_lib.data.imagenet import preparation
from alexnet_lib.data.imagenet.decode import ON_WHITE, TURNED, BadImage, photograph, square
from alexnet_lib.data.imagenet.reader import PreparedImages
from alexnet_lib.errors import DataError

pytestmark = pytest.mark.usefixtures("one_thread")
PICTURE = drawn(5, 60, 44)


def cut(content: bytes, part: float) -> bytes:
    return content[: int(len(content) * part)]


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(PICTURE, quality=95, exif=exif)


ODD: dict[str, Callable[[], bytes]] = {
    "CMYK": lambda: encoded(PICTURE.convert("CMYK"), quality=95),
    "grey": lambda: encoded(PICTURE.convert("L"), quality=95),
    "PNG named JPEG": lambda: encoded(PICTURE, "PNG"),
    "palette PNG": lambda: encoded(PICTURE.quantize(64), "PNG"),
    "PNG with transparency": lambda: encoded(PICTURE.convert("RGBA"), "PNG"),
    "grey PNG with transparency": lambda: encoded(PICTURE.convert("LA"), "PNG"),
    "black and white PNG": lambda: encoded(PICTURE.convert("1"), "PNG"),
    "progressive": lambda: encoded(PICTURE, progressive=True),
    "EXIF asks for turning": turned,
    "bytes after the end": lambda: encoded(PICTURE) + b"more",
}
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut short": (lambda: cut(encoded(PICTURE, quality=95), 0.6), "truncated"),
    "cut in its header": (lambda: cut(encoded(PICTURE), 0.05), "Truncated File Read"),
    "progressive, cut short": (lambda: cut(encoded(PICTURE, progressive=True), 0.5), "truncated"),
    "PNG cut short": (lambda: cut(encoded(PICTURE, "PNG"), 0.5), "truncated"),
    "empty": (lambda: b"", "empty file"),
    "text": (lambda: b"<html>404 Not Found</html>", "no image of a kind that is read"),
    "PPM named JPEG": (lambda: encoded(PICTURE, "PPM"), "no image of a kind that is read"),
    "zeros": (lambda: bytes(3000), "no image of a kind that is read"),
    "PNG damaged": (lambda: encoded(PICTURE, "PNG").replace(b"IDAT", b"IDAX"), "."),
    "16 bits a pixel": (lambda: encoded(Image.fromarray(np.full((40, 40), 999, np.uint16)), "PNG"), "more than 8 bits"),
    "too narrow": (lambda: encoded(Image.new("RGB", (1, 3_000)), "JPEG"), "too narrow"),
    "a bomb": (lambda: bomb(30_000), "decompression bomb"),
}


def bomb(side: int) -> bytes:
    """A PNG that says it has so many pixels a side."""
    content = bytearray(encoded(Image.new("RGB", (8, 8)), "PNG"))
    content[16:24] = side.to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("kind", ODD)
def test_odd_images_are_read_as_pillow_and_torchvision_read_them(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.JPEG"
    path.write_bytes(ODD[kind]())
    got, asks = square(path.read_bytes(), 40, "bilinear")
    assert np.array_equal(np.asarray(got), slowly(path, 40))
    assert asks == (kind == "EXIF asks for turning")


def test_colours_survive_four_inks_and_grey_has_three_equal_channels() -> None:
    plain = np.asarray(square(encoded(PICTURE, "PNG"), 40, "bilinear")[0]).astype(int)
    inks = np.asarray(square(ODD["CMYK"](), 40, "bilinear")[0]).astype(int)
    assert np.abs(plain - inks).mean() < 4, "an inverted image would differ by about 100"
    grey = np.asarray(square(ODD["grey"](), 40, "bilinear")[0])
    assert (grey == grey[..., :1]).all()


def test_exif_is_not_followed() -> None:
    upright, _ = square(encoded(PICTURE, quality=95), 44, "bilinear")
    asking, _ = square(turned(), 44, "bilinear")
    assert np.array_equal(np.asarray(upright), np.asarray(asking))


@pytest.mark.filterwarnings("ignore:Image size")
def test_an_image_too_large_for_memory_is_refused_before_it_is_decoded() -> None:
    for read in (photograph, lambda content: square(content, 40, "bilinear")):
        with pytest.raises(BadImage, match="12000 x 12000 pixels, more than 100,000,000"):
            read(bomb(12_000))


@pytest.mark.parametrize("orientation", range(10))
def test_a_readers_own_photograph_is_turned_as_its_exif_asks(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(PICTURE, quality=95, exif=exif)
    got, notes = photograph(content)
    with Image.open(io.BytesIO(content)) as opened:
        assert np.array_equal(np.asarray(got), np.asarray(ImageOps.exif_transpose(opened)))
    assert notes == ((TURNED,) if 2 <= orientation <= 8 else ())
    as_stored, none = photograph(content, 40, own=False)
    assert none == () and np.array_equal(np.asarray(as_stored), np.asarray(square(content, 40, "bilinear")[0]))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_of_a_readers_own_photograph_are_white(mode: str) -> None:
    image = PICTURE.convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 20, 44))
    content = encoded(image.convert(mode), "PNG")
    got, notes = photograph(content)
    assert notes == (ON_WHITE,) and (np.asarray(got)[:, :18] == 255).all() and np.asarray(got)[:, 25:].min() < 250
    assert np.asarray(photograph(content, own=False)[0])[:, :18].max() < 255


@pytest.mark.parametrize("kind", BAD)
def test_a_broken_image_gives_its_reason(kind: str) -> None:
    make, said = BAD[kind]
    with pytest.raises(BadImage, match=said):
        square(make(), 2000 if kind == "too narrow" else 40, "bilinear")
    if kind != "too narrow":
        with pytest.raises(BadImage, match=said):
            photograph(make())


def test_any_cut_and_any_changed_byte_is_read_or_refused_and_nothing_else() -> None:
    whole, refused = encoded(PICTURE, quality=50), 0
    damaged = [cut(whole, part / 40) for part in range(40)]
    for place in range(0, len(whole), 7):
        damaged.append(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    for content in damaged:
        try:
            assert square(content, 40, "bilinear")[0].size == (40, 40)
        except BadImage as error:
            refused += 1
            assert str(error)
    assert refused >= 30


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Folders with every kind of broken image, and every odd one, among good ones."""
    root = write_folders(tmp_path / "source")
    for i, (make, _) in enumerate(BAD.values()):
        (root / "train" / CLASSES[i % 3] / f"bad_{i:02}.JPEG").write_bytes(make())
    for i, make in enumerate(ODD.values()):
        (root / "train" / CLASSES[i % 3] / f"odd_{i:02}.JPEG").write_bytes(make())
    (root / "val" / CLASSES[0] / "bad.JPEG").write_bytes(b"")
    return root


def named(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("bad*")}


def test_all_broken_images_are_named_at_the_end_and_nothing_is_complete(broken: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="12 of the 38 images in .* cannot be used") as raised:
        preparation.prepare(broken, tmp_path / "set", side=24, jobs=1, images_per_shard=5)
    said = str(raised.value)
    wide = next(path for path in named(broken) if path.endswith("bad_10.JPEG"))  # at 24 it is not too narrow
    for name in named(broken) - {wide}:
        assert f"\n  {name}: " in said
    assert "--skip-bad" in said
    with pytest.raises(DataError, match="was not finished"):
        PreparedImages(tmp_path / "set")


def test_skip_bad_leaves_out_the_broken_ones_alone(broken: Path, tmp_path: Path) -> None:
    """Also when it is only asked for after the pass; and the result is that of the images without them."""
    with pytest.raises(DataError):
        preparation.prepare(broken, tmp_path / "late", side=24, jobs=1, images_per_shard=5)
    index = preparation.prepare(broken, tmp_path / "late", side=24, jobs=1, images_per_shard=5, skip_bad=True)
    preparation.prepare(broken, tmp_path / "set", side=24, jobs=2, images_per_shard=5, skip_bad=True)
    assert contents(tmp_path / "late") == contents(tmp_path / "set")
    skipped = index["splits"]["train"]["skipped"]
    assert len(skipped) == 11 and skipped[0] == {
        "name": "train/n01440764/bad_00.JPEG",
        "label": 0,
        "reason": skipped[0]["reason"],
    }
    assert [entry["train"] for entry in index["classes"]] == [3 + 4, 3 + 4, 3 + 3]
    assert index["splits"]["train"]["exif_turned"] == 1
    images = PreparedImages(tmp_path / "set")
    assert len(images) == 20 and not any("bad" in name for name in images.names if "bad_10" not in name)
    pixels = images.images(range(20)).permute(0, 2, 3, 1).numpy()
    for name, got in zip(images.names, pixels, strict=True):
        assert np.array_equal(got, slowly(broken / name, 24)), name
    for path in named(broken):
        if "bad_10" not in path:
            (broken / path).unlink()
    preparation.prepare(broken, tmp_path / "clean", side=24, jobs=1)
    clean = PreparedImages(tmp_path / "clean")
    assert clean.names == images.names and clean.color_pca.eigenvalues.tolist() == images.color_pca.eigenvalues.tolist()


def test_mended_images_are_taken_by_the_same_command(broken: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        preparation.prepare(broken, tmp_path / "set", side=24, jobs=1, images_per_shard=5)
    for i, path in enumerate(sorted(named(broken))):
        (broken / path).write_bytes(encoded(drawn(i, 30, 40)))
    preparation.prepare(broken, tmp_path / "set", side=24, jobs=1, images_per_shard=5)
    preparation.prepare(broken, tmp_path / "fresh", side=24, jobs=1, images_per_shard=5)
    assert contents(tmp_path / "set") == contents(tmp_path / "fresh")


def test_a_class_of_broken_images_only_is_an_error(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "source")
    for path in (root / "val" / CLASSES[1]).iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no val image of class n01443537 can be used"):
        preparation.prepare(root, tmp_path / "set", side=24, jobs=1, skip_bad=True)


def test_an_image_that_vanishes_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alexnet_lib.data.imagenet import preparation

    root, real = write_folders(tmp_path / "source"), preparation.write_shards

    def write_shards(*given):  # noqa: ANN002, ANN202
        (root / "train" / CLASSES[1] / f"{CLASSES[1]}_2.JPEG").unlink()
        return real(*given)

    monkeypatch.setattr(preparation, "write_shards", write_shards)
    with pytest.raises(DataError, match=r"train/n01443537/n01443537_2\.JPEG: cannot be read: No such file"):
        preparation.prepare(root, tmp_path / "set", side=24, jobs=1)


def test_a_broken_image_in_a_tar_file_is_named(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "source")
    path = root / "train" / CLASSES[0] / f"{CLASSES[0]}_1.JPEG"
    path.write_bytes(cut(path.read_bytes(), 0.5))
    tars = write_tars(tmp_path / "tars", root)
    with pytest.raises(DataError, match=r"1 of the 15 images .*\n  train/n01440764/n01440764_1\.JPEG: .*truncated"):
        preparation.prepare(tars, tmp_path / "set", side=24, jobs=1, val_labels=tars / "val_labels.txt")


def test_the_command_names_what_is_broken_and_what_it_left_out(
    broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["data", "prepare-imagenet", str(broken), str(tmp_path / "set"), "--side", "24", "--jobs", "1"]
    assert command_line.main(words) == 2
    assert "train/n01440764/bad_00.JPEG: " in capsys.readouterr().err
    assert command_line.main([*words, "--skip-bad"]) == 0
    out = capsys.readouterr().out
    assert "left out: train/n01440764/bad_00.JPEG: " in out and "1 ask in their EXIF to be turned, and are not" in out
