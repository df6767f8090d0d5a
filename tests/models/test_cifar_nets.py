"""The networks for small images, as backbones among those of timm."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from mlt.errors import CheckpointError, ConfigError
from mlt.models import Classifier, build_model, parameter_groups
from mlt.models.cifar_fast import CifarFast, whitening_filters
from mlt.models.cifar_resnet import CifarResNet
from mlt.models.heads.settings import CSRAHead
from mlt.models.settings import ModelConfig

NAMES = ["cifar_resnet32", "cifar_fast"]


def build(name: str, **options: object) -> Classifier:
    torch.manual_seed(0)
    return build_model(ModelConfig(backbone=name, weights="none", **options), num_classes=10)


def images(count: int = 4, size: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_map_pooled_features_and_last_layer_fit_together(name: str) -> None:
    model = timm.create_model(name, num_classes=7).eval()
    maps = model.forward_features(images())
    pooled = model.forward_head(maps, pre_logits=True)
    assert maps.shape[1] == pooled.shape[1] == model.num_features
    torch.testing.assert_close(model(images()), model.get_classifier()(pooled))
    model.reset_classifier(0)
    torch.testing.assert_close(model(images()), pooled)


@pytest.mark.parametrize("name", NAMES)
def test_heads_on_pooled_features_and_on_the_map(name: str) -> None:
    for options in ({}, {"head": CSRAHead()}):
        assert build(name, **options)(images(2, size=40)).shape == (2, 10)


@pytest.mark.parametrize("name", NAMES)
def test_parts_freeze_and_layers_have_rates_of_their_own(name: str) -> None:
    model = build(name, freeze=("layer1",))
    frozen = {k for k, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {k for k, _ in model.named_parameters() if k.startswith("backbone.layer1.")}
    scales = [group["lr_scale"] for group in parameter_groups(build(name), layer_decay=0.5)]
    assert scales == sorted(scales) and scales[0] < scales[-1] == 1


@pytest.mark.parametrize("name", NAMES)
def test_recomputed_activations_give_the_same_gradients(name: str) -> None:
    gradients = []
    for enable in (False, True):
        model = build(name)
        model.backbone.set_grad_checkpointing(enable)
        model(images()).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for once, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, once)


@pytest.mark.parametrize("name", NAMES)
def test_neither_has_trained_weights_nor_stochastic_depth(name: str) -> None:
    with pytest.raises(CheckpointError, match=f"(?s){name}.*model.weights: none"):
        build_model(ModelConfig(backbone=name), num_classes=10)
    with pytest.raises(ConfigError, match="drop_path"):
        build(name, drop_path=0.1)


def test_resnet32_is_that_of_the_paper() -> None:
    model = CifarResNet(num_classes=10)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == 32
    assert sum(p.numel() for p in model.parameters()) == 464_154  # 0.46 million


def test_shortcuts_take_every_other_pixel_and_add_channels_of_zeros() -> None:
    block = CifarResNet(blocks=1, num_classes=0).eval().layer2[0]
    nn.init.zeros_(block.bn2.weight)  # what is beside the shortcut vanishes
    maps = torch.rand(2, 16, 6, 6)
    expected = torch.zeros(2, 32, 3, 3)
    expected[:, 8:24] = maps[:, :, ::2, ::2]
    torch.testing.assert_close(block(maps), expected)


def test_whitened_patches_are_uncorrelated_and_of_unit_variance() -> None:
    noise = images(64)
    smooth = F.avg_pool2d(noise, 3, stride=1, padding=1) + 0.5  # neighbours are alike
    responses = F.conv2d(smooth, whitening_filters(smooth, eps=0).view(12, 3, 2, 2))
    flat = responses.transpose(0, 1).flatten(1)
    torch.testing.assert_close(flat @ flat.T / flat.shape[1], torch.eye(12), atol=1e-3, rtol=0)


def test_first_filters_are_saved_and_do_not_learn() -> None:
    model = CifarFast(num_classes=10)
    before = model.filters.clone()
    model.whiten(images(16) * 3)
    assert not torch.equal(model.filters, before)
    torch.testing.assert_close(model.filters[:12], -model.filters[12:])
    assert "filters" in model.state_dict()
    assert "filters" not in dict(model.named_parameters())
