"""The classifier: its two halves, and what stays as it is while it learns."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mlt.errors import ConfigError
from mlt.models import Classifier, build_model
from mlt.models.settings import ModelConfig

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def make(**options: object) -> Classifier:
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone="test_resnet", weights="none", **options), 3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # timm starts some at 0, which blocks gradients
            nn.init.ones_(module.weight)
    return model


def step(model: Classifier) -> set[str]:
    """Train one step in training mode; the names of parameters and buffers that changed."""
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.train()
    model(IMAGES).square().sum().backward()
    optimizer.step()
    model.zero_grad()
    return {name for name, value in model.state_dict().items() if (value != before[name]).any()}


def test_the_halves_make_the_whole() -> None:
    model = make().eval()
    features = model.forward_features(IMAGES)
    assert features.shape == (4, 96)
    assert torch.equal(model.forward_head(features), model(IMAGES))


def test_everything_learns_by_default() -> None:
    model = make()
    assert step(model) == set(model.state_dict())


def test_frozen_parts_stay_as_they_are() -> None:
    model = make(freeze=["conv1", "bn1", "layer1"])
    frozen = {
        name
        for name in model.state_dict()
        if name.split(".")[1] in ("conv1", "bn1", "layer1") and name.startswith("backbone")
    }
    assert step(model) == set(model.state_dict()) - frozen
    assert not model.backbone.layer1[0].bn1.training
    assert model.backbone.layer2[0].bn1.training
    assert model.eval().train().backbone.layer1.training is False


def test_a_part_is_not_a_prefix_of_letters() -> None:
    model = make(freeze=["layer1.0"])
    names = {n for n, p in model.backbone.named_parameters() if not p.requires_grad}
    assert names == {n for n, _ in model.backbone.named_parameters() if n.startswith("layer1.0.")}


def test_single_parameters_can_be_frozen() -> None:
    model = make(freeze=["conv1.0.weight"])
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == [
        "backbone.conv1.0.weight"
    ]


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("layer[12]", ["layer1", "layer2"]),
        ("layer?.0", ["layer1.0", "layer2.0", "layer3.0", "layer4.0"]),
        ("*.bn1", ["layer1.0.bn1", "layer2.0.bn1", "layer3.0.bn1", "layer4.0.bn1"]),
    ],
)
def test_parts_can_be_named_by_a_pattern(pattern: str, parts: list[str]) -> None:
    model, by_name = make(freeze=[pattern]), make(freeze=parts)
    for name, parameter in by_name.named_parameters():
        assert model.get_parameter(name).requires_grad == parameter.requires_grad
    for name, module in by_name.train().named_modules():
        assert model.train().get_submodule(name).training == module.training
    assert not all(parameter.requires_grad for parameter in model.parameters())


def test_frozen_backbone() -> None:
    model = make(freeze="all")
    assert model.frozen == "all"
    assert step(model) == {"head.1.weight", "head.1.bias"}


def test_freezing_again_replaces() -> None:
    model = make(freeze="all")
    model.freeze(["layer1"])
    assert model.frozen == ("layer1",)
    assert all(p.requires_grad for p in model.backbone.layer2.parameters())
    assert model.backbone.bn1.training
    model.freeze([])
    assert step(model) == set(model.state_dict())


def test_head_first() -> None:
    model = make(freeze=["layer1"])
    model.train_backbone(False)
    assert step(model) == {"head.1.weight", "head.1.bias"}
    model.train_backbone(True)
    changed = step(model)
    assert "backbone.layer2.0.conv1.weight" in changed
    assert not any(name.startswith("backbone.layer1") for name in changed)


def test_freezing_in_evaluation_mode_keeps_it() -> None:
    model = make().eval()
    model.freeze(["layer1"])
    assert not any(module.training for module in model.modules())


def test_frozen_statistics() -> None:
    model = make(freeze_statistics=True, head={"name": "projection", "width": 8})
    changed = step(model)
    assert "backbone.layer2.0.bn1.weight" in changed
    assert not any("running" in name for name in changed if name.startswith("backbone"))
    assert any("running" in name for name in changed if name.startswith("head"))


def test_unknown_part() -> None:
    with pytest.raises(ConfigError, match=r"'layer9'.*Its parts: .*layer1, layer2"):
        make(freeze=["layer9"])


def test_survives_copying_compiling_and_half_precision() -> None:
    model = copy.deepcopy(make(freeze=["layer1"])).train()
    assert not model.backbone.layer1.training
    with torch.autocast("cpu", torch.bfloat16):
        assert model(IMAGES).shape == (4, 3)


def test_state_dict_names_backbone_and_head() -> None:
    model = Classifier(nn.Linear(2, 2), nn.Linear(2, 1))
    assert list(model.state_dict()) == [
        "backbone.weight",
        "backbone.bias",
        "head.weight",
        "head.bias",
    ]
