"""Image files of every kind, against pixels known by construction."""

from __future__ import annotations

import os
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mlt.data.images import decode_image, load_image
from mlt.errors import DataError, MissingFileError

COLOURS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [255, 255, 255], [200, 100, 50]]],
    np.uint8,
)


def pixels(path: Path) -> np.ndarray:
    image = load_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "gif"])
def test_rgb_and_palette_files_keep_their_colours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(COLOURS).save(path, **options)
    np.testing.assert_array_equal(pixels(path), COLOURS)


def test_bilevel(tmp_path: Path) -> None:
    bits = np.array([[True, False, True]])
    Image.fromarray(bits).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), grey(255 * bits))


def test_grey(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), grey(values))


def test_cmyk(tmp_path: Path) -> None:
    # Cyan ink absorbs red; no ink is white.
    inks = np.zeros((8, 16, 4), np.uint8)
    inks[:, 8:, 0] = 255
    for suffix, tolerance in (("tiff", 0), ("jpg", 6)):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(inks, mode="CMYK").save(path)
        found = pixels(path).astype(int)
        assert np.abs(found[:, :8] - 255).max() <= tolerance
        assert np.abs(found[:, 8:] - [0, 255, 255]).max() <= tolerance


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_white(tmp_path: Path, mode: str) -> None:
    colour = (255, 0, 0) if mode == "RGBA" else (0,)
    image = Image.new(mode, (3, 1))
    for x, alpha in enumerate((0, 255, 128)):
        image.putpixel((x, 0), (*colour, alpha))
    image.save(tmp_path / "a.png")
    found = pixels(tmp_path / "a.png")[0]
    opaque = found[1].tolist()
    assert found[0].tolist() == [255, 255, 255]
    assert opaque == ([255, 0, 0] if mode == "RGBA" else [0, 0, 0])
    np.testing.assert_allclose(found[2], 255 - (255 - found[1].astype(int)) * 128 / 255, atol=1)


def test_transparent_palette_entry_shows_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png", transparency=0)
    assert pixels(tmp_path / "a.png").tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bit_grey_uses_the_range_of_its_format(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 257, 128 * 257, 65_535, 4_095]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    found = pixels(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(found, grey([[0, 1, 128, 255, 16]]))


def png_chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def test_sixteen_bit_png_written_by_hand(tmp_path: Path) -> None:
    # Not by Pillow, which would read its own mistakes right.
    header = struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0)
    row = zlib.compress(b"\0" + struct.pack(">HH", 65_535, 257 * 7))
    file = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    file += png_chunk(b"IDAT", row) + png_chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(file)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), grey([[255, 7]]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 257, 65_535], [0, 1, 255]),  # 32 bits that fit 16
        ([0, 500_000, 1_000_000], [0, 128, 255]),  # stretched
        ([-100, 0, 100], [0, 128, 255]),  # stretched
        ([-5, -5, -5], [0, 0, 0]),  # nothing to stretch
    ],
)
def test_thirty_two_bit_grey(tmp_path: Path, values: list[int], expected: list[int]) -> None:
    Image.fromarray(np.array([values], np.int32)).save(tmp_path / "a.tiff")
    np.testing.assert_array_equal(pixels(tmp_path / "a.tiff"), grey([expected]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),  # 0 to 1
        ([0.0, 100.0, 255.0], [0, 100, 255]),  # 0 to 255
        ([-1000.0, 0.0, 1000.0], [0, 128, 255]),  # stretched, as Hounsfield units would be
        ([np.nan, 0.0, 1.0], [0, 0, 255]),
        ([np.inf, 0.0, 1.0], [255, 0, 255]),
    ],
)
def test_floating_point_grey(tmp_path: Path, values: list[float], expected: list[int]) -> None:
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "a.tiff")
    np.testing.assert_array_equal(pixels(tmp_path / "a.tiff"), grey([expected]))


