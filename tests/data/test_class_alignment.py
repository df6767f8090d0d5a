"""Classes of several parts in one order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter
from scipy.sparse import csr_array

from mlt.data import LabelTable
from mlt.data.class_alignment import with_classes
from mlt.data.run_data import load_data
from mlt.data.settings import DataConfig
from mlt.errors import DataError


@given(st.data())
def test_each_class_keeps_its_labels(data: st.DataObject) -> None:
    draw = data.draw
    c, n = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    soft = np.array(
        draw(st.lists(st.sampled_from([0, 0.25, 0.5, 1]), min_size=n * c, max_size=n * c))
    )
    soft = soft.reshape(n, c).astype(np.float32)
    known = (soft > 0) | np.array(
        draw(st.lists(st.booleans(), min_size=n * c, max_size=n * c)), bool
    ).reshape(n, c)
    table = LabelTable(
        np.arange(n),
        None,
        tuple(map(str, range(c))),
        csr_array(soft >= 0.5),
        csr_array(known),
        soft=csr_array(soft),
    )
    wanted = draw(st.permutations(range(c + 2)))[: draw(st.integers(1, c + 2))]
    names = list(map(str, wanted))
    if not set(wanted) & set(range(c)):
        with pytest.raises(DataError, match="none of the classes"):
            with_classes(table, names)
        return
    aligned = with_classes(table, names)
    rows = range(n)
    for column, of in enumerate(wanted):
        inside = of < c
        expected = soft[:, of] if inside else np.zeros(n)
        assert np.array_equal(aligned.soft_targets(rows)[:, column], expected)
        assert np.array_equal(aligned.targets(rows)[:, column], expected >= 0.5)
        assert np.array_equal(
            aligned.known_mask(rows)[:, column], known[:, of] if inside else np.zeros(n, bool)
        )
    assert aligned.class_names == tuple(names)


def test_parts_of_a_coco_data_set_numbered_otherwise(tmp_path: Path) -> None:
    def write(part: str, categories: dict[int, str], label: int) -> dict[str, str]:
        Image.new("RGB", (4, 4)).save(tmp_path / f"{part}.png")
        content = {
            "images": [{"id": 1, "file_name": f"{part}.png"}],
            "categories": [{"id": i, "name": name} for i, name in categories.items()],
            "annotations": [{"image_id": 1, "category_id": label}],
        }
        (tmp_path / f"{part}.json").write_text(json.dumps(content))
        return {"annotations": f"{part}.json", "images": "."}

    values = {
        "name": "coco",
        "root": str(tmp_path),
        "train": write("train", {1: "cat", 2: "dog", 3: "ox"}, 3),
        "test": write("test", {7: "ox", 8: "elk", 9: "cat"}, 7),
    }
    data = load_data(TypeAdapter(DataConfig).validate_python(values))
    assert data.test.class_names == ("cat", "dog", "ox")
    assert data.test.targets([0]).tolist() == [[0, 0, 1]]
    assert data.test.known_mask([0]).tolist() == [[True, False, True]]
    assert "test: 1 class is not in training and left out: 'elk' (0 labels" in " ".join(data.notes)
    assert "test: 1 class is not in the data, so nothing is known: 'dog'" in data.notes
    chosen = load_data(TypeAdapter(DataConfig).validate_python({**values, "class_names": ["ox"]}))
    assert chosen.train.class_names == chosen.test.class_names == ("ox",)
    assert "training: 2 classes are not in class_names and left out: 'cat', 'dog'" in " ".join(
        chosen.notes
    )
