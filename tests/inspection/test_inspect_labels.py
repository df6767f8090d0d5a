"""Counts, company, intervals and weights: tables small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from mlt.class_groups import GroupLimits
from mlt.config.load import parse_config
from mlt.data.columns import StringColumn
from mlt.data.labels import LabelTable
from mlt.data.samplers.settings import ClassAwareSampler
from mlt.errors import ConfigError
from mlt.inspection import inspect_data
from mlt.inspection.cooccurrence import hidden_classes
from mlt.inspection.duplicates import shared_groups
from mlt.inspection.evaluation import expected_interval
from mlt.inspection.labels import count_labels
from mlt.inspection.training import rebalancing
from mlt.losses import create_loss
from mlt.losses.settings import Composition
from mlt.metrics import average_precision, average_precision_intervals


def table_of(
    labels: list[list[int]],
    names: list[str],
    known: list[list[int]] | None = None,
    groups: list[str] | None = None,
) -> LabelTable:
    """A table of images 0.jpg, 1.jpg, ..."""
    n = len(labels)
    made = LabelTable.from_lists(
        range(n), [f"{i}.jpg" for i in range(n)], names, labels, known_indices=known
    )
    if groups is None:
        return made
    return LabelTable(
        made.image_ids,
        made.paths,
        made.class_names,
        made.labels,
        made.known,
        groups=StringColumn.from_iterable(groups),
    )


def test_counts_of_a_part_that_is_partly_known() -> None:
    # image 0: cat, dog absent; image 1: cat, dog not looked at; image 2: nothing looked at
    table = table_of([[0], [0], []], ["cat", "dog", "elk"], [[0, 1], [0], []], ["a", "b", "a"])
    counted = count_labels(table)
    assert counted.images == 3
    assert counted.without_label == 1
    assert counted.class_counts == {"cat": 2, "dog": 0, "elk": 0}
    assert counted.verified_absent == {"cat": 0, "dog": 1, "elk": 0}
    assert counted.unknown == {"cat": 1, "dog": 2, "elk": 3}
    assert (counted.labels, counted.most_labels, counted.image_groups) == (2, 1, 2)
    assert counted.labels_per_image == pytest.approx(2 / 3)


def test_what_is_all_known_is_absent_where_it_is_not_present() -> None:
    counted = count_labels(table_of([[0], [0, 1], []], ["cat", "dog"]))
    assert counted.verified_absent == {"cat": 1, "dog": 2}
    assert counted.unknown == {"cat": 0, "dog": 0}


def test_soft_targets_count_as_labels_from_one_half_on() -> None:
    soft = csr_array(np.array([[0.4, 0.0], [0.5, 1.0]], np.float32))
    hard = csr_array(soft.toarray() >= 0.5)
    table = LabelTable(
        np.arange(2), StringColumn.from_iterable("ab"), ("cat", "dog"), hard, soft=soft
    )
    counted = count_labels(table)
    assert counted.class_counts == {"cat": 1, "dog": 1}
    assert counted.soft_targets == 2
    assert counted.without_label == 1


@pytest.mark.parametrize("names", [[], ["cat"]])
def test_no_image(names: list[str]) -> None:
    found = inspect_data({"train": table_of([], names), "test": table_of([], names)})
    assert found.parts["train"].images == 0
    assert found.parts["train"].labels_per_image == 0
    texts = [advice.text for advice in found.advice if advice.kind == "fix"]
    assert "There is no training image." in texts
    assert "There is no test image." in texts


def test_one_image_of_one_class() -> None:
    one = table_of([[0]], ["cat"])
    found = inspect_data({"train": one, "test": one}, pictures=0)
    assert found.evaluation is not None
    assert found.evaluation.intervals == {"cat": None}
    assert found.evaluation.means["total"] is None
    assert found.hidden == ()
    assert found.rebalancing is not None
    assert found.rebalancing.class_balanced == {"cat": 1.0}


class TestHidden:
    """Who hides behind whom."""

    def test_the_share_counts_images_that_were_checked_for_the_other_class(self) -> None:
        # tie on images 0..3; whether there is a person was not asked on image 3
        labels = [[0, 1], [0, 1], [0, 1], [1]] + [[0]] * 2 + [[]] * 54
        known = [[0, 1], [0, 1], [0, 1], [1]] + [[0, 1]] * 56
        (found,) = hidden_classes(table_of(labels, ["person", "tie"], known))
        assert (found.name, found.behind) == ("tie", "person")
        assert (found.images, found.together, found.alone, found.share) == (3, 3, 0, 1.0)
        assert found.expected_share == pytest.approx(5 / 59)

    def test_company_that_everyone_keeps_is_no_news(self) -> None:
        labels = [[0, 1]] * 4 + [[0]] * 36
        assert hidden_classes(table_of(labels, ["person", "tie"])) == ()

    def test_a_single_image_says_nothing(self) -> None:
        labels = [[0, 1], [0], *[[]] * 18]
        assert hidden_classes(table_of(labels, ["person", "tie"])) == ()

    def test_half_of_the_images_is_the_least(self) -> None:
        few = [[0, 1]] * 4 + [[1]] * 5 + [[0]] * 6 + [[]] * 185
        half = [[0, 1]] * 4 + [[1]] * 4 + [[0]] * 6 + [[]] * 186
        assert hidden_classes(table_of(few, ["person", "tie"])) == ()
        assert [h.share for h in hidden_classes(table_of(half, ["person", "tie"]))] == [0.5]

    def test_of_equal_shares_the_less_expected_is_named(self) -> None:
        labels = [[0, 1, 2]] * 4 + [[0]] * 8 + [[1]] * 4 + [[]] * 84
        (found, _) = hidden_classes(table_of(labels, ["person", "road", "tie"]))
        assert (found.name, found.behind) == ("tie", "road")


class TestIntervals:
    """The expected interval is the one that mlt gives of simulated results."""

    @pytest.mark.parametrize(
        ("positives", "images", "distance"),
        # The distance between the scores at which the average precision is 50 %, as is checked.
        [(10, 1000, 2.55), (40, 400, 1.56), (300, 1000, 0.75)],
    )
    def test_simulated(self, positives: int, images: int, distance: float) -> None:
        rng = np.random.default_rng(0)
        many = np.arange(400_000)[:, None] < 400_000 * positives / images
        endless = average_precision(many, rng.normal(size=many.shape) + distance * many)
        assert endless.item() == pytest.approx(0.5, abs=0.02)
        targets = np.zeros((images, 200), bool)
        targets[:positives] = True
        scores = rng.normal(size=targets.shape) + distance * targets
        simulated = average_precision_intervals(targets, scores).per_class
        mean = np.mean([interval.high - interval.low for interval in simulated]) / 2
        expected = expected_interval([(positives, images)])
        assert (expected.high - expected.low) / 2 == pytest.approx(mean, rel=0.12)
        assert (expected.high + expected.low) / 2 == pytest.approx(0.5, abs=0.02)

    def test_the_mean_of_independent_classes(self) -> None:
        rng = np.random.default_rng(1)
        widths = []
        for _ in range(40):
            targets = rng.random((1000, 12)) < 0.05
            scores = rng.normal(size=targets.shape) + 1.91 * targets
            total = average_precision_intervals(targets, scores).means["total"]
            widths.append((total.high - total.low) / 2)
        expected = expected_interval([(50, 1000)] * 12)
        assert (expected.high - expected.low) / 2 == pytest.approx(np.mean(widths), rel=0.12)

    def test_more_positives_say_more(self) -> None:
        widths = [i.high - i.low for i in (expected_interval([(n, 5000)]) for n in (2, 8, 32, 128))]
        assert widths == sorted(widths, reverse=True)
        assert widths[0] > 0.99

    def test_nothing_can_be_said_of_one_positive_or_none(self) -> None:
        assert not expected_interval([(0, 100)]).defined
        assert not expected_interval([(1, 100)]).defined
        assert not expected_interval([]).defined
        assert expected_interval([(1, 100), (5, 100), (0, 100)]).defined

    def test_a_class_on_nearly_all_images_has_more_than_half(self) -> None:
        rng = np.random.default_rng(0)
        targets = np.repeat(np.arange(100) < 90, 200).reshape(100, 200)
        by_chance = average_precision_intervals(targets, rng.normal(size=targets.shape)).per_class
        interval = expected_interval([(90, 100)])
        assert interval.low == pytest.approx(np.mean([i.low for i in by_chance]), abs=0.03)
        assert interval.high == pytest.approx(np.mean([i.high for i in by_chance]), abs=0.03)
        assert expected_interval([(100, 100)]).high == pytest.approx(1, abs=0.01)


class TestRebalancing:
    """Weights of the loss and draws of the sampler that are configured."""

    table = table_of([[0]] * 6 + [[0, 1]] * 2 + [[1]] + [[]] * 3, ["cat", "dog"])

    def test_weights_are_those_of_the_loss(self) -> None:
        counts = self.table.class_counts()
        part = Composition.model_validate(
            {"weighting": {"name": "inverse", "scheme": "column", "normalise": False}}
        )
        found = rebalancing(self.table, counts, part)
        assert found.loss_weights == {"cat": 12 / 8, "dog": 12 / 3}

    def test_a_deferred_weighting_is_shown_as_it_will_be(self) -> None:
        part = Composition.model_validate(
            {"weighting": {"name": "inverse", "normalise": False, "start_epoch": 5}}
        )
        found = rebalancing(self.table, self.table.class_counts(), part)
        assert found.loss_weights == {"cat": 1.5, "dog": 4.0}

    def test_class_balanced_weights_are_those_of_the_preset(self) -> None:
        counts = self.table.class_counts()
        loss = create_loss("cb_bce", counts, normalise=True)
        found = rebalancing(self.table, counts)
        expected = loss.weighting.weight.tolist()  # type: ignore[union-attr, operator]
        assert list(found.class_balanced.values()) == pytest.approx(expected)

    def test_draws_of_the_class_aware_sampler(self) -> None:
        sampler = ClassAwareSampler(name="class_aware")
        found = rebalancing(self.table, self.table.class_counts(), None, sampler)
        assert found.draws_per_epoch == 8 * 2 // 4
        assert found.draws is not None
        # Classes take turns: each is drawn for two of four, and comes along on the other's images.
        assert found.draws["cat"] == pytest.approx(2 + 2 * 2 / 3)
        assert found.draws["dog"] == pytest.approx(2 + 2 * 2 / 8)

    def test_what_cannot_be_computed_is_said(self) -> None:
        unlabelled = table_of([[], []], ["cat", "dog"])
        sampler = ClassAwareSampler(name="class_aware")
        found = rebalancing(unlabelled, unlabelled.class_counts(), None, sampler)
        assert found.draws is None
        assert "label" in found.problem


def test_groups_follow_the_limits() -> None:
    table = table_of([[0]] * 3 + [[1]] * 2 + [[2]], ["a", "b", "c"])
    found = inspect_data({"train": table}, limits=GroupLimits(head=3, tail=2), pictures=0)
    assert found.groups == {"a": "head", "b": "medium", "c": "tail"}


def test_a_part_of_another_name() -> None:
    with pytest.raises(ConfigError, match="no part 'val'; the parts are train, validation, test"):
        inspect_data({"val": table_of([[0]], ["cat"])})


def test_patients_in_two_parts_are_a_leak() -> None:
    train = table_of([[0], [0], []], ["cat"], groups=["p1", "p2", "p3"])
    test = table_of([[0], [0], [], []], ["cat"], groups=["p2", "p2", "p3", "p4"])
    (shared,) = shared_groups({"train": train, "test": test})
    assert (shared.parts, shared.groups, shared.first, shared.images) == (
        ("train", "test"), 2, "p2", 3,
    )  # fmt: skip
    texts = [a.text for a in inspect_data({"train": train, "test": test}, pictures=0).advice]
    assert any("split by group" in text for text in texts)


def test_images_of_no_group_share_none() -> None:
    train = table_of([[0], [0], []], ["cat"], groups=["p1", "", ""])
    test = table_of([[0]], ["cat"], groups=[""])
    assert shared_groups({"train": train, "test": test}) == ()
    assert count_labels(train).image_groups == 3


def test_the_advice_has_the_numbers() -> None:
    train = table_of([[0]] * 40 + [[1]] * 2, ["cat", "dog", "elk"])
    test = table_of([[0]] * 12 + [[1]] * 3, ["cat", "dog", "elk"])
    advice = inspect_data({"train": train, "test": test}, pictures=0).advice
    text = "\n".join(a.text for a in advice)
    for expected in (
        "1 class has no training image: elk",
        "1 class has no test image: elk",
        "1 class has fewer than 10 test images: dog (3)",
        "has 40 training images, the rarest 2: 20 to 1",
        "no validation part",
    ):
        assert expected in text
    assert [a.kind for a in advice] == sorted((a.kind for a in advice), key="fix check do".find)


def test_a_loss_of_the_configuration(tiny_values: dict) -> None:
    config = parse_config(tiny_values | {"loss": {"preset": "two_way"}}, source="test")
    found = inspect_data(config.data, loss=config.loss, sampler=config.sampler, pictures=0)
    assert found.rebalancing is not None
    assert found.rebalancing.loss_weights is None
    assert found.rebalancing.draws == found.parts["train"].class_counts


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        ([[0]] * 20 + [[1]] * 2, [[0], [1]], "--losses ce balanced_softmax cb_softmax --seeds"),
        ([[0]] * 20 + [[1]] * 15, [[0], [1]], "{preset: ce}"),
        ([[0]] * 20 + [[1]] * 2, [[0], [0, 1]], "--losses bce sqrt_inverse cb_focal --seeds"),
        ([[0]] * 20 + [[1]] * 2 + [[]], [[0], [1]], "--losses bce sqrt_inverse cb_focal --seeds"),
        ([[0]] * 20 + [[0, 1]] * 15, [[0], [1]], "{preset: bce}"),
    ],
)
def test_the_losses_named_are_those_the_labels_allow(
    train: list[list[int]], test: list[list[int]], named: str
) -> None:
    parts = {"train": table_of(train, ["cat", "dog"]), "test": table_of(test, ["cat", "dog"])}
    assert named in "\n".join(a.text for a in inspect_data(parts, pictures=0).advice)


def test_a_softmax_is_not_named_where_it_is_refused() -> None:
    one_class = table_of([[0]] * 9, ["cat"])
    unknown = table_of([[0]] * 9 + [[1]] * 9, ["cat", "dog"], [[0, 1]] * 17 + [[1]])
    for table in (one_class, unknown):
        advice = inspect_data({"train": table}, pictures=0).advice
        assert "{preset: bce}" in "\n".join(a.text for a in advice)
