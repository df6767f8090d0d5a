"""Set a first layer that whitens patches by the training images."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mlt.data.dataset import Draw, SampleDataset
from mlt.models.cifar_fast import CifarFast
from mlt.models.classifier import Classifier

__all__ = ["whiten_first_layer"]

_IMAGES = 1000


def whiten_first_layer(model: nn.Module, dataset: SampleDataset) -> None:
    """Whiten by training images, if the backbone has a layer for it.

    Args:
        model: As the run begins; any other than a classifier on :class:`CifarFast` is left alone.
        dataset: The training images, of which up to 1,000 at equal distances are looked at, as the
            network will see them. Those that cannot be read are left to the loader.
    """
    backbone = model.backbone if isinstance(model, Classifier) else model
    if not isinstance(backbone, CifarFast) or not len(dataset):
        return
    rows = np.linspace(0, len(dataset) - 1, min(len(dataset), _IMAGES)).astype(int).tolist()
    images = [dataset[Draw(row, seed=row)].image for row in rows]
    readable = [image for image in images if image is not None]
    if readable:
        backbone.whiten(torch.stack(readable))
