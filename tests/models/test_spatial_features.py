"""Feature maps of every family of backbones, tiny and random, and heads on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from scipy.sparse import csr_array
from torch import nn

from mlt.errors import ConfigError
from mlt.language import PromptEncoder
from mlt.language.open_clip_tower import OpenClipTower
from mlt.models import Classifier, build_model
from mlt.models.build import head_for
from mlt.models.heads import CSRA, AboutClasses
from mlt.models.heads.settings import (
    CosineHead,
    CSRAHead,
    GCNHead,
    Head,
    LinearHead,
    MLDecoderHead,
    ProjectionHead,
    PromptsHead,
    QueryHead,
    SpatialHeadConfig,
    TextHead,
)
from mlt.models.settings import ModelConfig
from mlt.models.spatial_features import feature_map, map_channels, spatial_features
from mlt.models.weights import read_tensors

TINY_VIT = {"img_size": 64, "patch_size": 16, "embed_dim": 32, "depth": 1, "num_heads": 2}
TINY_SWIN = {
    "img_size": 64,
    "window_size": 2,
    "embed_dim": 16,
    "depths": (1, 1),
    "num_heads": (2, 2),
}

FAMILIES = {
    "resnet": ("test_resnet", {}, 32),
    "efficientnet": ("test_efficientnet", {}, 32),
    "convnext": ("test_convnext", {}, 32),
    "head_after_pooling": ("mobilenetv3_small_050", {}, 32),
    "class_token": ("vit_tiny_patch16_224", TINY_VIT, 16),
    "no_class_token": (
        "vit_tiny_patch16_224",
        TINY_VIT | {"class_token": False, "global_pool": "avg"},
        16,
    ),
    "class_and_register_tokens": ("vit_tiny_patch16_224", TINY_VIT | {"reg_tokens": 4}, 16),
    "clip": ("vit_base_patch16_clip_224", TINY_VIT, 16),
    "siglip": ("vit_base_patch16_siglip_224", TINY_VIT, 16),
    "swin": ("swin_tiny_patch4_window7_224", TINY_SWIN, 8),
    "mambaout": ("test_mambaout", {}, 32),
    "naflex": (
        "naflexvit_base_patch16_gap",
        {"embed_dim": 32, "depth": 1, "num_heads": 2},
        16,
    ),
}


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES)
def family(request: pytest.FixtureRequest) -> tuple[nn.Module, int]:
    name, options, stride = request.param
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0, **options).eval(), stride


@torch.no_grad()
def test_map_and_pooled_features(family: tuple[nn.Module, int]) -> None:
    backbone, stride = family
    images = torch.randn(2, 3, 64, 64)
    found, pooled = spatial_features(backbone, images)
    assert found.shape == (2, map_channels(backbone), 64 // stride, 64 // stride)
    torch.testing.assert_close(pooled, backbone(images))
    torch.testing.assert_close(feature_map(backbone, images), found)


# The positions of the others each see all of an image of 64 x 64.
@pytest.mark.parametrize("family", [name for name, (*_, stride) in FAMILIES.items() if stride < 32])
@torch.no_grad()
def test_a_position_of_the_map_lies_where_it_does_in_the_image(family: str) -> None:
    name, options, _ = FAMILIES[family]
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0, **options).eval()
    # Untrained attention mixes little: what is changed most lies where the image was changed.
    images = torch.zeros(1, 3, 64, 64)
    changed = images.clone()
    row, column, size = 1, 3, 16
    changed[..., row * size : (row + 1) * size, column * size : (column + 1) * size] = torch.randn(
        1, 3, size, size
    )
    difference = (feature_map(backbone, changed) - feature_map(backbone, images)).abs().sum(1)[0]
    cells = difference.unflatten(0, (4, -1)).unflatten(2, (4, -1)).sum((1, 3))
    assert divmod(int(cells.argmax()), 4) == (row, column)


HEADS: list[Head] = [
    LinearHead(standardize=True),
    ProjectionHead(width=16),
    CosineHead(),
    CSRAHead(temperatures=(1, "max")),
    QueryHead(width=16),
    MLDecoderHead(groups=2, width=16, feedforward=32),
    GCNHead(node_width=8, hidden_width=16),
    TextHead(embeddings="classes.safetensors", residual=True),
    PromptsHead(model="mlt-tiny", context=2),
]


ABOUT = AboutClasses(tuple("abcde"), csr_array(np.eye(5, dtype=np.int64)), 9)


EMBEDDINGS = np.random.default_rng(0).normal(size=(5, 24)).astype(np.float32)


@pytest.mark.parametrize("config", HEADS, ids=lambda head: head.name)
def test_every_head_on_every_family(
    family: tuple[nn.Module, int], config: Head, request: pytest.FixtureRequest
) -> None:
    backbone, stride = family
    about = ABOUT
    if isinstance(config, TextHead):
        about = replace(ABOUT, embeddings=EMBEDDINGS)
    elif isinstance(config, PromptsHead):
        name, weights = request.getfixturevalue("tiny_clip")
        tower = OpenClipTower.load(name, read_tensors(weights))
        prompts = PromptEncoder(tower, ABOUT.names, config.context)
        about = replace(ABOUT, embeddings=EMBEDDINGS[:, :16], prompts=prompts)
    model = Classifier(backbone, head_for(backbone, config, 5, about)).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = model.forward_features(images)
        logits = model(images)
        torch.testing.assert_close(logits, model.head(features))
    assert logits.shape == (2, 5)
    assert torch.isfinite(logits).all()
    assert model.is_spatial == isinstance(config, SpatialHeadConfig)
    if model.is_spatial:
        attention = model.head.attention(features)
        assert attention.shape == (2, 5, 64 // stride, 64 // stride)
        torch.testing.assert_close(attention.sum((2, 3)), torch.ones(2, 5))
    model.train().forward_head(features).sum().backward()
    for name, parameter in model.head.named_parameters():
        assert parameter.grad is not None or not parameter.requires_grad, name


def test_the_map_of_a_backbone_may_have_other_features_than_it_pools() -> None:
    config = ModelConfig.model_validate(
        {"backbone": "mobilenetv3_small_050", "weights": "none", "head": {"name": "csra"}}
    )
    model = build_model(config, 3).eval()
    assert isinstance(model.head, CSRA)
    # The pooled features of this backbone are 1,024, those of its map 288.
    assert model.head.weight.shape == (1, 3, 288)
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


def test_images_that_are_not_square() -> None:
    backbone = timm.create_model(
        "vit_tiny_patch16_224", num_classes=0, **TINY_VIT | {"img_size": (32, 64)}
    )
    assert feature_map(backbone, torch.zeros(1, 3, 32, 64)).shape == (1, 32, 2, 4)


def test_backbones_without_a_map() -> None:
    with pytest.raises(ConfigError, match=r"Flatten has no method forward_features"):
        feature_map(nn.Flatten(), torch.zeros(1, 3, 8, 8))

    class Pooled(nn.Module):
        num_features = 4

        def forward_features(self, images: torch.Tensor) -> torch.Tensor:
            return images.new_zeros(len(images), 4)

    with pytest.raises(ConfigError, match=r"Pooled gives features of shape \(1, 4\)"):
        feature_map(Pooled(), torch.zeros(1, 3, 8, 8))
