"""Losses in torchvision's detectors: ``attach(model, loss)`` and ``detach(model)``.

from mlt.detection import class_counts_from_coco
from mlt.detection.torchvision import attach
from mlt.losses import create_loss

counts = class_counts_from_coco("instances_train.json", num_classes=91)
loss = create_loss("cb_focal", counts, beta=0.999, scheme="column", reduction="none")
attach(model, loss)
"""

from mlt.detection.torchvision.attach import attach, attached_loss, detach, set_prior

__all__ = ["attach", "attached_loss", "detach", "set_prior"]
