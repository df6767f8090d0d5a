"""Losses from class counts, by the class names that people search for.

Each is the composition of the preset of the same name; see `mlt.losses.classes`.
"""

from __future__ import annotations

from mlt.losses.part_settings import Beta, ClassScheme, Scheme
from mlt.losses.preset_loss import BalancedLoss, Counts
from mlt.losses.settings import Reduction

__all__ = [
    "ClassBalancedFocalLoss",
    "ClassBalancedLoss",
    "EqualizationLoss",
    "InverseFrequencyLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
]


class InverseFrequencyLoss(BalancedLoss):
    """Cross entropy weighted by (M / n)^power; preset `inverse`. Needs num_images."""

    preset = "inverse"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        power: float = 1.0,
        scheme: ClassScheme = "by_class",
        normalise: bool = False,
        start_epoch: int = 0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            power=power,
            scheme=scheme,
            normalise=normalise,
            start_epoch=start_epoch,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class ClassBalancedLoss(BalancedLoss):
    """Class-balanced cross entropy (Cui et al., CVPR 2019); preset `cb_bce`."""

    preset = "cb_bce"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        beta: Beta = "auto",
        scheme: Scheme = "column",
        normalise: bool | None = None,
        start_epoch: int = 0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            beta=beta,
            scheme=scheme,
            normalise=normalise,
            start_epoch=start_epoch,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class ClassBalancedFocalLoss(BalancedLoss):
    """Class-balanced focal loss (Cui et al., CVPR 2019); preset `cb_focal`.

    Example:
        >>> ClassBalancedFocalLoss([90, 30, 3], beta=0.99).weighting.weight
        tensor([0.1286, 0.2941, 2.5773], dtype=torch.float64)
    """

    preset = "cb_focal"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        beta: Beta = "auto",
        scheme: Scheme = "column",
        normalise: bool | None = None,
        gamma: float = 2.0,
        alpha: float | None = None,
        start_epoch: int = 0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            beta=beta,
            scheme=scheme,
            normalise=normalise,
            gamma=gamma,
            alpha=alpha,
            start_epoch=start_epoch,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class LogitAdjustedLoss(BalancedLoss):
    """Logit adjustment per label (after Menon et al., ICLR 2021); preset `logit_adjusted`.

    Needs num_images.
    """

    preset = "logit_adjusted"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        tau: float = 1.0,
        start_epoch: int = 0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            tau=tau,
            start_epoch=start_epoch,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class LDAMLoss(BalancedLoss):
    """LDAM per label (after Cao et al., NeurIPS 2019); preset `ldam`."""

    preset = "ldam"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        max_m: float = 0.5,
        s: float = 30.0,
        margin_epoch: int = 0,
        drw_epoch: int | None = None,
        beta: Beta = 0.9999,
        scheme: Scheme = "positive",
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            max_m=max_m,
            s=s,
            margin_epoch=margin_epoch,
            drw_epoch=drw_epoch,
            beta=beta,
            scheme=scheme,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class EqualizationLoss(BalancedLoss):
    """Equalization loss (Tan et al., CVPR 2020); preset `eql`. Needs num_images."""

    preset = "eql"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        threshold: float = 0.00176,
        start_epoch: int = 0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            threshold=threshold,
            start_epoch=start_epoch,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )
