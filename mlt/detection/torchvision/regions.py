"""Faster, Mask and Keypoint R-CNN: softmax heads, made sigmoid heads or left as they are.

As a sigmoid head, column 0 (the background) is out of use: it is not trained, and has no score. A
region without a box is a negative of every class.
"""

# TorchScript reads the annotations: they must not be postponed to strings.

from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import batched_nms, clip_boxes_to_image, remove_small_boxes

from mlt.detection.call_loss import call_loss
from mlt.detection.loss_checks import DetectionLoss, num_columns
from mlt.detection.targets import one_hot
from mlt.detection.torchvision.attachment import Attachment, element_losses

__all__ = ["SigmoidRegions", "SoftmaxRegions", "foreground_losses"]


def foreground_losses(loss: DetectionLoss, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of each row, over the columns of real classes.

    Args:
        loss: For C columns or, without the background's, C - 1; see
            :func:`~mlt.detection.loss_checks.num_columns`.
        logits: Shape (R, C), column 0 the background's.
        labels: Shape (R,), 0 for the background.

    Returns:
        Shape (R,). No gradient reaches column 0.
    """
    targets = one_hot(labels, logits.shape[-1], dtype=torch.bool)
    targets[:, 0] = False
    if num_columns(loss) == logits.shape[-1]:
        return element_losses(loss, logits, targets)[:, 1:].sum(-1)
    return element_losses(loss, logits[:, 1:], targets[:, 1:]).sum(-1)


class RegionsWithLoss(Attachment, RoIHeads):
    """Looks at the sampled labels and the logits as they pass, and puts the new loss in its place.

    torchvision calls its loss by name from the middle of `forward`, so it cannot be replaced there.
    What it computes unused is one cross entropy over the sampled regions, 512 per image.
    """

    def region_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the classification loss of each region, shape (R,)."""
        raise NotImplementedError

    # Not `forward`: TorchScript would have to compile it.
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call torchvision's `forward`, and in training replace the classification loss."""
        if not self.training:
            return super().__call__(*args, **kwargs)
        seen = []
        hook = self.box_predictor.register_forward_hook(lambda *call: seen.append(call[-1][0]))
        try:
            detections, losses = super().__call__(*args, **kwargs)
        finally:
            hook.remove()
            labels = self.__dict__.pop("sampled_labels", [])
        regions = self.region_losses(seen[0], torch.cat(labels))
        losses["loss_classifier"] = regions.sum() / max(len(regions), 1)
        return detections, losses

    @torch.jit.unused
    def select_training_samples(
        self, proposals: list[Tensor], targets: list[dict[str, Tensor]] | None
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """Sample as torchvision does, and keep the labels for the loss."""
        samples = super().select_training_samples(proposals, targets)
        self.__dict__["sampled_labels"] = samples[2]
        return samples


class SoftmaxRegions(RegionsWithLoss):
    """Scores stay torchvision's; the loss takes one class a region, 0 for the background."""

    @torch.jit.unused
    def region_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each region."""
        return call_loss(self.classification_loss, logits, labels)


class SigmoidRegions(RegionsWithLoss):
    """Scores are sigmoids of the columns of real classes."""

    @torch.jit.unused
    def region_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each region, over all classes."""
        return foreground_losses(self.classification_loss, logits, labels)

    def postprocess_detections(
        self,
        class_logits: Tensor,
        box_regression: Tensor,
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return boxes, scores and labels of each image, best first."""
        regions = [len(boxes) for boxes in proposals]
        decoded = self.box_coder.decode(box_regression, proposals).split(regions, 0)
        probabilities = class_logits.sigmoid().split(regions, 0)
        all_boxes: list[Tensor] = []
        all_scores: list[Tensor] = []
        all_labels: list[Tensor] = []
        for boxes, scores, shape in zip(decoded, probabilities, image_shapes):
            row, label = torch.where(scores[:, 1:] > self.score_thresh)
            label = label + 1
            boxes = clip_boxes_to_image(boxes[row, label], shape)
            scores = scores[row, label]
            large = remove_small_boxes(boxes, min_size=0.01)  # in pixels, torchvision's limit
            boxes, scores, label = boxes[large], scores[large], label[large]
            best = batched_nms(boxes, scores, label, self.nms_thresh)[: self.detections_per_img]
            all_boxes.append(boxes[best])
            all_scores.append(scores[best])
            all_labels.append(label[best])
        return all_boxes, all_scores, all_labels
