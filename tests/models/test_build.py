"""From configuration to model: names, weights, normalisation, sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from pydantic import ValidationError
from timm.layers import resample_abs_pos_embed

from mlt.errors import CheckpointError, ConfigError
from mlt.models import build_model
from mlt.models.backbone import build_backbone, input_normalisation, num_features
from mlt.models.checkpoint import CheckpointInfo, save_checkpoint, start_from
from mlt.models.settings import ModelConfig


def config(backbone: str = "test_resnet", **options: Any) -> ModelConfig:
    return ModelConfig.model_validate({"backbone": backbone, "weights": "none"} | options)


@pytest.mark.parametrize(
    "name",
    ["test_resnet", "test_vit", "test_convnext", "test_efficientnet", "mobilenetv3_small_050"],
)
def test_features_have_the_length_that_the_head_expects(name: str) -> None:
    model = build_model(config(name), 5).eval()
    size = model.backbone.pretrained_cfg["input_size"][-1]
    images = torch.zeros(2, 3, size, size)
    assert model.forward_features(images).shape == (2, num_features(model.backbone))
    assert model(images).shape == (2, 5)


def test_another_size_for_a_vision_transformer() -> None:
    model = build_model(config("test_vit"), 2, image_size=96).eval()
    assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 2)


def test_position_embeddings_of_a_file_are_resampled_as_timm_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    own = timm.create_model("test_vit", num_classes=0)  # for 160 pixels, patches of 16
    torch.save(own.state_dict(), tmp_path / "own.pt")
    weights = {"file": str(tmp_path / "own.pt")}
    found = build_backbone(config("test_vit", weights=weights), image_size=96)
    prefix = own.num_prefix_tokens
    expected = resample_abs_pos_embed(own.pos_embed, [6, 6], num_prefix_tokens=prefix)
    torch.testing.assert_close(found.pos_embed, expected)
    torch.testing.assert_close(found.norm.weight, own.norm.weight)
    # A file that is for the new size already fits as it is.
    torch.save(found.state_dict(), tmp_path / "found.pt")
    weights = {"file": str(tmp_path / "found.pt")}
    again = build_backbone(config("test_vit", weights=weights), image_size=96)
    assert torch.equal(again.pos_embed, found.pos_embed)
    # And one that fits neither is refused with what differs.
    with pytest.raises(CheckpointError, match=r"pos_embed is \(1, 37, 64\) in the file"):
        build_backbone(config("test_vit", weights=weights), image_size=64)


@pytest.mark.parametrize(
    "name", ["test_vit", "vit_base_patch16_siglip_224", "swin_tiny_patch4_window7_224"]
)
def test_a_run_may_begin_from_a_checkpoint_of_another_size(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = timm.create_model
    tiny: dict[str, Any] = {"embed_dim": 32, "num_heads": 2, "depth": 1} if "siglip" in name else {}
    if "swin" in name:
        tiny = {"embed_dim": 16, "depths": (1, 1), "num_heads": (2, 2)}
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: create(*a, **tiny, **k))
    settings = config(name, freeze="all")
    before = build_model(settings, 2, image_size=224)
    info = CheckpointInfo(("a", "b"), (1, 2), 3, settings.model_dump(), {"size": 224}, 1)
    save_checkpoint(tmp_path / "run.safetensors", before.state_dict(), info)
    model = build_model(settings, 2, image_size=160)
    start_from(model, tmp_path / "run.safetensors", ["a", "b"], 160)
    assert model.eval()(torch.zeros(1, 3, 160, 160)).shape == (1, 2)
    torch.testing.assert_close(model.head.state_dict(), before.head.state_dict())
    assert not any(p.requires_grad for p in model.backbone.parameters())
    if hasattr(model.backbone, "pos_embed"):
        expected = resample_abs_pos_embed(
            before.backbone.pos_embed,
            [10, 10],
            num_prefix_tokens=before.backbone.num_prefix_tokens,
        )
        torch.testing.assert_close(model.backbone.pos_embed.detach(), expected.detach())


def test_any_size_for_a_convolutional_network() -> None:
    model = build_model(config("test_resnet"), 2, image_size=96).eval()
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 2)


def test_prior_bias_is_an_option() -> None:
    prior = np.array([0.5, 0.1])
    assert build_model(config(), 2, prior).head[-1].bias.tolist() == pytest.approx([0, -2.1972246])
    assert build_model(config(prior_bias=False), 2, prior).head[-1].bias.tolist() == [0, 0]
    assert build_model(config(), 2).head[-1].bias.tolist() == [0, 0]


def test_the_seed_fixes_the_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build_model(config(), 2).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        # What the published protocol has as 123.675, 116.28, 103.53 and 58.395, 57.12, 57.375.
        ("resnet50.tv_in1k", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("tf_efficientnet_lite0", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_normalisation_is_the_backbones_own(
    name: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    with torch.device("meta"):
        backbone = timm.create_model(name)
    assert input_normalisation(backbone) == (mean, std)
    other = config(name, mean=[0.1, 0.2, 0.3])
    assert input_normalisation(backbone, other) == ((0.1, 0.2, 0.3), std)


def test_model_knows_its_normalisation() -> None:
    model = build_model(config(std=[0.2, 0.2, 0.2]), 2)
    assert (model.mean, model.std) == ((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def test_weights_from_the_backbone_of_a_saved_model(tmp_path: Path) -> None:
    source = build_model(config(), 2)
    torch.save(source.state_dict(), tmp_path / "a.pth")
    weights = {"file": str(tmp_path / "a.pth"), "prefix": "backbone."}
    target = build_model(config(weights=weights), 7)
    for one, two in zip(source.backbone.parameters(), target.backbone.parameters()):
        assert torch.equal(one, two)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="does not fit"):
        build_model(config(weights={"file": str(tmp_path / "a.pth")}), 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet_50", "has no model 'resnet_50'. Close names: .*resnet50"),
        ("qqqqqqqq", "All names"),
        ("resnet50.imagenet", "no weights named 'imagenet'. What there is: .*tv_in1k"),
        ("", "has no model"),
    ],
)
def test_unknown_backbone(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_backbone(config(name))


def test_no_connection_to_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: Any, **kwargs: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", no_network)
    with pytest.raises(CheckpointError) as caught:
        build_backbone(config(weights="pretrained"))
    for part in ("Name or service not known", "{file: PATH}", "model.weights: none"):
        assert part in str(caught.value)


def test_stochastic_depth() -> None:
    assert build_backbone(config("test_resnet", drop_path=0.2)).training
    with pytest.raises(ConfigError, match="drop_path_rate"):
        build_backbone(config("vgg11", drop_path=0.2))


@pytest.mark.parametrize(
    "options",
    [
        {"weights": "imagenet"},
        {"weights": {"path": "a.pth"}},
        {"head": {"name": "mlp"}},
        {"head": {"name": "linear", "width": 3}},
        {"head": {"name": "projection", "dropout": 1.0}},
        {"freeze": "most"},
        {"std": [0, 1, 1]},
        {"backbone_name": "x"},
    ],
)
def test_bad_config(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**options)
