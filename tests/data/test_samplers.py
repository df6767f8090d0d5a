"""Samplers, against the published draws, counts by hand, and laws that must hold."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.sparse import csr_array

from mlt.data.labels import LabelTable
from mlt.data.samplers import (
    ClassAwareSampler,
    EpochSampler,
    RepeatFactorSampler,
    SequentialSampler,
    ShuffleSampler,
    WeightedSampler,
    build_sampler,
    expected_draws,
    repeat_factors,
)
from mlt.data.samplers.settings import SamplerConfig
from mlt.errors import ConfigError, DataError

CONFIGS = [
    {"name": "shuffle"},
    {"name": "class_aware"},
    {"name": "class_aware", "images_per_class": 1, "length_divisor": 1},
    {"name": "repeat_factor", "threshold": 0.3},
    {"name": "weighted"},
    {"name": "weighted", "draws": 17, "weighting": {"name": "effective_number", "beta": 0.9}},
]


def long_tailed_table(num_images: int = 61, seed: int = 0) -> LabelTable:
    """Four classes, on 60 %, 30 %, 10 % of the images and on two; every image has a label."""
    generator = np.random.default_rng(seed)
    drawn = generator.random((num_images, 4)) < [0.6, 0.3, 0.1, 0.0]
    drawn[:2, 3] = True
    drawn[~drawn.any(1), 0] = True
    lists = [np.flatnonzero(row).tolist() for row in drawn]
    return LabelTable.from_lists(
        range(num_images), [f"{i}.jpg" for i in range(num_images)], "abcd", lists
    )


def make(values: dict[str, Any], table: LabelTable, **share: int) -> EpochSampler:
    config = TypeAdapter(SamplerConfig).validate_python(values)
    return build_sampler(config, table, table.class_counts(), **share)


def epoch(sampler: EpochSampler, number: int, start: int = 0) -> list[int]:
    sampler.set_epoch(number, start)
    return list(sampler)


# --- laws of all samplers -------------------------------------------------------------------------


@pytest.mark.parametrize("values", CONFIGS)
def test_an_epoch_depends_on_seed_and_epoch_alone(values: dict[str, Any]) -> None:
    table = long_tailed_table()
    one, other = make(values, table, seed=3), make(values, table, seed=3)
    forward = [epoch(one, number) for number in range(4)]
    backward = [epoch(other, number) for number in (3, 2, 1, 0)][::-1]
    assert forward == backward
    assert [len(drawn) for drawn in forward] == [one.num_draws] * 4
    assert forward[0] != forward[1]
    assert forward[0] != epoch(make(values, table, seed=4), 0)


@pytest.mark.parametrize("replicas", [2, 3, 7])
@pytest.mark.parametrize("values", CONFIGS)
def test_processes_share_exactly_the_draws_of_one(values: dict[str, Any], replicas: int) -> None:
    table = long_tailed_table()
    single = make(values, table)
    shares = [make(values, table, num_replicas=replicas, rank=rank) for rank in range(replicas)]
    for number in (0, 2):
        drawn = [epoch(share, number) for share in shares]
        together = [image for part in drawn for image in part]
        assert Counter(together) == Counter(epoch(single, number))
        assert [drawn[i % replicas][i // replicas] for i in range(len(together))] == list(single)
        assert max(map(len, drawn)) - min(map(len, drawn)) <= 1
        assert [len(share) for share in shares] == [len(part) for part in drawn]


@pytest.mark.parametrize("values", CONFIGS)
def test_an_epoch_goes_on_in_the_middle(values: dict[str, Any]) -> None:
    sampler = make(values, long_tailed_table(), num_replicas=2, rank=1)
    whole = epoch(sampler, 1)
    again = pickle.loads(pickle.dumps(sampler))  # noqa: S301
    assert epoch(again, 1, start=4) == whole[4:]
    assert len(again) == len(whole) - 4
    assert epoch(again, 1, start=10_000) == []
    assert epoch(again, 1) == whole


@pytest.mark.parametrize("values", CONFIGS)
def test_expected_draws_are_met(values: dict[str, Any]) -> None:
    table = long_tailed_table()
    sampler = make(values, table)
    assert sampler.image_draws().sum() == pytest.approx(sampler.num_draws)
    epochs = 600
    drawn = np.zeros(len(table))
    for number in range(epochs):
        drawn += np.bincount(sampler.draws(number), minlength=len(table))
    np.testing.assert_allclose(drawn / epochs, sampler.image_draws(), atol=0.25)
    by_class = drawn @ table.labels.toarray() / epochs
    np.testing.assert_allclose(by_class, expected_draws(sampler, table), rtol=0.05)


@pytest.mark.parametrize("kind", [ShuffleSampler, SequentialSampler])
def test_nothing_to_draw(kind: Any) -> None:
    with pytest.raises(ConfigError, match="nothing to sample"):
        kind(0)


@pytest.mark.parametrize(("replicas", "rank"), [(2, 2), (1, -1), (0, 0)])
def test_impossible_rank(replicas: int, rank: int) -> None:
    with pytest.raises(ConfigError, match="rank"):
        ShuffleSampler(5, num_replicas=replicas, rank=rank)


def test_negative_epoch() -> None:
    with pytest.raises(ConfigError, match="negative"):
        ShuffleSampler(5).set_epoch(-1)


def test_shuffle_is_a_permutation_and_sequential_is_in_order() -> None:
    assert sorted(epoch(ShuffleSampler(20), 5)) == list(range(20))
    assert epoch(SequentialSampler(20), 5) == list(range(20))


# --- class-aware ----------------------------------------------------------------------------------


def test_published_class_aware_draws(golden: Path) -> None:
    numbers = np.load(golden / "class_aware_sampler.npz", allow_pickle=False)
    images_of_class = json.loads(str(numbers["images_of_class"]))
    labels = np.zeros((1 + max(map(max, images_of_class)), len(images_of_class)), bool)
    for column, images in enumerate(images_of_class):
        labels[images, column] = True
    sampler = ClassAwareSampler(csr_array(labels), seed=0)
    assert sampler.num_draws == int(numbers["length"])
    assert epoch(sampler, 0) == numbers["epoch1"].tolist()
    assert epoch(sampler, 1) == numbers["epoch2"].tolist()
    fresh = ClassAwareSampler(csr_array(labels), seed=0)
    assert epoch(fresh, 1) == numbers["epoch2"].tolist(), "without the first having been drawn"


def test_published_epoch_length_on_coco_mlt(
    published_labels: Callable[[str], dict[str, list[int]]],
) -> None:
    lists = list(published_labels("coco_mlt_train_labels").values())
    table = LabelTable.from_lists(
        range(len(lists)), [str(i) for i in range(len(lists))], map(str, range(80)), lists
    )
    assert make({"name": "class_aware"}, table).num_draws == 1128 * 80 // 4 == 22_560


def test_classes_take_turns_and_give_images_in_a_row() -> None:
    # Disjoint classes, so that an image shows whose turn it was.
    labels = csr_array(np.repeat(np.eye(3, dtype=bool), [5, 4, 2], axis=0))
    sampler = ClassAwareSampler(labels, images_per_class=2, length_divisor=0.5)
    owner = np.repeat([0, 1, 2], [5, 4, 2])
    drawn = np.concatenate([sampler.draws(number) for number in range(10)])
    turns = owner[drawn].reshape(-1, 2)
    assert (turns[:, 0] == turns[:, 1]).all()
    cycles = turns[:, 0].reshape(-1, 3)
    assert (np.sort(cycles, axis=1) == [0, 1, 2]).all()
    for images in ([0, 1, 2, 3, 4], [5, 6, 7, 8], [9, 10]):
        own = drawn[np.isin(drawn, images)]
        whole = own[: len(own) // len(images) * len(images)].reshape(-1, len(images))
        assert (np.sort(whole, axis=1) == images).all(), "each cycle has every image once"


def test_class_aware_names_what_it_leaves_out() -> None:
    labels = csr_array(np.array([[1, 0], [1, 0], [0, 0]], bool))
    with pytest.warns(UserWarning) as caught:
        sampler = ClassAwareSampler(labels, length_divisor=1, class_names=["cat", "unicorn"])
    messages = " ".join(str(warning.message) for warning in caught)
    assert "unicorn" in messages
    assert "1 images without labels" in messages
    assert set(epoch(sampler, 0)) <= {0, 1}
    assert sampler.image_draws().tolist() == [1.0, 1.0, 0.0]


def test_class_aware_needs_labels() -> None:
    with pytest.raises(DataError, match="no image has any"):
        ClassAwareSampler(csr_array((3, 2), dtype=bool))


# --- repeat factor --------------------------------------------------------------------------------


def test_repeat_factors_by_hand() -> None:
    # Shares .5, .25 and 0; threshold 1: roots of 2 and 4. The image with both takes the larger.
    labels = csr_array(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]], bool))
    expected = [2**0.5, 2.0, 1.0, 1.0]
    np.testing.assert_allclose(repeat_factors(labels, 1.0), expected)
    np.testing.assert_allclose(repeat_factors(labels, 0.1), [1, 1, 1, 1])
    with pytest.warns(UserWarning, match=r"no class is on less than 0\.1 of the images"):
        RepeatFactorSampler(labels, 0.1)


def test_stored_zeros_and_repeated_entries_are_not_labels() -> None:
    labels = csr_array(np.array([[1, 0], [1, 0], [1, 0], [1, 1]], bool))
    # The same labels, with (0, 1) and (1, 1) stored as 0 and (3, 0) stored twice.
    stored = csr_array(
        ([1, 0, 1, 0, 1, 1, 1, 1], [0, 1, 0, 1, 0, 0, 0, 1], [0, 2, 4, 5, 8]), shape=(4, 2)
    )
    np.testing.assert_array_equal(repeat_factors(stored, 1.0), repeat_factors(labels, 1.0))
    assert repeat_factors(stored, 1.0).tolist() == [1, 1, 1, 2]
    for make in (lambda x: RepeatFactorSampler(x, 1.0), lambda x: ClassAwareSampler(x, 1, 1.0)):
        ours, plain = make(stored), make(labels)
        assert list(ours) == list(plain)
        np.testing.assert_array_equal(ours.image_draws(), plain.image_draws())
    assert stored.nnz == 8  # what was given is as it was
    with pytest.raises(DataError, match="no image has any"):
        ClassAwareSampler(csr_array(([0], [0], [0, 1]), shape=(1, 1)))


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), threshold=st.floats(0.01, 1))
def test_repeats_are_the_factor_rounded_down_or_up(seed: int, threshold: float) -> None:
    labels = long_tailed_table(37, seed).labels
    sampler = RepeatFactorSampler(labels, threshold, seed)
    factors = repeat_factors(labels, threshold)
    assert sampler.num_draws == np.ceil(factors.sum() * (1 - 1e-12))
    np.testing.assert_allclose(sampler.image_draws(), factors, rtol=1 / 37)
    for number in range(3):
        drawn = np.bincount(sampler.draws(number), minlength=37)
        assert drawn.sum() == sampler.num_draws
        assert (drawn >= np.floor(sampler.image_draws() - 1e-9)).all()
        assert (drawn <= np.ceil(sampler.image_draws() + 1e-9)).all()
        assert (drawn >= 1).all()


def test_repeat_factor_threshold_range() -> None:
    with pytest.raises(ConfigError, match="threshold"):
        repeat_factors(csr_array((3, 2), dtype=bool), 0)


# --- weighted -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [[1.0, -1.0], [np.nan, 1.0], [0.0, 0.0], [[1.0]]])
def test_bad_weights(weights: Any) -> None:
    with pytest.raises(ConfigError, match="weights"):
        WeightedSampler(weights)


def test_weights_are_those_of_the_losses() -> None:
    # Counts 3 and 1; the losses take a count on all of 3 images for 2.
    table = LabelTable.from_lists("xyz", "xyz", ["a", "b"], [[0], [0], [0, 1]])
    with pytest.warns(UserWarning, match="one less than"):
        sampler = make({"name": "weighted", "weighting": {"name": "inverse"}}, table)
    weights = np.array([1 / 2, 1 / 2, (1 / 2 + 1) / 2])
    np.testing.assert_allclose(sampler.image_draws(), 3 * weights / weights.sum())


def test_rarest_class_decides_with_min_n() -> None:
    table = long_tailed_table()
    values = {"name": "weighted", "weighting": {"name": "inverse", "scheme": "min_n"}}
    counts = table.class_counts().counts
    rarest = np.where(table.labels.toarray(), counts, 10**9).min(1)
    expected = (1 / rarest) / (1 / rarest).sum() * len(table)
    np.testing.assert_allclose(make(values, table).image_draws(), expected)


# --- configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "class-aware"}, "class_aware"),
        ({"name": "class_aware", "images_per_class": 0}, "images_per_class"),
        ({"name": "repeat_factor", "threshold": 2}, "threshold"),
        ({"name": "weighted", "weighting": {"name": "inverse", "scheme": "column"}}, "no weight"),
        ({"name": "weighted", "weighting": {"name": "inverse", "start_epoch": 2}}, "start_epoch"),
        ({"name": "shuffle", "seed": 1}, "seed"),
    ],
)
def test_bad_config(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(SamplerConfig).validate_python(values)