# How a viewer must turn the stored array for each orientation of the EXIF standard.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), UPRIGHT[orientation](COLOURS))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"MM\0*\xff\xff\xff\xff nonsense", b"no TIFF header", b""])
def test_damaged_exif_is_no_reason_to_lose_an_image(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=b"Exif\0\0" + exif)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), COLOURS)


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixels(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def test_the_file_is_closed_and_may_be_removed(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        image = load_image(tmp_path / "a.png")
        (tmp_path / "a.png").unlink()
        assert image.getpixel((0, 0)) == (255, 0, 0)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no\.png.*does not exist.*archive"):
        load_image(tmp_path / "no.png")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder"):
        load_image(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"<html>404</html>", "known format"), (b"\x89PNG\r\n\x1a\n", "cannot be")],
)
def test_no_image(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_image(tmp_path / "a.jpg")
    assert str(tmp_path / "a.jpg") in str(caught.value)
    assert "leave it out" in str(caught.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "tiff", "webp"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="cannot be read") as caught:
        load_image(path)
    assert str(path) in str(caught.value)


@pytest.fixture
def plain_user() -> Iterator[None]:
    """Be a user who may not read everything, as root may."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.fixture(params=["file", "folder"])
def unreadable(request: pytest.FixtureRequest) -> Iterator[Path]:
    """An image without the right to read it, or to enter its folder."""
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which other users cannot enter
        folder = Path(name)
        folder.chmod(0o755)
        file = folder / "a.png"
        Image.fromarray(COLOURS).save(file)
        (file if request.param == "file" else folder).chmod(0)
        yield file
        folder.chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not have these permissions")
def test_unreadable(unreadable: Path, plain_user: None) -> None:
    with pytest.raises(DataError, match="permission"):
        load_image(unreadable)


def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (50, 50)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="too many pixels"):
        load_image(tmp_path / "a.png")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(["jpg", "png", "gif", "tiff", "webp", "bmp"]),
    damage=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=20),
)
@pytest.mark.filterwarnings("ignore")
def test_damage_gives_an_image_or_a_data_error(
    tmp_path: Path, suffix: str, damage: list[tuple[int, int]]
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.arange(20 * 20 * 3, dtype=np.uint8).reshape(20, 20, 3)).save(path)
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[place % len(content)] = value
    path.write_bytes(content)
    try:
        assert load_image(path).mode == "RGB"
    except DataError as error:
        assert str(path) in str(error)


def test_every_photograph(shared: Path) -> None:
    files = sorted((shared / "data" / "coco-mini" / "val2017").glob("*.jpg"))[:40]
    assert files
    for file in files:
        with Image.open(file) as image:
            expected = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(pixels(file), expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="a pipe or a device"):
        load_image(tmp_path / "a.png")


@pytest.mark.skipif(os.name == "nt", reason="needs a shell script")
def test_no_other_program_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    Image.new("RGB", (9, 9)).save(tmp_path / "x.jpg", "EPS")
    for read in (load_image, lambda path: decode_image(path.read_bytes(), "x")):
        with pytest.raises(DataError, match="cannot be read: EPS is not read as an image"):
            read(tmp_path / "x.jpg")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["BMP", "DIB", "GIF", "ICO", "PCX", "SGI", "TGA", "TIFF", "WEBP"])
def test_formats_of_pillow_are_read(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (16, 16), (255, 0, 0)).save(tmp_path / "x.jpg", kind)
    assert load_image(tmp_path / "x.jpg").getpixel((3, 3)) == pytest.approx((255, 0, 0), abs=2)


def test_a_plugin_that_lacks_its_package_does_not_hide_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ultralytics replaces Pillow's open by one that asks for a package on any failure."""

    def opening(*arguments: object) -> None:
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr(Image, "open", opening)
    (tmp_path / "a.jpg").write_bytes(b"not an image")
    with pytest.raises(DataError, match="not an image of a known format"):
        load_image(tmp_path / "a.jpg")
