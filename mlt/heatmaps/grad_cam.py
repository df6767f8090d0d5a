"""Gradient-weighted class activation maps of any head.

Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization,
ICCV 2017 (1610.02391), equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mlt.errors import ConfigError
from mlt.models.classifier import Classifier
from mlt.models.spatial_features import to_map, unpooled_features

__all__ = ["check_classes", "grad_cam", "in_evaluation"]

_HALF_SCALE = 4096.0
"""What scores in float16 are multiplied by, whose gradients could vanish otherwise."""


def grad_cam(model: nn.Module, images: Tensor, classes: Sequence[int]) -> Tensor:
    r"""Where the features lie that speak for each class.

    With :math:`A^k` the k-th feature over the positions ij, Z of them, and :math:`y^c` the logit of
    class c:

    .. math:: \alpha^c_k = \frac1Z \sum_{ij} \frac{\partial y^c}{\partial A^k_{ij}}, \qquad
        L^c = \operatorname{ReLU}\Bigl(\sum_k \alpha^c_k A^k\Bigr)

    A is the last feature map. Where the head sees the class token of a vision transformer alone,
    the last tokens of the patches do not count any more; A then is what the last attention block
    sees of them, after the norm before its attention, if it has one there.

    Args:
        model: A :class:`~mlt.models.Classifier`, or a timm model with its own classifier; it is
            left as it was. Its backbone may be frozen: gradients end at the map.
        images: (N, 3, H, W), normalised, on the device of the model.
        classes: K columns of the logits.

    Returns:
        (N, K, h, w), 0 or more, in float32; 0 everywhere where nothing speaks for the class.

    Raises:
        ConfigError: If the model has no feature map, or no such class.

    Example:
        >>> import timm
        >>> model = timm.create_model("test_resnet", num_classes=5)
        >>> grad_cam(model, torch.zeros(2, 3, 160, 160), [0, 3]).shape
        torch.Size([2, 2, 5, 5])
    """
    with in_evaluation(model), torch.inference_mode(False), torch.no_grad():
        images = images.clone() if images.is_inference() else images
        backbone = model.backbone if isinstance(model, Classifier) else model
        features, logits = _features_and_logits(model, backbone, images)
        activations = to_map(backbone, features.detach(), images).float()
        check_classes(classes, logits.shape[1])
        scale = _HALF_SCALE if logits.dtype == torch.float16 else 1.0
        maps = []
        for c in classes:
            # The logits of an image depend on no other image, so the sum has the gradient of each.
            chosen = torch.zeros_like(logits)
            chosen[:, c] = scale
            (gradient,) = torch.autograd.grad(logits, features, chosen, retain_graph=True)
            gradients = to_map(backbone, gradient, images).float() / scale
            alpha = gradients.mean((2, 3), keepdim=True)
            maps.append((alpha * activations).sum(1).relu())
        return torch.stack(maps, dim=1)


def check_classes(classes: Sequence[int], num_classes: int) -> None:
    """Refuse columns that there are not, and none at all.

    Raises:
        ConfigError: Naming the first.
    """
    if not len(classes):
        raise ConfigError("classes: give one or more columns")
    for c in classes:
        if not 0 <= c < num_classes:
            raise ConfigError(f"classes: the model has columns 0 to {num_classes - 1}, got {c}")


@contextmanager
def in_evaluation(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode, and put each module back into the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _features_and_logits(
    model: nn.Module, backbone: nn.Module, images: Tensor
) -> tuple[Tensor, Tensor]:
    """A in the layout of the backbone, and logits (N, C) whose graph begins there."""
    spatial = isinstance(model, Classifier) and model.is_spatial
    if not spatial:
        if not callable(getattr(backbone, "forward_head", None)):
            raise ConfigError(
                f"{type(backbone).__name__} does not have the methods forward_features and "
                "forward_head of the models of timm, between which the feature map is"
            )
        if _pools_class_token(backbone):
            return _from_last_attention(model, backbone, images)
    features = unpooled_features(backbone, images).detach().requires_grad_()
    with torch.enable_grad():
        if not isinstance(model, Classifier):
            return features, backbone.forward_head(features)  # type: ignore[operator]
        if spatial:
            return features, model.head(to_map(backbone, features, images))
        pooled = backbone.forward_head(features, pre_logits=True)  # type: ignore[operator]
        return features, model.head(pooled)


def _pools_class_token(backbone: nn.Module) -> bool:
    # Convolutional networks have a module of the name global_pool.
    token = getattr(backbone, "global_pool", None) == "token"
    return token and getattr(backbone, "attn_pool", None) is None


def _from_last_attention(
    model: nn.Module, backbone: nn.Module, images: Tensor
) -> tuple[Tensor, Tensor]:
    """As above, from the tokens that the last attention block takes."""
    try:
        blocks: Any = backbone.blocks
        block, norm = blocks[-1], blocks[-1].norm1
    except (AttributeError, IndexError, TypeError):
        raise ConfigError(
            f"{type(backbone).__name__} pools a class token and has no blocks with a norm1, as the "
            "vision transformers of timm have; a head on the feature map (model.head: csra) shows "
            "where it looks by itself"
        ) from None
    kept: list[Tensor] = []

    def begin(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        torch.set_grad_enabled(True)  # until the end of no_grad in grad_cam
        kept.append(inputs[0].detach().requires_grad_())
        return kept[0], *inputs[1:]

    def after_norm(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if inputs[0] is kept[0]:  # else it comes after the attention
            kept.append(output)

    hooks = block.register_forward_pre_hook(begin), norm.register_forward_hook(after_norm)
    try:
        logits = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return kept[-1], logits
