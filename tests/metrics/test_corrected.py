"""Wherever an interval is printed, so is the number that it is around, and it lies within."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlt.metrics import Predictions, aggregate_seeds, class_table, result_table, summarize


def small_data(seed: int, n: int, c: int, kind: str) -> Predictions:
    rng = np.random.default_rng(seed)
    targets = rng.random((n, c)) < rng.choice([0.02, 0.1, 0.5, 0.97], c)
    logits = rng.normal(size=(n, c))
    if kind == "perfect":
        logits = np.where(targets, 1.0, -1.0)
    elif kind == "reversed":
        logits = np.where(targets, -1.0, 1.0)
    elif kind == "constant":
        logits = np.zeros((n, c))
    elif kind == "ties":
        logits = rng.integers(0, 3, (n, c)) + targets
    elif kind == "good":
        logits = logits + 3 * targets
    return Predictions.from_arrays(
        logits.astype(np.float32),
        targets,
        class_counts=rng.integers(1, 200, c),
        known=rng.random((n, c)) < 0.8 if seed % 2 else None,
    )


KINDS = st.sampled_from(["random", "perfect", "reversed", "constant", "ties", "good"])


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), c=st.integers(1, 5), kind=KINDS)
def test_the_printed_corrected_value_lies_in_its_interval(
    seed: int, n: int, c: int, kind: str
) -> None:
    summary = summarize(small_data(seed, n, c, kind))
    printed = result_table(summary, auroc=True) + "\n" + class_table(summary, auroc=True)
    found = re.findall(r"(\S+) +(\d+\.\d\d) to (\d+\.\d\d)", printed)
    for value, low, high in found:
        assert float(low) <= float(value) <= float(high), printed
    # Top-1 error and mean recall of images with one label stand in a sentence, uncorrected.
    assert len(found) == len(re.findall(r"(?<!\()\b\d+\.\d\d to \d", printed))
    for interval in (*summary.details.intervals.per_class, *summary.details.auroc.per_class):
        if interval.defined:
            assert 0 <= interval.low <= interval.centre <= interval.high <= 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), kind=KINDS)
def test_that_of_several_seeds_too(seed: int, n: int, kind: str) -> None:
    first = small_data(seed, n, 3, kind)
    rng = np.random.default_rng(seed)
    second = Predictions.from_arrays(
        first.logits + rng.normal(size=first.logits.shape).astype(np.float32),
        first.targets,
        class_counts=first.class_counts,
        known=first.known,
    )
    for metric in ("AP", "AUROC"):
        for mean in aggregate_seeds([first, second], metric=metric).values():
            if mean.interval.defined:
                assert mean.interval.low <= mean.interval.centre <= mean.interval.high
                assert mean.to_json()["corrected"] == mean.interval.centre


def test_the_corrected_value_has_no_upward_bias() -> None:
    """Five positives among 500 at random: AP is 2 % on average, the truth 1 %."""
    rng = np.random.default_rng(0)
    targets = np.arange(500)[:, None] < np.full(40, 5)
    plain, corrected = [], []
    for _ in range(20):
        values = summarize(rng.normal(size=(500, 40)), targets).to_json()
        plain.append(values["mAP"]["total"])
        corrected.append(values["mAP_corrected"]["total"])
        of_class = values["per_class"][0]
        assert of_class["AP_corrected"] < of_class["AP"]
    assert np.mean(plain) > 0.018
    assert np.mean(corrected) == pytest.approx(0.01, abs=0.002)
