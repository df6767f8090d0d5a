"""The classification terms that take the place of those in the DETR families' criteria.

Each is called as the framework calls its own: with the criterion, one layer's outputs, the targets
of the images, which query is matched to which box, and the number of boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mlt.detection.call_loss import call_loss
from mlt.detection.loss_checks import DetectionLoss
from mlt.losses.reduce import working_precision

__all__ = ["Term", "against_no_object", "no_object_term", "query_term"]

Term = Callable[..., dict[str, Tensor]]
Matches = Sequence[tuple[Tensor, Tensor]]


def against_no_object(logits: Tensor) -> Tensor:
    """Return each class's logit against "no object", from logits whose last column that is.

    With q the result, sigmoid(q) is the probability of the class if it or nothing is there. The
    framework's post-processing takes softmax(logits) = exp(q) / (1 + sum of exp(q)) instead: the
    same class wins in each query, with a lower score where several compete.

    Args:
        logits: Shape (..., K + 1).

    Returns:
        Shape (..., K), in float32 or better.

    Example:
        >>> against_no_object(torch.tensor([[2.0, 0.0, 1.0]]))
        tensor([[ 1., -1.]])
    """
    logits = working_precision(logits)
    return logits[..., :-1] - logits[..., -1:]


def query_term(
    loss: DetectionLoss,
    key: str,
    quality: str,
    criterion: Any,
    outputs: dict[str, Tensor],
    targets: list[dict[str, Tensor]],
    indices: Matches,
    num_boxes: float,
) -> dict[str, Tensor]:
    """Return the term of heads with one column per class: the sum of all elements / num_boxes.

    Args:
        loss: Element-wise.
        key: Name of the term.
        quality: What a matched query shall predict: `one`, or the `iou`, `iou_power` or
            `score_and_iou` of the framework's own loss.
        criterion: The framework's.
        outputs: `logits` (B, Q, K) and `pred_boxes` (B, Q, 4).
        targets: Per image: `class_labels` (n,), `boxes` (n, 4).
        indices: Per image: matched queries, and the boxes they are matched to.
        num_boxes: The divisor, at least 1.
    """
    logits = outputs["logits"]
    matched = criterion._get_source_permutation_idx(indices)
    hot = torch.zeros_like(working_precision(logits))
    elements = (*matched, _matched(targets, indices, "class_labels"))
    if quality == "one":
        hot[elements] = 1.0
    else:
        with torch.no_grad():
            predicted = _quality(quality, criterion, outputs, targets, indices, elements)
        hot[elements] = predicted.to(hot.dtype)
    return {key: call_loss(loss, logits, hot).sum() / num_boxes}


def no_object_term(
    loss: DetectionLoss,
    key: str,
    softmax: bool,
    criterion: Any,
    outputs: dict[str, Tensor],
    targets: list[dict[str, Tensor]],
    indices: Matches,
    num_boxes: float,
) -> dict[str, Tensor]:
    """Return the term of heads whose last column is "no object".

    It is the mean over queries, in which unmatched ones weigh eos_coefficient, as in the framework;
    `num_boxes` is not looked at, as there.

    Args:
        loss: Element-wise, evaluated on :func:`against_no_object` and summed over the classes; or,
            with `softmax`, a loss of each query over all columns.
        key: Name of the term.
        softmax: Which of the two; the second is called on all queries of the batch, (N, K + 1) and
            labels (N,).
        criterion: The framework's.
        outputs: `logits` (B, Q, K + 1).
        targets: See :func:`query_term`.
        indices: See :func:`query_term`.
        num_boxes: See :func:`query_term`.
    """
    logits = outputs["logits"]
    matched = criterion._get_source_permutation_idx(indices)
    labels = torch.full(
        logits.shape[:2], criterion.num_classes, dtype=torch.int64, device=logits.device
    )
    labels[matched] = _matched(targets, indices, "class_labels")
    if softmax:
        queries = call_loss(loss, logits.flatten(0, 1), labels.flatten()).view_as(labels)
    else:
        hot = nn.functional.one_hot(labels, criterion.num_classes + 1)[..., :-1]
        evidence = against_no_object(logits)
        queries = call_loss(loss, evidence, hot.to(evidence.dtype)).sum(-1)
    weight = criterion.empty_weight.to(queries.dtype)[labels]
    return {key: (weight * queries).sum() / weight.sum()}


def _matched(targets: list[dict[str, Tensor]], indices: Matches, name: str) -> Tensor:
    return torch.cat([target[name][boxes] for target, (_, boxes) in zip(targets, indices)])


def _quality(
    quality: str,
    criterion: Any,
    outputs: dict[str, Tensor],
    targets: list[dict[str, Tensor]],
    indices: Matches,
    elements: tuple[Tensor, ...],
) -> Tensor:
    """Return what each matched query shall predict, shape (matches,)."""
    predicted = outputs["pred_boxes"][elements[:2]].float()
    iou = _iou(predicted, _matched(targets, indices, "boxes").float())
    if quality == "iou":
        return iou
    if quality == "iou_power":
        return iou**criterion.gamma
    assert quality == "score_and_iou"
    alpha = criterion.focal_alpha
    score = outputs["logits"][elements].float().sigmoid()
    return (score**alpha * iou ** (1 - alpha)).clamp(min=0.01)


def _iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes (n, 4) as centre, width and height, pair by pair."""
    low = torch.maximum(first[:, :2] - first[:, 2:] / 2, second[:, :2] - second[:, 2:] / 2)
    high = torch.minimum(first[:, :2] + first[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2)
    common = (high - low).clamp(min=0).prod(1)
    union = first[:, 2:].prod(1) + second[:, 2:].prod(1) - common
    return common / union.clamp(min=1e-12)
