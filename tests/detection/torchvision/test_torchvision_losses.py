"""What an attached loss gives in training, against torchvision's own numbers and by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection import roi_heads
from torchvision.ops import sigmoid_focal_loss

from mlt.class_counts import ClassCounts
from mlt.detection.torchvision import attach, attached_loss
from mlt.errors import DataError
from mlt.losses import EqualizationLossV2, Loss, SeesawLoss, create_loss

DENSE = ["retinanet", "fcos"]
REGIONS = ["faster_rcnn", "mask_rcnn", "keypoint_rcnn"]
SINGLE_SHOT = ["ssd", "ssdlite"]
KINDS = DENSE + REGIONS + SINGLE_SHOT
BATCHES = {
    "boxes": [[1, 3], [2]],
    "an image without": [[1, 3, 3], []],
    "no boxes": [[], []],
}
CLASSIFICATION = {"classification", "loss_classifier"}


def own_loss(kind: str) -> Any:
    if kind in DENSE:
        return create_loss("focal", gamma=2, alpha=0.25, reduction="none")
    return nn.CrossEntropyLoss(reduction="none")


def losses(model: nn.Module, batch: Any, seed: int = 7) -> dict[str, Tensor]:
    torch.manual_seed(seed)  # for the samplers
    return model(*batch)


def gradients(model: nn.Module, values: dict[str, Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(sum(values.values()), list(model.parameters()), allow_unused=True)
    return [torch.zeros(()) if g is None else g for g in found]


@pytest.mark.parametrize("content", BATCHES)
@pytest.mark.parametrize("kind", KINDS)
def test_its_own_loss_gives_its_own_numbers(
    kind: str, content: str, detector: Callable, batch: Callable
) -> None:
    model, images = detector(kind), batch(*BATCHES[content])
    before = losses(model, images)
    slopes = gradients(model, before)
    attach(model, own_loss(kind))
    after = losses(model, images)
    assert before.keys() == after.keys()
    for key, value in before.items():
        if key in CLASSIFICATION:
            torch.testing.assert_close(after[key], value, rtol=1e-6, atol=1e-6)
            assert value > 0 or kind in SINGLE_SHOT
        else:
            assert torch.equal(after[key], value)
    torch.testing.assert_close(gradients(model, after), slopes, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_one_class(kind: str, detector: Callable, batch: Callable) -> None:
    # With the background a head has two columns; a dense one works with one, and label 0.
    for num_classes, label in [(2, 1)] + [(1, 0)] * (kind in DENSE):
        model, images = detector(kind, num_classes), batch([label], [])
        before = losses(model, images)
        after = losses(attach(model, own_loss(kind)), images)
        for key, value in before.items():
            torch.testing.assert_close(after[key], value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", REGIONS + SINGLE_SHOT)
@pytest.mark.parametrize("content", BATCHES)
def test_box_losses_do_not_notice_that_the_head_became_sigmoid(
    kind: str, content: str, detector: Callable, batch: Callable
) -> None:
    model, images = detector(kind), batch(*BATCHES[content])
    before = losses(model, images)
    after = losses(attach(model, create_loss("focal", reduction="none")), images)
    for key in before.keys() - CLASSIFICATION:
        assert torch.equal(after[key], before[key])
    assert all(torch.isfinite(value) for key, value in after.items() if key in CLASSIFICATION)


@pytest.mark.parametrize("kind", REGIONS)
def test_regions_by_hand(
    kind: str, detector: Callable, batch: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = detector(kind), batch([1, 3], [2])
    seen = {}

    def look(logits: Tensor, boxes: Tensor, labels: list[Tensor], offsets: Any) -> Any:
        seen.update(logits=logits, labels=torch.cat(labels))
        return plain(logits, boxes, labels, offsets)

    plain = roi_heads.fastrcnn_loss
    monkeypatch.setattr(roi_heads, "fastrcnn_loss", look)
    attach(model, nn.BCEWithLogitsLoss(reduction="none"))
    after = losses(model, images)
    hot = F.one_hot(seen["labels"], 5)[:, 1:].float()
    assert 0 < int(hot.sum()) < len(hot)
    expected = F.binary_cross_entropy_with_logits(seen["logits"][:, 1:], hot, reduction="sum")
    torch.testing.assert_close(after["loss_classifier"], expected / len(hot))
    (slope,) = torch.autograd.grad(after["loss_classifier"], seen["logits"])
    assert not slope[:, 0].any()
    assert slope[:, 1:].all()


@pytest.mark.parametrize("kind", SINGLE_SHOT)
def test_hard_negatives_by_hand(kind: str, detector: Callable, batch: Callable) -> None:
    model = attach(detector(kind), nn.BCEWithLogitsLoss(reduction="none"))
    logits = torch.randn(2, 20, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    matched = torch.full((2, 20), -1)
    matched[0, 3], matched[0, 8], matched[1, 5] = 0, 1, 0
    _, targets = batch([1, 3], [2])
    outputs = {"cls_logits": logits, "bbox_regression": torch.zeros(2, 20, 4)}
    anchors = [torch.tensor([[0.0, 0.0, 9.0, 9.0]]).repeat(20, 1)] * 2
    value = model.compute_loss(targets, outputs, anchors, list(matched))["classification"]

    total = 0.0
    for image, found in enumerate([{3: 1, 8: 3}, {5: 2}]):
        cost = F.softplus(logits[image, :, 1:]).sum(1)  # of negatives
        order = cost.tolist()
        negatives = sorted(set(range(20)) - set(found), key=lambda i: -order[i])
        total += cost[negatives[: 3 * len(found)]].sum()
        total += sum(cost[i] - logits[image, i, label] for i, label in found.items())
    torch.testing.assert_close(value, total / 3)
    (slope,) = torch.autograd.grad(value, logits)
    assert int(slope.any(-1).sum()) == 3 + 9
    assert not slope[..., 0].any()


def compute_retinanet(model: nn.Module, logits: Tensor, matched: Tensor, labels: Any) -> Tensor:
    targets = [{"labels": torch.tensor(own, dtype=torch.int64)} for own in labels]
    return model.head.classification_head.compute_loss(
        targets, {"cls_logits": logits}, list(matched)
    )


@pytest.mark.parametrize("kind", DENSE + SINGLE_SHOT)
@pytest.mark.parametrize("label", [5, -1])
def test_a_label_without_a_column_is_refused(
    kind: str, label: int, detector: Callable, batch: Callable
) -> None:
    model = attach(detector(kind), create_loss("focal", reduction="none"))
    with pytest.raises(DataError, match="5 columns, for labels 0 to 4"):
        losses(model, batch([1, label], []))


def test_ignored_anchors_and_the_divisor_by_hand(detector: Callable) -> None:
    model = attach(detector("retinanet"), nn.BCEWithLogitsLoss(reduction="none"))
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    matched = torch.tensor([[1, -2, -1, 0], [-1, -1, -2, -1]])  # -2: between the thresholds
    value = compute_retinanet(model, logits, matched, [[4, 2], []])
    cost = F.softplus(logits)
    first = cost[0, [0, 2, 3]].sum() - logits[0, 0, 2] - logits[0, 3, 4]
    second = cost[1, [0, 1, 3]].sum()
    torch.testing.assert_close(value, (first / 2 + second / 1) / 2)
    (slope,) = torch.autograd.grad(value, logits)
    assert not slope[0, 1].any()
    assert not slope[1, 2].any()
    assert slope[0, 0, 0] > 0  # column 0 is trained as a negative
    assert slope[0, 0, 2] < 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_weight_of_an_absent_class_changes_only_its_negatives(
    kind: str, detector: Callable, batch: Callable
) -> None:
    model, images = detector(kind), batch([1, 3], [2])
    outputs: list[Tensor] = []
    classifier = {
        "retinanet": lambda: model.head.classification_head,
        "fcos": lambda: model.head.classification_head,
        "ssd": lambda: model.head.classification_head,
        "ssdlite": lambda: model.head.classification_head,
    }.get(kind, lambda: model.roi_heads.box_predictor)()
    hook = classifier.register_forward_hook(
        lambda _, __, out: outputs.append(out if isinstance(out, Tensor) else out[0])
    )
    slopes = []
    for rare in (50, 2):
        loss = create_loss("inverse", [99, 50, 40, 30, rare], num_images=100, reduction="none")
        attach(model, loss)
        value = next(v for k, v in losses(model, images).items() if k in CLASSIFICATION)
        slopes.append(torch.autograd.grad(value, outputs.pop())[0].flatten(0, -2))
    hook.remove()
    if kind not in SINGLE_SHOT:  # whose choice of negatives may change
        assert torch.equal(slopes[0][:, :4], slopes[1][:, :4])
    assert (slopes[0][:, 4] >= 0).all()
    assert slopes[1][:, 4].sum() > 5 * slopes[0][:, 4].sum()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "loss", [create_loss("focal", alpha=0.25, reduction="none"), sigmoid_focal_loss]
)
def test_half_precision_logits(dtype: torch.dtype, loss: Any, detector: Callable) -> None:
    model = attach(detector("retinanet"), loss)
    logits = 20 * torch.randn(1, 50, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    matched = torch.full((1, 50), -1)
    matched[0, 3] = 0
    value = compute_retinanet(model, logits.requires_grad_(), matched, [[2]])
    exact = compute_retinanet(model, logits.detach().double(), matched, [[2]])
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=0)
    (slope,) = torch.autograd.grad(value, logits)
    assert slope.dtype == dtype
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("kind", ["retinanet", "fcos", "faster_rcnn", "ssd"])
def test_autocast(kind: str, detector: Callable, batch: Callable) -> None:
    model = attach(detector(kind), create_loss("focal", reduction="none"))
    with torch.autocast("cpu", torch.bfloat16):
        values = losses(model, batch([1, 3], [2]))
    assert all(torch.isfinite(g).all() for g in gradients(model, values))


@pytest.mark.parametrize("kind", REGIONS + SINGLE_SHOT)
def test_counts_with_and_without_the_background_are_the_same(
    kind: str, detector: Callable, batch: Callable
) -> None:
    model, images = detector(kind), batch([1, 3], [2])
    options = {"beta": 0.9, "scheme": "column", "reduction": "none"}
    values = [
        losses(attach(model, create_loss("cb_focal", counts, **options)), images)
        for counts in ([40, 9, 5, 2], ClassCounts.at_columns([40, 9, 5, 2], range(1, 5), 5))
    ]
    torch.testing.assert_close(values[0], values[1])


@pytest.mark.parametrize("kind", ["retinanet", "fcos", "faster_rcnn", "ssd"])
@pytest.mark.filterwarnings("ignore:All class weights")
@pytest.mark.parametrize("name", ["cb_focal", "eqlv2", "federated", "splc", "logit_adjusted"])
def test_losses_of_every_sort_train(
    kind: str, name: str, detector: Callable, batch: Callable
) -> None:
    counts = ClassCounts.at_columns([40, 9, 5, 2], range(1, 5), 5)
    options: dict[str, Any] = {"cb_focal": {"scheme": "column"}, "federated": {"num_classes": 3}}
    loss = create_loss(
        name, counts, num_images=counts.total, reduction="none", **options.get(name, {})
    )
    model = attach(detector(kind), loss)
    values = losses(model, batch([1, 3], []))
    found = gradients(model, values)
    assert all(torch.isfinite(g).all() for g in found)
    assert sum(float(g.abs().sum()) for g in found) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_takes_in_what_is_trained_once(
    kind: str, detector: Callable, batch: Callable
) -> None:
    loss = EqualizationLossV2(5, reduction="none")
    seen: list[int] = []

    def look(module: nn.Module, args: Any, output: Tensor) -> None:
        if module.training:
            seen.append(len(args[0]))

    loss.register_forward_hook(look)
    values = losses(attach(detector(kind), loss), batch([1, 3], [2]))
    assert loss.training
    assert loss.positive_gradient[1:4].all()
    assert not loss.positive_gradient[4]
    assert len(seen) == 1  # not when SSD ranks the negatives
    assert all(torch.isfinite(value) for value in values.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_stands_still_in_validation(
    kind: str, detector: Callable, batch: Callable
) -> None:
    every = [EqualizationLossV2(5, reduction="none")]
    if kind not in DENSE:
        every.append(SeesawLoss(5, reduction="none"))
    for loss in every:
        before = {name: buffer.clone() for name, buffer in loss.named_buffers()}
        with torch.no_grad():
            losses(attach(detector(kind), loss), batch([1, 3], [2]))
        assert loss.training
        assert all(torch.equal(buffer, before[name]) for name, buffer in loss.named_buffers())


@pytest.mark.parametrize("kind", REGIONS + SINGLE_SHOT)
def test_softmax_losses_of_ours_keep_the_head_a_softmax_head(
    kind: str, detector: Callable, batch: Callable
) -> None:
    model, images = detector(kind), batch([1, 3], [2])
    loss = SeesawLoss(5, p=0, q=0, reduction="none")  # plain cross entropy
    before = losses(model, images)
    after = losses(attach(model, loss), images)
    torch.testing.assert_close(after, before)
    assert loss.counts.sum() > 0


def test_the_epoch_reaches_an_attached_loss(detector: Callable, batch: Callable) -> None:
    counts = ClassCounts.at_columns([40, 9, 5, 2], range(1, 5), 5)
    loss = create_loss(
        "cb_focal", counts, beta=0.9, scheme="column", start_epoch=3, reduction="none"
    )
    model, images = attach(detector("retinanet"), loss), batch([1, 3], [2])
    early = losses(model, images)["classification"]
    loss.set_epoch(3)
    late = losses(model, images)["classification"]
    assert early != late
    assert attached_loss(model) is loss
    assert isinstance(attached_loss(model), Loss)
