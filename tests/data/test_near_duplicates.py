"""Pictures that look the same: the hash, and finding the close ones without comparing all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from mlt.data.labels import LabelTable
from mlt.data.near_duplicates import near_groups, near_pairs, perceptual_hash
from mlt.data.splits.grouping import kept_together, rows_together
from mlt.errors import ConfigError


def scene(seed: int) -> Image.Image:
    """A picture of soft shapes."""
    small = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((180, 140), Image.Resampling.BICUBIC)


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    """The picture, compressed."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def bits_between(a: Image.Image, b: Image.Image) -> int:
    """How many bits of the hashes differ."""
    first, second = perceptual_hash(a), perceptual_hash(b)
    assert first is not None and second is not None
    return (first ^ second).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_of_a_picture_has_nearly_the_same_hash(seed: int) -> None:
    image = scene(seed)
    copies = {
        "compressed": as_jpeg(image, 40),
        "smaller": image.resize((90, 70)),
        "stretched": image.resize((200, 300)),
        "grey": image.convert("L"),
        "brighter": ImageEnhance.Brightness(image).enhance(1.1),
    }
    far = {name: bits for name, copy in copies.items() if (bits := bits_between(image, copy)) > 4}
    assert far == {}
    others = [bits_between(image, scene(seed + k)) for k in range(1, 20)]
    assert min(others) > 10


def test_pictures_of_one_colour_are_like_no_other() -> None:
    assert perceptual_hash(Image.new("RGB", (50, 50), "white")) is None


@given(
    st.lists(st.integers(0, (1 << 64) - 1) | st.integers(0, 7), max_size=40),
    st.integers(0, 9),
)
@settings(max_examples=100, deadline=None)
def test_near_pairs_are_those_of_comparing_all(values: list[int], distance: int) -> None:
    flipped = [value ^ (1 << (k % 64)) ^ (1 << (7 * k % 64)) for k, value in enumerate(values)]
    hashes = [*values, *flipped]
    expected = [
        [i, j]
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (hashes[i] ^ hashes[j]).bit_count() <= distance
    ]
    assert near_pairs(np.array(hashes, np.uint64), distance).tolist() == expected


def test_a_distance_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 to 15"):
        near_pairs(np.zeros(2, np.uint64), distance=16)


def test_groups_of_a_table(tmp_path: Path) -> None:
    scene(0).save(tmp_path / "0.png")
    scene(1).save(tmp_path / "1.png")
    as_jpeg(scene(0), 70).save(tmp_path / "2.jpg")
    (tmp_path / "3.png").write_bytes(b"broken")
    scene(1).resize((60, 60)).save(tmp_path / "4.png")
    names = ["0.png", "1.png", "2.jpg", "3.png", "4.png", "absent.png"]
    table = LabelTable.from_lists(range(6), names, ["cat"], [[]] * 6, root=tmp_path)
    assert rows_together(near_groups(table)) == [[0, 2], [1, 4]]


def test_what_is_the_same_joins_groups() -> None:
    from dataclasses import replace

    from mlt.data.columns import StringColumn

    table = LabelTable.from_lists(range(7), map(str, range(7)), ["cat"], [[]] * 7)
    groups = StringColumn.from_iterable(["p", "p", "q", "q", "", "", "r"])
    joined = kept_together(replace(table, groups=groups), [[1, 2], [5, 6]]).groups
    assert joined is not None
    codes = list(joined)
    assert len(set(codes[:4])) == 1
    assert codes[5] == codes[6] and len(set(codes)) == 3
