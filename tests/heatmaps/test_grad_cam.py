"""Grad-CAM against tables worked by hand, and against a whole backward pass."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import timm
import torch
from timm.models.vision_transformer import ResPostBlock
from torch import Tensor, nn

from mlt.errors import ConfigError
from mlt.heatmaps import grad_cam
from mlt.models import Classifier
from mlt.models.heads import CSRA
from mlt.models.spatial_features import map_channels

TINY_VIT = {"img_size": 64, "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2}
TINY_SWIN = {
    "img_size": 64,
    "window_size": 2,
    "embed_dim": 16,
    "depths": (1, 1),
    "num_heads": (2, 2),
}
AVERAGED = TINY_VIT | {"class_token": False, "global_pool": "avg"}

POOLED = {
    "resnet": ("test_resnet", {}),
    "convnext": ("test_convnext", {}),
    "layers_after_pooling": ("mobilenetv3_small_050", {}),
    "no_class_token": ("vit_tiny_patch16_224", AVERAGED),
    "attention_pool": ("vit_base_patch16_siglip_224", TINY_VIT),
    "swin": ("swin_tiny_patch4_window7_224", TINY_SWIN),
}
CLASS_TOKEN = {
    "class_token": ("vit_tiny_patch16_224", TINY_VIT),
    "class_and_register_tokens": ("vit_tiny_patch16_224", TINY_VIT | {"reg_tokens": 4}),
    "clip": ("vit_base_patch16_clip_224", TINY_VIT),
    "eva": ("eva02_tiny_patch14_224", TINY_VIT | {"global_pool": "token"}),
}


class Pixels(nn.Module):
    """Its feature map is the image; as the models of timm it pools by the mean."""

    output_fmt = "NCHW"

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward_features(self, images: Tensor) -> Tensor:
        return images

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        return features.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


def linear(weight: list[list[float]]) -> nn.Linear:
    head = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        head.weight.copy_(torch.tensor(weight))
    return head


# One image of two features on two rows and columns.
A = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[4.0, 0.0], [0.0, 0.0]]]])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1.0, 0.0], [[1, 2], [3, 4]]),  # the first feature alone
        ([1.0, -1.0], [[0, 2], [3, 4]]),  # 1 - 4 is below zero
        ([0.5, 0.5], [[2.5, 1], [1.5, 2]]),
        ([-1.0, 0.0], [[0, 0], [0, 0]]),  # nothing speaks for the class
    ],
)
def test_of_average_pooling_and_a_linear_head_it_is_the_weighted_map(
    weights: list[float], expected: list[list[float]]
) -> None:
    """Class activation maps (Zhou et al., CVPR 2016), divided by the number of positions."""
    model = Classifier(Pixels(2), linear([[7.0, 7.0], weights]))
    (found,) = grad_cam(model, A, [1])
    assert found[0].tolist() == (torch.tensor(expected) / 4).tolist()


def test_a_head_of_two_layers_worked_by_hand() -> None:
    """Y = 3 relu(mean A1 - mean A2) - 2 relu(mean A2 - 5): of the second, nothing is left."""
    hidden, last = linear([[1.0, -1.0], [0.0, 1.0]]), linear([[3.0, -2.0]])
    with torch.no_grad():
        hidden.bias.copy_(torch.tensor([0.0, -5.0]))
    head = nn.Sequential(hidden, nn.ReLU(), last)
    # Means 2.5 and 1. dy/dA1 = 3/4, dy/dA2 = -3/4 at each position.
    expected = torch.tensor([[0.0, 1.5], [2.25, 3.0]])
    assert grad_cam(Classifier(Pixels(2), head), A, [0])[0, 0].tolist() == expected.tolist()


def rows_and_columns(features: Tensor, prefix: int, rows: int) -> Tensor:
    """(D, h, w) of the first image of (N, D, h, w), (N, h, w, D) or (N, L, D)."""
    if features.ndim == 3:
        return features[0, prefix:].T.unflatten(1, (rows, -1))
    return features[0] if features.shape[2] == features.shape[3] else features[0].permute(2, 0, 1)


@pytest.mark.parametrize("name", [*POOLED, *CLASS_TOKEN])
def test_every_family_against_a_whole_backward_pass(name: str) -> None:
    architecture, options = (POOLED | CLASS_TOKEN)[name]
    torch.manual_seed(0)
    backbone = timm.create_model(architecture, num_classes=0, **options).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        width = backbone(images).shape[1]
    model = Classifier(backbone, nn.Linear(width, 5))
    model.freeze("all")
    found = grad_cam(model, images, [4, 1])

    whole = deepcopy(model).eval().requires_grad_(True)
    prefix = getattr(backbone, "num_prefix_tokens", 0)
    for n, image in enumerate(images):
        for k, c in enumerate([4, 1]):
            kept: list[Tensor] = []

            def keep(output: Tensor, kept: list[Tensor] = kept) -> Tensor:
                output.retain_grad()
                kept.append(output)
                return output

            if name in POOLED:
                features = keep(whole.backbone.forward_features(image[None]))
                pooled = whole.backbone.forward_head(features, pre_logits=True)
                whole.head(pooled)[0, c].backward()
            else:
                layer = whole.backbone.blocks[-1].norm1
                hook = layer.register_forward_hook(lambda _m, _i, output, keep=keep: keep(output))
                whole(image[None])[0, c].backward()
                hook.remove()
            rows = found.shape[2]
            a = rows_and_columns(kept[0].detach(), prefix, rows)
            gradient = rows_and_columns(kept[0].grad, prefix, rows)
            alpha = gradient.flatten(1).mean(1)
            expected = (alpha[:, None, None] * a).sum(0).clamp_min(0)
            torch.testing.assert_close(found[n, k], expected, rtol=1e-4, atol=1e-7)
    assert (found.amax((2, 3)) > 0).any()


@pytest.mark.parametrize("name", CLASS_TOKEN)
def test_the_last_tokens_of_patches_say_nothing_of_a_class_token(name: str) -> None:
    """Why another layer is taken for these models."""
    architecture, options = CLASS_TOKEN[name]
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=5, **options).eval()
    features = model.forward_features(torch.randn(1, 3, 64, 64)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.forward_head(features)[0, 1], features)
    assert gradient[:, model.num_prefix_tokens :].abs().max() == 0
    assert grad_cam(model, torch.randn(4, 3, 64, 64), range(5)).max() > 0


@pytest.mark.parametrize("name", ["eva02_tiny_patch14_224", "vit_tiny_patch16_224"])
def test_a_norm_after_the_attention_is_not_taken(name: str) -> None:
    """There the patches have no gradient any more; the input of the block has."""
    post = {"use_post_norm": True} if name.startswith("eva") else {"block_fn": ResPostBlock}
    torch.manual_seed(0)
    options = TINY_VIT | {"global_pool": "token"} | post
    model = timm.create_model(name, num_classes=5, **options).eval()
    for block in model.blocks:  # begins at 0 in some
        nn.init.ones_(block.norm1.weight), nn.init.ones_(block.norm2.weight)
    images = torch.randn(1, 3, 64, 64)
    found = grad_cam(model, images, [2])
    kept: list[Tensor] = []
    model.blocks[-1].register_forward_pre_hook(lambda _m, inputs: kept.append(inputs[0]))
    (gradient,) = torch.autograd.grad(model(images)[0, 2], kept)
    prefix = model.num_prefix_tokens
    alpha = gradient[0, prefix:].mean(0)
    expected = (kept[0][0, prefix:] @ alpha).clamp_min(0)
    assert expected.max() > 0
    torch.testing.assert_close(found.flatten(), expected.detach(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["cait_xxs24_224", "xcit_nano_12_p16_224"])
def test_a_class_token_that_comes_after_the_blocks(name: str) -> None:
    torch.manual_seed(0)
    options = {"embed_dim": 32, "num_heads": 2, "depth": 2}
    model = timm.create_model(name, num_classes=5, **options).eval()
    model = Classifier(model, nn.Identity())
    found = grad_cam(model, torch.randn(2, 3, 224, 224), range(5))
    assert found.shape == (2, 5, 14, 14)
    assert found.max() > 0


def test_a_timm_model_with_its_own_classifier_and_a_head_on_the_map() -> None:
    torch.manual_seed(0)
    own = timm.create_model("test_resnet", num_classes=5).eval()
    images = torch.randn(2, 3, 64, 64)
    features = own.forward_features(images)
    expected = torch.einsum("cd,ndhw->nchw", own.fc.weight, features).clamp_min(0) / 4
    torch.testing.assert_close(grad_cam(own, images, range(5)), expected.detach())

    backbone = timm.create_model("test_resnet", num_classes=0).eval()
    flat = Classifier(backbone, CSRA(map_channels(backbone), 5, attention_weight=0.0))
    features = backbone.forward_features(images)
    expected = torch.einsum("cd,ndhw->nchw", flat.head.weight[0], features).clamp_min(0) / 4
    torch.testing.assert_close(grad_cam(flat, images, range(5)), expected.detach())


@pytest.mark.parametrize("name", ["resnet", "class_token"])
def test_the_model_is_left_as_it_was(name: str) -> None:
    architecture, options = (POOLED | CLASS_TOKEN)[name]
    backbone = timm.create_model(architecture, num_classes=0, **options)
    model = Classifier(
        backbone, nn.Sequential(nn.Dropout(0.5), nn.Linear(backbone.num_features, 5))
    )
    first = next(module for module, _ in backbone.named_children())
    model.freeze([first])
    model.train()
    model.head[1].bias.grad = torch.full((5,), 3.0)
    before = deepcopy(model)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(grad_cam(model, images, [1]), grad_cam(model, images, [1]))
    assert torch.is_grad_enabled()
    for module, old in zip(model.modules(), before.modules(), strict=True):
        assert module.training == old.training
        assert len(module._forward_hooks) == 0
    for parameter, old in zip(model.parameters(), before.parameters(), strict=True):
        assert parameter.requires_grad == old.requires_grad
        if parameter is model.head[1].bias:
            assert parameter.grad.tolist() == [3.0] * 5
        else:
            assert parameter.grad is None
    for value, old in zip(model.buffers(), before.buffers(), strict=True):
        assert torch.equal(value, old)  # no batch was learnt from


@pytest.mark.parametrize("name", ["resnet", "class_token"])
def test_inside_inference_mode(name: str) -> None:
    architecture, options = (POOLED | CLASS_TOKEN)[name]
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=3, **options)
    images = torch.randn(2, 3, 64, 64)
    expected = grad_cam(model, images, [0, 2])
    with torch.inference_mode():
        found = grad_cam(model, images * 1, [0, 2])
        assert torch.is_inference_mode_enabled()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["resnet", "class_token"])
def test_half_precision(name: str, dtype: torch.dtype) -> None:
    architecture, options = (POOLED | CLASS_TOKEN)[name]
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=3, **options)
    images = torch.randn(2, 3, 64, 64)
    expected = grad_cam(model, images, [0, 2])
    found = grad_cam(model.to(dtype), images.to(dtype), [0, 2])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1 * float(expected.max()))


def test_gradients_too_small_for_float16() -> None:
    """At 7 x 7 positions a weight of 1e-6 has a gradient of 2e-8, which float16 rounds to 0."""
    model = Classifier(Pixels(1), linear([[1e-6]]).half())
    images = torch.rand(1, 1, 7, 7).half()
    expected = images.float() * model.head.weight.float().item() / 49
    torch.testing.assert_close(grad_cam(model, images, [0]), expected, rtol=0.02, atol=0)


Broken = Callable[[], nn.Module]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Linear(3, 2), "Linear does not have the methods forward_features and"),
        (lambda: Classifier(nn.Flatten(), nn.Linear(3, 2)), "Flatten does not have the methods"),
        (lambda: Classifier(nn.Flatten(), CSRA(3, 2)), "Flatten has no method forward_features"),
    ],
)
def test_models_without_a_map(make: Broken, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        grad_cam(make(), torch.zeros(1, 3, 8, 8), [0])


def test_a_class_token_without_known_blocks() -> None:
    class Foreign(Pixels):
        global_pool = "token"

    with pytest.raises(ConfigError, match="Foreign pools a class token and has no blocks"):
        grad_cam(Classifier(Foreign(3), nn.Linear(3, 2)), torch.zeros(1, 3, 8, 8), [0])


def test_no_class_at_all() -> None:
    with pytest.raises(ConfigError, match="one or more columns"):
        grad_cam(Classifier(Pixels(2), linear([[1.0, 0.0]])), A, [])


def test_gradient_checkpointing_changes_nothing() -> None:
    for name in ("resnet", "no_class_token", *CLASS_TOKEN):
        architecture, options = (POOLED | CLASS_TOKEN)[name]
        torch.manual_seed(0)
        model = timm.create_model(architecture, num_classes=3, **options)
        images = torch.randn(2, 3, 64, 64)
        expected = grad_cam(model, images, [0, 2])
        model.set_grad_checkpointing(True)
        torch.testing.assert_close(grad_cam(model, images, [0, 2]), expected)


@pytest.mark.parametrize("c", [-1, 2])
def test_a_class_that_there_is_not(c: int) -> None:
    with pytest.raises(ConfigError, match=f"columns 0 to 1, got {c}"):
        grad_cam(Classifier(Pixels(2), linear([[1.0, 0.0]] * 2)), A, [c])
