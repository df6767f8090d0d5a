"""Parameter groups: learning rates by layer, no weight decay where it harms."""

from __future__ import annotations

from typing import Any

from timm.models import group_parameters
from torch import nn

from mlt.models.classifier import Classifier

__all__ = ["layer_depths", "parameter_groups"]


def parameter_groups(
    model: nn.Module,
    weight_decay: float = 0.0,
    *,
    lr: float | None = None,
    head_lr_scale: float = 1.0,
    backbone_lr_scale: float = 1.0,
    layer_decay: float | None = None,
    decay_norm_and_bias: bool = False,
) -> list[dict[str, Any]]:
    """Group the trainable parameters by learning rate and weight decay, for any optimizer.

    Frozen parameters are left out, so group before a freeze that will be lifted again.

    Args:
        model: A classifier, or a model of one's own, which is taken for all backbone.
        weight_decay: Weight decay of the parameters that have any.
        lr: Base learning rate. Given, each group has its final rate as ``lr``. None: each group
            has its multiple of the base rate as ``lr_scale``, which timm's schedulers apply.
        head_lr_scale: The head's multiple of the base rate.
        backbone_lr_scale: The backbone's multiple; with 0 the backbone is left out.
        layer_decay: The backbone's last layer has that rate, the one below ``layer_decay`` times
            it, and so on down, with the layers as timm counts them. None: all the same.
        decay_norm_and_bias: Whether weight decay acts on biases, normalisation layers and what
            the backbone itself excludes (position embeddings).

    Returns:
        Groups with ``params``, ``weight_decay``, ``name`` and ``lr`` or ``lr_scale``, from the
        input to the head; empty if nothing is left to train.

    Example:
        >>> model = Classifier(nn.Linear(12, 4), nn.Linear(4, 2))
        >>> for group in parameter_groups(model, 0.01, backbone_lr_scale=0.5):
        ...     print(group["name"], group["lr_scale"], group["weight_decay"], len(group["params"]))
        backbone 0.5 0.01 1
        backbone.no_decay 0.5 0.0 1
        head 1.0 0.01 1
        head.no_decay 1.0 0.0 1
    """
    backbone = model.backbone if isinstance(model, Classifier) else model
    exempt = _exempt_names(backbone)
    depths = layer_depths(backbone) if layer_decay is not None else {}
    deepest = max(depths.values(), default=0)
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        part, _, inner = ("model", "", name) if backbone is model else name.partition(".")
        scale = head_lr_scale if part == "head" else backbone_lr_scale
        if not parameter.requires_grad or scale == 0:
            continue
        label = part
        if part != "head" and layer_decay is not None:
            depth = depths[inner]
            scale *= layer_decay ** (deepest - depth)
            label = f"{part}.layer{depth:02d}"
        spared = parameter.ndim <= 1 or (part != "head" and inner in exempt)
        decay = weight_decay if decay_norm_and_bias or not spared else 0.0
        if decay != weight_decay:
            label += ".no_decay"
        rate = {"lr_scale": scale} if lr is None else {"lr": lr * scale}
        group = {"params": [], "weight_decay": decay, "name": label} | rate
        groups.setdefault(label, group)["params"].append(parameter)
    head = [label for label in groups if label.startswith("head")]
    order = sorted(label for label in groups if label not in head) + sorted(head)
    return [groups[label] for label in order]


def _exempt_names(backbone: nn.Module) -> set[str]:
    listed = getattr(backbone, "no_weight_decay", None)
    return set(listed()) if callable(listed) else set()


def layer_depths(backbone: nn.Module) -> dict[str, int]:
    """Depth of every parameter of a backbone, counted from the input.

    Args:
        backbone: Of timm, which knows its layers; of any other, every direct child is one.

    Returns:
        From the name of each parameter to the number of its layer, from 0.

    Example:
        >>> layer_depths(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2, bias=False)))
        {'0.weight': 0, '0.bias': 0, '2.weight': 2}
    """
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        children = list(dict(backbone.named_children()))
        tops = {name: name.partition(".")[0] for name, _ in backbone.named_parameters()}
        return {n: children.index(top) if top in children else 0 for n, top in tops.items()}
    grouped = group_parameters(backbone, matcher(coarse=False), reverse=True)
    return {name: int(depth) for name, depth in grouped.items()}
