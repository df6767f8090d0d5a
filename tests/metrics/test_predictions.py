"""What a set of predictions may hold, and that a file brings the same back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from scipy.sparse import csr_array

from mlt.class_counts import ClassCounts
from mlt.errors import DataError
from mlt.predictions import Predictions, align


def make(**changes: object) -> Predictions:
    parts = {
        "image_ids": np.arange(2),
        "logits": np.array([[1, -1], [2, 0.5]], np.float32),
        "targets": np.array([[True, False], [False, True]]),
        "class_names": ("cat", "dog"),
        "class_counts": np.array([3, 4]),
        "num_train_images": 9,
    }
    return Predictions(**{**parts, **changes})


@pytest.mark.parametrize("wrong", [-1, 2, 0.5, np.nan])
def test_a_target_is_0_or_1_where_it_is_known(tmp_path: Path, wrong: float) -> None:
    targets = np.array([[1, wrong], [0, 1]])
    with pytest.raises(DataError, match=r"targets must be 0 or 1.*image 0, class 1"):
        make(targets=targets)
    unknown = make(targets=targets, known=np.array([[True, False], [True, True]]))
    unknown.save(tmp_path / "p.npz")
    for predictions in (unknown, Predictions.load(tmp_path / "p.npz")):
        assert predictions.targets.dtype == bool
        assert predictions.targets.tolist() == [[True, False], [False, True]]


def test_targets_that_are_class_numbers_are_explained() -> None:
    with pytest.raises(DataError, match=r"targets have the shape \(2,\), expected \(N, C\)"):
        make(targets=np.array([0, 1]))


def test_logits_are_float32_in_memory_as_in_the_file(tmp_path: Path) -> None:
    predictions = make(logits=np.array([[0.1, -1], [2, 0.5]]))
    assert predictions.logits.dtype == np.float32
    predictions.save(tmp_path / "p.npz")
    again = Predictions.load(tmp_path / "p.npz")
    np.testing.assert_array_equal(again.logits, predictions.logits)


@pytest.mark.parametrize("dtype", [np.float16, np.int64])
def test_logits_of_another_type_are_refused(dtype: type) -> None:
    with pytest.raises(DataError, match="logits must be float32"):
        make(logits=np.ones((2, 2), dtype))


@pytest.mark.parametrize("ids", [["b.jpg", "a.jpg"], [7, 3]])
def test_image_ids_of_a_pandas_column_are_read_back(tmp_path: Path, ids: list) -> None:
    make(image_ids=np.array(ids, object)).save(tmp_path / "p.npz")
    assert Predictions.load(tmp_path / "p.npz").image_ids.tolist() == ids


def test_image_ids_that_are_neither_integers_nor_strings_are_refused() -> None:
    for ids in (np.array(["a", 1], object), np.array(["a", None], object), np.array([0.5, 1])):
        with pytest.raises(DataError, match=r"all integers or all strings.*astype\(str\)"):
            make(image_ids=ids)


def test_a_name_without_ending_is_kept(tmp_path: Path) -> None:
    make().save(tmp_path / "noext")
    assert [path.name for path in tmp_path.iterdir()] == ["noext"]
    assert Predictions.load(tmp_path / "noext").targets.tolist() == make().targets.tolist()


def test_images_of_another_order_are_aligned() -> None:
    first = make(known=np.array([[True, False], [True, True]]))
    second = first.take(np.array([1, 0]))
    again = align(first, second)
    for name in ("image_ids", "logits", "targets", "known"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("dog", "cat")}, "different classes"),
        ({"image_ids": np.array([1, 2])}, "0 is only in the first"),
        ({"targets": np.array([[False, True], [True, False]])}, "different targets"),
        ({"known": np.array([[True, False], [True, True]])}, "different targets"),
    ],
)
def test_predictions_that_cannot_be_aligned_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        align(make(), make(**changes))
    with pytest.raises(DataError, match=r"different images \(2 and 1\)"):
        align(make(), make().take(np.array([0])))


def test_logits_and_targets_are_enough(tmp_path: Path) -> None:
    made = Predictions.from_arrays([[0.5, -1.0], [2.0, 0.25]], [[1, 0], [0, 1]])
    assert made.image_ids.tolist() == [0, 1]
    assert made.class_names == ("0", "1")
    assert made.class_counts is None
    made.save(tmp_path / "p.npz")
    again = Predictions.load(tmp_path / "p.npz")
    assert again.class_counts is None and again.num_train_images is None
    np.testing.assert_array_equal(again.logits, made.logits)
    with pytest.raises(DataError, match="give class_counts"):
        again.training_counts()


def test_what_is_not_known_is_never_positive() -> None:
    known = np.array([[False, True], [True, True]])
    assert make(known=known).targets.tolist() == [[False, False], [False, True]]


def test_class_counts_are_whole() -> None:
    assert make(class_counts=[3.0, 4.0]).class_counts.tolist() == [3, 4]
    with pytest.raises(DataError, match="whole numbers"):
        make(class_counts=[3.5, 4])


def test_class_counts_bring_names_and_images_along() -> None:
    counts = ClassCounts.from_counts([30, 4], num_images=40, names=["cat", "yeti"])
    made = Predictions.from_arrays([[0.5, 1.0]], [[1, 0]], class_counts=counts)
    assert made.class_names == ("cat", "yeti")
    assert (made.class_counts.tolist(), made.num_train_images) == ([30, 4], 40)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("cat", "cat")}, "class name 'cat' is there twice"),
        (
            {
                "class_names": (),
                "class_counts": None,
                "logits": np.zeros((2, 0), np.float32),
                "targets": np.zeros((2, 0), int),
            },
            "have no class",
        ),
        ({"targets": pandas.DataFrame([[1, None], [0, 1]], dtype="Int64")}, "got <NA> at image 0"),
        ({"targets": np.array([["1", "0"], ["0", "1"]])}, "must be 0 or 1; got '1' at image 0"),
        ({"targets": csr_array(np.eye(2))}, r"csr_array cannot be made into an array.*toarray\(\)"),
        ({"targets": torch.eye(2).to_sparse()}, r"tensor is sparse .*give its to_dense\(\)"),
        ({"known": np.ma.masked_array(np.ones((2, 2), bool), mask=np.eye(2))}, "hides 2 of its 4"),
        ({"known": np.array([["yes", "no"]] * 2)}, "known must be True"),
        ({"image_ids": [2**63, 1]}, r"below 2\*\*63 as integers; give larger ones as strings"),
    ],
)
def test_arrays_that_are_not_what_they_should_be(changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**changes)


def test_objects_that_are_numbers_are_taken() -> None:
    """A column of pandas that may have gaps is an array of objects."""
    frame = pandas.DataFrame([[1, None], [0, 1]], dtype="Int64")
    known = frame.notna().astype("boolean")
    made = make(targets=frame, known=known)
    assert made.targets.tolist() == [[True, False], [False, True]]
    assert made.known.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize("dtype", [">f4", ">f8"])
def test_logits_may_have_the_other_order_of_bytes(dtype: str) -> None:
    made = make(logits=np.array([[1, -1], [2, 0.5]], dtype))
    assert made.logits.dtype == np.float32 and made.logits.dtype.isnative
    assert made.logits.tolist() == make().logits.tolist()


def test_ids_of_a_list_are_not_turned_into_strings_silently() -> None:
    assert make(image_ids=["b", "a"]).image_ids.tolist() == ["b", "a"]
    with pytest.raises(DataError, match="all integers or all strings"):
        make(image_ids=["b", 1])


def test_known_is_true_or_false() -> None:
    with pytest.raises(DataError, match="known must be True where"):
        make(known=np.full((2, 2), 0.5))


def test_lists_of_different_lengths() -> None:
    with pytest.raises(DataError, match="cannot be made into an array"):
        Predictions.from_arrays([[1.0, 2.0], [1.0]], [[1, 0], [1]])


def test_names_and_ids_that_a_file_would_cut_short_are_refused() -> None:
    with pytest.raises(DataError, match=r"class name 'a\\x00' holds a NUL"):
        make(class_names=("a", "a\0"))
    with pytest.raises(DataError, match=r"image id 'b\\x00' holds a NUL"):
        make(image_ids=["b", "b\0"])
