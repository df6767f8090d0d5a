"""Tiny detectors of torchvision with random weights, and batches for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, KeypointRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops import MultiScaleRoIAlign

Batch = tuple[list[Tensor], list[dict[str, Tensor]]]
SIZE = 64


class TinyBackbone(nn.Module):
    """One strided convolution; a map of 8 x 8."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.out_channels: Any = channels
        self.conv = nn.Conv2d(3, channels, 3, stride=8, padding=1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"0": self.conv(images)}


def build_detector(kind: str, num_classes: int = 5, seed: int = 0) -> nn.Module:
    """Build a detector of a few thousand parameters, in training mode."""
    torch.manual_seed(seed)
    backbone = TinyBackbone()
    sizes = {"min_size": SIZE, "max_size": SIZE}
    anchors = AnchorGenerator(((16, 32),), ((1.0,),))
    pool = MultiScaleRoIAlign(["0"], 14, 2)
    regions = {
        "box_head": TwoMLPHead(32 * 7 * 7, 16),
        "box_predictor": FastRCNNPredictor(16, num_classes),
        "box_batch_size_per_image": 64,
        "rpn_anchor_generator": anchors,
        **sizes,
    }
    model: nn.Module
    match kind:
        case "retinanet":
            model = RetinaNet(backbone, num_classes, anchor_generator=anchors, **sizes)
        case "fcos":
            one = AnchorGenerator(((8,),), ((1.0,),))
            model = FCOS(backbone, num_classes, anchor_generator=one, **sizes)
        case "faster_rcnn":
            model = FasterRCNN(backbone, **regions)
        case "mask_rcnn":
            model = MaskRCNN(
                backbone,
                mask_roi_pool=pool,
                mask_head=MaskRCNNHeads(32, (8,), 1),
                mask_predictor=MaskRCNNPredictor(8, 8, num_classes),
                **regions,
            )
        case "keypoint_rcnn":
            model = KeypointRCNN(
                backbone,
                keypoint_roi_pool=pool,
                keypoint_head=KeypointRCNNHeads(32, (8,)),
                keypoint_predictor=KeypointRCNNPredictor(8, 17),
                **regions,
            )
        case "ssd" | "ssdlite":
            boxes = DefaultBoxGenerator([[2]], scales=[0.2, 0.4])
            backbone.out_channels = [32]
            head = None
            if kind == "ssdlite":
                norm = partial(nn.GroupNorm, 1)
                head = SSDLiteHead([32], boxes.num_anchors_per_location(), num_classes, norm)
            model = SSD(backbone, boxes, (SIZE, SIZE), num_classes, head=head, score_thresh=0.05)
        case _:
            raise AssertionError(kind)
    return model


def build_batch(*labels: list[int]) -> Batch:
    """Build images with boxes of these labels."""
    generator = torch.Generator().manual_seed(0)
    images, targets = [], []
    for own in labels:
        corner = 30 * torch.rand(len(own), 2, generator=generator)
        side = 12 + 18 * torch.rand(len(own), 2, generator=generator)
        images.append(torch.rand(3, SIZE, SIZE, generator=generator))
        keypoints = torch.ones(len(own), 17, 3)
        keypoints[..., :2] += corner[:, None] + 5
        targets.append(
            {
                "boxes": torch.cat([corner, corner + side], 1),
                "labels": torch.tensor(own, dtype=torch.int64),
                "masks": torch.ones(len(own), SIZE, SIZE, dtype=torch.uint8),
                "keypoints": keypoints,
            }
        )
    return images, targets


@pytest.fixture(scope="session")
def detector() -> Callable[..., nn.Module]:
    """`detector(kind, num_classes=5, seed=0)`, a new one each time."""
    return build_detector


@pytest.fixture(scope="session")
def batch() -> Callable[..., Batch]:
    """`batch([1, 2], [], ...)`: images with boxes of these labels."""
    return build_batch
