"""LabelTable: content, self-checks, look-up, saving."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array

from mlt.data import LabelTable
from mlt.data.columns import StringColumn
from mlt.errors import DataError, MissingFileError

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@st.composite
def tables(draw: st.DrawFn) -> tuple[LabelTable, np.ndarray, np.ndarray | None]:
    """A table, and its labels and known entries as dense arrays."""
    n, c = draw(st.integers(0, 8)), draw(st.integers(0, 5))
    bits = st.lists(st.booleans(), min_size=n * c, max_size=n * c)
    labels = np.array(draw(bits), bool).reshape(n, c)
    known = np.array(draw(bits), bool).reshape(n, c) | labels if draw(st.booleans()) else None
    if draw(st.booleans()):
        ids: list[Any] = draw(st.lists(TEXT, min_size=n, max_size=n, unique=True))
    else:
        ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=n, max_size=n, unique=True))
    table = LabelTable.from_lists(
        ids,
        [f"images/{i}.jpg" for i in range(n)],
        draw(st.lists(TEXT.filter(bool), min_size=c, max_size=c, unique=True)),
        [np.flatnonzero(row).tolist() for row in labels],
        known_indices=None if known is None else [np.flatnonzero(r).tolist() for r in known],
    )
    return table, labels, known


@given(tables(), st.data())
def test_dense_views_and_take(case: Any, data: st.DataObject) -> None:
    table, labels, known = case
    rows = data.draw(st.permutations(range(len(table))))
    rows = rows[: data.draw(st.integers(0, len(table)))]
    full = np.ones_like(labels) if known is None else known
    for part, index in ((table, rows), (table.take(rows), range(len(rows)))):
        targets, mask = part.targets(list(index)), part.known_mask(list(index))
        assert targets.dtype == np.float32 and mask.dtype == np.bool_
        assert np.array_equal(targets, labels[list(rows)])
        assert np.array_equal(mask, full[list(rows)])
    taken = table.take(rows)
    assert list(taken.image_ids) == [table.image_ids[r] for r in rows]
    assert list(taken.paths) == [table.paths[r] for r in rows]
    assert table.find(list(taken.image_ids)).tolist() == list(rows)


@given(tables())
def test_save_and_load_keep_everything(tmp_path_factory: Any, case: Any) -> None:
    table, labels, known = case
    file = tmp_path_factory.mktemp("table") / "table.npz"
    table.save(file)
    loaded = LabelTable.load(file)
    assert loaded.digest() == table.digest()
    assert list(loaded.image_ids) == list(table.image_ids)
    assert type(loaded.image_ids) is type(table.image_ids) or len(table) == 0
    assert (loaded.paths, loaded.class_names) == (table.paths, table.class_names)
    assert np.array_equal(loaded.labels.toarray(), labels)
    assert (loaded.known is None) == (known is None)
    assert loaded.root == table.root
    assert LabelTable.load(file, root="/elsewhere").root == Path("/elsewhere")


def simple(**changes: Any) -> LabelTable:
    parts: dict[str, Any] = {
        "image_ids": np.array([5, 3, 9]),
        "paths": StringColumn.from_iterable(["5.jpg", "3.jpg", "sub/9.jpg"]),
        "class_names": ("cat", "dog"),
        "labels": csr_array(np.array([[1, 0], [1, 1], [0, 0]], bool)),
        "root": Path("photos"),
    }
    return LabelTable(**{**parts, **changes})


def test_basics() -> None:
    table = simple()
    assert (len(table), table.num_classes, table.has_string_ids) == (3, 2, False)
    assert table.image_path(2) == Path("photos/sub/9.jpg")
    assert table.image_ids.dtype == np.int64
    assert table.labels.dtype == np.bool_ and table.labels.indices.dtype == np.int32
    assert table.targets([-1, 1]).tolist() == [[0, 0], [1, 1]]
    assert table.find([]).tolist() == []
    assert table.find(np.array([9, 5])).tolist() == [2, 0]
    assert table.take([]).targets([]).shape == (0, 2)
    assert repr(table) == ("LabelTable(3 images, 2 classes, 3 labels, all known, root='photos')")


def test_labels_become_canonical_and_the_input_stays() -> None:
    # Row 0: repeated entries of one class, unsorted; row 1: an explicit zero; row 2: twice.
    data = np.array([1, 1, 1, 0, 1, 1], np.int8)
    given_labels = csr_array((data, [1, 1, 0, 0, 0, 0], [0, 3, 4, 6]), shape=(3, 2))
    table = simple(labels=given_labels)
    assert table.labels.indices.tolist() == [0, 1, 0] and table.labels.has_canonical_format
    assert table.targets([0, 1, 2]).tolist() == [[1, 1], [0, 0], [1, 0]]
    assert given_labels.data.tolist() == [1, 1, 1, 0, 1, 1]
    bits = csr_array((np.ones(3, bool), [1, 1, 0], [0, 3, 3, 3]), shape=(3, 2))
    assert simple(labels=bits).labels.indices.tolist() == [0, 1] and bits.nnz == 3
    assert simple(labels=coo_array(np.eye(3, 2))).labels.nnz == 2


def test_digest_is_of_the_content() -> None:
    table = simple()
    wide = csr_array(table.labels.astype(np.int64))
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    same = simple(root="elsewhere", labels=wide)
    assert same.digest() == table.digest()
    assert pickle.loads(pickle.dumps(table)).digest() == table.digest()  # noqa: S301
    others = [
        simple(image_ids=np.array([5, 3, 8])),
        simple(image_ids=StringColumn.from_iterable(["5", "3", "9"])),
        simple(class_names=("dog", "cat")),
        simple(labels=csr_array(np.array([[0, 1], [1, 1], [0, 0]], bool))),
        simple(known=csr_array(np.ones((3, 2), bool))),
        table.take([1, 0, 2]),
    ]
    assert len({other.digest() for other in [table, *others]}) == 7


def test_cannot_be_changed() -> None:
    table = simple()
    with pytest.raises(AttributeError):
        table.root = Path()  # type: ignore[misc]
    for array in (table.image_ids, table.labels.data, table.labels.indices, table.labels.indptr):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_ids": np.array([5, 3, 5])}, "more than once: 5"),
        ({"image_ids": StringColumn.from_iterable(["a", "b", "a"])}, "more than once: 'a'"),
        ({"image_ids": np.array([1.0, 2, 3])}, "array of integers"),
        ({"image_ids": np.array([[1], [2], [3]])}, "array of integers"),
        ({"class_names": ("cat", "cat")}, "more than once: cat"),
        ({"class_names": ("cat", "")}, "not empty"),
        ({"class_names": ("cat", 7)}, "must be strings"),
        ({"class_names": ("cat", "dog", "cow")}, "3 class names"),
        ({"paths": StringColumn.from_iterable(["a"])}, "3 image ids but 1 paths"),
        ({"paths": StringColumn.from_iterable(["a", "", "c"])}, "empty path, first of id 3"),
        ({"labels": csr_array((2, 2), dtype=bool)}, r"shape \(2, 2\)"),
        (
            {"labels": csr_array([[0, 1], [-1, 0], [0, 0]])},
            "labels must be 0 or 1, got -1; what is",
        ),
        ({"labels": csr_array([[0, 0.3], [1, 0], [0, 0]])}, "labels must be 0 or 1, got 0.3"),
        ({"labels": csr_array([[np.nan, 1], [1, 0], [0, 0]])}, "labels must be 0 or 1, got nan"),
        ({"known": csr_array([[1, 2], [1, 1], [1, 1]])}, "known must be 0 or 1, got 2"),
        ({"known": csr_array(np.array([[1, 1], [1, 0], [1, 1]]))}, "image 3 has the label 'dog'"),
    ],
)
def test_contradictions_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        simple(**changes)


def test_bad_indices_are_named() -> None:
    with pytest.raises(DataError, match=r"class index 2 is not in 0\.\.1"):
        LabelTable.from_lists([1], ["a"], ["x", "y"], [[2]])
    with pytest.raises(DataError, match="1 image ids but 2 lists"):
        LabelTable.from_lists([1], ["a"], ["x"], [[], []])
    with pytest.raises(DataError, match="all integers or all strings"):
        LabelTable.from_lists([1, "b"], ["a", "b"], ["x"], [[], []])  # type: ignore[list-item]
    broken = csr_array((np.ones(1, bool), [0], [0, 1, 1, 1]), shape=(3, 2))
    broken.indices[0] = 7
    with pytest.raises(DataError, match="not a valid sparse array"):
        simple(labels=broken)


def test_find_names_what_is_missing() -> None:
    with pytest.raises(DataError, match=r"2 of 3 image ids .* 4, 6; are they of another"):
        simple().find([4, 5, 6])
    with pytest.raises(DataError, match=r"ids of this table are integers, .* '5' \(str\)"):
        simple().find(["5"])
    strings = simple(image_ids=StringColumn.from_iterable(["5", "3", "9"]))
    with pytest.raises(DataError, match=r"are strings, but asked for was 5 \(int\)"):
        strings.find([5])
    with pytest.raises(DataError, match="7 of 7 image ids"):
        strings.find(list("abcdefg"))
    with pytest.raises(DataError, match="not among the 0 images"):
        simple().take([]).find([5])
    with pytest.raises(DataError, match="more than once"):
        simple().take([1, 1])
    with pytest.raises(IndexError):
        simple().targets([3])


def test_load_explains_itself(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no label table"):
        LabelTable.load(tmp_path / "absent.npz")
    file = tmp_path / "table.npz"
    simple().save(file)
    whole = file.read_bytes()
    for damaged in (b"", b"not a zip", whole[:-40], whole[:99] + b"?" + whole[100:]):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match="damaged or not a label table"):
            LabelTable.load(file)
    for value, message in (
        (np.array("mlt.LabelTable/9"), "this version reads mlt.LabelTable/1"),
        (np.array({"pickled": 1}, dtype=object), "allow_pickle=False"),
        (np.array([1, 2]), "damaged or not a label table"),
    ):
        with file.open("wb") as stream:
            np.savez(stream, format=value)
        with pytest.raises(DataError, match=message):
            LabelTable.load(file)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "table.npz"
    simple().save(file)
    before = file.read_bytes()

    def full_disk(*args: Any, **arrays: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("mlt.data.label_file.write_arrays", full_disk)
    with pytest.raises(OSError, match="No space"):
        simple(class_names=("a", "b")).save(file)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["table.npz"]


def test_soft_targets_groups_and_notes_are_kept(tmp_path: Path) -> None:
    soft = csr_array(np.array([[0.25, 1.0], [0.5, 0.0], [0.0, 0.0]], np.float32))
    table = LabelTable(
        np.arange(3),
        None,
        ("cat", "dog"),
        csr_array(soft >= 0.5),
        soft=soft,
        groups=StringColumn.from_iterable(["p1", "p2", "p1"]),
        notes=("read by hand",),
    )
    table.save(tmp_path / "table.npz")
    loaded = LabelTable.load(tmp_path / "table.npz")
    assert loaded.digest() == table.digest() and loaded.notes == ("read by hand",)
    taken = loaded.take([2, 0])
    assert taken.soft_targets([0, 1]).tolist() == [[0, 0], [0.25, 1]]
    assert taken.targets([0, 1]).tolist() == [[0, 0], [0, 1]]
    assert taken.groups is not None and taken.groups.tolist() == ["p1", "p1"]


@pytest.mark.parametrize(
    ("soft", "known", "groups", "message"),
    [
        ([[1.5, 1]], None, None, "must be in 0..1, got 1.5"),
        ([[-0.5, 1]], None, None, "must be in 0..1, got -0.5"),
        ([[0.5, 1]], None, None, "from 0.5 on"),
        ([[0.25, 1]], [[0, 1]], None, "marked as not known"),
        ([[0.25, 1]], None, ["a", "b"], "1 image ids but 2 groups"),
    ],
)
def test_refuses_soft_targets_and_groups_that_do_not_fit(
    soft: Any, known: Any, groups: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        LabelTable(
            np.arange(1),
            None,
            ("cat", "dog"),
            csr_array(np.array([[0, 1]], bool)),
            None if known is None else csr_array(np.array(known, bool)),
            soft=csr_array(np.array(soft, np.float32)),
            groups=None if groups is None else StringColumn.from_iterable(groups),
        )


def test_names_and_ids_with_a_nul_are_refused() -> None:
    with pytest.raises(DataError, match=r"class name 'a\\x00' holds a NUL"):
        LabelTable.from_lists([1], ["1.jpg"], ["a", "a\0"], [[0]])
    with pytest.raises(DataError, match=r"image id 'x\\x00' holds a NUL"):
        LabelTable.from_lists(["x", "x\0"], ["1.jpg", "2.jpg"], ["a"], [[0], []])
