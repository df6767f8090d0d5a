"""Which part of a backbone learns: biases, normalisation, the last blocks."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
import timm
import torch
from torch import nn

from mlt.errors import ConfigError
from mlt.features.head_model import HeadModel
from mlt.models import Classifier, build_model, parameter_groups
from mlt.models.learn_settings import LearnBias, LearnLastBlocks, LearnNorm
from mlt.models.learning import names_that_learn
from mlt.models.settings import ModelConfig

SIZES = {"test_vit": 160, "test_resnet": 64, "test_efficientnet": 64, "test_convnext": 64}


def make(name: str, learn: Any, **options: Any) -> Classifier:
    torch.manual_seed(0)
    values = {"backbone": name, "weights": "none", "learn": learn} | options
    model = build_model(ModelConfig.model_validate(values), 3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # timm starts some at 0, which blocks gradients
            nn.init.ones_(module.weight)
    return model


def moved(model: Classifier) -> set[str]:
    """Names of what one step in training mode would change in the backbone."""
    before = copy.deepcopy(model.state_dict())
    size = SIZES[model.backbone.pretrained_cfg["architecture"]]
    model.train()(torch.randn(4, 3, size, size)).square().sum().backward()
    parameters = model.backbone.named_parameters()
    learning = {name for name, p in parameters if p.grad is not None and p.grad.any()}
    statistics = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    return learning | {name.removeprefix("backbone.") for name in statistics}


@pytest.mark.parametrize("name", SIZES)
def test_biases_alone(name: str) -> None:
    model = make(name, {"name": "bias"}, freeze_statistics=True)
    biases = {n for n, _ in model.backbone.named_parameters() if n.endswith(".bias")}
    assert biases
    assert moved(model) == biases
    learning = {n for n, p in model.backbone.named_parameters() if p.requires_grad}
    assert learning == biases
    assert all(p.requires_grad for p in model.head.parameters())


@pytest.mark.parametrize("name", SIZES)
def test_normalisation_alone(name: str) -> None:
    model = make(name, {"name": "norm"}, freeze_statistics=True)
    modules = dict(model.backbone.named_modules())
    learning = {n for n, p in model.backbone.named_parameters() if p.requires_grad}
    norms = (nn.LayerNorm, nn.BatchNorm2d)
    assert learning == {
        n
        for n, _ in model.backbone.named_parameters()
        if isinstance(modules[n.rpartition(".")[0]], norms)
    }
    assert moved(model) == learning


# Name, blocks, the first parts of names that learn: counted by hand from the printed models.
LAST = [
    ("test_vit", 1, {"blocks.5", "norm"}),
    ("test_vit", 2, {"blocks.4", "blocks.5", "norm"}),
    ("test_resnet", 1, {"layer4.0"}),
    ("test_efficientnet", 1, {"blocks.4", "conv_head", "bn2"}),
    # Ends in a normalisation, which is not a block but learns with the last.
    ("test_convnext", 1, {"stages.3.blocks.1", "head.norm"}),
    ("tf_efficientnet_lite0", 1, {"blocks.6", "conv_head", "bn2"}),
    ("tf_efficientnet_lite0", 2, {"blocks.5.3", "blocks.6", "conv_head", "bn2"}),
    ("swin_tiny_patch4_window7_224", 1, {"layers.3.blocks.1", "norm"}),
    ("vit_base_patch16_clip_224", 1, {"blocks.11", "norm"}),
    ("eva02_tiny_patch14_224", 1, {"blocks.11", "fc_norm"}),
    ("densenet121", 1, {"features.denseblock4.denselayer16", "features.norm5"}),
    ("mobilenetv3_small_050", 2, {"blocks.5.0", "conv_head"}),
]


@pytest.mark.parametrize(("name", "blocks", "parts"), LAST)
def test_the_last_blocks_of_every_family(name: str, blocks: int, parts: set[str]) -> None:
    with torch.device("meta"):
        backbone = timm.create_model(name, num_classes=0)
    names = names_that_learn(backbone, LearnLastBlocks(name="last_blocks", blocks=blocks))
    every = {n for n, _ in backbone.named_parameters()}
    assert names == {n for n in every if any(n.startswith(f"{part}.") for part in parts)}
    assert all(any(n.startswith(f"{part}.") for n in names) for part in parts)


@pytest.mark.parametrize("name", SIZES)
def test_below_the_last_blocks_nothing_moves(name: str) -> None:
    model = make(name, {"name": "last_blocks", "blocks": 1})
    assert model.can_learn
    learning = {n for n, p in model.backbone.named_parameters() if p.requires_grad}
    assert learning == model.can_learn
    changed = moved(model)
    layers = {n.rpartition(".")[0] for n in learning}
    assert learning <= changed
    assert {n.rpartition(".")[0] for n in changed} == layers  # nor statistics of batch norm


def test_more_blocks_than_there_are() -> None:
    with pytest.raises(ConfigError, match="has 7 blocks, fewer than 8"):
        make("test_vit", {"name": "last_blocks", "blocks": 8})


def test_what_is_not_there_is_refused() -> None:
    backbone = nn.Sequential(nn.Linear(2, 2, bias=False))
    for learn in (LearnBias(name="bias"), LearnNorm(name="norm")):
        with pytest.raises(ConfigError, match="the backbone has nothing that"):
            names_that_learn(backbone, learn)


def test_what_is_frozen_does_not_learn() -> None:
    model = make("test_vit", {"name": "norm"}, freeze=["blocks.[0-4]"])
    learning = {n for n, p in model.backbone.named_parameters() if p.requires_grad}
    norms = [f"blocks.5.{n}" for n in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias")]
    assert learning == {*norms, "norm.weight", "norm.bias"}
    with pytest.raises(ConfigError, match=r"last_blocks names is frozen by model.freeze: blocks"):
        make("test_vit", {"name": "last_blocks"}, freeze=["blocks", "norm"])


def test_it_learns_again_after_a_while_with_the_head_alone() -> None:
    model = make("test_vit", {"name": "bias"})
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    model.train_backbone(False)
    assert not any(p.requires_grad for p in model.backbone.parameters())
    model.train_backbone(True)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == learning


def test_what_can_learn_is_kept_while_the_head_learns_from_features() -> None:
    model = make("test_resnet", {"name": "norm"})
    again = HeadModel.of(model).on_images()
    assert again.can_learn == model.can_learn
    learning = [{n for n, p in m.named_parameters() if p.requires_grad} for m in (model, again)]
    assert learning[0] == learning[1]


@pytest.mark.parametrize(
    "learn",
    [{"name": "bias"}, {"name": "norm"}, {"name": "last_blocks", "blocks": 3}, {"name": "lora"}],
    ids=lambda learn: learn["name"],
)
@pytest.mark.parametrize("name", SIZES)
def test_rates_by_layer_go_with_each(name: str, learn: dict[str, Any]) -> None:
    model = make(name, learn)
    groups = parameter_groups(model, backbone_lr_scale=0.1, layer_decay=0.5)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    scales = {g["name"].split(".")[1]: g["lr_scale"] for g in groups if "layer" in g["name"]}
    layers = sorted(scales)
    assert scales[layers[-1]] <= 0.1
    for low, high in pairwise(layers):
        steps = int(high.removeprefix("layer")) - int(low.removeprefix("layer"))
        assert scales[low] == pytest.approx(scales[high] * 0.5**steps)
