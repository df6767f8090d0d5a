"""From a configuration to a loss."""

from __future__ import annotations

import torch

from mlt.class_counts import ClassCounts
from mlt.losses import settings as config
from mlt.losses.adjustment import build_adjustment
from mlt.losses.base import Loss
from mlt.losses.class_weights import required, warn_of_clamped
from mlt.losses.coupled import TwoWayLoss, ZLPRLoss
from mlt.losses.elementwise import ElementwiseLoss
from mlt.losses.focusing import build_focusing
from mlt.losses.reweighting import build_weighting
from mlt.losses.stateful import EqualizationLossV2, SelfPacedLoss

__all__ = ["build_from_counts", "build_loss"]


def build_loss(part: config.LossConfig, class_counts: ClassCounts) -> Loss:
    """Build the loss that a configuration describes for a training split.

    Args:
        part: A validated `mlt.losses.settings.LossConfig`.
        class_counts: Of the split that is trained on; nothing is loaded from a file.

    Raises:
        ConfigError: If the counts do not allow the loss.

    Example:
        >>> counts = ClassCounts.from_counts([90, 10], 100, names=("cat", "axolotl"))
        >>> part = config.Composition.model_validate({"weighting": {"name": "inverse"}})
        >>> build_loss(part, counts).weighting.weight
        tensor([0.2000, 1.8000], dtype=torch.float64)
    """
    if isinstance(part, config.PresetLoss):
        part = part.resolve()
    return build_from_counts(part, class_counts)


def build_from_counts(
    part: config.AnyLoss,
    counts: ClassCounts | None = None,
    generator: torch.Generator | None = None,
) -> Loss:
    """Build the loss that a configuration describes from class counts.

    Args:
        part: The configuration.
        counts: Positives a class; None if the loss does not look at them.
        generator: Source of the random draw of a federated weighting.

    Raises:
        ConfigError: If the loss needs counts that were not given.
    """
    if counts is not None:
        warn_of_clamped(counts)
    loss = _build(part, counts, generator)
    loss.class_counts = counts
    return loss


def _build(
    part: config.AnyLoss, counts: ClassCounts | None, generator: torch.Generator | None
) -> Loss:
    match part:
        case config.Composition():
            return ElementwiseLoss(
                build_adjustment(part.adjustment, counts),
                build_focusing(part.focusing),
                build_weighting(part.weighting, counts, generator),
                part.scale,
                part.reduction,
            )
        case config.TwoWay():
            return TwoWayLoss(part.tp, part.tn, part.reduction)
        case config.Zlpr():
            return ZLPRLoss(part.reduction)
        case config.SelfPaced():
            return SelfPacedLoss(
                part.tau, part.change_epoch, part.margin, part.gamma, part.scale, part.reduction
            )
        case config.EqualizationV2():
            counts = required(counts, "EQLv2, to know the number of classes,")
            return EqualizationLossV2(
                counts.num_classes,
                part.gamma,
                part.mu,
                part.alpha,
                part.start_ratio,
                reduction=part.reduction,
            )
