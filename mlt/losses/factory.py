"""From a name or a configuration to a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mlt.class_counts import ClassCounts
from mlt.errors import ConfigError
from mlt.losses import settings
from mlt.losses.adjustment import build_adjustment
from mlt.losses.base import Loss
from mlt.losses.class_weights import required, warn_of_clamped
from mlt.losses.coupled import TwoWayLoss, ZLPRLoss
from mlt.losses.elementwise import ElementwiseLoss
from mlt.losses.focusing import build_focusing
from mlt.losses.loss_config import PresetLoss, resolve_preset
from mlt.losses.presets import ONE_LABEL_SIGMOID, PRESETS
from mlt.losses.reduce import check_reduction
from mlt.losses.reweighting import build_weighting
from mlt.losses.seesaw import SeesawLoss
from mlt.losses.softmax_classes import (
    BalancedSoftmaxLoss,
    ClassBalancedSoftmaxLoss,
    LDAMSoftmaxLoss,
    LogitAdjustedSoftmaxLoss,
    SoftmaxCrossEntropyLoss,
)
from mlt.losses.stateful import EqualizationLossV2, SelfPacedLoss

__all__ = ["build_from_counts", "build_loss", "create_loss", "element_parts", "list_losses"]


def list_losses(kind: settings.Activation | None = None) -> list[str]:
    """Return the names that :func:`create_loss` knows.

    Args:
        kind: `sigmoid` for losses of any number of labels per image, `softmax` for those of exactly
            one (two of them, `..._single`, with a sigmoid per class); None for both.

    Raises:
        ConfigError: If there is no such kind.

    Example:
        >>> list_losses("sigmoid")[:4]
        ['asl', 'balanced_asl', 'bce', 'cb_bce']
        >>> list_losses("softmax")
        ['balanced_softmax', 'cb_focal_single', 'cb_sigmoid_single', 'cb_softmax', 'ce', 'ldam_softmax', 'logit_adjusted_softmax', 'seesaw']
    """  # noqa: E501
    if kind not in ("sigmoid", "softmax", None):
        raise ConfigError(f"The kind of losses must be sigmoid, softmax or None, not {kind!r}.")
    return sorted(name for name in PRESETS if kind in (None, _kind(name)))


def _kind(name: str) -> settings.Activation:
    return "softmax" if name in ONE_LABEL_SIGMOID else PRESETS[name]().activation


def create_loss(
    name: str,
    class_counts: Sequence[float] | ClassCounts | None = None,
    num_images: int | None = None,
    *,
    reduction: settings.Reduction | None = None,
    class_names: Sequence[str] | None = None,
    generator: torch.Generator | None = None,
    **options: Any,
) -> Loss:
    """Create a published loss by its name.

    The name stands for a composition of parts (see `mlt.losses.presets`); options and defaults are
    those of the literature, and :func:`mlt.losses.loss_options` returns them as a dictionary.

    Args:
        name: One of :func:`list_losses`.
        class_counts: Positives of each class in the training split, or the split's `ClassCounts`;
            losses without weights or margins do without.
        num_images: Images the counts were taken over; only needed where the formula has it, and
            known to `ClassCounts`.
        reduction: `none`, `mean`, `sum` or `batchmean`. None: that of the published loss,
            `batchmean` for cb_sigmoid_single and cb_focal_single and `mean` for all others.
        class_names: Names for warnings.
        generator: Source of the draw of the federated loss.
        **options: Of this loss, see below. Those per element also have ``label_smoothing=0.0`` and,
            but for eqlv2, ``scale=1.0``; softmax losses but seesaw have ``label_smoothing=0.0``.
            The scale of db_focal and r_focal is 2, the constant by which the Distribution-Balanced
            code multiplies focal losses (``balance_param``, which is understood too).

    Returns:
        A module, called as ``loss(logits, targets, known=None)``.

    Raises:
        ConfigError: If the name or an option is unknown, or counts are missing or impossible.

    Options:
        bce: none
        inverse: power=1.0, scheme="by_class", normalise=False, start_epoch=0
        sqrt_inverse: scheme="by_class", normalise=False, start_epoch=0
        pos_weight: power=1.0, max_weight=None, start_epoch=0
        focal: gamma=2.0, alpha=None, soft_targets="mean"
        cb_bce: beta="auto", scheme="column", normalise=None, start_epoch=0
        cb_focal: beta="auto", scheme="column", normalise=None, gamma=2.0, alpha=None,
            start_epoch=0
        r_bce: map_alpha=0.1, map_beta=10.0, map_gamma=0.2, norm_by_instance=False,
            start_epoch=0
        r_focal: map_alpha=0.1, map_beta=10.0, map_gamma=0.2, norm_by_instance=False,
            gamma=2.0, start_epoch=0
        ntr_bce: neg_scale=2.0, init_bias=0.05
        db: map_alpha=0.1, map_beta=10.0, map_gamma=0.2, neg_scale=2.0, init_bias=0.05,
            start_epoch=0
        db_focal: map_alpha=0.1, map_beta=10.0, map_gamma=0.2, neg_scale=2.0,
            init_bias=0.05, gamma=2.0, start_epoch=0
        asl: gamma_pos=1.0, gamma_neg=4.0, clip=0.05, detached=False, soft_targets="mean"
        balanced_asl: gamma_pos=0.0, gamma_neg=9.8, clip=0.05, power=1.35, detached=False
        ral: gamma_pos=0.0, gamma_neg=4.0, clip=0.05, lamb=1.5, epsilon_pos=1.0,
            epsilon_pos_pow=-2.5
        hill: lamb=1.5, margin=1.0, gamma=2.0
        splc: tau=0.6, change_epoch=1, margin=1.0, gamma=2.0
        poly: epsilon=2.0, gamma=0.0, alpha=None
        logit_adjusted: tau=1.0, start_epoch=0
        ldam: max_m=0.5, s=30.0, margin_epoch=0, drw_epoch=None, beta=0.9999,
            scheme="positive"
        eql: threshold=0.00176, start_epoch=0
        eqlv2: gamma=12.0, mu=0.8, alpha=4.0, start_ratio=100.0
        federated: num_classes=50, power=0.5, gamma=0.0
        two_way: tp=4.0, tn=1.0
        zlpr: none
        cb_sigmoid_single: beta="auto", start_epoch=0
        cb_focal_single: beta="auto", gamma=2.0, start_epoch=0
        ce: none
        cb_softmax: beta="auto", start_epoch=0
        logit_adjusted_softmax: tau=1.0
        balanced_softmax: none
        ldam_softmax: max_m=0.5, s=30.0, drw_epoch=None, beta=0.9999
        seesaw: p=0.8, q=2.0, floor=0.01

    Example:
        >>> loss = create_loss("cb_focal", [90, 30, 3], num_images=100, beta=0.99, gamma=2)
        >>> loss(torch.tensor([[2.0, 0.5, -3.0]]), torch.tensor([[1, 0, 0]]))
        tensor(0.0372)
    """
    if reduction is not None:
        options["reduction"] = check_reduction(reduction)
    part = resolve_preset(name, options)
    counts = None
    if class_counts is not None:
        counts = ClassCounts.from_counts(class_counts, num_images, names=class_names)
    return build_from_counts(part, counts, generator, f"The loss {name!r}")


def build_loss(part: settings.AnyLoss | PresetLoss, class_counts: ClassCounts) -> Loss:
    """Build the loss that a configuration describes for a training split.

    Args:
        part: A validated `mlt.losses.loss_config.LossConfig`.
        class_counts: Of the split that is trained on; nothing is loaded from a file.

    Raises:
        ConfigError: If the counts do not allow the loss.

    Example:
        >>> counts = ClassCounts.from_counts([90, 10], 100, names=("cat", "axolotl"))
        >>> part = settings.Composition.model_validate({"weighting": {"name": "inverse"}})
        >>> build_loss(part, counts).weighting.weight
        tensor([0.2000, 1.8000], dtype=torch.float64)
    """
    return build_from_counts(part, class_counts)


def build_from_counts(
    part: settings.AnyLoss | PresetLoss,
    counts: ClassCounts | None = None,
    generator: torch.Generator | None = None,
    asked_for: str | None = None,
) -> Loss:
    """Build the loss that a configuration describes from class counts.

    Args:
        part: The configuration.
        counts: Positives per class; None if the loss does not look at them.
        generator: Source of the random draw of a federated weighting.
        asked_for: What an error should say needs counts, if not the part that does.

    Raises:
        ConfigError: If the loss needs counts that were not given.
    """
    if isinstance(part, PresetLoss):
        asked_for = asked_for or f"The loss {part.preset!r}"
        part = part.resolve()
    if counts is not None and part.activation == "sigmoid":  # the others say so themselves
        warn_of_clamped(counts)
    loss = _build(part, counts, generator, asked_for)
    loss.class_counts = counts
    return loss


def element_parts(
    part: settings.Composition,
    counts: ClassCounts | None,
    generator: torch.Generator | None = None,
    asked_for: str | None = None,
) -> dict[str, Any]:
    """Return the arguments of :class:`ElementwiseLoss` that a composition stands for."""
    return {
        "adjustment": build_adjustment(part.adjustment, counts, asked_for),
        "focusing": build_focusing(part.focusing),
        "weighting": build_weighting(part.weighting, counts, generator, asked_for),
        "scale": part.scale,
        "label_smoothing": part.label_smoothing,
        "reduction": part.reduction,
    }


def _build(
    part: settings.AnyLoss,
    counts: ClassCounts | None,
    generator: torch.Generator | None,
    asked_for: str | None,
) -> Loss:
    match part:
        case settings.Composition():
            return ElementwiseLoss(**element_parts(part, counts, generator, asked_for))
        case settings.TwoWay():
            return TwoWayLoss(tp=part.tp, tn=part.tn, reduction=part.reduction)
        case settings.Zlpr():
            return ZLPRLoss(reduction=part.reduction)
        case settings.SelfPaced():
            return SelfPacedLoss(**_options(part))
        case settings.CrossEntropy():
            return SoftmaxCrossEntropyLoss(**_options(part))
    counts = required(counts, asked_for or f"The loss {part.name!r}")
    match part:
        case settings.EqualizationV2():
            return EqualizationLossV2(counts.num_classes, **_options(part))
        case settings.ClassBalancedSoftmax():
            return ClassBalancedSoftmaxLoss(counts, **_options(part))
        case settings.LogitAdjustedSoftmax():
            return LogitAdjustedSoftmaxLoss(counts, **_options(part))
        case settings.BalancedSoftmax():
            return BalancedSoftmaxLoss(counts, **_options(part))
        case settings.LDAMSoftmax():
            return LDAMSoftmaxLoss(counts, **_options(part))
        case settings.Seesaw():
            return SeesawLoss(counts.num_classes, **_options(part))


def _options(part: settings.AnyLoss) -> dict[str, Any]:
    return part.model_dump(exclude={"name"})
