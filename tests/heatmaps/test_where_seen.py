"""Where a model saw each class: the attention of its head, or Grad-CAM, as shares."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from mlt.errors import ConfigError, DataError
from mlt.heatmaps import grad_cam, where_seen
from mlt.models import Classifier
from mlt.models.heads import CSRA
from mlt.models.spatial_features import map_channels


def model(head: str) -> Classifier:
    torch.manual_seed(0)
    backbone = timm.create_model("test_resnet", num_classes=0)
    width = map_channels(backbone)
    return Classifier(backbone, CSRA(width, 5, (1.0,)) if head == "csra" else nn.Linear(width, 5))


def test_attention_is_that_of_the_head_and_the_model_stays_in_training() -> None:
    attentive, images = model("csra"), torch.randn(2, 3, 64, 96)
    attentive.train()
    found = where_seen(attentive, images, [3, 0])
    assert attentive.training
    assert attentive.backbone.training
    attentive.eval()
    expected = attentive.head.attention(attentive.forward_features(images))
    torch.testing.assert_close(found, expected[:, [3, 0]].detach())
    assert not found.requires_grad
    torch.testing.assert_close(found.sum((2, 3)), torch.ones(2, 2))


def test_grad_cam_as_shares() -> None:
    linear, images = model("linear"), torch.randn(2, 3, 64, 96)
    plain, found = grad_cam(linear, images, range(5)), where_seen(linear, images, range(5))
    torch.testing.assert_close(found * plain.sum((2, 3), keepdim=True), plain)
    sums = found.sum((2, 3))
    torch.testing.assert_close(sums, (plain.sum((2, 3)) > 0).float())
    assert 1 in sums


def test_grad_cam_of_a_head_with_attention() -> None:
    attentive, images = model("csra"), torch.randn(1, 3, 64, 64)
    plain = grad_cam(attentive, images, [2])
    found = where_seen(attentive, images, [2], method="grad_cam")
    torch.testing.assert_close(found * plain.sum(), plain)
    assert not torch.equal(found, where_seen(attentive, images, [2]))


def test_what_cannot_be() -> None:
    linear, images = model("linear"), torch.randn(1, 3, 64, 64)
    with pytest.raises(ConfigError, match="has no attention of its own"):
        where_seen(linear, images, [0], method="attention")
    with pytest.raises(ConfigError, match="columns 0 to 4, got 5"):
        where_seen(model("csra"), images, [5])
    with torch.no_grad():
        linear.head.weight[3] = torch.nan
    with pytest.raises(DataError, match="not finite"):
        where_seen(linear, images, [3])


def test_large_and_small_scores_give_the_same_shares() -> None:
    linear, images = model("linear"), torch.randn(1, 3, 64, 64)
    expected = where_seen(linear, images, range(5))
    for scale in (1e-30, 1e30):
        with torch.no_grad():
            linear.head.weight *= scale
        torch.testing.assert_close(where_seen(linear, images, range(5)), expected)
        with torch.no_grad():
            linear.head.weight /= scale
