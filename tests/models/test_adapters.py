"""Low-rank adapters: the unchanged model at first, gradients beside the weights, merged away."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from mlt.errors import ConfigError
from mlt.models import build_model
from mlt.models.adapters import (
    AdaptedConv2d,
    AdaptedLinear,
    add_adapters,
    check_adapters_are_used,
    is_adapter,
    merge_adapters,
)
from mlt.models.settings import ModelConfig

FAMILIES = {
    "test_vit": 160,
    "test_convnext": 64,
    "test_efficientnet": 64,
    "test_resnet": 64,
    "swin_tiny_patch4_window7_224": 224,
}


def images(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def adapted(name: str, learnt: bool = False) -> nn.Module:
    """A backbone with adapters, perhaps with values as they have after training."""
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0).eval()
    add_adapters(backbone, rank=3, alpha=6.0)
    for parameter_name, parameter in backbone.named_parameters():
        if learnt and is_adapter(parameter_name):
            nn.init.normal_(parameter, std=0.05)
    return backbone


def test_a_linear_layer_by_hand() -> None:
    layer = nn.Linear(2, 2, bias=False)
    made = AdaptedLinear(layer, rank=1, alpha=3.0)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        made.lora_down.copy_(torch.tensor([[1.0, 2.0]]))
        made.lora_up.copy_(torch.tensor([[1.0], [-1.0]]))
    # x + 3 * (1, -1) * (x_1 + 2 x_2), of (1, 1)
    assert made(torch.ones(1, 2)).tolist() == [[10.0, -8.0]]
    assert merge_adapters(nn.Sequential(made))[0].weight.tolist() == [[4.0, 6.0], [-3.0, -5.0]]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_is_the_linear_layer_at_every_position(stride: int) -> None:
    layer = nn.Conv2d(4, 6, 1, stride=stride)
    made, linear = AdaptedConv2d(layer, 2, 4.0), nn.Linear(4, 6)
    nn.init.normal_(made.lora_up)
    linear.weight, linear.bias = nn.Parameter(layer.weight[:, :, 0, 0]), layer.bias
    beside = AdaptedLinear(linear, 2, 4.0)
    beside.lora_down, beside.lora_up = made.lora_down, made.lora_up
    x = torch.randn(2, 4, 5, 5)
    positions = x[:, :, ::stride, ::stride].permute(0, 2, 3, 1)
    torch.testing.assert_close(made(x), beside(positions).permute(0, 3, 1, 2))


@pytest.mark.parametrize(("name", "size"), FAMILIES.items())
def test_the_backbone_begins_unchanged(name: str, size: int) -> None:
    torch.manual_seed(0)
    plain = timm.create_model(name, num_classes=0).eval()
    backbone = adapted(name)
    assert torch.equal(backbone(images(size)), plain(images(size)))
    names = [n for n in backbone.state_dict() if not is_adapter(n)]
    assert names == list(plain.state_dict())
    assert sum(is_adapter(n) for n in backbone.state_dict()) >= 4


@pytest.mark.parametrize(("name", "size"), FAMILIES.items())
def test_merged_it_gives_the_same(name: str, size: int) -> None:
    backbone = adapted(name, learnt=True)
    with torch.no_grad():
        wanted = backbone(images(size))
        before = timm.create_model(name, num_classes=0).eval()
        merged = merge_adapters(copy.deepcopy(backbone))
        found = merged(images(size))
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    assert merged.state_dict().keys() == before.state_dict().keys()
    assert {n: type(m) for n, m in merged.named_modules()} == {
        n: type(m) for n, m in before.named_modules()
    }


def test_only_adapters_and_head_have_gradients() -> None:
    config = ModelConfig(backbone="test_vit", weights="none", learn={"name": "lora", "rank": 2})
    model = build_model(config, 3).train()
    model(images(160)).sum().backward()
    with_gradient = {n for n, p in model.named_parameters() if p.grad is not None}
    names = {n for n, _ in model.named_parameters()}
    assert with_gradient == {n for n in names if is_adapter(n) or n.startswith("head.")}
    assert len(with_gradient) == 2 * 4 * 6 + 2  # qkv, proj, fc1, fc2 of six blocks


def test_targets_by_name_and_pattern() -> None:
    backbone = timm.create_model("test_vit", num_classes=0)
    add_adapters(backbone, rank=2, targets=["blocks.0", "blocks.[45].attn.qkv"])
    layers = {n.rpartition(".")[0] for n in backbone.state_dict() if is_adapter(n)}
    assert layers == {
        *(f"blocks.0.{n}" for n in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")),
        "blocks.4.attn.qkv",
        "blocks.5.attn.qkv",
    }
    with pytest.raises(ConfigError, match=r"'blocks.9' names no linear layer .*blocks.0.attn.qkv"):
        add_adapters(timm.create_model("test_vit", num_classes=0), rank=2, targets=["blocks.9"])


def test_grouped_and_wide_convolutions_stay() -> None:
    backbone = adapted("test_efficientnet")
    kinds = {type(m).__name__: m for m in backbone.modules() if isinstance(m, nn.Conv2d)}
    assert {"AdaptedConv2d", "Conv2d"} <= kinds.keys()
    plain = [m for m in backbone.modules() if type(m) is nn.Conv2d]
    assert all(m.groups > 1 or m.kernel_size != (1, 1) for m in plain)


def test_layers_that_are_not_called_are_refused() -> None:
    # Swin V2 takes the weight of qkv for a function of its own.
    backbone = timm.create_model("swinv2_tiny_window8_256", num_classes=0, depths=(1, 1, 1, 1))
    add_adapters(backbone, rank=2)
    with pytest.raises(ConfigError, match=r"without calling them.*layers.0.blocks.0.attn.qkv"):
        check_adapters_are_used(backbone, 256)
    assert backbone.training
    backbone = timm.create_model("swinv2_tiny_window8_256", num_classes=0, depths=(1, 1, 1, 1))
    add_adapters(backbone, rank=2, targets=["*.attn.proj", "*.mlp"])
    check_adapters_are_used(backbone, 256)


def test_dropout_is_of_the_update_alone() -> None:
    made = AdaptedLinear(nn.Linear(64, 8), rank=2, alpha=2.0, dropout=0.5)
    x = torch.ones(4, 64)
    assert torch.equal(made.train()(x), made.eval()(x))  # the update is 0
    nn.init.ones_(made.lora_up)
    assert not torch.equal(made.train()(x), made.eval()(x))


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet"])
def test_an_exported_file_agrees(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    backbone, x = adapted(name, learnt=True), images(FAMILIES[name])
    with torch.no_grad():
        wanted = backbone(x).numpy()
    torch.onnx.export(merge_adapters(backbone), (x,), tmp_path / "a.onnx", dynamo=True)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    assert abs(found - wanted).max() <= 1e-5 * max(1, abs(wanted).max())


def test_activations_may_be_computed_again() -> None:
    gradients = []
    for again in (False, True):
        backbone = adapted("test_vit", learnt=True).train()
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(is_adapter(name))
        backbone.set_grad_checkpointing(again)
        backbone(images(160)).sum().backward()
        gradients.append([p.grad for n, p in backbone.named_parameters() if is_adapter(n)])
    for one, other in zip(*gradients, strict=True):
        assert other is not None
        torch.testing.assert_close(one, other)


def test_it_is_compiled_in_one_piece() -> None:
    backbone, x = adapted("test_efficientnet", learnt=True), images(64)
    compiled = torch.compile(backbone, backend="eager", fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(x), backbone(x))
