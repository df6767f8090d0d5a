"""Pixels decoded straight to tensors: those of Pillow, whatever the file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

from mlt.data import pixels as pixels_module
from mlt.data.images import load_image
from mlt.data.labels import LabelTable
from mlt.data.pixels import decode_pixels, load_pixels, row_pixels
from mlt.errors import DataError, MissingFileError, UserError


@pytest.fixture
def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((171, 122), Image.Resampling.BICUBIC)


def save(picture: Image.Image, path: Path, kind: str) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    mode, options = {
        "4:2:0": ("RGB", {"subsampling": 2}),
        "4:2:2": ("RGB", {"subsampling": 1}),
        "4:4:4": ("RGB", {"subsampling": 0}),
        "progressive": ("RGB", {"progressive": True}),
        "grey": ("L", {}),
        "cmyk": ("CMYK", {}),
        "turned": ("RGB", {"exif": exif}),
    }[kind]
    picture.convert(mode).save(path, "JPEG", quality=90, **options)
    return path


@pytest.mark.parametrize(
    "kind", ["4:2:0", "4:2:2", "4:4:4", "progressive", "grey", "cmyk", "turned"]
)
def test_the_pixels_are_those_of_pillow(tmp_path: Path, picture: Image.Image, kind: str) -> None:
    file = save(picture, tmp_path / "a.jpg", kind)
    expected = pil_to_tensor(load_image(file))
    assert torch.equal(load_pixels(file), expected)
    assert torch.equal(decode_pixels(file.read_bytes(), "a"), expected)


def test_ordinary_files_take_the_fast_way(
    tmp_path: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above would hold for Pillow alone, too."""

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(pixels_module, "load_image", refuse)
    assert load_pixels(save(picture, tmp_path / "a.jpg", "4:2:0")).shape == (3, 122, 171)
    assert load_pixels(save(picture, tmp_path / "b.jpg", "grey")).shape == (3, 122, 171)
    with pytest.raises(AssertionError):
        load_pixels(save(picture, tmp_path / "c.jpg", "turned"))


def test_without_torchvisions_decoder(
    tmp_path: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save(picture, tmp_path / "a.jpg", "4:2:0")
    expected = load_pixels(file)
    monkeypatch.setattr(pixels_module, "decode_jpeg", None)
    assert torch.equal(load_pixels(file), expected)


def test_other_formats_and_pictures(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "a.png")
    assert torch.equal(load_pixels(tmp_path / "a.png"), pil_to_tensor(picture))
    assert torch.equal(decode_pixels(picture, "a"), pil_to_tensor(picture))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_cut_file_fails_as_it_does_in_pillow(
    tmp_path: Path, picture: Image.Image, share: float
) -> None:
    content = save(picture, tmp_path / "a.jpg", "4:2:0").read_bytes()
    file = tmp_path / "cut.jpg"
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError) as expected:
        load_image(file)
    with pytest.raises(DataError) as found:
        load_pixels(file)
    assert str(found.value) == str(expected.value)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.jpg is listed but does not exist"):
        load_pixels(tmp_path / "none.jpg")
    with pytest.raises(DataError, match="it is a folder"):
        load_pixels(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX's")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DataError, match="not a file but a pipe"):
        load_pixels(tmp_path / "pipe.jpg")


@pytest.mark.parametrize("kind", ["4:2:0", "turned"])
@pytest.mark.parametrize(("least", "scale"), [(15, 8), (16, 4), (61, 2), (62, 1), (500, 1)])
def test_reduced_decoding_leaves_what_is_needed(
    tmp_path: Path, picture: Image.Image, kind: str, least: int, scale: int
) -> None:
    file = save(picture, tmp_path / "a.jpg", kind)
    sides = [-(-122 // scale), -(-171 // scale)]  # the shorter is 122 pixels
    reduced = load_pixels(file, shorter_side=least)
    assert list(reduced.shape[1:]) == (sides if kind == "4:2:0" else sides[::-1])
    assert min(reduced.shape[1:]) >= min(least, 122)
    if scale == 1:
        assert torch.equal(reduced, load_pixels(file))


def test_rows_of_files_and_of_readers(tmp_path: Path, picture: Image.Image) -> None:
    file = save(picture, tmp_path / "a.jpg", "4:4:4")

    class Reader:
        def read(self, path: str) -> bytes:
            return (tmp_path / path).read_bytes()

    files = LabelTable.from_lists([1], ["a.jpg"], ["x"], [[0]], tmp_path)
    reader = LabelTable.from_lists([1], ["a.jpg"], ["x"], [[0]], images=Reader())
    for table in (files, reader):
        assert torch.equal(row_pixels(table, 0), load_pixels(file))
        assert row_pixels(table, 0, 20).shape == (3, 31, 43)
