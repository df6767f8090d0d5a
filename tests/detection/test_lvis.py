"""Counts that LVIS files carry, and repeat factors of any detection data set."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlt.data.formats.coco_records import read_coco_records
from mlt.detection import class_counts_from_lvis, repeat_factor_sampler_from_coco
from mlt.detection.image_categories import image_categories
from mlt.errors import DataError, MissingFileError


def lvis_content() -> dict[str, Any]:
    counts = {1: 202, 3: 200, 7: 20, 8: 2}
    categories = [{"id": c, "name": str(c), "instance_count": n} for c, n in counts.items()]
    return {"images": [{"id": 1}], "categories": categories, "annotations": []}


def test_lvis_counts(tmp_path: Path) -> None:
    counts = class_counts_from_lvis(lvis_content())
    assert class_counts_from_lvis(SimpleNamespace(dataset=lvis_content())) == counts
    assert list(counts) == [202, 200, 20, 2] and counts.total == 424
    with pytest.raises(DataError, match="instance_count"):
        class_counts_from_lvis({"images": [], "annotations": [], "categories": [{"id": 1}]})
    with pytest.raises(MissingFileError):
        class_counts_from_lvis(tmp_path / "absent.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match="not a COCO or LVIS"):
        class_counts_from_lvis(tmp_path / "list.json")


def test_repeat_factors() -> None:
    """Category 7 is on one of four images: factor sqrt(0.64 / 0.25) = 1.6 for that image."""
    content = {
        "images": [{"id": i} for i in (40, 10, 30, 20)],
        "categories": [{"id": 3}, {"id": 7}],
        "annotations": [{"image_id": i, "category_id": 3} for i in (10, 20, 30, 40)]
        + [{"image_id": 20, "category_id": 7}] * 5,
    }
    sampler = repeat_factor_sampler_from_coco(content, threshold=0.64)
    factors = np.array([1, 1.6, 1, 1])  # of images 10, 20, 30, 40
    np.testing.assert_allclose(sampler.image_draws(), factors * 5 / factors.sum())
    assert len(list(sampler)) == 5
    shuffled = repeat_factor_sampler_from_coco(content, [30, 20], threshold=0.64)
    assert shuffled.image_draws()[1] > shuffled.image_draws()[0]
    with pytest.raises(DataError, match="99"):
        repeat_factor_sampler_from_coco(content, [99])


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "marked.json"
    file.write_text(json.dumps(lvis_content()), encoding="utf-8-sig")
    assert class_counts_from_lvis(file) == class_counts_from_lvis(lvis_content())


def test_repeat_factors_refuse_a_category_that_is_not_listed() -> None:
    content = {
        "images": [{"id": 1}],
        "categories": [{"id": 3}],
        "annotations": [{"image_id": 1, "category_id": 8}],
    }
    with pytest.raises(DataError, match="category 8, which is not listed"):
        repeat_factor_sampler_from_coco(content)


def test_an_image_that_is_given_twice_has_its_labels_twice() -> None:
    content = {
        "images": [{"id": 3}, {"id": 4}],
        "categories": [{"id": 1}],
        "annotations": [{"image_id": 3, "category_id": 1}],
    }
    assert image_categories(read_coco_records(content), [3, 4, 3]).tolist() == [[0, 0], [2, 0]]
    draws = repeat_factor_sampler_from_coco(content, [3, 3, 4, 4], threshold=1.0).image_draws()
    assert draws[0] == draws[1] > draws[2] == draws[3]


def test_repeat_factors_of_real_annotations(shared: Path) -> None:
    path = shared / "data/coco-mini/annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    sampler = repeat_factor_sampler_from_coco(path, threshold=0.1)
    ids = sorted(image["id"] for image in content["images"])
    has: dict[int, set[int]] = {i: set() for i in ids}
    for annotation in content["annotations"]:
        if not annotation.get("iscrowd"):
            has[annotation["image_id"]].add(annotation["category_id"])
    share = {
        c["id"]: sum(c["id"] in s for s in has.values()) / len(ids) for c in content["categories"]
    }
    expected = [max([1.0, *(math.sqrt(0.1 / share[c]) for c in has[i])]) for i in ids]
    got = sampler.image_draws()
    np.testing.assert_allclose(got / got.min(), np.array(expected) / min(expected))


def test_a_file_that_is_cut_off_or_has_no_images_says_so_as_in_training(tmp_path: Path) -> None:
    file = tmp_path / "lvis.json"
    file.write_text(json.dumps(lvis_content())[:-20])
    with pytest.raises(DataError, match="cut off: its JSON has not ended"):
        class_counts_from_lvis(file)
    with pytest.raises(DataError, match=r"it has no images; its keys are categories, annotations"):
        class_counts_from_lvis({"categories": [], "annotations": []})
