"""The embedded data: layout, determinism, no shared glyphs, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from mlt.data import build_pareto_split, read_coco
from mlt.data.digits import DIGITS_CLASSES, DIGITS_LONGTAIL, _glyphs, write_digits
from mlt.errors import OutputExistsError


def write(root: Path, seed: int = 0, train: int = 120, test: int = 40) -> Path:
    return write_digits(root, seed, train_scenes=train, test_scenes=test)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: Any) -> Path:
    return write(tmp_path_factory.mktemp("data") / "new" / "digits")


def pixels_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.png")):
        digest.update(np.asarray(Image.open(file)).tobytes())
    return digest.hexdigest()


def test_is_a_coco_data_set(digits: Path) -> None:
    for part, scenes in (("train", 120), ("test", 40)):
        table = read_coco(digits / "annotations" / f"instances_{part}.json", digits / part)
        assert table.class_names == DIGITS_CLASSES and len(DIGITS_CLASSES) == 20
        assert len(table) == scenes == len(list((digits / part).iterdir()))
        for row in range(scenes):
            with Image.open(table.image_path(row)) as image:
                assert (image.size, image.mode, image.format) == ((64, 64), "RGB", "PNG")
        counts = table.labels.sum(axis=0)
        assert counts.max() - counts.min() <= 3
        assert table.labels.sum(axis=1).min() >= 1 and table.labels.sum(axis=1).max() == 3


def test_boxes_hold_the_ink(digits: Path) -> None:
    content = json.loads((digits / "annotations" / "instances_train.json").read_text())
    files = {image["id"]: image["file_name"] for image in content["images"]}
    for annotation in content["annotations"][:100]:
        left, top, width, height = annotation["bbox"]
        assert left >= 0 and top >= 0 and left + width <= 64 and top + height <= 64
        pixels = np.asarray(Image.open(digits / "train" / files[annotation["image_id"]]), int)
        box = pixels[top : top + height, left : left + width].reshape(-1, 3)
        darkest = box[box.sum(axis=1).argmin()]
        red = annotation["category_id"] > 10
        # Red ink has much more red than green; dark ink is dark in all three.
        assert (darkest[0] - darkest[1] > 60) == red
        assert darkest[1] < 130


def test_the_same_seed_gives_the_same_files(digits: Path, tmp_path: Path) -> None:
    again, other = write(tmp_path / "again"), write(tmp_path / "other", seed=1)
    files = sorted(p.relative_to(digits) for p in digits.rglob("*") if p.is_file())
    assert len(files) == 163
    for file in files:
        assert (again / file).read_bytes() == (digits / file).read_bytes()
    assert pixels_digest(other / "train") != pixels_digest(digits / "train")


def test_a_scene_does_not_depend_on_how_many_there_are(digits: Path, tmp_path: Path) -> None:
    fewer = write(tmp_path / "fewer", train=10, test=0)
    for file in (fewer / "train").iterdir():
        assert file.read_bytes() == (digits / "train" / file.name).read_bytes()


def test_pixels_are_the_same_on_every_machine(digits: Path) -> None:
    # If this changes, results with older scenes no longer compare: raise the version in digits.py.
    assert pixels_digest(digits / "train")[:16] == "0f0a382d39f35849"
    assert pixels_digest(digits / "test")[:16] == "cff8a331c13d8bf7"


def test_training_and_test_share_no_glyph() -> None:
    train, test = ([g.tobytes() for own in _glyphs(0, part) for g in own] for part in (0, 1))
    assert not set(train) & set(test)
    everything = (load_digits().images * (255 / 16)).astype(np.uint8)
    assert Counter(train + test) == Counter(image.tobytes() for image in everything)
    assert 0.6 < len(train) / 1797 < 0.7


def test_is_not_written_twice(digits: Path) -> None:
    def times() -> list[int]:
        return sorted(p.stat().st_mtime_ns for p in digits.rglob("*"))

    before = times()
    assert write(digits) == digits
    assert times() == before


def test_another_version_is_replaced_and_an_empty_folder_filled(tmp_path: Path) -> None:
    root = tmp_path / "digits"
    root.mkdir()
    write(root, train=3, test=1)
    write(root, train=2, test=1)
    assert len(list((root / "train").iterdir())) == 2
    (root / "digits_mlt.json").write_text("{")
    write(root, train=2, test=1)
    assert json.loads((root / "digits_mlt.json").read_text())["train"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["digits"]


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(OutputExistsError, match="is not the digits data set"):
        write(tmp_path / "photos")
    (tmp_path / "file").touch()
    with pytest.raises(OutputExistsError, match="is not the digits data set"):
        write(tmp_path / "file")


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: Any) -> None:
    root = write(tmp_path / "digits", train=3, test=1)
    save = Image.Image.save

    def full_disk(self: Image.Image, path: Path, **options: Any) -> None:
        if path.name == "000003.png":
            raise OSError("No space left on device")
        save(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", full_disk)
    for target in (root, tmp_path / "new"):
        with pytest.raises(OSError, match="No space"):
            write(target, train=4, test=1)
    assert [p.name for p in tmp_path.iterdir()] == ["digits"]
    assert len(list((root / "train").iterdir())) == 3


@pytest.mark.slow
def test_the_long_tail_of_the_default_pool(embedded_digits: Path) -> None:
    root = embedded_digits
    pool = read_coco(root / "annotations" / "instances_train.json", root / "train")
    split = build_pareto_split(pool, "digits_mlt", **DIGITS_LONGTAIL)
    stats = split.apply(pool).class_counts()
    assert 700 < split.num_images < 1200
    assert {name: len(group) for name, group in stats.groups.items()} == {
        "head": 5,
        "medium": 6,
        "tail": 9,
    }
    assert stats.counts.min() >= 4 and stats.counts.max() >= 200


def _write_after_an_older_version(root: str) -> str:
    try:
        write(Path(root), train=6, test=3)
    except OSError as error:
        return repr(error)
    return ""


@pytest.mark.parametrize("older", [False, True])
def test_many_processes_at_once(tmp_path: Path, older: bool) -> None:
    root = tmp_path / "digits"
    if older:
        write(root, train=4, test=2)
    with multiprocessing.get_context("fork").Pool(16) as pool:
        assert set(pool.map(_write_after_an_older_version, [str(root)] * 64, chunksize=1)) == {""}
    assert len(list((root / "train").iterdir())) == 6
