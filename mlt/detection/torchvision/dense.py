"""RetinaNet and FCOS: sigmoid heads, whose labels are columns.

An anchor's targets are all zero but in the column of its label; without a box they are all zero.
Column 0 is the background's by convention, and a sigmoid like the others: inference looks at it, so
it goes on being trained as a negative.
"""

# TorchScript reads the annotations: they must not be postponed to strings.

import torch
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetClassificationHead

from mlt.detection.targets import one_hot
from mlt.detection.torchvision.attachment import Attachment, element_losses
from mlt.errors import DataError

__all__ = ["FCOSHeadWithLoss", "RetinaNetHeadWithLoss", "anchor_labels"]

Targets = list[dict[str, Tensor]]


def anchor_labels(
    targets: Targets, matched_idxs: list[Tensor], num_classes: int, background: int
) -> Tensor:
    """Return the label of each anchor of each image, shape (N, A).

    Args:
        targets: The boxes' `labels` of each of N images.
        matched_idxs: For each image the box of each of its A anchors; negative for none.
        num_classes: Columns of the head; labels must be below it.
        background: The label of anchors without a box.

    Raises:
        DataError: If a box has a label that no column has.

    Example:
        >>> targets = [{"labels": torch.tensor([7, 9])}]
        >>> anchor_labels(targets, [torch.tensor([1, -1, 0])], num_classes=10, background=0)
        tensor([[9, 0, 7]])
    """
    every = torch.cat([target["labels"] for target in targets])
    low, high = (int(limit) for limit in every.aminmax()) if len(every) else (0, 0)
    if low < 0 or high >= num_classes:
        raise DataError(
            f"The boxes have labels from {low} to {high}, but this detector has {num_classes} "
            f"columns, for labels 0 to {num_classes - 1}. torchvision's num_classes counts the "
            "background: it is the largest label plus 1."
        )
    rows = []
    for target, matched in zip(targets, matched_idxs):
        labels = torch.full_like(matched, background)
        foreground = matched >= 0
        labels[foreground] = target["labels"][matched[foreground]]
        rows.append(labels)
    return torch.stack(rows)


class RetinaNetHeadWithLoss(Attachment, RetinaNetClassificationHead):
    """Sums over anchors that are not ignored; divided by those matched, image by image."""

    @torch.jit.unused
    def compute_loss(
        self, targets: Targets, head_outputs: dict[str, Tensor], matched_idxs: list[Tensor]
    ) -> Tensor:
        """Return the mean over the images of their classification loss."""
        logits = head_outputs["cls_logits"]
        matched = torch.stack(matched_idxs)
        labels = anchor_labels(targets, matched_idxs, self.num_classes, background=self.num_classes)
        used = matched != Matcher.BETWEEN_THRESHOLDS
        hot = one_hot(labels[used], self.num_classes, "last", torch.bool)
        anchors = element_losses(self.classification_loss, logits[used], hot).sum(-1)
        divisor = (matched >= 0).sum(1, keepdim=True).clamp(min=1)
        return (anchors / divisor.expand_as(used)[used]).sum() / len(targets)


class FCOSHeadWithLoss(Attachment, FCOSHead):
    """Sums over all points; divided by those matched in the whole batch."""

    @torch.jit.unused
    def compute_loss(
        self,
        targets: Targets,
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """Return torchvision's box losses, and the classification loss."""
        logits = head_outputs["cls_logits"]
        num_classes = logits.shape[-1]
        # torchvision computes its own classification loss on the way: let that be of one column.
        one_class = [{**t, "labels": torch.zeros_like(t["labels"])} for t in targets]
        one_column = {**head_outputs, "cls_logits": logits[..., :1].detach()}
        losses = super().compute_loss(one_class, one_column, anchors, matched_idxs)
        labels = anchor_labels(targets, matched_idxs, num_classes, background=num_classes)
        hot = one_hot(labels, num_classes, "last", torch.bool)
        matched = (labels != num_classes).sum().clamp(min=1)
        losses["classification"] = (
            element_losses(self.classification_loss, logits, hot).sum() / matched
        )
        return losses
