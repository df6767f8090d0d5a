"""Losses and parts that remember: deferred parts, SPLC, EQLv2, Seesaw, the federated draw."""

from __future__ import annotations

import pytest
import torch

from mlt.class_counts import ClassCounts
from mlt.losses import EqualizationLossV2, Loss, SeesawLoss, create_loss
from mlt.losses.factory import build_from_counts
from mlt.losses.settings import Composition

COUNTS = [90, 30, 4]
LOGITS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
TARGETS = torch.tensor([[1, 0, 1], [0, 1, 0]])


def compose(**parts: object) -> Loss:
    part = Composition.model_validate(parts)
    return build_from_counts(part, ClassCounts.from_counts(COUNTS, 100))


@pytest.mark.parametrize(
    "part",
    [
        {"weighting": {"name": "inverse"}},
        {"weighting": {"name": "inverse", "scheme": "positive"}},
        {"weighting": {"name": "effective_number", "scheme": "instance"}},
        {"weighting": {"name": "effective_number", "scheme": "average_n"}},
        {"weighting": {"name": "effective_number", "scheme": "min_n"}},
        {"weighting": {"name": "rebalance"}},
        {"weighting": {"name": "equalization", "threshold": 0.1}},
        {"adjustment": {"name": "prior_shift"}},
        {"adjustment": {"name": "negative_tolerant"}},
        {"adjustment": {"name": "margin"}},
    ],
)
def test_a_deferred_part_starts_at_its_epoch(part: dict) -> None:
    ((kind, options),) = part.items()
    deferred = compose(**{kind: {**options, "start_epoch": 3}})
    before, after = compose(), compose(**part)
    for epoch, expected in ((0, before), (2, before), (3, after), (7, after)):
        deferred.set_epoch(epoch)
        z, w = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
        value = deferred(z, TARGETS)
        value.backward()
        expected(w, TARGETS).backward()
        torch.testing.assert_close(value, expected(LOGITS, TARGETS))
        torch.testing.assert_close(z.grad, w.grad)


def test_a_deferred_margin_keeps_its_scale() -> None:
    margin = {"name": "class_margin", "scale": 2.0, "start_epoch": 1}
    loss = compose(adjustment=margin)
    torch.testing.assert_close(loss(LOGITS, TARGETS), compose()(2 * LOGITS, TARGETS))


def test_ldam_with_deferred_reweighting_resumes() -> None:
    loss = create_loss("ldam", COUNTS, 100, drw_epoch=5, s=1)
    loss.set_epoch(6)
    resumed = create_loss("ldam", COUNTS, 100, drw_epoch=5, s=1)
    assert resumed(LOGITS, TARGETS) != loss(LOGITS, TARGETS)
    resumed.load_state_dict(loss.state_dict())
    assert resumed(LOGITS, TARGETS) == loss(LOGITS, TARGETS)


def test_splc_corrects_from_its_epoch() -> None:
    loss = create_loss("splc", reduction="none", change_epoch=2)
    likely_miss = torch.tensor([[4.0]])
    loss.set_epoch(1)
    assert loss(likely_miss, torch.zeros(1, 1)) > 1
    loss.set_epoch(2)
    assert loss(likely_miss, torch.zeros(1, 1)) < 0.01


def test_eqlv2_keeps_account_in_training_only() -> None:
    loss = EqualizationLossV2(num_classes=3)
    loss.eval()(LOGITS, TARGETS)
    assert (loss.ratio == 100).all()
    loss.train()(LOGITS, TARGETS)
    assert (loss.ratio != 100).all()
    resumed = EqualizationLossV2(num_classes=3)
    resumed.load_state_dict(loss.state_dict())
    assert torch.equal(resumed(LOGITS, TARGETS), loss(LOGITS, TARGETS))


def test_eqlv2_leaves_unknown_labels_out_of_its_account() -> None:
    known = torch.tensor([[True, False, True], [False, True, True]])
    results = []
    for filler in (0.0, 50.0):
        loss = EqualizationLossV2(num_classes=3)
        loss(torch.where(known, LOGITS, filler), TARGETS, known)
        results.append(loss.ratio)
    torch.testing.assert_close(results[0], results[1])


def test_seesaw_counts_what_it_sees() -> None:
    loss = SeesawLoss(num_classes=3)
    labels = torch.tensor([0, 0, 2])
    first = loss(torch.randn(3, 3), labels)
    one_hot = torch.nn.functional.one_hot(labels, 3)
    loss(torch.randn(3, 3), one_hot)
    assert first.isfinite()
    assert loss.counts.tolist() == [4, 0, 2]
    loss.eval()(torch.randn(3, 3), labels)
    assert loss.counts.tolist() == [4, 0, 2]


def test_the_federated_draw_keeps_present_classes_and_follows_its_generator() -> None:
    counts = [5] * 20
    targets = torch.zeros(4, 20)
    targets[:, 7] = 1

    def kept(seed: int) -> set[int]:
        generator = torch.Generator().manual_seed(seed)
        loss = create_loss(
            "federated", counts, 100, reduction="none", num_classes=6, generator=generator
        )
        elements = loss(torch.zeros(4, 20), targets)
        return set(elements.sum(0).nonzero().flatten().tolist())

    draws = [kept(seed) for seed in range(20)]
    assert all(7 in draw and len(draw) == 6 for draw in draws)
    assert kept(3) == draws[3]
    assert len(set.union(*draws)) == 20
