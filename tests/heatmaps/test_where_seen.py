"""Where a model saw each class: the attention of its head, or Grad-CAM, as shares."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import timm
import torch
from pydantic import TypeAdapter
from scipy.sparse import csr_array
from torch import nn

from mlt.errors import ConfigError, DataError
from mlt.heatmaps import grad_cam, where_seen
from mlt.heatmaps.where_seen import Method, method_of
from mlt.models import Classifier
from mlt.models.build import head_for
from mlt.models.heads import CSRA
from mlt.models.heads.about import AboutClasses
from mlt.models.heads.settings import Head
from mlt.models.spatial_features import map_channels

HEADS: dict[str, dict[str, Any]] = {
    "linear": {},
    "projection": {},
    "cosine": {},
    "csra": {},
    "query": {},
    "ml_decoder": {},
    "gcn": {},
    "text": {"embeddings": "not read here"},
}
BESIDES = {"prompts"}
"""Is that of `text` for the features of an image; needs a text tower."""


def test_no_head_is_left_out() -> None:
    kinds = get_args(get_args(Head)[0])
    names = {get_args(kind.model_fields["name"].annotation)[0] for kind in kinds}
    assert names == HEADS.keys() | BESIDES


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


@pytest.mark.parametrize("method", [None, "grad_cam"])
@pytest.mark.parametrize("name", HEADS)
def test_every_head(name: str, method: Method | None) -> None:
    torch.manual_seed(0)
    backbone = timm.create_model("test_resnet", num_classes=0).eval()
    config: Any = TypeAdapter(Head).validate_python({"name": name, **HEADS[name]})
    about = AboutClasses(tuple("abcde"), csr_array(np.eye(5)), 5, np.eye(5, dtype=np.float32))
    attentive = Classifier(backbone, head_for(backbone, config, 5, about))
    found = where_seen(attentive, torch.randn(3, 3, 96, 64), range(5), method)
    assert found.shape == (3, 5, 3, 2)
    sums = found.sum((2, 3))
    torch.testing.assert_close(sums, (sums > 0.5).float())
    if attentive.is_spatial and method is None:
        torch.testing.assert_close(sums, torch.ones(3, 5))
        assert method_of(attentive) == "attention"
    else:
        assert sums.max() > 0.5


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
