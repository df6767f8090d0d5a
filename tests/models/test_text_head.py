"""The head that compares images with texts: its numbers, what learns, whose projection it takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from mlt.errors import ConfigError
from mlt.models import build_model
from mlt.models.heads import AboutClasses, Text, set_prior_bias
from mlt.models.projection import own_projection, projection_width
from mlt.models.settings import ModelConfig


def about(classes: int = 3, width: int = 5) -> AboutClasses:
    vectors = np.random.default_rng(0).normal(size=(classes, width)).astype(np.float32)
    return AboutClasses(tuple("abcdefgh"[:classes]), embeddings=vectors)


def config(backbone: str = "test_resnet", **head: Any) -> ModelConfig:
    head = {"name": "text", "embeddings": "unread.safetensors"} | head
    return ModelConfig.model_validate({"backbone": backbone, "weights": "none", "head": head})


def test_logits_are_scaled_cosines() -> None:
    rng = np.random.default_rng(1)
    vectors, features = rng.normal(size=(4, 5)) * 7, rng.normal(size=(6, 8)) * 3
    projection = nn.Linear(8, 5)
    head = Text(8, torch.tensor(vectors), projection, scale=20.0, bias=-3.0)
    weight, shift = (p.detach().double().numpy() for p in projection.parameters())
    images = features @ weight.T + shift
    cosines = (images @ vectors.T) / np.outer(
        np.linalg.norm(images, axis=1), np.linalg.norm(vectors, axis=1)
    )
    got = head(torch.tensor(features).float()).detach().numpy()
    np.testing.assert_allclose(got, 20 * cosines - 3, atol=1e-4)


@pytest.mark.parametrize("bias", [None, -10.0])
def test_logits_are_those_of_open_clip(bias: float | None) -> None:
    open_clip = pytest.importorskip("open_clip")
    torch.manual_seed(0)
    clip = open_clip.model.CLIP(
        embed_dim=16,
        vision_cfg={"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
        init_logit_scale=math.log(10),
        init_logit_bias=bias,
    ).eval()
    images = torch.randn(2, 3, 32, 32)
    texts = open_clip.tokenize(["a cat", "a dog", "an owl"])
    with torch.inference_mode():
        expected = clip.get_logits(images, texts)[0]
        vectors, features = clip.encode_text(texts), clip.encode_image(images)
    head = Text(16, vectors.clone(), nn.Identity(), scale=10.0, bias=bias or 0.0)
    torch.testing.assert_close(head(features.clone()), expected.clone())


@pytest.mark.parametrize(
    ("options", "learning"),
    [
        ({}, {"projection.weight", "projection.bias", "logit_scale", "bias"}),
        ({"learn_projection": False}, {"logit_scale", "bias"}),
        ({"learn_projection": False, "learn_scale": False}, {"bias"}),
        ({"learn_projection": False, "learn_scale": False, "residual": True}, {"bias", "residual"}),
        (
            {"learn_projection": False, "learn_scale": False, "learn_embeddings": True},
            {"bias", "embeddings"},
        ),
    ],
)
def test_what_learns(options: dict[str, bool], learning: set[str]) -> None:
    head = Text(8, torch.randn(3, 5), nn.Linear(8, 5), **options)
    assert {name for name, p in head.named_parameters() if p.requires_grad} == learning
    assert "embeddings" in head.state_dict()
    head(torch.randn(4, 8)).square().sum().backward()
    for name, parameter in head.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.any())
        assert moved == (name in learning), name


def test_a_new_projection_always_learns() -> None:
    head = Text(8, torch.randn(3, 5), None, learn_projection=False)
    assert head.projection.weight.requires_grad


def test_a_residual_is_nothing_at_first() -> None:
    vectors, projection, features = torch.randn(3, 5), nn.Linear(8, 5), torch.randn(4, 8)
    plain, added = (Text(8, vectors, projection, residual=r) for r in (False, True))
    assert torch.equal(plain(features), added(features))
    with torch.no_grad():
        added.residual.copy_(vectors.roll(1, 0) - vectors)
    torch.testing.assert_close(added(features), plain(features).roll(1, 1))


def test_the_prior_is_in_the_bias() -> None:
    model = build_model(config(), 3, np.array([0.5, 0.1, 0.0]), about=about())
    assert model.head.bias.tolist() == pytest.approx([0, math.log(1 / 9), -12])
    clip, siglip = Text(8, torch.eye(3)), build_model(config(form="siglip"), 3, about=about()).head
    assert clip.bias.tolist() == [0, 0, 0]
    assert clip.logit_scale.exp().item() == pytest.approx(1 / 0.07)
    assert siglip.bias.tolist() == [-10, -10, -10]
    assert siglip.logit_scale.exp().item() == pytest.approx(10)
    assert build_model(config(scale=90), 3, about=about()).head.logit_scale.exp().item() == (
        pytest.approx(90)
    )
    with pytest.raises(ConfigError, match="prior has 2 classes, the head 3"):
        set_prior_bias(clip, np.array([0.5, 0.1]))


@pytest.mark.parametrize(
    "vectors", [torch.full((3, 5), math.nan), torch.full((3, 5), math.inf), torch.zeros(3)]
)
def test_vectors_that_mean_nothing(vectors: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="class embeddings: expected finite numbers of shape"):
        Text(8, vectors)


def test_an_image_without_features_has_the_bias() -> None:
    head = Text(8, torch.randn(3, 5), nn.Linear(8, 5, bias=False))
    assert head(torch.zeros(1, 8)).tolist() == [[0, 0, 0]]


def test_the_projection_of_clip_is_taken_off_the_image_tower() -> None:
    name = "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m"
    model = build_model(config(name), 3, image_size=32, about=about(width=512)).eval()
    assert "head.weight" not in model.backbone.state_dict()
    assert model.head.projection.weight.shape == (512, 256)
    whole = timm.create_model(name, num_classes=512, img_size=32).eval()
    whole.load_state_dict(
        model.backbone.state_dict()
        | {f"head.{key}": value for key, value in model.head.projection.state_dict().items()}
    )
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        features = nn.functional.normalize(whole(images), dim=-1)
        expected = features @ model.head.class_vectors().T / 0.07
        torch.testing.assert_close(model(images), expected)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("vit_base_patch16_clip_quickgelu_224.openai", 512),
        ("resnet50_clip.openai", 1024),
        ("convnext_base.clip_laion2b", 640),
        ("eva02_base_patch16_clip_224.merged2b", 512),
        ("vit_base_patch16_siglip_224.webli", 768),
    ],
)
def test_image_towers_with_a_way_into_the_space_of_texts(name: str, width: int) -> None:
    with torch.device("meta"):
        tower = timm.create_model(name, num_classes=projection_width(name, width))
        projection = own_projection(tower, width)
        size = tower.pretrained_cfg["input_size"][-1]
        images = torch.zeros(2, 3, size, size)
        # Together they are what they were trained to be.
        assert projection is not None
        assert projection(tower.eval()(images)).shape == (2, width)
    assert isinstance(projection, nn.Identity if "siglip" in name else nn.Linear)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("vit_base_patch16_siglip_gap_224.webli", 768),  # averages in place of its attention pool
        ("vit_base_patch16_siglip_224.webli", 512),  # texts of another model
        ("vit_base_patch16_clip_224.openai", 768),
        ("vit_base_patch16_clip_224.laion2b_ft_in1k", 512),  # its last layer is for ImageNet
        ("vit_base_patch16_224.augreg_in21k", 768),
    ],
)
def test_image_towers_without_one(name: str, width: int) -> None:
    with torch.device("meta"):
        tower = timm.create_model(name, num_classes=projection_width(name, width))
        assert own_projection(tower, width) is None


def test_a_tower_without_projection_gets_a_new_one() -> None:
    model = build_model(config(), 3, about=about())
    assert model.head.projection.weight.shape == (5, 96)
    name = "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m"
    model = build_model(config(name, projection="new"), 3, image_size=32, about=about(width=512))
    assert model.head.projection.bias is None


def test_embeddings_are_needed() -> None:
    with pytest.raises(ConfigError, match="text needs class embeddings"):
        build_model(config(), 3)
