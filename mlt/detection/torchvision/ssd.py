"""SSD and SSDlite: softmax heads with hard-negative mining, made sigmoid heads or left as they are.

Of the anchors without a box, those with the highest loss are trained, three for each that has one.
As a sigmoid head an anchor's loss is the sum over the real classes; column 0 (the background) is
out of use, as in `mlt.detection.torchvision.regions`.
"""

# TorchScript reads the annotations: they must not be postponed to strings.

import torch
from torch import Tensor
from torchvision.models.detection.ssd import SSD
from torchvision.ops import batched_nms, clip_boxes_to_image

from mlt.detection.call_loss import call_loss
from mlt.detection.torchvision.attachment import Attachment
from mlt.detection.torchvision.dense import Targets, anchor_labels
from mlt.detection.torchvision.regions import foreground_losses

__all__ = ["SSDWithLoss", "SigmoidSSD", "SoftmaxSSD"]


class SSDWithLoss(Attachment, SSD):
    """Ranks all anchors without a gradient, then evaluates the loss of the chosen ones."""

    def anchor_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the classification loss of each of some anchors, shape (R,)."""
        raise NotImplementedError

    @torch.jit.unused
    def compute_loss(
        self,
        targets: Targets,
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """Return torchvision's box loss, and the classification loss."""
        logits = head_outputs["cls_logits"]
        # torchvision computes its own classification loss on the way: let that be of two columns.
        one_class = [{**t, "labels": torch.ones_like(t["labels"])} for t in targets]
        two_columns = {**head_outputs, "cls_logits": logits[..., :2].detach()}
        losses = super().compute_loss(one_class, two_columns, anchors, matched_idxs)

        labels = anchor_labels(targets, matched_idxs, logits.shape[-1], background=0)
        foreground = labels > 0
        mined = self._hardest(logits, labels, foreground)
        chosen = self.anchor_losses(
            torch.cat([logits[foreground], logits[mined]]),
            torch.cat([labels[foreground], labels[mined]]),
        )
        losses["classification"] = chosen.sum() / foreground.sum().clamp(min=1)
        return losses

    @torch.no_grad()
    def _hardest(self, logits: Tensor, labels: Tensor, foreground: Tensor) -> Tensor:
        hardness = self.anchor_losses(logits.flatten(0, 1), labels.flatten()).view_as(labels)
        hardness = hardness.masked_fill(foreground, -torch.inf)
        rank = hardness.sort(1, descending=True).indices.sort(1).indices
        return rank < self.neg_to_pos_ratio * foreground.sum(1, keepdim=True)


class SoftmaxSSD(SSDWithLoss):
    """Scores stay torchvision's; the loss takes one class an anchor, 0 for the background."""

    @torch.jit.unused
    def anchor_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each anchor."""
        return call_loss(self.classification_loss, logits, labels)


class SigmoidSSD(SSDWithLoss):
    """Scores are sigmoids of the columns of real classes."""

    @torch.jit.unused
    def anchor_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each anchor, over all classes."""
        return foreground_losses(self.classification_loss, logits, labels)

    def postprocess_detections(
        self,
        head_outputs: dict[str, Tensor],
        image_anchors: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        """Return boxes, scores and labels of each image, best first."""
        probabilities = head_outputs["cls_logits"].sigmoid()
        detections: list[dict[str, Tensor]] = []
        for offsets, scores, anchors, shape in zip(
            head_outputs["bbox_regression"], probabilities, image_anchors, image_shapes
        ):
            boxes = clip_boxes_to_image(self.box_coder.decode_single(offsets, anchors), shape)
            candidates = min(self.topk_candidates, len(boxes))
            top, row = scores[:, 1:].topk(candidates, dim=0)
            place, label = torch.where(top > self.score_thresh)
            boxes, scores = boxes[row[place, label]], top[place, label]
            label = label + 1
            best = batched_nms(boxes, scores, label, self.nms_thresh)[: self.detections_per_img]
            detections.append({"boxes": boxes[best], "scores": scores[best], "labels": label[best]})
        return detections
