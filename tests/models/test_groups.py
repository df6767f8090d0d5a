"""Parameter groups: every parameter once, at the rate it should have."""

from __future__ import annotations

from typing import Any

import pytest
import timm.scheduler
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mlt.models import Classifier, build_model, parameter_groups
from mlt.models.settings import ModelConfig

MODELS = {
    name: build_model(ModelConfig(backbone=name, weights="none"), 3)
    for name in ("test_resnet", "test_vit", "test_efficientnet", "test_convnext")
}


def by_parameter(model: Classifier, groups: list[dict[str, Any]], key: str) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: group[key] for group in groups for p in group["params"]}


@settings(max_examples=30)
@given(
    name=st.sampled_from(sorted(MODELS)),
    head=st.floats(0.1, 10),
    backbone=st.sampled_from([0.0, 0.1, 1.0]),
    decay=st.sampled_from([None, 0.5, 1.0]),
    everywhere=st.booleans(),
)
def test_every_parameter_once(
    name: str, head: float, backbone: float, decay: float | None, everywhere: bool
) -> None:
    model = MODELS[name]
    groups = parameter_groups(
        model,
        0.01,
        head_lr_scale=head,
        backbone_lr_scale=backbone,
        layer_decay=decay,
        decay_norm_and_bias=everywhere,
    )
    held = [id(p) for group in groups for p in group["params"]]
    wanted = [id(p) for n, p in model.named_parameters() if backbone or n.startswith("head")]
    assert len(held) == len(set(held))
    assert set(held) == set(wanted)
    scales = by_parameter(model, groups, "lr_scale")
    assert {scale for n, scale in scales.items() if n.startswith("head")} == {head}
    of_backbone = [scale for n, scale in scales.items() if n.startswith("backbone")]
    assert max(of_backbone, default=backbone) == pytest.approx(backbone)
    assert len({group["name"] for group in groups}) == len(groups)
    torch.optim.SGD(groups, lr=0.1).step()


def test_weight_decay_spares_norm_bias_and_position() -> None:
    model = MODELS["test_vit"]
    decays = by_parameter(model, parameter_groups(model, 0.1), "weight_decay")
    assert decays["backbone.blocks.0.attn.qkv.weight"] == 0.1
    assert decays["head.1.weight"] == 0.1
    for name in ("blocks.0.norm1.weight", "blocks.0.attn.qkv.bias", "pos_embed", "cls_token"):
        assert decays[f"backbone.{name}"] == 0, name
    assert decays["head.1.bias"] == 0
    everywhere = by_parameter(
        model, parameter_groups(model, 0.1, decay_norm_and_bias=True), "weight_decay"
    )
    assert set(everywhere.values()) == {0.1}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_rates_fall_towards_the_input(name: str) -> None:
    model = MODELS[name]
    groups = parameter_groups(model, backbone_lr_scale=0.1, layer_decay=0.5)
    scales = by_parameter(model, groups, "lr_scale")
    order = [scale for n, scale in scales.items() if n.startswith("backbone")]
    assert max(order) == pytest.approx(0.1)
    exponents = torch.tensor(order).div(0.1).log2()
    torch.testing.assert_close(exponents, exponents.round(), atol=1e-4, rtol=0)
    first = {"test_resnet": "conv1.0", "test_vit": "patch_embed.proj"}.get(name)
    if first:
        assert scales[f"backbone.{first}.weight"] == min(order)


def test_resnet_layers_are_blocks() -> None:
    model = MODELS["test_resnet"]
    scales = by_parameter(model, parameter_groups(model, layer_decay=0.5), "lr_scale")
    of = [scales[f"backbone.layer{stage}.0.conv1.weight"] for stage in (1, 2, 3, 4)]
    assert of == [0.125, 0.25, 0.5, 1.0]


def test_a_backbone_that_is_not_of_timm() -> None:
    model = Classifier(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), nn.Linear(2, 1))
    scales = by_parameter(model, parameter_groups(model, layer_decay=0.5), "lr_scale")
    assert scales["backbone.0.weight"] == 0.25
    assert scales["backbone.2.bias"] == scales["head.weight"] == 1.0


def test_absolute_rates() -> None:
    model = MODELS["test_resnet"]
    groups = parameter_groups(model, lr=0.2, backbone_lr_scale=0.5)
    assert {g["lr"] for g in groups} == {0.1, 0.2}
    assert not any("lr_scale" in group for group in groups)


def test_timms_schedulers_keep_the_proportions() -> None:
    model = MODELS["test_resnet"]
    optimizer = torch.optim.SGD(parameter_groups(model, backbone_lr_scale=0.1), lr=0.5)
    scheduler = timm.scheduler.CosineLRScheduler(optimizer, t_initial=10, warmup_t=2)
    for epoch in range(1, 10):
        scheduler.step(epoch)
        rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
        assert rates["backbone"] == pytest.approx(0.1 * rates["head"])


def test_frozen_parameters_are_left_out() -> None:
    config = ModelConfig(backbone="test_resnet", weights="none", freeze="all")
    names = {group["name"] for group in parameter_groups(build_model(config, 3), 0.1)}
    assert names == {"head", "head.no_decay"}
    model = build_model(config, 3)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    assert parameter_groups(model) == []
