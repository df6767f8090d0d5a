"""Losses by the class names that people search for.

Each is the composition of the preset of the same name (`mlt.losses.presets`), with its
options as keyword arguments and its defaults; nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mlt.class_counts import ClassCounts
from mlt.losses.adjustment import build_adjustment
from mlt.losses.class_weights import warn_of_clamped
from mlt.losses.elementwise import ElementwiseLoss
from mlt.losses.focusing import build_focusing
from mlt.losses.preset_options import resolve_preset
from mlt.losses.reduce import check_reduction
from mlt.losses.reweighting import build_weighting
from mlt.losses.settings import Composition, Reduction

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "AsymmetricLoss",
    "BinaryCrossEntropyLoss",
    "ClassBalancedFocalLoss",
    "ClassBalancedLoss",
    "DistributionBalancedFocalLoss",
    "DistributionBalancedLoss",
    "EqualizationLoss",
    "FocalLoss",
    "HillLoss",
    "InverseFrequencyLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "PolyLoss",
    "RebalancedFocalLoss",
    "RebalancedLoss",
    "RobustAsymmetricLoss",
]


class _Preset(ElementwiseLoss):
    preset: ClassVar[str]

    def _compose(
        self, reduction: Reduction, options: dict[str, Any], counts: ClassCounts | None
    ) -> None:
        part = resolve_preset(self.preset, {"reduction": check_reduction(reduction), **options})
        assert isinstance(part, Composition)
        if counts is not None:
            warn_of_clamped(counts)
        super().__init__(
            build_adjustment(part.adjustment, counts),
            build_focusing(part.focusing),
            build_weighting(part.weighting, counts),
            part.scale,
            part.reduction,
        )
        self.class_counts = counts


class _WithoutCounts(_Preset):
    def __init__(self, reduction: Reduction = "mean", **options: Any) -> None:
        self._compose(reduction, options, None)


class _FromCounts(_Preset):
    def __init__(
        self,
        class_counts: Sequence[float],
        num_images: int | None = None,
        reduction: Reduction = "mean",
        **options: Any,
    ) -> None:
        self._compose(reduction, options, ClassCounts.from_counts(class_counts, num_images))

    @classmethod
    def from_counts(
        cls,
        counts: Sequence[float],
        num_images: int | None = None,
        reduction: Reduction = "mean",
        **options: Any,
    ) -> Self:
        """Build from the positives of each class in the training split.

        Args:
            counts: Positives of each class.
            num_images: Images the counts were taken over; only needed where the formula has it.
            reduction: `none`, `mean`, `sum` or `batchmean`.
            **options: Of the preset.
        """
        return cls(counts, num_images, reduction, **options)


class BinaryCrossEntropyLoss(_WithoutCounts):
    """Sigmoid cross entropy; preset `bce`."""

    preset = "bce"


class FocalLoss(_WithoutCounts):
    """Focal loss; preset `focal`. Options: gamma, alpha, scale.

    Example:
        >>> import torch
        >>> FocalLoss(gamma=2)(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor(0.1733)
    """

    preset = "focal"


class AsymmetricLoss(_WithoutCounts):
    """Asymmetric loss (ASL); preset `asl`. Options: gamma_pos, gamma_neg, clip, detached, scale."""

    preset = "asl"


class RobustAsymmetricLoss(_WithoutCounts):
    """Robust asymmetric loss; preset `ral`."""

    preset = "ral"


class HillLoss(_WithoutCounts):
    """Hill loss; preset `hill`. Options: lamb, margin, gamma, scale."""

    preset = "hill"


class PolyLoss(_WithoutCounts):
    """Poly-1 loss; preset `poly`. Options: epsilon, gamma, alpha, scale."""

    preset = "poly"


class InverseFrequencyLoss(_FromCounts):
    """Cross entropy weighted by (M / n)^power; preset `inverse`. Needs num_images."""

    preset = "inverse"


class ClassBalancedLoss(_FromCounts):
    """Class-balanced cross entropy; preset `cb_bce`. Options: beta, scheme, normalise, scale."""

    preset = "cb_bce"


class ClassBalancedFocalLoss(_FromCounts):
    """Class-balanced focal loss; preset `cb_focal`. Options: beta, scheme, gamma, alpha, scale, ...

    Example:
        >>> import torch
        >>> loss = ClassBalancedFocalLoss.from_counts([90, 30, 3], beta=0.99, scheme="column")
        >>> loss.weighting.weight
        tensor([0.1286, 0.2941, 2.5773], dtype=torch.float64)
    """

    preset = "cb_focal"


class RebalancedLoss(_FromCounts):
    """Rebalanced cross entropy; preset `r_bce`. Options: map_alpha, map_beta, map_gamma, ..."""

    preset = "r_bce"


class RebalancedFocalLoss(_FromCounts):
    """Rebalanced focal loss; preset `r_focal`."""

    preset = "r_focal"


class DistributionBalancedLoss(_FromCounts):
    """Distribution-Balanced loss without focal; preset `db`. Needs num_images."""

    preset = "db"


class DistributionBalancedFocalLoss(_FromCounts):
    """Distribution-Balanced focal loss; preset `db_focal`. Needs num_images."""

    preset = "db_focal"


class LogitAdjustedLoss(_FromCounts):
    """Logit adjustment per label; preset `logit_adjusted`. Needs num_images."""

    preset = "logit_adjusted"


class LDAMLoss(_FromCounts):
    """LDAM per label; preset `ldam`. Options: max_m, s, drw_epoch, beta, scheme, ..."""

    preset = "ldam"


class EqualizationLoss(_FromCounts):
    """Equalization loss; preset `eql`. Needs num_images."""

    preset = "eql"
