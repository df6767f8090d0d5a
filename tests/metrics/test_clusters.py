"""Intervals, tests and checks where several images belong to one patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlt.errors import DataError
from mlt.metrics import (
    Predictions,
    aggregate_seeds,
    auroc_intervals,
    average_precision_intervals,
    compare_seeds,
    summarize,
    tune_decision,
)
from mlt.metrics.confidence.clusters import Clusters
from mlt.predictions import align

INTERVALS = [average_precision_intervals, auroc_intervals]


def images(n: int = 100, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.random((n, 3)) < [0.4, 0.2, 0.1]
    return targets, rng.normal(size=(n, 3)) + targets


def four_times(seed: int = 0) -> dict[str, Any]:
    """A hundred images, each there four times with almost the same scores."""
    targets, scores = images()
    noise = 1e-6 * np.random.default_rng(seed).normal(size=(400, 3))
    return {
        "logits": (np.tile(scores, (4, 1)) + noise).astype(np.float32),
        "targets": np.tile(targets, (4, 1)),
        "class_names": ["a", "b", "c"],
        "class_counts": [500, 50, 5],
    }


PATIENTS = np.tile(np.arange(100), 4).astype(str)


@pytest.mark.parametrize("intervals", INTERVALS)
def test_copies_of_images_say_nothing_new(intervals: Any) -> None:
    """With their groups, the interval of the copies is that of the hundred images."""
    targets, scores = images()
    once = intervals(targets, scores)
    copies = four_times()
    grouped = intervals(copies["targets"], copies["logits"], image_groups=PATIENTS)
    for a, b in zip([*once.per_class, once.means["total"]],
                    [*grouped.per_class, grouped.means["total"]], strict=True):  # fmt: skip
        assert (b.low, b.high) == pytest.approx((a.low, a.high), abs=0.005)
    ungrouped = intervals(copies["targets"], copies["logits"]).means["total"]
    assert ungrouped.high - ungrouped.low < 0.6 * (b.high - b.low)


@pytest.mark.parametrize("intervals", INTERVALS)
@pytest.mark.parametrize("groups", [np.arange(100), [""] * 100])
def test_groups_of_one_image_change_nothing(intervals: Any, groups: Any) -> None:
    targets, scores = images()
    known = np.random.default_rng(1).random(targets.shape) < 0.8
    plain = intervals(targets, scores, known)
    grouped = intervals(targets, scores, known, image_groups=groups)
    for a, b in zip([*plain.per_class, plain.means["total"]],
                    [*grouped.per_class, grouped.means["total"]], strict=True):  # fmt: skip
        assert (b.low, b.high, b.centre) == pytest.approx((a.low, a.high, a.centre), rel=1e-12)


def test_all_positives_of_one_patient_say_nothing_of_another() -> None:
    scores = np.arange(50.0)[:, None]
    targets = scores > 44
    groups = np.where(targets[:, 0], "anna", "")
    assert average_precision_intervals(targets, scores).per_class[0].defined
    for intervals in INTERVALS:
        found = intervals(targets, scores, image_groups=groups)
        assert not found.per_class[0].defined
        assert found.to_json() == {"total": None}


def test_auroc_is_as_sure_as_the_rarer_kind_of_patients() -> None:
    """Many healthy images of two patients are worth two."""
    rng = np.random.default_rng(0)
    targets = np.arange(80)[:, None] < 40
    scores = rng.normal(size=(80, 1)) + targets
    groups = np.concatenate([np.arange(40), np.repeat([100, 101], 20)])
    wide = auroc_intervals(targets, scores, image_groups=groups).per_class[0]
    assert wide.high - wide.low > 2 * 0.2
    assert wide.low < 0.025 ** (1 / 2)


def test_runs_over_seeds_and_their_differences() -> None:
    _, scores = images()
    rng = np.random.default_rng(3)
    other = scores + rng.normal(size=scores.shape)
    copies = four_times()

    def runs(values: np.ndarray, groups: Any = None) -> list[Predictions]:
        n = len(values)
        return [Predictions.from_arrays(
            values.astype(np.float32), copies["targets"][:n], groups=groups
        )]  # fmt: skip

    again = copies["logits"] - np.tile(scores, (4, 1)) + np.tile(other, (4, 1))
    for metric in ("AP", "AUROC"):
        once = compare_seeds(runs(scores), runs(other), metric=metric)["total"]
        sides = runs(copies["logits"], PATIENTS), runs(again)
        for first, second in (sides, sides[::-1]):  # one side that knows the patients is enough
            found = compare_seeds(first, second, metric=metric)["total"]
            assert found.p_value == pytest.approx(once.p_value, rel=0.2)
        wrong = compare_seeds(runs(copies["logits"]), runs(again), metric=metric)["total"]
        assert wrong.p_value < once.p_value / 2
    once = aggregate_seeds(runs(scores))["total"].interval
    grouped = aggregate_seeds(runs(copies["logits"], PATIENTS))["total"].interval
    assert (grouped.low, grouped.high) == pytest.approx((once.low, once.high), abs=0.005)


def test_a_summary_names_its_groups() -> None:
    summary = summarize(Predictions.from_arrays(**four_times(), groups=PATIENTS))
    assert "over 400 test images of 100 groups (patients or the like)" in str(summary)
    assert "95 % intervals for other groups" in str(summary)
    assert summary.to_json()["num_groups"] == 100
    plain = summarize(Predictions.from_arrays(**four_times()))
    assert "num_groups" not in plain.to_json()
    assert "groups" not in str(plain)


def test_groups_are_kept_in_files_and_follow_their_images(tmp_path: Path) -> None:
    names = ["anna", "", "anna", "bert"]
    logits = np.arange(4.0, dtype=np.float32)[:, None]
    made = Predictions.from_arrays(logits, [[1], [0], [1], [0]], groups=names)
    made.save(tmp_path / "p.npz")
    loaded = Predictions.load(tmp_path / "p.npz")
    assert loaded.groups is not None
    assert loaded.groups.tolist() == names
    moved = align(made.take([3, 2, 1, 0]), loaded)
    assert moved.groups is not None
    assert moved.groups.tolist() == names[::-1]
    Predictions.from_arrays(logits, [[1], [0], [1], [0]]).save(tmp_path / "old.npz")
    assert Predictions.load(tmp_path / "old.npz").groups is None


@pytest.mark.parametrize(
    ("groups", "message"),
    [(["a"], r"groups is \(1,\), not \(2,\)"), ([1.5, 2.0], "groups must be all integers or all")],
)
def test_groups_that_do_not_fit(groups: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Predictions.from_arrays([[0.5], [1.5]], [[0], [1]], groups=groups)
    with pytest.raises(DataError, match="groups"):
        Clusters.of(groups, 2)


def test_halves_of_the_check_share_no_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds tuned on one image of a patient would be checked on another."""
    predictions = Predictions.from_arrays(**four_times(), groups=PATIENTS)
    taken = []
    take = Predictions.take

    def spy(self: Predictions, rows: Any) -> Predictions:
        found = take(self, rows)
        taken.append(set(found.groups.tolist()))  # type: ignore[union-attr]
        return found

    monkeypatch.setattr(Predictions, "take", spy)
    tune_decision(predictions)
    first, second = taken
    assert not first & second
    assert len(first | second) == 100
    one = Predictions.from_arrays(**four_times(), groups=["anna"] * 400)
    with pytest.raises(DataError, match="all images belong to one group"):
        tune_decision(one)


def test_json_of_grouped_results_is_plain() -> None:
    summary = summarize(Predictions.from_arrays(**four_times(), groups=PATIENTS))
    json.dumps(summary.to_json(), allow_nan=False)
