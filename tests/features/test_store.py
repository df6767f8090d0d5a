"""Files of features: what is found again, what is damaged, what makes room."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from mlt.features.store import add_features, find_features
from mlt.keyed_files import KEY, make_room


def digests(*names: str) -> np.ndarray:
    return np.array([hashlib.sha256(name.encode()).digest() for name in names], KEY)


def some_features(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, 5)).astype(np.float32)


NAMES = [f"image {k}" for k in range(20)]


def test_features_are_found_by_image_whatever_the_order(tmp_path: Path) -> None:
    features = some_features(20)
    add_features(tmp_path / "view", digests(*NAMES), features)
    order = np.random.default_rng(0).permutation(20)
    found = find_features(tmp_path / "view", digests(*np.array(NAMES)[order]))
    assert not found.missing.any()
    read = np.stack([found[row] for row in range(20)])
    np.testing.assert_array_equal(read, features[order].astype(np.float16).astype(np.float32))
    assert found.arrays[0].dtype == np.float16


def test_what_is_missing_is_added_and_an_unreadable_image_is_never_found(tmp_path: Path) -> None:
    add_features(tmp_path, digests("a", "b"), some_features(2))
    wanted = np.append(digests("b", "c"), np.array([b""], KEY))
    assert find_features(tmp_path, wanted).missing.tolist() == [False, True, True]
    add_features(tmp_path, digests("c"), some_features(1))
    found = find_features(tmp_path, wanted)
    assert found.missing.tolist() == [False, False, True]
    np.testing.assert_array_equal(found[0], some_features(2)[1])
    np.testing.assert_array_equal(found[1], some_features(1)[0])


@pytest.mark.parametrize("place", [0, 40, -3])
def test_a_flipped_byte_is_noticed(
    tmp_path: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    add_features(tmp_path, digests(*NAMES), some_features(20))
    [file] = tmp_path.glob("*.npy")
    content = bytearray(file.read_bytes())
    content[place] ^= 0x10
    file.write_bytes(content)
    assert find_features(tmp_path, digests(*NAMES)).missing.all()
    assert "damaged" in caplog.text
    assert not list(tmp_path.glob("*.npy"))


@pytest.mark.parametrize("kept", [0, 10, 200, 700])
def test_a_torn_file_is_noticed(
    tmp_path: Path, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    add_features(tmp_path, digests(*NAMES), some_features(20))
    [file] = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:kept])
    assert find_features(tmp_path, digests(*NAMES)).missing.all()
    assert "damaged" in caplog.text


@pytest.mark.parametrize(
    "column",
    [
        np.linspace(0, 1e5, 20),  # more than float16 holds
        100 + np.linspace(0, 0.01, 20),  # a mean beside which the deviation is lost
        np.linspace(0, 1e-8, 20),  # less than float16 tells from 0
        np.full(20, 1e6),  # without deviation, but infinite as float16
    ],
)
def test_features_that_float16_would_spoil_are_kept_in_float32(
    tmp_path: Path, column: np.ndarray
) -> None:
    features = some_features(20)
    features[:, 2] = column
    add_features(tmp_path, digests(*NAMES), features)
    found = find_features(tmp_path, digests(*NAMES))
    np.testing.assert_array_equal(np.stack([found[row] for row in range(20)]), features)


def test_maps_are_kept_whole_and_a_rare_position_does_not_double_them(tmp_path: Path) -> None:
    # A feature that is above 0 at one position of one image only: float16 changes it by far more
    # than a hundredth of the deviation at that position, but little among all positions.
    maps = np.random.default_rng(0).normal(size=(2000, 3, 2, 2)).astype(np.float32)
    maps[:, :, 0, 0] = 0
    maps[5, :, 0, 0] = 1.0004
    names = [f"image {k}" for k in range(2000)]
    add_features(tmp_path, digests(*names), maps)
    found = find_features(tmp_path, digests(*names))
    assert found.arrays[0].dtype == np.float16
    assert found.arrays[0].shape == (2000, 3, 2, 2)
    np.testing.assert_array_equal(found[5], maps[5].astype(np.float16).astype(np.float32))


def test_the_files_used_longest_ago_make_room(tmp_path: Path) -> None:
    sizes = {}
    for age, view in enumerate(["new", "old", "older", "in use"]):
        add_features(tmp_path / view, digests(view), some_features(1))
        [file] = (tmp_path / view).glob("*.npy")
        os.utime(file, (1000 - age, 1000 - age))
        sizes[view] = file.stat().st_size
    one = sizes["new"]
    assert make_room(tmp_path, one, 4 * one, keep=[tmp_path / "in use"], suffix=".npy")
    left = {file.parent.name for file in tmp_path.glob("*/*.npy")}
    assert left == {"new", "old", "in use"}
    assert not make_room(tmp_path, one, one, keep=[tmp_path / "in use"], suffix=".npy")
    assert {file.parent.name for file in tmp_path.glob("*/*.npy")} == {"in use"}
