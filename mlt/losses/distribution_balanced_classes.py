"""The losses of the Distribution-Balanced paper, by the class names that people search for.

Each is the composition of the preset of the same name; see `mlt.losses.classes`. Defaults are those
published for COCO-MLT; those for VOC-MLT are map_gamma 0.3 and neg_scale 5.

References:
    Wu et al., Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets,
    ECCV 2020.
"""

from __future__ import annotations

from mlt.losses.preset_loss import BalancedLoss, Counts
from mlt.losses.settings import Reduction

__all__ = [
    "DistributionBalancedFocalLoss",
    "DistributionBalancedLoss",
    "RebalancedFocalLoss",
    "RebalancedLoss",
]


class RebalancedLoss(BalancedLoss):
    """Rebalanced cross entropy; preset `r_bce`."""

    preset = "r_bce"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        map_alpha: float = 0.1,
        map_beta: float = 10.0,
        map_gamma: float = 0.2,
        norm_by_instance: bool = False,
        start_epoch: int = 0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            map_alpha=map_alpha,
            map_beta=map_beta,
            map_gamma=map_gamma,
            norm_by_instance=norm_by_instance,
            start_epoch=start_epoch,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class RebalancedFocalLoss(BalancedLoss):
    """Rebalanced focal loss; preset `r_focal`."""

    preset = "r_focal"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        map_alpha: float = 0.1,
        map_beta: float = 10.0,
        map_gamma: float = 0.2,
        norm_by_instance: bool = False,
        gamma: float = 2.0,
        start_epoch: int = 0,
        scale: float = 2.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            map_alpha=map_alpha,
            map_beta=map_beta,
            map_gamma=map_gamma,
            norm_by_instance=norm_by_instance,
            gamma=gamma,
            start_epoch=start_epoch,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class DistributionBalancedLoss(BalancedLoss):
    """Distribution-Balanced loss without focal; preset `db`.

    Needs num_images.
    """

    preset = "db"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        map_alpha: float = 0.1,
        map_beta: float = 10.0,
        map_gamma: float = 0.2,
        neg_scale: float = 2.0,
        init_bias: float = 0.05,
        start_epoch: int = 0,
        scale: float = 1.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            map_alpha=map_alpha,
            map_beta=map_beta,
            map_gamma=map_gamma,
            neg_scale=neg_scale,
            init_bias=init_bias,
            start_epoch=start_epoch,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )


class DistributionBalancedFocalLoss(BalancedLoss):
    """Distribution-Balanced focal loss; preset `db_focal`.

    Needs num_images.
    """

    preset = "db_focal"

    def __init__(
        self,
        class_counts: Counts,
        num_images: int | None = None,
        *,
        map_alpha: float = 0.1,
        map_beta: float = 10.0,
        map_gamma: float = 0.2,
        neg_scale: float = 2.0,
        init_bias: float = 0.05,
        gamma: float = 2.0,
        start_epoch: int = 0,
        scale: float = 2.0,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            class_counts,
            num_images,
            map_alpha=map_alpha,
            map_beta=map_beta,
            map_gamma=map_gamma,
            neg_scale=neg_scale,
            init_bias=init_bias,
            gamma=gamma,
            start_epoch=start_epoch,
            scale=scale,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )
