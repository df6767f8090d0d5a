"""Means over groups, undefined classes, tables and predictions on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlt.class_groups import GroupLimits
from mlt.errors import ConfigError, DataError, MissingFileError
from mlt.metrics import (
    Predictions,
    average_precision,
    class_table,
    rates_table,
    result_table,
    summarize,
)


def make_predictions(**changes: object) -> Predictions:
    """Four images; AP 1, 1/2, undefined and 1/4; a head, a medium and two tail classes."""
    parts = {
        "image_ids": np.array([11, 12, 13, 14]),
        "logits": np.array(
            [[4, 1, 0, 1], [3, 2, 0, 1], [2, 3, 1, 1], [1, 4, 2, 1]], dtype=np.float32
        ),
        "targets": np.array([[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=bool),
        "class_names": ("person", "cat", "yeti", "hair drier"),
        "class_counts": np.array([150, 50, 0, 5]),
        "num_train_images": 200,
    }
    return Predictions(**{**parts, **changes})  # type: ignore[arg-type]


def test_means_over_groups_leave_undefined_classes_out() -> None:
    summary = summarize(make_predictions())
    assert summary.head == 1.0
    assert summary.medium == 0.5
    assert summary.tail == 0.25  # of two classes one is undefined and counts in no mean
    assert summary.total == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert summary.undefined == ("yeti",)
    assert [c.n_test for c in summary.per_class] == [1, 1, 0, 1]
    assert [c.n_train for c in summary.per_class] == [150, 50, 0, 5]


def test_json_has_null_where_a_number_is_undefined() -> None:
    values = json.loads(json.dumps(summarize(make_predictions()).to_json(), allow_nan=False))
    assert values["mAP"]["tail"] == 0.25
    assert values["per_class"][2] == {
        "name": "yeti", "group": "tail", "AP": None, "AP_corrected": None, "AP_interval": None,
        "AUROC": None, "AUROC_interval": None,
        "n_train": 0, "n_test": 0, "prevalence": 0.0, "lift": None,
    }  # fmt: skip
    assert values["undefined_classes"] == ["yeti"]
    assert values["limits"] == {"head": 100, "tail": 20}


def test_a_group_without_classes_is_undefined() -> None:
    summary = summarize(make_predictions(), limits=GroupLimits(head=1000, tail=0))
    assert np.isnan(summary.head)
    assert np.isnan(summary.tail)
    assert summary.to_json()["mAP"]["head"] is None


def test_an_unknown_positive_is_not_counted() -> None:
    known = np.ones((4, 4), bool)
    known[0, 0] = False
    summary = summarize(make_predictions(known=known))
    assert summary.per_class[0].n_test == 0
    assert "person" in summary.undefined


def test_tables_name_what_they_count() -> None:
    summary = summarize(make_predictions())
    text = result_table(summary)
    assert "100 images or more" in text
    assert "20 to 99 images" in text
    assert "yeti" in text
    assert "58.33" in text
    assert "over 4 test images" in text
    lines = class_table(summary).splitlines()
    assert lines[1].split() == ["person", "head", "150", "1", "100.00", "4.0", "100.00", "-"]
    assert lines[-1].split() == ["yeti", "tail", "0", "0", "-", "-", "-", "-"]


def test_no_image_is_an_error() -> None:
    empty = make_predictions(
        image_ids=np.array([], int), logits=np.zeros((0, 4), np.float32),
        targets=np.zeros((0, 4), bool),
    )  # fmt: skip
    with pytest.raises(DataError, match="test split is empty"):
        summarize(empty)


@pytest.mark.parametrize("ids", [np.array([1, 2, 3, 2**40]), np.array(["a", "b", "ü", "dd"])])
@pytest.mark.parametrize("masked", [False, True])
def test_predictions_survive_the_disk(tmp_path: Path, ids: np.ndarray, masked: bool) -> None:
    known = np.random.default_rng(0).random((4, 4)) < 0.5 if masked else None
    saved = make_predictions(image_ids=ids, known=known, class_names=("ä", "b", "c d", "e"))
    saved.save(tmp_path / "p.npz")
    loaded = Predictions.load(tmp_path / "p.npz")
    for name in ("image_ids", "logits", "targets", "class_counts", "known"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
    assert loaded.class_names == saved.class_names
    assert loaded.logits.dtype == np.float32
    before = average_precision(saved.targets, saved.logits)
    np.testing.assert_array_equal(average_precision(loaded.targets, loaded.logits), before)


def test_diverged_predictions_are_refused_by_name() -> None:
    logits = make_predictions().logits.copy()
    logits[1, 3] = np.nan
    with pytest.raises(DataError, match=r"image 12, class 'hair drier' is NaN"):
        make_predictions(logits=logits)


def test_contradicting_shapes_are_all_named() -> None:
    with pytest.raises(DataError, match=r"class_names.*class_counts"):
        make_predictions(class_names=("a",), class_counts=np.array([1]))


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no predictions file"):
        Predictions.load(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match="damaged or not an npz file"):
        Predictions.load(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", logits=np.zeros(3))
    with pytest.raises(DataError, match="lacks image_ids, targets"):
        Predictions.load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickle.npz", image_ids=np.array([object()], dtype=object))
    with pytest.raises(DataError):
        Predictions.load(tmp_path / "pickle.npz")


def test_details_are_plain_and_complete() -> None:
    values = json.loads(json.dumps(summarize(make_predictions()).to_json(), allow_nan=False))
    assert set(values["rates"]) >= {"CP", "CR", "CF1", "OP", "OR", "OF1", "sample_f1", "threshold"}
    assert set(values["rates_top3"]) >= {"CP", "CF1"}
    assert set(values["label_order"]) == {
        "ranking_loss", "coverage", "one_error", "num_images", "lrap",
    }  # fmt: skip
    assert values["intervals"]["mAP"]["total"] is None  # every class has one positive
    assert values["per_class"][0]["prevalence"] == 0.25
    assert values["per_class"][0]["lift"] == 4.0


def test_without_details_means_are_the_same() -> None:
    predictions = make_predictions()
    short, full = summarize(predictions, details=False), summarize(predictions)
    assert short.details is None
    assert short.total == pytest.approx(full.total, abs=1e-12)
    assert set(short.to_json()) < set(full.to_json())
    assert rates_table(short) == ""
    assert "interval" not in result_table(short)


def test_thresholds_a_class_reach_the_rates_and_the_json() -> None:
    summary = summarize(make_predictions(), threshold=[4.0, np.inf, 0.0, 0.0])
    values = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert values["rates"]["threshold"] == [4.0, "never", 0.0, 0.0]
    assert values["rates"]["never_predicted"] == 1
    assert "at each class's threshold" in rates_table(summary)


def test_the_rates_table_says_what_was_counted() -> None:
    lines = rates_table(summarize(make_predictions())).splitlines()
    assert lines[0].split() == ["labels", "given", "CP", "CR", "CF1", "OP", "OR", "OF1"]
    assert lines[1].startswith("at logit 0")
    assert "micro AP" in lines[-1]


def test_an_image_that_is_there_twice_is_refused() -> None:
    with pytest.raises(DataError, match="image 12 is there twice"):
        make_predictions(image_ids=np.array([11, 12, 12, 14]))


def test_a_summary_prints_its_table() -> None:
    summary = summarize(make_predictions())
    assert str(summary) == result_table(summary)


def test_without_training_counts_there_are_no_groups() -> None:
    parts = make_predictions()
    summary = summarize(parts.logits, parts.targets, class_names=parts.class_names)
    known = summarize(parts)
    assert summary.total == known.total
    assert np.isnan([summary.head, summary.medium, summary.tail]).all()
    assert summary.details is not None and known.details is not None
    total = summary.details.intervals.means["total"]
    assert total == known.details.intervals.means["total"] or np.isnan(total.low)
    printed = str(summary)
    assert "head" not in printed.splitlines()[2]
    assert "without training counts" in printed
    assert class_table(summary).splitlines()[1].split()[:3] == ["person", "-", "-"]
    values = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert values["num_classes"] == {"total": 4}
    assert values["per_class"][0]["group"] is None
    assert values["per_class"][0]["n_train"] is None


def test_arrays_are_evaluated_as_predictions_are() -> None:
    parts = make_predictions(known=np.arange(16).reshape(4, 4) % 5 > 0)
    found = summarize(
        parts.logits,
        parts.targets,
        class_counts=parts.class_counts,
        class_names=parts.class_names,
        known=parts.known,
    )
    assert found.to_json() == summarize(parts).to_json()


def test_predictions_and_arrays_are_not_mixed() -> None:
    parts = make_predictions()
    with pytest.raises(ConfigError, match="of their own"):
        summarize(parts, parts.targets)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="of their own"):
        summarize(parts, class_counts=[1, 2, 3, 4])  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="targets are missing"):
        summarize(parts.logits)  # type: ignore[call-overload]
