"""Split: building, checking against the published figures, saving, applying."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlt.class_counts import ClassCounts
from mlt.data import (
    LabelTable,
    Split,
    build_pareto_split,
    build_published_split,
    full_split,
    read_coco,
    read_image_ids,
    read_voc,
)
from mlt.data.published import COCO_CLASSES, COCO_MLT, PUBLISHED, VOC_CLASSES, VOC_MLT
from mlt.errors import ConfigError, DataError, MissingFileError

Labels = Callable[[str], dict[str, list[int]]]


@pytest.mark.parametrize("name", ["coco_mlt", "voc_mlt"])
def test_the_figures_are_those_published(published: Path, name: str) -> None:
    expected = json.loads((published / "checks.json").read_text())[name]
    ours = PUBLISHED[name]
    assert ours.num_images == expected["num_images"]
    assert list(ours.class_counts) == expected["class_counts"]
    assert ours.sha256_sorted_ids == expected["sha256_sorted_ids"]
    assert len(ours.class_names) == len(ours.class_counts)
    groups = ClassCounts.from_counts(ours.class_counts, ours.num_images).groups
    assert tuple(len(groups[g]) for g in ("head", "medium", "tail")) == ours.group_sizes


def test_class_names_of_coco(published: Path) -> None:
    lines = (published / "coco_categories.txt").read_text().splitlines()
    assert tuple(line.split(maxsplit=1)[1] for line in lines) == COCO_CLASSES


@pytest.mark.slow
def test_voc_mlt_from_a_tree_of_xml_files(voc_devkit: Path, published_labels: Labels) -> None:
    table = read_voc(voc_devkit)
    assert len(table) == 11_540
    split = build_published_split("voc_mlt", table)
    assert list(split.image_ids) == list(published_labels("voc_mlt_train_ids"))
    assert split.matches_published is True and split.mismatches == ()
    assert split.sha256_sorted_ids == VOC_MLT.sha256_sorted_ids
    assert split.class_counts == VOC_MLT.class_counts


@pytest.mark.slow
def test_the_test_set_of_voc_mlt(voc_devkit: Path, published_labels: Labels) -> None:
    table = read_voc(voc_devkit, "VOC2007", "test")
    targets = table.targets(range(len(table)))
    read = zip(table.image_ids.tolist(), map(np.flatnonzero, targets))
    assert {image_id: classes.tolist() for image_id, classes in read} == published_labels(
        "voc2007_test_labels"
    )
    assert len(table) == 4_952


def coco_mlt_file(published_labels: Labels, folder: Path) -> tuple[Path, Path]:
    """A COCO file of the published COCO-MLT images, and a file of their ids."""
    lines = [(int(i), *classes) for i, classes in published_labels("coco_mlt_train_labels").items()]
    # Category ids with holes, as COCO has them.
    content = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg"} for i, *_ in sorted(lines)],
        "categories": [{"id": 3 * c + 1, "name": name} for c, name in enumerate(COCO_CLASSES)],
        "annotations": [
            {"image_id": i, "category_id": 3 * c + 1, "bbox": [0, 0, 9, 9], "area": 81}
            for i, *classes in lines
            for c in classes
        ],
    }
    annotations, ids = folder / "instances_train2017.json", folder / "img_id.pkl"
    annotations.write_text(json.dumps(content))
    ids.write_text("".join(f"{i}\n" for i, *_ in lines))
    return annotations, ids


def test_coco_mlt_from_the_published_ids(published_labels: Labels, tmp_path: Path) -> None:
    annotations, id_file = coco_mlt_file(published_labels, tmp_path)
    table = read_coco(annotations, tmp_path / "train2017", min_image_size=32)
    ids = read_image_ids(id_file)
    split = build_published_split("coco_mlt", table, image_ids=ids, sources=[annotations])
    assert split.matches_published is True and split.mismatches == ()
    assert split.num_images == 1909 and [str(i) for i in split.image_ids] == ids
    assert split.class_counts == COCO_MLT.class_counts
    assert split.sources[0]["file"] == "instances_train2017.json"
    assert len(split.sources[0]["sha256"]) == 64
    split.save(tmp_path / "split.json")
    assert Split.load(tmp_path / "split.json") == split
    assert json.loads((tmp_path / "split.json").read_text())["image_ids"][0] == int(ids[0])

    fewer = build_published_split("coco_mlt", table, image_ids=ids[1:])
    assert fewer.matches_published is False
    assert fewer.mismatches[0] == "1,908 images, but the published split has 1,909"
    assert "other image counts in 4 classes: person 1127 instead of 1128" in fewer.mismatches[1]
    assert "SHA-256" in fewer.mismatches[2]
    # The recipe needs all of train2017; from these images alone it cannot give the published list.
    assert build_published_split("coco_mlt", table).matches_published is False


def small_table(strings: bool = False) -> LabelTable:
    ids: list[Any] = list("abcdef") if strings else [10, 11, 12, 13, 14, 15]
    labels = [[0], [0, 1], [1], [0], [], [0, 2]]
    return LabelTable.from_lists(ids, [f"{i}.jpg" for i in ids], ["x", "y", "z"], labels)


def test_pareto_and_full(tmp_path: Path) -> None:
    table = small_table()
    split = build_pareto_split(table, "mine", b=3, max=2, min=1, seed=5)
    assert split.name == "mine" and split.matches_published is None
    assert split.recipe == {
        "name": "pareto",
        "selection": "generator",
        "b": 3,
        "max": 2,
        "min": 1,
        "seed": 5,
    }
    part = split.apply(table)
    assert part.image_ids.tolist() == list(split.image_ids)
    assert part.labels.sum(axis=0).tolist() == list(split.class_counts)
    assert min(split.class_counts) >= 1
    full = full_split(small_table(strings=True))
    assert full.image_ids == tuple("abcdef") and full.class_counts == (4, 2, 1)


def test_apply_checks_that_it_fits() -> None:
    table = small_table()
    split = build_pareto_split(table)
    relabelled = LabelTable.from_lists(
        table.image_ids.tolist(), table.paths, table.class_names, [[1]] * 6
    )
    with pytest.raises(DataError, match="labels are not those the split 'pareto' was made from"):
        split.apply(relabelled)
    renamed = LabelTable.from_lists([10], ["a"], ["x", "y", "q"], [[0]])
    with pytest.raises(DataError, match=r"only in the split: z; only in the annotations: q"):
        split.apply(renamed)
    with pytest.raises(DataError, match="image ids are not among"):
        split.apply(table.take([0, 1]))
    with pytest.raises(DataError, match="ids of this table are strings"):
        split.apply(small_table(strings=True))


def test_published_names_and_ids(caplog: Any) -> None:
    table = small_table()
    with pytest.raises(ConfigError, match="no published split 'lvis'; there are coco_mlt, voc_mlt"):
        build_published_split("lvis", table)
    split = build_published_split("coco_mlt", table, image_ids=["15", "10"])
    assert split.image_ids == (15, 10) and split.recipe["selection"] == "given ids"
    assert split.mismatches[1] == "3 classes, but the published split has 80"
    assert "not named as in COCO instances_train2017.json: only in coco_mlt: person" in caplog.text
    with pytest.raises(DataError, match="data set are integers, but '2008_000002' is not one"):
        build_published_split("coco_mlt", table, image_ids=["2008_000002"])
    with pytest.raises(DataError, match="'10 0 62' is not one; a file has one per line, alone"):
        build_published_split("coco_mlt", table, image_ids=["10 0 62"])
    with pytest.raises(DataError, match="1 of 2 image ids are not among the 6 images"):
        build_published_split("coco_mlt", table, image_ids=["10", "99"])
    with pytest.raises(DataError, match="more than once: 10"):
        build_published_split("coco_mlt", table, image_ids=["10", "10"])
    strings = build_published_split("voc_mlt", small_table(strings=True), image_ids=["b"])
    assert strings.image_ids == ("b",)


def test_unlabelled_images_do_not_take_part_in_the_draw(caplog: Any) -> None:
    # The original numbered the labelled images only, and the draw depends on the numbers.
    caplog.set_level(logging.ERROR)
    rng = np.random.default_rng(0)
    lists = [sorted(set(rng.integers(0, 20, 3).tolist())) for _ in range(3000)]
    with_gaps = [x for labels in lists for x in ([], labels)]
    dense = LabelTable.from_lists(range(3000), map(str, range(3000)), VOC_CLASSES, lists)
    gaps = LabelTable.from_lists(range(6000), map(str, range(6000)), VOC_CLASSES, with_gaps)
    expected = [2 * i + 1 for i in build_published_split("voc_mlt", dense).image_ids]  # type: ignore[operator]
    assert list(build_published_split("voc_mlt", gaps).image_ids) == expected


def test_an_empty_split_is_an_error() -> None:
    empty = LabelTable.from_lists([1], ["a"], ["x"], [[]])
    for build in (build_pareto_split, lambda t: build_published_split("voc_mlt", t)):
        with pytest.raises(DataError, match="is empty: no image was selected"):
            build(empty)
    with pytest.raises(DataError, match="more than once"):
        Split("s", (1, 1), ("x",), (2,), {})
    with pytest.raises(DataError, match="mixes integers and strings"):
        Split("s", (1, "1"), ("x",), (2,), {})
    with pytest.raises(DataError, match="1 class names but 2 class counts"):
        Split("s", (1,), ("x",), (2, 3), {})


json_values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()


@given(
    ids=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, unique=True)
    | st.lists(st.text(), min_size=1, unique=True),
    names=st.lists(st.text(min_size=1), unique=True),
    recipe=st.dictionaries(st.text(), json_values),
    matches=st.none() | st.booleans(),
    sentences=st.lists(st.text()),
)
def test_round_trip(
    tmp_path_factory: Any,
    ids: list[Any],
    names: list[str],
    recipe: dict[str, Any],
    matches: bool | None,
    sentences: list[str],
) -> None:
    file = tmp_path_factory.mktemp("split") / "split.json"
    counts = tuple(range(len(names)))
    sources = ({"file": "a.json", "sha256": "0"},)
    split = Split("s", tuple(ids), tuple(names), counts, recipe, sources, matches, tuple(sentences))
    split.save(file)
    assert Split.load(file) == split


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(version=2), r"of version 2, but this is mlt for version 1"),
        (lambda d: d.pop("class_names"), "missing required field `class_names`"),
        (lambda d: d.update(extra=1), "unknown field `extra`"),
        (lambda d: d["image_ids"].pop(), "not those it was written with"),
        (lambda d: d.update(num_images=7), "not those it was written with"),
        (lambda d: d.update(image_ids=[]), r"split\.json: the split 'full' is empty"),
        (lambda d: d.update(class_counts=[1.5, 1, 1]), "Expected `int`, got `float`"),
        (lambda d: d.update(matches_published="yes"), "got `str`"),
    ],
)
def test_a_changed_file_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    file = tmp_path / "split.json"
    full_split(small_table()).save(file)
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message) as caught:
        Split.load(file)
    assert str(file) in str(caught.value)


def test_no_file_no_json(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no split"):
        Split.load(tmp_path / "absent.json")
    (tmp_path / "split.json").write_text('{"version": 1,')
    with pytest.raises(DataError, match="is not a split: Input data was truncated"):
        Split.load(tmp_path / "split.json")


def test_read_image_ids(tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_bytes("\ufeff2008_000002 \r\n\r\n000000000139\n".encode())
    assert read_image_ids(file) == ["2008_000002", "000000000139"]
    file.write_text("\n")
    with pytest.raises(DataError, match="has no image id"):
        read_image_ids(file)
    file.write_bytes(b"\x80\x04\x95")
    with pytest.raises(DataError, match="is not text"):
        read_image_ids(file)
    with pytest.raises(MissingFileError, match="no file of image ids"):
        read_image_ids(tmp_path / "absent.txt")
